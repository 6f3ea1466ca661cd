"""What a rule is: a Great Expectations expectation, and the same demand as SQL that selects the rows that break it.

The SQL is counted for all rules of a suite in one pass of DuckDB (measure.py), the expectation judges the counts
(judge.py). It is written so that Spark, DuckDB and Trino read it alike. `NOT (a <= b)` rather than `a > b`: it also
selects NaN. A comparison with null selects nothing: nulls are the not-null rules' business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lakehouse.tables import Table

LINEAGE = ("_source_file", "_source_member", "_source_line", "_source_record")
"""Shown with every sampled row that has them: where the row came from."""

Severity = Literal["critical", "warning"]
"""`critical` blocks, `warning` is reported."""

Scope = Literal["part", "table"]
"""Whom a failure of a critical rule concerns: the parts (a subject on a day, an image set) whose rows broke it, which
are held back alone, or the whole table, whose run ends."""

Kind = Literal["rows", "duplicates", "groups", "table"]
"""What is counted: rows that match the SQL; rows whose key occurs twice; keys whose group matches it; nothing."""


@dataclass(frozen=True)
class Expectation:
    """A class of great_expectations.expectations and its arguments, by name: importing the library takes 6 s."""

    type: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Rule:
    """One demand on a table's rows. `words` is a sentence for a person who knows the data and not the code.

    `failed_rows_sql` is the condition that selects the broken rows; for `groups`, a HAVING condition over `group_by`.
    """

    name: str
    severity: Severity
    words: str
    expectation: Expectation
    failed_rows_sql: str | None = None
    kind: Kind = "rows"
    group_by: tuple[str, ...] = ()
    scope: Scope = "part"

    @property
    def column(self) -> str | None:
        """The one column that the rule looks at; None where it looks at several."""
        return self.expectation.arguments.get("column")


@dataclass(frozen=True)
class FactRule:
    """One demand on a number that the job counted while it built the table, because the table alone can't tell.

    `query` shows the rows behind the number; `{days}` in it becomes the condition on the audited days, `{run_id}` the
    run. Where `may_be_unknown`, a job may pass None, as on the very first day; it may never leave the fact out.
    """

    fact: str
    severity: Severity
    words: str
    minimum: float | int | None = 0
    maximum: float | int | None = 0
    may_be_unknown: bool = False
    query: str | None = None
    scope: Scope = "table"
    """A rule about parts is given its fact as a mapping of (slice, subject) to the number counted for that part."""

    @property
    def name(self) -> str:
        """The rule is named after its fact."""
        return self.fact

    @property
    def expectation(self) -> Expectation:
        """The fact as a column of one row."""
        limits = {"min_value": self.minimum, "max_value": self.maximum}
        given = {key: value for key, value in limits.items() if value is not None}
        return Expectation("ExpectColumnMaxToBeBetween", {"column": self.fact, **given})


@dataclass(frozen=True)
class Suite:
    """Everything that a table is checked against."""

    table: Table
    rules: tuple[Rule, ...]
    fact_rules: tuple[FactRule, ...] = ()

    def __post_init__(self) -> None:
        names = [rule.name for rule in self.all_rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{self.table.identifier}: rule names must be unique, twice there: {', '.join(twice)}")

    @property
    def all_rules(self) -> tuple[Rule | FactRule, ...]:
        """The rules over rows, then those over facts."""
        return (*self.rules, *self.fact_rules)

    def is_about_parts(self, rule: Rule | FactRule) -> bool:
        """Return whether a failure of the rule concerns single parts: it says so, and the table has parts."""
        table = self.table
        if rule.scope != "part" or not table.has_parts or (isinstance(rule, Rule) and rule.kind == "table"):
            return False
        if isinstance(rule, Rule) and rule.kind in ("duplicates", "groups"):
            return {table.subject, table.replaced_by} <= set(rule.group_by)
        return True

    def find(self, name: str) -> Rule | FactRule | None:
        """Return the rule of that name; None where the suite no longer has it."""
        return next((rule for rule in self.all_rules if rule.name == name), None)


def row_rule(name: str, severity: Severity, words: str, failed_rows_sql: str, scope: Scope = "part") -> Rule:
    """Demand something of every row, in SQL."""
    query = f"SELECT * FROM {{batch}} WHERE {failed_rows_sql}"  # noqa: S608  # from declarations only
    expectation = Expectation("UnexpectedRowsExpectation", {"unexpected_rows_query": query})
    return Rule(name, severity, words, expectation, failed_rows_sql, scope=scope)


def group_rule(  # noqa: PLR0917  # the words of a rule, in the order in which they are read
    name: str,
    severity: Severity,
    words: str,
    group_by: tuple[str, ...],
    failed_groups_sql: str,
    scope: Scope = "part",
) -> Rule:
    """Demand something of every group of rows with equal keys, as a HAVING condition that selects the broken groups."""
    keys = ", ".join(group_by)
    query = f"SELECT {keys} FROM {{batch}} GROUP BY {keys} HAVING {failed_groups_sql}"  # noqa: S608  # from declarations only
    expectation = Expectation("UnexpectedRowsExpectation", {"unexpected_rows_query": query})
    return Rule(name, severity, words, expectation, failed_groups_sql, "groups", group_by, scope)
