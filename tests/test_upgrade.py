"""A home that version 0.1 made goes on: `lakehouse migrate`, audits, runs of every domain, and its registered model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from old_home import unpack_home
from polars.testing import assert_frame_equal

from expectations.command import audit_main
from lakehouse.config.settings import Settings
from lakehouse.lake.catalog import load
from lakehouse.lake.connection import open_catalog
from lakehouse.lake.migration import known_tables, migrate, require_tables
from lakehouse.lake.scans import pin_current
from lakehouse.tables import Table
from lakehouse.tables.manifest import BRONZE_FILES

ARCHIVE = Path(__file__).parent / "fixtures" / "version_0_1" / "home-0.1.tar.xz"
MODEL = "generated_household_lgbm"
CHANGED = {"subject", "delivery_date", "first_ts_event", "last_ts_event", "first_interval_start", "last_interval_start"}
"""Columns of the manifest whose names or values are others since (tests/lakehouse/lake/test_old_manifest.py)."""


def published(settings: Settings) -> list[Table]:
    """The data tables that have rows, or had some."""
    tables = known_tables(open_catalog(settings))
    catalog = open_catalog(settings)
    existing = [table for table in tables if table.kind == "data" and catalog.table_exists(table.identifier)]
    return [table for table in existing if "main" in load(settings, table).refs()]


def values(settings: Settings) -> dict[str, pl.DataFrame]:
    """The rows of every data table on `main`, in one order, without what names the run."""
    frames = {}
    for table in published(settings):
        left_out = CHANGED if table == BRONZE_FILES else set()
        names = [name for name in table.digest_columns if name not in left_out]
        rows = pin_current(settings, table).rows().select(names).collect()
        flat = [name for name, kind in rows.schema.items() if not kind.is_nested()]
        frames[table.identifier] = rows.sort(flat, nulls_last=True)
    return frames


def check_values(settings: Settings, before: dict[str, pl.DataFrame]) -> None:
    """Check that every table has the values of before; sums of floats may be of another order."""
    after = values(settings)
    assert after.keys() == before.keys()
    for identifier, rows in after.items():
        assert_frame_equal(rows, before[identifier], check_exact=False, rel_tol=1e-12, abs_tol=0)


@pytest.fixture(scope="module")
def upgraded(spark: Any, lakes: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The old home after `lakehouse migrate`, and its values from before."""
    folder = tmp_path_factory.mktemp("old")
    unpack_home(ARCHIVE, folder / "home")
    lake = lakes(spark, folder, "home")
    lake.landing = folder / "home" / "landing"
    before = values(lake.settings)
    assert len(before) > 20
    changes = migrate(lake.settings)
    assert "renamed instrument_id of bronze.files to subject" in changes
    assert migrate(lake.settings) == []
    yield lake, before


def test_migrated_tables_keep_their_values_and_pass_their_audits(upgraded: Any) -> None:
    lake, before = upgraded
    require_tables(lake.settings, known_tables(open_catalog(lake.settings)))
    check_values(lake.settings, before)
    for table in published(lake.settings):
        held = audit_main(lake.settings, table)  # raises if a rule failed
        assert held.startswith(f"{table.identifier}: {before[table.identifier].height:,} rows on main")


@pytest.mark.parametrize("domain", ["finance", "energy", "vision"])
def test_runs_over_a_migrated_home_read_no_file_again_and_make_the_same_values(upgraded: Any, domain: str) -> None:
    from spark_jobs.engine.run import run
    from spark_jobs.layers.chain import find_jobs, order_chain

    lake, before = upgraded
    request = lake.request()
    jobs = order_chain(find_jobs(domain, request))
    first = {job.name: run(job, request) for job in jobs}
    assert [outcome.message for outcome in first.values() if outcome.exit_code] == []
    assert {first[job.name].message for job in jobs if job.table.layer == "bronze"} == {"nothing to do"}
    again = [run(job, request) for job in jobs]
    assert {outcome.outcome for outcome in again} == {"done already"}
    check_values(lake.settings, before)


def test_the_registered_model_of_version_0_1_is_listed_and_reproduced(upgraded: Any) -> None:
    from lakehouse.lake.catalog import read_log
    from lakehouse.tables.registry import MODEL_VERSIONS
    from ml.overview import describe_models
    from ml.reproduce import train_again
    from ml.tracking import open_tracking

    lake, _ = upgraded
    context = open_tracking(lake.settings, lambda line: None)
    listed = read_log(lake.settings, MODEL_VERSIONS).select(["model_name", "version"]).to_pylist()
    assert listed == [{"model_name": MODEL, "version": 1}]
    lines = describe_models(context)
    (place,) = [place for place, line in enumerate(lines) if line.split()[0] == MODEL]
    assert lines[place + 1].split()[0] == "1"
    found = train_again(context, MODEL, 1)
    assert found.is_equal, found.lines()
