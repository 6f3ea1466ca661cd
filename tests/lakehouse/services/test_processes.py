"""Processes that outlive the command: found again, and ended with all that they started."""

from __future__ import annotations

import os
import socket
import sys
import time
from dataclasses import replace

import psutil
import pytest

from lakehouse.config.settings import Settings, read_settings
from lakehouse.errors import ConflictError
from lakehouse.services import processes
from lakehouse.services.plan import ServicePlan

PARENT = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("started", flush=True)
time.sleep(600)
"""
RENAMED = """
import os, subprocess, sys, time
from setproctitle import setproctitle
if os.fork() == 0:
    setproctitle("another name that is long enough to lie over the whole environment " * 100)
    print("renamed", flush=True)
    time.sleep(600)
os._exit(0)
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"


@pytest.fixture
def settings(tmp_path) -> Settings:
    found = read_settings({"LAKEHOUSE_HOME": str(tmp_path)})
    found.airflow_home.mkdir()
    yield found
    processes.stop(found, ["one"], grace_s=0)


def start(settings: Settings, program: str) -> processes.Running:
    running = processes.start(settings, ServicePlan("one", (sys.executable, "-c", program), dict(os.environ), 4321))
    processes.write_state(settings, {"one": running})
    deadline = time.monotonic() + 60
    while not (settings.logs / "one.log").read_bytes():
        assert time.monotonic() < deadline, "the process said nothing"
        time.sleep(0.05)
    return running


def test_stop_ends_what_a_service_started_also_in_a_session_of_its_own(settings):
    start(settings, PARENT)
    family = processes.family(settings, "one")
    assert len(family) == 2
    processes.stop(settings, ["one"], grace_s=1)
    assert [each for each in family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE] == []


def test_stop_finds_what_a_killed_service_left_behind(settings):
    running = start(settings, PARENT)
    psutil.Process(running.pid).kill()
    psutil.Process(running.pid).wait(10)
    assert running.process() is None
    assert len(processes.family(settings, "one")) == 1
    processes.stop(settings, ["one"], grace_s=0)
    assert processes.family(settings, "one") == []


def test_stop_finds_a_child_that_wrote_over_its_environment(settings):
    start(settings, RENAMED)
    assert len(processes.family(settings, "one")) == 1
    processes.stop(settings, ["one"], grace_s=0)
    assert processes.family(settings, "one") == []


def test_stop_kills_what_does_not_listen(settings):
    start(settings, DEAF)
    processes.stop(settings, ["one"], grace_s=0.5)
    assert processes.family(settings, "one") == []


def test_read_state_returns_what_was_written_and_knows_a_pid_of_another_process(settings):
    running = start(settings, PARENT)
    assert processes.read_state(settings) == {"one": running}
    assert running.process() is not None
    assert replace(running, created=running.created - 60).process() is None  # the pid belongs to a later process


def test_family_of_another_home_are_left_alone(settings, tmp_path):
    start(settings, PARENT)
    other = read_settings({"LAKEHOUSE_HOME": str(tmp_path / "other")})
    assert processes.family(other, "one") == []


def test_exclusive_refuses_a_second_command(settings):
    with (
        processes.exclusive(settings),
        pytest.raises(ConflictError, match="another `lakehouse up` or `down` is at work"),
        processes.exclusive(settings),
    ):
        pass


def test_choose_port_takes_the_wanted_one_or_else_a_free_one():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = processes.choose_port(port)
        assert found != port
    assert processes.choose_port(port) == port
    assert processes.choose_port(port, [port]) != port
