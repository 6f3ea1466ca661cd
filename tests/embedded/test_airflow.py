"""Airflow for real: services started, Dags triggered through REST on real files, processes killed in the middle."""

from __future__ import annotations

import os
import re
import signal
import time
from datetime import date
from pathlib import Path

import psutil
import pytest

from lakehouse.lake.catalog import load, read_log
from lakehouse.lake.history import main_history, summary_of
from lakehouse.services import airflow, processes
from lakehouse.tables.energy import GOLD_LOAD_HOURLY
from lakehouse.tables.finance import BRONZE_TRADES, GOLD_BARS_1M, SILVER_TRADES
from lakehouse.tables.logs import RUNS
from lakehouse.tables.registry import MODEL_VERSIONS, PROMOTIONS
from lakehouse.tables.vision import gold_images

pytestmark = pytest.mark.timeout(3000)

FIRST, SECOND = date(2019, 10, 11), date(2019, 10, 12)
TABLE_TASKS = ("plan", "bronze", "silver", "gold", "report")


def rows(orchestra, table) -> int:
    return load(orchestra.settings, table).scan().to_arrow().num_rows


def publishes(orchestra, table, day: date) -> int:
    """How many snapshots of `main` replaced a day."""
    summaries = (summary_of(snapshot) for snapshot in main_history(load(orchestra.settings, table)))
    return sum(str(day) in summary.get("lakehouse.day-keys", "") for summary in summaries)


@pytest.fixture(scope="module")
def triggered(orchestra) -> dict[str, str]:
    """A run of each domain's Dag, begun at the same time; returns their ids."""
    return {
        "finance_tick": orchestra.trigger("finance_tick", first_day=str(FIRST), last_day_exclusive=str(SECOND)),
        "energy_forecast": orchestra.trigger(
            "energy_forecast", first_day="2006-12-16", last_day_exclusive="2006-12-20"
        ),
        "vision_classifier": orchestra.trigger("vision_classifier", datasets=["digits"]),
    }


@pytest.fixture(scope="module")
def first_day(orchestra, triggered) -> str:
    """The run of finance_tick over a real day."""
    run = triggered["finance_tick"]
    assert orchestra.wait("finance_tick", run) == "success", orchestra.states("finance_tick", run)
    return run


