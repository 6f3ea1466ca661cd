"""Predictions of whole sets, up to the file that their job publishes."""

from datetime import date

import pytest

from lakehouse.errors import BadInputError
from lakehouse.tables.vision import GOLD_IMAGE_PREDICTIONS
from ml.predict import forecast_days

ADDED = {"made_at", "_source_sha256", "_ingested_at"}


@pytest.fixture(scope="module")
def trained(make_gallery, images, tmp_path_factory):
    """A lakehouse with the digits in gold, and a run of their model."""
    gallery = make_gallery(tmp_path_factory.mktemp("gallery") / "home")
    gallery.publish("digits", images.rows("digits", images.digits()))
    return gallery, gallery.train("digits_cnn")


def test_every_image_of_the_set_is_classified_with_the_columns_that_the_job_publishes(trained):
    gallery, run = trained
    found = forecast_days(gallery.context, run, 1, None, None)
    assert set(found.column_names) == set(GOLD_IMAGE_PREDICTIONS.column_names) - ADDED
    assert found.num_rows == 1797
    rows = found.to_pylist()
    assert {row["predicted_label_name"] for row in rows} == {str(label) for label in range(10)}
    assert all(row["predicted_label_name"] == str(row["predicted_label"]) for row in rows)
    right = [row["label"] == row["predicted_label"] for row in rows if row["split"] == "test"]
    metrics = gallery.context.client.get_run(run.run_id).data.metrics
    assert sum(right) / len(right) == metrics["accuracy"]  # as it was evaluated
    assert {(row["model_name"], row["model_version"], row["snapshot_id"]) for row in rows} == {
        ("digits_cnn", 1, run.pin.snapshot_id)
    }


def test_images_have_no_days(trained):
    gallery, run = trained
    with pytest.raises(BadInputError, match=r"^digits_cnn: its rows have no days: leave out --from and --to$"):
        forecast_days(gallery.context, run, 1, [date(2024, 1, 1)], None)
