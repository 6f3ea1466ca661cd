"""Gold of an image set: class balance against the declared tolerance, and exact statistics."""

from __future__ import annotations

import numpy as np
import pytest

from lakehouse.lake.catalog import read_log
from lakehouse.reference.image_set import parse_image_set
from lakehouse.tables.logs import CHECK_RESULTS
from lakehouse.tables.vision import SILVER_IMAGES, gold_images
from spark_jobs.layers.chain import run_domain
from spark_jobs.vision.gold_images import balance_of_tolerance


@pytest.mark.parametrize(
    ("tolerance", "train", "expected"),
    [
        pytest.param("0.5", {0: 10, 1: 10, 2: 10, 3: 10}, 0.0, id="equal"),
        pytest.param("0.5", {0: 15, 1: 10, 2: 10, 3: 5}, 1.0, id="at the tolerance"),
        pytest.param("0.1", {0: 12, 1: 10, 2: 10, 3: 8}, 2.0, id="twice the tolerance"),
        pytest.param("0.5", {0: 20, 1: 10, 2: 10}, 2.0, id="a class without an image"),
        pytest.param("0.5", {}, None, id="no image of train"),
        pytest.param("null", {0: 1}, None, id="no tolerance declared"),
    ],
)
def test_balance_of_tolerance_is_that_of_the_class_farthest_from_an_equal_share(tolerance, train, expected):
    text = "name: a\nformat: idx\nclasses: 4\nfiles: {train: {images: i, labels: l}}\n"
    image_set = parse_image_set(f"{text}balance_tolerance: {tolerance}\n", "a.yaml")
    found = balance_of_tolerance(train, image_set)
    assert found == (None if expected is None else pytest.approx(expected))


def test_a_set_out_of_balance_is_not_published(lake, declare, write_idx, noise):
    declare(lake.landing, "uneven", "balance_tolerance: 0.2", classes=2)
    write_idx(lake.landing / "uneven", "train", noise(20), np.array([0] * 13 + [1] * 7))
    assert run_domain("vision", lake.request(["uneven"])) == 3
    assert lake.main(gold_images("uneven")) is None
    assert lake.rows(SILVER_IMAGES).num_rows == 20
    checks = read_log(lake.settings, CHECK_RESULTS).to_pylist()
    failed = [(row["table_name"], row["rule"], row["observed"]) for row in checks if not row["is_passed"]]
    assert failed == [("gold.uneven_images", "class_balance_of_tolerance", "1.5")]
