"""What `lakehouse up` starts, and where."""

from __future__ import annotations

import os
import socket

import psutil
import pytest

from lakehouse.config.settings import read_settings
from lakehouse.errors import UnavailableError
from lakehouse.services import health, processes, up

PORTS = {"api-server": 18080, "mlflow": 15000, "reports": 18081}


def own_process(name: str, port: int) -> processes.Running:
    return processes.Running(name, os.getpid(), psutil.Process().create_time(), port, "")


def test_plan_services_puts_no_password_on_a_command_line(tmp_path):
    store = "postgresql://mlflow:s3cret-word@db/mlflow"
    settings = read_settings({"LAKEHOUSE_HOME": str(tmp_path), "LAKEHOUSE_MLFLOW_TRACKING": store})
    plans = up.plan_services(settings, PORTS)
    assert [plan.name for plan in plans] == [
        *("api-server", "scheduler", "dag-processor", "triggerer", "mlflow", "reports"),
    ]
    assert not any("s3cret-word" in argument for plan in plans for argument in plan.command)
    assert next(plan for plan in plans if plan.name == "mlflow").environment["MLFLOW_BACKEND_STORE_URI"] == store


def test_plan_services_starts_no_log_server_and_keeps_airflows_keys_from_the_others(tmp_path):
    plans = {plan.name: plan for plan in up.plan_services(read_settings({"LAKEHOUSE_HOME": str(tmp_path)}), PORTS)}
    assert "--skip-serve-logs" in plans["scheduler"].command
    assert "--skip-serve-logs" in plans["triggerer"].command
    for name in ("mlflow", "reports"):
        assert [variable for variable in plans[name].environment if variable.startswith("AIRFLOW")] == []
        assert "127.0.0.1" in plans[name].command


def test_choose_ports_keeps_those_of_running_services(tmp_path):
    settings = read_settings({"LAKEHOUSE_HOME": str(tmp_path)})
    running = {"api-server": own_process("api-server", 18080)}
    assert up.choose_ports(settings, running, running)["api-server"] == 18080


def test_choose_ports_refuses_to_move_an_api_server_that_others_still_call(tmp_path):
    settings = read_settings({"LAKEHOUSE_HOME": str(tmp_path)})
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        before = {
            "scheduler": own_process("scheduler", 0),
            "api-server": processes.Running("api-server", 2**22 - 1, 0.0, taken.getsockname()[1], ""),
        }
        alive = {"scheduler": before["scheduler"]}
        with pytest.raises(UnavailableError, match="is taken by another program"):
            up.choose_ports(settings, alive, before)


def test_look_says_of_a_dead_service_that_it_is_not_running(tmp_path):
    settings = read_settings({"LAKEHOUSE_HOME": str(tmp_path)})
    processes.write_state(settings, {"reports": processes.Running("reports", 2**22 - 1, 0.0, 18081, "reports.log")})
    assert health.look(settings) == [health.State("reports", 2**22 - 1, 18081, "not running", "reports.log")]


def test_bring_down_without_services_ends_nothing(tmp_path):
    assert up.bring_down(read_settings({"LAKEHOUSE_HOME": str(tmp_path)})) == []
