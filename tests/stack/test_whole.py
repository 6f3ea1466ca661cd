"""The stack as a whole, after its work: what its pages show, what it takes of memory, and where its secrets are not."""

from __future__ import annotations

import os
import re
import subprocess
import time

import pyarrow as pa
import pytest
import requests

from lakehouse.config.generated import stack_folder
from lakehouse.lake.catalog import open_catalog
from lakehouse.queries.trino import ANALYST
from lakehouse.services import airflow, postgres, processes

MEMORY_LIMIT = 12 * 1024**3


def wait_for_text(browser, *wanted):
    """Wait until a page shows some words."""
    deadline = time.monotonic() + 300
    while any(word not in (text := browser.text()) for word in wanted):
        assert time.monotonic() < deadline, text
        time.sleep(0.2)


@pytest.fixture
def page(stack, browser):
    """page(address, *words) opens a page, waits until it shows the words, and looks for secrets in all of it."""

    def open_page(address, *wanted):
        browser.call("Page.navigate", url=address)
        wait_for_text(browser, *wanted)
        assert stack.secrets_in(browser.html()) == []

    return open_page


def test_airflow_shows_the_run_of_each_domain(stack, through_airflow, browser, page):
    token = stack.session.headers["Authorization"].removeprefix("Bearer ")
    browser.call("Network.setCookie", name="_token", value=token, url=stack.address)
    for dag, task in (("finance_tick", "silver"), ("energy_forecast", "gold")):
        page(f"{stack.address}/dags/{dag}/runs/{through_airflow[dag]}", task, "Success")


def test_mlflow_shows_the_trained_model_to_who_logs_in(stack, trained, browser, page):
    login = requests.auth._basic_auth_str("admin", stack.secrets["mlflow_login"])
    browser.call("Network.enable")
    browser.call("Network.setExtraHTTPHeaders", headers={"Authorization": login})
    page(f"{stack.settings.mlflow_tracking_uri}/#/models", trained)


def test_quality_report_opens_from_its_server(stack, filled, page):
    stack.run("report")
    port = processes.read_state(stack.settings)["reports"].port
    page(f"http://127.0.0.1:{port}/index.html", "silver.trades", "gold.load_hourly")


def test_trino_shows_an_analyst_their_queries(stack, filled, browser, page):
    """Its certificate is its own, of which a person's browser warns."""
    assert stack.trino("SELECT 'seen on the page'") == [("seen on the page",)]
    browser.call("Security.setIgnoreCertificateErrors", ignore=True)
    page(f"https://127.0.0.1:{stack.settings.trino_port}/ui/", "Log In")
    browser.fill(username=ANALYST, password=stack.secrets[f"trino_{ANALYST}"])
    browser.evaluate("document.querySelector('form').requestSubmit()")
    wait_for_text(browser, "CLUSTER OVERVIEW", "Log Out", "Finished")
    browser.evaluate(
        "[...document.querySelectorAll('button')].find(each => each.innerText.trim() == 'Finished').click()"
    )
    wait_for_text(browser, "SELECT 'seen on the page'", ANALYST)
    assert stack.secrets_in(browser.html()) == []


def test_memory_of_the_whole_stays_below_its_limit(stack, through_airflow, capsys):
    most = max(stack.memory, key=lambda shares: sum(shares.values()))
    total = sum(most.values())
    with capsys.disabled():
        text = ", ".join(f"{name} {share / 1024**2:.0f}" for name, share in most.items())
        said = f"most memory of the stack while its Dags ran, proportional shares in MiB: {text}; together"
        print(f"\n{said} {total / 1024**2:.0f}")  # noqa: T201
    assert total < MEMORY_LIMIT
    assert all(most.values())


def test_no_secret_is_on_a_command_line(stack, filled):
    lines = stack.command_lines()
    assert any("scheduler" in line for line in lines)
    assert stack.secrets_in("\n".join(lines)) == []


