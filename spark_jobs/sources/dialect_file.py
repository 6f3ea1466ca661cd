"""Dialects as YAML files: read and checked, with file and line in every error."""

from __future__ import annotations

from functools import cache
from importlib import resources

from lakehouse.reference.declaration import parse_all, parse_declaration
from spark_jobs.sources.dialect import Dialect


def parse_dialect(content: str | bytes, path: str) -> Dialect:
    """Read a dialect.

    Raises:
        BadInputError: the file is not YAML, or has what no dialect has; names every fault with file and line.
    """
    return parse_declaration(content, path, Dialect, "docs/dialects.md")


@cache
def our_dialects() -> tuple[Dialect, ...]:
    """Return the dialects that come with the package."""
    folder = resources.files("spark_jobs.sources") / "meters"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name)
    return parse_all([(file.name, file.read_bytes()) for file in files], parse_dialect, "dialect")
