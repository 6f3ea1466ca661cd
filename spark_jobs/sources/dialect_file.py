"""Dialects as YAML files: read and checked, with file and line in every error."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources

import yaml
from pydantic import ValidationError

from lakehouse.errors import BadInputError
from spark_jobs.sources.dialect import Dialect


def parse_dialect(text: str, path: str) -> Dialect:
    """Read a dialect.

    Raises:
        BadInputError: the file is no YAML or says something that no dialect says; names file and line.
    """
    try:
        node = yaml.compose(text, yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else path
        raise BadInputError(f"{where}: expected YAML, found {getattr(error, 'problem', None) or error}") from None
    if not isinstance(values, dict):
        raise BadInputError(f"{path}:1: expected the keys of a dialect (name, paths, header, ...), found no mapping")
    try:
        return Dialect(**{str(key): value for key, value in values.items()})
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        keys = ".".join(str(part) for part in first["loc"])
        words = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        place = f"{path}:{line_of(node, first['loc'])}: "
        raise BadInputError(f"{place}{keys + ': ' if keys else ''}{words}; see docs/dialects.md") from None


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


@cache
def our_dialects() -> tuple[Dialect, ...]:
    """Return the dialects that come with the package."""
    folder = resources.files("spark_jobs.sources") / "meters"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name)
    return distinct([(file.name, parse_dialect(file.read_text("utf-8"), file.name)) for file in files])


def distinct(named: Sequence[tuple[str, Dialect]]) -> tuple[Dialect, ...]:
    """Return the dialects of some files.

    Raises:
        BadInputError: two have one name.
    """
    seen: dict[str, str] = {}
    for path, dialect in named:
        if dialect.name in seen:
            raise BadInputError(
                f"{path} and {seen[dialect.name]} both declare the dialect {dialect.name!r}; rename one"
            )
        seen[dialect.name] = path
    return tuple(dialect for _, dialect in named)
