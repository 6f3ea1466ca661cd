"""The pipelines of all domains in one session, one after the other: a session that runs already is a quick start.

Reads   the landing folder
Writes  bronze, silver and gold of every domain

Each takes from the landing folder the files that are its own. --from and --to are of ticks and readings: images have no
days, so every set is looked at.
"""

from __future__ import annotations

from lakehouse.config.project import pipelines
from spark_jobs.layers.command_line import main_of_domains

if __name__ == "__main__":
    main_of_domains(__doc__, tuple(pipelines()))
