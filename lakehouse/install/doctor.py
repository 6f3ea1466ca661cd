"""What this machine lacks, or has wrong, for a job to run: a finding per check, with the command that fixes it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import sqlite3
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import psutil

from lakehouse.config.project import ROOT
from lakehouse.config.settings import Settings, read_settings
from lakehouse.errors import BadInputError
from lakehouse.install.doctor_stack import check_catalog_server, check_parts, check_rest_catalog, check_store
from lakehouse.install.finding import Finding
from lakehouse.install.jars import JAR_FOLDER, faulty_jars, read_jar_list
from lakehouse.install.java import find_java, java_problem, java_version
from lakehouse.install.spark_home import spark_home

SETUP = f"make -C {ROOT} setup"
GIB = 1024**3
DISK_WANTED = 2 * GIB
"""The demo's tables and Spark's spill files stay below it; real landing files want several times their own size."""
JVM_OVERHEAD = 0.25
"""Beside the heap: metaspace, threads, Arrow buffers; Python workers take more, by the core."""
CLOCK_TOLERANCE_S = 5.0
CONNECT_TIMEOUT_S = 3.0


def examine(environment: Mapping[str, str]) -> list[Finding]:
    """Run every check; settings that cannot be read leave out the checks that need them."""
    findings = [check_python(), check_packages(), check_java(environment), check_jars(), check_spark(), check_clock()]
    try:
        settings = read_settings(environment, is_starting=True)
    except BadInputError as error:
        variable = str(error).split(maxsplit=1)[0].rstrip(":")
        fix = f"unset {variable}" if variable in environment else "env | grep LAKEHOUSE_"
        return [*findings, Finding("settings", "missing", str(error), fix)]
    findings.append(Finding("settings", "ok", f"profile {settings.profile}, home {settings.home}"))
    disk = check_disk(settings)
    findings += [check_memory(settings), disk, check_network()]
    if disk.state == "missing":
        return findings  # what else there is lies in a folder that is closed to this account
    if settings.profile == "stack":
        findings += check_parts()
        try:
            read_settings(environment)
        except BadInputError as error:
            return [*findings, Finding("servers", "missing", str(error), "lakehouse up")]
    findings.append(check_catalog(settings))
    if settings.warehouse_uri.startswith("s3"):
        findings.append(check_store(settings))
    return findings


def quick_check(settings: Settings, environment: Mapping[str, str]) -> list[Finding]:
    """Return what would make a job fail at once: Java, jars, Spark's configuration, the catalog's folder.

    Reads a few small files and starts nothing, so that it can stand before each job.
    """
    missing = [jar.file_name for jar in read_jar_list() if not (JAR_FOLDER / jar.file_name).is_file()]
    findings = [check_java(environment), check_spark(), check_network(), check_disk(settings)]
    if missing:
        findings.append(Finding("jars", "missing", f"not in {JAR_FOLDER}: {', '.join(missing)}", SETUP))
    return [finding for finding in findings if finding.state == "missing"]


def check_python() -> Finding:
    """Which Python this is; set-up refuses one that is too old, and an older one could not read this file."""
    return Finding("Python", "ok", f"{sys.version_info[0]}.{sys.version_info[1]} at {sys.executable}")


def check_packages(requirements: Path = ROOT / "requirements.txt") -> Finding:
    """Every package that applies to this machine has the pinned version."""
    wrong = []
    for name, wanted in pinned_versions(requirements).items():
        try:
            found = version(name)
        except PackageNotFoundError:
            found = "missing"
        if found != wanted:
            wrong.append(f"{name} {found} instead of {wanted}")
    if wrong:
        some = ", ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
        return Finding("packages", "missing", some, f"rm -rf {ROOT}/.venv && {SETUP}")
    return Finding("packages", "ok", f"as in {requirements.name}")


def pinned_versions(requirements: Path) -> dict[str, str]:
    """Return name and version of each line whose marker holds on this machine."""
    from packaging.requirements import Requirement

    pinned = {}
    for line in requirements.read_text(encoding="utf-8").splitlines():
        text = line.partition("--hash")[0].strip(" \\")
        if not text or text.startswith(("#", "-")):
            continue
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate():
            pinned[requirement.name] = str(requirement.specifier).removeprefix("==")
    return pinned


def check_java(environment: Mapping[str, str]) -> Finding:
    """The Java that Spark would start is one that it runs on."""
    problem = java_problem(environment)
    if problem:
        return Finding("Java", "missing", *problem)
    java = find_java(environment)
    return Finding("Java", "ok", f"{java_version(java) if java else ''} at {java}")


def check_jars(folder: Path = JAR_FOLDER) -> Finding:
    """Every listed jar is there with the listed sha256."""
    jars = read_jar_list()
    faulty = faulty_jars(jars, folder)
    if faulty:
        names = ", ".join(jar.file_name for jar in faulty)
        return Finding("jars", "missing", f"not there or with another sha256: {names}", f"rm -rf {folder} && {SETUP}")
    return Finding("jars", "ok", f"{len(jars)} with the sha256 of jars.txt")


def check_spark() -> Finding:
    """Spark's configuration names the jars of this folder."""
    try:
        defaults = spark_home() / "conf" / "spark-defaults.conf"
    except BadInputError as error:
        return Finding("Spark", "missing", str(error), SETUP)
    if not defaults.is_file() or str(JAR_FOLDER) not in defaults.read_text(encoding="utf-8"):
        return Finding("Spark", "missing", f"{defaults} does not name the jars in {JAR_FOLDER}", SETUP)
    return Finding("Spark", "ok", f"configured at {defaults.parent}")


