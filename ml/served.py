"""How MLflow loads our models for serving: `mlflow.pyfunc.load_model` calls `_load_pyfunc` with the folder of a model.

The folder's files are checked against their sha256 first. What is forecast from: the features of the signature.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from ml.config import parse_config
from ml.model import find_model
from ml.model_files import read_index

CONFIG = "config"
"""Where model.json keeps the configuration that the model was trained with, as text."""


class ServedModel:
    """A model whose `predict` takes and gives pandas frames, as MLflow wants it."""

    def __init__(self, folder: Path) -> None:
        index = read_index(folder)
        self.folder = folder
        self.model = find_model(parse_config(json.dumps(index[CONFIG]), str(folder)))

    def predict(self, frame: Any, params: dict[str, Any] | None = None) -> Any:
        """Forecast from features."""
        features = pa.Table.from_pandas(frame, preserve_index=False)
        return self.model.predict_features(self.folder, features).to_pandas()


def _load_pyfunc(data_path: str) -> ServedModel:
    return ServedModel(Path(data_path))
