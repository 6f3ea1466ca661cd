"""Vision tables: images as delivered (bronze), judged (silver), and ready for training (gold).

What a run replaces is an image set, by name, not a day: `dataset` is the unit. An image set is declared in a YAML
(docs/image-sets.md); each has a gold table of its own with the columns that `gold_images` declares.
"""

from __future__ import annotations

import re

from lakehouse.tables.columns import INGESTED_AT, REASON_COLUMNS
from lakehouse.tables.model import Column, Table

SPLITS = ("train", "test")
SET_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
"""What an image set may be called: it becomes part of a table's name and of each image's id."""
GOLD_NAME = re.compile(rf"gold\.({SET_NAME.pattern})_images")
SHIPPED_SETS = ("mnist", "cifar10", "digits")
"""The sets that are declared in lakehouse/reference/image_sets."""

IMAGE_ID = Column(
    "image_id",
    "string",
    "Set, split, part where a split comes in parts, and record: mnist.train.000042, cifar10.train.1.000042.",
)
DATASET = Column("dataset", "string", "The declared image set, e.g. mnist.", has_few_values=True)
SPLIT = Column("split", "string", "What the publisher meant the image for.", allowed=SPLITS, has_few_values=True)
LABEL_COLUMNS = (
    Column("label", "int", "Class of the image, from 0.", minimum=0),
    Column("label_name", "string", "The class by its declared name."),
)
SHAPE_COLUMNS = (
    Column("height", "int", "Rows of pixels.", "px", minimum=1, has_few_values=True),
    Column("width", "int", "Columns of pixels.", "px", minimum=1, has_few_values=True),
    Column("channels", "int", "Colour channels: 1 is grey, 3 are red, green and blue.", minimum=1, has_few_values=True),
)
PIXELS = Column("pixels", "binary", "channels * height * width bytes, CHW, uint8: 0 is black.", "B")
RANGE_COLUMNS = (
    Column("pixel_min", "int", "Least value of the image.", minimum=0, maximum=255),
    Column("pixel_max", "int", "Greatest value of the image.", minimum=0, maximum=255),
)
SUM_COLUMNS = (
    Column("channel_sums", "array<bigint>", "Sum of the pixels of each channel."),
    Column("channel_square_sums", "array<bigint>", "Sum of the squared pixels of each channel."),
)
"""Exact, and enough for mean and deviation of any choice of images without reading their pixels again."""
IMAGE_SHA256 = Column("image_sha256", "string", "SHA-256 of the pixels, hex: equal images have equal ones.")
LEAK = Column("is_train_test_leak", "boolean", "An equal image is in the other split, too.")
OTHER_LABEL = Column("has_other_label", "boolean", "An equal image of the set has another label.")
SOURCE_FILE = Column(
    "_source_file", "string", "Path of the file of images below the landing folder.", has_few_values=True
)
SOURCE_MEMBER = Column(
    "_source_member", "string", "Member of the archive; empty where the file is no archive.", has_few_values=True
)
SOURCE_RECORD = Column("_source_record", "bigint", "Record in the file or member, from 0.", minimum=0)
SOURCE_SHA256 = Column(
    "_source_sha256", "string", "SHA-256 of the file of images as delivered, hex.", has_few_values=True
)
SOURCE_COLUMNS = (SOURCE_FILE, SOURCE_MEMBER, SOURCE_RECORD, SOURCE_SHA256, INGESTED_AT)

RAW_COLUMNS = (
    Column("raw_label", "int", "Label byte as the file has it.", minimum=0, maximum=255, has_few_values=True),
    *SHAPE_COLUMNS,
    Column("raw_pixels", "binary", "The record's bytes as the file has them, without the label.", "B"),
    Column("pixels_sha256", "string", "SHA-256 of raw_pixels, hex."),
)

BRONZE_IMAGES = Table(
    layer="bronze",
    name="images",
    doc="Every record of every accepted file of images, as the file said it.",
    columns=(
        Column(
            "source",
            "string",
            "The file format that it was read by.",
            allowed=("idx", "cifar10_binary"),
            has_few_values=True,
        ),
        DATASET,
        SPLIT,
        Column(
            "delivery_part",
            "string",
            "Number of the batch where a split comes in several; else empty.",
            has_few_values=True,
        ),
        *RAW_COLUMNS,
        *RANGE_COLUMNS,
        *SUM_COLUMNS,
        Column(
            "_label_file",
            "string",
            "Path of the file of labels; null where it is in the record.",
            nullable=True,
            has_few_values=True,
        ),
        Column(
            "_label_sha256",
            "string",
            "SHA-256 of the file of labels, hex; null without one.",
            nullable=True,
            has_few_values=True,
        ),
        *SOURCE_COLUMNS,
    ),
    primary_key=("dataset", "split", "delivery_part", "_source_record"),
    partitioned_by=("dataset", "split"),
    replaced_by="dataset",
    subject="dataset",
)

