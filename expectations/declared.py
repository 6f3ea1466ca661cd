"""The rules that a table's declaration implies: columns, types, rows, key, nulls, ranges and allowed values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from expectations.rules import Expectation, FactRule, Rule, row_rule
from lakehouse.tables import Column, Table
from transforms.rules import LineRule, columns_of, outside

OTHER_TYPES = FactRule(
    "columns_of_other_type",
    "critical",
    "Every column has its declared type.",
)
"""Counted by the runner from the frame's schema, so no job passes it."""


def declared_rules(table: Table) -> tuple[Rule, ...]:
    """Return the rules that follow from a declaration, all critical."""
    return (
        columns_rule(table),
        *(() if table.may_be_empty else (rows_rule(),)),
        key_rule(table),
        *(not_null_rule(column) for column in table.columns if not column.nullable),
        *(range_rule(column) for column in table.columns if column.minimum is not None or column.maximum is not None),
        *(allowed_rule(column) for column in table.columns if column.allowed),
    )


def columns_rule(table: Table) -> Rule:
    """Demand the declared columns in the declared order."""
    return Rule(
        "columns_as_declared",
        "critical",
        "The columns are the declared ones, in the declared order.",
        Expectation("ExpectTableColumnsToMatchOrderedList", {"column_list": list(table.column_names)}),
        kind="table",
        scope="table",
    )


def rows_rule() -> Rule:
    """Demand at least one row: an audit that looked at nothing proves nothing."""
    return Rule(
        "has_rows",
        "critical",
        "There is at least one row.",
        Expectation("ExpectTableRowCountToBeBetween", {"min_value": 1}),
        kind="table",
        scope="table",
    )


def key_rule(table: Table) -> Rule:
    """Demand a unique primary key."""
    key = table.primary_key
    expectation = (
        Expectation("ExpectCompoundColumnsToBeUnique", {"column_list": list(key)})
        if len(key) > 1
        else Expectation("ExpectColumnValuesToBeUnique", {"column": key[0]})
    )
    words = f"No two rows have the same {', '.join(key)}."
    return Rule("key_unique", "critical", words, expectation, "count(*) > 1", "duplicates", key)


def not_null_rule(column: Column) -> Rule:
    """Demand a value in every row."""
    return Rule(
        f"{column.name}_not_null",
        "critical",
        f"{column.name} has a value in every row.",
        Expectation("ExpectColumnValuesToNotBeNull", {"column": column.name}),
        f"{column.name} IS NULL",
    )


def range_rule(column: Column) -> Rule:
    """Demand values within the declared limits."""
    arguments: dict[str, Any] = {"column": column.name}
    words = []
    if column.minimum is not None:
        arguments["min_value"] = column.minimum
        if column.exclusive_minimum:
            arguments["strict_min"] = True
        words.append(f"{'greater than' if column.exclusive_minimum else 'at least'} {column.minimum}")
    if column.maximum is not None:
        arguments["max_value"] = column.maximum
        words.append(f"at most {column.maximum}")
    return Rule(
        f"{column.name}_in_range",
        "critical",
        f"{column.name} is {' and '.join(words)}.",
        Expectation("ExpectColumnValuesToBeBetween", arguments),
        outside(column),
    )


def line_rules(table: Table, rules: Sequence[LineRule]) -> tuple[Rule, ...]:
    """Return the rules by which lines were rejected, as demands on the written rows, all critical.

    A rule is left out if its condition asks for what the table does not have, or is one that the declaration implies.

    Raises:
        ValueError: a rule has no words.
    """
    implied = {rule.failed_rows_sql for rule in declared_rules(table)}
    asked = [rule for rule in rules if rule.broken not in implied and columns_of(rule) <= {*table.column_names}]
    silent = [rule.name for rule in asked if not rule.words]
    if silent:
        raise ValueError(f"{table.identifier}: say in `words` what holds of a row that keeps {', '.join(silent)}")
    return tuple(row_rule(rule.name, "critical", rule.words, rule.broken) for rule in asked)


def allowed_rule(column: Column) -> Rule:
    """Demand one of the declared values."""
    values = ", ".join(f"'{value}'" for value in column.allowed)
    return Rule(
        f"{column.name}_allowed",
        "critical",
        f"{column.name} is one of {', '.join(column.allowed)}.",
        Expectation("ExpectColumnValuesToBeInSet", {"column": column.name, "value_set": list(column.allowed)}),
        f"{column.name} NOT IN ({values})",
    )
