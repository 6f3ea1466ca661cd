"""What a new table brings along: a suite, and for each rule of its own a row that breaks it."""

from __future__ import annotations

from typing import Any

from expectations import SUITES, find_suite
from expectations.declared import declared_rules
from expectations.rules import Suite
from lakehouse.tables import TABLES

Breaks = dict[str, dict[str, list[dict[str, Any]]]]


def own_rules(suite: Suite) -> set[str]:
    """The names of the rules over rows that the declaration does not imply."""
    return {rule.name for rule in suite.rules} - {rule.name for rule in declared_rules(suite.table)}


def test_every_data_table_has_a_suite() -> None:
    without = [table for table in TABLES if table.kind == "data" and find_suite(table.identifier) is None]
    assert [f"write expectations/<domain>/{table.layer}_{table.name}.py" for table in without] == []


def test_every_rule_of_a_suite_has_rows_that_break_it(breaks_by_rule: Breaks) -> None:
    missing = [
        f"{suite.table.identifier}: add rows that break {name} to BROKEN_ROWS in tests/expectations/conftest.py"
        for suite in SUITES
        for name in sorted(own_rules(suite) - {*breaks_by_rule.get(suite.table.identifier, {})})
    ]
    assert missing == []


def test_rows_that_break_rules_belong_to_a_rule_that_there_is(breaks_by_rule: Breaks) -> None:
    suites = {suite.table.identifier: suite for suite in SUITES}
    left_over = [
        f"{table}: {name}"
        for table, rules in breaks_by_rule.items()
        for name in rules
        if table not in suites or name not in own_rules(suites[table])
    ]
    assert left_over == []
