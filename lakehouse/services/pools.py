"""Pools and queues of the orchestrator: how many tasks of a kind run at once, and which workers take them.

Models name them in their YAML; `lakehouse up` makes the pools. Queues matter to executors with several kinds of
workers; the embedded profile's LocalExecutor ignores them.
"""

from __future__ import annotations

from typing import NamedTuple


class Pool(NamedTuple):
    """Slots that tasks share."""

    slots: int
    description: str


POOLS = {
    "default_pool": Pool(8, "Everything that names no other pool."),
    "high_priority_cpu": Pool(4, "Training and forecasts on processors."),
    "gpu_pool": Pool(2, "Training on accelerators."),
}
QUEUES = ("cpu", "gpu")
