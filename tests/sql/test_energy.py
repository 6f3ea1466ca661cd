"""Views of load on rows that can be summed up by hand."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta

import pytest

from lakehouse.tables.energy import GOLD_LOAD_FORECASTS, GOLD_LOAD_HOURLY

METER = "household.UCI"


def hour(start: datetime, load_kw: float | None, occurrence: int = 1) -> dict:
    return {
        "meter_id": METER,
        "event_date": start.date(),
        "hour_start": start,
        "occurrence": occurrence,
        "load_kw": load_kw,
        "completeness_ratio": 0.0 if load_kw is None else 1.0,
        "hour": start.hour,
        "weekday": start.weekday(),
        "is_holiday": False,
    }


def test_load_by_weekday_and_hour_is_of_the_civil_clock(desk):
    monday = datetime(2024, 10, 21, 2)
    sunday = datetime(2024, 10, 27, 2)
    desk.fill(
        GOLD_LOAD_HOURLY,
        *(hour(monday, 1.0), hour(monday + timedelta(days=7), 2.0)),
        hour(monday + timedelta(days=14), 8.0),  # in November
        *(hour(sunday, 3.0), hour(sunday, 5.0, occurrence=2)),  # the clock shows the hour twice
        hour(sunday - timedelta(days=7), None),  # was not measured
    )
    rows = desk.run(
        "energy/load_by_weekday_and_hour",
        *("month_start", "weekday", "hour", "hour_count", "measured_hour_count", "mean_load_kw", "std_load_kw"),
        *("least_load_kw", "greatest_load_kw", "mean_completeness_ratio"),
    )
    october, november = date(2024, 10, 1), date(2024, 11, 1)
    assert rows == [
        (october, 0, 2, 2, 2, 1.5, pytest.approx(math.sqrt(0.5)), 1.0, 2.0, 1.0),
        (october, 6, 2, 3, 2, 4.0, pytest.approx(math.sqrt(2)), 3.0, 5.0, pytest.approx(2 / 3)),
        (november, 0, 2, 1, 1, 8.0, None, 8.0, 8.0, 1.0),
    ]


def test_forecast_errors_compare_each_forecast_with_its_own_hour(desk):
    def forecast(start: datetime, load_kw: float, occurrence: int = 1, horizon: int = 1) -> dict:
        return {
            "meter_id": METER,
            "event_date": start.date(),
            "target_start": start,
            "target_occurrence": occurrence,
            "horizon": horizon,
            "load_kw": load_kw,
            "load_kw_lower": load_kw - 1,
            "load_kw_upper": load_kw + 1,
            "interval_ratio": 0.8,
            "model_name": "household_power_lgbm",
            "model_version": 1,
        }

    two = datetime(2024, 10, 27, 2)
    desk.fill(GOLD_LOAD_HOURLY, hour(two, 3.0), hour(two, 5.0, occurrence=2), hour(two + timedelta(hours=1), None))
    desk.fill(
        GOLD_LOAD_FORECASTS,
        forecast(two, 4.0),  # 1 kW too high; measured on the edge of the interval, which belongs to it
        forecast(two, 2.0, occurrence=2),  # 3 kW too low, outside the interval
        forecast(two + timedelta(hours=1), 9.0),  # was not measured
        forecast(two + timedelta(hours=2), 9.0),  # has no row yet
        forecast(two, 3.0, horizon=24),
    )
    rows = desk.run(
        "energy/forecast_errors",
        *("horizon", "forecast_count", "measured_count", "bias_kw", "mae_kw", "rmse_kw"),
        *("interval_ratio", "interval_hit_pct"),
    )
    assert rows == [
        (1, 4, 2, -1.0, 2.0, pytest.approx(math.sqrt(5)), 0.8, 50.0),
        (24, 1, 1, 0.0, 0.0, 0.0, 0.8, 100.0),
    ]


def test_peak_hours_of_a_month_leave_out_other_months_and_unmeasured_hours(desk):
    december = [hour(datetime(2025, 12, 1) + timedelta(hours=number), float(number)) for number in range(12)]
    desk.fill(
        GOLD_LOAD_HOURLY,
        *december,
        hour(datetime(2025, 12, 31, 23), None),
        *(hour(datetime(2025, 11, 30, 23), 99.0), hour(datetime(2026, 1, 1), 99.0)),
    )
    assert [load for (load,) in desk.run("energy/peak_hours_of_a_month", "load_kw")] == sorted(
        map(float, range(2, 12)), key=lambda load: str((load,))
    )