SILVER_IMAGES = Table(
    layer="silver",
    name="images",
    doc="One row per sound image of every set; equal images within a split and across splits are flagged.",
    columns=(
        IMAGE_ID,
        DATASET,
        SPLIT,
        *LABEL_COLUMNS,
        *SHAPE_COLUMNS,
        PIXELS,
        *RANGE_COLUMNS,
        *SUM_COLUMNS,
        IMAGE_SHA256,
        Column("duplicate_of", "string", "image_id of the first equal image of the split; null in it.", nullable=True),
        LEAK,
        OTHER_LABEL,
        *SOURCE_COLUMNS,
    ),
    primary_key=("image_id",),
    partitioned_by=("dataset", "split"),
    sorted_by=("image_id",),
    replaced_by="dataset",
    subject="dataset",
)

SILVER_IMAGES_REJECTED = Table(
    layer="silver",
    name="images_rejected",
    doc="Every record of a file of images that broke a rule, as the file said it, with the reason.",
    columns=(IMAGE_ID, DATASET, SPLIT, *REASON_COLUMNS, *RAW_COLUMNS, *SOURCE_COLUMNS),
    primary_key=("image_id",),
    partitioned_by=("dataset", "split"),
    sorted_by=("image_id",),
    replaced_by="dataset",
    subject="dataset",
    may_be_empty=True,
)


def gold_images(name: str) -> Table:
    """Return the declaration of a set's gold table."""
    return Table(
        layer="gold",
        name=f"{name}_images",
        doc=f"Images of the set {name} for training: audited, each once per split, none of train that is in test, too.",
        columns=(
            IMAGE_ID,
            DATASET,
            SPLIT,
            *LABEL_COLUMNS,
            *SHAPE_COLUMNS,
            PIXELS,
            *RANGE_COLUMNS,
            IMAGE_SHA256,
            LEAK,
            OTHER_LABEL,
            SOURCE_FILE,
            SOURCE_RECORD,
            SOURCE_SHA256,
            INGESTED_AT,
        ),
        primary_key=("image_id",),
        partitioned_by=("dataset", "split"),
        sorted_by=("image_id",),
        replaced_by="dataset",
        subject="dataset",
    )


GOLD_IMAGE_STATISTICS = Table(
    layer="gold",
    name="image_statistics",
    doc="Mean and standard deviation per channel of the training images that gold has of each set, to normalise by.",
    columns=(
        DATASET,
        SPLIT,
        Column("channel", "int", "Colour channel, from 0.", minimum=0),
        Column("mean", "double", "Mean of all pixels, scaled to 0..1.", minimum=0, maximum=1),
        Column("std", "double", "Population standard deviation of all pixels, scaled to 0..1.", minimum=0, maximum=1),
        Column("image_count", "bigint", "Images that the numbers rest on.", minimum=1),
        INGESTED_AT,
    ),
    primary_key=("dataset", "split", "channel"),
    partitioned_by=("dataset",),
    sorted_by=("split", "channel"),
    replaced_by="dataset",
    subject="dataset",
    may_be_empty=True,
)

GOLD_IMAGE_CLASS_COUNTS = Table(
    layer="gold",
    name="image_class_counts",
    doc="How many images gold has of each set, split and class, also of classes without one.",
    columns=(
        DATASET,
        SPLIT,
        *LABEL_COLUMNS,
        Column("image_count", "bigint", "Images of the class in the split.", minimum=0),
        Column("share_ratio", "double", "Their share of the split.", minimum=0, maximum=1),
        INGESTED_AT,
    ),
    primary_key=("dataset", "split", "label"),
    partitioned_by=("dataset",),
    sorted_by=("split", "label"),
    replaced_by="dataset",
    subject="dataset",
)

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
        Column("_source_sha256", "string", "SHA-256 of the file of predictions, hex.", has_few_values=True),
        INGESTED_AT,
    ),
    primary_key=("model_name", "model_version", "image_id"),
    partitioned_by=("dataset",),
    sorted_by=("model_name", "model_version", "image_id"),
    replaced_by="dataset",
    subject="dataset",
)

SHIPPED_GOLD = tuple(gold_images(name) for name in SHIPPED_SETS)


def images_table(identifier: str) -> Table | None:
    """Return the gold table of an image set, declared by whomever; None where the name is of no such table."""
    match = GOLD_NAME.fullmatch(identifier)
    return gold_images(match[1]) if match else None
