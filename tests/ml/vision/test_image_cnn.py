"""Training of image models on gold tables: real digits, and sets of other sizes and numbers of classes."""

import json

import numpy as np
import pyarrow as pa
import pytest

from lakehouse.errors import BadInputError
from ml import config as configs
from ml.config import DataChecks, find_config, read_config
from ml.gate import GateFailedError
from ml.leakage import LeakError
from ml.registry import download_model
from ml.reproduce import train_again
from ml.steps import check_size_and_age
from ml.vision.image_cnn import ImageModel

MODEL = "digits_cnn"


@pytest.fixture(scope="module")
def gallery(make_gallery, images, tmp_path_factory):
    """A lakehouse with the digits of scikit-learn in gold."""
    made = make_gallery(tmp_path_factory.mktemp("gallery") / "home")
    made.publish("digits", images.rows("digits", images.digits()))
    return made


@pytest.fixture(scope="module")
def run(gallery):
    """One run with all steps done."""
    return gallery.train(MODEL)


def metrics_of(gallery, run):
    return gallery.context.client.get_run(run.run_id).data.metrics


def test_digits_are_learned_in_seconds_and_beside_a_baseline(gallery, run):
    metrics = metrics_of(gallery, run)
    assert metrics["accuracy"] > 0.96
    assert 0.85 < metrics["baseline_accuracy"] < metrics["accuracy"]  # softmax regression, not the majority
    assert 0 <= metrics["ece"] < 0.05
    assert metrics["images"] == 360
    assert metrics["worst_class_recall"] <= metrics["macro_f1"] <= 1
    assert run.tags["lakehouse.version"] == "1"
    assert "softmax regression on pixels" in run.tags["lakehouse.gate_verdict"]


def test_run_keeps_curves_plots_and_weights_without_pickle(gallery, run):
    client = gallery.context.client
    epochs = run.config.training.epochs
    for name in ("epoch_train_loss", "epoch_validation_accuracy", "epoch_images_per_second"):
        assert [point.step for point in client.get_metric_history(run.run_id, name)] == list(range(epochs))
    names = [f"{name}.png" for name in ("confusion_matrix", "learning_curves", "most_wrong")]
    for folder in ("plots", "validation"):
        assert [item.path for item in client.list_artifacts(run.run_id, folder)] == [f"{folder}/{n}" for n in names]
    with download_model(gallery.context, run) as packed:
        files = sorted(path.name for path in (packed / "data" / "files").iterdir())
        assert files == ["linear.safetensors", "model.json", "network.safetensors"]
        assert not [path for path in packed.rglob("*") if path.suffix in (".pkl", ".pt", ".pth", ".pickle")]


def test_test_split_is_opened_once_and_only_after_validation_passed(gallery, run, gate_with):
    assert run.tags["lakehouse.test_openings"] == "1"
    assert run.tags["lakehouse.test_split"].startswith("opened once last at 20")
    failure = r"gate failed: validation accuracy 0\.\d+ >= 0\.999"
    with gate_with(MODEL, "{accuracy: {minimum: 0.999}}"), pytest.raises(GateFailedError, match=failure):
        gallery.train(MODEL, ["epochs=1"])
    failed = gallery.context.client.search_runs([gallery_experiment(gallery)], max_results=1)[0]
    assert failed.data.tags["lakehouse.test_split"] == "not opened: validation did not pass"
    assert "lakehouse.test_openings" not in failed.data.tags
    assert "accuracy" not in failed.data.metrics  # nothing of the test split
    assert "validation_accuracy" in failed.data.metrics


def gallery_experiment(gallery):
    return gallery.context.client.get_experiment_by_name("digits-cnn-experiments").experiment_id


def test_version_is_reproduced_without_difference(gallery, run):
    found = train_again(gallery.context, MODEL, 1)
    assert (found.is_equal, found.files_differ, found.prediction_rows) == (True, (), 360)


def test_promotion_pairs_what_both_versions_said_of_the_test_images_by_mcnemar(gallery, run):
    other = gallery.train(MODEL, ["seed=2"])
    assert other.tags["lakehouse.test_openings"] == "1"  # the comparison opened nothing
    said = gallery.lines[-2]
    assert said.startswith("promote: not significantly better than version 1 (group 0: loss 0.")
    assert "on 360 rows, p " in said
    from ml.promotion import promotions_of

    evidence = json.loads(promotions_of(gallery.context, MODEL)[0]["evidence"])
    assert evidence["test"] == "McNemar, exact, one-sided"


