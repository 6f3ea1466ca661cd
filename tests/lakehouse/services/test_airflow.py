"""Airflow's configuration: on loopback, below LAKEHOUSE_HOME, its secrets in private files and nowhere else."""

from __future__ import annotations

import json
import os
import stat

from lakehouse.config.settings import Settings, read_settings
from lakehouse.services import airflow
from lakehouse.services.pools import POOLS


def settings_of(tmp_path, **values: str) -> Settings:
    return read_settings({"LAKEHOUSE_HOME": str(tmp_path), **values})


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_password_is_generated_once_and_readable_by_the_owner_alone(tmp_path):
    settings = settings_of(tmp_path)
    airflow.make_password(settings)
    first = airflow.read_password(settings)
    airflow.make_password(settings)
    assert airflow.read_password(settings) == first
    assert len(first) >= 24
    assert mode(airflow.password_file(settings)) == 0o600
    assert mode(settings.airflow_home) == 0o700


def test_signing_keys_stay_the_same_and_are_private(tmp_path):
    settings = settings_of(tmp_path)
    keys = airflow.signing_keys(settings)
    assert airflow.signing_keys(settings) == keys
    assert sorted(keys) == [
        "AIRFLOW__API_AUTH__JWT_SECRET",
        "AIRFLOW__API__SECRET_KEY",
        "AIRFLOW__CORE__FERNET_KEY",
    ]
    assert mode(settings.airflow_home / "secrets.json") == 0o600
    assert len(set(keys.values())) == 3


def test_environment_keeps_airflow_on_loopback_and_below_home(tmp_path):
    found = airflow.environment(settings_of(tmp_path), 18080, {"PATH": "/bin", "AIRFLOW_CONN_LAKEHOUSE_SMTP": "{}"})
    assert found["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert found["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:18080/execution/"
    below = ("AIRFLOW_HOME", "AIRFLOW__LOGGING__BASE_LOG_FOLDER", "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE")
    assert all(found[name].startswith(str(tmp_path)) for name in below)
    assert found["AIRFLOW_CONN_LAKEHOUSE_SMTP"] == "{}"  # a connection of the caller's is passed on
    assert found["AIRFLOW__USAGE_DATA_COLLECTION__ENABLED"] == "False"


def test_environment_wins_over_another_airflow_of_the_caller(tmp_path):
    found = airflow.environment(settings_of(tmp_path), 18080, {"AIRFLOW_HOME": "/elsewhere", "PATH": "/bin"})
    assert found["AIRFLOW_HOME"] == str(tmp_path / "airflow")
    assert found["PATH"].endswith(f"{os.pathsep}/bin")  # this environment's spark-submit comes first


def test_configuration_hands_the_master_to_the_connection_that_jobs_are_submitted_with(tmp_path):
    found = airflow.configuration(settings_of(tmp_path, LAKEHOUSE_SPARK_MASTER="spark://host:7077"), 18080)
    assert json.loads(found["AIRFLOW_CONN_LAKEHOUSE_SPARK"])["host"] == "spark://host:7077"


def test_logs_are_looked_for_in_the_store_where_they_are_kept_there_and_no_variable_holds_a_key(tmp_path):
    name, given = "AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS", {"LAKEHOUSE_TASK_LOGS": "s3://mine/logs"}
    keys = {"LAKEHOUSE_TASK_LOGS_ACCESS_KEY_ID": "reader", "LAKEHOUSE_TASK_LOGS_SECRET_ACCESS_KEY": "canary-of-logs"}
    assert name not in airflow.environment(settings_of(tmp_path), 18080, {})
    found = airflow.environment(settings_of(tmp_path, **given, **keys), 18080, {})
    assert found[name] == "dags.common.stored_logs.LOGGING_CONFIG"
    assert not [each for each in found.values() if "canary-of-logs" in each]


def test_pools_json_has_every_pool_with_its_slots():
    assert {name: pool["slots"] for name, pool in json.loads(airflow.pools_json()).items()} == {
        "default_pool": 8,
        "high_priority_cpu": 4,
        "gpu_pool": 2,
    }
    assert set(POOLS) == set(json.loads(airflow.pools_json()))
