"""The folder of a model: text and numbers, checked against a list of their sha256 before any of them is parsed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lakehouse.errors import ExitCode, LakehouseError

INDEX = "model.json"
SUFFIXES = (".txt", ".json", ".safetensors")
"""LightGBM's text, XGBoost's and our JSON, weights. A pickle is a program and is neither written nor read."""
ADDED_BY_MLFLOW = "registered_model_meta"
"""MLflow 3.17 writes this file beside a model that somebody loads as models:/name@alias from a local folder."""


class TamperedError(LakehouseError):
    """A model's files are not those that were registered; nothing was loaded."""

    exit_code = ExitCode.BAD_INPUT


def write_index(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write what the model says of itself, with the sha256 of its other files."""
    files = {path.name: file_sha256(path) for path in sorted(folder.iterdir()) if path.name != INDEX}
    text = json.dumps({**facts, "files": files}, indent=1, sort_keys=True)
    (folder / INDEX).write_text(text, encoding="utf-8")


def read_index(folder: Path) -> dict[str, Any]:
    """Read what a model says of itself, after its files were checked against their sha256.

    Raises:
        TamperedError: a file is missing, was changed, was added, or is of no safe format.
    """
    try:
        index: dict[str, Any] = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        listed: dict[str, str] = index["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TamperedError(f"{folder / INDEX} can't be read ({type(error).__name__}); train the model again") from None
    present = {path.name for path in folder.iterdir()} - {INDEX}
    if present != set(listed):
        raise TamperedError(f"{folder} holds {sorted(present)}, expected {sorted(listed)}")
    for name, sha256 in listed.items():
        if not name.endswith(SUFFIXES):
            raise TamperedError(f"{name}: expected {' or '.join(SUFFIXES)}; other formats are not loaded")
        found = file_sha256(folder / name)
        if found != sha256:
            raise TamperedError(f"{folder / name} has sha256 {found}, expected {sha256}")
    return index


def file_sha256(path: Path) -> str:
    """Hash one file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tree_sha256(folder: Path) -> str:
    """Hash the names and contents of every file below a folder: what a registered version is known by."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.relative_to(folder).as_posix() == ADDED_BY_MLFLOW:
            continue
        digest.update(f"{path.relative_to(folder).as_posix()}\0{file_sha256(path)}\n".encode())
    return digest.hexdigest()
