"""Let Great Expectations judge counts that are there already: its expectations get their metrics handed in.

An expectation names the metrics that it needs and then decides on their values; who computed them is all the same to
it. tests/expectations/test_judge.py holds the verdicts against those that the library reaches on Spark by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from expectations import import_great_expectations
from expectations.measure import Measurement, first_line
from expectations.rules import FactRule, Rule

if TYPE_CHECKING:
    from great_expectations.core import ExpectationValidationResult

SAMPLE_ROWS = 20
"""Rows shown of those that break a rule; as many as Great Expectations lists in a SUMMARY."""


def judge_rule(rule: Rule, measured: Measurement, query: str | None, sample: list[Any]) -> ExpectationValidationResult:
    """Judge a rule over rows by its counts; `sample` are broken values for the report, not for the verdict."""
    if rule.name in measured.raised:
        return as_raised(rule, measured.raised[rule.name])
    failed = measured.failed.get(rule.name)
    return judge(
        rule,
        {
            "table.row_count": measured.rows,
            "filtered_row_count": measured.rows,
            "table.columns": list(measured.columns),
            "column_values.nonnull.unexpected_count": measured.nulls.get(rule.column or "", 0),
            "unexpected_count": failed,
            "unexpected_values": sample,
            "unexpected_index_list": [],
            "unexpected_index_query": query or "",
            "unexpected_rows_query.row_count": failed,
            "unexpected_rows_query.table": [],
        },
    )


def judge_fact(rule: FactRule, facts: Mapping[str, Any]) -> ExpectationValidationResult:
    """Judge a number that the job counted; one that it left out fails."""
    if rule.fact not in facts:
        return as_raised(rule, f"the job did not count {rule.fact}")
    return judge(rule, {"column.max": facts[rule.fact]})


def judge(rule: Rule | FactRule, values: Mapping[str, Any]) -> ExpectationValidationResult:
    """Hand an expectation the metrics that it asks for, by name or by the part after the last dot."""
    configuration = {"result_format": {"result_format": "SUMMARY", "partial_unexpected_count": SAMPLE_ROWS}}
    try:
        expectation = build_expectation(rule)
        needed = expectation.get_validation_dependencies(runtime_configuration=dict(configuration))
        metrics = {}
        for name, metric in needed.metric_configurations.items():
            metrics[metric.id] = values[name] if name in values else values[name.rpartition(".")[2]]
        result: ExpectationValidationResult = expectation.metrics_validate(
            metrics, runtime_configuration=dict(configuration)
        )
    except Exception as error:  # an expectation that raises, for whatever reason, is a failed gate and says why
        return as_raised(rule, first_line(error))
    if result.exception_info and result.exception_info.get("raised_exception"):
        return as_raised(rule, str(result.exception_info.get("exception_message")))
    return result


def build_expectation(rule: Rule | FactRule) -> Any:
    """Make the expectation that a rule names, with the rule's words and severity."""
    import_great_expectations()
    import great_expectations.expectations as gxe

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    named = rule.expectation
    return getattr(gxe, named.type)(
        **named.arguments, severity=rule.severity, description=rule.words, meta={"rule": rule.name}
    )


def as_raised(rule: Rule | FactRule, message: str) -> ExpectationValidationResult:
    """Build the result of an expectation that could not be evaluated."""
    import_great_expectations()
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    named = rule.expectation
    return ExpectationValidationResult(
        success=False,
        expectation_config=ExpectationConfiguration(
            type=expectation_type(named.type),
            kwargs=dict(named.arguments),
            severity=rule.severity,
            description=rule.words,
            meta={"rule": rule.name},
        ),
        result={},
        exception_info={"raised_exception": True, "exception_message": message, "exception_traceback": None},
    )


def expectation_type(class_name: str) -> str:
    """Spell a class name as Great Expectations spells its type: ExpectColumnMax becomes expect_column_max."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in class_name).lstrip("_")


def suite_result(name: str, run_id: str, results: Sequence[ExpectationValidationResult]) -> dict[str, Any]:
    """Build Great Expectations' result of a whole suite, as JSON."""
    import_great_expectations()
    from great_expectations import __version__
    from great_expectations.core import ExpectationSuiteValidationResult

    passed = sum(bool(result.success) for result in results)
    now = datetime.now(UTC).isoformat()
    whole = ExpectationSuiteValidationResult(
        success=passed == len(results),
        results=list(results),
        suite_name=name,
        statistics={
            "evaluated_expectations": len(results),
            "successful_expectations": passed,
            "unsuccessful_expectations": len(results) - passed,
            "success_percent": 100 * passed / len(results) if results else None,
        },
        meta={
            "run_id": {"run_name": run_id, "run_time": now},
            "validation_time": now,
            "great_expectations_version": __version__,
            "active_batch_definition": {"data_asset_name": name},
        },
    )
    document: dict[str, Any] = whole.to_json_dict()
    return document
