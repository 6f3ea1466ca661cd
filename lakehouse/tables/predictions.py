"""What models said of images: one table for every image set and model."""

from __future__ import annotations

from lakehouse.tables.model import Column, Table
from lakehouse.tables.vision import DATASET, IMAGE_ID, IMAGE_SHA256, INGESTED_AT, SPLIT

GOLD_IMAGE_PREDICTIONS = Table(
    layer="gold",
    name="image_predictions",
    doc="How each registered version that was asked classified each image of a set.",
    columns=(
        IMAGE_ID,
        DATASET,
        SPLIT,
        Column("label", "int", "Class of the image as delivered, from 0.", minimum=0),
        Column("predicted_label", "int", "Class that the model gives it.", minimum=0),
        Column("predicted_label_name", "string", "That class by its declared name."),
        Column(
            "probability", "double", "Of the given class, calibrated on the validation images.", minimum=0, maximum=1
        ),
        IMAGE_SHA256,
        Column("model_name", "string", "Registered model, e.g. mnist_cnn."),
        Column("model_version", "int", "Its version.", minimum=1),
        Column("snapshot_id", "bigint", "Snapshot of the set's gold table that the images were read at."),
        Column("made_at", "timestamp", "When the run that published the predictions began, UTC."),
        Column("_source_sha256", "string", "SHA-256 of the file of predictions, hex."),
        INGESTED_AT,
    ),
    primary_key=("model_name", "model_version", "image_id"),
    partitioned_by=("dataset",),
    sorted_by=("model_name", "model_version", "image_id"),
    replaced_by="dataset",
    subject="dataset",
)

TABLES = (GOLD_IMAGE_PREDICTIONS,)
