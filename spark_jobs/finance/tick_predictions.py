"""Gold tick predictions: what a model version forecast of the minutes ahead, from the file of `lakehouse predict`.

Reads   the *.parquet files in the folder given by --landing
Writes  lakehouse.gold.tick_predictions   replaces the UTC days that the files forecast

A day also holds forecasts of other versions, instruments and horizons: those are kept, rows of the same key are
replaced.
"""

from __future__ import annotations

from lakehouse.tables.finance import GOLD_TICK_PREDICTIONS
from spark_jobs.layers.command_line import main
from spark_jobs.layers.forecasts import forecast_job

JOB = forecast_job("finance.tick_predictions", GOLD_TICK_PREDICTIONS)

if __name__ == "__main__":
    main(JOB)
