"""Processes that outlive the command which starts them: each a session of its own, known by pid and start time.

Reads and writes  <home>/airflow/services.json   who runs, since when, on which port; mode 0600

A process that a service started carries the service's mark in its environment, so that what a killed service leaves
behind is found and ended, also where it has made itself a session of its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from lakehouse.config.private_files import write_private
from lakehouse.config.settings import Settings
from lakehouse.errors import ConflictError
from lakehouse.services.plan import ServicePlan

MARK = "AIRFLOW_LAKEHOUSE_SERVICE"
"""Environment variable that a service and all its children carry: `<folder of state>:<name of the service>`."""
GRACE_S = 20.0
"""Between a polite signal and the end; Airflow's tasks use it to tell the server that they were stopped."""


@dataclass(frozen=True)
class Running:
    """A service that was started."""

    name: str
    pid: int
    created: float
    """Start time as the system has it, seconds since 1970: a pid alone may be another process by now."""
    port: int
    log: str
    stop_signal: int = signal.SIGTERM
    """What ends it politely."""

    def process(self) -> psutil.Process | None:
        """Return the process if it is still this one and alive."""
        try:
            process = psutil.Process(self.pid)
            return process if self._is_same(process) and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    def session(self) -> int | None:
        """Return the session that the service made, as long as it can be no other's."""
        if self.created < psutil.boot_time():
            return None
        try:
            return self.pid if self._is_same(psutil.Process(self.pid)) else None
        except psutil.NoSuchProcess:
            return self.pid  # no new process takes the number of a session that has members

    def _is_same(self, process: psutil.Process) -> bool:
        return bool(abs(process.create_time() - self.created) < 1.0)


def state_file(settings: Settings) -> Path:
    """Where the running services are written down."""
    return settings.airflow_home / "services.json"


@contextlib.contextmanager
def exclusive(settings: Settings) -> Iterator[None]:
    """Keep a second `up` or `down` out.

    Raises:
        ConflictError: another one is at work.
    """
    settings.airflow_home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (settings.airflow_home / "services.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConflictError("another `lakehouse up` or `down` is at work here; wait for it") from None
        yield


def read_state(settings: Settings) -> dict[str, Running]:
    """Return the services that were started last, dead ones too."""
    if not state_file(settings).is_file():
        return {}
    rows = json.loads(state_file(settings).read_text(encoding="utf-8"))
    return {row["name"]: Running(**row) for row in rows}


def write_state(settings: Settings, services: Mapping[str, Running]) -> None:
    """Write down what runs."""
    write_private(state_file(settings), json.dumps([asdict(each) for each in services.values()], indent=1))


def mark_of(settings: Settings, name: str) -> str:
    """Return the mark of a service's processes."""
    return f"{settings.airflow_home}:{name}"


def start(settings: Settings, plan: ServicePlan) -> Running:
    """Start a service, its output going to one file."""
    settings.logs.mkdir(parents=True, exist_ok=True)
    log = settings.logs / f"{plan.name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            plan.whole_command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**plan.environment, MARK: mark_of(settings, plan.name)},
            cwd="/" if plan.user else settings.airflow_home,
            start_new_session=True,
            user=plan.user or None,
            group=pwd.getpwnam(plan.user).pw_gid if plan.user else None,
            extra_groups=[] if plan.user else None,
        )
    created = psutil.Process(process.pid).create_time()
    return Running(plan.name, process.pid, created, plan.port, str(log), plan.stop_signal)


def family(settings: Settings, name: str) -> list[psutil.Process]:
    """Return every living process of a service, itself too: those of its session, and those that carry its mark.

    A process that names itself (Airflow's own do) writes over its environment, but stays in the session; one that makes
    a session of its own was started as another program, and its environment is whole.
    """
    wanted, running, found = mark_of(settings, name), read_state(settings).get(name), []
    session = running.session() if running else None
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            is_ours = os.getsid(process.pid) == session or process.environ().get(MARK) == wanted
            if is_ours and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def stop(settings: Settings, names: Sequence[str], grace_s: float = GRACE_S) -> None:
    """End services with all that they started: politely to the services first, then for good to whatever is left."""
    for name, running in read_state(settings).items():
        if name in names and running.process() is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, running.stop_signal)
    deadline = time.monotonic() + grace_s
    while (left := [each for name in names for each in family(settings, name)]) and time.monotonic() < deadline:
        time.sleep(0.2)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=5)


def choose_port(wanted: int, taken: Sequence[int] = ()) -> int:
    """Return the port if it is free on loopback, else another free one."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            if found not in taken:
                return found
    return choose_port(0, taken)
