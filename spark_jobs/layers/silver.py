"""What every silver job shares: bronze lines become rows of the table or rejected rows, and the balance is kept.

Here a table is made by Spark's own functions; silver_files.py makes those with many rows.

A line belongs to one event day (bronze's event_date), also where its time is unreadable. A run replaces event days:
the table's and the rejected rows' alike, so each line is judged by exactly one day's run, in whatever order they run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import polars as pl
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.lake.catalog import append_log, load, published_days
from lakehouse.lake.counts import count_by
from lakehouse.tables import Table
from lakehouse.tables.logs import FILE_BALANCES
from lakehouse.tables.manifest import BRONZE_FILES
from spark_jobs.engine.job import Job, Plan, Request, Summary
from spark_jobs.engine.publish import Attempt, Published, Write
from spark_jobs.engine.stage import Branch, distribute, stage_frame
from spark_jobs.layers import manifest
from spark_jobs.layers.manifest import Entry

ONE_DAY = timedelta(days=1)

FILE_DAY = ("event_date", "_source_sha256")
Counts = Mapping[tuple[Any, ...], int]
"""Lines by FILE_DAY."""
Build = Callable[[Request, Plan, Attempt], Sequence[Write]]


class Rule(NamedTuple):
    """Why a line may be rejected: the rule's name, the condition that breaks it, and the reason in words."""

    name: str
    is_broken: Column
    words: Column


@dataclass(frozen=True)
class Judged:
    """Bronze lines with their verdict: rows for the table, and lines that are rejected or equal copies."""

    rows: DataFrame
    rejected: DataFrame
    duplicates: DataFrame


@dataclass(frozen=True)
class SilverTables:
    """The tables of a silver job: what it is named after, the lines that it rejects, and where lines come from."""

    table: Table
    rejected: Table
    bronze: Table


@dataclass(frozen=True)
class Cleaning(SilverTables):
    """One silver table that Spark's functions make, and how its lines are judged.

    `mark` adds what only the other rows of a day can tell; it gets the rows laid out and sorted, and `is_sorted`
    says whether it leaves them so. `facts` counts what the audit asks for besides the balance, in the days' rows.
    """

    judge: Callable[[DataFrame], Judged]
    mark: Callable[[DataFrame], DataFrame] = lambda rows: rows
    is_sorted: bool = True
    facts: Callable[[DataFrame], Mapping[str, Any]] = lambda rows: {}


def silver_job(name: str, cleaning: Cleaning, code: tuple[ModuleType, ...]) -> Job:
    """Make the job that cleans one bronze table with Spark's functions."""

    def build(request: Request, planned: Plan, attempt: Attempt) -> Sequence[Write]:
        return build_writes(request, planned, attempt, cleaning)

    return job_of(name, cleaning, build, code)


def job_of(name: str, tables: SilverTables, build: Build, code: tuple[ModuleType, ...]) -> Job:
    """Make a job that cleans the lines of event days, however it builds what is to be staged."""
    return Job(
        name=name,
        table=tables.table,
        tables=(tables.rejected, tables.table),
        reads=(tables.bronze, BRONZE_FILES),
        code=code,
        plan=lambda request: plan_event_days(request, tables),
        build=build,
        summarize=lambda request, planned, published: summarize(tables.table, published),
    )


def plan_event_days(request: Request, tables: SilverTables) -> Plan:
    """Find the event days that accepted deliveries touch, and those that have rows although none does any more."""
    entries = manifest.accepted(manifest.read_manifest(request.settings), tables.bronze.name)
    inputs: dict[date, list[str]] = {}
    for table in (tables.table, tables.rejected):
        for day in published_days(load(request.settings, table), "event_date"):
            inputs.setdefault(day, [])
    for entry in entries:
        for day in entry.event_dates:
            inputs.setdefault(day, []).append(f"{manifest.describe(entry)} {entry.fingerprint}")
    asked = {day: sorted(texts) for day, texts in inputs.items() if request.days is None or day in request.days}
    lines = tuple(f"read for {day}: {text}" for day, texts in sorted(asked.items()) for text in texts)
    return Plan(asked, lines, entries)


def read_lines(spark: SparkSession, bronze: Table, days: Sequence[date], entries: Sequence[Entry]) -> DataFrame:
    """Read the accepted lines of the event days."""
    return spark.table(bronze.full_name).where(
        F.col("event_date").isin(sorted(days))
        & F.col("delivery_date").between(min(days) - ONE_DAY, max(days) + ONE_DAY)
        & F.col("_source_sha256").isin(hashes_of(entries, days))
    )


def build_writes(request: Request, plan: Plan, attempt: Attempt, cleaning: Cleaning) -> Sequence[Write]:
    """Judge the lines and describe what is to be staged, rejected rows first."""
    lines = read_lines(request.spark, cleaning.bronze, plan.days, plan.state)
    judged = cleaning.judge(lines)
    loaded = F.lit(attempt.started_at).alias("_ingested_at")

    def stage_rejected(branch: Branch) -> Sequence[date]:
        return stage_frame(branch, judged.rejected.withColumn("_ingested_at", loaded).coalesce(1), plan.days)

    def stage_rows(branch: Branch) -> Sequence[date]:
        rows = cleaning.mark(distribute(judged.rows, cleaning.table, plan.days))
        rows = rows.withColumn("_ingested_at", loaded)
        return stage_frame(branch, rows, plan.days, is_sorted=cleaning.is_sorted)

    def facts(branch: Branch, days: Sequence[date]) -> Mapping[str, Any]:
        counted = judged.duplicates.groupBy(*FILE_DAY).count().collect()
        duplicates = {(row["event_date"], row["_source_sha256"]): row["count"] for row in counted}
        balanced = balance(attempt, days, cleaning, plan.state, duplicates)
        return {**balanced, **cleaning.facts(branch.read_days(days))}

    return [
        Write(cleaning.rejected, plan.days, stage_rejected),
        Write(cleaning.table, plan.days, stage_rows, facts),
    ]


