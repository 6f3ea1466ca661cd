"""The audit: hold rows against a suite before they are published, and say what was seen for every rule."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import duckdb

from expectations.batch import NAME, Batch
from expectations.declared import OTHER_TYPES
from expectations.judge import SAMPLE_ROWS, expectation_type, judge_fact, judge_rule, suite_result
from expectations.measure import Measurement, broken_groups, first_line, measure
from expectations.queries import failed_rows_query
from expectations.report import AuditReport, CheckResult, Sample
from expectations.rules import LINEAGE, FactRule, Rule, Suite
from lakehouse.config.settings import Settings
from lakehouse.lake.history import as_slice
from lakehouse.slices import Slice, in_order
from lakehouse.tables import Table

if TYPE_CHECKING:
    from great_expectations.core import ExpectationValidationResult


@dataclass(frozen=True)
class Audited:
    """What is audited, and what was counted of it."""

    suite: Suite
    batch: Batch
    slices: tuple[Slice, ...]
    facts: Mapping[str, Any]
    measured: Measurement
    run_id: str
    run_key: str
    snapshot_id: int | None


@dataclass(frozen=True)
class Check:
    """One rule's result; without a verdict if its fact is not known yet. `parts` are those that broke it."""

    result: CheckResult
    verdict: ExpectationValidationResult | None = None
    sample: Sample | None = None
    raised: str | None = None
    parts: tuple[tuple[Slice, str], ...] = ()


def audit(
    suite: Suite,
    batch: Batch,
    facts: Mapping[str, Any],
    *,
    run_id: str,
    run_key: str,
    snapshot_id: int | None,
    settings: Settings,
    slices: Sequence[Slice] = (),
) -> AuditReport:
    """Hold rows and the job's facts against the suite and leave a document for the pages.

    The batch is exactly the rows that will differ from `main`, read from the audit branch; `slices` are what
    they replace, and are read from the rows if the caller names none.
    """
    measured = measure(suite, batch)
    audited_slices = slices_of(suite.table, batch, slices)
    counted = {
        **facts,
        **derived_facts(measured.rows, len(audited_slices), facts),
        OTHER_TYPES.fact: columns_of_other_type(suite.table, batch),
    }
    audited = Audited(suite, batch, audited_slices, counted, measured, run_id, run_key, snapshot_id)
    checks = [
        *(check_rule(audited, rule) for rule in suite.rules),
        *(check_fact(audited, rule) for rule in (OTHER_TYPES, *suite.fact_rules)),
    ]
    report = AuditReport(
        table=suite.table,
        snapshot_id=snapshot_id,
        run_id=run_id,
        run_key=run_key,
        slices=audited_slices,
        rows_evaluated=measured.rows,
        results=tuple(check.result for check in checks),
        samples={check.result.rule: check.sample for check in checks if check.sample},
        validation=suite_result(suite.table.identifier, run_id, [check.verdict for check in checks if check.verdict]),
        raised={check.result.rule: check.raised for check in checks if check.raised},
        failed_parts={check.result.rule: check.parts for check in checks if check.parts},
    )
    report.write(settings)
    return report


def check_rule(audited: Audited, rule: Rule) -> Check:
    """Judge a rule over rows; where it failed, fetch some of the rows that broke it."""
    measured = audited.measured
    failed = measured.failed.get(rule.name)
    query = failed_rows_query(rule, audited.suite.table, audited.slices, audited.run_id)
    sample = sample_rows(audited, rule) if failed else None
    verdict = judge_rule(rule, measured, query, broken_values(rule, sample))
    raised = raised_by(verdict)
    observed = f"could not be evaluated: {raised}" if raised else seen_in_rows(rule, measured)
    result = check_result(audited, rule, verdict, observed, query=None if verdict.success else query, failed=failed)
    is_blocking = not verdict.success and rule.severity == "critical" and not raised
    parts = failed_parts(audited, rule) if is_blocking and audited.suite.is_about_parts(rule) else ()
    return Check(result, verdict, sample, raised, parts)


