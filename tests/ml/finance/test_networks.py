import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ml.config import find_config
from ml.finance.networks import Network, build, load_network
from ml.model_files import TamperedError
from ml.torch_runtime import require_torch

SHAPE = (5, 20)
HYPERPARAMETERS = {"hidden": 4, "layers": 1, "dropout": 0.0}


@pytest.fixture
def path(tmp_path):
    """Weights of an untrained GRU, as training leaves them."""
    require_torch(lambda line: None)
    path = tmp_path / "network.safetensors"
    Network(build("gru", *SHAPE, HYPERPARAMETERS), "cpu").save(path)
    return path


def load(path):
    return load_network("gru", path, SHAPE, HYPERPARAMETERS, find_config("tick_gru").resources)


def test_weights_come_back_as_they_were_saved(path):
    load(path).save(path.with_name("again.safetensors"))
    assert path.with_name("again.safetensors").read_bytes() == path.read_bytes()


def cut_off(path):
    path.write_bytes(path.read_bytes()[:100])


def pickled(path):
    path.write_bytes(b"\x80\x04cos\nsystem\n(S'true'\ntR.")


def lacking(path):
    values = load_file(path)
    values.popitem()
    save_file(values, path)


def of_another_size(path):
    save_file({name: np.concatenate([values, values]) for name, values in load_file(path).items()}, path)


@pytest.mark.parametrize("change", [cut_off, pickled, lacking, of_another_size])
def test_file_that_is_not_of_the_network_is_refused_in_words(path, change):
    change(path)
    with pytest.raises(
        TamperedError, match=r"network\.safetensors holds no weights of this network \(.*train the model"
    ):
        load(path)
