"""Verdicts reached from counts equal those that Great Expectations reaches on Spark by itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import duckdb
import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from expectations import SUITES, import_great_expectations, suite_for
from expectations.batch import Batch
from expectations.judge import build_expectation, judge_fact, judge_rule
from expectations.measure import measure
from expectations.queries import failed_rows_query
from expectations.rules import FactRule, Suite
from lakehouse.lake.schema import arrow_table
from lakehouse.tables import TABLES, Table, find_table
from lakehouse.tables.manifest import BRONZE_FILES

by_table = pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.table.identifier)
Verdicts = dict[str, tuple[bool, Any]]


def verdict(result: Any) -> tuple[bool, Any]:
    """What a result says: passed, and what was counted."""
    seen = result.result
    return bool(result.success), seen.get("unexpected_count", seen.get("observed_value"))


def own_verdicts(suite: Suite, batch: Batch) -> Verdicts:
    measured = measure(suite, batch)
    return {rule.name: verdict(judge_rule(rule, measured, None, [])) for rule in suite.rules}


def native_verdicts(suite: Suite, frame: DataFrame) -> Verdicts:
    """Let Great Expectations count and judge on Spark."""
    import_great_expectations()
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_spark("spark").add_dataframe_asset("frame")
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": frame})
    expectations = [build_expectation(rule) for rule in suite.rules]
    found = batch.validate(gx.ExpectationSuite(name="native", expectations=expectations), result_format="BASIC")
    assert not [item.exception_info for item in found.results if item.success is None]
    return {item.expectation_config.meta["rule"]: verdict(item) for item in found.results}


@by_table
def test_judge_rule_passes_good_rows(
    suite: Suite, make_batch: Callable[..., Batch], make_good: Callable[..., Any]
) -> None:
    own = own_verdicts(suite, make_batch(suite.table, [make_good(suite.table)]))
    assert {name for name, (passed, _) in own.items() if not passed} == set()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("silver.trades", id="nulls, limits, allowed values, key of many columns"),
        pytest.param("gold.instruments", id="key of one column"),
        pytest.param("gold.tick_features", id="not-a-number, groups"),
    ],
)
@pytest.mark.parametrize("is_broken", [False, True], ids=["good rows", "broken rows"])
def test_judge_rule_agrees_with_great_expectations_on_spark(
    name: str,
    is_broken: bool,
    make_batch: Callable[..., Batch],
    make_frame: Callable[..., DataFrame],
    make_good: Callable[..., Any],
    make_broken: Callable[..., Any],
) -> None:
    table = find_table(name)
    rows = make_broken(table) if is_broken else [make_good(table)]
    native = native_verdicts(suite_for(table), make_frame(table, rows))
    assert own_verdicts(suite_for(table), make_batch(table, rows)) == native


@by_table
def test_judge_rule_fails_broken_rows_of_which_spark_finds_and_queries_show_as_many(
    suite: Suite,
    make_batch: Callable[..., Batch],
    make_frame: Callable[..., DataFrame],
    make_broken: Callable[..., Any],
) -> None:
    rows = make_broken(suite.table)
    measured = measure(suite, make_batch(suite.table, rows))
    assert measured.failed == counted_by_spark(suite, make_frame(suite.table, rows))
    passed = {rule.name for rule in suite.rules if judge_rule(rule, measured, None, []).success}
    # Every rule over rows or keys is broken by some row: none of them is a rule that cannot fail.
    assert passed == {rule.name for rule in suite.rules if rule.kind == "table"}
    shown = shown_by_duckdb(suite, rows)
    over_rows = {rule.name for rule in suite.rules if rule.kind == "rows"}
    assert {name: shown[name] for name in over_rows} == {name: measured.failed[name] for name in over_rows}
    # SQL never finds a null in a list: keys that hold one are counted, and shown by the not-null rules.
    assert all(0 < shown[name] <= measured.failed[name] for name in shown)


def test_failed_rows_query_shows_keys_with_a_null_that_is_allowed(make_good: Callable[..., Any]) -> None:
    suite = suite_for(BRONZE_FILES)
    undated = make_good(BRONZE_FILES) | {"dataset": "images", "delivery_date": None}
    database = database_with(BRONZE_FILES, [undated, undated, undated | {"delivery_part": "labels"}])
    for name in ("key_unique", "one_accepted_file_per_delivery"):
        rule = suite.find(name)
        assert rule is not None
        rows = database.sql(failed_rows_query(rule, BRONZE_FILES, (), "run") or "").to_arrow_table().to_pylist()
        assert [(row["delivery_date"], row["delivery_part"]) for row in rows] == [(None, "x"), (None, "x")]


def counted_by_spark(suite: Suite, frame: DataFrame) -> dict[str, int]:
    """Count the rows, or keys of groups, that Spark finds to break each rule."""
    over_rows = {rule.name: f"count_if({rule.failed_rows_sql})" for rule in suite.rules if rule.kind == "rows"}
    counts: dict[str, int] = dict(zip(over_rows, frame.selectExpr(*over_rows.values()).collect()[0], strict=True))
    for rule in suite.rules:
        if rule.group_by:
            broken = F.expr(str(rule.failed_rows_sql)).alias("broken")
            groups = frame.groupBy(*rule.group_by).agg(F.count("*").alias("copies"), broken).where("broken")
            copies = [row["copies"] for row in groups.collect()]
            counts[rule.name] = sum(copies) if rule.kind == "duplicates" else len(copies)
    return counts


def shown_by_duckdb(suite: Suite, rows: list[dict[str, Any]]) -> dict[str, int]:
    """Count the rows, or keys of groups, that each failed-rows query returns."""
    database = database_with(suite.table, rows)
    shown = {}
    for rule in suite.rules:
        query = failed_rows_query(rule, suite.table, (), "run")
        if query is not None:
            keys = f"SELECT DISTINCT {', '.join(rule.group_by)} FROM ({query})"  # noqa: S608
            counted = keys if rule.kind == "groups" else query
            shown[rule.name] = database.sql(f"SELECT count(*) FROM ({counted})").fetchall()[0][0]  # noqa: S608
    return shown


def database_with(table: Table, rows: list[dict[str, Any]]) -> duckdb.DuckDBPyConnection:
    database = duckdb.connect()
    database.sql("SET TimeZone = 'UTC'")
    database.register("given", arrow_table(table, rows))
    database.sql(f"CREATE SCHEMA {table.layer}; CREATE TABLE {table.identifier} AS SELECT * FROM given")  # noqa: S608
    return database


@pytest.mark.parametrize(
    ("facts", "passed"),
    [
        pytest.param({"gaps": 0}, True, id="as demanded"),
        pytest.param({"gaps": 1}, False, id="above"),
        pytest.param({"gaps": -1}, False, id="below"),
        pytest.param({"gaps": float("nan")}, False, id="not a number"),
        pytest.param({"gaps": None}, False, id="unknown"),
        pytest.param({"gaps": "none"}, False, id="text"),
        pytest.param({}, False, id="not counted"),
    ],
)
def test_judge_fact_passes_the_demanded_number_alone(facts: dict[str, Any], passed: bool) -> None:
    assert judge_fact(FactRule("gaps", "critical", "No gaps."), facts).success is passed


@by_table
def test_queries_of_fact_rules_run_in_duckdb(suite: Suite) -> None:
    queries = [failed_rows_query(rule, suite.table, (), "run") for rule in suite.fact_rules]
    queries += [failed_rows_query(rule, suite.table, [date(2024, 8, 8)], "run") for rule in suite.fact_rules]
    database = duckdb.connect()
    for layer in {table.layer for table in TABLES}:
        database.sql(f"CREATE SCHEMA {layer}")
    for table in TABLES:
        database.register("given", arrow_table(table, []))
        database.sql(f"CREATE TABLE {table.identifier} AS SELECT * FROM given")  # noqa: S608
    assert [database.sql(query).fetchall() for query in queries if query] == [[] for query in queries if query]
