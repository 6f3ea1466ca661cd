"""Airflow's configuration, computed once, as environment variables: every process of `lakehouse up` gets the same.

Writes  <home>/airflow/secrets.json     keys that sign tokens and encrypt connections; mode 0600
        <home>/airflow/passwords.json   the login of the pages; mode 0600

No Airflow is imported: its processes read the variables by themselves.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from lakehouse.config.generated import read_addresses
from lakehouse.config.private_files import write_private
from lakehouse.config.project import ROOT
from lakehouse.config.settings import PREFIX, Settings
from lakehouse.install.spark_home import submit_environment
from lakehouse.services import postgres
from lakehouse.services.pools import POOLS

USER = "admin"
SPARK_CONNECTION = "lakehouse_spark"
DAGS = ROOT / "dags"
HEARTBEAT_TIMEOUT_S = 90
"""A task whose process sent no sign of life for so long counts as dead and is retried."""


def password_file(settings: Settings) -> Path:
    """Where the generated password lies."""
    return settings.airflow_home / "passwords.json"


def make_password(settings: Settings) -> None:
    """Generate the password where there is none yet."""
    if not password_file(settings).is_file():
        write_private(password_file(settings), json.dumps({USER: secrets.token_urlsafe(18)}))


def read_password(settings: Settings) -> str:
    """Return the password of the pages' only user."""
    passwords: dict[str, str] = json.loads(password_file(settings).read_text(encoding="utf-8"))
    return passwords[USER]


def signing_keys(settings: Settings) -> dict[str, str]:
    """Return Airflow's own secrets, generated the first time."""
    path = settings.airflow_home / "secrets.json"
    if not path.is_file():
        keys = {
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(48),
            "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(48),
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        }
        write_private(path, json.dumps(keys))
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return found


def pools_json() -> str:
    """Return the pools as `airflow pools import` reads them."""
    pools = {
        name: {"slots": pool.slots, "description": pool.description, "include_deferred": False}
        for name, pool in POOLS.items()
    }
    return json.dumps(pools)


def database(settings: Settings) -> dict[str, str]:
    """Return where Airflow keeps its own state; in profile stack it holds a password."""
    if settings.profile == "embedded":
        return {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{settings.airflow_home / 'airflow.db'}"}
    port = read_addresses(settings.home).get("postgres", settings.postgres_port)
    uri = postgres.uri(settings, "airflow", port)
    # The same driver for both: what Airflow would choose for the second is another package
    return {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": uri, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": uri}


def configuration(settings: Settings, port: int) -> dict[str, str]:
    """Return Airflow's settings without its secrets; `port` is that of its pages."""
    address = settings.airflow_address or f"http://127.0.0.1:{port}"
    spark = {"conn_type": "spark", "host": settings.spark_master, "extra": {"deploy-mode": "client"}}
    return {
        "AIRFLOW_HOME": str(settings.airflow_home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(settings.airflow_tasks_at_once),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(password_file(settings)),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "AIRFLOW__API__HOST": settings.airflow_bind,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(settings.logs / "tasks"),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(settings.logs / "dag_processor"),
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(HEARTBEAT_TIMEOUT_S),
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "10",
        # What a killed scheduler had begun is looked for by this clock alone, five minutes where nothing is said
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "20",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        f"AIRFLOW_CONN_{SPARK_CONNECTION.upper()}": json.dumps(spark),
    }


def stored_logs(settings: Settings) -> dict[str, str]:
    """Return how Airflow finds the logs that are kept in the store: by a module, which reads the keys by itself."""
    module = "dags.common.stored_logs"
    return {"AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS": f"{module}.LOGGING_CONFIG"} if settings.task_logs else {}


def environment(settings: Settings, port: int, outer: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the whole environment of Airflow's processes: the caller's, ours over it.

    `outer` is the caller's environment; connections in it (AIRFLOW_CONN_…) are passed on.
    """
    base = dict(submit_environment() if outer is None else outer)
    scripts = sysconfig.get_path("scripts")
    local = "127.0.0.1,localhost"
    return {
        **base,
        **configuration(settings, port),
        **signing_keys(settings),
        **database(settings),
        **stored_logs(settings),
        f"{PREFIX}HOME": str(settings.home),
        "PATH": os.pathsep.join([scripts, base.get("PATH", os.defpath)]),
        "NO_PROXY": ",".join(filter(None, [base.get("NO_PROXY"), local])),
        "no_proxy": ",".join(filter(None, [base.get("no_proxy"), local])),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
