"""Real meter files from bytes to hourly load, without Spark: every line accounted for, gaps and clock changes kept."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest

from spark_jobs.sources.discovery import claim_file
from spark_jobs.sources.reading import read_rows
from transforms.energy.load_features import hourly_loads
from transforms.energy.readings import clean_readings


@pytest.fixture(scope="module")
def clean(real_data):
    """clean(path below household_power, content) reads a file and sorts out its lines; returns them, too."""
    folder = real_data / "household_power"

    def read(path, content=None):
        batches = read_rows(content or (folder / path).read_bytes(), claim_file(path), "5" * 64, datetime.now(UTC))
        lines = pl.concat([pl.DataFrame(batch) for batch in batches]).drop("_ingested_at")
        return lines, clean_readings(lines)

    return read


def loads_of(rows):
    return hourly_loads(rows, rows["event_date"].unique().to_list(), lambda country, years: [])


@pytest.mark.parametrize(
    ("path", "lines_in", "rejected"),
    [
        pytest.param("uci-month/household_power_consumption.txt", 40_964, 1, id="uci month, a cut line"),
        pytest.param("uci-day/household_power_consumption.txt", 2_203, 0, id="uci day, crlf"),
        pytest.param("other/ETTh1.csv", 17_420, 0, id="ett"),
        pytest.param("other/Steel_industry_data.csv", 35_040, 0, id="steel plant"),
    ],
)
def test_every_line_of_a_real_file_is_a_reading_or_rejected(clean, path, lines_in, rejected):
    lines, judged = clean(path)
    on_lines = judged.rows.filter(pl.col("_source_line").is_not_null())
    found = lines.height, on_lines.height, judged.rejected.height, judged.duplicates.height
    assert found == (lines_in, lines_in - rejected, rejected, 0)
    assert loads_of(judged.rows).height == 24 * judged.rows["event_date"].n_unique()


def test_half_year_keeps_its_gaps_and_its_hours_are_the_means_of_their_minutes(clean):
    lines, judged = clean("half-year/household_power_consumption.zip")
    assert (lines.height, judged.rejected.height, judged.duplicates.height) == (260_640, 0, 0)
    # 3,771 minutes lack measures: 15 in gaps of up to 3 minutes, a gap of 33 and one of 3,723.
    counted = dict(judged.rows["status"].value_counts().rows())
    assert counted == {"measured": 256_869, "missing": 3_756, "interpolated": 15}
    silver = judged.rows.to_pandas()
    hour = silver.interval_start.dt.floor("h")
    known = silver.available_at <= hour + pd.Timedelta("1h")
    expected = silver.active_power_kw.where(known).groupby(hour).mean()
    found = loads_of(judged.rows)
    np.testing.assert_allclose(found["load_kw"].fill_null(np.nan), expected, rtol=1e-12)
    lagged = expected.shift(1).rolling(672, min_periods=336).mean()
    np.testing.assert_allclose(found["load_kw_trend"].fill_null(np.nan), lagged, rtol=1e-9)


def test_pjm_hours_survive_the_changes_of_the_clock(clean, real_data):
    header, *lines = (real_data / "household_power/other/AEP_hourly.csv").read_text().splitlines()
    kept = [line for line in lines if line[:4] in ("2014", "2015")]
    read, judged = clean("AEP_hourly.csv", "\n".join([header, *kept, ""]).encode())
    assert (read.height, judged.rows["_source_line"].count()) == (len(kept), len(kept))
    loads = loads_of(judged.rows)
    per_day = loads.group_by("event_date").len().filter(pl.col("len") != 24).sort("event_date")
    assert per_day.rows() == [
        (date(2014, 3, 9), 23),
        (date(2014, 11, 2), 25),
        (date(2015, 3, 8), 23),
        (date(2015, 11, 1), 25),
    ]
    night = pl.col("hour_start").is_between(datetime(2014, 11, 2), datetime(2014, 11, 2, 2))
    autumn = loads.filter(night).select("occurrence", "load_kw", "load_kw_lag_1").rows()
    # The file ends hours: 01:00, 02:00 twice, 03:00. MW become kW.
    assert autumn[1:] == [
        (1, 12_994_000.0, autumn[0][1]),
        (2, 13_190_000.0, 12_994_000.0),
        (1, autumn[3][1], 13_190_000.0),
    ]
    assert (loads["available_at"] <= loads["hour_start"]).all()