def test_served_model_classifies_as_the_run_did(gallery, run):
    import mlflow.pyfunc

    from ml.gold import read_gold

    served = mlflow.pyfunc.load_model(f"models:/{MODEL}@champion")
    model = ImageModel(run.config)
    rows = read_gold(gallery.settings, run.pin, model.columns(), model.row_filter())
    answers = served.predict(rows.filter(pa.compute.field("split") == "test").select(["pixels"]).to_pandas())
    path = gallery.context.client.download_artifacts(run.run_id, "predictions.parquet")
    scored = pa.parquet.read_table(path)
    assert answers["label"].tolist() == scored.column("forecast").to_pylist()
    assert np.allclose(answers["probability"], scored.column("confidence"), atol=1e-6)


def checkered(classes, height, width, channels, count, seed):
    """GENERATED images: each class has its own pattern, as often in negative, so that no sum of pixels tells it."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    patterns = np.random.default_rng(5).integers(0, 2, (classes, channels, height, width)) * 160
    images = patterns[labels] + random.integers(0, 96, (count, channels, height, width))
    is_negative = random.random(count) < 0.5
    images[is_negative] = 255 - images[is_negative]
    return images.astype(np.uint8), labels.astype(np.int64)


@pytest.mark.parametrize(
    ("classes", "height", "width", "channels", "model_type"),
    [
        pytest.param(16, 12, 20, 1, "small_cnn", id="16 classes, not square"),
        pytest.param(2, 5, 5, 3, "small_cnn", id="2 classes, tiny, colour"),
        pytest.param(3, 33, 17, 3, "resnet", id="odd sizes, residual"),
    ],
)
def test_any_set_trains_with_a_yaml_alone(
    gallery, images, tmp_path, monkeypatch, classes, height, width, channels, model_type
):
    name = f"set{classes}x{height}"
    parts = {
        split: checkered(classes, height, width, channels, count, seed)
        for split, count, seed in (("train", 960, 1), ("test", 160, 2))
    }
    gallery.publish(name, images.rows(name, parts))
    text = (
        configs.config_files()[MODEL]
        .read_text()
        .replace("digits", name)
        .replace("minimum_rows: 500", "minimum_rows: 9")
    )
    path = tmp_path / f"{name}_cnn.yaml"
    path.write_text(text)
    files = configs.config_files()
    monkeypatch.setattr(configs, "config_files", lambda: {**files, path.stem: path})
    run = gallery.train(path.stem, [f"model_type={model_type}", "epochs=12", "batch_size=32"])
    assert metrics_of(gallery, run)["accuracy"] > 0.95
    with download_model(gallery.context, run) as packed:
        index = json.loads((packed / "data" / "files" / "model.json").read_text())
    assert (index["shape"], len(index["classes"])) == ([channels, height, width], classes)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        pytest.param(
            lambda rows: rows.set_column(
                rows.schema.get_field_index("image_sha256"), "image_sha256", pa.array(["x"] * rows.num_rows)
            ),
            LeakError,
            r"^2 images of the test split are in train, too, the first is s\.test\.000000$",
            id="an image of test in train",
        ),
        pytest.param(
            lambda rows: rows.filter(pa.compute.field("split") == "test"),
            BadInputError,
            r"are in test and not in train",
            id="no train split",
        ),
    ],
)
def test_check_refuses_images_that_would_mislead(images, change, error, words):
    pixels, labels = checkered(2, 4, 4, 1, 6, 1)
    rows = images.rows("s", {"train": (pixels[:4], labels[:4]), "test": (pixels[4:], labels[4:])})
    with pytest.raises(error, match=words):
        ImageModel(find_config(MODEL)).check(change(rows))


def test_age_of_images_is_refused_where_a_configuration_asks_for_it():
    data = DataChecks(minimum_rows=1, maximum_age_days=3)
    config = find_config(MODEL).model_copy(update={"data": data})
    with pytest.raises(BadInputError, match=r"^rows of gold\.digits_images have no time; expected data\.maximum_age_"):
        check_size_and_age(config, pa.table({"label": [1]}))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        pytest.param("epochs: 15", "epochs: 0", r":23: hyperparameters\.small_cnn\.epochs: input should be", id="0"),
        pytest.param("flip: false", "flip: 1", r"augmentation\.flip: input should be a valid boolean", id="a number"),
        pytest.param("seed: 1", "sede: 1", r"sede: unknown key \(did you mean seed\?\)", id="a name that is not there"),
        pytest.param(
            "processes: 1", "processes: 3", r"batch_size 64 is not shared evenly by 3 processes", id="3 of 64"
        ),
        pytest.param("gold.digits_images", "gold.bars_1m", r"table: ", id="a table of something else"),
        pytest.param("maximum_age_days: null", "maximum_age_days: 3", r"images have no time, expected null", id="age"),
    ],
)
def test_configuration_errors_name_the_line(tmp_path, old, new, words):
    text = configs.config_files()[MODEL].read_text()
    assert old in text
    path = tmp_path / f"{MODEL}.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(BadInputError, match=words):
        read_config(path)
