"""Embedded SQL over the Iceberg tables: DuckDB reads the data files, PyIceberg says which ones belong to a snapshot.

A query names tables as `layer.name` or `lakehouse.layer.name`, and their metadata as Trino does:
`layer."name$snapshots"`, also `$refs`, `$files`, `$history`; and the views of sql/ as `views.domain.name`. It sees one
snapshot per table, chosen before it starts.
Only the data files of the named tables can be read, nothing can be written, and times are UTC.
"""

from __future__ import annotations

import difflib
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb
import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.schema import Schema
from pyiceberg.table import Table as IcebergTable

from lakehouse.config.settings import Settings
from lakehouse.errors import BadInputError
from lakehouse.lake.as_of import listed, resolve_snapshot
from lakehouse.lake.connection import open_catalog
from lakehouse.queries.data_files import CONFIGURATION, local_path, quote, select_files
from lakehouse.queries.statements import VIEW_CATALOG, SqlFile, read_sql_files
from lakehouse.tables import CATALOG

METADATA_TABLES = ("snapshots", "refs", "files", "history")
STATEMENTS = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
BATCH_ROWS = 50_000


@dataclass(frozen=True)
class Reference:
    """A table, or one of its metadata tables, that the text of a query names."""

    identifier: str
    metadata: str = ""


@contextmanager
def open_query(sql: str, settings: Settings, as_of: str | None = None) -> Iterator[pa.RecordBatchReader]:
    """Run one read-only statement and stream its result.

    `as_of` is a tag, a branch, a snapshot id or an ISO time (UTC where it has no zone); it holds for every table named.

    Raises:
        BadInputError: not one read-only statement, an unknown table or point in time, or an error in the SQL.
    """
    connection = duckdb.connect(":memory:", config=CONFIGURATION)
    scratch = tempfile.TemporaryDirectory(prefix="lakehouse-query-")
    try:
        statement = _read_only_statement(connection, sql)
        catalog = _existing_catalog(settings)
        identifiers = list_identifiers(catalog)
        # A catalog of the same name, so that lakehouse.silver.trades is spelled as in Spark and Trino
        connection.execute(f"ATTACH ':memory:' AS {CATALOG}; USE {CATALOG}; SET TimeZone = 'UTC'")
        files: list[str] = []
        views = find_views(sql)
        texts = "\n".join([sql, *(view.query for view in views)])
        for reference in find_references(texts, identifiers):
            files += _add_table(connection, catalog.load_table(reference.identifier), reference, as_of)
        _add_views(connection, views)
        _lock(connection, files, scratch.name)
        if statement.type == duckdb.StatementType.SELECT:
            connection.execute(f"EXPLAIN {sql}")  # tells the place of an error, which sql() does not
        relation = connection.sql(sql)
        if relation is None:
            raise BadInputError("the statement has no result")
        yield relation.to_arrow_reader(BATCH_ROWS)
    except duckdb.Error as error:
        raise BadInputError(_explain(error, sql, settings)) from None
    finally:
        connection.close()
        scratch.cleanup()


def list_identifiers(catalog: Catalog) -> tuple[str, ...]:
    """Return `layer.name` of every table that exists, sorted."""
    return tuple(
        sorted(".".join(name) for namespace in catalog.list_namespaces() for name in catalog.list_tables(namespace))
    )


def find_references(sql: str, identifiers: tuple[str, ...]) -> tuple[Reference, ...]:
    """Return the tables that the text names; one too many, from a comment or a text constant, does no harm."""
    references = []
    for identifier in identifiers:
        layer, name = identifier.split(".", 1)
        spelled = rf'(?<![\w$])"?{re.escape(layer)}"?\s*\.\s*"?{re.escape(name)}'
        if re.search(rf"{spelled}(?![\w$])", sql, re.IGNORECASE):
            references.append(Reference(identifier))
        for metadata in METADATA_TABLES:
            if re.search(rf'{spelled}\${metadata}"', sql, re.IGNORECASE):
                references.append(Reference(identifier, metadata))
    return tuple(references)


def find_views(sql: str) -> tuple[SqlFile, ...]:
    """Return the views of sql/ that the text names; the files are read only where it names one."""
    if not re.search(rf'(?<![\w$.])"?{VIEW_CATALOG}"?\s*\.', sql, re.IGNORECASE):
        return ()
    spelled = re.sub(r'"|\s*(?=\.)|(?<=\.)\s*', "", sql).lower()
    return tuple(
        file
        for file in read_sql_files()
        if file.is_view and re.search(rf"(?<![\w$.]){re.escape(file.view)}(?![\w$])", spelled)
    )


def _add_views(connection: duckdb.DuckDBPyConnection, views: tuple[SqlFile, ...]) -> None:
    """Make the views known to DuckDB, in a catalog of the name that they have in Trino."""
    if views:
        connection.execute(f"ATTACH ':memory:' AS {VIEW_CATALOG}")
    for view in views:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {view.schema}; CREATE VIEW {view.view} AS {view.query}")


