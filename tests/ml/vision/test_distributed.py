import json

import numpy as np
import pytest

from ml.config import find_config
from ml.model_files import read_index
from ml.torch_runtime import require_torch
from ml.vision.image_cnn import ImageModel


@pytest.fixture(scope="module")
def rows(images):
    return images.rows("digits", images.digits())


def trained(rows, folder, *overrides):
    require_torch(lambda line: None)
    model = ImageModel(find_config("digits_cnn", ["epochs=8", *overrides]))
    folder.mkdir()
    said = []
    history = model.train(rows, folder, said.append)
    return model, history, said


def test_two_processes_learn_what_one_learns(rows, tmp_path):
    """Normalisation sees each process's own half of a batch, so the two come close and are not equal."""
    _, alone, _ = trained(rows, tmp_path / "one")
    model, shared, said = trained(rows, tmp_path / "two", "processes=2")
    assert [line.split(":")[0] for line in said[1:]] == [f"epoch {number} of 8" for number in range(1, 9)]
    assert shared["epoch_validation_accuracy"][-1] > 0.95
    assert shared["epoch_train_loss"][-1] == pytest.approx(alone["epoch_train_loss"][-1], abs=0.1)
    scored = model.score(rows, tmp_path / "two")
    assert scored.column("loss").to_numpy().mean() < 0.06
    assert read_index(tmp_path / "two").keys() == read_index(tmp_path / "one").keys()


def test_the_same_seed_gives_the_same_files(rows, tmp_path):
    for name in ("first", "second"):
        trained(rows, tmp_path / name, "epochs=2")
    first, second = (json.loads((tmp_path / name / "model.json").read_text()) for name in ("first", "second"))
    assert first == second  # and with them the sha256 of the weights
    trained(rows, tmp_path / "third", "epochs=2", "seed=2")
    assert json.loads((tmp_path / "third" / "model.json").read_text())["files"] != first["files"]


def test_classifier_reads_images_in_any_order(rows, tmp_path):
    model, _, _ = trained(rows, tmp_path / "one", "epochs=2")
    test = rows.filter(np.array(rows.column("split").to_pylist()) == "test")
    order = np.random.default_rng(1).permutation(test.num_rows)
    straight = model.score(test, tmp_path / "one").select(["example", "forecast", "confidence"]).to_pylist()
    mixed = model.score(test.take(order), tmp_path / "one").select(["example", "forecast", "confidence"]).to_pylist()
    by_name = {row["example"]: row for row in mixed}
    assert [by_name[row["example"]]["forecast"] for row in straight] == [row["forecast"] for row in straight]
