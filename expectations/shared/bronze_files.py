"""What the manifest must be before it is published: one accepted file per delivery, a reason for every other one."""

from __future__ import annotations

from dataclasses import replace

from expectations.declared import allowed_rule, declared_rules
from expectations.rules import Suite, group_rule, row_rule
from lakehouse.tables import TABLES
from lakehouse.tables.manifest import BRONZE_FILES

DELIVERED = tuple(table.name for table in TABLES if table.layer == "bronze" and table != BRONZE_FILES)
"""The bronze tables that files are loaded into."""

SUITE = Suite(
    BRONZE_FILES,
    rules=(
        *declared_rules(BRONZE_FILES),
        allowed_rule(replace(BRONZE_FILES.column("dataset"), allowed=DELIVERED)),
        group_rule(
            "one_accepted_file_per_delivery",
            "critical",
            "A delivery has at most one accepted file.",
            ("delivery_date", "dataset", "source", "instrument_id", "delivery_part"),
            "sum(CASE WHEN verdict = 'accepted' THEN 1 ELSE 0 END) > 1",
        ),
        row_rule(
            "reason_given",
            "critical",
            "Every file that was not accepted says why.",
            "verdict <> 'accepted' AND (reason IS NULL OR trim(reason) = '')",
        ),
        row_rule(
            "quarantined_without_rows",
            "critical",
            "A quarantined file brought no rows.",
            "verdict = 'quarantined' AND rows <> 0",
        ),
        row_rule(
            "sha256_is_hex",
            "critical",
            "The fingerprint of a file has 64 digits.",
            "NOT (length(_source_sha256) = 64)",
        ),
        row_rule(
            "events_in_order",
            "critical",
            "The earliest event of a file is not after its latest.",
            "first_ts_event > last_ts_event",
        ),
    ),
)
