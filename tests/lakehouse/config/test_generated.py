"""What profile stack finds by itself, and what is left alone where somebody gave a part of it by hand."""

from __future__ import annotations

import stat

import pytest

from lakehouse.config import generated
from lakehouse.config.settings import read_settings
from lakehouse.errors import BadInputError

PORTS = {"postgres": 15432, "s3": 7070, "mlflow": 5001, "trino": 18443}
SECRETS = ("catalog", "s3_jobs_key", "s3_jobs_secret", "s3_airflow_key", "s3_airflow_secret", "mlflow_login")


@pytest.fixture
def home(tmp_path):
    """A home in which `lakehouse up` has generated what it generates."""
    generated.write_addresses(tmp_path, PORTS)
    for name in SECRETS:
        generated.make_secret(tmp_path, name)
    return tmp_path


def stack_of(home, **values):
    given = {f"LAKEHOUSE_{name.upper()}": value for name, value in values.items()}
    return read_settings({"LAKEHOUSE_PROFILE": "stack", "LAKEHOUSE_HOME": str(home), **given})


def test_profile_and_home_are_enough(home):
    settings = stack_of(home)
    secrets = {name: generated.read_secret(home, name) for name in SECRETS}
    assert settings.catalog_jdbc_uri == "jdbc:postgresql://127.0.0.1:15432/catalog"
    assert settings.pyiceberg_properties() == {
        "uri": f"postgresql+psycopg://catalog:{secrets['catalog']}@127.0.0.1:15432/catalog",
        "warehouse": "s3://lake/warehouse",
        "s3.endpoint": "http://127.0.0.1:7070",
        "s3.region": "us-east-1",
        "s3.access-key-id": secrets["s3_jobs_key"],
        "s3.secret-access-key": secrets["s3_jobs_secret"],
    }
    assert settings.landing_root == "s3://landing"
    assert (settings.mlflow_tracking_uri, settings.mlflow_user) == ("http://127.0.0.1:5001", "admin")
    assert settings.mlflow_password.get_secret_value() == secrets["mlflow_login"]
    assert (settings.task_logs, settings.task_logs_access_key_id) == ("s3://logs/tasks", secrets["s3_airflow_key"])
    assert settings.has_own_store


def test_home_of_before_there_were_keys_for_logs_keeps_them_on_this_machine(home):
    generated.secret_file(home, "s3_airflow_key").unlink()
    generated.secret_file(home, "s3_airflow_secret").unlink()
    assert stack_of(home).task_logs == ""


@pytest.mark.parametrize("where", ["logs", "s3://", "file:///logs", "s3://user@host/logs?x"])
def test_logs_of_tasks_are_kept_in_a_bucket_or_nowhere(home, where):
    with pytest.raises(BadInputError, match=r"^LAKEHOUSE_TASK_LOGS: "):
        stack_of(home, task_logs=where)


def test_keys_of_the_generated_store_are_not_sent_to_a_given_one(home):
    settings = stack_of(home, s3_endpoint="https://store.example.org", warehouse="s3://mine/tables")
    assert settings.s3_properties() == {"s3.endpoint": "https://store.example.org", "s3.region": "us-east-1"}
    assert settings.landing_root == str(home / "landing")
    assert settings.task_logs == ""
    assert settings.catalog_port == 15432  # the catalog is another matter
    assert not settings.has_own_store


def test_a_given_catalog_is_not_asked_with_the_generated_password(home):
    settings = stack_of(home, catalog_host="db.example.org", catalog_password="theirs")  # noqa: S106
    assert settings.catalog_sqlalchemy_uri == "postgresql+psycopg://iceberg:theirs@db.example.org:5432/iceberg"
    assert settings.warehouse_uri == "s3://lake/warehouse"


def test_a_rest_catalog_is_given_nothing_that_was_generated_for_another(home):
    settings = stack_of(home, catalog_type="rest", catalog_uri="https://catalog.example.org")
    assert settings.rest_properties() == {"uri": "https://catalog.example.org"}
    assert settings.rest_secrets() == {}
    assert settings.warehouse_uri == "s3://lake/warehouse"
    assert not settings.has_trino  # ours reads the generated catalog


def test_where_files_land_may_be_given_alone(home):
    settings = stack_of(home, landing="s3://landing/ticks")
    assert (settings.landing_root, settings.s3_endpoint) == ("s3://landing/ticks", "http://127.0.0.1:7070")


def test_profile_embedded_takes_nothing_of_it(home):
    settings = read_settings({"LAKEHOUSE_HOME": str(home)})
    assert settings.catalog_jdbc_uri.startswith("jdbc:sqlite:")
    assert settings.s3_properties() == {"s3.region": "us-east-1"}


def test_a_secret_is_made_once_private_and_long(tmp_path):
    first = generated.make_secret(tmp_path, "catalog")
    assert generated.make_secret(tmp_path, "catalog") == first
    assert len(first) == 32
    file = generated.secret_file(tmp_path, "catalog")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_missing_secret_says_who_makes_it(home):
    generated.secret_file(home, "catalog").unlink()
    with pytest.raises(BadInputError, match=r"secrets/catalog can't be read .*; `lakehouse up` makes it"):
        stack_of(home)
