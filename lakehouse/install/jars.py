"""The jars that Spark runs with: listed in jars.txt by coordinate and sha256, fetched by the Ivy inside pyspark.

Reads   jars.txt   beside the packages
Writes  .jars/     one file per line, kept only where its sha256 is the listed one

Ivy needs Java and nothing else. It keeps to its own settings: ~/.ivy2/ivysettings.xml or the file that IVY_SETTINGS
names; Java options from IVY_OPTS and JAVA_TOOL_OPTIONS.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from xml.sax.saxutils import quoteattr

from lakehouse.config.project import ROOT
from lakehouse.errors import BadInputError, UnavailableError
from lakehouse.install.java import java_command

JAR_LIST = ROOT / "jars.txt"
JAR_FOLDER = ROOT / ".jars"

_LINE = re.compile(
    r"(?P<sha256>[0-9a-f]{64})\s+(?P<group>[\w.-]+):(?P<artifact>[\w.-]+):(?P<version>[\w.-]+)(?::(?P<kind>[\w.]+))?"
    r"(?::(?P<classifier>[\w-]+))?"
)


@dataclass(frozen=True)
class Jar:
    """One jar, or archive of another kind, by Maven coordinate, with the sha256 that it must have."""

    group: str
    artifact: str
    version: str
    sha256: str
    kind: str = "jar"
    classifier: str = ""
    """Which of several files of one project, e.g. its tests."""

    @property
    def file_name(self) -> str:
        """`artifact-version.jar`, with the classifier before the dot."""
        suffix = f"-{self.classifier}" if self.classifier else ""
        return f"{self.artifact}-{self.version}{suffix}.{self.kind}"


def read_jar_list(path: Path = JAR_LIST) -> tuple[Jar, ...]:
    """Read the list of jars.

    Raises:
        BadInputError: a line is not a sha256 and a coordinate.
    """
    return parse_jar_list(path.read_text(encoding="utf-8").splitlines(), path.name)


def parse_jar_list(lines: Sequence[str], name: str) -> tuple[Jar, ...]:
    """Read the lines of a list; `name` is what a message calls it.

    Raises:
        BadInputError: a line is not a sha256 and a coordinate.
    """
    jars = []
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            raise BadInputError(f"{name}:{number}: expected 'sha256  group:artifact:version', found {text!r}")
        jars.append(Jar(**{name: value for name, value in match.groupdict().items() if value}))
    return tuple(jars)


def sha256_of(path: Path) -> str:
    """Return the file's sha256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def faulty_jars(jars: Sequence[Jar], folder: Path = JAR_FOLDER) -> tuple[Jar, ...]:
    """Return the jars that are missing from the folder or have another sha256 than the list says."""
    return tuple(jar for jar in jars if not _is_intact(jar, folder))


def _is_intact(jar: Jar, folder: Path) -> bool:
    path = folder / jar.file_name
    return path.is_file() and sha256_of(path) == jar.sha256


def fetch(jars: Sequence[Jar], folder: Path = JAR_FOLDER, cache: Path | None = None) -> tuple[Jar, ...]:
    """Bring the folder to what the list says and return the jars that had to be fetched.

    `cache` is where Ivy keeps its own copies, where those are not to stay.

    Raises:
        UnavailableError: Ivy could not get a jar.
        BadInputError: a fetched jar has another sha256 than the list says; it is not kept.
    """
    wanted = faulty_jars(jars, folder)
    if not wanted:
        return ()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as temporary:
        fetched = Path(temporary)
        _run_ivy(wanted, fetched, cache)
        for jar in wanted:
            path = fetched / jar.file_name
            if not path.is_file():
                raise UnavailableError(f"Ivy ended without {jar.file_name} ({jar.group}); see jars.txt")
            found = sha256_of(path)
            if found != jar.sha256:
                raise BadInputError(
                    f"{jar.file_name}: expected sha256 {jar.sha256}, got {found}; not kept. "
                    "If the repository's copy is the right one, correct jars.txt; else remove Ivy's cached copy"
                )
        for jar in wanted:
            (fetched / jar.file_name).replace(folder / jar.file_name)
    return wanted


def _run_ivy(jars: Sequence[Jar], folder: Path, cache: Path | None) -> None:
    """Retrieve the jars, without what they depend on, into the folder: one start of Java for all of them."""
    module = folder / "ivy.xml"
    module.write_text(_ivy_module(jars), encoding="utf-8")
    command = [*java_command(), *shlex.split(os.environ.get("IVY_OPTS", "")), "-jar", str(_ivy_jar()), "-warn"]
    ivy_settings = Path(os.environ.get("IVY_SETTINGS", Path.home() / ".ivy2" / "ivysettings.xml"))
    if ivy_settings.is_file():
        command += ["-settings", str(ivy_settings)]
    if cache is not None:
        command += ["-cache", str(cache)]
    kinds = sorted({"jar", "bundle", *(jar.kind for jar in jars)})
    command += ["-ivy", str(module), "-confs", "default", "-types", *kinds]
    command += ["-retrieve", f"{folder}/[artifact]-[revision](-[classifier]).[ext]"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise UnavailableError(f"Ivy could not get {', '.join(jar.file_name for jar in jars)}: {_reason(done)}")


def _ivy_module(jars: Sequence[Jar]) -> str:
    # Files of one project are one dependency: of two, Ivy keeps the first
    projects: dict[tuple[str, str, str], list[Jar]] = {}
    for jar in jars:
        projects.setdefault((jar.group, jar.artifact, jar.version), []).append(jar)
    dependencies = "".join(
        f"<dependency org={quoteattr(group)} name={quoteattr(name)} rev={quoteattr(version)} "
        f'conf="default->default(compile)" transitive="false">{_ivy_artifacts(files)}</dependency>'
        for (group, name, version), files in projects.items()
    )
    return (
        '<ivy-module version="2.0" xmlns:m="http://ant.apache.org/ivy/maven"><info organisation="local" module="jars"/>'
        '<configurations><conf name="default"/></configurations>'
        f"<dependencies>{dependencies}</dependencies></ivy-module>"
    )


def _ivy_artifacts(files: Sequence[Jar]) -> str:
    """Name a project's files, unless it is its jar alone: what that is packed as, the project says itself."""
    if [(file.kind, file.classifier) for file in files] == [("jar", "")]:
        return ""
    return "".join(
        f"<artifact name={quoteattr(file.artifact)} type={quoteattr(file.kind)} ext={quoteattr(file.kind)}"
        + (f" m:classifier={quoteattr(file.classifier)}/>" if file.classifier else "/>")
        for file in files
    )


def _ivy_jar() -> Path:
    # find_spec, not import: importing pyspark takes half a second and this package may not depend on it
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise BadInputError("pyspark is not installed in this Python; run: make setup")
    found = sorted((Path(spec.origin).parent / "jars").glob("ivy-*.jar"))
    if not found:
        raise BadInputError(f"pyspark at {spec.origin} has no Ivy jar; reinstall it: rm -rf .venv && make setup")
    return found[-1]


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """Return the line of Ivy's output that says most; a repository out of reach comes before what it did not give."""
    lines = [line.strip(" \t:") for line in (done.stdout + done.stderr).splitlines() if line.strip(" \t:")]
    for telling in ("access error", "exception", "not found", "error"):
        for line in lines:
            if telling in line.lower():
                return line
    return lines[-1] if lines else f"it ended with {done.returncode}"