def test_up_keeps_every_service_on_loopback_and_its_password_private(orchestra):
    listening = [
        connection.laddr.ip
        for running in processes.read_state(orchestra.settings).values()
        for process in processes.family(orchestra.settings, running.name)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert set(listening) <= {"127.0.0.1", "::ffff:127.0.0.1"}
    assert len(listening) >= 3
    assert airflow.password_file(orchestra.settings).stat().st_mode & 0o077 == 0
    printed = orchestra.lakehouse("status")
    assert printed.returncode == 0
    assert [line.split()[0] for line in printed.stdout.splitlines()[-4:]] == ["Airflow", "MLflow", "reports", "logs"]
    assert airflow.read_password(orchestra.settings) not in printed.stdout


def test_pools_are_there(orchestra):
    pools = {pool["name"]: pool["slots"] for pool in orchestra.ask("pools")["pools"]}
    assert pools == {"default_pool": 8, "high_priority_cpu": 4, "gpu_pool": 2}


def test_no_dag_is_missing_or_broken(orchestra):
    assert orchestra.ask("importErrors")["import_errors"] == []


def test_finance_tick_publishes_real_ticks_as_by_hand(orchestra, first_day):
    states = orchestra.states("finance_tick", first_day)
    assert {name: states[name] for name in TABLE_TASKS} == dict.fromkeys(TABLE_TASKS, "success")
    # 5,929 lines of the exchange's file; every one is in bronze and silver
    assert rows(orchestra, BRONZE_TRADES) == 5929
    assert rows(orchestra, SILVER_TRADES) == 5929
    assert rows(orchestra, GOLD_BARS_1M) == 1440
    (run,) = [row for row in read_log(orchestra.settings, RUNS).to_pylist() if row["job"] == "finance.silver_trades"]
    assert run["run_by"].endswith(f" for finance_tick.silver {first_day} try 1, job 2 of 2")
    (handed_on,) = [
        each for each in orchestra.result("finance_tick", first_day, "silver")["runs"] if each["job"] == run["job"]
    ]
    assert (handed_on["outcome"], handed_on["snapshot_id"]) == ("published", run["snapshot_id"])
    log = orchestra.log("finance_tick", first_day, "silver")
    assert "finance.silver_trades: begins (job 2 of 2)" in log
    assert "finance.silver_trades: published 2019-10-11" in log
    command = re.search(r"Spark-Submit cmd: [^\"]*", log)
    assert command is not None
    assert command.group().endswith("finance/pipeline.py --layer silver --from 2019-10-11 --to 2019-10-12")
    assert Path(orchestra.settings.reports / "index.html").is_file()


def test_a_published_table_is_an_asset_event_with_its_snapshot(orchestra, first_day):
    events = orchestra.ask("assets/events", limit=100)["asset_events"]
    found = {event["name"]: event["extra"] for event in events if event["source_run_id"] == first_day}
    assert (
        found["silver.trades"]["snapshot_id"] == load(orchestra.settings, SILVER_TRADES).current_snapshot().snapshot_id
    )
    assert "silver.quotes" not in found  # it had nothing to publish


def test_one_table_is_made_again_by_its_name_and_an_unknown_name_is_refused(orchestra, first_day):
    days = {"first_day": str(FIRST), "last_day_exclusive": str(SECOND)}
    run = orchestra.trigger("finance_tick", jobs=["silver.trades"], **days)
    assert orchestra.wait("finance_tick", run) == "success", orchestra.states("finance_tick", run)
    # done already: the plan finds nothing, and no Spark starts
    assert orchestra.result("finance_tick", run, "plan")["layers"] == []
    assert orchestra.result("finance_tick", run, "silver")["message"] == "nothing is due in silver, as plan found"
    run = orchestra.trigger("finance_tick", jobs=["silver.trade"], **days)
    assert orchestra.wait("finance_tick", run) == "failed"
    assert orchestra.tasks("finance_tick", run)["plan"]["try_number"] == 1  # bad input is not retried
    assert "did you mean silver.trades?" in orchestra.log("finance_tick", run, "plan")


def test_grid_page_shows_the_run_in_a_browser(orchestra, first_day, browser, tmp_path):
    token = orchestra.session.headers["Authorization"].removeprefix("Bearer ")
    browser.call("Network.setCookie", name="_token", value=token, url=orchestra.address)
    browser.call("Page.navigate", url=f"{orchestra.address}/dags/finance_tick/runs/{first_day}")
    deadline = time.monotonic() + 180
    while not ("silver" in (text := browser.text()) and "Success" in text):
        assert time.monotonic() < deadline, text
        time.sleep(1)
    browser.screenshot(tmp_path / "grid.png")
    assert (tmp_path / "grid.png").stat().st_size > 20_000
    assert "gold" in text


def test_energy_forecast_publishes_real_readings_and_skips_what_is_not_due(orchestra, triggered):
    run = triggered["energy_forecast"]
    assert orchestra.wait("energy_forecast", run) == "success", orchestra.states("energy_forecast", run)
    states = orchestra.states("energy_forecast", run)
    assert {name: states[name] for name in TABLE_TASKS} == dict.fromkeys(TABLE_TASKS, "success")
    assert states["household_power_lgbm.due"] == "skipped"
    assert states["household_power_lgbm.train"] == "skipped"
    assert states["forecast_household_power_lgbm"] == "skipped"
    assert "no champion yet" in orchestra.log("energy_forecast", run, "forecast_household_power_lgbm")
    assert rows(orchestra, GOLD_LOAD_HOURLY) == 4 * 24


def test_vision_classifier_trains_and_registers_and_skips_the_sets_not_asked_for(orchestra, triggered):
    run = triggered["vision_classifier"]
    assert orchestra.wait("vision_classifier", run) == "success", orchestra.states("vision_classifier", run)
    states = orchestra.states("vision_classifier", run)
    of_digits = {name: state for name, state in states.items() if name.startswith("digits.")}
    assert set(of_digits.values()) == {"success"}
    assert {name: states[name] for name in TABLE_TASKS} == dict.fromkeys(TABLE_TASKS, "success")
    others = {name: state for name, state in states.items() if name not in {*of_digits, *TABLE_TASKS}}
    assert set(others.values()) == {"skipped"}
    assert rows(orchestra, gold_images("digits")) == 1797
    prepared = orchestra.result("vision_classifier", run, "digits.digits_cnn.prepare")
    (version,) = read_log(orchestra.settings, MODEL_VERSIONS).to_pylist()
    assert (version["model_name"], version["version"], version["mlflow_run_id"]) == (
        "digits_cnn",
        1,
        prepared["mlflow_run_id"],
    )
    (promotion,) = read_log(orchestra.settings, PROMOTIONS).to_pylist()
    assert (promotion["model_name"], promotion["version"], promotion["is_applied"]) == ("digits_cnn", 1, True)


def test_train_model_fails_at_once_where_there_is_too_little_data(orchestra):
    run = orchestra.trigger("train_model", model="household_power_lgbm", overrides=["num_leaves=7"])
    assert orchestra.wait("train_model", run) == "failed"
    prepare = orchestra.tasks("train_model", run)["prepare"]
    assert (prepare["state"], prepare["try_number"]) == ("failed", 1)  # bad input is not retried
    assert "exit code 2, not retried: gold.load_hourly has" in orchestra.log("train_model", run, "prepare")
    assert "--set=num_leaves=7" in orchestra.log("train_model", run, "prepare")


def test_notices_tell_what_failed_and_what_is_late(orchestra, first_day):
    """The run that failed in the test before this one, and the first one, which took longer than the minute allowed."""
    late = f"finance_tick is late: run {first_day} was not over 1 minutes after it was queued"
    assert await_notice(orchestra, late).splitlines()[1].startswith("By hand: lakehouse status")
    failed = await_notice(orchestra, "train_model.prepare failed for ")
    assert "exit code 2, not retried: gold.load_hourly has" in failed
    assert "By hand: python -m lakehouse train household_power_lgbm --step prepare" in failed


def await_notice(orchestra, beginning: str) -> str:
    """Wait until a notice came that begins so, and return it."""
    deadline = time.monotonic() + 120
    while True:
        texts = [message["text"] for _, message in orchestra.notices]
        for text in texts:
            if text.startswith(beginning):
                return text
        assert time.monotonic() < deadline, texts
        time.sleep(1)


def test_a_killed_task_and_a_killed_scheduler_end_well_with_one_publish(orchestra, first_day):
    third = date(2019, 10, 13)
    run = orchestra.trigger("finance_tick", first_day=str(SECOND), last_day_exclusive=str(third))
    orchestra.wait_until("finance_tick", run, lambda states: states["bronze"] == "running")
    kill_job(orchestra, "finance/pipeline.py")
    orchestra.wait_until("finance_tick", run, lambda states: states["silver"] == "running")
    assert orchestra.tasks("finance_tick", run)["bronze"]["try_number"] == 2
    os.kill(processes.read_state(orchestra.settings)["scheduler"].pid, signal.SIGKILL)
    assert "scheduler      not running" in orchestra.lakehouse("status").stdout
    orchestra.up()
    assert orchestra.wait("finance_tick", run) == "success", orchestra.states("finance_tick", run)
    for table in (BRONZE_TRADES, SILVER_TRADES, GOLD_BARS_1M):
        assert publishes(orchestra, table, SECOND) == 1
    assert rows(orchestra, SILVER_TRADES) == 5929 + 4134


def kill_job(orchestra, script: str) -> None:
    """Kill the driver of a job without warning, once it runs."""
    deadline = time.monotonic() + 300
    while True:
        for process in processes.family(orchestra.settings, "scheduler"):
            if any(part.endswith(script) for part in process.cmdline()) and "java" not in process.name():
                process.kill()
                return
        assert time.monotonic() < deadline, f"{script} never ran"
        time.sleep(0.1)


def test_the_secret_is_in_no_log_no_rendered_field_no_xcom_and_no_command_line(orchestra, first_day):
    for process in processes.family(orchestra.settings, "scheduler"):
        assert orchestra.canary not in " ".join(process.cmdline())
    leaks = [
        path for path in orchestra.settings.logs.rglob("*") if path.is_file() and orchestra.canary in path.read_text()
    ]
    assert leaks == []
    database = (orchestra.settings.airflow_home / "airflow.db").read_bytes()
    log_of_database = orchestra.settings.airflow_home / "airflow.db-wal"
    if log_of_database.is_file():
        database += log_of_database.read_bytes()
    assert orchestra.canary.encode() not in database  # rendered fields and XCom are kept there
