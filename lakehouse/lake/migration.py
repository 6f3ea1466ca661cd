"""Tables as they are declared: missing ones are made, outdated ones are refused by runs and changed by `migrate`.

Iceberg's schema belongs to the table and not to a branch, so a run never changes it. A change of the schema rewrites no
data file: files name their columns by id, and a column that is added, moved or renamed keeps, or gets, an id.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import polars as pl
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchTableError,
    TableAlreadyExistsError,
    ValidationException,
)
from pyiceberg.table import Table as IcebergTable
from sqlalchemy.exc import IntegrityError

from lakehouse.config.settings import Settings
from lakehouse.errors import BadInputError, ConflictError, UnavailableError, first_line
from lakehouse.lake.connection import CATALOG_ERRORS, open_catalog
from lakehouse.lake.old_manifest import is_of_version_0_1, rewrite_manifest
from lakehouse.lake.schema import arrow_schema, iceberg_schema, iceberg_type, partition_spec, sort_order, spelled_type
from lakehouse.tables import TABLES, Table
from lakehouse.tables.vision import images_table

TABLE_PROPERTIES = {
    "format-version": "2",
    "write.parquet.compression-codec": "zstd",
    "write.parquet.compression-level": "1",
    "write.distribution-mode": "none",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "100",
}
"""Jobs distribute rows themselves (spark_jobs/engine), so Iceberg need not shuffle them again. Each commit removes the
oldest metadata file once there are a hundred."""


@dataclass(frozen=True)
class Difference:
    """What `migrate` must change so that an existing table has the declared columns; false if there is nothing."""

    added: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    """The declared name by the name that the column still has."""
    is_disordered: bool = False
    """Whether the columns that are there stand in another order than declared."""

    def __bool__(self) -> bool:
        """Return whether something must be changed."""
        return bool(self.added or self.renamed or self.is_disordered)


def known_tables(catalog: Catalog) -> tuple[Table, ...]:
    """Return every declared table, and the gold tables that exist of a user's image sets."""
    if not catalog.namespace_exists("gold"):
        return TABLES
    declared = {table.identifier for table in TABLES}
    present = sorted(".".join(name) for name in catalog.list_tables("gold"))
    family = [images_table(identifier) for identifier in present if identifier not in declared]
    return (*TABLES, *(table for table in family if table is not None))


def require_tables(settings: Settings, tables: Iterable[Table]) -> dict[str, IcebergTable]:
    """Make missing tables and refuse outdated ones, before a job reads or writes them; return them as loaded.

    Raises:
        BadInputError: the columns of a table are not the declared ones in the declared order.
    """
    catalog = open_catalog(settings)
    loaded = {}
    for table in tables:
        iceberg, is_new = load_or_create(catalog, settings, table)
        if not is_new and (difference := compare(iceberg, table)):
            found = "; ".join(describe_outdated(difference))
            raise BadInputError(f"{table.identifier} {found}; run `lakehouse migrate` once")
        loaded[table.identifier] = iceberg
    return loaded


def load_or_create(catalog: Catalog, settings: Settings, table: Table) -> tuple[IcebergTable, bool]:
    """Load a table, or make it from its declaration; return whether it was made, too."""
    with contextlib.suppress(NoSuchTableError):
        return catalog.load_table(table.identifier), False
    with contextlib.suppress(NamespaceAlreadyExistsError, IntegrityError):  # another process may make it at once
        catalog.create_namespace(table.layer)
    try:
        made = catalog.create_table(
            table.identifier,
            schema=iceberg_schema(table),
            location=f"{settings.warehouse_uri}/{table.layer}/{table.name}",
            partition_spec=partition_spec(table),
            sort_order=sort_order(table),
            properties=TABLE_PROPERTIES,
        )
    except TableAlreadyExistsError:
        return catalog.load_table(table.identifier), False
    return made, True


