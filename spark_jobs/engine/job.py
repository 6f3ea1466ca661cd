"""What a job is and what a run of it is asked, plans and comes to: the words that jobs and the runner share."""

from __future__ import annotations

import hashlib
import inspect
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

from pyspark.sql import SparkSession

from lakehouse.config.settings import Settings
from lakehouse.errors import ExitCode
from lakehouse.slices import Unit
from lakehouse.tables import Table
from spark_jobs.engine.publish import Attempt, Published, Write


@dataclass(frozen=True)
class Request:
    """What the caller asked for. `days` None means all that the landing folder or the upstream table has.

    `days` are names for jobs of image sets, and so are those of a plan.
    """

    spark: SparkSession
    settings: Settings
    days: tuple[Unit, ...] | None
    landing: str
    is_replacing: bool = False
    is_strict: bool = False
    is_dry_run: bool = False
    run_id: str = field(default_factory=lambda: secrets.token_hex(8))
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True)
class Plan:
    """What a run would do. `inputs` tells, for each day, what its rows are made from, as texts that change with it.

    `later` are the inputs of published days that nobody asked for: they are replaced, too, where they are outdated, and
    a carried state may reach them. `lines` are for a person; `state` is handed to `build`.
    """

    inputs: Mapping[Unit, Sequence[str]]
    lines: tuple[str, ...] = ()
    state: Any = None
    later: Mapping[Unit, Sequence[str]] = field(default_factory=dict)

    @property
    def days(self) -> tuple[Unit, ...]:
        """The days that the run replaces, ascending."""
        return tuple(sorted(self.inputs, key=str))


@dataclass(frozen=True)
class Summary:
    """A published run in numbers, None where a job has no such rows, and whether it ended with more than success."""

    rows_in: int | None = None
    rows_out: int | None = None
    rows_rejected: int | None = None
    rows_duplicate: int | None = None
    exit_code: ExitCode = ExitCode.DONE
    note: str = ""


def count_rows_out(request: Request, plan: Plan, published: Sequence[Published]) -> Summary:
    """Summarize a job that writes one table and rejects nothing."""
    return Summary(rows_out=sum(item.rows_added for item in published))


@dataclass(frozen=True)
class Job:
    """A job of one domain: `table` is what it is named after, `tables` all that it writes, in the order of publishing.

    `code` is what its rows depend on: a change there makes every day due again.
    """

    name: str
    table: Table
    tables: tuple[Table, ...]
    reads: tuple[Table, ...]
    code: tuple[ModuleType, ...]
    plan: Callable[[Request], Plan]
    build: Callable[[Request, Plan, Attempt], Sequence[Write]]
    summarize: Callable[[Request, Plan, Sequence[Published]], Summary] = count_rows_out
    code_digest: str = field(init=False)
    """Hash of the code as it was when the job was loaded: files may be changed while it runs."""

    def __post_init__(self) -> None:
        sources = "\0".join(inspect.getsource(module) for module in self.code)
        object.__setattr__(self, "code_digest", hashlib.sha256(sources.encode()).hexdigest())


@dataclass(frozen=True)
class Outcome:
    """How a run ended; `days` are those that were published now, not those that were done already."""

    job: Job
    outcome: str
    exit_code: ExitCode
    message: str
    days: tuple[Unit, ...] = ()
    summary: Summary = field(default_factory=Summary)
    run_key: str = ""
