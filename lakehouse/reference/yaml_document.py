"""YAML with the line of every value: plain data alone, read strictly, every fault of a text found at once.

What hides a mistake or costs without limit is refused: a key that is given twice, tags, aliases, keys that are not
names, a second document, more than MAX_SIZE, deeper than MAX_DEPTH. Without quotes only null, true, false and
decimal numbers are not texts: `no`, `010`, `12:30` and `2024-08-08` stay as they are written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lakehouse.errors import BadInputError

Place = tuple[str | int, ...]
"""Where a value stands: the keys and positions that lead to it."""
Fault = tuple[int, str]
"""A line, and what is wrong there: file, line and words."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C is ten times as fast; PyYAML may be built without it."""
MAX_SIZE = 1 << 18
"""In bytes; the largest declaration that comes with the package has 3,000."""
MAX_DEPTH = 20
CONSTANTS: dict[str, bool | None] = {"": None, "~": None, "null": None, "true": True, "false": False}
INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
DECIMAL = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
NOT_FINITE = {".nan": math.nan, ".inf": math.inf, "-.inf": -math.inf}


@dataclass
class Document:
    """The values of a text and where each stands; `origins` also names values that came from elsewhere."""

    source: str
    values: dict[str, Any]
    lines: dict[Place, int]
    origins: dict[Place, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def line(self, place: Place) -> int:
        """Return the line of a value, or of what would hold it if it is missing; 0 for one that came from elsewhere."""
        for length in range(len(place), -1, -1):
            if place[:length] in self.origins:
                return 0
            if place[:length] in self.lines:
                return self.lines[place[:length]]
        return 0

    def where(self, place: Place) -> str:
        """Return `file:line` of a value, of what would hold it if it is missing, or what else it came from."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.origins:
                return self.origins[place[:length]]
        return f"{self.source}:{self.line(place)}" if self.line(place) else self.source

    def fault(self, place: Place, words: str) -> Fault:
        """Return what is wrong with a value, with its place before the words."""
        name = ".".join(map(str, place))
        return self.line(place), ": ".join(part for part in (self.where(place), name, words) if part)

    def refuse(self, faults: list[Fault], page: str = "") -> None:
        """Demand that neither the text nor whoever checked its values found a fault.

        Raises:
            BadInputError: every fault, in the order of the lines, in one line; `page` is where the keys are explained.
        """
        at_text = {line for line, _ in self.faults}
        # What a fault of the text leads to says nothing new
        found = self.faults + [(line, words) for line, words in faults if not line or line not in at_text]
        if found:
            words = [words for _, words in sorted(found, key=lambda fault: fault[0])]
            raise BadInputError("; ".join(words) + (f"; see {page}" if page else ""))


def read_yaml(path: Path) -> Document:
    """Read a file whose top is a mapping.

    Raises:
        BadInputError: there is no such file, it is too large or not UTF-8.
    """
    try:
        with path.open("rb") as file:
            return parse_yaml(file.read(MAX_SIZE + 1), path.name)
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror}") from None


def parse_yaml(content: str | bytes, source: str) -> Document:
    """Read a text whose top is a mapping; `source` is named in errors.

    Raises:
        BadInputError: it is not YAML, not UTF-8, too large or too deep. Other faults are kept in the document, so that
            whoever checks the values can name all together: `Document.refuse`.
    """
    if len(content) > MAX_SIZE:
        raise BadInputError(f"{source}: expected at most {MAX_SIZE:,} bytes, found more")
    try:
        text = content.decode() if isinstance(content, bytes) else content
    except UnicodeDecodeError as error:
        raise BadInputError(f"{source}: expected UTF-8, byte {error.start} is not") from None
    builder = _Builder(text, source)
    values = builder.build()
    if not isinstance(values, dict):
        builder.complain(1, "expected a mapping of keys to values")
        values = {}
    return Document(source, values, builder.lines, faults=builder.faults)


def parse_value(text: str) -> Any:
    """Read one value as a file writes it: 63 is a number, true a truth value, [1, 24] a list.

    Raises:
        BadInputError: the text is not YAML, or has what a file may not have.
    """
    builder = _Builder(text, "value")
    try:
        value = builder.build()
    except BadInputError:
        value, builder.faults = None, [(1, "")]
    if builder.faults:
        raise BadInputError(f"expected a value as YAML writes it, found {text!r}")
    return value


class _Builder:
    """Values out of the parser's events: the parser resolves nothing, so every scalar is read by the rules here."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self.lines: dict[Place, int] = {(): 1}
        self.faults: list[Fault] = []
        self.events = self._parse(text)

    def complain(self, line: int, words: str) -> None:
        self.faults.append((line, f"{self.source}:{line}: {words}"))

    def build(self) -> Any:
        """Return the value of the whole text."""
        value: Any = None
        documents = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self.complain(event.start_mark.line + 1, "expected one document, found a second one")
                    break
                value = self._value(next(self.events), ())
        return value

    def _parse(self, text: str) -> Iterator[Any]:
        try:
            yield from yaml.parse(text, Loader=LOADER)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = mark.line + 1 if mark else text.count("\n", 0, getattr(error, "position", None) or 0) + 1
            why = getattr(error, "problem", None) or getattr(error, "reason", None) or error
            self.complain(line, f"expected YAML, found an error: {why}")
            raise BadInputError("; ".join(words for _, words in self.faults)) from None

    def _value(self, event: Any, place: Place) -> Any:
        line = event.start_mark.line + 1
        if len(place) > MAX_DEPTH:
            self.complain(line, f"expected at most {MAX_DEPTH} levels, found more")
            raise BadInputError("; ".join(words for _, words in self.faults))
        if isinstance(event, yaml.AliasEvent):
            self.complain(line, f"*{event.anchor}: aliases are not read; write the value itself")
            return None
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.complain(line, f"{tag}: tags are not read; write plain values")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(place)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(place)
        return event.value if event.style in ("'", '"', "|", ">") else _plain(event.value)

    def _mapping(self, place: Place) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            line = event.start_mark.line + 1
            key = self._value(event, (*place, ""))
            spot: Place = (*place, str(key))
            if isinstance(key, str) and key not in values:
                self.lines[spot] = line
                values[key] = self._value(next(self.events), spot)
                continue
            if isinstance(key, str):
                self.complain(line, f"{key} is given twice, first in line {self.lines[spot]}")
            else:
                self.complain(line, f"expected a name as key, found {key!r}")
            # Read for its faults only: the lines of the first stay
            kept, self.lines = self.lines, {}
            self._value(next(self.events), spot)
            self.lines = kept
        return values

    def _sequence(self, place: Place) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            spot = (*place, len(items))
            self.lines[spot] = event.start_mark.line + 1
            items.append(self._value(event, spot))
        return items


def _plain(text: str) -> Any:
    """Read a scalar without quotes."""
    if text in CONSTANTS:
        return CONSTANTS[text]
    if INTEGER.fullmatch(text):
        return int(text)
    if text in NOT_FINITE:
        return NOT_FINITE[text]
    if DECIMAL.fullmatch(text) and not text.lstrip("-+").isdecimal() and math.isfinite(float(text)):
        return float(text)
    return text  # also a number that is too large: nothing that takes a number takes it
