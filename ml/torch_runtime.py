"""Torch on demand: installed when a model first needs it, and set up so that a seed gives the same model again.

Reads   requirements-torch.txt
Writes  torch into this Python environment, the first time

Whatever imports torch calls `require_torch` first, so that nobody waits for gigabytes who trains no such model.
`lakehouse setup torch` installs it ahead of time.
"""

from __future__ import annotations

import fcntl
import importlib
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.version import Version

from lakehouse.config.project import ROOT
from lakehouse.errors import UnavailableError
from ml.config import Resources
from ml.model import Say

if TYPE_CHECKING:
    import torch

REQUIREMENTS = ROOT / "requirements-torch.txt"
SMALL_BUILD_ONLY = {"UV_HTTP_CONNECT_TIMEOUT": "10", "UV_HTTP_RETRIES": "1"}
"""The build without CUDA lies in an index that many networks don't reach: one try tells, the default comes next."""


class TorchMissingError(UnavailableError):
    """Torch is not there and could not be installed; nothing was trained."""


def require_torch(say: Say, requirements: Path = REQUIREMENTS) -> None:
    """Install torch where it is missing or of another version; quick where it is there.

    Raises:
        TorchMissingError: it can't be installed, or can't be imported.
    """
    if "torch" in sys.modules:
        return
    wanted = pinned_version(requirements)
    if is_installed(wanted) and can_import():
        return
    with one_at_a_time():
        if not (is_installed(wanted) and can_import()):
            install(requirements, wanted, say)
    importlib.invalidate_caches()
    if not can_import():
        raise TorchMissingError(
            f"torch {wanted} is installed and can't be imported; make it anew: rm -rf {sys.prefix} && make setup"
        )


def pinned_version(requirements: Path) -> str:
    """Return the version that the requirements name."""
    lines = requirements.read_text(encoding="utf-8").splitlines()
    (pinned,) = (Requirement(line) for line in lines if line and not line.startswith("#"))
    return str(pinned.specifier).removeprefix("==")


def is_installed(wanted: str) -> bool:
    """Return whether torch is there in a version; 2.15.0+cpu is a build of 2.15.0."""
    try:
        return Version(version("torch")).public == wanted
    except PackageNotFoundError:
        return False


def can_import() -> bool:
    """Import torch; an installation that was cut off has its files and not all of its libraries."""
    try:
        importlib.import_module("torch")
    except (ImportError, OSError):
        return False
    return True


def install(requirements: Path, wanted: str, say: Say) -> None:
    """Install with what is there: uv with a build for this machine, uv with the default build, pip.

    Raises:
        TorchMissingError: none of them could.
    """
    say(f"installing torch {wanted}, once, for models that are made with it (up to 3 GB, a minute or more) ...")
    began, why = time.monotonic(), ""
    for command, environment in installers(requirements):
        try:
            done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
        except OSError as error:
            why = f"{command[0]}: {error.strerror}"
            continue
        if done.returncode == 0:
            say(f"torch {version('torch')} is there after {time.monotonic() - began:.0f} s")
            return
        why = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1].strip()
    raise TorchMissingError(
        f"torch {wanted} could not be installed ({why}); run the same again when the package index is back, "
        f"or install it by hand: {sys.executable} -m pip install -r {requirements}"
    )


def installers(requirements: Path) -> Iterator[tuple[Sequence[str], Mapping[str, str]]]:
    """Yield command lines that install, and what they need in their environment, the best first."""
    uv = Path(sys.prefix) / "bin" / "uv"
    ours = {"VIRTUAL_ENV": sys.prefix, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
    install_with_uv = (str(uv), "pip", "install", "--quiet", "-r", str(requirements))
    if uv.exists():
        if platform.system() == "Linux":
            yield (*install_with_uv, "--torch-backend=auto"), ours | SMALL_BUILD_ONLY
        yield install_with_uv, ours
    yield (sys.executable, "-m", "pip", "install", "--quiet", "-r", str(requirements)), {}


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let one process install; a second one waits and finds it done.

    Raises:
        TorchMissingError: this Python environment can't be written.
    """
    try:
        file = (Path(sys.prefix) / ".torch-install.lock").open("w")
    except OSError as error:
        raise TorchMissingError(f"torch is missing and {sys.prefix} can't be written ({error.strerror})") from None
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def prepare_torch(resources: Resources, seed: int) -> torch.device:
    """Seed torch, give it its threads and demand repeatable kernels; return the device to compute on.

    `gpu` is the first CUDA device where there is one, else the CPU. Threads count: sums of other parts round otherwise.
    """
    # cuBLAS reads it when its first handle is made
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.set_num_threads(resources.threads)
    torch.use_deterministic_algorithms(True)
    # Repeatable kernels read no memory before they write it; filling each tensor first would write it twice
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = False
    torch.manual_seed(seed)
    return torch.device("cuda" if resources.device == "gpu" and torch.cuda.is_available() else "cpu")
