"""The rules that a table's declaration implies: columns, types, rows, key, nulls, ranges and allowed values."""

from __future__ import annotations

from typing import Any

from expectations.rules import Expectation, FactRule, Rule
from lakehouse.tables import Column, Table

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
    limits, words = [], []
    if column.minimum is not None:
        arguments["min_value"] = column.minimum
        sign = ">" if column.exclusive_minimum else ">="
        if column.exclusive_minimum:
            arguments["strict_min"] = True
        limits.append(f"{column.name} {sign} {column.minimum}")
        words.append(f"{'greater than' if column.exclusive_minimum else 'at least'} {column.minimum}")
    if column.maximum is not None:
        arguments["max_value"] = column.maximum
        limits.append(f"{column.name} <= {column.maximum}")
        words.append(f"at most {column.maximum}")
    return Rule(
        f"{column.name}_in_range",
        "critical",
        f"{column.name} is {' and '.join(words)}.",
        Expectation("ExpectColumnValuesToBeBetween", arguments),
        f"NOT ({' AND '.join(limits)})",
    )


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
