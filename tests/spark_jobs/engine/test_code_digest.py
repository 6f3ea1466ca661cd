"""The digest of what makes rows: prose changes nothing, whatever a transform rests on does."""

from __future__ import annotations

import sys
from importlib import import_module, invalidate_caches
from types import SimpleNamespace

import pytest

from lakehouse.tables.finance import GOLD_BARS_1M
from spark_jobs.engine import code_digest, run
from spark_jobs.engine.code_digest import digest_of
from spark_jobs.finance import bars_1m, silver_trades, tick_features

TRANSFORM = '''"""Makes rows."""

from transforms.{other} import double
from lakehouse.{other}_constants import LAGS


def make(rows):
    """Double them."""
    return double(rows, LAGS)
'''
OTHER = '''"""Doubles."""


def double(rows, lags):
    return 2 * rows  # twice
'''


@pytest.fixture
def digest(tmp_path, monkeypatch):
    """digest(transform, other, lags) is that of a transform in a package of its own, with what it imports."""
    numbers = iter(range(100))
    packages = {name: import_module(name) for name in ("transforms", "lakehouse")}
    for name, package in packages.items():
        (tmp_path / name).mkdir()
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path / name)])

    def make(transform=TRANSFORM, other=OTHER, lags="(1, 2)"):
        number = next(numbers)
        names = {"own": f"made_{number}", "other": "made_other"}
        for module in (f"transforms.{names['other']}", f"lakehouse.{names['other']}_constants"):
            sys.modules.pop(module, None)
        code_digest._parse.cache_clear()
        code_digest._module_path.cache_clear()
        (tmp_path / "transforms" / "made.py").write_text(transform.format(**names))
        (tmp_path / "transforms" / f"{names['other']}.py").write_text(other)
        (tmp_path / "lakehouse" / f"{names['other']}_constants.py").write_text(f"LAGS = {lags}\n")
        invalidate_caches()
        sys.modules.pop("transforms.made", None)
        return digest_of(import_module("transforms.made").make)

    yield make
    for module in ("transforms.made", "transforms.made_other", "lakehouse.made_other_constants"):
        sys.modules.pop(module, None)


def test_prose_changes_nothing(digest):
    plain = digest()
    assert digest(
        TRANSFORM.replace("Double them.", "Return twice the rows."), OTHER.replace("# twice", "# two times")
    ) == (plain)
    assert digest(f"# A licence.\n{TRANSFORM}", OTHER.replace('"""Doubles."""\n', "")) == plain


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"transform": TRANSFORM.replace("(rows, LAGS)", "(rows + 1, LAGS)")}, id="the transform"),
        pytest.param({"other": OTHER.replace("2 *", "3 *")}, id="a module that it imports"),
        pytest.param({"lags": "(1, 3)"}, id="a constant that it imports"),
    ],
)
def test_what_makes_rows_changes_the_digest(digest, changed):
    assert digest(**changed) != digest()


def test_the_engine_is_not_part_of_it_and_every_module_of_a_transform_is(monkeypatch):
    paths = []
    parse = code_digest._parse
    monkeypatch.setattr(code_digest, "_parse", lambda path: paths.append(path.name) or parse(path))
    digest_of(*silver_trades.JOB.made_by)
    assert {"trades.py", "lines.py", "outliers.py", "rules.py", "sorting.py"} <= set(paths)
    assert not {"stage.py", "run.py", "silver.py"} & set(paths)


def test_a_new_version_of_a_package_whose_tables_become_rows_changes_the_digest(monkeypatch):
    monkeypatch.setattr(code_digest, "VERSIONED", {"numpy": "numpy"})
    before = digest_of(*tick_features.JOB.made_by)
    monkeypatch.setattr(code_digest, "version", lambda package: "9999")
    assert digest_of(*tick_features.JOB.made_by) != before


def test_words_of_a_declaration_are_not_part_of_a_key():
    described = run.describe_table(GOLD_BARS_1M)
    assert not any(column.doc in described for column in GOLD_BARS_1M.columns)
    assert all(f"{column.name} {column.type}" in described for column in GOLD_BARS_1M.columns)


def test_only_the_slices_whose_inputs_changed_have_other_keys():
    job = SimpleNamespace(code_digest="code", tables=bars_1m.JOB.tables)
    before = run.slice_keys(job, SimpleNamespace(later={}, inputs={1: ("a",), 2: ("b",)}))
    after = run.slice_keys(job, SimpleNamespace(later={}, inputs={1: ("a",), 2: ("c",)}))
    assert (before[1] == after[1], before[2] == after[2]) == (True, False)
