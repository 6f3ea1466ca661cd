"""What a job is and what a run of it is asked, plans and comes to: the words that jobs and the runner share."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pyiceberg.table import Table as IcebergTable
from pyspark.sql import SparkSession

from lakehouse.config.settings import Settings
from lakehouse.errors import ExitCode
from lakehouse.slices import Slice, in_order
from lakehouse.tables import Table
from spark_jobs.engine.audits import HeldPart
from spark_jobs.engine.code_digest import digest_of
from spark_jobs.engine.publish import Attempt, Published, Write


@dataclass(frozen=True)
class Request:
    """What the caller asked for. `slices` None means all that the landing folder or the upstream table has."""

    spark: SparkSession
    settings: Settings
    slices: tuple[Slice, ...] | None
    landing: str
    is_replacing: bool = False
    is_strict: bool = False
    is_dry_run: bool = False
    step: str = ""
    """Which job of a chain this is, such as `job 2 of 5`; empty for one that runs alone."""
    tables: Mapping[str, IcebergTable] = field(default_factory=dict)
    """The tables that the job writes, by name, as they were loaded before the plan was made."""
    run_id: str = field(default_factory=lambda: secrets.token_hex(8))
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True)
class Plan:
    """What a run would do. `inputs` holds, for each slice, texts that change with what its rows are made from.

    `later` are the inputs of published days that nobody asked for: they are replaced, too, if they are outdated, and
    a carried state may reach them. `lines` are for a person; `state` is handed to `build`.
    """

    inputs: Mapping[Slice, Sequence[str]]
    lines: tuple[str, ...] = ()
    state: Any = None
    later: Mapping[Slice, Sequence[str]] = field(default_factory=dict)

    @property
    def slices(self) -> tuple[Slice, ...]:
        """The slices that the run replaces, in order."""
        return in_order(self.inputs)


@dataclass(frozen=True)
class Summary:
    """A published run in numbers, None if a job has no such rows, and whether it ended with more than success."""

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
class TableJob:
    """A job of one domain: `table` is what it is named after, `tables` all that it writes, in the order of publishing.

    `made_by` are the functions or modules that make its rows: a change in what they do makes every slice due again.
    """

    name: str
    table: Table
    tables: tuple[Table, ...]
    reads: tuple[Table, ...]
    made_by: tuple[Any, ...]
    plan: Callable[[Request], Plan]
    build: Callable[[Request, Plan, Attempt], Sequence[Write]]
    summarize: Callable[[Request, Plan, Sequence[Published]], Summary] = count_rows_out
    code_digest: str = field(init=False)
    """Digest of the code as it was when the job was loaded: files may be changed while it runs."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "code_digest", digest_of(*self.made_by))

    @property
    def domain(self) -> str:
        """The domain, which is the first part of the name."""
        return self.name.partition(".")[0]


@dataclass(frozen=True)
class Outcome:
    """How a run ended; `slices` are those that were published now, not those that were done already."""

    job: TableJob
    outcome: str
    exit_code: ExitCode
    message: str
    slices: tuple[Slice, ...] = ()
    summary: Summary = field(default_factory=Summary)
    run_key: str = ""
    held: tuple[HeldPart, ...] = ()
    """Parts that failed their audit and keep the rows from before."""
    snapshot_id: int | None = None
    """Where `main` of the job's table is; None if nothing was ever published, or if the run failed."""
