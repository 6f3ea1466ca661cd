"""What `lakehouse up` generates in profile stack and every job, Dag and command then reads: secrets and addresses.

Reads and writes  <home>/stack/secrets/<name>    one secret a file, one line, mode 0600
                  <home>/stack/addresses.json    the port of each server, chosen once and kept

A group of settings of which one was given by hand is not filled up from here: keys of the generated store are no use
at another one.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Container, Mapping
from pathlib import Path

from lakehouse.config.private_files import write_private
from lakehouse.errors import BadInputError

CATALOG_ROLE = "catalog"
"""Name of the role and of the database that hold the catalog."""
BUCKETS = ("lake", "landing", "mlflow", "logs")
"""Tables, delivered files, what training logs, and logs of tasks."""
REGION = "us-east-1"
MLFLOW_USER = "admin"

CATALOG_SETTINGS = (
    "catalog_type",
    "catalog_uri",
    "catalog_host",
    "catalog_port",
    "catalog_database",
    "catalog_user",
    "catalog_password",
)
STORE_SETTINGS = ("warehouse", "s3_endpoint", "s3_region", "s3_access_key_id", "s3_secret_access_key")
LOG_SETTINGS = ("task_logs", "task_logs_access_key_id", "task_logs_secret_access_key")
MLFLOW_SETTINGS = ("mlflow_tracking", "mlflow_artifacts", "mlflow_user", "mlflow_password")


def stack_folder(home: Path) -> Path:
    """Return the folder of the native servers' state."""
    return home / "stack"


def secret_file(home: Path, name: str) -> Path:
    """Return where a secret lies."""
    return stack_folder(home) / "secrets" / name


def make_secret(home: Path, name: str) -> str:
    """Return a secret, generated where there is none yet."""
    path = secret_file(home, name)
    if not path.is_file():
        write_private(path, secrets.token_urlsafe(24) + "\n")
    return read_secret(home, name)


def read_secret(home: Path, name: str) -> str:
    """Return a secret.

    Raises:
        BadInputError: `lakehouse up` has not generated it yet.
    """
    path = secret_file(home, name)
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise BadInputError(f"{path} can't be read ({why}); `lakehouse up` makes it") from None


def addresses_file(home: Path) -> Path:
    """Return where the servers' ports are written down."""
    return stack_folder(home) / "addresses.json"


def read_addresses(home: Path) -> dict[str, int]:
    """Return the port of each server by its name; nothing where none was ever started."""
    path = addresses_file(home)
    if not path.is_file():
        return {}
    found: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))
    return found


def write_addresses(home: Path, ports: Mapping[str, int]) -> None:
    """Write down on which ports the servers are to be found."""
    write_private(addresses_file(home), json.dumps(dict(ports), indent=1) + "\n")


def generated_settings(home: Path, given: Container[str]) -> dict[str, str]:
    """Return values for settings that nobody gave, by what `lakehouse up` has written down below the home."""
    ports = read_addresses(home)
    values: dict[str, str] = {}
    if "postgres" in ports and not any(name in given for name in CATALOG_SETTINGS):
        values |= {
            "catalog_port": str(ports["postgres"]),
            "catalog_database": CATALOG_ROLE,
            "catalog_user": CATALOG_ROLE,
            "catalog_password": read_secret(home, "catalog"),
        }
    if "s3" in ports and not any(name in given for name in STORE_SETTINGS):
        values |= {
            "warehouse": f"s3://{BUCKETS[0]}/warehouse",
            "s3_endpoint": f"http://127.0.0.1:{ports['s3']}",
            "s3_region": REGION,
            "s3_access_key_id": read_secret(home, "s3_jobs_key"),
            "s3_secret_access_key": read_secret(home, "s3_jobs_secret"),
        }
        if "landing" not in given:
            values["landing"] = f"s3://{BUCKETS[1]}"
        # A home of before there were such keys goes on without them until the next `lakehouse up`
        if not any(name in given for name in LOG_SETTINGS) and secret_file(home, "s3_airflow_secret").is_file():
            values |= {
                "task_logs": f"s3://{BUCKETS[3]}/tasks",
                "task_logs_access_key_id": read_secret(home, "s3_airflow_key"),
                "task_logs_secret_access_key": read_secret(home, "s3_airflow_secret"),
            }
    if "mlflow" in ports and not any(name in given for name in MLFLOW_SETTINGS):
        values |= {
            "mlflow_tracking": f"http://127.0.0.1:{ports['mlflow']}",
            "mlflow_artifacts": "mlflow-artifacts:/",
            "mlflow_user": MLFLOW_USER,
            "mlflow_password": read_secret(home, "mlflow_login"),
        }
    if "trino" in ports and "trino_port" not in given:
        values["trino_port"] = str(ports["trino"])
    return values
