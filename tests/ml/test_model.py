"""Code and schemas of models are found; what could be forgotten is named."""

import ast
import subprocess
import sys
from types import ModuleType
from typing import get_args, get_origin

import pytest

from lakehouse.errors import BadInputError
from ml import model as base
from ml.config import FOLDER, config_files, find_config, schemas_of
from ml.energy.config import PowerConfig
from ml.energy.power_lgbm import PowerModel
from ml.model import Model, find_model

DOMAINS = sorted(path.parent.name for path in FOLDER.glob("*/config.py"))
CODES = [(domain, code) for domain in DOMAINS for code in schemas_of(domain)]
MODEL = "household_power_lgbm"


def classes_of_models():
    """Return (domain, module) of every class below ml/ whose bases name Model, read from the text of the files."""
    for path in FOLDER.glob("*/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and any(ast.unparse(each).startswith("Model[") for each in node.bases):
                yield path.parent.name, path.stem


def config_type(model):
    """Return what a model's class names in Model[...]."""
    (config,) = (get_args(each)[0] for each in type(model).__orig_bases__ if get_origin(each) is Model)
    return config


@pytest.mark.parametrize("name", config_files())
def test_every_yaml_finds_the_code_for_its_schema(name):
    config = find_config(name)
    model = find_model(config)  # fails where the class lacks a method
    assert config_type(model) is type(config)
    assert model.config is config
    assert (FOLDER.parent / "spark_jobs" / model.publish_job).is_file(), f"{type(model).__name__}.publish_job"


def test_reading_configurations_imports_nothing_that_takes_long():
    """Dags read all of them whenever they are parsed."""
    heavy = ("numpy", "pandas", "polars", "pyarrow", "pyiceberg", "sqlalchemy", "mlflow", "torch", "exchange_calendars")
    code = (
        "import sys\n"
        "from ml.config import config_files, find_config\n"
        "for name in config_files(): find_config(name)\n"
        f"print(*(name for name in {heavy} if name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "\n"


def test_every_schema_has_a_model_and_every_model_a_schema():
    found = sorted(classes_of_models())
    forgotten = set(CODES) - set(found)
    assert not forgotten, f"schemas in ml/<domain>/config.py without a class that extends Model: {forgotten}"
    assert not set(found) - set(CODES), f"classes without a schema for their module's name: {set(found) - set(CODES)}"
    assert len(found) == len(set(found)), f"a module has one model: {found}"


def test_schemas_are_found_by_their_code():
    assert schemas_of("energy") == {"power_lgbm": PowerConfig}


def planted(monkeypatch, name, **members):
    module = ModuleType(name)
    for key, value in members.items():
        value.__module__ = name
        setattr(module, key, value)
    monkeypatch.setitem(sys.modules, name, module)


def test_two_schemas_for_one_code_are_refused(monkeypatch):
    one, other = (type(name, (PowerConfig,), {}) for name in ("One", "Other"))
    planted(monkeypatch, "ml.energy.config", One=one, Other=other)
    with pytest.raises(BadInputError, match=r"^ml/energy/config\.py: One and Other are both for code 'power_lgbm'; "):
        schemas_of("energy")


@pytest.mark.parametrize(
    ("names", "found"), [([], "none"), (["One", "Other"], "One, Other")], ids=["no model", "two models"]
)
def test_module_with_no_or_several_models_is_refused(monkeypatch, names, found):
    planted(monkeypatch, "ml.energy.power_lgbm", **{name: type(name, (PowerModel,), {}) for name in names})
    monkeypatch.setattr(base.importlib.util, "find_spec", lambda name: name)
    with pytest.raises(BadInputError, match=rf"^ml/energy/power_lgbm\.py: expected one class .*, found {found}$"):
        find_model(find_config(MODEL))


def test_schema_without_its_module_is_named():
    config = find_config(MODEL).model_copy(update={"code": "power_mlp"})
    with pytest.raises(BadInputError, match=rf"^{MODEL}: code 'power_mlp' .* needs ml/energy/power_mlp\.py, which is"):
        find_model(config)
