"""YAML with the line of every value, so that an error in a configuration names file and line.

Plain data alone: safe tags, no duplicate keys, text keys.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lakehouse.errors import BadInputError

Place = tuple[str | int, ...]
"""Where a value stands: the keys and positions that lead to it."""


@dataclass
class Document:
    """The values of a file and where each stands; `origins` also names values that came from elsewhere."""

    source: str
    values: dict[str, Any]
    lines: dict[Place, int]
    origins: dict[Place, str] = field(default_factory=dict)

    def where(self, place: Place) -> str:
        """Return `file:line` of a value, of what holds it where it is missing, or what else it came from."""
        for length in range(len(place), -1, -1):
            if place[:length] in self.origins:
                return self.origins[place[:length]]
            if place[:length] in self.lines:
                return f"{self.source}:{self.lines[place[:length]]}"
        return self.source


def read_yaml(path: Path) -> Document:
    """Read a file whose top is a mapping.

    Raises:
        BadInputError: no such file, not YAML, a tag that is not plain data, or a key that stands there twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path}: expected UTF-8, byte {error.start} is not") from None
    return parse_yaml(text, path.name)


def parse_yaml(text: str, source: str) -> Document:
    """Read a text whose top is a mapping; `source` is named in errors.

    Raises:
        BadInputError: as for `read_yaml`.
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise BadInputError(f"{source}:1: expected a mapping of keys to values")
        lines: dict[Place, int] = {(): 1}
        values = _construct(loader, node, (), lines, source)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise BadInputError(f"{source}:{line}: {getattr(error, 'problem', None) or 'not YAML'}") from None
    finally:
        loader.dispose()
    return Document(source, values, lines)


def parse_value(text: str) -> Any:
    """Read one value as YAML writes it: 63 is a number, true a truth value, [1, 24] a list.

    Raises:
        BadInputError: the text is not YAML.
    """
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise BadInputError(f"expected a value as YAML writes it, found {text!r}") from None


def _construct(loader: yaml.SafeLoader, node: yaml.Node, place: Place, lines: dict[Place, int], source: str) -> Any:
    if isinstance(node, yaml.MappingNode):
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = loader.construct_object(key_node)
            line = key_node.start_mark.line + 1
            if not isinstance(key, str):
                raise BadInputError(f"{source}:{line}: expected a name as key, found {key!r}")
            if key in values:
                raise BadInputError(f"{source}:{line}: {key} stands there twice, first in line {lines[(*place, key)]}")
            lines[(*place, key)] = line
            values[key] = _construct(loader, value_node, (*place, key), lines, source)
        return values
    if isinstance(node, yaml.SequenceNode):
        items = []
        for position, item in enumerate(node.value):
            lines[(*place, position)] = item.start_mark.line + 1
            items.append(_construct(loader, item, (*place, position), lines, source))
        return items
    return loader.construct_object(node)
