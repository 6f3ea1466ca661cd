"""The command line of the jobs as a real process: an exit code, one line, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from pyspark import SparkConf

from lakehouse.tables.finance import BRONZE_TRADES
from spark_jobs.engine.run import run_by
from spark_jobs.layers.command_line import EXIT_CODES

JOB = Path(__file__).parents[3] / "spark_jobs" / "finance" / "bronze_trades.py"


def run_job(home, *arguments, **variables):
    """Run the bronze job by hand; returns exit code, output and errors as lines, the log's left out."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LAKEHOUSE_", "PYSPARK_"))}
    environment |= {"LAKEHOUSE_HOME": str(home), "LAKEHOUSE_SPARK_MASTER": "local[1]", "LAKEHOUSE_DRIVER_MEMORY": "1g"}
    done = subprocess.run(
        [sys.executable, JOB, *arguments],
        env=environment | variables,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


@pytest.mark.parametrize(
    ("arguments", "variables", "line"),
    [
        pytest.param(
            ["--from", "2024-08-08"],
            {},
            "error: give both --from and --to, or neither for every day",
            id="half a range",
        ),
        pytest.param(
            ["--from", "2024-08-08", "--to", "2024-08-08"],
            {},
            "error: --from 2024-08-08 --to 2024-08-08 holds no day; --to is the day after the last one",
            id="a range without a day",
        ),
        pytest.param(
            ["--from", "8 August", "--to", "2024-08-09"],
            {},
            "error: expected a day like 2024-08-08, found '8 August'",
            id="no day",
        ),
        pytest.param(
            [],
            {"LAKEHOUSE_LANDNIG": "/landing"},
            "error: LAKEHOUSE_LANDNIG is not a setting; did you mean LAKEHOUSE_LANDING?",
            id="unknown variable",
        ),
        pytest.param(
            [],
            {"LAKEHOUSE_DRIVER_MEMORY": "much"},
            "error: LAKEHOUSE_DRIVER_MEMORY: String should match pattern '^[1-9][0-9]*[mg]$'",
            id="impossible value",
        ),
    ],
)
def test_bad_parameters_end_with_one_line_and_2(tmp_path, arguments, variables, line):
    assert run_job(tmp_path, *arguments, **variables) == (2, [], [line])


def test_unknown_argument_ends_with_2(tmp_path):
    code, output, errors = run_job(tmp_path, "--form", "2024-08-08")
    assert (code, output, errors[-1]) == (2, [], "bronze_trades.py: error: unrecognized arguments: --form 2024-08-08")


def test_help_names_every_exit_code_and_what_the_job_is(tmp_path):
    code, output, _ = run_job(tmp_path, "--help")
    text = " ".join(" ".join(output).split())
    assert code == 0
    assert EXIT_CODES in text
    assert "Bronze trades: every line of every accepted file of trades, as the file said it." in text
    for option in ("--from", "--to", "--landing", "--replace", "--strict", "--dry-run"):
        assert option in text


def error_lines(errors):
    return [line for line in errors if line.startswith("error: ")]


def test_crash_ends_with_one_line_and_1(tmp_path):
    (tmp_path / "landing").mkdir()
    (tmp_path / "warehouse").write_text("a file where a folder should be")
    code, output, errors = run_job(tmp_path)
    assert code in (1, 75), errors
    assert output == []
    assert len(error_lines(errors)) == 1, errors


def test_job_by_hand_publishes_and_says_so_in_one_line(lake, binance_zip):
    binance_zip(lake.landing, "BTCUSDT", date(2024, 8, 8), [(1, "100", "1", datetime(2024, 8, 8, 12))])
    range_ = ("--from", "2024-08-08", "--to", "2024-08-09", "--landing", f"{lake.landing}/")
    code, output, errors = run_job(lake.settings.home, *range_)
    assert (code, output) == (0, ["finance.bronze_trades: published 2024-08-08; 1 files read"]), errors
    assert lake.rows(BRONZE_TRADES).num_rows == 1
    damaged = lake.landing / "BTCUSDT-trades-2024-08-08.zip"
    damaged.write_bytes(b"not a zip")
    code, output, errors = run_job(lake.settings.home, "--landing", str(lake.landing), "--strict")
    assert (code, output) == (2, [])
    (line,) = error_lines(errors)
    assert line.startswith("error: finance.bronze_trades: BTCUSDT-trades-2024-08-08.zip: ")
    code, output, _ = run_job(lake.settings.home, "--landing", str(lake.landing))
    assert (code, len(output)) == (5, 1)
    assert output[0] == (
        "finance.bronze_trades: published 2024-08-08; 1 files read, 1 of them quarantined (reasons in bronze.files)"
    )


def test_run_by_names_the_login_and_the_caller_that_spark_was_given(monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    called = SparkConf(loadDefaults=False).set("spark.lakehouse.caller", "finance_tick.bronze_trades run try 2")
    for conf, step, expected in (
        (called, "", "ada for finance_tick.bronze_trades run try 2"),
        (called, "maintenance", "ada for finance_tick.bronze_trades run try 2, maintenance"),
        (SparkConf(loadDefaults=False), "", "ada"),
    ):
        spark = SimpleNamespace(sparkContext=SimpleNamespace(getConf=lambda conf=conf: conf))
        assert run_by(SimpleNamespace(spark=spark, step=step)) == expected
