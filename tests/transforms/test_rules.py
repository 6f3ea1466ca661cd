"""Row rules as SQL text: what Polars makes of them, and that DuckDB and Spark's SQL would select the same rows."""

from __future__ import annotations

import importlib
import pkgutil
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import product

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import transforms
from expectations import find_suite
from lakehouse.lake.schema import arrow_schema
from lakehouse.tables import Table
from lakehouse.tables.energy import SILVER_POWER_READINGS
from lakehouse.tables.finance import SILVER_QUOTES, SILVER_TRADES
from lakehouse.tables.vision import SILVER_IMAGES
from transforms.energy.readings import READING_RULES
from transforms.finance.lines import COMMON_RULES
from transforms.finance.quotes import QUOTE_RULES
from transforms.finance.trades import TRADE_RULES
from transforms.rules import LineRule, columns_of, is_broken, is_sound, name_broken, outside, quote_text
from transforms.vision.records import record_rules

LINES = pl.DataFrame(
    {
        "raw_price": ["1.5", "-1", "x", None, "'"],
        "price": [Decimal("1.5"), Decimal("-1"), None, None, None],
        "load": [1.0, float("nan"), None, float("inf"), -0.0],
        "offset_s": [0, 59, -61, None, 3600],
        "day": [date(2024, 1, 1), date(2024, 1, 2), None, date(1969, 12, 31), date(2024, 1, 1)],
        "ts_event": [datetime(2024, 1, 1, tzinfo=UTC), None, None, datetime(2024, 1, 1, tzinfo=UTC), None],
        "is_marked": [True, False, None, True, False],
    },
    {
        "raw_price": pl.String,
        "price": pl.Decimal(18, 8),
        "load": pl.Float64,
        "offset_s": pl.Int64,
        "day": pl.Date,
        "ts_event": pl.Datetime("us", "UTC"),
        "is_marked": pl.Boolean,
    },
)
CONDITIONS = (
    "price <= 0",
    "price IS NULL",
    "NOT (load >= 0)",
    "load < 0",
    "abs(offset_s) > 60",
    "offset_s % 60 <> 0",
    "is_marked",
    "NOT is_marked",
    "raw_price IS NOT NULL AND (price IS NULL OR regexp_like(raw_price, '[^0-9.eE+-]'))",
    "NOT (offset_s BETWEEN 0 AND 60)",
    "raw_price IN ('1.5', 'x')",
    "ts_event IS NULL AND day IS NOT NULL",
    "coalesce(is_marked, FALSE) OR price < 0",
)
REASONS = (
    "concat('the price ', " + quote_text("raw_price") + ", ' is not a number')",
    "concat('the line is of ', CAST(day AS VARCHAR))",
    "concat(CAST(offset_s AS VARCHAR), ' seconds')",
    "'the line does not have the fields of its format'",
)


RULES: dict[Table, tuple[LineRule, ...]] = {
    SILVER_TRADES: TRADE_RULES,
    SILVER_QUOTES: QUOTE_RULES,
    SILVER_POWER_READINGS: READING_RULES,
    SILVER_IMAGES: tuple(record_rules(10)),
}
"""The rules by which lines of each silver table's bronze are rejected."""
EVERY_RULE = [
    pytest.param(table, rule, id=f"{table.name}-{rule.name}") for table, rules in RULES.items() for rule in rules
]
VALUES = {
    pl.String: ["", "1", "-1.5", "x'", None],
    pl.Boolean: [True, False, None],
    pl.Date: [date(2024, 1, 1), date(1969, 12, 31), None],
    pl.Float64: [0.0, -0.0, -1e-9, 2.5, float("nan"), float("inf"), float("-inf"), None],
    pl.Decimal: [Decimal("0"), Decimal("-0.00000001"), Decimal("0.00000001"), Decimal("99999"), None],
    pl.Datetime: [datetime(2024, 1, 1), datetime(2024, 1, 1, 0, 7), datetime(2024, 1, 1, 0, 30, 0, 1), None],
}
"""Of each type: limits, both sides of them, what is no number, and nothing."""
WHOLE_NUMBERS = [-2, -1, 0, 1, 2, 7, 9, 10, 15, 60, None]
ADDED = {"_days_after_delivery": pl.Int64, "is_skipped_time": pl.Boolean, "raw_label": pl.Int32}
"""What lines have before they are a table's rows, besides texts."""


