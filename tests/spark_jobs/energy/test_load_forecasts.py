from datetime import date, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.lake.schema import arrow_schema
from lakehouse.tables.energy import GOLD_LOAD_FORECASTS
from spark_jobs.energy.load_forecasts import JOB
from spark_jobs.layers.forecasts import file_columns

DAY = date(2007, 6, 1)
NEXT = DAY + timedelta(days=1)


def forecast(day=DAY, hour=0, horizon=1, version=1, load_kw=1.0, **changed):
    start = datetime(day.year, day.month, day.day, hour)
    return {
        "meter_id": "household.UCI",
        "event_date": day,
        "target_start": start,
        "target_occurrence": 1,
        "horizon": horizon,
        "origin_start": start - timedelta(hours=horizon - 1),
        "load_kw": load_kw,
        "load_kw_lower": load_kw - 0.5,
        "load_kw_upper": load_kw + 0.5,
        "interval_ratio": 0.8,
        "model_name": "m1",
        "model_version": version,
        "snapshot_id": 7,
        **changed,
    }


@pytest.fixture
def deliver(lake, tmp_path):
    """Publish a file of forecasts; return the outcome."""

    def run(name, rows):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        pq.write_table(
            pa.Table.from_pylist(rows, arrow_schema(GOLD_LOAD_FORECASTS, file_columns(GOLD_LOAD_FORECASTS))),
            folder / "f.parquet",
        )
        return lake.run(JOB, landing=folder)

    return run


def published(lake):
    return lake.values(GOLD_LOAD_FORECASTS, "model_version", "target_start", "horizon", "load_kw")


def test_forecasts_of_other_versions_and_horizons_stay_and_the_same_key_is_replaced(lake, deliver):
    noon = datetime(2007, 6, 1)
    first = deliver("a", [forecast(), forecast(horizon=24, load_kw=2.0), forecast(day=NEXT)])
    assert (first.outcome, first.slices) == ("published", (DAY, NEXT))
    assert deliver("b", [forecast(version=2, load_kw=3.0)]).slices == (DAY,)
    assert deliver("c", [forecast(load_kw=1.5)]).slices == (DAY,)
    assert published(lake) == [
        (1, noon, 1, 1.5),  # replaced by c
        (1, noon, 24, 2.0),  # another horizon
        (1, noon + timedelta(days=1), 1, 1.0),  # another day
        (2, noon, 1, 3.0),  # another version
    ]


def test_same_file_again_publishes_nothing(lake, deliver):
    deliver("a", [forecast()])
    before = lake.main(GOLD_LOAD_FORECASTS)
    assert deliver("a", [forecast()]).outcome == "done already"
    assert lake.main(GOLD_LOAD_FORECASTS) == before
    shas = lake.values(GOLD_LOAD_FORECASTS, "_source_sha256")
    assert len(shas[0][0]) == 64


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        pytest.param(forecast(load_kw_upper=0.9), "interval_holds_forecast", id="outside its interval"),
        pytest.param(forecast(event_date=NEXT), "event_date_is_target_day", id="other day"),
        pytest.param(forecast(origin_start=datetime(2007, 6, 2)), "target_not_before_origin", id="of the past"),
        pytest.param({**forecast(), "load_kw": None}, "load_kw_not_null", id="no value"),
    ],
)
def test_wrong_forecasts_do_not_reach_main(lake, deliver, row, rule):
    outcome = deliver("a", [row])
    assert (outcome.outcome, rule in outcome.message) == ("held back", True)
    assert published(lake) == []


def test_folder_without_forecasts_and_other_files_are_bad_input(lake, tmp_path):
    empty = lake.run(JOB, landing=tmp_path)
    assert (empty.outcome, empty.message) == (
        "bad input",
        f"{tmp_path} holds no file of forecasts (*.parquet); lakehouse predict writes one",
    )
    pq.write_table(pa.table({"x": [1]}), tmp_path / "f.parquet")
    assert lake.run(JOB, landing=tmp_path).message.startswith(f"{tmp_path}/f.parquet is not a file of forecasts (")
