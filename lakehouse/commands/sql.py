"""The commands of `lakehouse sql`: the views and example queries in sql/."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.commands.reading import Format, write_result
from lakehouse.errors import BadInputError

if TYPE_CHECKING:
    import pyarrow as pa

    from lakehouse.config.settings import Settings
    from lakehouse.queries.statements import SqlFile


def show() -> None:
    """List the SQL files: views and example queries, and what their rows are.

    \b
    Example: lakehouse sql list
    """
    from rich.markup import escape
    from rich.table import Table

    from lakehouse.commands.console import console
    from lakehouse.queries.statements import read_sql_files

    grid = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("name", "kind", "what its rows are"):
        grid.add_column(name, no_wrap=name != "what its rows are", overflow="fold")
    for file in read_sql_files():
        grid.add_row(file.name, "view" if file.is_view else "query", escape(f"{file.doc} {file.facts['Grain']}."))
    console().print(grid)


def apply() -> None:
    """Make the views of sql/ in Trino, logged in as admin; what is there as the files say it stays as it is.

    \b
    Example: lakehouse sql apply
    """
    from lakehouse.config.settings import settings
    from lakehouse.queries.statements import read_sql_files
    from lakehouse.queries.trino import ADMIN, apply_views, login_of, open_connection

    files = read_sql_files()
    is_failed = False
    with open_connection(login_of(settings(), ADMIN)) as connection:
        for view, outcome in apply_views(connection, files):
            typer.echo(f"{view}: {outcome}")
            is_failed |= outcome.startswith("failed")
    if is_failed:
        raise BadInputError("some views were not made; where a table is missing, `lakehouse migrate` makes it")


def run(
    name: Annotated[str, typer.Argument(help="A file of sql/, e.g. finance/daily_vwap, or only its last part.")],
    output: Annotated[Format, typer.Option("--format", help="How the result is written.")] = Format.TABLE,
    limit: Annotated[int, typer.Option(min=1, help="Most rows of --format table.")] = 50,
) -> None:
    """Run a file of sql/ and write its rows: in Trino, as analyst; without servers (profile embedded) in DuckDB.

    \b
    Example: lakehouse sql run daily_vwap
             lakehouse sql run energy/peak_hours_of_a_month --format csv
    """
    from lakehouse.config.settings import settings
    from lakehouse.queries.statements import find_sql_file

    file = find_sql_file(name)
    # One more than is shown, which tells that there are more; a server goes on computing what nobody fetches
    most = limit + 1 if output is Format.TABLE else None
    with _results(file, settings(), most) as reader:
        write_result(reader, output, limit)


@contextmanager
def _results(file: SqlFile, settings: Settings, most: int | None) -> Iterator[pa.RecordBatchReader]:
    if settings.profile == "embedded":
        from lakehouse.queries.embedded import open_query

        with open_query(file.query, settings) as reader:
            yield reader
        return
    from lakehouse.queries.trino import ANALYST, ask, login_of, open_connection

    every = f"SELECT * FROM {file.view}"  # noqa: S608 - the name of a file
    sql = f"{every} LIMIT {most}" if most else every
    with open_connection(login_of(settings, ANALYST)) as connection:
        yield ask(connection, sql if file.is_view else file.query)
