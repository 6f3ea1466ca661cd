"""The commands of `lakehouse sql`: the views and example queries in sql/."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from lakehouse.commands.reading import Format


def show() -> None:
    """List the SQL files: views and example queries, and what their rows are.

    \b
    Example: lakehouse sql list
    """
    from rich.markup import escape
    from rich.table import Table

    from lakehouse.console import console
    from lakehouse.sql import read_sql_files

    grid = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("name", "kind", "what its rows are"):
        grid.add_column(name, no_wrap=name != "what its rows are", overflow="fold")
    for file in read_sql_files():
        grid.add_row(file.name, "view" if file.is_view else "query", escape(f"{file.doc} {file.facts['Grain']}."))
    console().print(grid)


def run(
    name: Annotated[str, typer.Argument(help="A file of sql/, e.g. finance/daily_vwap, or only its last part.")],
    output: Annotated[Format, typer.Option("--format", help="How the result is written.")] = Format.TABLE,
    limit: Annotated[int, typer.Option(min=1, help="Most rows of --format table.")] = 50,
) -> None:
    """Run a file of sql/ in DuckDB and write its rows.

    \b
    Example: lakehouse sql run daily_vwap
             lakehouse sql run energy/peak_hours_of_a_month --format csv
    """
    from lakehouse import render
    from lakehouse.console import console
    from lakehouse.query import open_query
    from lakehouse.settings import settings
    from lakehouse.sql import find_sql_file

    file = find_sql_file(name)
    with open_query(file.query, settings()) as reader:
        if output is Format.CSV:
            render.write_csv(reader, sys.stdout)
        elif output is Format.JSON:
            render.write_json(reader, sys.stdout)
        else:
            render.write_table(reader, console(), limit)
