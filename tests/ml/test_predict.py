import hashlib
from datetime import date, datetime

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from lakehouse.errors import BadInputError, ExitCode
from lakehouse.tables.energy import GOLD_LOAD_FORECASTS
from ml import predict
from ml.predict import backtest_days, forecast_days, publish_forecasts, write_file

MODEL = "household_power_lgbm"
LAST = date(2007, 3, 1)  # generated hours end with this day


@pytest.fixture(scope="module")
def run(training):
    return training.train()


@pytest.fixture(scope="module")
def forecasts(training, run):
    return forecast_days(training.context, run, 1, [LAST, date(2007, 3, 2)], None)


def test_forecasts_have_the_columns_that_their_job_adds_nothing_to(forecasts):
    added = {"made_at", "_source_sha256", "_ingested_at"}
    assert set(forecasts.column_names) == set(GOLD_LOAD_FORECASTS.column_names) - added


def test_every_hour_that_gold_reaches_is_forecast_at_each_horizon(forecasts):
    keys = sorted(
        zip(forecasts.column("horizon").to_pylist(), forecasts.column("target_start").to_pylist(), strict=True)
    )
    hours = [datetime(2007, 3, 1, hour) for hour in range(24)]
    # 24 h ahead the last hour of gold, 23:00, reaches 22:00 of the next day
    tomorrow = [datetime(2007, 3, 2, hour) for hour in range(23)]
    assert keys == [(1, hour) for hour in hours] + [(24, hour) for hour in hours + tomorrow]


def test_forecasts_are_those_of_the_evaluation(training, run, forecasts):
    path = training.context.client.download_artifacts(run.run_id, "predictions.parquet")
    scored = pq.read_table(path).to_pylist()
    known = {(row["group"], row["example"]): (row["forecast"], row["lower"], row["upper"]) for row in scored}
    compared = 0
    for row in forecasts.to_pylist():
        key = (row["horizon"], row["origin_start"].strftime("%Y-%m-%dT%H"))
        if key in known:
            assert known[key] == (row["load_kw"], row["load_kw_lower"], row["load_kw_upper"])
            compared += 1
    assert compared == 48  # each hour of the last day at both horizons


def test_forecasts_rest_on_nothing_after_their_origin(training, run, hours, forecasts):
    frame = hours.generated()
    frame.loc[frame["hour_start"] >= "2007-03-01 12:00", "load_kw"] = 99.0
    hours.publish(training.settings, frame)
    try:
        changed = forecast_days(training.context, run, 1, [LAST], None)
    finally:
        hours.publish(training.settings, hours.generated())
    until_noon = pc.field("origin_start") <= datetime(2007, 3, 1, 12)
    columns = ["horizon", "target_start", "load_kw", "load_kw_lower", "load_kw_upper"]
    first_day = forecasts.filter(pc.field("event_date") == LAST)
    assert changed.filter(until_noon).select(columns).equals(first_day.filter(until_noon).select(columns))


def test_days_that_gold_does_not_reach_are_refused(training, run):
    with pytest.raises(BadInputError, match=r"none from which \[2008-01-01 .* can be forecast 1, 24 h ahead$"):
        forecast_days(training.context, run, 1, [date(2008, 1, 1)], None)


def test_equal_forecasts_are_one_file_named_after_its_sha256(tmp_path, forecasts):
    paths = {write_file(tmp_path, forecasts) for _ in range(2)}
    path = paths.pop()
    assert not paths
    assert path.parent.name == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [each.name for each in tmp_path.iterdir()] == [path.parent.name]


def test_model_whose_forecasts_are_not_traded_has_no_backtest(training, run):
    with pytest.raises(BadInputError, match=rf"^{MODEL} forecasts nothing that is traded; lakehouse predict"):
        backtest_days(training.context, f"{MODEL}/1", [LAST], None)


@pytest.mark.parametrize(("code", "kept"), [(ExitCode.DONE, 0), (ExitCode.UNAVAILABLE, 1)])
def test_file_is_kept_until_it_is_published(training, run, monkeypatch, code, kept):
    seen = []

    def submit(script, arguments):
        seen.append((script.name, arguments[0], len(list(training.settings.forecasts.glob("*/forecasts.parquet")))))
        return code

    monkeypatch.setattr(predict, "spark_submit", submit)
    assert publish_forecasts(training.context, f"{MODEL}@challenger", [LAST], None) == code
    assert seen == [("load_forecasts.py", "--landing", 1)]
    assert len(list(training.settings.forecasts.glob("*/forecasts.parquet"))) == kept
