"""Every table of the lakehouse, declared once; DDL, closing selects, suites, docs and tests read these."""

from __future__ import annotations

from lakehouse.errors import BadInputError
from lakehouse.tables import energy, finance, logs, registry
from lakehouse.tables.model import CATALOG, Column, Table

TABLES: tuple[Table, ...] = (*finance.TABLES, *energy.TABLES, *registry.TABLES, *logs.TABLES)

__all__ = ["CATALOG", "TABLES", "Column", "Table", "find_table"]


def find_table(identifier: str) -> Table:
    """Return the declaration of `layer.name`.

    Raises:
        BadInputError: no table has that name.
    """
    for table in TABLES:
        if table.identifier == identifier:
            return table
    known = ", ".join(table.identifier for table in TABLES)
    raise BadInputError(f"no table {identifier!r} is declared; there are {known}")