def test_no_secret_is_in_a_file_but_its_own_and_those_that_servers_need(stack, filled):
    """Also logs, reports, what the store keeps, and PostgreSQL's own files."""
    home, folder = stack.settings.home, stack_folder(stack.settings.home)
    # The store's list of users and MLflow's address of its database: read by a server that takes no other form
    needed = {folder / "mlflow" / "login.ini", *(folder / "s3-users").iterdir()}
    needed |= {airflow.password_file(stack.settings), stack.settings.airflow_home / "secrets.json"}
    files = [path for path in home.rglob("*") if path.is_file() and not path.is_symlink()]
    files = [path for path in files if path not in needed and path.parent != folder / "secrets"]
    leaks = [(str(path.relative_to(home)), found) for path in files if (found := stack.secrets_in(path.read_bytes()))]
    assert leaks == []
    assert {path.stat().st_mode & 0o077 for path in needed} == {0}
    assert any(path.name == "scheduler.log" for path in files)


def test_no_secret_is_in_a_database(stack, filled):
    """By a dump of all of them as their administrator: every row of every service, and every role's verifier.

    Airflow would encrypt the passwords of connections that a person enters (Fernet); the stack enters none.
    """
    login = {"PGPASSWORD": stack.secrets["postgres_admin"], "PATH": os.defpath}
    dump = [str(postgres.postgres_programs() / "pg_dumpall"), "-h", "127.0.0.1", "-U", postgres.ADMIN]
    dump += ["-p", str(stack.settings.catalog_port)]
    text = subprocess.run(dump, env=login, check=True, capture_output=True, text=True).stdout
    for row in ("\\connect catalog", "\\connect airflow", "\\connect mlflow", "\\connect trino", "finance_tick"):
        assert row in text
    assert stack.secrets_in(text) == []
    columns_of_bytes = re.findall(r"\\\\x((?:[0-9a-f]{2})+)", text)
    assert columns_of_bytes
    assert stack.secrets_in(bytes.fromhex("".join(columns_of_bytes))) == []
    kept = [line.split(" PASSWORD ")[1] for line in text.splitlines() if " PASSWORD " in line]
    assert len(kept) == len(postgres.DATABASES) + 2  # catalog_reader, postgres
    assert {each.partition("$")[0] for each in kept} == {"'SCRAM-SHA-256"}


def test_no_secret_is_in_a_table(filled):
    """Their files are compressed, so their rows are read."""
    catalog = open_catalog(filled.settings)
    names = [name for space in catalog.list_namespaces() for name in catalog.list_tables(space)]
    assert {"bronze", "silver", "gold", "quality", "registry", "ops"} <= {space for space, _ in names}
    leaks = {
        name: filled.secrets_in("\n".join(text for column in rows.columns for text in texts_of(column)))
        for name in names
        for rows in [catalog.load_table(name).scan().to_arrow()]
    }
    assert {name: found for name, found in leaks.items() if found} == {}


def texts_of(column):
    """Return what a column holds of text, each once."""
    if pa.types.is_nested(column.type):
        return map(str, column.to_pylist())
    is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    return column.unique().drop_null().to_pylist() if is_text else []


def test_rendered_fields_and_logs_in_airflow_show_no_secret(stack, through_airflow):
    """What a person sees who opens a task."""
    shown = []
    for dag, run in through_airflow.items():
        for task, found in stack.tasks(dag, run).items():
            shown.append(str(found))
            if found["state"] == "success" and found["try_number"]:
                shown.append(stack.log(dag, run, task, found["try_number"]))
    text = "\n".join(shown)
    assert "Spark-Submit cmd" in text
    assert stack.secrets_in(text) == []


def test_status_names_the_pages_and_no_secret(stack):
    printed = stack.run("status")
    assert [line.split()[1] for line in printed.splitlines() if " pid " in line].count("healthy") >= 8
    assert "Airflow  http://127.0.0.1:" in printed
    assert stack.secrets_in(printed) == []
