"""Dialects as YAML files: read and checked, with file and line in every error."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources

from lakehouse.reference.declaration import parse_declaration, refuse_twins
from spark_jobs.sources.dialect import Dialect


def parse_dialect(text: str, path: str) -> Dialect:
    """Read a dialect.

    Raises:
        BadInputError: the file is no YAML or says something that no dialect says; names file and line.
    """
    return parse_declaration(text, path, Dialect, "a dialect (name, paths, header, ...)", "docs/dialects.md")


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
    refuse_twins([(path, dialect.name) for path, dialect in named], "dialect")
    return tuple(dialect for _, dialect in named)
