"""The Java that Spark will run on: JAVA_HOME's, else the one on PATH, as Spark's own scripts decide it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from lakehouse.errors import BadInputError

SUPPORTED = (17, 21)
USUAL_FOLDERS = ("/usr/lib/jvm/*", "/usr/local/opt/openjdk@*", "/opt/homebrew/opt/openjdk@*", "/opt/java/*")


def find_java(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return the java program that Spark would start, or None where there is none."""
    home = environment.get("JAVA_HOME")
    if home:
        java = Path(home) / "bin" / "java"
        return java if os.access(java, os.X_OK) else None
    found = shutil.which("java", path=environment.get("PATH"))
    return Path(found) if found else None


def java_command() -> list[str]:
    """Return the start of a command line that runs Java.

    Raises:
        BadInputError: there is no Java, or none that Spark runs on.
    """
    problem = java_problem()
    if problem:
        raise BadInputError(f"{problem[0]}; {problem[1]}")
    return [str(find_java())]


def java_problem(environment: Mapping[str, str] = os.environ) -> tuple[str, str] | None:
    """Return what is wrong with the Java of this environment and the command that fixes it, or None."""
    wanted = " or ".join(str(version) for version in SUPPORTED)
    java = find_java(environment)
    if java is None:
        home = environment.get("JAVA_HOME")
        where = f"JAVA_HOME={home} has no bin/java" if home else "no java on PATH"
        return f"expected Java {wanted}, {where}", _mend()
    version = java_version(java)
    if version not in SUPPORTED:
        found = f"{java} is Java {version}" if version else f"{java} does not tell its version"
        return f"expected Java {wanted}, {found}", _mend()
    return None


def java_version(java: Path) -> int | None:
    """Return the major version, or None where the program does not tell it."""
    try:
        modified = java.stat().st_mtime_ns
    except OSError:
        return None
    return _version_of(java, modified)


@cache
def _version_of(java: Path, _modified: int) -> int | None:
    # The release file answers without starting a JVM (0.1 s and more); macOS' /usr/bin/java is a stub without one
    release = java.resolve().parents[1] / "release"
    text = release.read_text(encoding="utf-8", errors="replace") if release.is_file() else _ask(java)
    match = re.search(r'version "?([0-9]+)|JAVA_VERSION="([0-9]+)', text, re.I)
    return int(match.group(1) or match.group(2)) if match else None


def _ask(java: Path) -> str:
    try:
        done = subprocess.run([str(java), "-version"], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr


def _mend() -> str:
    """Return a command for this machine: a supported Java that is here already, else the package to install."""
    for pattern in USUAL_FOLDERS:
        for java in sorted(Path("/").glob(f"{pattern[1:]}/bin/java")):
            if java_version(java) in SUPPORTED:
                return f"export JAVA_HOME={java.parents[1]}"
    if shutil.which("apt-get"):
        return "apt-get install openjdk-17-jre-headless"
    if shutil.which("brew"):
        return "brew install openjdk@21"
    if shutil.which("dnf"):
        return "dnf install java-21-openjdk-headless"
    return "install Java 21 (https://adoptium.net) and set JAVA_HOME"
