"""What a declaration means to Iceberg, Arrow and Spark SQL: the one place that knows how types are spelled."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.sorting import SortField, SortOrder
from pyiceberg.transforms import IdentityTransform, MonthTransform
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    NestedField,
    StringType,
    TimestampType,
    TimestamptzType,
)

from lakehouse.tables.model import Table

ICEBERG_TYPES: dict[str, IcebergType] = {
    "string": StringType(),
    "bigint": LongType(),
    "int": IntegerType(),
    "boolean": BooleanType(),
    "double": DoubleType(),
    "date": DateType(),
    "timestamp": TimestamptzType(),
    "timestamp_ntz": TimestampType(),
    "binary": BinaryType(),
}
ARROW_TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "bigint": pa.int64(),
    "int": pa.int32(),
    "boolean": pa.bool_(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "timestamp_ntz": pa.timestamp("us"),
    "binary": pa.binary(),
}
DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")
ARRAY = re.compile(r"array<(\w+)>")
MONTHS = re.compile(r"months\((\w+)\)")
ELEMENT_ID_OFFSET = 1000
"""Ids of list elements before the catalog assigns its own; only their being different matters."""


def iceberg_type(spelled: str, field_id: int) -> IcebergType:
    """Return Iceberg's type; `field_id` is the column's, needed for the element of a list."""
    if match := DECIMAL.fullmatch(spelled):
        return DecimalType(int(match[1]), int(match[2]))
    if match := ARRAY.fullmatch(spelled):
        return ListType(field_id + ELEMENT_ID_OFFSET, ICEBERG_TYPES[match[1]], element_required=False)
    return ICEBERG_TYPES[spelled]


def spelled_type(kind: IcebergType) -> str:
    """Spell one of Iceberg's types as declarations do; a type that none of them has, as Iceberg does."""
    if isinstance(kind, DecimalType):
        return f"decimal({kind.precision},{kind.scale})"
    if isinstance(kind, ListType):
        return f"array<{spelled_type(kind.element_type)}>"
    return next((spelled for spelled, known in ICEBERG_TYPES.items() if known == kind), str(kind))


def arrow_type(spelled: str) -> pa.DataType:
    """Return Arrow's type."""
    if match := DECIMAL.fullmatch(spelled):
        return pa.decimal128(int(match[1]), int(match[2]))
    if match := ARRAY.fullmatch(spelled):
        return pa.list_(ARROW_TYPES[match[1]])
    return ARROW_TYPES[spelled]


def iceberg_schema(table: Table) -> Schema:
    """Return the columns as Iceberg fields, all optional: a null is for the audit to find, not for a writer."""
    return Schema(
        *(
            NestedField(number, column.name, iceberg_type(column.type, number), required=False, doc=column.doc)
            for number, column in enumerate(table.columns, start=1)
        )
    )


def partition_spec(table: Table) -> PartitionSpec:
    """Return the partitioning: by the values of a column, or by its months."""
    schema = iceberg_schema(table)
    fields = []
    for number, spelled in enumerate(table.partitioned_by, start=1000):
        months = MONTHS.fullmatch(spelled)
        source = schema.find_field(months[1] if months else spelled).field_id
        if months:
            fields.append(PartitionField(source, number, MonthTransform(), month_field(months[1])))
        else:
            fields.append(PartitionField(source, number, IdentityTransform(), spelled))
    return PartitionSpec(*fields)


def month_field(column: str) -> str:
    """Name the partition field that holds a column's months, as Iceberg does."""
    return f"{column}_month"


def sort_order(table: Table) -> SortOrder:
    """Return the order of rows inside a file."""
    schema = iceberg_schema(table)
    return SortOrder(
        *(SortField(schema.find_field(name).field_id, transform=IdentityTransform()) for name in table.sorted_by)
    )


def arrow_schema(table: Table, names: Sequence[str] | None = None) -> pa.Schema:
    """Return the columns, or those named, as Arrow fields in declared order."""
    chosen = [column for column in table.columns if names is None or column.name in names]
    return pa.schema([pa.field(column.name, arrow_type(column.type)) for column in chosen])


def arrow_table(table: Table, rows: list[dict[str, Any]]) -> pa.Table:
    """Build an Arrow table of the declared columns from dictionaries; a missing key is a null."""
    return pa.Table.from_pylist(rows, schema=arrow_schema(table))


def spark_schema(table: Table, names: Sequence[str] | None = None) -> str:
    """Return the columns, or those named, as Spark's DDL string."""
    chosen = [column for column in table.columns if names is None or column.name in names]
    return ", ".join(f"`{column.name}` {column.type}" for column in chosen)
