"""What there is and what just happened: the tables with their sizes, and the runs since a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from lakehouse.config.settings import Settings
from lakehouse.lake.catalog import read_log
from lakehouse.lake.connection import open_catalog
from lakehouse.lake.migration import known_tables
from lakehouse.queries.embedded import list_identifiers
from lakehouse.tables import TABLES, Table
from lakehouse.tables.logs import RUNS


@dataclass(frozen=True)
class TableState:
    """A declared table and its `main`; the counts are None where the table has not been made."""

    table: Table
    rows: int | None = None
    snapshots: int | None = None
    published_at: datetime | None = None


def table_states(settings: Settings) -> list[TableState]:
    """Return the state of every declared table, from metadata alone."""
    if settings.has_catalog_file and not settings.catalog_file.is_file():
        return [TableState(table) for table in TABLES]
    catalog = open_catalog(settings)
    present = set(list_identifiers(catalog))
    states = []
    for table in known_tables(catalog):
        if table.identifier not in present:
            states.append(TableState(table))
            continue
        iceberg = catalog.load_table(table.identifier)
        snapshot = iceberg.current_snapshot()
        summary = snapshot.summary.additional_properties if snapshot and snapshot.summary else {}
        # main's own history: a snapshot is written to an audit branch before main moves to it
        history = iceberg.history()
        published_at = datetime.fromtimestamp(history[-1].timestamp_ms / 1000, UTC) if history else None
        rows = int(summary.get("total-records", 0))
        states.append(TableState(table, rows, len(iceberg.snapshots()), published_at))
    return states


def print_tables(console: Console, states: list[TableState]) -> None:
    """Print one line per table."""
    grid = Grid(box=None, header_style="bold", pad_edge=False)
    grid.add_column("table", no_wrap=True)
    grid.add_column("rows", justify="right", no_wrap=True)
    grid.add_column("snapshots", justify="right")
    grid.add_column("last publish (UTC)", no_wrap=True)
    grid.add_column("what it holds", overflow="fold")
    for state in states:
        published = state.published_at.strftime("%Y-%m-%d %H:%M:%S") if state.published_at else ""
        rows = "not made" if state.rows is None else f"{state.rows:,}"
        grid.add_row(state.table.identifier, rows, _text(state.snapshots), published, escape(state.table.doc))
    console.print(grid)


def print_columns(console: Console, table: Table) -> None:
    """Print one table's declaration."""
    console.print(f"[bold]{table.identifier}[/bold]  {escape(table.doc)}")
    console.print(f"key: {', '.join(table.primary_key)}")
    if table.partitioned_by:
        console.print(f"partitioned by: {', '.join(table.partitioned_by)}")
    grid = Grid(box=None, header_style="bold", pad_edge=False)
    for name in ("column", "type", "null", "description"):
        grid.add_column(name, no_wrap=name != "description", overflow="fold")
    for column in table.columns:
        unit = f" [{column.unit}]" if column.unit else ""
        grid.add_row(column.name, column.type, "yes" if column.nullable else "", escape(column.doc + unit))
    console.print(grid)


def runs_since(settings: Settings, moment: datetime) -> list[dict[str, Any]]:
    """Return the recorded runs that began at or after the moment, in order."""
    runs = read_log(settings, RUNS).to_pylist()
    return sorted((run for run in runs if run["started_at"] >= moment), key=lambda run: run["started_at"])


def print_runs(console: Console, runs: list[dict[str, Any]]) -> None:
    """Print what each run read, wrote and rejected, and how long it took."""
    grid = Grid(box=None, header_style="bold", pad_edge=False)
    grid.add_column("table", no_wrap=True)
    grid.add_column("outcome")
    for name in ("rows in", "rows out", "rejected", "duplicate", "seconds"):
        grid.add_column(name, justify="right", no_wrap=True)
    for run in runs:
        counts = (_text(run[name]) for name in ("rows_in", "rows_out", "rows_rejected", "rows_duplicate"))
        grid.add_row(run["table_name"], run["outcome"], *counts, f"{run['seconds']:.1f}")
    console.print(grid)


def _text(number: int | None) -> str:
    return "" if number is None else f"{number:,}"
