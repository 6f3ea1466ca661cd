"""Text members as lines split into fields: Arrow columns of texts with the physical number of each line.

A line that can't be split into its fields stays a row, with every field null and the whole line in `raw_line`. A byte
that is no UTF-8 and a carriage return inside a line become U+FFFD, so that they spoil their own field and nothing else.
Unless a layout says otherwise, fields are parted by commas and not quoted: a quotation mark is a character like any
other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from spark_jobs.sources.base import UnreadableFileError
from spark_jobs.sources.unpack import MIB, Member, read_members

MAX_LINE_BYTES = MIB
"""A longer line is no tick but a file that lost its line ends."""
REPLACEMENT = "\ufffd".encode()
LONE_RETURN = re.compile(rb"\r(?!\n)")


@dataclass(frozen=True)
class Layout:
    """How lines are written, and which members of an archive hold them; a quoted field never holds a line end."""

    separator: str = ","
    quote: str | None = None
    endings: tuple[str, ...] = (".csv",)
    skip: frozenset[str] = frozenset()
    """Fields that are not kept."""


COMMAS = Layout()

FirstLine = Callable[[Sequence[str]], tuple[tuple[str, ...], bool]]
"""Given the first line's fields, name the columns and say whether that line was a header."""


@dataclass(frozen=True)
class Lines:
    """Consecutive lines of one member. `raw_line` is null where the line was split, and None where all were."""

    member: Member
    numbers: npt.NDArray[np.int64]
    fields: dict[str, pa.Array]
    raw_line: pa.Array | None

    def raw(self, **columns: str) -> dict[str, pa.Array]:
        """The texts by bronze's column names, given which field each column holds; an empty trade id is none."""
        texts = {column: self.fields[name] for column, name in columns.items()}
        if (ids := texts.get("raw_trade_id")) is not None and pc.any(pc.equal(ids, "")).as_py():
            texts["raw_trade_id"] = pc.if_else(pc.equal(ids, ""), pa.scalar(None, pa.string()), ids)
        return texts if self.raw_line is None else texts | {"raw_line": self.raw_line}


def without_header(*names: str) -> FirstLine:
    """Expect these columns and no header."""
    return lambda first: (names, False)


def with_optional_header(names: Sequence[str], aliases: Sequence[frozenset[str]]) -> FirstLine:
    """Expect these columns; a first line whose fields are all known names of them is a header.

    Aliases are compared in lower case without underscores.
    """

    def look(first: Sequence[str]) -> tuple[tuple[str, ...], bool]:
        folded = [text.strip().lower().replace("_", "") for text in first]
        is_header = len(folded) == len(aliases) and all(f in a for f, a in zip(folded, aliases, strict=True))
        return tuple(names), is_header

    return look


def read_lines(
    content: bytes,
    path: str,
    first_line: FirstLine,
    skip: frozenset[str] = frozenset(),
    layout: Layout = COMMAS,
) -> Iterator[Lines]:
    """Yield the lines of every member; the fields named in `skip` are not kept either.

    Raises:
        UnreadableFileError: the file can't be unpacked, is no text, has a line over 1 MiB, or no line has the fields.
    """
    layout = replace(layout, skip=layout.skip | skip)
    lines_seen = lines_split = 0
    names: tuple[str, ...] = ()
    for member in read_members(content, path, layout.endings):
        number = 1
        for block in _whole_lines(member):
            text = _check_text(block, member, number)
            if number == 1:
                text = text.removeprefix(b"\xef\xbb\xbf")
                names, is_header = first_line(_first_fields(text, layout.separator))
                if is_header:
                    text = text[text.find(b"\n") + 1 :] if b"\n" in text else b""
                    number = 2
            if not text:
                continue
            lines, split_count = _split(text, member, number, names, layout)
            number += len(lines.numbers)
            lines_seen += len(lines.numbers)
            lines_split += split_count
            yield lines
    if lines_seen and not lines_split:
        raise UnreadableFileError(f"none of its {lines_seen} lines has the {len(names)} fields {','.join(names)}")


def _whole_lines(member: Member) -> Iterator[bytes]:
    """Cut the chunks between lines; a blank line at the very end is dropped."""
    carry = b""
    ahead = next(member.chunks, b"")
    while ahead:
        text = carry + ahead
        ahead = next(member.chunks, b"")
        if not ahead:
            carry = text
            break
        cut = text.rfind(b"\n") + 1
        carry = text[cut:]
        if len(carry) > MAX_LINE_BYTES:
            raise UnreadableFileError(f"{_place(member)}a line is longer than {MAX_LINE_BYTES} bytes")
        if cut:
            yield text[:cut]
    if rest := _drop_blank_end(carry):
        yield rest


