"""Which parts still have the rows from before: by the history of their table, or by the runs if that has expired."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from expectations.held_parts import standing_parts
from lakehouse.config.settings import read_settings
from lakehouse.lake.connection import open_catalog
from lakehouse.lake.history import HELD_BACK, RUN_ID, SLICES
from lakehouse.lake.migration import migrate
from lakehouse.lake.schema import arrow_table
from lakehouse.tables import find_table

DAY = date(2024, 8, 8)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def settings(tmp_path):
    found = read_settings({"LAKEHOUSE_HOME": str(tmp_path)})
    migrate(found)
    return found


@pytest.fixture
def replace(settings):
    """replace(table, run, slices, held) adds snapshots as a run that holds parts back does; returns the last's time."""

    def write(name: str, run: str, slices: str, held: dict[str, list[str]] | None = None) -> datetime:
        iceberg = open_catalog(settings).load_table(name)
        rows = arrow_table(find_table(name), [])
        iceberg.append(rows, snapshot_properties={RUN_ID: run, SLICES: slices})
        if held:
            again = {RUN_ID: run, SLICES: ",".join(held), HELD_BACK: json.dumps(held)}
            iceberg.append(rows, snapshot_properties=again)
        return datetime.fromtimestamp(iceberg.current_snapshot().timestamp_ms / 1000, UTC)

    return write


def held(run: str, moment: datetime, subject: str = "IBM.USA", slice_: str = str(DAY), table: str = "silver.trades"):
    return {
        "run_id": run,
        "table_name": table,
        "slice": slice_,
        "subject": subject,
        "rules": f"rule of {run}",
        "files": f"{run}.zip",
        "held_at": moment,
    }


def run_row(run: str, moment: datetime, outcome: str, days=(DAY,), job: str = "finance.silver_trades"):
    return {"run_id": run, "job": job, "outcome": outcome, "days": [*days], "started_at": moment}


def names(parts) -> list[tuple[str, str, str]]:
    return [(part.table_name, part.slice, part.subject) for part in parts]


def test_a_part_stands_since_it_was_first_held_back_with_its_last_rules(settings, replace):
    first = replace("silver.trades", "a", "2024-08-07..2024-08-08", {str(DAY): ["IBM.USA"]})
    second = replace("silver.trades", "b", str(DAY), {str(DAY): ["IBM.USA"]})
    (part,) = standing_parts(settings, [held("a", first), held("b", second)], [])
    assert (part.since, part.last_tried_at, part.rules, part.files) == (first, second, "rule of b", "b.zip")


def test_a_part_is_repaired_once_its_slice_was_replaced_without_holding_it_back(settings, replace):
    moment = replace("silver.trades", "a", str(DAY), {str(DAY): ["IBM.USA", "A.USA"]})
    rows = [held("a", moment), held("a", moment, "A.USA"), held("a", moment, slice_="2024-08-07")]
    replace("silver.trades", "b", str(DAY), {str(DAY): ["A.USA"]})
    assert names(standing_parts(settings, rows, [])) == [
        ("silver.trades", "2024-08-07", "IBM.USA"),  # another day
        ("silver.trades", "2024-08-08", "A.USA"),  # held back again
    ]


def test_a_part_that_was_repaired_and_held_back_again_stands_since_then(settings, replace):
    first = replace("silver.trades", "a", str(DAY), {str(DAY): ["IBM.USA"]})
    repaired = replace("silver.trades", "b", str(DAY))
    again = repaired + MINUTE
    (part,) = standing_parts(settings, [held("a", first), held("c", again)], [])
    assert part.since == again


def test_an_image_set_is_repaired_by_its_own_replacement(settings, replace):
    moment = replace("silver.images", "a", "cifar10,mnist", {"cifar10": ["cifar10"], "mnist": ["mnist"]})
    sets = [held("a", moment, name, name, "silver.images") for name in ("cifar10", "mnist")]
    replace("silver.images", "b", "mnist")
    assert names(standing_parts(settings, sets, [])) == [("silver.images", "cifar10", "cifar10")]


@pytest.mark.parametrize(
    ("later", "is_standing"),
    [
        pytest.param([], True, id="nothing since"),
        pytest.param([("published", (DAY,), "finance.silver_trades")], False, id="the day was replaced whole"),
        pytest.param([("held back", (DAY,), "finance.silver_trades")], True, id="a run that held something back"),
        pytest.param([("audit failed", (DAY,), "finance.silver_trades")], True, id="a run that published nothing"),
        pytest.param([("published", (date(2024, 8, 9),), "finance.silver_trades")], True, id="another day"),
        pytest.param([("published", (DAY,), "finance.bars_1m")], True, id="another job"),
    ],
)
def test_runs_stand_for_a_history_that_has_expired(settings, later, is_standing):
    begin = datetime(2024, 8, 9, tzinfo=UTC)
    runs = [run_row("a", begin, "held back")]
    runs += [run_row("b", begin + 2 * MINUTE, outcome, days, job) for outcome, days, job in later]
    assert bool(standing_parts(settings, [held("a", begin + MINUTE)], runs)) is is_standing
