"""Row rules, written once as SQL text: Polars rejects lines by it, and a suite audits written rows by the same text.

A rule is broken where its condition is true. A condition that is null (a comparison with a missing value) breaks
nothing. The text uses only what Polars, DuckDB and Spark read alike; tests/transforms/test_rules.py lists that subset:
`//` (whole division) is not in it, so such values are columns that the parse step adds. A limit that a table declares
for a column is not written again: `outside` makes the condition for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from lakehouse.tables import Column


class LineRule(NamedTuple):
    """Why a line may be rejected. `broken` is an SQL condition, `reason` an SQL text expression for a person.

    `words` say what holds of every written row, if the condition can be asked of it: then the suite audits it, too.
    """

    name: str
    broken: str
    reason: str
    words: str = ""


@dataclass(frozen=True)
class Judged:
    """The lines of one slice, sorted out: rows for the table in its order, rejected lines, and equal copies.

    `rejected` has the columns `rule` and `reason` besides the line's own.
    """

    rows: pl.DataFrame
    rejected: pl.DataFrame
    duplicates: pl.DataFrame


def is_sound(rules: Sequence[LineRule]) -> pl.Expr:
    """Return whether a line breaks no rule."""
    return ~pl.any_horizontal(*(is_broken(rule) for rule in rules))


def is_broken(rule: LineRule) -> pl.Expr:
    """Return whether a line breaks a rule; never null."""
    return pl.sql_expr(rule.broken).fill_null(False)


def name_broken(lines: pl.DataFrame, rules: Sequence[LineRule]) -> pl.DataFrame:
    """Add `rule` and `reason` of the first rule that each line breaks; null if it breaks none."""
    name, reason = (pl.lit(None, pl.String) for _ in range(2))
    for rule in reversed(rules):
        broken = is_broken(rule)
        name = pl.when(broken).then(pl.lit(rule.name)).otherwise(name)
        reason = pl.when(broken).then(pl.sql_expr(rule.reason)).otherwise(reason)
    return lines.with_columns(rule=name, reason=reason)


def columns_of(rule: LineRule) -> frozenset[str]:
    """Return the columns that a rule's condition asks for."""
    return frozenset(pl.sql_expr(rule.broken).meta.root_names())


def outside(column: Column) -> str:
    """Return the SQL condition that a value is outside of a column's declared limits; NaN is where it has a maximum."""
    limits = []
    if column.minimum is not None:
        limits.append(f"{column.name} {'>' if column.exclusive_minimum else '>='} {column.minimum}")
    if column.maximum is not None:
        limits.append(f"{column.name} <= {column.maximum}")
    return f"NOT ({' AND '.join(limits)})"


def quote_text(column: str) -> str:
    """Return SQL that shows a raw field in quotes; a missing field is shown as nothing."""
    return f"concat('''', coalesce({column}, ''), '''')"
