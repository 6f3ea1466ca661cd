"""Every table of the lakehouse, declared once; DDL, closing selects, suites, docs and tests read these.

The gold tables of image sets are a family: those of the sets that come with the package are in TABLES, those of sets
that a user declared are known by their name, and `lakehouse.catalog.known_tables` adds the ones that exist.
"""

from __future__ import annotations

from lakehouse.errors import BadInputError
from lakehouse.tables import energy, finance, logs, predictions, registry, vision
from lakehouse.tables.model import CATALOG, Column, Table

TABLES: tuple[Table, ...] = (
    *finance.TABLES,
    *energy.TABLES,
    *vision.TABLES,
    *predictions.TABLES,
    *registry.TABLES,
    *logs.TABLES,
)

__all__ = ["CATALOG", "TABLES", "Column", "Table", "find_table"]


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
