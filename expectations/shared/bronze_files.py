"""What the manifest must be before it is published: one accepted file per delivery, a reason for every other one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from expectations.declared import allowed_rule, declared_rules
from expectations.rules import Suite, group_rule, row_rule
from lakehouse.tables import TABLES, Table
from lakehouse.tables.manifest import BRONZE_FILES

CIVIL = "timestamp_ntz"

LOADED = tuple(table for table in TABLES if table.layer == "bronze" and table != BRONZE_FILES)
"""The bronze tables that files are loaded into."""


def is_loaded_into(tables: Iterable[Table]) -> str:
    """Return the SQL condition that selects the files of some bronze tables."""
    return "dataset IN ({})".format(", ".join(f"'{table.name}'" for table in tables))


HAS_DAY = is_loaded_into(table for table in LOADED if "delivery_date" in table.column_names)
HAS_CIVIL_TIME = is_loaded_into(
    table for table in LOADED for column in table.columns if (column.name, column.type) == (table.event_time, CIVIL)
)

SUITE = Suite(
    BRONZE_FILES,
    rules=(
        *declared_rules(BRONZE_FILES),
        allowed_rule(replace(BRONZE_FILES.column("dataset"), allowed=tuple(table.name for table in LOADED))),
        group_rule(
            "one_accepted_file_per_delivery",
            "critical",
            "A delivery has at most one accepted file.",
            ("delivery_date", "dataset", "source", "subject", "delivery_part"),
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
            "first_ts_event > last_ts_event OR first_interval_start > last_interval_start",
        ),
        row_rule(
            "dated_as_delivered",
            "critical",
            "An accepted file has the day of its delivery, and an image set has none.",
            f"CASE WHEN {HAS_DAY} THEN delivery_date IS NULL AND verdict IN ('accepted', 'superseded') "
            "ELSE delivery_date IS NOT NULL END",
        ),
        row_rule(
            "civil_times_of_meters",
            "critical",
            "Events are in civil time if they are a meter's, else in UTC.",
            f"CASE WHEN {HAS_CIVIL_TIME} THEN first_ts_event IS NOT NULL OR last_ts_event IS NOT NULL "
            "ELSE first_interval_start IS NOT NULL OR last_interval_start IS NOT NULL END",
        ),
    ),
)
