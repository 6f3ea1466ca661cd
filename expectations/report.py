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
from lakehouse.slices import UNDATED, Slice, days_of, names_of
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
    slices: tuple[Slice, ...]
    rows_evaluated: int
    results: tuple[CheckResult, ...]
    samples: Mapping[str, Sample]
    validation: Mapping[str, Any]
    raised: Mapping[str, str] = field(default_factory=dict)
    failed_parts: Mapping[str, tuple[tuple[Slice, str], ...]] = field(default_factory=dict)
    """By critical rule about parts that failed: (slice, subject) of the parts that broke it."""

    @property
    def only_parts_failed(self) -> bool:
        """True if every rule that blocks is about parts, and these are known: the others may be published."""
        return bool(self.failed_rules) and all(self.failed_parts.get(rule) for rule in self.failed_rules)

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
            "slices": [str(each) for each in self.slices],
            "failed_parts": {
                rule: [[str(each), subject] for each, subject in parts] for rule, parts in self.failed_parts.items()
            },
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


def slices_condition(table: Table, slices: Sequence[Slice]) -> str:
    """Return the SQL condition that selects the audited slices; empty if the whole table was audited."""
    if table.replaced_by is None or not slices:
        return ""
    column, days = table.replaced_by, days_of(slices)
    parts = [f"{column} IS NULL"] if UNDATED in slices else []
    if names := ", ".join(f"'{name}'" for name in names_of(slices) if name != UNDATED):
        parts.append(f"{column} IN ({names})")
    if len(days) == 1:
        parts.append(f"{column} = DATE '{days[0]}'")
    elif days and (days[-1] - days[0]).days == len(days) - 1:
        parts.append(f"{column} BETWEEN DATE '{days[0]}' AND DATE '{days[-1]}'")
    elif days:
        listed = ", ".join(f"DATE '{day}'" for day in days)
        parts.append(f"{column} IN ({listed})")
    return parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})"
