"""The servers of profile stack as they would be started: their command lines, environments and grants."""

from __future__ import annotations

import json
import stat

import pytest

from lakehouse.config.generated import stack_folder
from lakehouse.config.settings import read_settings
from lakehouse.errors import BadInputError
from lakehouse.install.stack_parts import Part
from lakehouse.services import mlflow, postgres, s3, stores

PORTS = {"postgres": 15432, "s3": 7070, "mlflow": 5001}


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Profile stack with everything generated, nothing started."""
    monkeypatch.setenv("LAKEHOUSE_PROFILE", "stack")
    monkeypatch.setattr(s3, "versitygw_program", lambda: tmp_path / "versitygw")
    monkeypatch.setattr(postgres, "postgres_programs", lambda: tmp_path / "bin")
    monkeypatch.setattr(postgres, "account", lambda: "")
    first = read_settings({"LAKEHOUSE_PROFILE": "stack", "LAKEHOUSE_HOME": str(tmp_path)}, is_starting=True)
    return stores.generate(first, PORTS)


def secrets_of(settings):
    folder = stack_folder(settings.home) / "secrets"
    return {path.name: path.read_text().strip() for path in folder.iterdir()}


def test_no_secret_is_on_a_command_line_and_each_server_is_given_its_own_alone(settings):
    plans = {
        "postgres": postgres.plan(settings, 15432),
        "s3": s3.plan(settings, 7070),
        "mlflow": mlflow.plan(settings, 5001, {"LAKEHOUSE_CATALOG_PASSWORD": "x", "AIRFLOW_CONN_A": "y"}, 15432),
    }
    secrets = secrets_of(settings)
    given = {}
    for name, plan in plans.items():
        assert not [each for each in secrets.values() if any(each in argument for argument in plan.command)], name
        text = "\n".join(plan.environment.values())
        given[name] = sorted(secret for secret, value in secrets.items() if value in text)
    assert given == {
        "postgres": [],
        "s3": ["s3_root_key", "s3_root_secret"],
        "mlflow": ["mlflow_cookies", "mlflow_db", "mlflow_login", "s3_mlflow_key", "s3_mlflow_secret"],
    }
    assert not [name for name in plans["mlflow"].environment if name.startswith(("LAKEHOUSE_", "AIRFLOW"))]


def test_every_server_is_on_loopback_alone(settings):
    assert "listen_addresses=127.0.0.1" in postgres.plan(settings, 15432).command
    assert "unix_socket_directories=" in postgres.plan(settings, 15432).command
    assert "127.0.0.1:7070" in s3.plan(settings, 7070).command
    command = mlflow.plan(settings, 5001, {}, 15432).command
    assert command[command.index("--host") + 1] == "127.0.0.1"


def test_generate_keeps_what_is_there(settings):
    before = secrets_of(settings)
    again = stores.generate(settings, PORTS)
    assert secrets_of(again) == before
    assert len(set(before.values())) == len(before)


def test_identities_are_private_and_root_is_none_of_them(settings):
    users = stack_folder(settings.home) / "s3-users" / "users.json"
    assert stat.S_IMODE(users.stat().st_mode) == 0o600
    accounts = json.loads(users.read_text())["accessAccounts"]
    assert {account["role"] for account in accounts.values()} == {"user"}
    assert set(accounts) == {s3.keys(settings, role)[0] for role in s3.IDENTITIES}


def test_trino_may_only_read_the_lake_and_mlflow_and_airflow_have_their_own_buckets(settings):
    def may(bucket, role):
        key, _ = s3.keys(settings, role)
        statements = s3.policy(settings, bucket, s3.GRANTS[bucket])["Statement"]
        return {action for each in statements if each["Principal"]["AWS"] == [key] for action in each["Action"]}

    assert may(s3.LAKE, "trino") == set(s3.READ)
    assert may(s3.LAKE, "jobs") == set(s3.WRITE)
    assert [may(bucket, "trino") for bucket in (s3.LANDING, s3.MLFLOW)] == [set(), set()]
    assert [role for role in s3.IDENTITIES if may(s3.MLFLOW, role)] == ["mlflow"]
    assert [role for role in s3.IDENTITIES if may(s3.LOGS, role)] == ["airflow"]
    assert [bucket for bucket in s3.GRANTS if may(bucket, "airflow")] == [s3.LOGS]


def test_missing_parts_are_named_with_the_lines_that_get_them(settings, monkeypatch):
    found = (Part("PostgreSQL", None, "apt-get install postgresql"), Part("Trino", None, "make stack"))
    monkeypatch.setattr(stores, "parts", lambda: found)
    with pytest.raises(BadInputError, match=r"lacks PostgreSQL, Trino .*; apt-get install postgresql && make stack"):
        stores.require_parts(settings)


def test_who_names_a_store_elsewhere_needs_no_program_for_one(tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "parts", lambda: (Part("S3 server", None, "make stack"),))
    given = {"LAKEHOUSE_PROFILE": "stack", "LAKEHOUSE_HOME": str(tmp_path), "LAKEHOUSE_WAREHOUSE": "s3://mine/tables"}
    stores.require_parts(read_settings(given, is_starting=True))
    own = {name: value for name, value in given.items() if name != "LAKEHOUSE_WAREHOUSE"}
    with pytest.raises(BadInputError, match="lacks S3 server"):
        stores.require_parts(read_settings(own, is_starting=True))


def test_cluster_lies_outside_of_a_home_that_its_account_cannot_reach(settings, monkeypatch):
    monkeypatch.setattr(postgres.os, "geteuid", lambda: 0)
    settings.home.chmod(0o700)
    outside = postgres.data_folder(settings)
    assert outside.is_relative_to("/var/lib/lakehouse-tick")
    monkeypatch.setattr(postgres, "is_open", lambda folder: True)
    assert postgres.data_folder(settings) == stack_folder(settings.home) / "postgres"
