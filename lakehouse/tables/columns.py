"""Columns that tables of every domain share: where a row came from, when it was loaded, and why it was rejected."""

from __future__ import annotations

from lakehouse.tables.model import Column

INGESTED_AT = Column(
    "_ingested_at",
    "timestamp",
    "When the run that wrote the row began, UTC; not part of a digest.",
    has_few_values=True,
)

SOURCE_COLUMNS = (
    Column("_source_file", "string", "Path of the file below the landing folder.", has_few_values=True),
    Column(
        "_source_member", "string", "Member of the archive; empty where the file is no archive.", has_few_values=True
    ),
    Column("_source_line", "bigint", "Line in the file or member, from 1.", minimum=1),
    Column("_source_sha256", "string", "SHA-256 of the file as delivered, hex.", has_few_values=True),
    INGESTED_AT,
)

REASON_COLUMNS = (
    Column("rule", "string", "Name of the first rule that the row broke."),
    Column("reason", "string", "What was wrong, in words and with the value."),
)