def _existing_catalog(settings: Settings) -> Catalog:
    if settings.has_catalog_file and not settings.catalog_file.is_file():
        raise BadInputError(f"{settings.home} has no tables yet; make some: lakehouse demo")
    return open_catalog(settings)


def _read_only_statement(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise BadInputError(f"expected one statement, found {len(statements)}")
    if statements[0].type not in STATEMENTS:
        raise BadInputError(f"expected a query (SELECT, DESCRIBE, EXPLAIN), found {statements[0].type.name}")
    if re.match(r"\s*show\b", sql, re.IGNORECASE):
        raise BadInputError("tables are listed by `lakehouse tables`, their columns by DESCRIBE layer.name")
    return statements[0]


def _lock(connection: duckdb.DuckDBPyConnection, files: list[str], scratch: str) -> None:
    """Leave the query nothing but the given files, and a folder for what exceeds memory; no statement can undo it."""
    listed = ", ".join(quote(path) for path in files)
    connection.execute(f"SET allowed_paths = [{listed}]; SET temp_directory = {quote(scratch)}")
    connection.execute("SET enable_external_access = false; SET lock_configuration = true")


def _add_table(
    connection: duckdb.DuckDBPyConnection, table: IcebergTable, reference: Reference, as_of: str | None
) -> list[str]:
    """Make the table known to DuckDB; return the files that it reads."""
    layer, name = reference.identifier.split(".", 1)
    connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{layer}"')
    if reference.metadata:
        rows = _metadata(table, reference.metadata, as_of)
        _add_rows(connection, f'"{layer}"."{name}${reference.metadata}"', rows)
        _add_rows(connection, f'"{reference.identifier}${reference.metadata}"', rows)
        return []
    snapshot = resolve_snapshot(table, as_of)
    if snapshot is None:
        _add_rows(connection, f'"{layer}"."{name}"', _arrow_schema(table.schema()).empty_table())
        return []
    # main is read with the columns of today, an older snapshot with the columns of its time
    scan = table.scan() if as_of is None else table.scan(snapshot_id=snapshot.snapshot_id)
    schema = scan.projection()
    tasks = list(scan.plan_files())
    paths = [local_path(task.file.file_path) for task in tasks]
    if any(task.delete_files for task in tasks) or None in paths:
        # Deleted rows and remote stores are PyIceberg's to read: whole, so a large table takes memory
        _add_rows(connection, f'"{layer}"."{name}"', scan.to_arrow())
        return []
    local = [path for path in paths if path is not None]
    connection.execute(f'CREATE VIEW "{layer}"."{name}" AS {select_files(connection, schema, local)}')
    return local


def _arrow_schema(schema: Schema) -> pa.Schema:
    return schema_to_pyarrow(schema, include_field_ids=False)


def _metadata(table: IcebergTable, metadata: str, as_of: str | None) -> pa.Table:
    if metadata == "files":
        snapshot = resolve_snapshot(table, as_of)
        return table.inspect.files(snapshot.snapshot_id if snapshot else None)
    rows: pa.Table = getattr(table.inspect, metadata)()
    # PyIceberg's times are UTC without saying so
    fields = [
        field.with_type(pa.timestamp(field.type.unit, "UTC")) if pa.types.is_timestamp(field.type) else field
        for field in rows.schema
    ]
    return rows.cast(pa.schema(fields))


def _add_rows(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    connection.register("rows_to_add", rows)
    connection.execute(f"CREATE TABLE {name} AS SELECT * FROM rows_to_add")  # noqa: S608
    connection.unregister("rows_to_add")


def _explain(error: duckdb.Error, sql: str, settings: Settings) -> str:
    """Turn DuckDB's message, several lines with a caret under the place, into one line."""
    message, _, marked = str(error).partition("\n\nLINE ")
    summary = " ".join(message.split("\nDid you mean")[0].split())
    unknown = re.search(r'Table with name "?([^"\s]+?)"? does not exist', message)
    if unknown:
        named = re.search(rf'(?:\w+"?\.)?"?{re.escape(unknown[1])}', sql)
        wanted = named[0].replace('"', "") if named else unknown[1]
        return f"there is no table {wanted}; {_near(wanted, list_identifiers(open_catalog(settings)))}"
    row, caret = [*marked.split("\n"), "", ""][:2]
    number, _, _ = row.partition(":")
    if "^" not in caret or not number.isdecimal():
        return f"SQL: {summary}"
    place = row[caret.index("^") - len("LINE ") :]
    return f"SQL: {summary} (line {number}, at: {place[:40].strip()})"


def _near(name: str, identifiers: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, identifiers, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"there are {listed(list(identifiers))}"
