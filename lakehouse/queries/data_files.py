"""Data files as DuckDB reads them: by the columns of a schema, whatever columns a file was written with."""

from __future__ import annotations

import re
from collections.abc import Sequence

import duckdb
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.schema import Schema

CONFIGURATION = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
"""No download at run time: all that is needed is built in."""


def select_files(connection: duckdb.DuckDBPyConnection, schema: Schema, paths: Sequence[str]) -> str:
    """Return a SELECT over local files; a column that a file lacks, being younger, is null and has its type."""
    typed = connection.from_arrow(schema_to_pyarrow(schema, include_field_ids=False).empty_table())
    empty = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in zip(typed.columns, typed.types, strict=True))
    columns = ", ".join(f'"{name}"' for name in typed.columns)
    if not paths:
        return f"SELECT {columns} FROM (SELECT {empty} WHERE false)"  # noqa: S608 - names from the table's own schema
    listed = ", ".join(quote(path) for path in paths)
    read = f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"
    return f"SELECT {columns} FROM (SELECT {empty} WHERE false UNION ALL BY NAME SELECT * FROM {read})"  # noqa: S608


def local_path(location: str) -> str | None:
    """Return the path of a file on this machine, None for another store."""
    # Hadoop writes file:/a, others file:///a; neither escapes anything
    match = re.fullmatch(r"(?:file:(?://)?)?(/.*)", location)
    return match[1] if match else None


def quote(text: str) -> str:
    """Write a text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"
