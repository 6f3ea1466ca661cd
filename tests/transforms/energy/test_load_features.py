"""Hourly load and its features: against plain pandas, without the future, and with the same bits in any cut of days."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lakehouse.tables.energy import GOLD_LOAD_HOURLY, LAGS, ROLLING_HOURS
from transforms.energy.load_features import LOOK_BACK_DAYS, aggregate_hours, complete_hours, hourly_loads

FIRST = datetime(2024, 3, 1)
TIMES = ("hour_start", "occurrence", "load_kw", "load_kw_lag_1")


def no_holidays(country, years):
    return []


def half_hours(readings, days, seed=3, missing=0.2):
    """Random loads every half hour of some days, some of them missing."""
    random = np.random.default_rng(seed)
    loads = np.round(1.5 + random.normal(size=48 * days) ** 2, 3).tolist()
    gone = random.random(48 * days) < missing
    return readings(FIRST, [None if is_gone else load for load, is_gone in zip(loads, gone, strict=True)], 30)


def days_of(rows):
    return rows["event_date"].unique().sort().to_list()


def recompute(readings):
    """Gold's values from silver's with pandas alone, for one meter whose clock has no zone."""
    silver = readings.to_pandas()
    hour = silver.interval_start.dt.floor("h")
    known = silver.available_at <= hour + pd.Timedelta("1h")
    grid = pd.date_range(hour.min().normalize(), hour.max().normalize() + pd.Timedelta("23h"), freq="h")
    load = silver.active_power_kw.where(known).groupby(hour).mean().reindex(grid)
    per_hour = 60 // silver.interval_min.iloc[0]
    measured = (silver.status == "measured").groupby(hour).sum().reindex(grid, fill_value=0) / per_hour
    expected = pd.DataFrame({"load_kw": load, "completeness_ratio": measured})
    for lag in LAGS:
        expected[f"load_kw_lag_{lag}"] = load.shift(lag)
    for length in ROLLING_HOURS:
        window = load.shift(1).rolling(length, min_periods=(length + 1) // 2)
        expected[f"load_kw_mean_{length}"] = window.mean()
        expected[f"load_kw_std_{length}"] = window.std()
    expected["load_kw_trend"] = load.shift(1).rolling(672, min_periods=336).mean()
    weeks = pd.concat([load.shift(168 * week) for week in (1, 2, 3, 4)], axis=1)
    expected["load_kw_seasonal"] = weeks.mean(axis=1).where(weeks.notna().sum(axis=1) >= 2) - expected["load_kw_trend"]
    expected["hour"], expected["weekday"], expected["month"] = grid.hour, grid.day_of_week, grid.month
    last_known = silver.available_at.where(known).groupby(hour).max().reindex(grid)
    return expected, last_known.ffill(limit=671).shift(1)


def test_every_value_is_what_plain_pandas_makes_of_the_readings(readings):
    rows = half_hours(readings, 45)
    silent = (pl.col("event_date") >= date(2024, 3, 20)) & (pl.col("event_date") < date(2024, 3, 23))
    rows = rows.filter(~silent)
    found = hourly_loads(rows, days_of(rows), no_holidays).to_pandas().set_index("hour_start")
    expected, available_at = recompute(rows)
    published = [time.date() in set(days_of(rows)) for time in expected.index]
    expected, available_at = expected[published], available_at[published]
    assert len(found) == 42 * 24
    for name in expected.columns:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-9, atol=1e-9, err_msg=name)
    assert found.available_at.astype("datetime64[s]").tolist() == available_at.astype("datetime64[s]").tolist()
    assert not found.load_kw_seasonal.isna().all()


def test_rows_have_the_declared_columns_also_without_a_reading(readings, schema_of):
    rows = half_hours(readings, 1)
    for part in (rows, rows.clear()):
        assert hourly_loads(part, [FIRST.date()], no_holidays).schema == schema_of(GOLD_LOAD_HOURLY)


def test_features_use_neither_their_own_hour_nor_a_later_one(readings):
    rows = half_hours(readings, 32)
    change = FIRST + timedelta(days=31, hours=7)
    is_later = pl.col("interval_start") >= change
    changed = rows.with_columns(active_power_kw=pl.col("active_power_kw") + pl.when(is_later).then(9.0).otherwise(0.0))
    features = [name for name in GOLD_LOAD_HOURLY.digest_columns if name not in ("load_kw", "completeness_ratio")]
    before, after = (hourly_loads(each, days_of(rows), no_holidays) for each in (rows, changed))
    until = pl.col("hour_start") <= change
    assert_frame_equal(before.filter(until).select(features), after.filter(until).select(features), check_exact=True)
    assert not before.filter(~until).select(features).equals(after.filter(~until).select(features))


@pytest.mark.parametrize("number", [0, 17, 40])
def test_a_day_has_the_same_bits_alone_as_among_others_and_in_any_order(readings, number):
    rows = pl.concat([half_hours(readings, 41), half_hours(readings, 41, seed=4).with_columns(meter_id=pl.lit("m.Y"))])
    day = (FIRST + timedelta(days=number)).date()
    at_once = hourly_loads(rows, days_of(rows), no_holidays).filter(pl.col("event_date") == day)
    is_read = pl.col("event_date").is_between(day - timedelta(days=LOOK_BACK_DAYS), day)
    alone = hourly_loads(rows.filter(is_read).sample(fraction=1, shuffle=True, seed=2), [day], no_holidays)
    assert_frame_equal(alone, at_once, check_exact=True)


def test_a_reading_that_was_known_after_its_hour_does_not_count_in_it(readings):
    rows = readings(FIRST, [1.0, 2.0, 4.0], 30)
    late = FIRST + timedelta(minutes=90)  # interpolated towards the third reading
    is_second = pl.col("interval_start") == FIRST + timedelta(minutes=30)
    rows = rows.with_columns(
        available_at=pl.when(is_second).then(late).otherwise("available_at"),
        status=pl.when(is_second).then(pl.lit("interpolated")).otherwise("status"),
    )
    expected = pl.DataFrame(
        {
            "hour_start": [FIRST, FIRST + timedelta(hours=1)],
            "load_kw": [1.0, 4.0],
            "completeness_ratio": [0.5, 0.5],
            "last_known": [FIRST + timedelta(minutes=30), FIRST + timedelta(minutes=90)],
        },
        schema_overrides={"hour_start": pl.Datetime("us"), "last_known": pl.Datetime("us")},
    )
    assert_frame_equal(aggregate_hours(rows).select(expected.columns), expected)


def test_power_is_added_up_exactly_whatever_the_order_of_the_readings(readings):
    loads = [0.1, 1e8, 0.2, -1e8]  # as doubles, in this order, they add up to 0.29999999702
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]):
        assert aggregate_hours(readings(FIRST, loads, 15)[order])["load_kw"].to_list() == [0.3 / 4]


def test_an_hour_without_a_known_reading_has_no_load_and_is_in_the_table(readings):
    rows = readings(FIRST, [1.0, None, 3.0])
    found = hourly_loads(rows, [FIRST.date()], no_holidays).select("hour", "load_kw", "completeness_ratio").head(4)
    expected = pl.DataFrame(
        {"hour": [0, 1, 2, 3], "load_kw": [1.0, None, 3.0, None], "completeness_ratio": [1.0, 0.0, 1.0, 0.0]},
        schema_overrides={"hour": pl.Int32},
    )
    assert_frame_equal(found, expected)


def test_holidays_are_those_of_the_meters_country(readings):
    rows = pl.concat([readings(FIRST, [1.0], meter_id=f"m.{country}", country=country) for country in ("DE", "FR")])
    found = hourly_loads(rows, [FIRST.date()], lambda country, years: [FIRST.date()] if country == "FR" else [])
    per_meter = found.group_by("meter_id").agg(pl.col("is_holiday").unique()).sort("meter_id")
    assert per_meter.rows() == [("m.DE", [False]), ("m.FR", [True])]


def hours_of(zone, start, hours):
    """Hours of a zone's clock from a moment of UTC on, as a meter that counts up reads them."""
    utc = pd.date_range(start, periods=hours, freq="h", tz="UTC")
    local = utc.tz_convert(zone)
    return local.tz_localize(None).to_pydatetime().tolist(), [2 if time.fold else 1 for time in local.to_pydatetime()]


