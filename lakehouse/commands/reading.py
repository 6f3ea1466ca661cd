"""Commands that only look: doctor, tables, query."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.errors import ExitCode

if TYPE_CHECKING:
    import pyarrow as pa


class Format(StrEnum):
    """How a query's result is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def doctor() -> None:
    """Check this machine and say how to fix what is missing; exit code 2 if something is.

    \b
    Example: lakehouse doctor
    """
    from rich.markup import escape

    from lakehouse.commands.console import console
    from lakehouse.install.doctor import examine

    screen = console()
    findings = examine(os.environ)
    colours = {"ok": "green", "warning": "yellow", "missing": "red"}
    for finding in findings:
        state = f"[{colours[finding.state]}]{finding.state:<8}[/]"
        screen.print(f"{state}{finding.check:<15}{escape(finding.message)}", soft_wrap=True)
        if finding.fix:
            screen.print(f"{'':<23}fix: [bold]{escape(finding.fix)}[/bold]", soft_wrap=True)
    if any(finding.state == "missing" for finding in findings):
        raise typer.Exit(ExitCode.BAD_INPUT)


def tables(
    name: Annotated[str | None, typer.Argument(help="One table, e.g. silver.trades: shows its columns.")] = None,
) -> None:
    """List the tables with rows, snapshots and last publish, or the columns of one.

    \b
    Example: lakehouse tables
             lakehouse tables silver.trades
    """
    from lakehouse.commands.console import console
    from lakehouse.config.settings import settings
    from lakehouse.queries.overview import print_columns, print_tables, table_states
    from lakehouse.tables import find_table

    if name:
        print_columns(console(), find_table(name))
    else:
        print_tables(console(), table_states(settings()))


def query(
    sql: Annotated[str, typer.Argument(help="One SELECT, DESCRIBE or EXPLAIN in DuckDB's SQL; - reads it from stdin.")],
    as_of: Annotated[
        str | None, typer.Option(metavar="POINT", help="Tag, branch, snapshot id or ISO time (UTC) for every table.")
    ] = None,
    output: Annotated[Format, typer.Option("--format", help="How the result is written.")] = Format.TABLE,
    limit: Annotated[int, typer.Option(min=1, help="Most rows of --format table.")] = 50,
) -> None:
    """Ask the tables in SQL, without a server. Read-only; times are UTC; JSON has decimals as strings.

    \b
    Example: lakehouse query 'SELECT * FROM gold.bars_1m ORDER BY bar_start LIMIT 5'
             lakehouse query 'SELECT count(*) FROM silver.trades' --as-of 2024-08-09T12:00:00Z --format json
             lakehouse query 'SELECT * FROM silver."trades$snapshots"'
    """
    from lakehouse.config.settings import settings
    from lakehouse.queries.embedded import open_query

    text = sys.stdin.read() if sql == "-" else sql
    with open_query(text, settings(), as_of) as reader:
        write_result(reader, output, limit)


def write_result(reader: pa.RecordBatchReader, output: Format, limit: int) -> None:
    """Write rows to standard output, at most `limit` of them where they are shown as a table."""
    from lakehouse.commands.console import console
    from lakehouse.queries import render

    if output is Format.CSV:
        render.write_csv(reader, sys.stdout)
    elif output is Format.JSON:
        render.write_json(reader, sys.stdout)
    else:
        render.write_table(reader, console(), limit)
