"""Bronze quotes: every line of every accepted file of quotes, as the file said it.

Reads   the landing folder   the files that a source of spark_jobs/sources claims as quotes, by delivery day
Writes  lakehouse.bronze.quotes   adds the new deliveries, takes out those that they replace
        lakehouse.bronze.files   the manifest: what became of each delivery

A file that can't be read is quarantined with its reason; the others go on.
"""

from __future__ import annotations

from lakehouse.tables.finance import BRONZE_QUOTES
from spark_jobs.layers.bronze import bronze_job
from spark_jobs.layers.command_line import main

JOB = bronze_job("finance.bronze_quotes", BRONZE_QUOTES)

if __name__ == "__main__":
    main(JOB)
