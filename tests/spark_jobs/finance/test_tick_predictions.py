from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.errors import ExitCode
from lakehouse.lake.schema import arrow_schema
from lakehouse.tables.finance import GOLD_TICK_PREDICTIONS
from spark_jobs.finance.tick_predictions import JOB
from spark_jobs.layers.forecasts import file_columns

DAY = date(2013, 10, 11)
OPEN = datetime(2013, 10, 11, 13, 30, tzinfo=UTC)


def forecast(minute=0, value=0.001, **changed):
    return {
        "instrument_id": "AIG.USA",
        "event_date": DAY,
        "bar_start": OPEN + timedelta(minutes=minute),
        "horizon": 10,
        "forecast_log_return": value,
        "model_name": "tick_gru",
        "model_version": 1,
        "snapshot_id": 7,
        **changed,
    }


@pytest.fixture
def deliver(lake, tmp_path):
    """Publish a file of forecasts; return the outcome."""

    def run(name, rows):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        schema = arrow_schema(GOLD_TICK_PREDICTIONS, file_columns(GOLD_TICK_PREDICTIONS))
        pq.write_table(pa.Table.from_pylist(rows, schema), folder / "f.parquet")
        return lake.run(JOB, landing=folder)

    return run


def test_forecasts_of_other_versions_instruments_and_horizons_stay_and_the_same_key_is_replaced(lake, deliver):
    first = deliver("a", [forecast(), forecast(horizon=5), forecast(instrument_id="BAC.USA")])
    assert (first.outcome, first.slices) == ("published", (DAY,))
    assert deliver("b", [forecast(model_version=2, value=0.002)]).slices == (DAY,)
    assert deliver("c", [forecast(value=-0.003)]).slices == (DAY,)
    columns = ("model_version", "instrument_id", "bar_start", "horizon", "forecast_log_return")
    assert lake.values(GOLD_TICK_PREDICTIONS, *columns) == [
        (1, "AIG.USA", OPEN, 5, 0.001),  # another horizon
        (1, "AIG.USA", OPEN, 10, -0.003),  # replaced by c
        (1, "BAC.USA", OPEN, 10, 0.001),  # another instrument
        (2, "AIG.USA", OPEN, 10, 0.002),  # another version
    ]


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        pytest.param(forecast(value=1.5), "forecast_is_a_return", id="no log return of minutes"),
        pytest.param(forecast(event_date=DAY + timedelta(days=1)), "event_date_is_utc_day", id="other day"),
        pytest.param(forecast(value=None), "forecast_log_return_not_null", id="no value"),
    ],
)
def test_wrong_forecasts_do_not_reach_main(lake, deliver, row, rule):
    outcome = deliver("a", [row])
    assert (outcome.outcome, outcome.exit_code, outcome.slices) == ("held back", ExitCode.QUARANTINED, ())
    assert rule in outcome.message
    assert lake.main(GOLD_TICK_PREDICTIONS) is None
