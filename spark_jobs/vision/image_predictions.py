"""Gold image predictions: how a model version classified the images of a set, from the file of `lakehouse predict`.

Reads   the *.parquet files in the folder given by --landing
Writes  lakehouse.gold.image_predictions   replaces the image sets that the files speak of

A set also holds what other models and versions said of it: those rows are kept, rows of the same key are replaced.
"""

from __future__ import annotations

from lakehouse.tables.vision import GOLD_IMAGE_PREDICTIONS
from spark_jobs.layers.command_line import main
from spark_jobs.layers.forecasts import forecast_job

JOB = forecast_job("vision.image_predictions", GOLD_IMAGE_PREDICTIONS)

if __name__ == "__main__":
    main(JOB)