@pytest.mark.parametrize(
    ("zone", "start", "hours_per_day"),
    [
        ("Europe/Berlin", "2024-03-29T23:00", [24, 23, 24]),
        ("Europe/Berlin", "2024-10-25T22:00", [24, 25, 24]),
        ("America/New_York", "2014-11-01T04:00", [24, 25, 24]),
    ],
)
def test_lags_count_hours_as_they_pass_over_changes_of_the_clock(readings, zone, start, hours_per_day):
    count = sum(hours_per_day)
    starts, occurrences = hours_of(zone, start, count)
    rows = readings(FIRST, [float(number) for number in range(count)], zone=zone).with_columns(
        interval_start=pl.Series(starts, dtype=pl.Datetime("us")),
        event_date=pl.Series([time.date() for time in starts]),
        occurrence=pl.Series(occurrences, dtype=pl.Int32),
        available_at=pl.Series([time + timedelta(hours=1) for time in starts], dtype=pl.Datetime("us")),
    )
    found = hourly_loads(rows, days_of(rows), no_holidays).sort("load_kw")
    assert found.group_by("event_date").len().sort("event_date")["len"].to_list() == hours_per_day
    assert found["load_kw"].to_list() == list(range(count))
    assert found["load_kw_lag_1"].to_list() == [None, *range(count - 1)]
    assert found["load_kw_lag_24"].to_list() == [*[None] * 24, *range(count - 24)]
    assert (found["available_at"] <= found["hour_start"]).all()


