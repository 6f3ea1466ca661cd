"""What a declaration means to Iceberg, Arrow and Spark: all three must read the same types."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from pyiceberg.io.pyarrow import schema_to_pyarrow

from lakehouse.lake.schema import arrow_schema, arrow_table, iceberg_schema, partition_spec, sort_order, spark_schema
from lakehouse.tables import TABLES, Column, Table

EVERY_TYPE = Table(
    layer="silver",
    name="everything",
    doc="A column of every type.",
    columns=(
        Column("text", "string", ""),
        Column("count", "bigint", ""),
        Column("small", "int", ""),
        Column("flag", "boolean", ""),
        Column("ratio", "double", ""),
        Column("day", "date", ""),
        Column("instant", "timestamp", ""),
        Column("wall", "timestamp_ntz", ""),
        Column("raw", "binary", ""),
        Column("price", "decimal(18,8)", ""),
        Column("days", "array<date>", ""),
        Column("state", "array<double>", ""),
    ),
    primary_key=("text",),
    partitioned_by=("day", "text"),
    sorted_by=("text", "instant"),
)


def test_schemas_spell_every_type():
    assert spark_schema(EVERY_TYPE) == (
        "`text` string, `count` bigint, `small` int, `flag` boolean, `ratio` double, `day` date, `instant` timestamp, "
        "`wall` timestamp_ntz, `raw` binary, `price` decimal(18,8), `days` array<date>, `state` array<double>"
    )
    assert [str(field.field_type) for field in iceberg_schema(EVERY_TYPE).fields] == [
        *("string", "long", "int", "boolean", "double", "date", "timestamptz", "timestamp", "binary"),
        *("decimal(18, 8)", "list<date>", "list<double>"),
    ]
    assert arrow_schema(EVERY_TYPE).types == [
        *(pa.string(), pa.int64(), pa.int32(), pa.bool_(), pa.float64(), pa.date32(), pa.timestamp("us", tz="UTC")),
        *(pa.timestamp("us"), pa.binary(), pa.decimal128(18, 8), pa.list_(pa.date32()), pa.list_(pa.float64())),
    ]


def test_partitions_and_order_refer_to_the_declared_columns():
    schema = iceberg_schema(EVERY_TYPE)
    named = {field.field_id: field.name for field in schema.fields}
    spec, order = partition_spec(EVERY_TYPE), sort_order(EVERY_TYPE)
    assert [(field.name, named[field.source_id], str(field.transform)) for field in spec.fields] == [
        ("day", "day", "identity"),
        ("text", "text", "identity"),
    ]
    assert [(named[field.source_id], str(field.transform)) for field in order.fields] == [
        ("text", "identity"),
        ("instant", "identity"),
    ]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.identifier)
def test_arrow_and_iceberg_agree_on_each_declared_table(table):
    through_iceberg = schema_to_pyarrow(iceberg_schema(table), include_field_ids=False)
    widened = {pa.large_string(): pa.string(), pa.large_binary(): pa.binary()}
    found = [widened.get(field.type, field.type) for field in through_iceberg]
    expected = arrow_schema(table)
    assert through_iceberg.names == expected.names == list(table.column_names)
    for column, (left, right) in zip(expected.names, zip(found, expected.types, strict=True), strict=True):
        if pa.types.is_large_list(left):
            left = pa.list_(widened.get(left.value_type, left.value_type))  # noqa: PLW2901
        assert (left.value_type == right.value_type) if pa.types.is_list(left) else left == right, column


def test_arrow_table_leaves_missing_values_null_and_keeps_decimals_exact():
    row = {"text": "a", "day": date(2024, 8, 8), "instant": datetime(2024, 8, 8, tzinfo=UTC), "price": Decimal("0.1")}
    assert arrow_table(EVERY_TYPE, [row]).to_pylist() == [
        dict.fromkeys(EVERY_TYPE.column_names) | row | {"price": Decimal("0.10000000")}
    ]
    assert arrow_table(EVERY_TYPE, []).schema == arrow_schema(EVERY_TYPE)


def test_months_of_a_column_are_a_partition():
    table = replace(EVERY_TYPE, partitioned_by=("months(day)",), replaced_by="day")
    assert table.is_by_month
    assert [(str(field.transform), field.name) for field in partition_spec(table).fields] == [("month", "day_month")]


def test_every_key_partition_and_order_names_a_declared_column():
    for table in TABLES:
        partitions = {spelled.removeprefix("months(").removesuffix(")") for spelled in table.partitioned_by}
        named = {*table.primary_key, *partitions, *table.sorted_by, *filter(None, [table.replaced_by])}
        assert named <= set(table.column_names), table.identifier
        # A bronze table may have no partitions: a run takes out rows of deliveries, not whole files.
        is_replaced_whole = partitions or table.layer != "bronze"
        assert table.replaced_by is None or not is_replaced_whole or table.replaced_by in partitions, table.identifier
