"""The project's own folder: where the packages, jars, SQL, Dags and configuration lie together."""

from __future__ import annotations

from pathlib import Path

from lakehouse.errors import BadInputError

ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds this package: a clone, or the folder that a wheel was installed into."""


def is_whole() -> bool:
    """Return whether ROOT is a clone; an installed wheel lacks jars, configuration and SQL."""
    return (ROOT / "jars.txt").is_file()


def require_folder() -> None:
    """Demand a clone around the packages.

    Raises:
        BadInputError: the packages are installed apart from it.
    """
    if not is_whole():
        raise BadInputError(
            f"expected the project's folder around the packages, found them alone in {ROOT}: an installed wheel reads "
            "(query, tables, models); for all else clone the repository and run `make setup` in it"
        )
