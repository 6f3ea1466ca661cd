"""A query's result as text: bytes are shortened for people and whole for programs."""

from __future__ import annotations

import io
import json

import pyarrow as pa
from rich.console import Console

from lakehouse.queries.render import write_csv, write_json, write_table

IMAGE = bytes(range(256)) * 4
ROWS = pa.table({"image_id": ["a", "b", "c"], "pixels": pa.array([IMAGE, b"\x01\xff", None], pa.binary())})


def test_write_table_shows_the_first_bytes_and_how_many_there_are():
    out = io.StringIO()
    write_table(ROWS.to_reader(), Console(file=out, width=80), 10)
    assert [line.split() for line in out.getvalue().splitlines()] == [
        ["image_id", "pixels"],
        ["a", "0001020304050607…", "(1,024", "bytes)"],
        ["b", "01ff"],
        ["c"],
    ]


def test_csv_and_json_have_every_byte_as_hex():
    out = io.StringIO()
    write_csv(ROWS.to_reader(), out)
    assert out.getvalue() == f"image_id,pixels\na,{IMAGE.hex()}\nb,01ff\nc,\n"
    out = io.StringIO()
    write_json(ROWS.to_reader(), out)
    assert [row["pixels"] for row in json.loads(out.getvalue())] == [IMAGE.hex(), "01ff", None]
