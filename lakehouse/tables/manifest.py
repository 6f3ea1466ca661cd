"""The manifest `bronze.files`: what was delivered to any domain, and what became of it."""

from __future__ import annotations

from lakehouse.tables.columns import INGESTED_AT
from lakehouse.tables.model import Column, Table

VERDICTS = ("accepted", "superseded", "quarantined", "refused")

BRONZE_FILES = Table(
    layer="bronze",
    name="files",
    doc="The manifest: one row per delivery and file, with what became of it.",
    columns=(
        Column(
            "delivery_date",
            "date",
            "Day of the delivery; null for an image set, and for a file whose day could not be read.",
            nullable=True,
            has_few_values=True,
        ),
        Column("dataset", "string", "Name of the bronze table that the file belongs to.", has_few_values=True),
        Column("source", "string", "Name of the source that claimed the file.", has_few_values=True),
        Column(
            "subject",
            "string",
            "What the file is about: a venue-qualified symbol, a meter, or set and split of images (mnist.train); "
            "empty for a quarantined file of several.",
            has_few_values=True,
            formerly=("instrument_id",),
        ),
        Column(
            "delivery_part",
            "string",
            "Part of a delivery that comes in several files: of a day, a batch of a split, or its labels; else empty.",
            has_few_values=True,
        ),
        Column("_source_file", "string", "Path of the file below the landing folder.", has_few_values=True),
        Column("_source_sha256", "string", "SHA-256 of the file as delivered, hex.", has_few_values=True),
        Column("bytes", "bigint", "Size of the file as delivered.", unit="B", minimum=0),
        Column(
            "rows", "bigint", "Lines, images or labels of this delivery in the file; 0 where quarantined.", minimum=0
        ),
        Column("first_ts_event", "timestamp", "Earliest readable event of ticks, UTC; else null.", nullable=True),
        Column("last_ts_event", "timestamp", "Latest readable event of ticks, UTC; else null.", nullable=True),
        Column(
            "first_interval_start",
            "timestamp_ntz",
            "Earliest readable interval of a meter, in local civil time; else null.",
            nullable=True,
        ),
        Column(
            "last_interval_start",
            "timestamp_ntz",
            "Latest readable interval of a meter, in local civil time; else null.",
            nullable=True,
        ),
        Column("event_dates", "array<date>", "The values of event_date in its rows, ascending."),
        Column("verdict", "string", "What became of the delivery.", allowed=VERDICTS),
        Column("reason", "string", "Why, in words, where it was not accepted.", nullable=True),
        Column(
            "read_as",
            "string",
            "The declarations that the file was checked against, with a digest: dialects of meters, or an image set "
            "and the files read together; null where the source needs none.",
            nullable=True,
        ),
        INGESTED_AT,
    ),
    primary_key=("delivery_date", "dataset", "subject", "delivery_part", "_source_sha256", "_source_file"),
    partitioned_by=("months(delivery_date)",),
    sorted_by=("subject", "_source_file"),
    replaced_by="delivery_date",
    subject="subject",
)
