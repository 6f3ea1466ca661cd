"""The digest of the code that makes a table's rows: a change in it makes every slice of the table due again.

It is derived, not listed: the modules of the functions that a job names, and every module of this project that these
import in turn, as far as it makes rows (`transforms`, `spark_jobs.sources` and the domains' folders). The engine and
the layers are left out: they move rows and don't make them. A syntax tree without docstrings is hashed, so that a
comment or a docstring changes nothing; constants imported from elsewhere in the project count by their values, and
packages that make rows by their versions.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from lakehouse.config.project import ROOT

OUR_PACKAGES = ("lakehouse", "transforms", "spark_jobs")
MAKES_ROWS = ("transforms", "spark_jobs")
MOVES_ROWS = ("spark_jobs.engine", "spark_jobs.layers")
VERSIONED = {"talib": "ta-lib", "exchange_calendars": "exchange-calendars", "holidays": "holidays"}
"""Packages, by import name, whose rules or tables become rows. Polars, NumPy and Arrow compute what they are told."""
PLAIN = (str, bytes, int, float, bool, type(None))


def digest_of(*made_by: Any) -> str:
    """Return the digest of what functions, classes or modules do, with everything of the project that they import."""
    parts: set[str] = set()
    paths: set[Path] = set()
    waiting = [_path_of(each) for each in made_by]
    while waiting:
        path = waiting.pop()
        if path in paths:
            continue
        paths.add(path)
        tree = _parse(path)
        parts.add(f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name}\n{ast.dump(tree)}")
        for module, name in _imports(tree):
            if module.partition(".")[0] in VERSIONED:
                package = VERSIONED[module.partition(".")[0]]
                parts.add(f"{package} {version(package)}")
            found = _module_path(f"{module}.{name}" if name else module) or _module_path(module)
            if found is not None:
                waiting.append(found)
            elif name and module.partition(".")[0] in OUR_PACKAGES:
                parts.update(_value(module, name))
    return hashlib.sha256("\0".join(sorted(parts)).encode()).hexdigest()


def _path_of(made_by: Any) -> Path:
    unwrapped = inspect.unwrap(getattr(made_by, "func", made_by))
    file = made_by.__file__ if isinstance(made_by, ModuleType) else inspect.getsourcefile(unwrapped)
    if file is None:
        raise TypeError(f"expected a function, class or module with source code, found {made_by!r}")
    return Path(file).resolve()


@cache
def _parse(path: Path) -> ast.Module:
    """Parse a file and drop its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [  # type: ignore[attr-defined]  # checked above
                each for each in body if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
            ]
    return tree


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield module and name of every import; the name is empty if a module is imported whole."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)


@cache
def _module_path(module: str) -> Path | None:
    """Return the file of a module of ours that makes rows."""
    if module.partition(".")[0] not in MAKES_ROWS or module.startswith(MOVES_ROWS):
        return None
    parent = module.rpartition(".")[0]
    if parent and not _is_package(parent):
        return None
    spec = find_spec(module)
    return Path(spec.origin).resolve() if spec is not None and spec.origin is not None else None


def _is_package(module: str) -> bool:
    spec = find_spec(module)
    return spec is not None and spec.submodule_search_locations is not None


def _value(module: str, name: str) -> Iterator[str]:
    """Yield a constant of ours that is imported by name, if it is plain data; a Table is part of the key anyway."""
    if module.startswith(MOVES_ROWS):
        return
    found = getattr(sys.modules.get(module) or import_module(module), name, None)
    if _is_plain(found):
        yield f"{module}.{name} = {found!r}"


def _is_plain(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(_is_plain(each) for pair in value.items() for each in pair)
    return isinstance(value, PLAIN)
