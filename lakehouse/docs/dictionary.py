"""The data dictionary: docs/data-dictionary.md, written from the table declarations by `make docs`."""

from __future__ import annotations

from collections.abc import Iterable

from lakehouse.config.project import ROOT
from lakehouse.tables import CATALOG, TABLES, Column, Table

PAGE = ROOT / "docs" / "data-dictionary.md"

INTRODUCTION = f"""\
# Data dictionary

Written from the declarations in `lakehouse/tables/` by `make docs`; edit those, not this page.

Every table is in the catalog `{CATALOG}`: `{CATALOG}.<layer>.<name>` in Spark and Trino, `<layer>.<name>` in
`lakehouse query`. Times are UTC. A column that starts with `_` belongs to the pipeline, not to the data.
A column that may not be null is audited for it before its rows are published.
"""


def render(tables: Iterable[Table] = TABLES) -> str:
    """Return the page."""
    listed = tuple(tables)
    contents = "\n".join(f"- [{table.identifier}](#{anchor(table)}): {table.doc}" for table in listed)
    return "\n".join([INTRODUCTION, contents, *(render_table(table) for table in listed)])


def anchor(table: Table) -> str:
    """Return the page's link target of a table's heading, as GitHub forms it: no dots."""
    return table.identifier.replace(".", "")


def render_table(table: Table) -> str:
    """Return one table's section."""
    facts = [
        ("Key", _names(table.primary_key)),
        ("Partitioned by", _names(table.partitioned_by)),
        ("Sorted by", _names(table.sorted_by)),
        ("A run replaces", f"whole values of `{table.replaced_by}`" if table.replaced_by else ""),
        ("Kind", "log: append-only, read as the last row per key" if table.kind == "log" else ""),
        ("May be empty", "yes" if table.may_be_empty else ""),
    ]
    lines = [f"\n## {table.identifier}\n", f"{table.doc}\n"]
    lines += [f"- {name}: {fact}" for name, fact in facts if fact]
    lines += ["\n| Column | Type | Null | Range | Unit | Description |", "|---|---|---|---|---|---|"]
    lines += [_row(column) for column in table.columns]
    return "\n".join(lines) + "\n"


def value_range(column: Column) -> str:
    """Return the values that a column takes, in words of mathematics; empty where any will do."""
    if column.allowed:
        return ", ".join(f"`{value}`" for value in column.allowed)
    parts = []
    if column.minimum is not None:
        parts.append(f"{'>' if column.exclusive_minimum else '>='} {column.minimum}")
    if column.maximum is not None:
        parts.append(f"<= {column.maximum}")
    return ", ".join(parts)


def _row(column: Column) -> str:
    null = "yes" if column.nullable else "no"
    cells = (f"`{column.name}`", f"`{column.type}`", null, value_range(column), column.unit, column.doc)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in columns)
