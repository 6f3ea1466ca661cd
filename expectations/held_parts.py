"""Parts that a run held back and that still have the rows from before: what the report shows until they are repaired.

Reads  quality.held_parts, ops.runs, and the history of the tables that are named there
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from lakehouse.config.settings import Settings
from lakehouse.errors import BadInputError
from lakehouse.lake.catalog import load
from lakehouse.lake.history import held_subjects
from lakehouse.slices import Slice, parse_slices
from lakehouse.tables import find_table

Row = Mapping[str, Any]
Part = tuple[str, str, str]
"""Table, slice and subject, as quality.held_parts has them."""
REPLACED = ("published", "quarantined")
"""Outcomes of a run that held nothing back and replaced the days that it names."""


@dataclass(frozen=True)
class StandingPart:
    """A part that still has the rows from before, with what its last audit found."""

    table_name: str
    slice: str
    subject: str
    rules: str
    files: str
    since: datetime
    last_tried_at: datetime


def standing_parts(settings: Settings, held: Iterable[Row], runs: Iterable[Row]) -> list[StandingPart]:
    """Return the parts that were held back and not replaced since, those that stand longest first."""
    by_part: dict[Part, list[Row]] = {}
    for row in held:
        by_part.setdefault((row["table_name"], row["slice"], row["subject"]), []).append(row)
    repairs = table_repairs(settings, by_part)
    for part, moment in run_repairs(by_part, list(runs)).items():
        repairs[part] = max(moment, repairs.get(part, moment))
    standing = []
    for part, rows in by_part.items():
        after = [row for row in rows if part not in repairs or row["held_at"] > repairs[part]]
        if after:
            last = max(after, key=lambda row: row["held_at"])
            since = min(row["held_at"] for row in after)
            standing.append(StandingPart(*part, last["rules"], last["files"], since, last["held_at"]))
    return sorted(standing, key=lambda part: (part.since, part.table_name, part.slice, part.subject))


def table_repairs(settings: Settings, parts: Iterable[Part]) -> dict[Part, datetime]:
    """Return when a part's slice was last replaced on `main` with the part's new rows, not those from before."""
    by_table: dict[str, list[Part]] = {}
    for part in parts:
        by_table.setdefault(part[0], []).append(part)
    repairs: dict[Part, datetime] = {}
    for name, of_table in by_table.items():
        try:
            iceberg = load(settings, find_table(name))
        except BadInputError:
            continue  # the table is gone, and with it what could have replaced the part
        slices = {part: slice_of(part) for part in of_table}
        for moment, subjects in held_subjects(iceberg, set(slices.values())):
            for part, each in slices.items():
                if each in subjects and part[2] not in subjects[each]:
                    repairs.setdefault(part, moment)  # newest first
    return repairs


def run_repairs(by_part: Mapping[Part, Iterable[Row]], runs: list[Row]) -> dict[Part, datetime]:
    """Return when a run of the job that held a part back last replaced its day whole.

    It stands for the history of a table whose snapshots have expired; runs do not name image sets.
    """
    jobs = {run["run_id"]: run["job"] for run in runs}
    replaced: dict[tuple[str, date], datetime] = {}
    for run in runs:
        if run["outcome"] in REPLACED:
            for day in run["days"] or ():
                key = (run["job"], day)
                replaced[key] = max(run["started_at"], replaced.get(key, run["started_at"]))
    repairs = {}
    for part, rows in by_part.items():
        each = slice_of(part)
        moments = [replaced.get((jobs.get(row["run_id"], ""), each)) for row in rows if isinstance(each, date)]
        found = [moment for moment in moments if moment is not None]
        if found:
            repairs[part] = max(found)
    return repairs


def slice_of(part: Part) -> Slice:
    """Return a part's slice, which the log has as text."""
    return parse_slices(part[1])[0]
