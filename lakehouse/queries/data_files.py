"""Data files as DuckDB reads them: by the column ids of a schema, whatever a file calls its columns."""

from __future__ import annotations

import re
from collections.abc import Sequence

import duckdb
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.schema import Schema

CONFIGURATION = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
"""No download at run time: all that is needed is built in."""


def select_files(connection: duckdb.DuckDBPyConnection, schema: Schema, paths: Sequence[str]) -> str:
    """Return a SELECT ... FROM over local files; a column that was added after a file was written is null there.

    Columns are found by their ids, so those that were renamed after a file was written are found, too.
    """
    typed = connection.from_arrow(schema_to_pyarrow(schema, include_field_ids=False).empty_table())
    columns = list(zip(schema.fields, typed.types, strict=True))
    if not paths:
        empty = ", ".join(f'NULL::{kind} AS "{field.name}"' for field, kind in columns)
        return f"SELECT * FROM (SELECT {empty} WHERE false)"  # noqa: S608 - names from the table's own schema
    by_id = ", ".join(
        f"{field.field_id}: {{'name': {quote(field.name)}, 'type': {quote(str(kind))}, 'default_value': NULL}}"
        for field, kind in columns
    )
    listed = ", ".join(quote(path) for path in paths)
    return f"SELECT * FROM read_parquet([{listed}], schema = MAP {{{by_id}}}, hive_partitioning = false)"  # noqa: S608


def local_path(location: str) -> str | None:
    """Return the path of a file on this machine, None for another store."""
    # Hadoop writes file:/a, others file:///a; neither escapes anything
    match = re.fullmatch(r"(?:file:(?://)?)?(/.*)", location)
    return match[1] if match else None


def quote(text: str) -> str:
    """Write a text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"
