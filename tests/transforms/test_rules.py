"""Row rules as SQL text: what Polars makes of them, and that DuckDB and Spark's SQL would select the same rows."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from transforms.rules import LineRule, is_sound, name_broken, quote_text

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
