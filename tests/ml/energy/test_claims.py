from dataclasses import replace

import numpy as np
import pytest

from lakehouse.tables.energy import GOLD_LOAD_HOURLY
from ml.config import config_files, find_config
from ml.energy.claims import check_claims
from ml.energy.config import ORIGIN_FEATURES, TARGET_FEATURES, PowerConfig
from ml.energy.features import lay_out
from ml.leakage import LeakError

POWER_MODELS = [name for name, path in config_files().items() if path.parent.name == "energy"]


@pytest.fixture(scope="module")
def frame(hours):
    return hours.generated(45)


@pytest.fixture
def check(hours, frame):
    """check(column=values) checks the generated hours with some columns in place of their own, or beside them."""

    def run(**planted):
        rows = hours.table(frame)
        laid_out = lay_out(rows)
        check_claims(rows, replace(laid_out, columns={**laid_out.columns, **planted}))

    return run


@pytest.mark.parametrize("name", POWER_MODELS)
def test_every_feature_of_a_shipped_yaml_is_one_that_is_checked_or_built_from_the_past(name):
    config = find_config(name)
    assert isinstance(config, PowerConfig)
    assert not {*config.features} - {*ORIGIN_FEATURES, *TARGET_FEATURES}


def test_every_number_that_gold_declares_is_a_feature_but_for_what_the_hour_itself_measures():
    declared = {column.name for column in GOLD_LOAD_HOURLY.columns if not column.type.startswith(("timestamp", "date"))}
    assert declared - {*ORIGIN_FEATURES} == {"meter_id", "occurrence", "load_kw", "completeness_ratio"}


def test_honest_hours_pass(check):
    check()


@pytest.mark.parametrize(
    ("name", "hours_away"), [("hour", 1), ("weekday", 24), ("month", 24 * 31)], ids=["hour", "weekday", "month"]
)
def test_calendar_of_a_later_hour_is_found(check, frame, name, hours_away):
    later = np.roll(frame[name].to_numpy(float), -hours_away)
    with pytest.raises(LeakError, match=rf"^column {name} is \d+ at 2007-.*, expected \d+$"):
        check(**{name: later})


def test_day_that_is_a_holiday_for_some_hours_is_found(check, frame):
    with pytest.raises(LeakError, match=r"^column is_holiday is 0 at 2007-01-01T00, expected 1$"):
        check(is_holiday=(np.arange(len(frame)) == 7).astype(float))


def test_column_that_has_no_entry_anywhere_is_checked(check, frame):
    load = frame["load_kw"]
    check(load_kw_smooth=load.shift(1).rolling(24).mean().to_numpy())
    with pytest.raises(LeakError, match=r"^column load_kw_smooth follows what is measured after its hour began"):
        check(load_kw_smooth=load.rolling(24, center=True).mean().to_numpy())


@pytest.mark.parametrize("known", [1, 300])
def test_column_of_too_few_hours_to_be_checked_is_refused_and_the_others_are_checked(check, frame, known):
    sparse = np.where(np.arange(len(frame)) < len(frame) - known, np.nan, frame["load_kw"].to_numpy())
    expected = r"^column sparse of gold\.load_hourly can't be checked against the future: fewer than 500 hours have"
    with pytest.raises(LeakError, match=expected):
        check(sparse=sparse)
    with pytest.raises(LeakError, match=r"^column load_kw_trend follows what is measured after its hour began"):
        check(sparse=sparse, load_kw_trend=frame["load_kw"].to_numpy())


def test_column_without_any_value_tells_nothing(check, frame):
    check(empty=np.full(len(frame), np.nan))


def test_hours_that_are_never_measured_whole_are_checked_by_what_they_know_of_the_next_day(hours, frame):
    rows = hours.table(frame.assign(completeness_ratio=0.9))  # no window says exactly what a lag must be
    check_claims(rows, lay_out(rows))


@pytest.mark.parametrize("count", [600, 72], ids=["weeks", "days"])
def test_few_hours_that_are_never_measured_whole_are_refused(hours, frame, count):
    rows = hours.table(frame.assign(completeness_ratio=0.9)[:count])
    with pytest.raises(
        LeakError, match=r"^column load_kw_lag_1, load_kw_lag_2, .* can't be checked against the future"
    ):
        check_claims(rows, lay_out(rows))