def balance(
    attempt: Attempt, days: Sequence[date], tables: SilverTables, entries: Sequence[Entry], duplicates: Counts
) -> dict[str, int]:
    """Count the lines of bronze and what became of them, log it, and return the sums for the audit.

    Lines and rows are counted where they lie, whoever wrote them; rejected ones on `main` where they are published
    already.
    """
    of_days = pl.col("event_date").is_in(days)
    is_staged = attempt.branch_name in load(attempt.settings, tables.rejected).refs()
    count = partial(count_by, attempt.settings, columns=FILE_DAY)
    counted = {
        "lines_in": count(tables.bronze, conditions=accepted_lines(days, hashes_of(entries, days))),
        "rows_out": count(
            tables.table,
            conditions=(of_days, pl.col("_source_line").is_not_null()),
            reference=attempt.branch_name,
        ),
        "rows_rejected": count(
            tables.rejected, conditions=(of_days,), reference=attempt.branch_name if is_staged else "main"
        ),
        "rows_duplicate": duplicates,
    }
    # Of every delivery: a row of one that is not accepted any more is what the balance is there to find
    names = {entry.source_sha256: entry.source_file for entry in manifest.read_manifest(attempt.settings)}
    balanced = record_balance(attempt, tables.table, names, counted)
    return {**balanced, "manifest_line_difference": line_difference(entries, days, counted["lines_in"])}


def line_difference(entries: Sequence[Entry], days: Sequence[date], lines: Counts) -> int:
    """Count the lines by which files differ from what the manifest counted when they were loaded.

    The reader that a run trusts for its lines counts them for the balance, too; this would show what it leaves out. It
    is known of files of which every day is among these.
    """
    expected: dict[str, int] = {}
    for entry in entries:
        expected[entry.source_sha256] = expected.get(entry.source_sha256, 0) + entry.rows
    partly = {entry.source_sha256 for entry in entries if not set(entry.event_dates) <= set(days)}
    found: dict[str, int] = {}
    for (_, sha256), number in lines.items():
        found[sha256] = found.get(sha256, 0) + number
    return sum(abs(rows - found.get(sha256, 0)) for sha256, rows in expected.items() if sha256 not in partly)


def accepted_lines(days: Sequence[date], hashes: Sequence[str]) -> tuple[pl.Expr, ...]:
    """Select bronze's lines of event days and files; a line's delivery is never more than a day away from its event."""
    return (
        pl.col("event_date").is_in(days),
        pl.col("delivery_date").is_between(min(days) - ONE_DAY, max(days) + ONE_DAY),
        pl.col("_source_sha256").is_in(hashes),
    )


def hashes_of(entries: Sequence[Entry], days: Sequence[date]) -> list[str]:
    """Return the files that have lines of the event days."""
    return sorted({entry.source_sha256 for entry in entries if set(entry.event_dates) & set(days)})


def record_balance(
    attempt: Attempt, table: Table, names: Mapping[str, str], counted: Mapping[str, Counts]
) -> dict[str, int]:
    """Log lines in = rows out + rejected + duplicates for every file and day; return the sums for the audit.

    `names` are the files' paths by hash.
    """
    now = datetime.now(UTC)
    rows: list[dict[str, Any]] = []
    for key in sorted(set().union(*counted.values())):
        day, sha256 = key
        numbers = {name: counts.get(key, 0) for name, counts in counted.items()}
        rows.append(
            {
                "run_id": attempt.run_id,
                "run_key": attempt.run_key,
                "table_name": table.identifier,
                "event_date": day,
                "_source_file": names[sha256],
                "_source_sha256": sha256,
                **numbers,
                "is_balanced": 2 * numbers["lines_in"] == sum(numbers.values()),
                "counted_at": now,
            }
        )
    append_log(attempt.settings, FILE_BALANCES, rows)
    sums = {name: sum(row[name] for row in rows) for name in counted}
    return {**sums, "unbalanced_files": sum(not row["is_balanced"] for row in rows)}


def summarize(table: Table, published: Sequence[Published]) -> Summary:
    """Tell the balance as the run's numbers."""
    for item in published:
        if item.table is table:
            facts = item.facts
            return Summary(*(facts[name] for name in ("lines_in", "rows_out", "rows_rejected", "rows_duplicate")))
    return Summary()


def is_sound(rules: Sequence[Rule]) -> Column:
    """Say whether a line breaks no rule; cheaper than asking for the name of the first."""
    sound = F.lit(True)
    for rule in rules:
        sound = sound & ~F.coalesce(rule.is_broken, F.lit(False))
    return sound


def name_broken(lines: DataFrame, rules: Sequence[Rule]) -> DataFrame:
    """Add name and words of the first rule that a line breaks as `rule` and `reason`; null where it breaks none."""
    name, reason = F.lit(None).cast("string"), F.lit(None).cast("string")
    for rule in reversed(rules):
        name = F.when(rule.is_broken, F.lit(rule.name)).otherwise(name)
        reason = F.when(rule.is_broken, rule.words).otherwise(reason)
    return lines.withColumns({"rule": name, "reason": reason})


def quote_text(column: str) -> Column:
    """Show a raw field in a reason; a missing one is shown as nothing."""
    return F.concat(F.lit("'"), F.coalesce(F.col(column), F.lit("")), F.lit("'"))
