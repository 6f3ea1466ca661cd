"""Every table of the lakehouse, declared once; DDL, closing selects, suites, docs and tests read these declarations.

A table is found, not registered: each module of this folder is searched for `Table` objects. The gold tables of image
sets are a family: those of the sets that come with the package are in TABLES, those of sets that a user declared are
known by their name, and `lakehouse.lake.migration.known_tables` adds the ones that exist.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib import import_module

from lakehouse.errors import BadInputError
from lakehouse.tables import vision
from lakehouse.tables.model import CATALOG, Column, Table

__all__ = ["CATALOG", "LAYERS", "TABLES", "Column", "Table", "find_table", "has_days", "tables_of"]

LAYERS = ("bronze", "silver", "gold")
"""The layers of a domain's tables, in the order in which they are made."""


@cache
def tables_of(module: str) -> tuple[Table, ...]:
    """Return the tables that a module of this folder declares, in its order; a domain's module is named after it."""
    found: dict[str, Table] = {}
    for value in vars(import_module(f"{__name__}.{module}")).values():
        for table in value if isinstance(value, tuple) else (value,):
            if isinstance(table, Table):
                found.setdefault(table.identifier, table)
    return tuple(found.values())


def has_days(domain: str) -> bool:
    """Return whether a domain's deliveries have days, unlike image sets."""
    bronze = [table for table in tables_of(domain) if table.layer == "bronze"]
    return any(table.column(str(table.replaced_by)).type == "date" for table in bronze)


def _declared() -> Iterator[Table]:
    for module in pkgutil.iter_modules(__path__):
        yield from tables_of(module.name)


TABLES: tuple[Table, ...] = tuple(dict.fromkeys(_declared()))


def find_table(identifier: str) -> Table:
    """Return the declaration of `layer.name`; `gold.<set>_images` is one for every name of an image set.

    Raises:
        BadInputError: no table has that name.
    """
    for table in TABLES:
        if table.identifier == identifier:
            return table
    family = vision.images_table(identifier)
    if family is not None:
        return family
    known = ", ".join(table.identifier for table in TABLES)
    raise BadInputError(f"no table {identifier!r} is declared; there are {known}, and gold.<image set>_images")
