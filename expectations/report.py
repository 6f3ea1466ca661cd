"""What an audit found: a row per rule for quality.check_results, and a document with sample rows for the pages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from expectations.rules import Severity
from lakehouse.config.settings import Settings
from lakehouse.slices import Unit
from lakehouse.tables import Table


@dataclass(frozen=True)
class CheckResult:
    """One row of quality.check_results."""

    run_id: str
    run_key: str
    table_name: str
    snapshot_id: int | None
    rule: str
    expectation: str
    column_name: str | None
    severity: Severity
    is_passed: bool
    observed: str
    threshold: str
    rows_evaluated: int | None
    rows_failed: int | None
    failed_rows_query: str | None
    checked_at: datetime

    def as_row(self) -> dict[str, Any]:
        """Return the row as the table's columns."""
        return asdict(self)


@dataclass(frozen=True)
class Sample:
    """Some of the rows that broke a rule, as text."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]


@dataclass(frozen=True)
class AuditReport:
    """What an audit of one table found. `raised` are rules that could not be evaluated, with the reason.

    `validation` is Great Expectations' own result as JSON.
    """

    table: Table
    snapshot_id: int | None
    run_id: str
    run_key: str
    days: tuple[Unit, ...]
    rows_evaluated: int
    results: tuple[CheckResult, ...]
    samples: Mapping[str, Sample]
    validation: Mapping[str, Any]
    raised: Mapping[str, str] = field(default_factory=dict)

    @property
    def failed_rules(self) -> tuple[str, ...]:
        """The rules that block: critical ones that failed and any that raised."""
        return tuple(
            result.rule
            for result in self.results
            if not result.is_passed and (result.severity == "critical" or result.rule in self.raised)
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """The rules that failed and do not block."""
        blocking = set(self.failed_rules)
        return tuple(item.rule for item in self.results if not item.is_passed and item.rule not in blocking)

    @property
    def passed(self) -> bool:
        """True where the audited rows may be published: rows were seen, and nothing that blocks failed."""
        return not self.failed_rules and (self.rows_evaluated > 0 or self.table.may_be_empty)

    def write(self, settings: Settings) -> Path:
        """Leave the document for the pages, whole or not at all."""
        path = document_path(settings, self.run_id, self.table.identifier)
        path.parent.mkdir(parents=True, exist_ok=True)
        document = {
            "table": self.table.identifier,
            "snapshot_id": self.snapshot_id,
            "run_id": self.run_id,
            "run_key": self.run_key,
            "days": [str(day) for day in self.days],
            "rows_evaluated": self.rows_evaluated,
            "is_passed": self.passed,
            "raised": dict(self.raised),
            "samples": {rule: asdict(sample) for rule, sample in self.samples.items()},
            "validation": self.validation,
        }
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(document, default=str), encoding="utf-8")
        return unfinished.replace(path)


def document_path(settings: Settings, run_id: str, table_name: str) -> Path:
    """Return where the document of one audit lies; its page lies beside it with the suffix .html."""
    return settings.reports / "audits" / f"{run_id}.{table_name}.json"


def days_condition(table: Table, days: Sequence[Unit]) -> str:
    """Return the SQL condition that selects the audited days or sets; empty where the whole table was audited."""
    if table.replaced_by is None or not days:
        return ""
    ordered = sorted(set(days))
    if isinstance(ordered[0], str):
        names = ", ".join(f"'{name}'" for name in ordered)
        return f"{table.replaced_by} IN ({names})"
    if len(ordered) == 1:
        return f"{table.replaced_by} = DATE '{ordered[0]}'"
    if (ordered[-1] - ordered[0]).days == len(ordered) - 1:
        return f"{table.replaced_by} BETWEEN DATE '{ordered[0]}' AND DATE '{ordered[-1]}'"
    listed = ", ".join(f"DATE '{day}'" for day in ordered)
    return f"{table.replaced_by} IN ({listed})"
