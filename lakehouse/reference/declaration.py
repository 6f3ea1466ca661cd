"""Declarations (dialects, image sets, models): YAML checked against a schema, every fault named with file and line."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from lakehouse.errors import BadInputError
from lakehouse.reference.yaml_document import Document, Fault, Place, parse_yaml


class Declared(BaseModel):
    """A part of a declaration: no unknown keys, no conversion of a text to a number, no change once it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class ContradictionError(ValueError):
    """What is wrong with parts of a declaration that are sound each by itself: the words for each place."""

    def __init__(self, found: Sequence[tuple[Place, str]]) -> None:
        super().__init__("; ".join(words for _, words in found))
        self.found = tuple(found)


class Named(Protocol):
    """A declaration with a name of its own."""

    @property
    def name(self) -> str:
        """The name that no other declaration of the kind has."""


_Declaration = TypeVar("_Declaration", bound=Declared)
_Named = TypeVar("_Named", bound=Named)


def parse_declaration(content: str | bytes, path: str, kind: type[_Declaration], page: str) -> _Declaration:
    """Read one declaration; `page` is where its keys are explained.

    Raises:
        BadInputError: the file is not YAML, or has what no declaration of the kind has; names every fault.
    """
    return check(parse_yaml(content, path), kind, page)


def check(document: Document, kind: type[_Declaration], page: str = "") -> _Declaration:
    """Check the values of a document against a schema.

    Raises:
        BadInputError: every fault of the text and of the values, each with its file and line, in one line.
    """
    try:
        # JSON mode: a list may become a tuple and a text a date; numbers and truth values stay what they are
        checked = kind.model_validate_json(json.dumps(document.values))
    except ValidationError as error:
        items: list[dict[str, Any]] = [dict(item) for item in error.errors(include_url=False)]
        # A list of which an item is wrong is also said to be too short
        places: list[tuple[int | str, ...]] = [item["loc"] for item in items]
        caused = {place[:length] for place in places for length in range(len(place))}
        own = [item for item in items if not (item["type"] == "too_short" and item["loc"] in caused)]
        document.refuse([fault for item in own for fault in _faults(document, kind, item)], page)
        raise
    document.refuse([], page)
    return checked


def parse_all(
    texts: Iterable[tuple[str, bytes]], parse: Callable[[bytes, str], _Named], what: str
) -> tuple[_Named, ...]:
    """Read the declarations of several files, given as path and content; `what` names the kind in an error.

    Raises:
        BadInputError: the faults of all files, or two of them declare one name.
    """
    found: dict[str, tuple[str, _Named]] = {}
    complaints = []
    for path, content in texts:
        try:
            declared = parse(content, path)
        except BadInputError as error:
            complaints.append(str(error))
            continue
        if declared.name in found:
            other = found[declared.name][0]
            complaints.append(f"{path} and {other} both declare the {what} {declared.name!r}; rename one")
        found.setdefault(declared.name, (path, declared))
    if complaints:
        raise BadInputError("; ".join(complaints))
    return tuple(declared for _, declared in found.values())


def _faults(document: Document, kind: type[Declared], item: Mapping[str, Any]) -> list[Fault]:
    """Return where and how something is not as the schema says."""
    place: Place = tuple(part for part in item["loc"] if part != "[key]")
    error = item.get("ctx", {}).get("error")
    if isinstance(error, ContradictionError):
        return [document.fault((*place, *inner), words) for inner, words in error.found]
    if item["type"] == "missing":
        return [document.fault(place, "missing")]
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(place[-1]), _keys(kind, place[:-1]), n=1)
        return [document.fault(place, "unknown key" + (f" (did you mean {near[0]}?)" if near else ""))]
    words = item["msg"].removeprefix("Value error, ")
    found = repr(item["input"]) if isinstance(item["input"], (str, int, float, bool)) else ""
    if found and "found" not in words and found not in words:
        words += f", found {found}"
    return [document.fault(place, f"{words[:1].lower()}{words[1:]}")]


def _keys(kind: Any, place: Place) -> list[str]:
    """Return the keys that a schema knows at a place."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if not place:
            return list(kind.model_fields)
        field = kind.model_fields.get(str(place[0]))
        return _keys(field.annotation, place[1:]) if field else []
    if place and get_origin(kind) in (dict, list, tuple):
        return _keys(get_args(kind)[1 if get_origin(kind) is dict else 0], place[1:])
    return [key for inner in get_args(kind) for key in _keys(inner, place)]
