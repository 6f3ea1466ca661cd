"""What the quality pages say, as plain values: the log tables and audit documents, turned into words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from expectations import SUITES, find_suite
from expectations.held_parts import StandingPart
from expectations.queries import query_command
from expectations.report import Sample, document_path
from lakehouse.config.settings import Settings
from lakehouse.slices import Slice, describe_slices, parse_slices

Row = Mapping[str, Any]

STOPPED = ("audit failed", "bad input", "conflict", "unavailable", "crash")
"""Outcomes of a run that published nothing."""
TONES = {
    "published": "good",
    "done already": "good",
    "audited": "good",
    "quarantined": "warn",
    "held back": "warn",
} | dict.fromkeys(STOPPED, "bad")
SHOWN_RUNS = 30
NAMED_JOBS = 3
"""Jobs that fit into the headline."""


@dataclass(frozen=True)
class FailedRule:
    """A rule that did not hold, and how to see the rows."""

    name: str
    words: str
    severity: str
    is_blocking: bool
    observed: str
    threshold: str
    command: str | None
    sample: Sample | None


@dataclass(frozen=True)
class Audit:
    """The last audit of one table; `document` is absent where it was made on another machine or has been cleared."""

    table_name: str
    run_id: str
    snapshot_id: int | None
    checked_at: str
    days: str
    rows: str
    rules: int
    rules_held: int
    failed_rules: tuple[FailedRule, ...]
    document: Path | None
    is_rendered: bool = False

    @property
    def is_stopped(self) -> bool:
        """True where a failed rule kept the rows from being published."""
        return any(rule.is_blocking for rule in self.failed_rules)

    @property
    def tone(self) -> str:
        """How the verdict is coloured."""
        return "bad" if self.is_stopped else "warn" if self.failed_rules else "good"

    @property
    def verdict(self) -> str:
        """The verdict in words."""
        return {"bad": "stopped, not published", "warn": "passed, with warnings", "good": "passed"}[self.tone]

    @property
    def page(self) -> str | None:
        """The Data Docs page, seen from the index."""
        return f"audits/{self.document.with_suffix('.html').name}" if self.document and self.is_rendered else None


@dataclass(frozen=True)
class Problem:
    """One line under the headline."""

    subject: str
    text: str


@dataclass(frozen=True)
class Verdict:
    """What a person must know after the first line."""

    tone: str
    headline: str
    explanation: str
    problems: tuple[Problem, ...] = ()


def last_audits(settings: Settings, checks: Iterable[Row], runs: Iterable[Row]) -> list[Audit]:
    """Return the last audit of each table, failed ones first, else in the order of the suites."""
    by_audit: dict[tuple[str, str], list[Row]] = {}
    for check in checks:
        by_audit.setdefault((check["table_name"], check["run_id"]), []).append(check)
    newest: dict[str, list[Row]] = {}
    for (table_name, _), found in sorted(by_audit.items(), key=lambda item: max(row["checked_at"] for row in item[1])):
        newest[table_name] = found
    days = {run["run_id"]: run["days"] or () for run in runs}
    order = {suite.table.identifier: number for number, suite in enumerate(SUITES)}
    audits = [read_audit(settings, found, days.get(found[0]["run_id"], ())) for found in newest.values()]
    return sorted(audits, key=lambda audit: (not audit.is_stopped, order.get(audit.table_name, len(order))))


def read_audit(settings: Settings, checks: list[Row], days: Iterable[Slice]) -> Audit:
    """Put one audit together from its rows and its document."""
    first = checks[0]
    path = document_path(settings, first["run_id"], first["table_name"])
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if texts := document.get("slices", document.get("days")):
        days = [each for text in texts for each in parse_slices(text)]
    return Audit(
        table_name=first["table_name"],
        run_id=first["run_id"],
        snapshot_id=first["snapshot_id"],
        checked_at=time_text(max(row["checked_at"] for row in checks)),
        days=days_text(days),
        rows=number_text(first["rows_evaluated"]),
        rules=len(checks),
        rules_held=sum(row["is_passed"] for row in checks),
        failed_rules=tuple(
            sorted(
                (failed_rule(row, document) for row in checks if not row["is_passed"]),
                key=lambda rule: not rule.is_blocking,
            )
        ),
        document=path if document else None,
    )


def days_text(slices: Iterable[Slice]) -> str:
    """Write what an audit looked at."""
    given = tuple(slices)
    return describe_slices(given).replace("..", " to ").replace(",", ", ").replace(",  ", ", ") if given else ""


def failed_rule(check: Row, document: Row) -> FailedRule:
    """Describe a rule that did not hold."""
    suite = find_suite(check["table_name"])
    rule = suite.find(check["rule"]) if suite else None
    sample = document.get("samples", {}).get(check["rule"])
    query = check["failed_rows_query"]
    return FailedRule(
        name=check["rule"],
        words=rule.words if rule else check["rule"].replace("_", " "),
        severity=check["severity"],
        is_blocking=check["severity"] == "critical" or check["rule"] in document.get("raised", {}),
        observed=check["observed"],
        threshold=check["threshold"],
        command=query and query_command(query, check["table_name"], check["snapshot_id"]),
        sample=Sample(tuple(sample["columns"]), tuple(tuple(row) for row in sample["rows"])) if sample else None,
    )


def judge_state(audits: Iterable[Audit], runs: Iterable[Row], held: Sequence[StandingPart] = ()) -> Verdict:
    """Say in one sentence how things stand: the last run of each job, parts that are held back, and warnings."""
    last_runs: dict[str, Row] = {}
    for run in sorted(runs, key=lambda row: row["started_at"]):
        last_runs[run["job"]] = run
    if not last_runs:
        return Verdict("warn", "Nothing has run yet", "This page fills with the first run.")
    stopped = [run for run in last_runs.values() if run["outcome"] in STOPPED]
    quarantined = [run for run in last_runs.values() if run["outcome"] == "quarantined"]
    warnings = [(audit, rule) for audit in audits for rule in audit.failed_rules if not rule.is_blocking]
    noted = [
        *held_problems(held),
        *(Problem(run["job"], run["message"]) for run in quarantined),
        *(Problem(audit.table_name, f"{rule.words} Seen: {rule.observed}.") for audit, rule in warnings),
    ]
    if stopped:
        number = "1 job was" if len(stopped) == 1 else f"{len(stopped)} jobs were"
        names = ", ".join(run["job"] for run in stopped[:NAMED_JOBS]) + (" ..." if len(stopped) > NAMED_JOBS else "")
        problems = (*(Problem(run["job"], f"{run['outcome']}. {run['message']}") for run in stopped), *noted)
        explanation = "Published tables are as they were before; nothing half-done can be read."
        return Verdict("bad", f"{number} stopped: {names}", explanation, problems)
    headline = "Everything that was published passed its audit"
    if noted:
        number = "1 thing" if len(noted) == 1 else f"{len(noted)} things"
        return Verdict("warn", headline, f"{number} to look at, none of which blocked:", tuple(noted))
    return Verdict("good", headline, "Every rule held in the last audit of every table.")


def held_problems(held: Sequence[StandingPart]) -> list[Problem]:
    """Return a line per table with parts that still have their rows from before."""
    counts = Counter(part.table_name for part in held)
    return [
        Problem(table, f"{count} {'part keeps' if count == 1 else 'parts keep'} the rows from before: see Held back.")
        for table, count in sorted(counts.items())
    ]


def run_lines(runs: Iterable[Row]) -> list[dict[str, str]]:
    """Return the last runs, newest first, as text."""
    newest = sorted(runs, key=lambda row: row["started_at"], reverse=True)[:SHOWN_RUNS]
    counts = ("rows_in", "rows_out", "rows_rejected")
    return [
        {name: str(run[name]) for name in ("job", "outcome", "message", "run_id")}
        | {name: number_text(run[name]) for name in counts}
        | {"started_at": time_text(run["started_at"]), "seconds": f"{run['seconds']:,.1f}"}
        | {"tone": TONES.get(run["outcome"], "")}
        for run in newest
    ]


def balance_lines(balances: Iterable[Row]) -> list[dict[str, Any]]:
    """Sum the last count of every file and day, per table."""
    last: dict[tuple[Any, ...], Row] = {}
    for row in sorted(balances, key=lambda row: row["counted_at"]):
        last[row["table_name"], row["event_date"], row["_source_file"], row["_source_sha256"]] = row
    tables: dict[str, list[Row]] = {}
    for row in last.values():
        tables.setdefault(row["table_name"], []).append(row)
    counts = ("lines_in", "rows_out", "rows_rejected", "rows_duplicate")
    return [
        {name: number_text(sum(row[name] for row in rows)) for name in counts}
        | {
            "table_name": table_name,
            "files": number_text(len({row["_source_file"] for row in rows})),
            "unbalanced": sorted({row["_source_file"] for row in rows if not row["is_balanced"]}),
        }
        for table_name, rows in sorted(tables.items())
    ]


def time_text(moment: datetime) -> str:
    """Write a UTC time to the second."""
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def number_text(number: int | None) -> str:
    """Write a count with separators; empty where there is none."""
    return "" if number is None else f"{number:,}"
