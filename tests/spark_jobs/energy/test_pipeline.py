"""The energy pipeline: real files from landing to gold with every line accounted for, late days, and any order."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from lakehouse.lake.catalog import read_log
from lakehouse.lake.history import SLICES
from lakehouse.tables.energy import (
    BRONZE_POWER_READINGS,
    GOLD_LOAD_HOURLY,
    LAGS,
    ROLLING_HOURS,
    SILVER_POWER_READINGS,
    SILVER_POWER_READINGS_REJECTED,
)
from lakehouse.tables.logs import FILE_BALANCES, RUNS
from lakehouse.tables.manifest import BRONZE_FILES
from spark_jobs.energy import load_hourly, silver_power_readings
from spark_jobs.energy.pipeline import run_pipeline

TABLES = (BRONZE_POWER_READINGS, SILVER_POWER_READINGS, SILVER_POWER_READINGS_REJECTED, GOLD_LOAD_HOURLY)
FIRST = datetime(2024, 3, 1)


def hourly_lines(days, first=FIRST, shift=0.0):
    """Readings every 30 minutes... of whole hours only: two a day are enough to compute every feature."""
    rng = np.random.default_rng(3)
    minutes = range(0, days * 1440, 30)
    return [(first + timedelta(minutes=m), round(1.5 + shift + float(rng.normal()) ** 2, 3)) for m in minutes]


def balances(lake):
    rows = read_log(lake.settings, FILE_BALANCES)
    names = ("lines_in", "rows_out", "rows_rejected", "rows_duplicate")
    assert all(rows["is_balanced"].to_pylist())
    return tuple(sum(rows[name].to_pylist()) for name in names)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("uci-month/household_power_consumption.txt", (40_964, 40_963, 1, 0), id="uci month, a cut line"),
        pytest.param("uci-day/household_power_consumption.txt", (2_203, 2_203, 0, 0), id="uci day, crlf"),
        pytest.param("other/ETTh1.csv", (17_420, 17_420, 0, 0), id="ett"),
        pytest.param("other/Steel_industry_data.csv", (35_040, 35_040, 0, 0), id="steel plant"),
    ],
)
def test_every_line_of_a_real_file_is_in_silver_or_rejected(lake, power_files, path, expected):
    target = lake.landing / path
    target.parent.mkdir(parents=True)
    target.symlink_to(power_files / path)
    assert run_pipeline(lake.request()) == 0
    assert balances(lake) == expected
    assert lake.rows(BRONZE_POWER_READINGS).num_rows == expected[0]
    run = read_log(lake.settings, RUNS).to_pandas().set_index("job").loc["energy.silver_power_readings"]
    assert (run.rows_in, run.rows_out, run.rows_rejected, run.rows_duplicate) == expected
    loads = lake.rows(GOLD_LOAD_HOURLY)
    assert loads.num_rows == 24 * len(set(loads["event_date"].to_pylist()))


def test_half_year_keeps_its_gaps_and_equals_plain_pandas(lake, power_files):
    assert run_pipeline(lake.request(landing=power_files / "half-year")) == 0
    assert balances(lake) == (260_640, 260_640, 0, 0)
    silver = lake.rows(SILVER_POWER_READINGS).to_pandas()
    # 3,771 minutes lack measures: 15 in gaps of up to 3 minutes, a gap of 33 and one of 3,723.
    assert silver.status.value_counts().to_dict() == {"measured": 256_869, "missing": 3_756, "interpolated": 15}
    check_against_pandas(silver, lake.rows(GOLD_LOAD_HOURLY).to_pandas())


def test_pjm_hours_survive_the_changes_of_the_clock(lake, power_files):
    years = ("2014", "2015")
    lines = (power_files / "other" / "AEP_hourly.csv").read_text().splitlines()
    kept = [lines[0], *(line for line in lines[1:] if line[:4] in years)]
    (lake.landing / "AEP_hourly.csv").write_text("\n".join(kept) + "\n")
    assert run_pipeline(lake.request()) == 0
    assert balances(lake) == (len(kept) - 1, len(kept) - 1, 0, 0)
    loads = lake.rows(GOLD_LOAD_HOURLY).to_pandas()
    per_day = loads.groupby("event_date").size()
    changes = {day: n for day, n in per_day.items() if n != 24}
    assert changes == {
        date(2014, 3, 9): 23,
        date(2014, 11, 2): 25,
        date(2015, 3, 8): 23,
        date(2015, 11, 1): 25,
    }
    autumn = loads[loads.hour_start.between("2014-11-02 00:00", "2014-11-02 02:00")]
    # The file ends hours: 01:00, 02:00 twice, 03:00. MW become kW.
    assert autumn[["occurrence", "load_kw", "load_kw_lag_1"]].values.tolist()[1:] == [
        [1, 12_994_000.0, autumn.load_kw.iloc[0]],
        [2, 13_190_000.0, 12_994_000.0],
        [1, autumn.load_kw.iloc[3], 13_190_000.0],
    ]
    assert (loads.available_at.isna() | (loads.available_at <= loads.hour_start)).all()


def check_against_pandas(silver, loads):
    """Recompute everything from silver with pandas alone; a row of gold per hour of a clock without changes."""
    hour = silver.interval_start.dt.floor("h")
    known = silver.available_at <= hour + pd.Timedelta("1h")
    grid = pd.date_range(hour.min().normalize(), hour.max().normalize() + pd.Timedelta("23h"), freq="h")
    load = silver.active_power_kw.where(known).groupby(hour).mean().reindex(grid)
    per_hour = 60 // silver.interval_min.iloc[0]
    measured = (silver.status == "measured").groupby(hour).sum().reindex(grid, fill_value=0) / per_hour
    last_known = silver.available_at.where(known).groupby(hour).max().reindex(grid)
    expected = pd.DataFrame({"load_kw": load, "completeness_ratio": measured})
    for lag in LAGS:
        expected[f"load_kw_lag_{lag}"] = load.shift(lag)
    for length in ROLLING_HOURS:
        window = load.shift(1).rolling(length, min_periods=(length + 1) // 2)
        expected[f"load_kw_mean_{length}"] = window.mean()
        expected[f"load_kw_std_{length}"] = window.std()
    expected["load_kw_trend"] = load.shift(1).rolling(672, min_periods=336).mean()
    weeks = pd.concat([load.shift(168 * week) for week in (1, 2, 3, 4)], axis=1)
    same_hour = weeks.mean(axis=1).where(weeks.notna().sum(axis=1) >= 2)
    expected["load_kw_seasonal"] = same_hour - expected["load_kw_trend"]
    found = loads.set_index("hour_start")
    days = set(silver.event_date)
    expected = expected[[time.date() in days for time in expected.index]]
    for name in expected.columns:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-9, atol=1e-9, err_msg=name)
    times = last_known.astype("datetime64[s]").ffill(limit=671).shift(1).reindex(expected.index)
    assert found.available_at.astype("datetime64[s]").equals(times.rename("available_at").rename_axis("hour_start"))
    assert found.weekday.tolist() == expected.index.weekday.tolist()
    assert found.month.tolist() == expected.index.month.tolist()


def test_no_feature_uses_its_own_hour_or_a_later_one(spark, make_lake, uci_file):
    lines = hourly_lines(32)
    change = FIRST + timedelta(days=31, hours=7)
    lake = make_lake("lake")
    uci_file(lake.landing, lines)
    assert run_pipeline(lake.request()) == 0
    other = make_lake("other")
    uci_file(other.landing, [(time, kw + 9.0 if time >= change else kw) for time, kw in lines])
    assert run_pipeline(other.request()) == 0
    before, after = (rows_by_hour(one) for one in (lake, other))
    features = [name for name in before.columns if name not in ("load_kw", "completeness_ratio", "_ingested_at")]
    assert before.loc[:change, features].equals(after.loc[:change, features])
    assert not before.loc[change:, features].iloc[1].equals(after.loc[change:, features].iloc[1])
    assert before.loc[: change - timedelta(hours=1)].load_kw.equals(after.loc[: change - timedelta(hours=1)].load_kw)


def rows_by_hour(lake):
    return lake.rows(GOLD_LOAD_HOURLY).to_pandas().set_index("hour_start").sort_index()


def test_days_in_any_order_equal_all_days_at_once(make_lake, uci_file):
    lines = hourly_lines(4)
    whole, pieces = make_lake("whole"), make_lake("pieces")
    for lake in (whole, pieces):
        uci_file(lake.landing, lines)
    assert run_pipeline(whole.request()) == 0
    for number in (2, 0, 3, 1):
        assert run_pipeline(pieces.request([(FIRST + timedelta(days=number)).date()])) == 0
    for table in TABLES:
        assert whole.digest(table) == pieces.digest(table), table.identifier


def test_a_corrected_day_recomputes_the_later_days_that_look_back_on_it_and_no_others(lake, uci_file, make_lake):
    lines = hourly_lines(33)
    path = uci_file(lake.landing, lines)
    assert run_pipeline(lake.request()) == 0
    first_day = FIRST.date()
    corrected = [(time, kw + 1.0 if time.date() == first_day else kw) for time, kw in lines]
    uci_file(lake.landing, corrected)
    assert run_pipeline(lake.request()) == 2  # other bytes for accepted deliveries
    path.unlink()
    short = uci_file(lake.landing, [line for line in corrected if line[0].date() == first_day])
    assert short == path
    assert run_pipeline(lake.request([first_day], is_replacing=True)) == 0
    look_back = load_hourly.LOOK_BACK_DAYS
    last = first_day + timedelta(days=look_back)
    assert lake.snapshots(SILVER_POWER_READINGS)[0][SLICES] == str(first_day)
    assert lake.snapshots(GOLD_LOAD_HOURLY)[0][SLICES] == f"{first_day}..{last}"

    scratch = make_lake("scratch")
    uci_file(scratch.landing, corrected)
    assert run_pipeline(scratch.request()) == 0
    assert scratch.digest(GOLD_LOAD_HOURLY) == lake.digest(GOLD_LOAD_HOURLY)

    mains = [lake.main(table) for table in TABLES]
    assert run_pipeline(lake.request([first_day])) == 0
    assert [lake.main(table) for table in TABLES] == mains


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
    assert run_pipeline(lake.request()) == 5
    assert lake.values(BRONZE_FILES, "verdict", "reason") == [
        (
            "quarantined",
            "line 1 is of no declared dialect: expected 'when;kilowatts' (flat), found 'when;watts'",
        )
    ]
    assert run_pipeline(lake.request()) == 0  # judged already, by the same dialect

    (folder / "flat.yaml").write_text(text.replace("kilowatts", "watts"))
    assert run_pipeline(lake.request()) == 5
    # A thousands mark is nothing that the dialect declares, and it stands in the file's first line.
    assert "line 2: expected a number with ',' as its decimal mark in watts, found '1.500,5'" in [
        reason for _, reason in lake.values(BRONZE_FILES, "verdict", "reason")
    ]

    (lake.landing / "flat.csv").write_text("when;watts\n01.03.2024 00:00;1500,5\n01.03.2024 00:15;250,5\n")
    assert run_pipeline(lake.request()) == 0
    assert lake.values(SILVER_POWER_READINGS, "active_power_kw", "interval_start", "utc_offset_min") == [
        (1.5005, datetime(2024, 3, 1, 0, 0), 60),
        (0.2505, datetime(2024, 3, 1, 0, 15), 60),
    ]


def test_a_run_by_hand_on_an_empty_landing_does_nothing(lake):
    assert run_pipeline(lake.request()) == 0
    assert lake.run(silver_power_readings.JOB).outcome == "done already"
