"""The audit: hold a Spark frame against a suite before it is published, and say what was seen for every rule."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from expectations.declared import OTHER_TYPES
from expectations.judge import SAMPLE_ROWS, judge_fact, judge_rule
from expectations.measure import Measurement, broken_groups, first_line, measure
from expectations.queries import failed_rows_query
from expectations.report import AuditReport, CheckResult, Sample
from expectations.rules import FactRule, Rule, Suite
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from great_expectations.core import ExpectationValidationResult
    from pyspark.sql import DataFrame

LINEAGE = ("_source_file", "_source_member", "_source_line")
"""Shown with every sampled row that has them: where the row came from."""


def audit(
    suite: Suite,
    frame: DataFrame,
    facts: Mapping[str, Any],
    *,
    run_id: str,
    run_key: str,
    snapshot_id: int | None,
    settings: Settings,
    days: Sequence[date] = (),
) -> AuditReport:
    """Hold the frame and the job's facts against the suite and leave a document for the pages.

    The frame is exactly the rows that will differ from `main`, read from the audit branch; `days` are those of its
    partitions, for the queries that show broken rows.
    """
    if suite.table.replaced_by is None:
        days = ()
    measured = measure(suite, frame)
    known = {**facts, OTHER_TYPES.fact: columns_of_other_type(suite, frame), **derived_facts(measured, facts, days)}
    judged: list[ExpectationValidationResult] = []
    results = []
    samples: dict[str, Sample] = {}
    raised: dict[str, str] = {}
    template = CheckResult(
        run_id, run_key, suite.table.identifier, snapshot_id, "", "", None, "critical", True, "", "", None, None, None,
        datetime.now(UTC),
    )  # fmt: skip
    for rule in (*suite.rules, OTHER_TYPES, *suite.fact_rules):
        query = failed_rows_query(rule, suite.table, days, run_id)
        if isinstance(rule, FactRule):
            if rule.may_be_unknown and known.get(rule.fact, 0) is None:
                results.append(replace(template, **described(rule), observed="not known yet"))
                continue
            verdict = judge_fact(rule, known)
        else:
            if measured.failed.get(rule.name):
                samples[rule.name] = sample_rows(suite, frame, rule)
            verdict = judge_rule(rule, measured, query, broken_values(rule, samples.get(rule.name)))
        judged.append(verdict)
        if verdict.exception_info and verdict.exception_info.get("raised_exception"):
            raised[rule.name] = str(verdict.exception_info["exception_message"])
        result = replace(template, **described(rule), is_passed=bool(verdict.success))
        seen = seen_by_rule(rule, measured, known, raised.get(rule.name))
        results.append(replace(result, **seen, failed_rows_query=None if verdict.success else query))
    report = AuditReport(
        suite.table,
        snapshot_id,
        run_id,
        run_key,
        tuple(days),
        measured.rows,
        tuple(results),
        samples,
        validation_document(suite, judged, run_id),
        raised,
    )
    report.write(settings)
    return report
