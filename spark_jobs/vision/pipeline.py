"""The vision pipeline: every table of each image set in one session.

Reads   the landing folder
Writes  bronze, silver and gold of images

What is replaced is an image set, by name. A set that fails its audit is held back and does not stop the others.
"""

from __future__ import annotations

from spark_jobs.layers.command_line import main_of_domains

if __name__ == "__main__":
    main_of_domains(__doc__, ("vision",))
