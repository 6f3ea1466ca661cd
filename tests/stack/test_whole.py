"""The stack as a whole, after its work: what its pages show, what it takes of memory, and where its secrets are not."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import requests

from lakehouse.generated import stack_folder
from lakehouse.services import postgres, processes

MEMORY_LIMIT = 12 * 1024**3


def wait_for_text(browser, *wanted):
    """Wait until a page shows some words."""
    deadline = time.monotonic() + 300
    while any(word not in (text := browser.text()) for word in wanted):
        assert time.monotonic() < deadline, text
        time.sleep(1)


def test_airflow_shows_the_run_of_each_domain(stack, through_airflow, browser):
    token = stack.session.headers["Authorization"].removeprefix("Bearer ")
    browser.call("Network.setCookie", name="_token", value=token, url=stack.address)
    for dag, task in (("finance_tick", "silver_trades"), ("energy_forecast", "gold_load_hourly")):
        browser.call("Page.navigate", url=f"{stack.address}/dags/{dag}/runs/{through_airflow[0][dag]}")
        wait_for_text(browser, task, "Success")


def test_mlflow_shows_the_trained_model_to_who_logs_in(stack, trained, browser):
    tracking = stack.settings.mlflow_tracking_uri
    login = requests.auth._basic_auth_str("admin", stack.secrets["mlflow_login"])
    browser.call("Network.enable")
    browser.call("Network.setExtraHTTPHeaders", headers={"Authorization": login})
    browser.call("Page.navigate", url=f"{tracking}/#/models")
    wait_for_text(browser, "generated_household_lgbm")


def test_quality_report_opens_from_its_server(stack, through_airflow, browser):
    stack.run("report")
    port = processes.read_state(stack.settings)["reports"].port
    browser.call("Page.navigate", url=f"http://127.0.0.1:{port}/index.html")
    wait_for_text(browser, "silver.trades", "gold.load_hourly")


def test_memory_of_the_whole_stays_below_its_limit(stack, through_airflow, trained, capsys):
    shares = {}
    for name in processes.read_state(stack.settings):
        shares[name] = 0
        members = set(processes.family(stack.settings, name))
        for process in [*members]:
            with suppress(psutil.Error):  # PostgreSQL's are sessions of their own
                members |= set(process.children(recursive=True))
        for process in members:
            with suppress(psutil.Error):
                shares[name] += process.memory_full_info().pss
    total = sum(shares.values())
    with capsys.disabled():
        text = ", ".join(f"{name} {share / 1024**2:.0f}" for name, share in shares.items())
        print(f"\nmemory of the stack, proportional shares in MiB: {text}; together {total / 1024**2:.0f}")  # noqa: T201
    assert 0 < total < MEMORY_LIMIT


def test_no_secret_is_in_a_log_or_on_a_command_line(stack, through_airflow, trained):
    secrets = {value.encode(): name for name, value in stack.secrets.items()}
    leaks = []
    for path in stack.settings.logs.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            leaks += [(path.name, name) for value, name in secrets.items() if value in content]
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            line = "\0".join(process.cmdline()).encode()
            leaks += [(process.name(), name) for value, name in secrets.items() if value in line]
    assert leaks == []


def test_no_secret_is_in_a_file_but_its_own_and_those_that_servers_need(stack, through_airflow, trained):
    """Also Airflow's history and MLflow's runs: they lie in PostgreSQL, and so does what its tasks handed on."""
    home, folder = stack.settings.home, stack_folder(stack.settings.home)
    needed = {folder / "mlflow" / "login.ini", folder / "s3-users" / "users.json"}
    secrets = {value.encode(): name for name, value in stack.secrets.items()}
    leaks = []
    for path in home.rglob("*"):
        is_own = (folder / "secrets") in path.parents or path in needed or path.name.startswith("users.json")
        if path.is_file() and not path.is_symlink() and not is_own:
            content = path.read_bytes()
            leaks += [(str(path.relative_to(home)), name) for value, name in secrets.items() if value in content]
    assert leaks == []


def test_no_secret_is_in_a_database(stack, through_airflow, trained):
    """By a dump of each, whose text holds every row; keys of the store stand in no table at all."""
    dump = str(postgres.postgres_programs() / "pg_dump")
    secrets = {value: name for name, value in stack.secrets.items()}
    for role, secret in postgres.DATABASES.items():
        variables = {"PGPASSWORD": stack.secrets[secret], "PATH": "/usr/bin:/bin"}
        command = [dump, "-h", "127.0.0.1", "-p", str(stack.settings.catalog_port), "-U", role, role]
        text = subprocess.run(command, env=variables, check=True, capture_output=True, text=True).stdout
        assert len(text) > 1000
        assert [name for value, name in secrets.items() if value in text] == []
    with psycopg.connect(
        host="127.0.0.1",
        port=stack.settings.catalog_port,
        user="postgres",
        password=stack.secrets["postgres_admin"],
        dbname="postgres",
    ) as admin:
        kept = [row[0] for row in admin.execute("SELECT rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL")]
    assert kept
    assert all(each.startswith("SCRAM-SHA-256$") for each in kept)


def test_rendered_fields_and_logs_in_airflow_show_no_secret(stack, through_airflow):
    """What a person sees who opens a task."""
    shown = []
    for dag, run in through_airflow[0].items():
        for task, found in stack.tasks(dag, run).items():
            shown.append(str(found))
            if found["state"] == "success" and found["try_number"]:
                shown.append(stack.log(dag, run, task, found["try_number"]))
    text = "\n".join(shown)
    assert "Spark-Submit cmd" in text
    assert [name for name, value in stack.secrets.items() if value in text] == []


def test_status_names_the_pages_and_no_secret(stack):
    printed = stack.run("status")
    assert [line.split()[1] for line in printed.splitlines() if " pid " in line].count("healthy") >= 8
    assert "Airflow  http://127.0.0.1:" in printed
    assert [name for name, value in stack.secrets.items() if value in printed] == []
    assert Path(stack.settings.logs).is_dir()