def migrate(settings: Settings, more: Iterable[Table] = ()) -> list[str]:
    """Make the declared tables that are missing and give the others their declared columns; return what was done.

    Columns are added at their place, renamed and moved; none is dropped. Each table is changed by one commit, so a
    killed `migrate` leaves every table either as it was or as declared, and the next one does the rest.
    `more` are tables of image sets that a user declared.

    Raises:
        BadInputError: a column exists with another type than declared, or is not declared at all.
        ConflictError: another program changed a table at the same moment.
        UnavailableError: the catalog or the store is away.
    """
    changes: list[str] = []
    try:
        catalog = open_catalog(settings)
        for table in dict.fromkeys((*known_tables(catalog), *more)):
            iceberg, is_new = load_or_create(catalog, settings, table)
            changes += [f"made {table.identifier}"] if is_new else migrate_table(iceberg, table)
    except CATALOG_ERRORS as error:
        raise UnavailableError(f"the catalog or the store is away ({first_line(error)}); run the same again") from error
    return changes


def migrate_table(iceberg: IcebergTable, table: Table) -> list[str]:
    """Give an existing table its declared columns, in one commit; return what was done, in words.

    Raises:
        BadInputError: a column exists with another type than declared, or is not declared at all.
        ConflictError: another program changed the table at the same moment.
    """
    difference = compare(iceberg, table)
    if not difference:
        return []
    renamed = difference.renamed
    before = {declared: former for former, declared in renamed.items()}
    try:
        with iceberg.transaction() as transaction:
            with transaction.update_schema() as schema:
                for former, declared in renamed.items():
                    schema.rename_column(former, declared)
                    schema.update_column(former, doc=table.column(declared).doc)
                for name in difference.added:
                    column = table.column(name)
                    schema.add_column(name, iceberg_type(column.type, 0), doc=column.doc)
                # Within one update a renamed column still has its former name
                names = [before.get(name, name) for name in table.column_names]
                schema.move_first(names[0])
                for previous, name in pairwise(names):
                    schema.move_after(name, previous)
            with transaction.update_spec() as spec:
                for part in iceberg.spec().fields:  # its name was made from the column's and is not renamed with it
                    former = iceberg.schema().find_field(part.source_id).name
                    if former in renamed:
                        spec.rename_field(part.name, renamed[former] + part.name.removeprefix(former))
            if is_of_version_0_1(table, difference.added) and iceberg.current_snapshot() is not None:
                rows = pl.DataFrame(iceberg.scan().to_arrow()).rename(dict(renamed))
                transaction.overwrite(rewrite_manifest(rows).sort(table.row_order).to_arrow().cast(arrow_schema(table)))
    except (CommitFailedException, ValidationException) as error:
        raise ConflictError(
            f"another program changed {table.identifier} at the same moment; run `lakehouse migrate` again"
        ) from error
    return describe_changes(difference, table)


def compare(iceberg: IcebergTable, table: Table) -> Difference:
    """Return how the columns of an existing table differ from the declared ones.

    Raises:
        BadInputError: a column exists with another type than declared, or is not declared at all.
    """
    present = {found.name: spelled_type(found.field_type) for found in iceberg.schema().fields}
    renamed = {}
    for column in table.columns:
        former = [name for name in column.formerly if name in present]
        if former and column.name not in present:
            renamed[former[0]] = column.name  # a second one is found below, as a column that is not declared
    types = {renamed.get(name, name): kind for name, kind in present.items()}
    for name, kind in types.items():
        if name not in table.column_names:
            raise BadInputError(
                f"{table.identifier} has the column {name}, which is not declared: a newer version of this software "
                "has changed the table; update the installation"
            )
        declared = table.column(name).type
        if kind != declared:
            raise BadInputError(
                f"{table.identifier}.{name} is {kind} in the table and {declared} in the declaration; a type can't be "
                "migrated: give the changed column a new name"
            )
    return Difference(
        added=tuple(name for name in table.column_names if name not in types),
        renamed=renamed,
        is_disordered=list(types) != [name for name in table.column_names if name in types],
    )


def describe_outdated(difference: Difference) -> Iterable[str]:
    """Yield what is wrong with a table, in words."""
    if difference.added:
        yield f"lacks {', '.join(difference.added)}"
    for former, declared in difference.renamed.items():
        yield f"has {former} where {declared} is declared"
    if difference.is_disordered:
        yield "has its columns in another order than declared"


def describe_changes(difference: Difference, table: Table) -> list[str]:
    """Return what was changed, in words."""
    changes = [f"renamed {former} of {table.identifier} to {now}" for former, now in difference.renamed.items()]
    if difference.added:
        changes.append(f"added {', '.join(difference.added)} to {table.identifier}")
    if difference.is_disordered:
        changes.append(f"put the columns of {table.identifier} in their declared order")
    return changes
