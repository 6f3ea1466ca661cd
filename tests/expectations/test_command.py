"""`lakehouse audit`: a whole table on request, what it records, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from expectations.command import audit_main
from lakehouse.config.settings import Settings, read_settings
from lakehouse.errors import AuditFailedError, BadInputError
from lakehouse.lake.catalog import load, read_log
from lakehouse.lake.migration import migrate
from lakehouse.lake.schema import arrow_table
from lakehouse.tables import find_table
from lakehouse.tables.logs import CHECK_RESULTS, RUNS

TRADES = find_table("silver.trades")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = read_settings({"LAKEHOUSE_HOME": str(tmp_path)})
    migrate(found)
    return found


@pytest.fixture
def add(settings: Settings, make_good: Callable[..., dict[str, Any]]) -> Callable[..., None]:
    """Publish good trades of some days, changed as the caller says."""

    def append(*changes: dict[str, Any]) -> None:
        rows = [make_good(TRADES) | {"sequence": number} | change for number, change in enumerate(changes, start=1)]
        load(settings, TRADES).append(arrow_table(TRADES, rows))

    return append


def last_run(settings: Settings) -> dict[str, Any]:
    (row,) = read_log(settings, RUNS).to_pylist()
    return row


def test_audit_holds_every_day_on_main_and_is_recorded(settings: Settings, add: Callable[..., None]) -> None:
    add({}, {})
    assert "silver.trades: 2 rows on main" in audit_main(settings, TRADES)
    run = last_run(settings)
    assert (run["job"], run["outcome"], run["exit_code"]) == ("audit.silver.trades", "audited", 0)
    results = read_log(settings, CHECK_RESULTS).to_pylist()
    assert {row["is_passed"] for row in results} == {True}
    assert {row["run_id"] for row in results} == {run["run_id"]}
    assert not {"unbalanced_files", "manifest_line_difference"} & {row["rule"] for row in results}


def test_audit_finds_a_broken_row_of_any_day_and_leaves_main(settings: Settings, add: Callable[..., None]) -> None:
    add({})
    add({"price": Decimal(0), "sequence": 7, "_source_line": 9})
    before = load(settings, TRADES).current_snapshot()
    with pytest.raises(AuditFailedError, match="failed: price_in_range"):
        audit_main(settings, TRADES)
    run = last_run(settings)
    assert (run["outcome"], run["exit_code"], run["snapshot_id"]) == ("audit failed", 3, before.snapshot_id)
    assert load(settings, TRADES).current_snapshot() == before


def test_audit_refuses_what_has_nothing_to_audit(settings: Settings) -> None:
    with pytest.raises(BadInputError, match=r"nothing of silver\.trades is published yet"):
        audit_main(settings, TRADES)
    with pytest.raises(BadInputError, match=r"ops\.runs has no suite"):
        audit_main(settings, RUNS)
