from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from expectations import suite_for
from expectations.batch import Batch
from expectations.queries import query_command
from expectations.report import AuditReport, Sample, document_path, slices_condition
from expectations.rules import FactRule, Suite, row_rule
from expectations.runner import audit
from lakehouse.config.settings import Settings, read_settings
from lakehouse.errors import BadInputError
from lakehouse.lake.schema import arrow_table
from lakehouse.tables import find_table

TRADES = find_table("silver.trades")
TRADES_SUITE = suite_for(TRADES)
REJECTED = find_table("silver.trades_rejected")
FACTS = {
    "unbalanced_files": 0,
    "manifest_line_difference": 0,
    "rows_trailing_week_mean": None,
    "lines_in": 300,
    "rows_rejected": 3,
}
DAY = date(2024, 8, 8)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings({"LAKEHOUSE_HOME": str(tmp_path)})


@pytest.fixture
def hold(
    settings: Settings, make_batch: Callable[..., Batch], make_good: Callable[..., Any]
) -> Callable[..., AuditReport]:
    """Audit changed copies of the good row of silver.trades, or of another table."""

    def run(changes: list[dict[str, Any]], facts: dict[str, Any] = FACTS, suite: Suite = TRADES_SUITE) -> AuditReport:
        rows = [
            make_good(suite.table) | {"sequence": number} | change for number, change in enumerate(changes, start=1)
        ]
        batch = make_batch(suite.table, rows)
        return audit(suite, batch, facts, run_id="r", run_key="k", snapshot_id=7, settings=settings, slices=(DAY,))

    return run


def failed(report: AuditReport) -> dict[str, str]:
    return {result.rule: result.observed for result in report.results if not result.is_passed}


def test_audit_passes_good_rows(hold: Callable[..., AuditReport]) -> None:
    report = hold([{}, {}])
    assert (report.passed, report.rows_evaluated, failed(report)) == (True, 2, {})


def test_audit_records_of_a_broken_rule_what_was_seen_and_how_to_see_it(
    hold: Callable[..., AuditReport], settings: Settings
) -> None:
    report = hold([{}, {"price": Decimal(0), "_source_line": 9}])
    broken = next(result for result in report.results if result.rule == "price_in_range")
    assert report.failed_rules == ("price_in_range",)
    assert broken.as_row() | {"checked_at": None} == {
        "run_id": "r",
        "run_key": "k",
        "table_name": "silver.trades",
        "snapshot_id": 7,
        "rule": "price_in_range",
        "expectation": "expect_column_values_to_be_between",
        "column_name": "price",
        "severity": "critical",
        "is_passed": False,
        "observed": "1 of 2 rows",
        "threshold": "no rows",
        "rows_evaluated": 2,
        "rows_failed": 1,
        "failed_rows_query": "SELECT * FROM silver.trades WHERE event_date = DATE '2024-08-08' AND (NOT (price > 0))",
        "checked_at": None,
    }
    columns = ("instrument_id", "event_date", "sequence", "price", "delivery_date")
    values = ("x", "2024-08-08", "2", "0.00000000", "2024-08-08")
    lineage = ("_source_file", "_source_member", "_source_line")
    assert report.samples == {"price_in_range": Sample(columns + lineage, ((*values, "x", "x", "9"),))}
    document = json.loads(document_path(settings, "r", "silver.trades").read_text(encoding="utf-8"))
    assert (document["slices"], document["is_passed"]) == (["2024-08-08"], False)
    assert document["validation"]["statistics"]["unsuccessful_expectations"] == 1


def test_audit_fails_where_no_row_was_evaluated_unless_the_table_may_be_empty(hold: Callable[..., AuditReport]) -> None:
    assert failed(hold([])) == {"has_rows": "0 rows"}
    assert hold([], {}, suite_for(REJECTED)).passed
    # Also where a suite forgets to ask for rows.
    assert not hold([], {}, Suite(TRADES, ())).passed


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param({**FACTS, "unbalanced_files": 2}, {"unbalanced_files": "2"}, id="out of balance"),
        pytest.param(
            {key: value for key, value in FACTS.items() if key != "unbalanced_files"},
            {"unbalanced_files": "could not be evaluated: the job did not count unbalanced_files"},
            id="not counted",
        ),
        pytest.param(
            {key: value for key, value in FACTS.items() if key != "rows_trailing_week_mean"},
            {"rows_per_day_ratio": "could not be evaluated: the job did not count rows_per_day_ratio"},
            id="a warning's fact is not counted",
        ),
    ],
)
def test_audit_fails_by_facts(
    facts: dict[str, Any], expected: dict[str, str], hold: Callable[..., AuditReport]
) -> None:
    report = hold([{}], facts)
    assert failed(report) == expected
    assert report.failed_rules == tuple(expected)
    assert not report.passed


