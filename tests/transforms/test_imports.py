"""Transforms are light: a stream or a request imports them without Spark, catalog or calendars."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys

import transforms

HEAVY = ("pyspark", "pyiceberg", "pandas", "sqlalchemy", "great_expectations", "exchange_calendars", "holidays", "yaml")


def test_every_transform_is_imported_without_anything_heavy():
    names = [module.name for module in pkgutil.walk_packages(transforms.__path__, "transforms.") if not module.ispkg]
    assert {"transforms.finance.bars", "transforms.energy.load_features", "transforms.vision.records"} <= set(names)
    code = (
        "import importlib, json, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == []
