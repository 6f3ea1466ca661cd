"""A training step in a pod of its own, where Airflow has a KubernetesExecutor: `LAKEHOUSE_TRAINING_PODS=true`.

The same task with the same command line; only where it runs differs: in the model's image, with what its YAML says of
memory, threads and accelerator. Needs apache-airflow-providers-cncf-kubernetes. No cluster has run it.
"""

from __future__ import annotations

from typing import Any

from lakehouse.config.settings import settings
from ml.config import ModelConfig

GPU = "nvidia.com/gpu"
CONTAINER = "base"
"""What Airflow calls the container that runs the task."""


def executor_config(config: ModelConfig) -> dict[str, Any]:
    """Return what a task of a model tells its executor: nothing, or the pod that it wants."""
    return {"pod_override": training_pod(config)} if settings().training_pods else {}


def training_pod(config: ModelConfig) -> Any:
    """Describe a model's pod: Airflow adds the rest of the specification."""
    from kubernetes.client import models as k8s  # only where pods are wanted

    wanted = config.resources
    limits = {"memory": kubernetes_memory(wanted.memory)}
    if wanted.device == "gpu":
        limits[GPU] = "1"
    container = k8s.V1Container(
        name=CONTAINER,
        image=config.image,
        resources=k8s.V1ResourceRequirements(requests={**limits, "cpu": str(wanted.threads)}, limits=limits),
    )
    labels = {"lakehouse/model": config.name.replace("_", "-"), "lakehouse/domain": config.domain}
    return k8s.V1Pod(
        metadata=k8s.V1ObjectMeta(labels=labels),
        spec=k8s.V1PodSpec(containers=[container], restart_policy="Never"),
    )


def kubernetes_memory(text: str) -> str:
    """Write `2g` as Kubernetes does: 2Gi."""
    return f"{text[:-1]}{text[-1].upper()}i"
