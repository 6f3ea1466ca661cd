"""freqtrade's downloaded trades, <BASE>_<QUOTE>-trades.json[.gz]: [[ms, id, type, side, price, amount, cost], ...].

The file covers whatever was downloaded, so its rows are delivered on their own days. It is one JSON text without lines:
the line of a row is its place in the list. Numbers are taken as the text that stands there. `side` is the taker's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_jobs.sources.base import Claim, Rows, UnreadableFileError
from spark_jobs.sources.clock import parse_epoch, parse_integers
from spark_jobs.sources.sides import aggressor_side
from spark_jobs.sources.unpack import MIB, read_members

PATH = re.compile(
    r"(?:.*/)?(?P<folder>[A-Za-z0-9][A-Za-z0-9_]*)/(?P<base>[A-Z0-9]+)_(?P<quote>[A-Z0-9]+)-trades\.json(?:\.gz)?"
)
FIELDS = ("raw_time", "raw_trade_id", None, "raw_side", "raw_price", "raw_size", None)
MAX_TEXT_BYTES = 1024 * MIB
"""The list has no lines to cut it at, so the text is in memory whole."""
ROWS_PER_BATCH = 100_000
BLANKS = re.compile(r"[ \t\r\n]*")
DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)

Element = tuple[object, str]
"""One element of the list and the text it was read from."""


class FreqtradeTrades:
    """freqtrade's JSON trades; the folder that the file lies in is the venue."""

    name = "freqtrade_trades"
    dataset: str = "trades"

    def claim(self, path: str) -> Claim | None:
        """Claim one pair's trades: freqtrade/XRP_ETH-trades.json.gz is XRPETH.FREQTRADE."""
        match = PATH.fullmatch(path)
        if match is None:
            return None
        instrument_id = f"{match['base']}{match['quote']}.{match['folder'].upper()}"
        return Claim(self.name, self.dataset, path, delivery_date=None, subject=instrument_id)

    def read(self, content: bytes, claim: Claim) -> Iterator[Rows]:
        """Yield the list's elements; one that is no list of seven is a row with its text in raw_line."""
        elements = _read_elements(_read_text(content, claim.path))
        first_line = 1
        while batch := list(islice(elements, ROWS_PER_BATCH)):
            lines = np.arange(first_line, first_line + len(batch), dtype=np.int64)
            first_line += len(batch)
            yield _rows(batch, lines, claim.subject)


def _rows(batch: list[Element], lines: npt.NDArray[np.int64], instrument_id: str) -> Rows:
    split = [value if isinstance(value, list) and len(value) == len(FIELDS) else None for value, _ in batch]
    raw = {
        name: pa.array([_text(value[place]) if value else None for value in split], pa.string())
        for place, name in enumerate(FIELDS)
        if name
    }
    raw["raw_line"] = pa.array(
        [None if value else text for value, (_, text) in zip(split, batch, strict=True)], pa.string()
    )
    return Rows(
        member="",
        member_index=0,
        lines=lines,
        ts_event=parse_epoch(parse_integers(raw["raw_time"]), "ms"),
        subject=instrument_id,
        aggressor_side=aggressor_side(raw["raw_side"]),
        raw=raw,
    )


def _text(value: object) -> str | None:
    """Numbers are text already; what is neither number nor text is written as JSON again."""
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _read_text(content: bytes, path: str) -> str:
    pieces: list[bytes] = []
    size = 0
    for member in read_members(content, path):
        for chunk in member.chunks:
            size += len(chunk)
            if size > MAX_TEXT_BYTES:
                raise UnreadableFileError(f"more than {MAX_TEXT_BYTES // MIB} MiB of JSON in one list; split the file")
            pieces.append(chunk)
    try:
        return b"".join(pieces).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFileError(f"no UTF-8 text: {error.reason} at byte {error.start}") from None


def _read_elements(text: str) -> Iterator[Element]:
    """Decode the list element by element, so that its Python objects are never all in memory."""
    place = _skip_blanks(text, 0)
    if text[place : place + 1] != "[":
        raise UnreadableFileError(f"no JSON list: begins with {text[place : place + 20]!r}")
    place = _skip_blanks(text, place + 1)
    mark = text[place : place + 1]
    if mark == "]":
        place = _skip_blanks(text, place + 1)
    while mark != "]":
        try:
            value, end = DECODER.raw_decode(text, place)
        except json.JSONDecodeError as error:
            raise UnreadableFileError(f"broken JSON at character {error.pos}: {error.msg}") from None
        except RecursionError:
            raise UnreadableFileError(f"broken JSON at character {place}: lists within lists, too deep") from None
        yield value, text[place:end]
        place = _skip_blanks(text, end)
        mark = text[place : place + 1]
        if mark not in (",", "]"):
            raise UnreadableFileError(f"broken JSON at character {place}: expected , or ], found {mark or 'the end'}")
        place = _skip_blanks(text, place + 1)
    if place < len(text):
        raise UnreadableFileError(f"more text behind the JSON list, at character {place}: {text[place : place + 20]!r}")


def _skip_blanks(text: str, position: int) -> int:
    match = BLANKS.match(text, position)
    return match.end() if match else position


SOURCE = FreqtradeTrades()
