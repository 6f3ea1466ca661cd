"""The energy pipeline: every table of the domain in one session, each from the days that the one before it replaced.

Reads   the landing folder
Writes  bronze, silver and gold of energy

The days given are civil days of the meters. Later days whose features look back on them are replaced, too; every job
skips the days that it has done already.
"""

from __future__ import annotations

from spark_jobs.layers.command_line import main_of_domains

if __name__ == "__main__":
    main_of_domains(__doc__, ("energy",))
