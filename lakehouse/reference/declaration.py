"""Declarations as YAML files (dialects of meters, image sets): read and checked, with file and line in every error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from lakehouse.errors import BadInputError

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C is ten times as fast, where PyYAML was built with it."""


class Declared(BaseModel):
    """A part of a declaration: no unknown keys, no conversion of a text to a number, no change once it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


_Declaration = TypeVar("_Declaration", bound=Declared)


def parse_declaration(text: str, path: str, kind: type[_Declaration], keys: str, page: str) -> _Declaration:
    """Read one declaration; `keys` tells in an error what the file should hold, `page` where that is explained.

    Raises:
        BadInputError: the file is no YAML or says something that no declaration says; names file and line.
    """
    try:
        values = yaml.load(text, LOADER)  # noqa: S506  # one of the two is safe_load's
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else path
        raise BadInputError(f"{where}: expected YAML, found {getattr(error, 'problem', None) or error}") from None
    if not isinstance(values, dict):
        raise BadInputError(f"{path}:1: expected the keys of {keys}, found no mapping")
    try:
        return kind(**{str(key): value for key, value in values.items()})
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        named = ".".join(str(part) for part in first["loc"])
        words = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        place = f"{path}:{line_of(yaml.compose(text, LOADER), first['loc'])}: "
        raise BadInputError(f"{place}{named + ': ' if named else ''}{words}; see {page}") from None


def line_of(node: yaml.Node, location: tuple[int | str, ...]) -> int:
    """Return the line of a key, or of the nearest one around it that is there."""
    line: int = node.start_mark.line + 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    line, node = key.start_mark.line + 1, value
                    break
            else:
                return line
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line
    return line


def refuse_twins(named: Sequence[tuple[str, str]], what: str) -> None:
    """Demand that the files (path, declared name) declare different names.

    Raises:
        BadInputError: two declare one name.
    """
    seen: dict[str, str] = {}
    for path, name in named:
        if name in seen:
            raise BadInputError(f"{path} and {seen[name]} both declare the {what} {name!r}; rename one")
        seen[name] = path