def failed_parts(audited: Audited, rule: Rule) -> tuple[tuple[Slice, str], ...]:
    """Return the parts whose rows break a rule, in order; none if a broken row names no subject or slice."""
    table = audited.suite.table
    part = f"{table.replaced_by}, {table.subject}"
    rows = f"SELECT {part} FROM {NAME} WHERE {rule.failed_rows_sql}"  # noqa: S608  # from declarations only
    broken = rows if rule.kind == "rows" else broken_groups(rule)
    found = audited.batch.rows(f"SELECT DISTINCT {part} FROM ({broken}) ORDER BY ALL")  # noqa: S608  # from declarations only
    if any(subject is None for _, subject in found):
        return ()
    return tuple((as_slice(value), str(subject)) for value, subject in found)


def check_fact(audited: Audited, rule: FactRule) -> Check:
    """Judge a number that the job counted."""
    if rule.may_be_unknown and rule.fact in audited.facts and audited.facts[rule.fact] is None:
        return Check(check_result(audited, rule, None, "not known yet"))
    counted: Mapping[str, Any] = audited.facts
    parts: tuple[tuple[Slice, str], ...] = ()
    if rule.scope == "part" and isinstance(counted.get(rule.fact), Mapping):
        counted, parts = worst_part(rule, counted[rule.fact])
    verdict = judge_fact(rule, counted)
    raised = raised_by(verdict)
    observed = f"could not be evaluated: {raised}" if raised else number_text(counted[rule.fact])
    query = None if verdict.success else failed_rows_query(rule, audited.suite.table, audited.slices, audited.run_id)
    return Check(check_result(audited, rule, verdict, observed, query=query), verdict, None, raised, parts)


def worst_part(
    rule: FactRule, counted: Mapping[tuple[Slice, str], float]
) -> tuple[dict[str, float], tuple[tuple[Slice, str], ...]]:
    """Return the number farthest outside a rule's limits as the fact, and the parts whose numbers are outside.

    A rule over no part is kept: its fact is a number within the limits.
    """

    def distance(value: float) -> float:
        below = rule.minimum - value if rule.minimum is not None else 0
        above = value - rule.maximum if rule.maximum is not None else 0
        return max(below, above, 0)

    outside = {part: value for part, value in counted.items() if distance(value) > 0}
    within = rule.minimum if rule.minimum is not None else rule.maximum or 0
    worst = max(counted.values(), key=distance, default=within)
    return {rule.fact: worst}, tuple(sorted(outside, key=str))


def check_result(
    audited: Audited,
    rule: Rule | FactRule,
    verdict: ExpectationValidationResult | None,
    observed: str,
    *,
    query: str | None = None,
    failed: int | None = None,
) -> CheckResult:
    """Fill one row of quality.check_results."""
    return CheckResult(
        run_id=audited.run_id,
        run_key=audited.run_key,
        table_name=audited.suite.table.identifier,
        snapshot_id=audited.snapshot_id,
        rule=rule.name,
        expectation=expectation_type(rule.expectation.type),
        column_name=rule.column if isinstance(rule, Rule) else None,
        severity=rule.severity,
        is_passed=verdict is None or bool(verdict.success),
        observed=observed,
        threshold=threshold_text(rule),
        rows_evaluated=audited.measured.rows,
        rows_failed=failed,
        failed_rows_query=query,
        checked_at=datetime.now(UTC),
    )


def slices_of(table: Table, batch: Batch, slices: Sequence[Slice]) -> tuple[Slice, ...]:
    """Return the audited slices, in order; none for a table that is replaced whole."""
    column = table.replaced_by
    if column is None:
        return ()
    if not slices and column in batch.columns:
        slices = [as_slice(row[0]) for row in batch.rows(f"SELECT DISTINCT {column} FROM {NAME}")]  # noqa: S608  # from declarations only
    return in_order(slices)