def test_audit_warns_of_few_rows_and_many_rejected_and_publishes_all_the_same(hold: Callable[..., AuditReport]) -> None:
    report = hold([{}, {}], {**FACTS, "rows_trailing_week_mean": 100.0, "rows_rejected": 4})
    assert failed(report) == {"rows_per_day_ratio": "0.02", "rejected_ratio": "0.01333"}
    assert (report.passed, report.warnings) == (True, ("rows_per_day_ratio", "rejected_ratio"))


def test_audit_fails_by_a_rule_that_raises_and_judges_the_others(hold: Callable[..., AuditReport]) -> None:
    rules = (
        row_rule("raises", "warning", "It raises.", "CAST(source AS INT) = 1"),  # x is no number
        row_rule("breaks", "critical", "It breaks.", "price = 1"),
        row_rule("holds", "critical", "It holds.", "price = 2"),
    )
    report = hold([{}], {}, Suite(TRADES, rules))
    assert report.failed_rules == ("raises", "breaks")
    assert "could not be evaluated" in failed(report)["raises"]
    assert failed(report)["breaks"] == "1 of 1 rows"
    assert not hold([{}], {}, Suite(TRADES, rules[:1])).passed


def test_audit_names_columns_that_are_not_declared(
    settings: Settings, make_batch: Callable[..., Batch], make_good: Callable[..., Any]
) -> None:
    whole = make_batch(TRADES, [make_good(TRADES)])
    other = replace(whole, columns={**whole.columns, "_ingested_at": "string"})
    report = audit(suite_for(TRADES), other, FACTS, run_id="r", run_key="k", snapshot_id=None, settings=settings)
    assert failed(report) == {"columns_of_other_type": "1"}
    assert report.slices == (DAY,)  # asked from the rows, since nobody named them
    short = make_batch(TRADES, [make_good(TRADES)], "SELECT * EXCLUDE (exchange) FROM given")
    report = audit(suite_for(TRADES), short, FACTS, run_id="r", run_key="k", snapshot_id=None, settings=settings)
    assert "columns_as_declared" in failed(report)


def test_audit_leaves_rows_that_cannot_be_read_to_the_caller(
    settings: Settings, make_batch: Callable[..., Batch], tmp_path: Path
) -> None:
    # Not a rule's fault, so no failed audit: a store that is away must stay a reason to try again.
    path = tmp_path / "rows.parquet"
    pq.write_table(arrow_table(TRADES, []), path)
    batch = make_batch(TRADES, [], f"FROM read_parquet('{path}')")
    path.unlink()
    with pytest.raises(OSError, match=r"rows\.parquet"):
        audit(suite_for(TRADES), batch, FACTS, run_id="r", run_key="k", snapshot_id=None, settings=settings)


def test_suite_for_refuses_a_table_without_suite() -> None:
    with pytest.raises(BadInputError, match=r"silver\.unknown has no suite: write expectations/"):
        suite_for(replace(TRADES, name="unknown"))


def test_suite_refuses_two_rules_of_one_name() -> None:
    twice = FactRule("gaps", "critical", "No gaps.")
    with pytest.raises(ValueError, match="twice there: gaps"):
        Suite(TRADES, (), (twice, twice))


@pytest.mark.parametrize(
    ("days", "condition"),
    [
        pytest.param([], "", id="whole table"),
        pytest.param([DAY], "event_date = DATE '2024-08-08'", id="one day"),
        pytest.param(
            [date(2024, 8, 9), DAY], "event_date BETWEEN DATE '2024-08-08' AND DATE '2024-08-09'", id="days in a row"
        ),
        pytest.param(
            [DAY, date(2024, 8, 10)], "event_date IN (DATE '2024-08-08', DATE '2024-08-10')", id="days with a gap"
        ),
    ],
)
def test_slices_condition_selects_the_audited_days(days: list[date], condition: str) -> None:
    assert slices_condition(TRADES, days) == condition


def test_slices_condition_selects_the_audited_sets() -> None:
    assert slices_condition(find_table("silver.images"), ["mnist", "digits"]) == "dataset IN ('digits', 'mnist')"


def test_query_command_names_the_snapshot_of_the_table_that_it_alone_reads() -> None:
    assert query_command("SELECT * FROM silver.trades", "silver.trades", 7) == (
        'lakehouse query --as-of 7 "SELECT * FROM silver.trades"'
    )
    assert query_command("SELECT * FROM quality.file_balances", "silver.trades", 7) == (
        'lakehouse query "SELECT * FROM quality.file_balances"'
    )
