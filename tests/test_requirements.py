"""Every package that the code imports is declared: one that another brings along may be gone with its next version."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
PACKAGES = {name.removesuffix("*") for name in SETUPTOOLS["packages"]["find"]["include"]}
OPTIONAL = {"kubernetes": "dags/common/pods.py imports it only where LAKEHOUSE_TRAINING_PODS is set"}
"""Imports that a user's machine may lack."""
DISTRIBUTIONS = {"torch": ["torch"], **packages_distributions()}
"""By the name that is imported; torch need not be installed."""


def imported(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the first part of the name of each absolute import, with the file it stands in."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            for name in names:
                yield name.partition(".")[0], str(path.relative_to(ROOT))


def normal(name: str) -> str:
    """Return a distribution's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(*files: str) -> set[str]:
    """Return the distributions that requirement files name."""
    lines = [line for file in files for line in (ROOT / file).read_text().splitlines()]
    return {normal(match[0]) for match in map(re.compile(r"[A-Za-z0-9][\w.-]*").match, lines) if match}


def undeclared(folder: Path, files: tuple[str, ...], scripts: str = "") -> list[str]:
    """Return the imports below a folder that no file declares, each with the file it stands in.

    Modules in the folder `scripts` are imported by their bare name.
    """
    ours = {*sys.stdlib_module_names, *PACKAGES, *(path.stem for path in (ROOT / scripts).glob("*.py") if scripts)}
    known, missing = declared(*files), []
    for name, place in sorted(set(imported(folder))):
        if name not in ours and known.isdisjoint(map(normal, DISTRIBUTIONS.get(name, [name]))):
            missing.append(f"{place}: {name}")
    return missing


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_what_a_package_imports_is_declared(package):
    missing = undeclared(ROOT / package, ("requirements.in", "requirements-torch.txt"))
    assert [each for each in missing if each.rpartition(" ")[2] not in OPTIONAL] == []


@pytest.mark.parametrize(("folder", "scripts"), [("tests", "tests/support"), ("benchmarks", "benchmarks")])
def test_what_tests_and_benchmarks_import_is_declared(folder, scripts):
    files = ("requirements.in", "requirements-torch.txt", "requirements-dev.in", "requirements-tools.in")
    assert undeclared(ROOT / folder, files, scripts) == []


@pytest.mark.parametrize("name", ["requirements", "requirements-dev", "requirements-stack", "requirements-tools"])
def test_every_declared_package_is_locked_with_its_hashes(name):
    lines = (ROOT / f"{name}.txt").read_text().splitlines()
    pinned = {
        normal(re.split(r"[\[=]", line)[0]): after for line, after in pairwise(lines) if re.match(r"\w\S*==", line)
    }
    assert declared(f"{name}.in") <= set(pinned), f"{name}.txt is older than {name}.in; run: make lock"
    assert [package for package, after in pinned.items() if not after.startswith("    --hash=sha256:")] == []


def test_an_import_that_nobody_declares_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "house").mkdir()
    (tmp_path / "house" / "numpy.py").write_text("import os\nimport numpy.linalg\nfrom yaml import load\n")
    (tmp_path / "some.in").write_text("# A comment\n-c other.txt\nPyYAML>=6\n")
    assert undeclared(tmp_path / "house", ("some.in",)) == ["house/numpy.py: numpy"]
