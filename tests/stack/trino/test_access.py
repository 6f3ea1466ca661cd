"""Who may do what in Trino: analysts read gold, quality and the views; nobody else gets in."""

from __future__ import annotations

import dataclasses

import pytest
import requests

from lakehouse.config.generated import secret_file, stack_folder
from lakehouse.errors import BadInputError
from lakehouse.queries.trino import ADMIN, ANALYST, ask, certificate_file, login_of, open_connection
from lakehouse.services import processes


def refusal(filled, sql: str, user: str = ANALYST) -> str:
    with pytest.raises(BadInputError) as caught:
        filled.trino(sql, user)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_analyst_sees_gold_quality_and_views_alone(filled):
    assert filled.trino("SHOW CATALOGS") == [("lakehouse",), ("system",), ("views",)]
    assert filled.trino("SHOW SCHEMAS FROM lakehouse") == [("gold",), ("quality",)]
    assert filled.trino("SELECT count(*) > 0 FROM gold.bars_1m, quality.check_results") == [(True,)]
    assert filled.trino('SELECT count(*) > 0 FROM gold."bars_1m$snapshots"') == [(True,)]


@pytest.mark.parametrize(
    "table",
    [
        *("silver.trades", "bronze.trades", "ops.runs", "registry.model_versions"),
        *('silver."trades$files"', 'bronze."files$snapshots"', "system.runtime.queries", "system.metadata.catalogs"),
    ],
)
def test_analyst_is_refused_other_tables(filled, table):
    assert "Access Denied: Cannot select from" in refusal(filled, f"SELECT * FROM {table}")  # noqa: S608


def test_analyst_reads_other_layers_through_the_views_only(filled):
    assert filled.trino("SELECT count(*) > 0 FROM views.finance.spread_by_hour") == [(True,)]
    assert filled.trino("SELECT count(*) FROM views.models.champions") == [(1,)]


WRITES = {
    "create table": "CREATE TABLE gold.mine (a INTEGER)",
    "insert": "INSERT INTO gold.instruments SELECT * FROM gold.instruments",
    "delete": "DELETE FROM gold.instruments",
    "update": "UPDATE gold.instruments SET venue = 'x'",
    "drop table": "DROP TABLE gold.instruments",
    "rename": "ALTER TABLE gold.instruments RENAME TO gold.others",
    "compact": "ALTER TABLE gold.instruments EXECUTE optimize",
    "procedure": "CALL lakehouse.system.unregister_table('gold', 'instruments')",
    "create schema": "CREATE SCHEMA lakehouse.mine",
    "create view": "CREATE VIEW views.finance.mine AS SELECT 1 AS a",
    "create table among views": "CREATE TABLE views.finance.mine (a INTEGER)",
    "drop view": "DROP VIEW views.finance.daily_vwap",
}


@pytest.mark.parametrize("sql", [pytest.param(sql, id=name) for name, sql in WRITES.items()])
def test_analyst_is_refused_every_write(filled, sql):
    assert "Access Denied" in refusal(filled, sql)


@pytest.mark.parametrize("sql", [pytest.param(sql, id=name) for name, sql in WRITES.items() if "view" not in name])
def test_admin_makes_views_and_can_not_change_tables(filled, sql):
    assert "Access Denied" in refusal(filled, sql, ADMIN)
    assert filled.trino("SELECT count(*) > 0 FROM silver.trades", ADMIN) == [(True,)]


def test_what_trino_is_given_can_not_write_where_tables_are(filled):
    """Rules could be loosened by mistake; database role and S3 key say no by themselves."""
    import boto3
    import psycopg
    from botocore.config import Config
    from botocore.exceptions import ClientError

    from lakehouse.services import s3, trino

    variables = trino.environment(filled.settings, 1)
    key, secret = s3.keys(filled.settings, "trino")
    store = boto3.client(
        "s3",
        endpoint_url=variables["TRINO_S3_ENDPOINT"],
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        region_name=variables["TRINO_S3_REGION"],
        config=Config(s3={"addressing_style": "path"}),
    )
    with pytest.raises(ClientError, match="AccessDenied"):
        store.put_object(Bucket="lake", Key="warehouse/mine", Body=b"x")
    address = variables["TRINO_CATALOG_URL"].removeprefix("jdbc:")
    with psycopg.connect(
        address, user=variables["TRINO_CATALOG_USER"], password=variables["TRINO_CATALOG_PASSWORD"]
    ) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM iceberg_tables").fetchone() == (True,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM iceberg_tables")


