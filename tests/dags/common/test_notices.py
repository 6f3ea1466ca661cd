"""Notices, sent to a mail server and a webhook that really listen."""

from __future__ import annotations

import asyncio
import email
import json
import socketserver
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.sdk import DAG

from dags.common.command import CommandOperator
from dags.common.notices import by_hand, notify_deadline, notify_failure, notify_set_aside
from dags.common.spark_job import SparkJobOperator

NOON = datetime(2024, 8, 9, 12, tzinfo=UTC)


class Mailbox(socketserver.StreamRequestHandler):
    """Just enough of SMTP to take one mail."""

    def handle(self) -> None:
        self.wfile.write(b"220 ready\r\n")
        while line := self.rfile.readline():
            command = line[:4].upper()
            if command == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                body = b""
                while (part := self.rfile.readline()) != b".\r\n":
                    body += part
                self.server.mails.append(email.message_from_bytes(body))
            if command == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            self.wfile.write(b"250 ok\r\n")


def serving(server) -> Iterator:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def mail_server(monkeypatch):
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mailbox)
    server.mails = []
    extra = {"from_email": "lakehouse@example.org", "to": "ada@example.org", "disable_ssl": True, "disable_tls": True}
    connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": server.server_address[1], "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_LAKEHOUSE_SMTP", json.dumps(connection))
    yield from serving(server)


def failed_task() -> dict:
    with DAG("finance_tick", schedule=None, start_date=NOON):
        days = ["--from", "2024-08-08", "--to", "2024-08-10"]
        task = SparkJobOperator(task_id="silver_trades", script="finance/silver_trades.py", arguments=days)
    dag_run = SimpleNamespace(dag_id="finance_tick", run_id="manual__1", data_interval_end=NOON, run_after=NOON)
    error = RuntimeError("exit code 3, not retried: audit failed in silver.trades: {{ price }} < 0")
    return {"task": task, "dag_run": dag_run, "params": {}, "exception": error}


def test_notify_failure_mails_task_days_reason_and_command(mail_server):
    notify_failure(failed_task())
    (mail,) = mail_server.mails
    assert (mail["Subject"], mail["To"], mail["From"]) == (
        "finance_tick.silver_trades failed",
        "ada@example.org",
        "lakehouse@example.org",
    )
    text = mail.get_payload()[0].get_payload(decode=True).decode()
    assert "finance_tick.silver_trades failed for [2024-08-08, 2024-08-10) in manual__1: exit code 3" in text
    assert "{{ price }} &lt; 0" in text  # neither rendered nor markup
    assert "silver_trades.py --from 2024-08-08 --to 2024-08-10</pre>" in text


def test_notify_failure_posts_the_same_to_slack(slack):
    notify_failure(failed_task())
    ((path, message),) = slack
    assert path == "/T0/B0/xyz"
    first, second = message["text"].splitlines()
    assert first.endswith("manual__1: exit code 3, not retried: audit failed in silver.trades: {{ price }} < 0")
    assert second.startswith("By hand: spark-submit ")


def test_notify_set_aside_names_the_parts_with_their_files(slack):
    context = failed_task()
    notify_set_aside(context, ())
    notify_set_aside(context, ("finance.silver_trades: held back a part:\n  IBM.USA of 2024-08-08, from ibm.zip",))
    ((_, message),) = slack
    assert message["text"].splitlines() == [
        "finance_tick.silver_trades set something aside in manual__1; all else is published",
        "finance.silver_trades: held back a part:",
        "  IBM.USA of 2024-08-08, from ibm.zip",
    ]


def test_notify_failure_is_silent_without_a_connection_and_survives_a_dead_server(monkeypatch, caplog):
    notify_failure(failed_task())
    assert caplog.messages == []
    connection = {"conn_type": "slackwebhook", "host": "http://127.0.0.1:9", "password": "T0/B0/xyz"}
    monkeypatch.setenv("AIRFLOW_CONN_LAKEHOUSE_SLACK", json.dumps(connection))
    notify_failure(failed_task())
    assert any("the notice by lakehouse_slack was not sent" in message for message in caplog.messages)
    assert "xyz" not in caplog.text


def test_notify_deadline_names_dag_and_minutes(slack):
    asyncio.run(notify_deadline("finance_tick", 360, context={"dag_run": {"dag_run_id": "scheduled__1"}}))
    ((_, message),) = slack
    assert message["text"].splitlines()[0] == (
        "finance_tick is late: run scheduled__1 was not over 360 minutes after it was queued"
    )


def test_by_hand_of_a_command_is_its_command_line():
    with DAG("d", schedule=None, start_date=NOON):
        task = CommandOperator(task_id="train", arguments=["train", "m", "--step", "train", ""])
    assert by_hand(task) == "python -m lakehouse train m --step train"
