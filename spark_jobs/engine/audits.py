"""The audit of what a run has staged: each table against its suite, and which parts failed.

If every critical rule that failed is about parts (one subject on one day, or one image set), the parts that broke it
are held back and the run goes on. A failed rule about a whole table ends the run.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from expectations import suite_for
from expectations.batch import open_batch
from expectations.report import AuditReport
from expectations.runner import audit
from lakehouse.errors import AuditFailedError
from lakehouse.lake.catalog import append_log
from lakehouse.lake.scans import PinnedTable
from lakehouse.slices import Slice
from lakehouse.tables.logs import CHECK_RESULTS
from spark_jobs.engine.stage import HeldBack

if TYPE_CHECKING:
    from spark_jobs.engine.publish import Attempt, Staged


@dataclass(frozen=True, order=True)
class HeldPart:
    """A part that failed its audit: one subject's rows of one slice, with the rules that it broke."""

    slice: Slice
    subject: str
    table_name: str
    rules: tuple[str, ...]

    def __str__(self) -> str:
        of_slice = f" of {self.slice}" if str(self.slice) != self.subject else ""
        return f"{self.subject}{of_slice} ({self.table_name}: {', '.join(self.rules)})"


def audit_all(
    attempt: Attempt, staged: Sequence[Staged], *, is_final: bool = False
) -> tuple[list[AuditReport], tuple[HeldPart, ...]]:
    """Audit every staged table; return the reports and the parts to hold back.

    Raises:
        AuditFailedError: a critical rule about a whole table failed, or after parts were held back, any critical rule.
    """
    reports = [audit_staged(attempt, item) for item in staged]
    failed = [report for report in reports if not report.passed]
    if not failed:
        return reports, ()
    append_log(attempt.settings, CHECK_RESULTS, [result.as_row() for report in reports for result in report.results])
    blocking = [report for report in failed if is_final or not report.only_parts_failed]
    if blocking:
        rules = "; ".join(f"{report.table.identifier}: {', '.join(report.failed_rules)}" for report in blocking)
        raise AuditFailedError(
            f"audit failed in {rules}; main is untouched, the rows are on branch {attempt.branch_name}, "
            "`lakehouse report` shows them"
        )
    held: dict[tuple[Slice, str, str], list[str]] = {}
    for report in failed:
        for rule, parts in report.failed_parts.items():
            for each, subject in parts:
                held.setdefault((each, subject, report.table.identifier), []).append(rule)
    return reports, tuple(sorted((HeldPart(*key, tuple(rules)) for key, rules in held.items()), key=str))


def audit_staged(attempt: Attempt, staged: Staged) -> AuditReport:
    """Audit one staged table: the slices that its snapshot replaced, without the parts held back."""
    table, settings = staged.write.table, attempt.settings
    pinned = PinnedTable(settings, staged.metadata_location, staged.snapshot_id)
    threads = min(attempt.spark.sparkContext.defaultParallelism, os.cpu_count() or 1)
    with open_batch(pinned, table, staged.slices, threads, staged.held) as batch:
        return audit(
            suite_for(table),
            batch,
            staged.facts,
            run_id=attempt.run_id,
            run_key=attempt.run_key,
            snapshot_id=staged.snapshot_id,
            settings=settings,
            slices=staged.slices,
        )


def group_parts(parts: Sequence[HeldPart]) -> HeldBack:
    """Return the subjects of parts by slice, each once, ascending."""
    subjects: dict[Slice, set[str]] = {}
    for part in parts:
        subjects.setdefault(part.slice, set()).add(part.subject)
    return {each: tuple(sorted(names)) for each, names in subjects.items()}
