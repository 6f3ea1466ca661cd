"""Set-up for docker-compose.yaml: files before its containers start, databases and buckets from within two of them.

Writes  .compose/secrets/   every secret, one a file, mode 0600, generated once
        .compose/home, postgres, seaweedfs, stack/trino   folders of state, the caller's own
        .env                the account that the containers run as

Roles, databases and buckets are made by the code that the native servers are prepared with.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from lakehouse.config.generated import BUCKETS, make_secret, read_secret
from lakehouse.config.private_files import write_private
from lakehouse.config.project import ROOT
from lakehouse.config.settings import Settings
from lakehouse.errors import BadInputError
from lakehouse.services import mlflow, postgres, s3, trino
from lakehouse.services.store_probe import refuse_open_store

FOLDER = ROOT / ".compose"
STATE = ("home", "home/stack", "home/stack/secrets", "postgres", "seaweedfs")
ENDPOINT = "http://s3:8333"
ACTIONS = {
    "root": ["Admin", "Read", "Write", "List", "Tagging"],
    "jobs": [f"{action}:{bucket}" for bucket in (s3.LAKE, s3.LANDING) for action in ("Read", "Write", "List")],
    "trino": [f"{action}:{s3.LAKE}" for action in ("Read", "List")],
    "mlflow": [f"{action}:{s3.MLFLOW}" for action in ("Read", "Write", "List")],
    "airflow": [f"{action}:{s3.LOGS}" for action in ("Read", "Write", "List")],
}
"""What SeaweedFS lets each identity do: the grants of s3.GRANTS in its own words."""
SECRETS = ("postgres_admin", postgres.READER, *postgres.DATABASES.values(), "mlflow_login", "mlflow_cookies")


def account() -> tuple[int, int]:
    """Return user and group that the containers run as: the caller's.

    Raises:
        BadInputError: the caller is root.
    """
    if os.getuid() == 0:
        raise BadInputError("containers run as the account that starts them, and not as root: use another account")
    return os.getuid(), os.getgid()


def write_files(folder: Path, user: int, group: int) -> None:
    """Generate what is not there yet; what is there stays."""
    for name in STATE:
        (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    # The layout of a home of profile stack, whose code reads secrets by their names
    link = folder / "stack"
    link.mkdir(exist_ok=True)
    secrets = folder / "secrets"
    secrets.mkdir(exist_ok=True, mode=0o700)
    if not (link / "secrets").exists():
        (link / "secrets").symlink_to("../secrets")
    for name in SECRETS:
        make_secret(folder, name)
    identities = []
    for role, actions in ACTIONS.items():
        access, secret = (make_secret(folder, f"s3_{role}_{part}") for part in ("key", "secret"))
        credentials = [{"accessKey": access, "secretKey": secret}]
        identities.append({"name": role, "credentials": credentials, "actions": actions})
    write_private(secrets / "s3_identities", json.dumps({"identities": identities}, indent=1))
    uri = f"postgresql+psycopg://mlflow:{read_secret(folder, 'mlflow_db')}@postgres:5432/mlflow"
    write_private(secrets / "mlflow_uri", uri)
    write_private(secrets / "mlflow.ini", mlflow.LOGIN.format(database=uri))
    trino.make_files(folder)
    write_private(folder.parent / ".env", f"LAKEHOUSE_UID={user}\nLAKEHOUSE_GID={group}\n")


def prepare(settings: Settings) -> None:
    """Make roles, databases and buckets, and refuse a store that answers somebody without keys."""
    postgres.prepare(settings, 5432, "postgres")
    trino.make_view_tables(settings, 5432)
    s3.make_buckets(s3.root_client(settings, ENDPOINT))
    refuse_open_store(ENDPOINT, BUCKETS)


def prepare_airflow(settings: Settings, say: Callable[[str], None]) -> None:
    """Migrate Airflow's database, import its pools and generate its login."""
    from lakehouse.services import airflow, up

    up.prepare(settings, airflow.environment(settings, settings.airflow_port), say)
