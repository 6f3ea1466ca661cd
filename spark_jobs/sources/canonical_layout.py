"""Our own layout for anybody's feed: canonical/<trades|quotes>/<feed>/<yyyy-mm-dd>[_<part>].csv[.gz|.zip] or .parquet.

A header names the columns, in any order; docs/sources.md is the page for whoever writes such files. One file holds any
number of instruments. A row whose instrument can't be told is kept under UNKNOWN.<FEED> with its whole line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from spark_jobs.sources.base import Claim, Rows, UnreadableFileError
from spark_jobs.sources.clock import DayCheck, parse_day, parse_epoch, parse_integers, parse_iso
from spark_jobs.sources.lines import Lines, read_lines
from spark_jobs.sources.parquet_lines import read_parquet
from spark_jobs.sources.sides import aggressor_side

INSTRUMENT_ID = re.compile(r"[A-Z0-9][A-Z0-9_-]*\.[A-Z0-9][A-Z0-9_]*")
TIME_COLUMNS = {"ts_event": "iso", "ts_event_ms": "ms", "ts_event_us": "us", "ts_event_ns": "ns"}
"""Exactly one of them; the name says the unit, so that no value has to be guessed from."""


@dataclass(frozen=True)
class CanonicalFeed:
    """The canonical files of one dataset. Columns are bronze's raw columns by the name that a file gives them."""

    name: str
    dataset: str
    required: dict[str, str]
    optional: dict[str, str]

    def claim(self, path: str) -> Claim | None:
        """Claim one feed's day or a part of it."""
        match = self._match(path)
        if match is None:
            return None
        day = parse_day(match["day"])
        if day is None:
            return None
        return Claim(self.name, self.dataset, path, day, delivery_part=match["part"] or "")

    def read(self, content: bytes, claim: Claim) -> Iterator[Rows]:
        """Yield the rows; refuse the file whose columns or whose day are others."""
        match = self._match(claim.path)
        if match is None or claim.delivery_date is None:
            raise ValueError(f"{claim.path} was not claimed by {self.name}")
        unknown = f"UNKNOWN.{match['feed'].upper()}"
        check = DayCheck(claim.delivery_date)
        read = read_parquet if claim.path.endswith(".parquet") else read_lines
        for lines in read(content, claim.path, self.check_header):
            rows = self._rows(lines, unknown)
            check.add(rows.ts_event)
            yield rows
        check.finish()

    def check_header(self, names: Sequence[str]) -> tuple[tuple[str, ...], bool]:
        """Take the first line for the header that it must be.

        Raises:
            UnreadableFileError: a column is missing, unknown or named twice.
        """
        found = [name.strip() for name in names]
        times = [name for name in found if name in TIME_COLUMNS]
        known = {"instrument_id", *self.required, *self.optional, *TIME_COLUMNS}
        missing = {"instrument_id", *self.required} - set(found)
        if missing or len(times) != 1 or set(found) - known or len(set(found)) != len(found):
            raise UnreadableFileError(
                f"expected a header with instrument_id, one of {', '.join(TIME_COLUMNS)}, {', '.join(self.required)} "
                f"and optionally {', '.join(self.optional)}; found {','.join(found)[:500]!r}"
            )
        return tuple(found), True

    def _match(self, path: str) -> re.Match[str] | None:
        return re.fullmatch(
            rf"(?:.*/)?canonical/{self.dataset}/(?P<feed>[A-Za-z0-9][A-Za-z0-9_]*)/"
            r"(?P<day>\d{4}-\d\d-\d\d)(?:_(?P<part>\d{1,4}))?\.(?:csv|csv\.gz|csv\.zip|parquet)",
            path,
        )

    def _rows(self, lines: Lines, unknown: str) -> Rows:
        fields = lines.fields
        time = next(name for name in TIME_COLUMNS if name in fields)
        columns = {"raw_time": time}
        columns |= {raw_name: name for name, raw_name in (self.required | self.optional).items() if name in fields}
        raw = lines.raw(**columns)
        is_known = has_instrument(fields["instrument_id"])
        instrument_id = fields["instrument_id"]
        if not pc.all(is_known).as_py():
            instrument_id = pc.if_else(is_known, instrument_id, unknown)
            whole = pc.binary_join_element_wise(*fields.values(), ",", null_handling="replace", null_replacement="")
            raw["raw_line"] = pc.coalesce(
                lines.raw_line if lines.raw_line is not None else pa.nulls(len(is_known), pa.string()),
                pc.if_else(is_known, pa.scalar(None, pa.string()), whole),
            )
        return Rows(
            member=lines.member.name,
            member_index=lines.member.index,
            lines=lines.numbers,
            ts_event=_parse_times(fields[time], TIME_COLUMNS[time]),
            subject=instrument_id,
            aggressor_side=aggressor_side(raw["raw_side"]) if "raw_side" in raw else None,
            raw=raw,
        )


def has_instrument(texts: pa.Array) -> pa.Array:
    """Tell which texts are instrument ids; false where null. Few differ, so each is looked at once."""
    different = texts.dictionary_encode()
    is_id = [bool(INSTRUMENT_ID.fullmatch(text)) for text in different.dictionary.to_pylist()]
    return pc.fill_null(pa.array(is_id, pa.bool_()).take(different.indices), False)


def _parse_times(texts: pa.Array, unit: str) -> pa.Array:
    return parse_iso(texts) if unit == "iso" else parse_epoch(parse_integers(texts), unit)
