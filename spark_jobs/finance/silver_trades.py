"""Silver trades: one row per exchange trade, typed and deduplicated.

Reads   lakehouse.bronze.trades   the lines of the event days, and bronze.files for which of them are accepted
Writes  lakehouse.silver.trades   replaces those event days
        lakehouse.silver.trades_rejected   the lines that broke a rule, with the rule's name and the reason

A feed without trade ids repeats identical rows that are real trades: identity is file and line, never the row's values.
An id is taken to be unique within an instrument and event day, since some venues begin anew each day.
"""

from __future__ import annotations

from lakehouse.tables.finance import BRONZE_TRADES, SILVER_TRADES, SILVER_TRADES_REJECTED
from spark_jobs.layers.command_line import main
from spark_jobs.layers.silver import Cleaning, silver_job
from transforms.finance.trades import clean_trades

JOB = silver_job("finance.silver_trades", Cleaning(SILVER_TRADES, SILVER_TRADES_REJECTED, BRONZE_TRADES, clean_trades))

if __name__ == "__main__":
    main(JOB)