def test_an_hour_that_a_clock_without_a_zone_shows_twice_moves_the_later_hours_by_one(readings):
    rows = readings(FIRST, [0.0, 1.0, 2.0, 3.0, 4.0])
    at = pl.Series([FIRST + timedelta(hours=hour) for hour in (0, 1, 1, 2, 3)], dtype=pl.Datetime("us"))
    rows = rows.with_columns(
        interval_start=at,
        available_at=at + timedelta(hours=1),
        occurrence=pl.Series([1, 1, 2, 1, 1], dtype=pl.Int32),
    )
    found = hourly_loads(rows, [FIRST.date()], no_holidays)
    expected = pl.DataFrame(
        [
            (FIRST, 1, 0.0, None, None),
            (FIRST + timedelta(hours=1), 1, 1.0, 0.0, FIRST + timedelta(hours=1)),
            # The clock has been set back to 01:00 since the readings until 02:00
            (FIRST + timedelta(hours=1), 2, 2.0, 1.0, FIRST + timedelta(hours=1)),
            (FIRST + timedelta(hours=2), 1, 3.0, 2.0, FIRST + timedelta(hours=2)),
        ],
        {name: found.schema[name] for name in (*TIMES, "available_at")},
        orient="row",
    )
    assert found.height == 25
    assert_frame_equal(found.head(4).select(*TIMES, "available_at"), expected)


def test_a_second_showing_without_an_earlier_reading_rests_on_none(readings):
    rows = readings(FIRST, [1.0, 2.0]).with_columns(occurrence=pl.Series([1, 2], dtype=pl.Int32))
    rows = rows.with_columns(
        interval_start=pl.lit(FIRST).cast(pl.Datetime("us")), active_power_kw=None, available_at=None
    )
    found = hourly_loads(
        rows.cast({"active_power_kw": pl.Float64, "available_at": pl.Datetime("us")}), [FIRST.date()], no_holidays
    )
    assert found["available_at"].null_count() == found.height == 25


def test_days_without_a_reading_have_no_rows_and_push_nothing_together(readings):
    rows = pl.concat([readings(FIRST, [5.0]), readings(FIRST + timedelta(days=2), [7.0])])
    hours = complete_hours(aggregate_hours(rows), no_holidays)
    assert hours.height == 48
    later = hourly_loads(rows, days_of(rows), no_holidays).filter(pl.col("event_date") == date(2024, 3, 3))
    assert later.filter(pl.col("load_kw_lag_48") == 5.0)["hour_start"].to_list() == [datetime(2024, 3, 3)]
    assert later["load_kw_lag_24"].null_count() == 24
