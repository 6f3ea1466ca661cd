import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.errors import ExitCode
from lakehouse.lake.schema import arrow_schema
from lakehouse.tables.vision import GOLD_IMAGE_PREDICTIONS
from spark_jobs.layers.forecasts import file_columns
from spark_jobs.vision.image_predictions import JOB

SCHEMA = arrow_schema(GOLD_IMAGE_PREDICTIONS, file_columns(GOLD_IMAGE_PREDICTIONS))


def prediction(number=0, dataset="digits", version=1, predicted=3, **changed):
    return {
        "image_id": f"{dataset}.test.{number:06d}",
        "dataset": dataset,
        "split": "test",
        "label": 3,
        "predicted_label": predicted,
        "predicted_label_name": str(predicted),
        "probability": 0.9,
        "image_sha256": "a" * 64,
        "model_name": f"{dataset}_cnn",
        "model_version": version,
        "snapshot_id": 7,
        **changed,
    }


@pytest.fixture
def deliver(lake, tmp_path):
    """Publish a file of predictions; return the outcome."""

    def run(name, rows):
        folder = tmp_path / name
        folder.mkdir()
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), folder / "f.parquet")
        return lake.run(JOB, landing=folder)

    return run


def published(lake):
    return lake.values(GOLD_IMAGE_PREDICTIONS, "dataset", "model_version", "image_id", "predicted_label")


def test_other_versions_and_sets_stay_and_the_same_key_is_replaced(lake, deliver):
    first = deliver("a", [prediction(0), prediction(1), prediction(0, "mnist")])
    assert (first.outcome, first.slices) == ("published", ("digits", "mnist"))
    assert deliver("b", [prediction(0, version=2)]).slices == ("digits",)
    assert deliver("c", [prediction(0, predicted=8)]).slices == ("digits",)
    assert sorted(published(lake)) == [
        ("digits", 1, "digits.test.000000", 8),  # replaced by c
        ("digits", 1, "digits.test.000001", 3),  # not in c
        ("digits", 2, "digits.test.000000", 3),  # another version
        ("mnist", 1, "mnist.test.000000", 3),  # another set
    ]


def test_rows_that_are_no_predictions_are_not_published(lake, deliver):
    outcome = deliver("a", [prediction(0, probability=0.0)])
    assert (outcome.outcome, outcome.exit_code, outcome.slices) == ("held back", ExitCode.QUARANTINED, ())
    assert "probability_is_that_of_a_winner" in outcome.message
    assert lake.main(GOLD_IMAGE_PREDICTIONS) is None
