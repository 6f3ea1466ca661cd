"""Every model type that a schema offers has hyperparameters and code, and what reads its files is recorded."""

from typing import get_args

import pytest

from ml.commands import Step
from ml.config import FOLDER, config_files, find_config, schemas_of
from ml.energy.config import PowerConfig
from ml.environment import RECORDED_PACKAGES
from ml.finance.config import NETWORKS, TickConfig
from ml.finance.networks import build
from ml.learners import KINDS
from ml.model import find_model
from ml.steps import STEPS
from ml.torch_runtime import require_torch
from ml.vision.config import ImageConfig

SCHEMAS = [schema for path in FOLDER.glob("*/config.py") for schema in schemas_of(path.parent.name).values()]


def model_types(schema):
    return get_args(schema.model_fields["model_type"].annotation)


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.__name__)
def test_model_types_are_those_with_hyperparameters(schema):
    assert set(model_types(schema)) == set(schema.model_fields["hyperparameters"].annotation.model_fields)


def test_load_forecasts_have_a_learner_for_every_model_type():
    assert not set(model_types(PowerConfig)) - set(KINDS)


@pytest.mark.parametrize("model_type", model_types(TickConfig))
def test_tick_models_have_a_network_or_a_learner_for_every_model_type(model_type):
    if model_type not in NETWORKS:
        assert model_type in KINDS
        return
    require_torch(lambda line: None)
    config = find_config("tick_gru", [f"model_type={model_type}"])
    assert build(model_type, len(config.features), config.window, config.chosen_hyperparameters()).parameters()


@pytest.mark.parametrize("model_type", model_types(ImageConfig))
def test_image_models_have_a_network_for_every_model_type(model_type):
    require_torch(lambda line: None)
    from ml.vision.networks import build_network

    config = find_config("mnist_cnn", [f"model_type={model_type}"])
    assert build_network(config, (1, 28, 28), 10).parameters()


@pytest.mark.parametrize("name", config_files())
def test_packages_that_read_a_models_files_are_recorded_with_its_run(name):
    config = find_config(name)
    for model_type in model_types(type(config)):
        packages = find_model(config.model_copy(update={"model_type": model_type})).packages()
        assert not set(packages) - set(RECORDED_PACKAGES), (
            f"{model_type} needs them; ml/environment.py does not record them"
        )


def test_commands_offer_the_steps_that_there_are_in_their_order():
    assert [*STEPS] == [step.value for step in Step]
