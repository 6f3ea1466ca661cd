"""The balance of a silver table: lines in = rows out + rejected + duplicates, for every file and slice.

Lines and rows are counted where they lie, whoever wrote them, so that no task vouches for itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from lakehouse.lake.catalog import append_log
from lakehouse.lake.counts import count_by
from lakehouse.slices import ONE_DAY, Slice, days_of
from lakehouse.tables import Table
from lakehouse.tables.logs import FILE_BALANCES
from spark_jobs.engine import manifest
from spark_jobs.engine.kept import in_slices, not_held
from spark_jobs.engine.manifest import Entry
from spark_jobs.engine.publish import Attempt, is_published
from spark_jobs.engine.stage import Branch, HeldBack

if TYPE_CHECKING:
    from spark_jobs.layers.silver import Cleaning

Counts = Mapping[tuple[Any, ...], int]
"""Lines by slice, subject and file, or by slice and file."""


def file_part(table: Table) -> tuple[str, str, str]:
    """Return the columns that lines are counted by: slice, subject and file."""
    return (str(table.replaced_by), table.subject, "_source_sha256")


def add_up(counts: Iterable[Counts]) -> Counts:
    """Add up counts of several pieces."""
    total: dict[tuple[Any, ...], int] = {}
    for piece in counts:
        for key, lines in piece.items():
            total[key] = total.get(key, 0) + lines
    return total


def balance(  # noqa: PLR0917  # each is counted in its own place
    attempt: Attempt,
    slices: Sequence[Slice],
    cleaning: Cleaning,
    entries: Sequence[Entry],
    duplicates: Counts,
    held: HeldBack,
) -> dict[str, int]:
    """Count the lines of bronze and what became of them, log it, and return the sums for the audit.

    Parts that are held back are left out. Rejected rows are counted on `main` if they are published already.
    """
    is_staged = not is_published(attempt, cleaning.rejected, slices)
    kept = {each: {*held.get(each, ())} for each in slices}
    hashes = {each: {entry.source_sha256 for entry in entries if each in entry.slices} for each in slices}

    column, subject, file = file_part(cleaning.table)
    of_slices = (in_slices(column, slices), not_held(column, subject, held))

    def count(table: Table, reference: str, *conditions: pl.Expr) -> Counts:
        return count_by(attempt.settings, table, (column, file), (*of_slices, *conditions), reference)

    line = "_source_line" if "_source_line" in cleaning.table.column_names else "_source_record"
    counted = {
        "lines_in": count(cleaning.bronze, "main", *accepted_lines(cleaning.bronze, slices, hashes_of(hashes, slices))),
        "rows_out": count(cleaning.table, attempt.branch_name, pl.col(line).is_not_null()),
        "rows_rejected": count(cleaning.rejected, attempt.branch_name if is_staged else "main"),
        "rows_duplicate": add_up(
            {(each, sha256): rows} for (each, name, sha256), rows in duplicates.items() if name not in kept[each]
        ),
    }
    # Of every delivery: a row of one that is not accepted any more is what the balance is there to find
    names = {entry.source_sha256: entry.source_file for entry in manifest.read_manifest(attempt.settings)}
    balanced = record_balance(attempt, cleaning.table, names, counted)
    whole = [entry for entry in entries if entry.has_lines and not is_held(entry, held)]
    return {**balanced, "manifest_line_difference": line_difference(whole, slices, counted["lines_in"])}


def is_held(entry: Entry, held: HeldBack) -> bool:
    """Return whether some of a delivery's lines are of a part that is held back."""
    return any(entry.line_subject in held.get(each, ()) for each in entry.slices)


def line_difference(entries: Sequence[Entry], slices: Sequence[Slice], lines: Counts) -> int:
    """Count the lines by which files differ from what the manifest counted when they were loaded.

    The reader that a run trusts for its lines counts them for the balance, too; this shows what it leaves out. It is
    known of files of which every slice is among these.
    """
    expected: dict[str, int] = {}
    for entry in entries:
        expected[entry.source_sha256] = expected.get(entry.source_sha256, 0) + entry.rows
    partly = {entry.source_sha256 for entry in entries if not set(entry.slices) <= set(slices)}
    found: dict[str, int] = {}
    for (_, sha256), number in lines.items():
        found[sha256] = found.get(sha256, 0) + number
    return sum(abs(rows - found.get(sha256, 0)) for sha256, rows in expected.items() if sha256 not in partly)


def accepted_lines(bronze: Table, slices: Sequence[Slice], hashes: Sequence[str]) -> tuple[pl.Expr, ...]:
    """Select bronze's lines of files; a line's delivery is never more than a day away from its event."""
    conditions = [pl.col("_source_sha256").is_in(hashes)]
    if "_label_sha256" in bronze.column_names:  # an image counts with the labels that it was accepted with
        conditions.append(pl.col("_label_sha256").is_in(hashes).fill_null(True))
    if days := days_of(slices):
        conditions.append(pl.col("delivery_date").is_between(days[0] - ONE_DAY, days[-1] + ONE_DAY))
    return tuple(conditions)


def hashes_of(hashes: Mapping[Slice, set[str]], slices: Sequence[Slice]) -> list[str]:
    """Return the files that have lines of the slices."""
    return sorted({sha256 for each in slices for sha256 in hashes[each]})


def record_balance(
    run: Attempt | Branch, table: Table, names: Mapping[str, str], counted: Mapping[str, Counts]
) -> dict[str, int]:
    """Log lines in = rows out + rejected + duplicates for every file and slice; return the sums for the audit.

    `names` are the files' paths by hash.
    """
    now = datetime.now(UTC)
    rows: list[dict[str, Any]] = []
    for key in sorted(set().union(*counted.values()), key=str):
        each, sha256 = key
        numbers = {name: counts.get(key, 0) for name, counts in counted.items()}
        rows.append(
            {
                "run_id": run.run_id,
                "run_key": run.run_key,
                "table_name": table.identifier,
                "event_date": each if isinstance(each, date) else None,
                "_source_file": names[sha256],
                "_source_sha256": sha256,
                **numbers,
                "is_balanced": 2 * numbers["lines_in"] == sum(numbers.values()),
                "counted_at": now,
            }
        )
    append_log(run.settings, FILE_BALANCES, rows)
    sums = {name: sum(row[name] for row in rows) for name in counted}
    return {**sums, "unbalanced_files": sum(not row["is_balanced"] for row in rows)}
