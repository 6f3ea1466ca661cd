"""The domains of the project: the folders of spark_jobs that hold a pipeline.py, found and not registered."""

from __future__ import annotations

from lakehouse.config.project import ROOT

DOMAINS: tuple[str, ...] = tuple(sorted(path.parent.name for path in (ROOT / "spark_jobs").glob("*/pipeline.py")))
