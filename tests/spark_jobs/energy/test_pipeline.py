"""The energy pipeline: real files from landing to gold with a balance, late and corrected days, and any order."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pyarrow.compute as pc

from lakehouse.errors import ExitCode
from lakehouse.lake.catalog import read_log
from lakehouse.lake.history import SLICES
from lakehouse.tables.energy import (
    BRONZE_POWER_READINGS,
    GOLD_LOAD_HOURLY,
    SILVER_POWER_READINGS,
    SILVER_POWER_READINGS_REJECTED,
)
from lakehouse.tables.logs import FILE_BALANCES, HELD_PARTS, RUNS
from lakehouse.tables.manifest import BRONZE_FILES
from spark_jobs.energy import silver_power_readings
from spark_jobs.layers.chain import run_domain
from transforms.energy.load_features import LOOK_BACK_DAYS

TABLES = (BRONZE_POWER_READINGS, SILVER_POWER_READINGS, SILVER_POWER_READINGS_REJECTED, GOLD_LOAD_HOURLY)
NUMBERS = ("lines_in", "rows_out", "rows_rejected", "rows_duplicate")
FIRST = datetime(2024, 2, 29)


def half_hourly_lines(days, first=FIRST):
    """A reading every 30 minutes: two an hour are enough to compute every feature."""
    random = np.random.default_rng(3)
    minutes = range(0, days * 1440, 30)
    return [(first + timedelta(minutes=m), round(1.5 + float(random.normal()) ** 2, 3)) for m in minutes]


def run(request):
    return run_domain("energy", request)


def test_every_line_of_real_files_is_in_silver_or_rejected_and_each_hour_in_gold(lake, power_files):
    expected = {
        "uci-month/household_power_consumption.txt": (40_964, 40_963, 1, 0),
        "other/ETTh1.csv": (17_420, 17_420, 0, 0),
        "other/Steel_industry_data.csv": (35_040, 35_040, 0, 0),
    }
    for path in expected:
        target = lake.landing / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(power_files / path)
    assert run(lake.request()) == 0
    balances = read_log(lake.settings, FILE_BALANCES)
    assert pc.all(balances["is_balanced"]).as_py()
    by_file = balances.group_by("_source_file").aggregate([(name, "sum") for name in NUMBERS]).to_pylist()
    found = {row["_source_file"]: tuple(row[f"{name}_sum"] for name in NUMBERS) for row in by_file}
    assert found == expected
    silver = next(
        row for row in read_log(lake.settings, RUNS).to_pylist() if row["job"].endswith("silver_power_readings")
    )
    numbers = [silver[name] for name in ("rows_in", "rows_out", "rows_rejected", "rows_duplicate")]
    assert numbers == [sum(column) for column in zip(*expected.values(), strict=True)]
    loads = lake.rows(GOLD_LOAD_HOURLY)
    meter_days = set(zip(loads["meter_id"].to_pylist(), loads["event_date"].to_pylist(), strict=True))
    assert loads.num_rows == 24 * len(meter_days)
    assert {meter for meter, _ in meter_days} == {"household.UCI", "transformer.ETTH1", "plant.STEEL"}


def test_days_in_any_order_equal_all_days_at_once(make_lake, uci_file):
    lines = half_hourly_lines(3)  # the last day of February and two of March: two partitions
    whole, pieces = make_lake("whole"), make_lake("pieces")
    for lake in (whole, pieces):
        uci_file(lake.landing, lines)
    assert run(whole.request()) == 0
    for number in (2, 0, 1):
        assert run(pieces.request([(FIRST + timedelta(days=number)).date()])) == 0
    for table in TABLES:
        assert whole.digest(table) == pieces.digest(table), table.identifier


def test_a_corrected_day_recomputes_the_later_days_that_look_back_on_it_and_no_others(lake, uci_file, make_lake):
    lines = half_hourly_lines(LOOK_BACK_DAYS + 4)
    path = uci_file(lake.landing, lines)
    assert run(lake.request()) == 0
    first_day = FIRST.date()
    corrected = [(time, kw + 1.0 if time.date() == first_day else kw) for time, kw in lines]
    uci_file(lake.landing, corrected)
    assert run(lake.request()) == 2  # other bytes for accepted deliveries
    path.unlink()
    uci_file(lake.landing, [line for line in corrected if line[0].date() == first_day])
    assert run(lake.request([first_day], is_replacing=True)) == 0
    assert lake.snapshots(SILVER_POWER_READINGS)[0][SLICES] == str(first_day)
    last = first_day + timedelta(days=LOOK_BACK_DAYS)
    assert lake.snapshots(GOLD_LOAD_HOURLY)[0][SLICES] == f"{first_day}..{last}"

    scratch = make_lake("scratch")
    uci_file(scratch.landing, corrected)
    assert run(scratch.request()) == 0
    assert scratch.digest(GOLD_LOAD_HOURLY) == lake.digest(GOLD_LOAD_HOURLY)

    mains = [lake.main(table) for table in TABLES]
    assert run(lake.request([first_day])) == 0
    assert [lake.main(table) for table in TABLES] == mains


def test_a_meters_day_that_fails_its_audit_is_held_back_alone_until_it_is_repaired(lake, uci_file):
    lines = half_hourly_lines(3)
    bad_day = date(2024, 3, 1)
    spike = datetime(2024, 3, 1, 12)
    path = uci_file(lake.landing, [(time, 2e9 if time == spike else kw) for time, kw in lines])  # more than any grid
    assert run(lake.request()) == ExitCode.QUARANTINED
    (held,) = read_log(lake.settings, HELD_PARTS).drop(["run_id", "held_at"]).to_pylist()
    assert held == {
        "table_name": "silver.power_readings",
        "slice": str(bad_day),
        "subject": "household.UCI",
        "rules": "power_is_finite",
        "files": path.name,
    }
    days = [date(2024, 2, 29), date(2024, 3, 2)]
    assert sorted({day for (day,) in lake.values(SILVER_POWER_READINGS, "event_date")}) == days
    assert sorted({day for (day,) in lake.values(GOLD_LOAD_HOURLY, "event_date")}) == days

    uci_file(lake.landing, [line for line in lines if line[0].date() == bad_day])
    assert run(lake.request(is_replacing=True)) == 0
    rows = lake.values(SILVER_POWER_READINGS, "interval_start", "active_power_kw", "status")
    assert [(start, kw) for start, kw, status in rows if status == "measured"] == lines
    assert lake.rows(GOLD_LOAD_HOURLY).num_rows == 72


def test_a_quarantined_file_is_read_once_its_dialect_is_declared(lake):
    (lake.landing / "flat.csv").write_text("when;watts\n01.03.2024 00:00;1.500,5\n01.03.2024 00:15;250,5\n")
    folder = lake.landing / "dialects"
    folder.mkdir()
    text = (
        "name: flat\npaths: ['flat.csv']\nmeter_id: flat.HOME\ncountry: DE\ninterval_min: 15\n"
        "header: when;kilowatts\nseparator: ';'\ndecimal_mark: ','\n"
        "time:\n  fields: [when]\n  forms:\n    - form: dd.mm.yyyy HH:MM\n  zone: Europe/Berlin\n"
        "measures:\n  active_power: {field: kilowatts, unit: W}\n"
    )
    (folder / "flat.yaml").write_text(text)
    assert run(lake.request()) == 5
    assert lake.values(BRONZE_FILES, "verdict", "reason") == [
        (
            "quarantined",
            "line 1 is of no declared dialect: expected 'when;kilowatts' (flat), found 'when;watts'",
        )
    ]
    assert run(lake.request()) == 0  # judged already, by the same dialect

    (folder / "flat.yaml").write_text(text.replace("kilowatts", "watts"))
    assert run(lake.request()) == 5
    # A thousands mark is nothing that the dialect declares, and it stands in the file's first line.
    assert "line 2: expected a number with ',' as its decimal mark in watts, found '1.500,5'" in [
        reason for _, reason in lake.values(BRONZE_FILES, "verdict", "reason")
    ]

    (lake.landing / "flat.csv").write_text("when;watts\n01.03.2024 00:00;1500,5\n01.03.2024 00:15;250,5\n")
    assert run(lake.request()) == 0
    assert lake.values(SILVER_POWER_READINGS, "active_power_kw", "interval_start", "utc_offset_min") == [
        (1.5005, datetime(2024, 3, 1, 0, 0), 60),
        (0.2505, datetime(2024, 3, 1, 0, 15), 60),
    ]


def test_a_run_by_hand_on_an_empty_landing_does_nothing(lake):
    assert run(lake.request()) == 0
    assert lake.run(silver_power_readings.JOB).outcome == "done already"
