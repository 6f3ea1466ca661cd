"""PostgreSQL of profile stack: one cluster on loopback, a role and a database per service, passwords by SCRAM.

Writes  <home>/stack/postgres   the cluster; no socket in the file system, so that nobody gets in without a password

PostgreSQL refuses to run as root: there it runs as the account `postgres`, which the system's packages make. Where that
account can't reach the home, the cluster lies in /var/lib/lakehouse-tick, with a link in its place.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from lakehouse.config.generated import CATALOG_ROLE, make_secret, read_secret, stack_folder
from lakehouse.config.project import ROOT
from lakehouse.config.settings import Settings
from lakehouse.errors import BadInputError, LakehouseError
from lakehouse.install.stack_parts import postgres_programs
from lakehouse.services.plan import ServicePlan

ADMIN = "postgres"
ACCOUNT = "postgres"
DATABASES = {CATALOG_ROLE: "catalog", "airflow": "airflow_db", "mlflow": "mlflow_db", "trino": "trino_db"}
"""Roles, each the owner of the database of its name, and the secrets that hold their passwords."""
READER = "catalog_reader"
"""May read the catalog and nothing else: Trino's role. Its secret has the same name."""
CONFIGURATION = ROOT / "conf" / "postgres" / "postgresql.conf"
OUTSIDE = Path("/var/lib/lakehouse-tick")
CONNECT_TIMEOUT_S = 5


def account() -> str:
    """Return the account that the server runs as, empty for the caller's own.

    Raises:
        BadInputError: the caller is root and there is no other account for it.
    """
    if os.geteuid() != 0:
        return ""
    try:
        return pwd.getpwnam(ACCOUNT).pw_name
    except KeyError:
        raise BadInputError(
            f"PostgreSQL refuses to run as root and there is no account {ACCOUNT}; apt-get install postgresql makes it"
        ) from None


def data_folder(settings: Settings) -> Path:
    """Return where the cluster lies: below the home, or outside where the server's account can't reach that."""
    usual = stack_folder(settings.home) / "postgres"
    if usual.is_symlink():
        return usual.resolve()
    if os.geteuid() != 0 or usual.is_dir() or all(is_open(folder) for folder in usual.parents):
        return usual
    return OUTSIDE / hashlib.sha256(str(settings.home).encode()).hexdigest()[:16] / "postgres"


def is_open(folder: Path) -> bool:
    """Say whether every account may pass through a folder; one that is not there yet will be open."""
    return not folder.exists() or bool(folder.stat().st_mode & stat.S_IXOTH)


def make_cluster(settings: Settings) -> None:
    """Make the cluster where there is none yet.

    Raises:
        LakehouseError: initdb failed.
    """
    folder, usual = data_folder(settings), stack_folder(settings.home) / "postgres"
    if not (folder / "PG_VERSION").is_file():
        shutil.rmtree(folder, ignore_errors=True)  # what a killed initdb has left
        folder.mkdir(parents=True, exist_ok=True)
        give_away(folder)
        folder.chmod(0o700)
        with tempfile.NamedTemporaryFile("w", dir=folder.parent, prefix=".admin-") as password:
            password.write(make_secret(settings.home, "postgres_admin"))
            password.flush()
            give_away(Path(password.name))
            initialize(folder, password.name)
    if folder != usual:
        usual.parent.mkdir(parents=True, exist_ok=True)
        usual.unlink(missing_ok=True)
        usual.symlink_to(folder)
    written = folder / "postgresql.conf"
    written.write_text(CONFIGURATION.read_text(encoding="utf-8"), encoding="utf-8")
    give_away(written)


def initialize(folder: Path, password_file: str) -> None:
    """Run initdb.

    Raises:
        LakehouseError: it failed; its last line says why.
    """
    command = [str(postgres_programs() / "initdb"), "--pgdata", str(folder), "--username", ADMIN]
    command += ["--auth", "scram-sha-256", "--pwfile", password_file, "--encoding", "UTF8", "--locale", "C"]
    command += ["--data-checksums"]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd="/", env=environment(), user=account() or None
    )
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise LakehouseError(f"initdb ended with {done.returncode}: {last}")


def give_away(path: Path) -> None:
    """Make the server's account the owner of a file."""
    if account():
        shutil.chown(path, account(), pwd.getpwnam(account()).pw_gid)


def environment() -> dict[str, str]:
    """Return what the server's programs need of the environment, and no more."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def plan(settings: Settings, port: int) -> ServicePlan:
    """Return how the server is started; it writes to the log that the starter gives it."""
    options = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": ""}
    arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    program = str(postgres_programs() / "postgres")
    # SIGINT ends open connections; SIGTERM would wait for them
    return ServicePlan(
        *("postgres", (program, "-D", str(data_folder(settings)), *arguments), environment(), port),
        user=account(),
        stop_signal=signal.SIGINT,
    )


def connect(settings: Settings, port: int, database: str = "postgres", host: str = "127.0.0.1") -> Any:
    """Connect as the administrator; every statement is its own transaction."""
    import psycopg

    return psycopg.connect(
        host=host,
        port=port,
        dbname=database,
        user=ADMIN,
        password=read_secret(settings.home, "postgres_admin"),
        connect_timeout=CONNECT_TIMEOUT_S,
        autocommit=True,
    )


def is_ready(settings: Settings, port: int) -> bool:
    """Say whether the server takes a login."""
    import psycopg

    try:
        with closing(connect(settings, port)) as connection:
            connection.execute("SELECT 1")
            return True
    except (psycopg.Error, LakehouseError):
        return False


def prepare(settings: Settings, port: int, host: str = "127.0.0.1") -> None:
    """Make each role with its database, and what it may do; passwords follow the secrets' files."""
    from psycopg import sql

    with closing(connect(settings, port, host=host)) as admin:
        for role, secret in {**DATABASES, READER: READER}.items():
            make_role(admin, role, make_secret(settings.home, secret))
        present = {row[0] for row in admin.execute("SELECT datname FROM pg_database")}
        for name in DATABASES:
            database = sql.Identifier(name)
            if name not in present:
                admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, database))
            admin.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
        grant = sql.SQL("GRANT CONNECT ON DATABASE {} TO {}")
        admin.execute(grant.format(sql.Identifier(CATALOG_ROLE), sql.Identifier(READER)))
    with closing(connect(settings, port, CATALOG_ROLE, host)) as admin:
        owner, reader = sql.Identifier(CATALOG_ROLE), sql.Identifier(READER)
        for statement in (
            "GRANT USAGE ON SCHEMA public TO {reader}",
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}",
            "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT SELECT ON TABLES TO {reader}",
        ):
            admin.execute(sql.SQL(statement).format(owner=owner, reader=reader))


def make_role(admin: Any, name: str, password: str) -> None:
    """Make a role or give it its password anew; the server is sent the verifier and never the password."""
    from psycopg import sql

    known = admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone()
    verifier = admin.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    statement = "ALTER ROLE {} LOGIN PASSWORD {}" if known else "CREATE ROLE {} LOGIN PASSWORD {}"
    admin.execute(sql.SQL(statement).format(sql.Identifier(name), sql.Literal(verifier)))


def uri(settings: Settings, role: str, port: int, driver: str = "postgresql+psycopg") -> str:
    """Return how SQLAlchemy reaches a role's database; it holds the password, so it is never printed."""
    password = read_secret(settings.home, DATABASES[role])  # letters, digits, - and _: nothing to quote
    return f"{driver}://{role}:{password}@{settings.postgres_host}:{port}/{role}"