def check_clock() -> Finding:
    """Files are stamped by the clock that this process reads, and time zones are known."""
    try:
        ZoneInfo("America/New_York")
    except ZoneInfoNotFoundError:
        return Finding("clock", "missing", "no time zone data: New York is unknown", "apt-get install tzdata")
    with tempfile.NamedTemporaryFile() as file:
        difference = Path(file.name).stat().st_mtime - time.time()
    if abs(difference) > CLOCK_TOLERANCE_S:
        return Finding("clock", "warning", f"files are stamped {difference:+.0f} s off it", "timedatectl set-ntp true")
    return Finding("clock", "ok", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))


def check_memory(settings: Settings) -> Finding:
    """There is as much free memory as Spark's driver may take."""
    number, unit = int(settings.driver_memory[:-1]), settings.driver_memory[-1]
    wanted = number * (1 + JVM_OVERHEAD) / (1 if unit == "g" else 1024)
    available = psutil.virtual_memory().available / GIB
    found = f"{available:.1f} GiB free, {wanted:.1f} GiB wanted for a driver of {settings.driver_memory}"
    if available < wanted:
        fitting = max(1, int(available / (1 + JVM_OVERHEAD)))
        return Finding("memory", "warning", found, f"export LAKEHOUSE_DRIVER_MEMORY={fitting}g")
    return Finding("memory", "ok", found)


def check_disk(settings: Settings) -> Finding:
    """The folder of all state can be written and has room."""
    folder = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    with_home = "export LAKEHOUSE_HOME=/path/with/room"
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Finding("disk", "missing", f"{settings.home} cannot be written: {error.strerror}", with_home)
    free = shutil.disk_usage(folder).free
    found = f"{free / GIB:.1f} GiB free at {settings.home}"
    if free < DISK_WANTED:
        return Finding("disk", "warning", f"{found}, {DISK_WANTED / GIB:.0f} GiB wanted", with_home)
    return Finding("disk", "ok", found)


def check_network() -> Finding:
    """Spark's driver and its workers can talk over this machine's own address."""
    name = socket.gethostname()
    try:
        socket.gethostbyname(name)
    except OSError:
        # Java asks for the address of its own host at start, and ends where there is none
        message = f"the host's own name {name} has no address"
        return Finding("network", "missing", message, f"echo '127.0.0.1 {name}' >> /etc/hosts")
    try:
        with socket.create_server(("127.0.0.1", 0)):
            pass
    except OSError as error:
        return Finding(
            "network", "missing", f"no port can be opened on 127.0.0.1: {error.strerror}", "ip link set lo up"
        )
    return Finding("network", "ok", f"{name} has an address, ports can be opened on 127.0.0.1")


def check_catalog(settings: Settings) -> Finding:
    """The catalog's file is a readable database, or its server takes connections."""
    if settings.catalog_type == "rest":
        return check_rest_catalog(settings)
    if settings.profile == "stack":
        return check_catalog_server(settings.catalog_host, settings.catalog_port)
    if not settings.catalog_file.exists():
        return Finding("catalog", "ok", f"{settings.catalog_file} is not there yet; the first run makes it")
    try:
        uri = f"{settings.catalog_file.as_uri()}?mode=rw"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=CONNECT_TIMEOUT_S)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.rollback()
    except sqlite3.Error as error:
        message = f"{settings.catalog_file} cannot be opened for writing: {error}"
        return Finding("catalog", "missing", message, f"fuser -v '{settings.catalog_file}'")
    return Finding("catalog", "ok", str(settings.catalog_file))
