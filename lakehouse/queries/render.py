"""A query's result as text: a table for people, CSV and JSON for programs.

CSV: a header, null is empty. JSON: one array of objects; decimals are strings, so that no digit is lost, except whole
numbers; NaN and infinities, which JSON lacks, are strings, too. Times are ISO 8601, with Z where they are instants.
Bytes are hex; a table for people shows the first of them and how many there are.
"""

from __future__ import annotations

import csv
import itertools
import json
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, TextIO

import pyarrow as pa
from rich.console import Console
from rich.markup import escape
from rich.table import Table

SHOWN_BYTES = 8
NUMBERS = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)


def plain(value: Any) -> Any:  # noqa: PLR0911 - one line per kind of value
    """Return a value as JSON can hold it."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case Decimal():
            return int(value) if value.as_tuple().exponent == 0 else format(value, "f")
        case datetime():
            return _instant(value) if value.tzinfo else value.isoformat()
        case date() | time():
            return value.isoformat()
        case bytes():
            return value.hex()
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case list() if value and all(isinstance(item, tuple) for item in value):  # how Arrow gives a map
            return {str(key): plain(item) for key, item in value}
        case list():
            return [plain(item) for item in value]
        case _:
            return str(value)


def _instant(value: datetime) -> str:
    return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def text(value: Any) -> str:
    """Return a value as a cell of text; null is empty."""
    simple = plain(value)
    if isinstance(simple, bool):
        return str(simple).lower()
    if isinstance(simple, (dict, list)):
        return json.dumps(simple, ensure_ascii=False)
    return "" if simple is None else str(simple)


def cell(value: Any) -> str:
    """Return a value as a cell of a table for people, in which an image is no page of digits."""
    if isinstance(value, bytes) and len(value) > SHOWN_BYTES:
        return f"{value[:SHOWN_BYTES].hex()}… ({len(value):,} bytes)"
    return text(value)


def rows_of(reader: pa.RecordBatchReader) -> Iterator[list[Any]]:
    """Yield the rows, one batch in memory at a time."""
    for batch in reader:
        columns = [column.to_pylist() for column in batch.columns]  # by position: names may repeat
        yield from (list(row) for row in zip(*columns, strict=True))


def write_csv(reader: pa.RecordBatchReader, out: TextIO) -> None:
    """Write a header and the rows."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(reader.schema.names)
    writer.writerows([text(value) for value in row] for row in rows_of(reader))


def write_json(reader: pa.RecordBatchReader, out: TextIO) -> None:
    """Write one array with an object per row and line."""
    names = reader.schema.names
    out.write("[")
    for number, row in enumerate(rows_of(reader)):
        values = {name: plain(value) for name, value in zip(names, row, strict=True)}
        out.write(("," if number else "") + "\n" + json.dumps(values, ensure_ascii=False))
    out.write("\n]\n")


def write_table(reader: pa.RecordBatchReader, console: Console, limit: int) -> None:
    """Write at most `limit` rows as a table, and say so where there are more."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for field in reader.schema:
        is_number = any(test(field.type) for test in NUMBERS)
        table.add_column(escape(field.name), justify="right" if is_number else "left", overflow="fold")
    rows = rows_of(reader)
    for row in itertools.islice(rows, limit):
        table.add_row(*(escape(cell(value)) for value in row))
    console.print(table)
    if next(rows, None) is not None:
        console.print(f"[dim]the first {limit} rows; more: --limit, all: --format csv[/dim]")
    elif not table.row_count:
        console.print("[dim]no rows[/dim]")
