"""The finance pipeline: every table of the domain in one session, each from the days that the one before it replaced.

Reads   the landing folder
Writes  bronze, silver and gold of finance

The days given are delivery days. An event belongs to the UTC day of its own time, so the later tables replace the
event days that those deliveries touch; every job skips the days that it has done already.
"""

from __future__ import annotations

from spark_jobs.layers.command_line import main_of_domains

if __name__ == "__main__":
    main_of_domains(__doc__, ("finance",))
