"""Each role can do what it is there for and nothing else: in PostgreSQL, in the store, at the pages."""

from __future__ import annotations

import os
import stat
from contextlib import closing

import boto3
import psutil
import psycopg
import pytest
import requests
from botocore.exceptions import ClientError

from lakehouse.config.generated import stack_folder
from lakehouse.services import postgres, processes, s3


def log_in(stack, role, database):
    """Connect to a database as a role."""
    secret = postgres.DATABASES.get(role, role)
    port = stack.settings.catalog_port
    return psycopg.connect(
        host="127.0.0.1", port=port, user=role, password=stack.secrets[secret], dbname=database, connect_timeout=10
    )


def client_of(stack, role):
    key, secret = s3.keys(stack.settings, role)
    own = {"aws_access_key_id": key, "aws_secret_access_key": secret}
    return boto3.client("s3", endpoint_url=stack.settings.s3_endpoint, region_name="us-east-1", **own)


def code_of(call, **arguments):
    """How the store answers: the error's code, or ok."""
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "ok"


def test_every_server_listens_on_loopback_alone(stack):
    running = processes.read_state(stack.settings)
    listening = {
        name: {
            connection.laddr.ip
            for process in processes.family(stack.settings, name)
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        }
        for name in running
    }
    assert {ip for ips in listening.values() for ip in ips} <= {"127.0.0.1", "::ffff:127.0.0.1"}
    assert {"postgres", "s3", "mlflow", "api-server"} <= {name for name, ips in listening.items() if ips}


def test_secrets_are_files_of_their_owner(stack):
    folder = stack_folder(stack.settings.home) / "secrets"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(postgres.data_folder(stack.settings).stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to hand PostgreSQL to another account")
def test_postgres_does_not_run_as_root(stack):
    server = processes.read_state(stack.settings)["postgres"].process()
    assert server.username() == "postgres"


@pytest.mark.parametrize("role", ["catalog", "airflow", "mlflow"])
def test_a_role_enters_its_own_database_and_no_other(stack, role):
    with closing(log_in(stack, role, role)) as connection:
        assert connection.execute("SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    for other in {"catalog", "airflow", "mlflow"} - {role}:
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            log_in(stack, role, other)


def test_wrong_password_and_no_password_are_refused(stack):
    for password in ("wrong", ""):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(
                host="127.0.0.1",
                port=stack.settings.catalog_port,
                user="catalog",
                password=password,
                dbname="catalog",
                connect_timeout=10,
            )


def test_reader_of_the_catalog_reads_and_writes_nothing(stack):
    stack.run("migrate")  # makes the catalog's own tables, too
    with closing(log_in(stack, postgres.READER, "catalog")) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM iceberg_tables").fetchone() == (True,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("UPDATE iceberg_tables SET metadata_location = 'gone'")


def test_each_identity_of_the_store_has_its_own_buckets(stack):
    client_of(stack, "jobs").put_object(Bucket="lake", Key="identities/probe", Body=b"x")
    allowed = {
        (role, bucket): (
            code_of(client_of(stack, role).list_objects_v2, Bucket=bucket),
            code_of(client_of(stack, role).put_object, Bucket=bucket, Key=f"identities/{role}", Body=b"x"),
        )
        for role in s3.IDENTITIES
        for bucket in (s3.LAKE, s3.LANDING, s3.MLFLOW, s3.LOGS)
    }
    whole, read, none = ("ok", "ok"), ("ok", "AccessDenied"), ("AccessDenied", "AccessDenied")
    assert allowed == {
        **dict.fromkeys(allowed, none),
        **{("jobs", "lake"): whole, ("jobs", "landing"): whole, ("trino", "lake"): read},
        **{("mlflow", "mlflow"): whole, ("airflow", "logs"): whole},
    }
    assert code_of(client_of(stack, "airflow").get_object, Bucket="lake", Key="identities/probe") == "AccessDenied"
    reader = client_of(stack, "trino")
    assert reader.get_object(Bucket="lake", Key="identities/probe")["Body"].read() == b"x"
    assert code_of(reader.delete_object, Bucket="lake", Key="identities/probe") == "AccessDenied"
    for bucket, role in (("lake", "jobs"), ("landing", "jobs"), ("mlflow", "mlflow"), ("logs", "airflow")):
        client_of(stack, role).delete_object(Bucket=bucket, Key=f"identities/{role}")


def test_pages_ask_who_is_there(stack):
    tracking = stack.settings.mlflow_tracking_uri
    search = f"{tracking}/api/2.0/mlflow/experiments/search"
    body = {"max_results": 1}
    assert requests.post(search, json=body, timeout=60).status_code == 401
    assert requests.post(search, json=body, auth=("admin", "wrong"), timeout=60).status_code == 401
    assert requests.post(search, json=body, auth=("admin", stack.secrets["mlflow_login"]), timeout=60).ok
    assert requests.get(f"{stack.address}/api/v2/dags", timeout=60).status_code == 401
