"""The generated meter: seeded, in the UCI layout, with the dirt that it promises."""

from __future__ import annotations

import zipfile
from collections import Counter
from datetime import date

import numpy as np
import pytest

from lakehouse.demo.power import DAYS, HEADER, PowerPlan, write_demo_power

ARCHIVE = "power/generated_household.zip"


@pytest.fixture(scope="module")
def landing(tmp_path_factory):
    folder = tmp_path_factory.mktemp("landing")
    assert write_demo_power(folder) == PowerPlan(date(2025, 11, 9), date(2026, 1, 8), DAYS * 1440 + 2)
    return folder


@pytest.fixture(scope="module")
def lines(landing):
    with zipfile.ZipFile(landing / ARCHIVE) as archive:
        assert archive.namelist() == ["household_power_consumption.txt"]
        text = archive.read("household_power_consumption.txt").decode("ascii")
    assert text.endswith("\r\n")
    return text.split("\r\n")[:-1]


def test_the_file_has_a_line_per_minute_and_the_dirt_that_is_promised(lines):
    assert lines[0] == HEADER
    assert lines[1].startswith("9/11/2025;00:00:00;")
    assert lines[-1].startswith("7/1/2026;23:59:00;")
    fields = [line.split(";") for line in lines[1:]]
    times = Counter(";".join(field[:2]) for field in fields if len(field) == 9)
    assert sum(field[2:] == ["?"] * 6 + [""] for field in fields if len(field) == 9) == 3 + 1 + 90
    assert sum(len(field) != 9 for field in fields) == 1
    twice = [time for time, count in times.items() if count == 2]
    copies = [{line for line in lines if line.startswith(time)} for time in twice]
    assert sorted(len(copy) for copy in copies) == [1, 2]  # one sent twice, one corrected
    assert len(times) == DAYS * 1440 - 1


def test_the_load_has_a_daily_and_a_weekly_shape(lines):
    whole = [line.split(";") for line in lines[1:] if len(line.split(";")) == 9 and "?" not in line]
    power = np.array([float(field[2]) for field in whole])
    hour = np.array([int(field[1][:2]) for field in whole])
    assert power.min() > 0
    assert power[(hour >= 19) & (hour < 22)].mean() > 2 * power[(hour >= 1) & (hour < 5)].mean()
    day = np.array([date(*map(int, reversed(field[0].split("/")))).weekday() for field in whole])
    at_noon = (hour >= 10) & (hour < 16)
    assert power[at_noon & (day >= 5)].mean() > 1.3 * power[at_noon & (day < 5)].mean()


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(landing, tmp_path):
    archive, dialect = ARCHIVE, "dialects/generated_household.yaml"
    write_demo_power(tmp_path / "again")
    write_demo_power(tmp_path / "other", seed=8)
    assert (tmp_path / "again" / archive).read_bytes() == (landing / archive).read_bytes()
    assert (tmp_path / "other" / archive).read_bytes() != (landing / archive).read_bytes()
    assert (tmp_path / "other" / dialect).read_bytes() == (landing / dialect).read_bytes()


def test_the_dialect_reads_every_line(landing):
    from lakehouse.config.settings import read_settings
    from spark_jobs.energy.dialects import user_dialects
    from spark_jobs.sources.power_readings import PowerReadings

    source = PowerReadings(user_dialects(str(landing), read_settings({})))
    claim = source.claim(ARCHIVE)
    assert (claim.subject, claim.dialects[0].name) == ("household.GENERATED", "generated_household")
    rows = list(source.read((landing / ARCHIVE).read_bytes(), claim))
    assert sum(len(part.lines) for part in rows) == DAYS * 1440 + 2
    assert sum(part.ts_event.null_count for part in rows) == 1
