"""What a result may depend on outside of its configuration: code, packages, machine; recorded with every run."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from lakehouse.config.project import ROOT

RECORDED_PACKAGES = (
    *("lightgbm", "xgboost-cpu", "torch", "safetensors", "numpy", "pandas", "polars", "pyarrow", "pyiceberg"),
    *("exchange-calendars", "mlflow", "lakehouse-tick"),
)
"""Packages that a result may depend on, by their names on the index."""


def environment() -> dict[str, str]:
    """Return what a result may depend on outside of the configuration, where and after it was computed."""
    found = {"python": sys.version.split()[0], "platform": platform.platform(), "machine": platform.machine()}
    found["cuda_device"] = cuda_device()
    return found | {name: package_version(name) for name in RECORDED_PACKAGES}


def cuda_device() -> str:
    """Return the accelerator that torch computes on; empty where there is none or nothing has loaded torch."""
    torch = sys.modules.get("torch")
    return str(torch.cuda.get_device_name()) if torch and torch.cuda.is_available() else ""


def package_version(name: str) -> str:
    """Return an installed package's version; empty where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def pinned_packages(names: Sequence[str]) -> list[str]:
    """Return packages as a requirements file names them."""
    return [f"{name}=={package_version(name)}" for name in names]


def git_commit() -> str:
    """Return the commit of the code, with + where files differ from it; empty outside of git."""
    try:
        commit = _git("rev-parse", "HEAD")
        return commit + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