def example_lines(table: Table, rule: LineRule) -> pl.DataFrame:
    """Every combination of values in the columns that a rule asks for, with the types that they have there."""
    schema = pl.DataFrame(arrow_schema(table).empty_table()).schema
    names = sorted(columns_of(rule))
    types = [schema.get(name) or ADDED.get(name, pl.String) for name in names]
    values = [VALUES.get(kind.base_type(), WHOLE_NUMBERS) for kind in types]
    return pl.DataFrame(list(product(*values)), dict(zip(names, types, strict=True)), orient="row").with_row_index("n")


@pytest.mark.parametrize(("table", "rule"), EVERY_RULE)
def test_a_rule_selects_the_same_lines_in_polars_and_duckdb(table, rule):
    given = example_lines(table, rule)
    by_polars = given.filter(is_broken(rule))["n"].to_list()
    lines = given.to_arrow()  # noqa: F841  # read by name
    by_duckdb = duckdb.sql(f"SELECT n FROM lines WHERE {rule.broken} ORDER BY n").fetchall()  # noqa: S608  # a constant
    assert by_polars == [row[0] for row in by_duckdb]
    assert 0 < len(by_polars) < given.height  # one that selects nothing, or all, was not compared


def test_every_set_of_line_rules_is_looked_at_here():
    modules = [importlib.import_module(each.name) for each in pkgutil.walk_packages(transforms.__path__, "transforms.")]
    declared = {
        id(value)
        for module in modules
        for value in vars(module).values()
        if isinstance(value, tuple) and value and all(isinstance(each, LineRule) for each in value)
        if not isinstance(value, LineRule)
    }
    assert declared - {id(rules) for rules in RULES.values()} == {id(COMMON_RULES)}


@pytest.mark.parametrize(("table", "rule"), EVERY_RULE)
def test_what_rejects_lines_is_demanded_of_written_rows_by_the_same_text(table, rule):
    audited = {each.failed_rows_sql for each in find_suite(table.identifier).rules if each.severity == "critical"}
    assert rule.broken in audited or columns_of(rule) - {*table.column_names}


@pytest.mark.parametrize("table", RULES, ids=lambda table: table.name)
def test_a_limit_that_is_audited_rejects_the_line_before(table):
    """A value outside of it would else hold back a whole day instead of one line."""
    broken = {rule.broken for rule in RULES[table]}
    read = {name for rule in RULES[table] for name in columns_of(rule)}
    # A price of zero updates no side; what does not come from the line itself is looked at in its declaration
    elsewhere = {"bid_price", "ask_price", "interval_min", "pixel_min", "pixel_max"}
    limited = [each for each in table.columns if each.name in read - elsewhere and outside(each) != "NOT ()"]
    assert [each.name for each in limited if outside(each) not in broken] == []


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_selects_the_same_rows_in_polars_and_duckdb(condition):
    numbered = LINES.with_row_index("n")
    by_polars = numbered.filter(pl.sql_expr(condition).fill_null(False))["n"].to_list()
    lines = numbered.to_arrow()  # noqa: F841  # read by name
    sql = condition.replace("regexp_like", "regexp_matches")
    by_duckdb = [row[0] for row in duckdb.sql(f"SELECT n FROM lines WHERE {sql} ORDER BY n").fetchall()]  # noqa: S608  # constants above
    assert by_polars == by_duckdb


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_is_the_same_text_in_polars_and_duckdb(reason):
    lines = LINES.to_arrow()  # noqa: F841  # read by name
    by_duckdb = [row[0] for row in duckdb.sql(f"SELECT {reason} FROM lines").fetchall()]  # noqa: S608  # constants above
    given = LINES.with_columns(text=pl.sql_expr(reason))["text"].to_list()
    # DuckDB's concat leaves nulls out, Polars' too; a cast of null is null alone, which a rule never names
    assert [text or "" for text in given] == [text or "" for text in by_duckdb]


def test_name_broken_names_the_first_rule_that_a_line_breaks():
    rules = (
        LineRule("unreadable", "price IS NULL", f"concat({quote_text('raw_price')}, ' is not a number')"),
        LineRule("not_positive", "price <= 0", "'not positive'"),
        LineRule("always", "TRUE", "'never reached by the lines above'"),
    )
    lines = LINES.select("raw_price", "price").head(4)
    expected = lines.with_columns(
        rule=pl.Series(["always", "not_positive", "unreadable", "unreadable"]),
        reason=pl.Series(
            ["never reached by the lines above", "not positive", "'x' is not a number", "'' is not a number"]
        ),
    )
    assert_frame_equal(name_broken(lines, rules), expected)


def test_is_sound_is_never_null():
    rules = (LineRule("not_positive", "price <= 0", "'not positive'"),)
    assert LINES.select(is_sound(rules)).to_series().to_list() == [True, False, True, True, True]