def _drop_blank_end(text: bytes) -> bytes:
    if text in (b"\n", b"\r\n", b"\r"):
        return b""
    if text.endswith(b"\r"):  # a cut CRLF
        return text[:-1]
    for blank in (b"\n\n", b"\n\r\n"):
        if text.endswith(blank):
            return text[: 1 - len(blank)]
    return text


def _check_text(block: bytes, member: Member, number: int) -> bytes:
    """Refuse a block that is not text, and replace single bytes."""
    if b"\0" in block or (number == 1 and block.startswith((b"\xff\xfe", b"\xfe\xff"))):
        raise UnreadableFileError(f"{_place(member)}NUL bytes or a UTF-16 mark; expected UTF-8 text")
    start = 0
    while start + MAX_LINE_BYTES < len(block):
        end = block.rfind(b"\n", start, start + MAX_LINE_BYTES + 1)
        if end < 0:
            line = number + block.count(b"\n", 0, start)
            raise UnreadableFileError(f"{_place(member)}line {line} is longer than {MAX_LINE_BYTES} bytes")
        start = end + 1
    if not block.isascii():
        try:
            block.decode()
        except UnicodeDecodeError:
            block = block.decode(errors="replace").encode()
    if b"\r" in block and block.count(b"\r") != block.count(b"\r\n"):
        block = LONE_RETURN.sub(REPLACEMENT, block)
    return block


def _place(member: Member) -> str:
    return f"member {member.name}: " if member.name else ""


def _first_fields(text: bytes, separator: str) -> list[str]:
    return text.partition(b"\n")[0].rstrip(b"\r").decode().split(separator)


def _split(text: bytes, member: Member, first_number: int, names: tuple[str, ...], layout: Layout) -> tuple[Lines, int]:
    """Split one block; also return how many lines could be split."""
    malformed: list[tuple[int, str]] = []

    def remember(row: csv.InvalidRow) -> str:
        malformed.append((row.number - 1, row.text.rstrip("\r\n")))
        return "skip"

    kept = [name for name in names if name not in layout.skip]
    table = csv.read_csv(
        pa.BufferReader(text),
        csv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=list(names)),
        csv.ParseOptions(
            delimiter=layout.separator,
            quote_char=layout.quote or False,
            double_quote=layout.quote is not None,
            ignore_empty_lines=False,
            invalid_row_handler=remember,
        ),
        csv.ConvertOptions(
            check_utf8=False,  # _check_text has
            column_types=dict.fromkeys(names, pa.string()),
            include_columns=kept,
            strings_can_be_null=False,
        ),
    )
    fields = {name: _one_chunk(table.column(name)) for name in kept}
    count = len(table) + len(malformed)
    numbers = np.arange(first_number, first_number + count, dtype=np.int64)
    # Arrow takes a blank line for a row of empty fields, so without an empty first field there is none.
    has_empty = pc.min(pc.binary_length(fields[kept[0]])).as_py() == 0
    blank = _blank_lines(text) if has_empty else np.empty(0, dtype=np.int64)
    if not malformed and not blank.size:
        return Lines(member, numbers, fields, None), count
    is_split = np.ones(count, dtype=bool)
    is_split[[index for index, _ in malformed]] = False
    whole_lines = np.full(count, None, dtype=object)
    for index, line in malformed:
        whole_lines[index] = line
    position = np.cumsum(is_split) - 1
    is_split[blank] = False
    whole_lines[blank] = ""
    take = pa.array(position, mask=~is_split)
    fields = {name: column.take(take) for name, column in fields.items()}
    return Lines(member, numbers, fields, pa.array(whole_lines, pa.string())), int(is_split.sum())


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pc.cast(column.combine_chunks(), pa.string())


def _blank_lines(text: bytes) -> npt.NDArray[np.int64]:
    """Indices of the blank lines of a block, from 0."""
    ends = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ord("\n"))
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts
    is_return = np.frombuffer(text, dtype=np.uint8)[starts] == ord("\r")
    return np.flatnonzero((lengths == 0) | ((lengths == 1) & is_return)).astype(np.int64)
