"""Gold load forecasts: what a model version forecast, published from the file that `lakehouse predict` wrote.

Reads   the *.parquet files in the folder given by --landing
Writes  lakehouse.gold.load_forecasts   replaces the civil days that the files forecast

A day also holds forecasts of other versions and horizons: those are kept, rows of the same key are replaced.
"""

from __future__ import annotations

from lakehouse.tables.energy import GOLD_LOAD_FORECASTS
from spark_jobs.layers.command_line import main
from spark_jobs.layers.forecasts import forecast_job

JOB = forecast_job("energy.load_forecasts", GOLD_LOAD_FORECASTS)

if __name__ == "__main__":
    main(JOB)
