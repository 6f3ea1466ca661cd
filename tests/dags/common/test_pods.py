"""The pod of a training step, rendered; no cluster ran it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from airflow.sdk import DAG
from kubernetes.client import ApiClient

from dags.common import pods, training
from dags.common.schedules import Schedule
from lakehouse.config.settings import read_settings
from ml.config import find_config

MODEL = "household_power_lgbm"


def render(config) -> dict:
    """Write the pod as the interface of Kubernetes takes it."""
    return ApiClient().sanitize_for_serialization(pods.training_pod(config))


@pytest.mark.parametrize(
    ("device", "limits"),
    [
        pytest.param("cpu", {"memory": "2Gi"}, id="processor"),
        pytest.param("gpu", {"memory": "2Gi", "nvidia.com/gpu": "1"}, id="accelerator"),
    ],
)
def test_training_pod_has_the_models_image_and_resources(device, limits):
    config = find_config(MODEL, [f"resources.device={device}", "image=registry.example/lakehouse-tick:1"])
    rendered = render(config)
    (container,) = rendered["spec"]["containers"]
    assert container["image"] == "registry.example/lakehouse-tick:1"
    assert container["resources"] == {"limits": limits, "requests": {**limits, "cpu": "1"}}
    assert "command" not in container  # the same task as anywhere else: Airflow says what runs
    assert rendered["metadata"]["labels"] == {"lakehouse/model": "household-power-lgbm", "lakehouse/domain": "energy"}
    assert rendered["spec"]["restartPolicy"] == "Never"


def test_model_group_asks_for_pods_only_where_the_setting_says_so(monkeypatch):
    def train_task():
        with DAG("d", schedule=None, start_date=datetime(2024, 1, 1, tzinfo=UTC)):
            return training.model_group(find_config(MODEL), Schedule(("0 1 * * *",))).children[f"{MODEL}.train"]

    assert train_task().executor_config == {}
    monkeypatch.setattr(pods, "settings", lambda: read_settings({"LAKEHOUSE_TRAINING_PODS": "true"}))
    assert train_task().executor_config["pod_override"].spec.containers[0].image == "lakehouse-tick:0.1.0"
