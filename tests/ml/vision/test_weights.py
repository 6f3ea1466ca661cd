"""Weights are numbers: what could run code when it is read is refused before it is opened."""

import json
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ml.config import find_config
from ml.model_files import TamperedError, file_sha256, write_index
from ml.torch_runtime import require_torch

require_torch(lambda line: None)
torch = pytest.importorskip("torch")

from ml.vision.networks import build_linear, build_network  # noqa: E402
from ml.vision.weights import LINEAR_FILE, NETWORK_FILE, load_weights, open_classifier, save_weights  # noqa: E402

CPU = torch.device("cpu")
SHAPE, CLASSES = (1, 8, 8), ["0", "1", "2"]


class Marker:
    """What a malicious pickle does, harmlessly: it writes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.write_text, (Path(self.path), "was run")


@pytest.fixture(scope="module")
def config():
    return find_config("digits_cnn")


@pytest.fixture
def folder(tmp_path, config):
    """A model's folder as training leaves it, its weights new."""
    torch.manual_seed(1)
    path = tmp_path / "files"
    path.mkdir()
    save_weights(build_network(config, SHAPE, len(CLASSES)), path / NETWORK_FILE)
    save_weights(build_linear(SHAPE, len(CLASSES)), path / LINEAR_FILE)
    facts = {"shape": SHAPE, "classes": CLASSES, "mean": [0.3], "std": [0.4], "temperature": 1.0, "majority": 0}
    write_index(path, facts)
    return path


def relist(folder):
    """List the files as they are now, as somebody would who can write them all."""
    index = json.loads((folder / "model.json").read_text())
    index["files"] = {path.name: file_sha256(path) for path in folder.iterdir() if path.name != "model.json"}
    (folder / "model.json").write_text(json.dumps(index))


def test_open_classifier_gives_the_network_that_was_saved(folder, config):
    pixels = np.random.default_rng(1).integers(0, 256, (5, *SHAPE), dtype=np.uint8)
    first, second = (open_classifier(config, folder, CPU).probabilities(config, pixels) for _ in range(2))
    assert np.array_equal(first, second)
    assert np.allclose(first.sum(axis=1), 1)
    torch.manual_seed(1)
    network = build_network(config, SHAPE, len(CLASSES)).eval()
    with torch.no_grad():
        values = (torch.from_numpy(pixels) - 0.3 * 255) / (0.4 * 255)
        expected = torch.softmax(network(values).double(), dim=1).numpy()
    assert np.allclose(first, expected, atol=1e-5)


def pickled(path, marker):
    path.write_bytes(pickle.dumps({"weight": Marker(marker)}))


def saved_by_torch(path, marker):
    torch.save({"weight": Marker(marker)}, path)


def zipped(path, marker):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Marker(marker)))
        archive.writestr("archive/version", "3")


@pytest.mark.parametrize("write", [pickled, saved_by_torch, zipped])
@pytest.mark.parametrize(
    ("name", "is_listed", "words"),
    [
        pytest.param(NETWORK_FILE, False, "has sha256", id="in place of the weights"),
        pytest.param(NETWORK_FILE, True, "holds no weights of this network", id="in place of the weights, and listed"),
        pytest.param("network.pt", False, r"holds \[", id="beside them"),
        pytest.param("network.pt", True, r"^network\.pt: expected \.txt or \.json", id="beside them, and listed"),
    ],
)
def test_pickles_are_refused_and_not_run(folder, config, tmp_path, write, name, is_listed, words):
    marker = tmp_path / "marker"
    write(folder / name, marker)
    if is_listed:
        relist(folder)
    with pytest.raises(TamperedError, match=words):
        open_classifier(config, folder, CPU)
    assert not marker.exists()


def test_the_marker_of_these_tests_works(tmp_path):
    pickled(tmp_path / "x", tmp_path / "marker")
    pickle.loads((tmp_path / "x").read_bytes())  # noqa: S301 - what the tests above prove is not done
    assert (tmp_path / "marker").read_text() == "was run"


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda content: content[: len(content) // 2], id="cut in the middle"),
        pytest.param(lambda content: b"", id="empty"),
        pytest.param(lambda content: (2**63).to_bytes(8, "little") + content[8:], id="a header of exabytes"),
    ],
)
def test_broken_weights_are_one_line(folder, config, harm):
    path = folder / NETWORK_FILE
    path.write_bytes(harm(path.read_bytes()))
    relist(folder)
    with pytest.raises(TamperedError, match=r"holds no weights of this network \(.*\); train the model again$"):
        open_classifier(config, folder, CPU)


def test_weights_of_another_network_are_refused(folder, config):
    shutil.copy(folder / LINEAR_FILE, folder / NETWORK_FILE)
    with pytest.raises(TamperedError, match="holds no weights of this network"):
        load_weights(build_network(config, SHAPE, len(CLASSES)), folder / NETWORK_FILE)