def derived_facts(rows: int, days: int, facts: Mapping[str, Any]) -> dict[str, float | None]:
    """Return ratios of what the job counted, where it did; None where there is nothing to compare with."""
    derived: dict[str, float | None] = {}
    if "rows_trailing_week_mean" in facts:
        mean = facts["rows_trailing_week_mean"]
        derived["rows_per_day_ratio"] = rows / days / float(mean) if mean and days else None
    if "lines_in" in facts and "rows_rejected" in facts:
        lines = facts["lines_in"]
        derived["rejected_ratio"] = facts["rows_rejected"] / lines if lines else None
    return derived


def columns_of_other_type(table: Table, batch: Batch) -> int:
    """Count the columns whose type is not the declared one; missing columns are another rule's business."""
    declared = {column.name: column.type for column in table.columns}
    return sum(declared.get(name, found) != found for name, found in batch.columns.items())


def sample_rows(audited: Audited, rule: Rule) -> Sample | None:
    """Fetch some of the rows, or keys, that break a rule, as text in UTC."""
    types = audited.batch.columns
    if rule.kind == "rows":
        words = set(re.findall(r"\w+", str(rule.failed_rows_sql)))
        shown = {*audited.suite.table.primary_key, *LINEAGE, *words}
        names = [name for name in types if name in shown and types[name] != "binary"]
        broken = f"SELECT * FROM {NAME} WHERE {rule.failed_rows_sql}"  # noqa: S608  # from declarations only
    else:
        names = [*rule.group_by, "copies"]
        broken = broken_groups(rule)
    texts = ", ".join(as_text(name, types.get(name, "bigint")) for name in names)
    try:
        found = audited.batch.rows(f"SELECT {texts} FROM ({broken}) LIMIT {SAMPLE_ROWS}")  # noqa: S608  # from declarations only
    except (duckdb.Error, OSError) as error:
        return Sample(("no sample could be read",), ((first_line(error),),))
    return Sample(tuple(names), tuple(found))


def as_text(name: str, kind: str) -> str:
    """Write a column as text; an instant without its zone, which is UTC everywhere."""
    return f"CAST({name} AT TIME ZONE 'UTC' AS VARCHAR)" if kind == "timestamp" else f"CAST({name} AS VARCHAR)"


def broken_values(rule: Rule, sample: Sample | None) -> list[Any]:
    """Return the values that Data Docs list: of the rule's column, or whole keys."""
    if sample is None:
        return []
    if rule.column in sample.columns:
        position = sample.columns.index(rule.column)
        return [row[position] for row in sample.rows]
    return [dict(zip(sample.columns, row, strict=True)) for row in sample.rows]


def raised_by(verdict: ExpectationValidationResult) -> str | None:
    """Return why a rule could not be evaluated; None where it was."""
    information = verdict.exception_info or {}
    return str(information["exception_message"]) if information.get("raised_exception") else None


def seen_in_rows(rule: Rule, measured: Measurement) -> str:
    """Say what was seen of a rule over rows."""
    if rule.kind == "table":
        is_about_rows = rule.expectation.type == "ExpectTableRowCountToBeBetween"
        return f"{measured.rows:,} rows" if is_about_rows else ", ".join(measured.columns)
    failed = measured.failed[rule.name]
    return f"{failed:,} keys" if rule.kind == "groups" else f"{failed:,} of {measured.rows:,} rows"


def threshold_text(rule: Rule | FactRule) -> str:
    """Say what a rule demands, as a number where it is one."""
    if isinstance(rule, FactRule):
        low, high = rule.minimum, rule.maximum
        if low == high:
            return f"exactly {low}"
        limits = [f"at least {low}" if low is not None else "", f"at most {high}" if high is not None else ""]
        return " and ".join(limit for limit in limits if limit)
    if rule.kind == "table":
        return rule.words
    return "no keys" if rule.kind == "groups" else "no rows"


def number_text(value: Any) -> str:
    """Write a counted number without noise digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
