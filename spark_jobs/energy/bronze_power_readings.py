"""Bronze power readings: every line of every accepted meter file, as the file said it.

Reads   the landing folder   the files that a declared dialect claims by their path
Writes  lakehouse.bronze.power_readings   adds the new deliveries, takes out those that they replace
        lakehouse.bronze.files   the manifest: what became of each meter and civil day

A delivery is one civil day of one meter, although a file may hold years: a file that comes again with other values is
refused unless it is to replace the days, and then replaces exactly those that it has. A file that does not match its
dialect is quarantined with the first line that differs, and read again once its dialects have changed.
"""

from __future__ import annotations

from lakehouse.tables.energy import BRONZE_POWER_READINGS
from spark_jobs.energy.dialects import claims
from spark_jobs.layers.bronze import bronze_job
from spark_jobs.layers.command_line import main

JOB = bronze_job("energy.bronze_power_readings", BRONZE_POWER_READINGS, claims)

if __name__ == "__main__":
    main(JOB)
