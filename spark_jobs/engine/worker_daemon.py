"""The process that Spark forks Python workers from, with what tasks need imported already.

PySpark's own daemon has nothing loaded, so that each worker would import the same for itself: a second of CPU each, and
memory that they can't share. `spark.python.daemon.module` names this one (session.py).

Polars stays out: workers load it in 0.1 s, and where they were forked with it, silver took a fifth more CPU seconds, as
its allocator clears up in a thread, and a fork has none of its parent's threads.
"""

from __future__ import annotations

import gc

import pyarrow.parquet  # noqa: F401  # what tasks write with
from pyspark.daemon import manager

from lakehouse.lake import catalog  # noqa: F401  # PyIceberg, what they find tables with
from spark_jobs.sources.discovery import find_sources

if __name__ == "__main__":
    find_sources()
    gc.collect()
    gc.freeze()  # else every worker would copy the objects of all libraries when it first collects garbage
    manager()
