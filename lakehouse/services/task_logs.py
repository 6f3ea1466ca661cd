"""Logs of Airflow's tasks in the store, by an identity that can do nothing else: they outlive the files of a machine.

Reads and writes  LAKEHOUSE_TASK_LOGS   s3://bucket/prefix; below it the paths of <home>/logs/tasks

No Airflow is imported: its side is dags/common/stored_logs.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from lakehouse.config.settings import Settings
from lakehouse.errors import UnavailableError

TIMEOUT_S = 10
ATTEMPTS = 3
MOST_DELETED = 1000
"""In one request of S3."""


@dataclass(frozen=True)
class TaskLogs:
    """The objects below one prefix; names are relative to it."""

    client: Any
    bucket: str
    prefix: str

    def put(self, name: str, content: bytes) -> None:
        """Write an object over what is there."""
        self.client.put_object(Bucket=self.bucket, Key=self.prefix + name, Body=content)

    def read(self, start: str) -> Iterator[tuple[str, str]]:
        """Yield address and text of the objects whose names begin so, in the order of their names."""
        for found in self._list(start):
            body = self.client.get_object(Bucket=self.bucket, Key=found["Key"])["Body"].read()
            yield f"s3://{self.bucket}/{found['Key']}", body.decode(errors="backslashreplace")

    def remove_older(self, max_age_days: int) -> int:
        """Remove objects that were last written before then; return how many."""
        oldest = datetime.now(UTC) - timedelta(days=max_age_days)
        old = [{"Key": found["Key"]} for found in self._list() if found["LastModified"] < oldest]
        for first in range(0, len(old), MOST_DELETED):
            self._remove(old[first : first + MOST_DELETED])
        return len(old)

    def _remove(self, some: Sequence[dict[str, str]]) -> None:
        answer = self.client.delete_objects(Bucket=self.bucket, Delete={"Objects": some, "Quiet": True})
        for failed in answer.get("Errors", ()):
            raise UnavailableError(f"s3://{self.bucket}/{failed['Key']} was not removed: {failed['Message']}")

    def _list(self, start: str = "") -> Iterator[Any]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix + start)
        return (found for page in pages for found in page.get("Contents", ()))


def open_task_logs(settings: Settings) -> TaskLogs | None:
    """Open the logs in the store; None where they are kept on this machine alone."""
    if not settings.task_logs:
        return None
    import boto3
    from botocore.config import Config

    place = urlsplit(settings.task_logs)
    key, secret = keys(settings)
    prefix = place.path.strip("/")
    client = boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint or None,
        region_name=settings.s3_region,
        aws_access_key_id=key or None,
        aws_secret_access_key=secret or None,
        config=Config(
            s3={"addressing_style": "path" if settings.s3_endpoint else "auto"},
            connect_timeout=TIMEOUT_S,
            read_timeout=TIMEOUT_S,
            retries={"max_attempts": ATTEMPTS},
        ),
    )
    return TaskLogs(client, place.netloc, f"{prefix}/" if prefix else "")


def keys(settings: Settings) -> tuple[str, str]:
    """Return the keys of the logs, else those of the tables; empty ones leave the choice to AWS's own chain."""
    key, secret = settings.task_logs_access_key_id, settings.task_logs_secret_access_key
    if not key:
        key, secret = settings.s3_access_key_id, settings.s3_secret_access_key
    return key, secret.get_secret_value()
