import subprocess
import sys

import pytest

from lakehouse.errors import ExitCode
from ml import torch_runtime
from ml.config import Resources
from ml.torch_runtime import REQUIREMENTS, TorchMissingError, install, is_installed, pinned_version, prepare_torch

ON_LINUX = "--torch-backend=auto"


@pytest.fixture
def requirements(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text("# why\n\ntorch==9.9.9\n")
    return path


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """A Python environment whose installers are scripts: they write down how they were called and do as told."""
    folder = tmp_path / "environment"
    (folder / "bin").mkdir(parents=True)
    monkeypatch.setattr(sys, "prefix", str(folder))
    monkeypatch.setattr(sys, "executable", str(folder / "bin" / "python"))
    monkeypatch.setattr("platform.system", lambda: "Linux")

    def program(name, body):
        path = folder / "bin" / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {folder}/calls\n{body}\n')
        path.chmod(0o755)
        return folder / "calls"

    return program


@pytest.mark.parametrize(
    ("uv", "python", "expected"),
    [
        pytest.param("exit 0", "exit 1", ["uv small"], id="the small build can be had"),
        pytest.param('case "$*" in *auto*) exit 2;; esac', "exit 1", ["uv small", "uv"], id="only the default one"),
        pytest.param("exit 2", "exit 0", ["uv small", "uv", "pip"], id="uv fails"),
        pytest.param(None, "exit 0", ["pip"], id="no uv"),
    ],
)
def test_install_takes_the_first_way_that_works(environment, requirements, monkeypatch, uv, python, expected):
    monkeypatch.setattr(torch_runtime, "version", lambda name: "9.9.9+cpu")
    calls = environment("python", python)
    if uv is not None:
        environment("uv", uv)
    said = []
    install(requirements, "9.9.9", said.append)
    ways = {
        "uv small": f"uv pip install --quiet -r {requirements} {ON_LINUX}",
        "uv": f"uv pip install --quiet -r {requirements}",
        "pip": f"python -m pip install --quiet -r {requirements}",
    }
    assert calls.read_text().splitlines() == [ways[name] for name in expected]
    assert said == [
        "installing torch 9.9.9, once, for models that are made with it (up to 3 GB, a minute or more) ...",
        "torch 9.9.9+cpu is there after 0 s",
    ]


def test_install_that_cannot_says_why_in_one_line_and_what_to_do(environment, requirements):
    environment("uv", "echo 'error: no route to host' >&2; exit 2")
    environment("python", "echo noise >&2; echo 'ERROR: No matching distribution found for torch' >&2; exit 1")
    with pytest.raises(TorchMissingError) as raised:
        install(requirements, "9.9.9", lambda line: None)
    assert raised.value.exit_code == ExitCode.UNAVAILABLE
    assert str(raised.value) == (
        "torch 9.9.9 could not be installed (ERROR: No matching distribution found for torch); run the same again when "
        f"the package index is back, or install it by hand: {sys.executable} -m pip install -r {requirements}"
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [("2.15.0", True), ("2.15.0+cpu", True), ("2.15.0+cu132", True), ("2.14.1", False), (None, False)],
)
def test_is_installed_takes_any_build_of_the_version(monkeypatch, found, expected):
    def version(name):
        if found is None:
            raise torch_runtime.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(torch_runtime, "version", version)
    assert is_installed("2.15.0") is expected


def test_requirements_pin_one_version_of_torch():
    assert REQUIREMENTS.read_text().splitlines()[-1] == f"torch=={pinned_version(REQUIREMENTS)}"


def test_training_of_other_models_does_not_import_torch():
    code = (
        "import sys, ml.commands, ml.steps, ml.predict, ml.reproduce\n"
        "from ml.config import config_files, find_config\n"
        "from ml.model import find_model\n"
        "configs = [find_config(name) for name in config_files()]\n"
        "find_model(find_config('household_power_lgbm'))\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_prepare_torch_gives_the_same_numbers_for_a_seed_and_the_threads_that_were_asked_for():
    torch_runtime.require_torch(lambda line: None)
    import torch

    def draw(seed, threads):
        device = prepare_torch(Resources(device="cpu", threads=threads, memory="1g"), seed)
        assert (device.type, torch.get_num_threads()) == ("cpu", threads)
        return torch.rand(3).tolist()

    assert draw(7, 1) == draw(7, 2) != draw(8, 1)
    assert torch.are_deterministic_algorithms_enabled()
