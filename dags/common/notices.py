"""Notices of failures, of what was set aside and of late runs, by mail and Slack; silence without a connection.

    AIRFLOW_CONN_LAKEHOUSE_SMTP    a mail server; its extra names `from_email` and `to`
    AIRFLOW_CONN_LAKEHOUSE_SLACK   a Slack webhook; its password is the webhook's token

A notice that cannot be sent is a line in the task's log and changes nothing about the task.
"""

from __future__ import annotations

import html
import logging
import shlex
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseHook
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference
from airflow.sdk.exceptions import AirflowNotFoundException
from asgiref.sync import sync_to_async

from dags.common.ending import one_line
from dags.common.schedules import first_day, last_day_exclusive
from lakehouse.config.settings import settings

logger = logging.getLogger(__name__)

SMTP_CONNECTION = "lakehouse_smtp"
SLACK_CONNECTION = "lakehouse_slack"


def notify_failure(context: Any) -> None:
    """Tell that a task has failed for good: which, for which days, why, and how to run it by hand."""
    task, dag_run = context["task"], context["dag_run"]
    reason = one_line(str(context.get("exception") or "no reason was given"))
    days = f"[{first_day(dag_run, context['params'])}, {last_day_exclusive(dag_run, context['params'])})"
    subject = f"{dag_run.dag_id}.{task.task_id} failed"
    send(subject, f"{subject} for {days} in {dag_run.run_id}: {reason}\nBy hand: {by_hand(task)}", context)


def notify_set_aside(context: Any, lines: Sequence[str]) -> None:
    """Report what a task that went well has set aside: files that it could not read, parts that failed their audit."""
    if lines:
        dag_run = context["dag_run"]
        subject = f"{dag_run.dag_id}.{context['task'].task_id} set something aside"
        send(subject, "\n".join((f"{subject} in {dag_run.run_id}; all else is published", *lines)), context)


def by_hand(task: Any) -> str:
    """Return the command line that does the same as a task."""
    if getattr(task, "application", None):
        return shlex.join(["spark-submit", task.application, *map(str, task.application_args or [])])
    if hasattr(task, "command"):
        return shlex.join(["python", *task.command()[1:]])
    return f"clear the task {task.task_id} in Airflow"


async def notify_deadline(dag_id: str, minutes: int, **details: Any) -> None:
    """Tell that a run was not over in time; `details` are Airflow's.

    The triggerer awaits it: a callback that the scheduler's executor runs may not read connections (Airflow 3.3).
    """
    run = (details.get("context") or {}).get("dag_run") or {}
    run_id = run.get("dag_run_id", run.get("run_id", "")) if isinstance(run, dict) else run.run_id
    subject = f"{dag_id} is late"
    text = f"{subject}: run {run_id or '(not named)'} was not over {minutes} minutes after it was queued"
    text += "\nBy hand: lakehouse status, then the run's page in Airflow"
    await sync_to_async(send)(subject, text, details.get("context") or {})


def deadline(dag_id: str) -> DeadlineAlert:
    """Return the alert of a Dag whose run takes longer than LAKEHOUSE_DEADLINE_MINUTES."""
    minutes = settings().deadline_minutes
    callback = AsyncCallback(notify_deadline, kwargs={"dag_id": dag_id, "minutes": minutes})
    return DeadlineAlert(DeadlineReference.DAGRUN_QUEUED_AT, timedelta(minutes=minutes), callback)


def send(subject: str, text: str, context: Any) -> None:
    """Send a notice through every channel that has a connection."""
    for connection_id, channel in ((SMTP_CONNECTION, send_mail), (SLACK_CONNECTION, send_slack)):
        try:
            connection = BaseHook.get_connection(connection_id)
        except AirflowNotFoundException:
            continue
        try:
            channel(connection, subject, text, context)
        except Exception as error:  # whatever a mail server does must not change the task
            logger.warning("the notice by %s was not sent: %s: %s", connection_id, type(error).__name__, error)


def send_mail(connection: Any, subject: str, text: str, context: Any) -> None:
    """Send a mail; the text is data, not a template."""
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    extra = connection.extra_dejson
    mail = SmtpNotifier(
        to=extra["to"],
        from_email=extra["from_email"],
        subject=subject,
        html_content=f"<pre>{html.escape(text)}</pre>",
        smtp_conn_id=SMTP_CONNECTION,
    )
    mail.notify(context)


def send_slack(connection: Any, subject: str, text: str, context: Any) -> None:
    """Send a message to a Slack webhook; the text is data, not a template."""
    from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

    SlackWebhookNotifier(slack_webhook_conn_id=SLACK_CONNECTION, text=text, timeout=30).notify(context)
