"""Every file of sql/: what its header says is so, and its names are declared ones."""

from __future__ import annotations

import re

import pytest

from lakehouse.config.project import ROOT
from lakehouse.queries.embedded import find_references
from lakehouse.queries.statements import FOLDER, SqlFile, read_sql_files
from lakehouse.tables import TABLES, find_table

FILES = read_sql_files()
TIME_TRAVEL = re.compile(r"FOR VERSION AS OF 'main' -- noqa: PRS")
"""What DuckDB lacks."""

each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)


def test_every_domain_has_views():
    assert {file.name.partition("/")[0] for file in FILES if file.is_view} == {
        "energy",
        "finance",
        "models",
        "quality",
        "vision",
    }
    assert {path.suffix for path in FOLDER.rglob("*") if path.is_file()} == {".sql"}


@each_file
def test_header_names_the_tables_that_the_statement_reads(file: SqlFile):
    declared = tuple(table.identifier for table in TABLES)
    assert {reference.identifier for reference in find_references(file.query, declared)} == set(file.reads)


@each_file
def test_header_gives_the_line_that_runs_the_file(file: SqlFile):
    assert file.facts["Run"] == f"lakehouse sql run {file.name}"


@each_file
def test_header_prunes_by_what_a_table_is_partitioned_by(file: SqlFile):
    column, _, why = file.facts["Prunes"].partition(": ")
    if column == "nothing":
        assert why
        return
    table = find_table(re.search(r"one partition of (\S+) per", why)[1])
    spelled = "event_date" if column == "month_start" else column
    assert table.identifier in file.reads
    assert set(table.partitioned_by) & {spelled, f"months({spelled})"}


@each_file
def test_statement_names_declared_columns_only(empty_desk, file: SqlFile):
    # DuckDB binds every name; a column that no declaration has is an error
    assert empty_desk.ask(TIME_TRAVEL.sub("", file.query)) == []


@each_file
def test_statement_selects_by_name_and_one_source_per_step(file: SqlFile):
    assert "*" not in file.query.replace("COUNT(*)", "").replace(" * ", "")
    for table in file.reads:
        assert file.query.count(f"FROM lakehouse.{table}") == 1
        assert f"JOIN lakehouse.{table}" not in file.query


def test_only_the_view_of_the_past_needs_trino():
    assert [file.name for file in FILES if TIME_TRAVEL.search(file.query)] == ["models/load_as_a_model_saw_it"]


def test_documentation_lists_every_file():
    page = (ROOT / "docs" / "sql.md").read_text(encoding="utf-8")
    assert [file.name for file in FILES if f"`{file.name}`" not in page] == []
