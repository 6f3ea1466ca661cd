"""Every module with a SOURCE is found, and no two sources want the same file."""

from __future__ import annotations

import ast
import gzip
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from spark_jobs import sources
from spark_jobs.sources import discovery
from spark_jobs.sources.base import Claim
from spark_jobs.sources.discovery import claim_file, find_sources


def test_every_module_with_a_source_is_found_and_the_source_is_named_after_it():
    with_source = {
        path.stem
        for path in Path(sources.__path__[0]).glob("*.py")
        if any("SOURCE" in names_assigned(node) for node in ast.parse(path.read_text()).body)
    }
    assert {"binance_trades", "lean_quotes", "power_readings"} <= with_source
    assert {name: source.name for name, source in find_sources().items()} == {name: name for name in with_source}


def names_assigned(node):
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def test_find_sources_refuses_a_source_of_a_table_that_is_not_declared(monkeypatch, tmp_path):
    """Its files would be left alone without a word."""
    (tmp_path / "odd.py").write_text("class Odd:\n    name, dataset = 'odd', 'trade'\nSOURCE = Odd()\n")
    monkeypatch.setattr(sources, "__path__", [*sources.__path__, str(tmp_path)])
    find_sources.cache_clear()
    try:
        with pytest.raises(RuntimeError, match=r"source odd .* data set 'trade': no table 'bronze\.trade' is declared"):
            find_sources()
    finally:
        find_sources.cache_clear()
        sys.modules.pop("spark_jobs.sources.odd")


def test_the_example_of_the_page_is_found_and_read(monkeypatch, tmp_path, read):
    """One new file is all that a source takes."""
    page = Path(sources.__path__[0]).parents[1] / "docs" / "sources.md"
    example = page.read_text().split('```python title="spark_jobs/sources/acme_trades.py"\n')[1].split("```")[0]
    (tmp_path / "acme_trades.py").write_text(textwrap.dedent(example))
    monkeypatch.setattr(sources, "__path__", [*sources.__path__, str(tmp_path)])
    find_sources.cache_clear()
    try:
        rows = read(gzip.compress(b"1723118400,1.5,2\nx\n"), "in/acme/BTC_20240808.csv.gz").to_pylist()
        assert claim_file("acme/BTC_20241308.csv.gz") is None
    finally:
        find_sources.cache_clear()
        sys.modules.pop("spark_jobs.sources.acme_trades")
    names = ("source", "instrument_id", "ts_event", "raw_price", "raw_size", "raw_line")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("acme_trades", "BTC.ACME", datetime(2024, 8, 8, 12, tzinfo=UTC), "1.5", "2", None),
        ("acme_trades", "BTC.ACME", None, None, None, "x"),
    ]


def test_claim_file_leaves_unknown_files():
    assert claim_file("notes/readme.txt") is None


def test_claim_file_raises_where_two_sources_claim_a_file(monkeypatch):
    def twin(name):
        return SimpleNamespace(name=name, claim=lambda path: Claim(name, "trades", path, None))

    monkeypatch.setattr(discovery, "find_sources", lambda: {"one": twin("one"), "two": twin("two")})
    with pytest.raises(RuntimeError, match=r"a\.csv is claimed by one and two; expected one source"):
        claim_file("a.csv")


def test_no_source_module_imports_spark():
    imported = set()
    for module in Path(sources.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").split(".")[0])
    assert "pyarrow" in imported
    assert not imported & {"pyspark", "py4j"}
