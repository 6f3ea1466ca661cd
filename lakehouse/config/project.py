"""The project's own folder: where the packages, jars, SQL, Dags and configuration lie together."""

from __future__ import annotations

from pathlib import Path

from lakehouse.errors import BadInputError

ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds this package: a clone, or the folder that a wheel was installed into."""
DEFAULT_HOME = ROOT / "lakehouse-home"
"""Beside the packages, so that every working directory sees the same state."""


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


def absolute_home(home: object) -> Path:
    """Return the folder of all state: the one that was given, else DEFAULT_HOME.

    Raises:
        BadInputError: none was given, and the packages are installed apart from the project's folder.
    """
    if not home and not is_whole():
        raise BadInputError(
            f"LAKEHOUSE_HOME: expected the folder of all state, found none; lakehouse is installed in {ROOT}, apart "
            "from the project's folder, so there is no default"
        )
    return Path(str(home or DEFAULT_HOME)).expanduser().absolute()


def pipelines() -> dict[str, Path]:
    """Return the script that runs a domain's whole chain, by the domain: a domain is a folder that has one."""
    return {path.parent.name: path for path in sorted((ROOT / "spark_jobs").glob("*/pipeline.py"))}
