"""Silver quotes: one row per quote, typed; a side that the row does not update is null.

Reads   lakehouse.bronze.quotes   the lines of the event days, and bronze.files for which of them are accepted
Writes  lakehouse.silver.quotes   replaces those event days
        lakehouse.silver.quotes_rejected   the lines that broke a rule, with the rule's name and the reason

Equity feeds send one side at a time: a price of zero there means "no update", not a price.
"""

from __future__ import annotations

from lakehouse.tables.finance import BRONZE_QUOTES, SILVER_QUOTES, SILVER_QUOTES_REJECTED
from spark_jobs.layers.command_line import main
from spark_jobs.layers.silver import Cleaning, silver_job
from transforms.finance.quotes import clean_quotes

JOB = silver_job("finance.silver_quotes", Cleaning(SILVER_QUOTES, SILVER_QUOTES_REJECTED, BRONZE_QUOTES, clean_quotes))

if __name__ == "__main__":
    main(JOB)
