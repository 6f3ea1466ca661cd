"""Exit codes as Airflow's outcomes: what is retried, what needs a person, what is a success with a notice."""

from __future__ import annotations

import logging

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from dags.common.ending import ending_of, settle


def run(job: str, code: int, message: str, step: str = "") -> dict:
    return {
        "run_id": job,
        "job": job,
        "table_name": job,
        "outcome": "published",
        "exit_code": code,
        "message": message,
        "rows_out": 10,
        "rows_rejected": 0,
        "snapshot_id": 7,
        "run_by": f"ada for finance_tick.silver manual__1 try 1{step and f', job {step}'}",
    }


HELD = """published 2024-08-08; held back a part, which keeps its rows from before:
  IBM.USA of 2024-08-08 (silver.trades: few_outliers), from ticks/ibm.zip"""


@pytest.mark.parametrize("code", [2, 3])
def test_settle_fails_for_good_where_a_person_is_needed(code):
    with pytest.raises(AirflowFailException, match=f"^exit code {code}, not retried: the file has no header$"):
        settle(ending_of(code, "error: the file has no header"))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        pytest.param(1, "exit code 1: it broke", id="crash"),
        pytest.param(4, "exit code 4: it broke", id="conflict"),
        pytest.param(75, "exit code 75: it broke", id="service away"),
        pytest.param(-9, "exit code -9: ended by signal 9: it broke", id="killed"),
        pytest.param(137, "exit code 137: ended by signal 9: it broke", id="killed in a shell"),
    ],
)
def test_settle_fails_so_that_it_is_retried(code, words):
    with pytest.raises(AirflowException) as raised:
        settle(ending_of(code, "it broke"))
    assert not isinstance(raised.value, AirflowFailException)
    assert str(raised.value) == words


def test_settle_succeeds_with_a_warning_that_names_parts_and_files(caplog):
    with caplog.at_level(logging.WARNING, "dags.common.ending"):
        settle(ending_of(5, "", [run("silver.quotes", 0, "done already"), run("silver.trades", 5, HELD)]))
    (line,) = caplog.messages
    assert line.startswith("published, with files quarantined or parts held back: silver.quotes: done already; ")
    assert line.endswith("IBM.USA of 2024-08-08 (silver.trades: few_outliers), from ticks/ibm.zip")


def test_settle_succeeds_without_a_warning_where_all_is_done(caplog):
    with caplog.at_level(logging.WARNING, "dags.common.ending"):
        settle(ending_of(0, "done already: 2024-08-08"))
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("code", "runs", "expected"),
    [
        pytest.param(
            1,
            [run("a", 0, "published", "1 of 2"), run("b", 3, "error: price\n below 0", "2 of 2")],
            (3, "b: price below 0"),
            id="the job that failed, whatever its wrapper says",
        ),
        pytest.param(
            1,
            [run("a", 3, "audit failed", "1 of 3"), run("b", 75, "catalog away", "2 of 3")],
            (75, "a: audit failed; b: catalog away"),
            id="every failure is named, what may be retried decides",
        ),
        pytest.param(1, [run("a", 5, "held back", "1 of 1")], (5, "a: held back"), id="a cluster that loses the code"),
        pytest.param(
            -9,
            [run("a", 0, "published", "1 of 2")],
            (-9, "ended by signal 9: last words (after a)"),
            id="killed between two jobs",
        ),
        pytest.param(0, [run("a", 0, "published", "1 of 2")], (0, "a: published"), id="ended well"),
        pytest.param(1, [run("a", 2, "a file is cut")], (2, "a: a file is cut"), id="a job without a chain"),
        pytest.param(2, [], (2, "last words"), id="refused before any run"),
    ],
)
def test_ending_of_recorded_runs(code, runs, expected):
    ending = ending_of(code, "error: last words" if code == 2 else "last words", runs)
    assert (ending.exit_code, ending.message) == expected
    assert ending.runs == tuple({name: value for name, value in row.items() if name != "run_by"} for row in runs)


def test_set_aside_is_what_quarantined_and_held_back_runs_say():
    ending = ending_of(5, "", [run("silver.quotes", 0, "published"), run("silver.trades", 5, HELD)])
    assert ending.set_aside == (f"silver.trades: {HELD}",)


def test_ending_of_a_process_without_words_says_so():
    assert ending_of(1).message == "it left no message; the lines above may tell more"
