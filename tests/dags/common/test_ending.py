"""Exit codes as Airflow's outcomes: what is retried, what needs a person, what is a success with a notice."""

from __future__ import annotations

import logging

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from dags.common.ending import ending_of, settle

ROW = {
    "run_id": "a1",
    "job": "finance.silver_trades",
    "table_name": "silver.trades",
    "outcome": "audit failed",
    "exit_code": 3,
    "message": "audit failed in silver.trades: price_is_positive;\n the rows are on branch audit_a1",
    "rows_out": 10,
    "rows_rejected": 0,
    "snapshot_id": 7,
    "run_by": "ada for x",
}


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


def test_settle_succeeds_with_a_notice_where_files_are_quarantined(caplog):
    with caplog.at_level(logging.WARNING, "dags.common.ending"):
        settle(ending_of(5, "published 2024-08-08; 1 file quarantined"))
    assert caplog.messages == ["published, some files are quarantined: published 2024-08-08; 1 file quarantined"]


def test_settle_succeeds_without_a_warning_where_all_is_done(caplog):
    with caplog.at_level(logging.WARNING, "dags.common.ending"):
        settle(ending_of(0, "done already: 2024-08-08"))
    assert caplog.messages == []


def test_ending_of_takes_the_recorded_run_before_the_exit_code_of_its_wrapper():
    ending = ending_of(1, "Cannot execute", ROW)
    message = "audit failed in silver.trades: price_is_positive; the rows are on branch audit_a1"
    assert (ending.exit_code, ending.message) == (3, message)
    assert ending.facts == {name: value for name, value in ROW.items() if name != "run_by"}


def test_ending_of_a_process_without_words_says_so():
    assert ending_of(1).message == "it left no message; the lines above may tell more"