def test_wrong_password_and_unknown_user_are_refused(filled):
    login = login_of(filled.settings, ANALYST)
    for other in (dataclasses.replace(login, password="wrong"), dataclasses.replace(login, user="nobody")):  # noqa: S106
        with pytest.raises(BadInputError, match="refuses the login of"), open_connection(other) as connection:
            ask(connection, "SELECT 1")


def test_another_certificate_is_refused(filled, tmp_path):
    from lakehouse.services.trino import make_certificate

    make_certificate(tmp_path / "certificate.pem")
    login = dataclasses.replace(login_of(filled.settings, ANALYST), certificate=tmp_path / "certificate.pem")
    with pytest.raises(BadInputError, match="has no certificate that"), open_connection(login) as connection:
        ask(connection, "SELECT 1")


def test_without_a_login_nothing_is_answered(filled):
    address = f"https://127.0.0.1:{filled.settings.trino_port}"
    session = requests.Session()
    session.trust_env = False
    session.verify = str(certificate_file(filled.settings.home))
    session.headers["Connection"] = "close"  # Trino hangs up on a refused one with a body
    for method, path in (
        ("POST", "/v1/statement"),
        ("GET", "/v1/query"),
        ("GET", "/v1/node"),
        ("GET", "/ui/api/stats"),
    ):
        answer = session.request(method, address + path, data=b"SELECT 1", headers={"X-Trino-User": ADMIN}, timeout=60)
        assert answer.status_code == 401, path
    assert set(session.get(f"{address}/v1/info", timeout=60).json()) == {
        *("nodeVersion", "environment", "coordinator", "starting", "uptime")
    }


def test_plain_http_is_not_served(filled):
    with pytest.raises(requests.ConnectionError):
        requests.post(
            f"http://127.0.0.1:{filled.settings.trino_port}/v1/statement",
            data=b"SELECT 1",
            timeout=60,
            proxies={"http": ""},
        )


def test_one_user_can_not_act_as_another(filled):
    login = login_of(filled.settings, ANALYST)
    session = requests.Session()
    session.trust_env, session.verify, session.auth = False, str(login.certificate), (login.user, login.password)
    answer = session.post(
        f"https://127.0.0.1:{login.port}/v1/statement",
        data=b"SELECT * FROM registry.model_versions",
        headers={"X-Trino-User": ADMIN, "X-Trino-Catalog": "lakehouse"},
        timeout=60,
    )
    while answer.ok and "nextUri" in answer.json():
        answer = session.get(answer.json()["nextUri"], timeout=60)
        assert "data" not in answer.json()
    assert "User analyst cannot impersonate user admin" in answer.text


def test_no_secret_is_in_arguments_logs_or_rendered_files(filled):
    folder = stack_folder(filled.settings.home)
    secrets = {path.name: path.read_text().strip() for path in (folder / "secrets").iterdir()}
    arguments = [word for process in processes.family(filled.settings, "trino") for word in process.cmdline()]
    assert arguments
    files = [path for path in (folder / "trino").rglob("*") if path.is_file() and path.stat().st_size < 10**7]
    files += [path for path in filled.settings.logs.rglob("trino*") if path.is_file()]
    assert {path.stat().st_mode & 0o077 for path in (folder / "trino").glob("*.txt")} == {0}
    for name, secret in secrets.items():
        assert not [word for word in arguments if secret in word], name
        assert not [path for path in files if secret.encode() in path.read_bytes()], name
    assert secret_file(filled.settings.home, "trino_analyst").stat().st_mode & 0o077 == 0


def test_error_of_the_command_line_is_one_line_with_its_code(filled, monkeypatch):
    port = processes.choose_port(0)
    monkeypatch.setitem(filled.variables, "LAKEHOUSE_TRINO_PORT", str(port))
    done = filled.lakehouse("sql", "run", "daily_vwap")
    assert (done.returncode, done.stdout) == (75, "")
    assert done.stderr == (
        f"error: Trino at 127.0.0.1:{port} does not answer (Connection refused); `lakehouse status` says more\n"
    )
