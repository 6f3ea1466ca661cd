"""The quality pages: index.html says how things stand and leads to the rows, the run and the Data Docs of each audit.

Reads   ops.runs, quality.check_results, quality.held_parts, quality.file_balances, the rejected rows, and the
        documents of the audits
Writes  <home>/reports/index.html and a page per shown audit; no page loads anything or runs a script
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from jinja2 import Environment, FileSystemLoader

from expectations import SUITES
from expectations.data_docs import TEMPLATES, render_audit
from expectations.held_parts import standing_parts
from expectations.page_model import Audit, balance_lines, judge_state, last_audits, number_text, run_lines
from expectations.queries import query_command
from expectations.report import Sample
from expectations.rules import LINEAGE
from lakehouse.config.settings import Settings
from lakehouse.lake.catalog import read_log
from lakehouse.lake.connection import open_catalog
from lakehouse.tables import Table
from lakehouse.tables.logs import CHECK_RESULTS, FILE_BALANCES, HELD_PARTS, RUNS

logger = logging.getLogger(__name__)

SHOWN_REJECTED = 5
"""Rows shown per rule: enough to see what is wrong, few enough to read."""
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class Rejected:
    """The rejected rows of one rule, and some of them."""

    table_name: str
    rule: str
    count: str
    sample: Sample
    command: str


def build_index(settings: Settings) -> Path:
    """Write the index and the pages that it leads to, and return the index."""
    runs = read_log(settings, RUNS).to_pylist()
    audits = last_audits(settings, read_log(settings, CHECK_RESULTS).to_pylist(), runs)
    held = standing_parts(settings, read_log(settings, HELD_PARTS).to_pylist(), runs)
    clear_old_documents(settings, audits)
    audits = [write_data_docs(audit) for audit in audits]
    page = (
        environment()
        .get_template("index.html")
        .render(
            verdict=judge_state(audits, runs, held),
            failed=[audit for audit in audits if audit.failed_rules],
            audits=audits,
            held=held,
            rejected=rejected_rows(settings),
            balances=balance_lines(read_log(settings, FILE_BALANCES).to_pylist()),
            runs=run_lines(runs),
            written_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        )
    )
    settings.reports.mkdir(parents=True, exist_ok=True)
    return write_whole(settings.reports / "index.html", page)


def environment() -> Environment:
    """The templates, with everything shown escaped."""
    return Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True)


def write_data_docs(audit: Audit) -> Audit:
    """Render the Data Docs page of an audit, once; without its document there is nothing to render."""
    if audit.document is None:
        return audit
    path = audit.document.with_suffix(".html")
    rendered = replace(audit, is_rendered=True)
    if not path.is_file():
        document = json.loads(audit.document.read_text(encoding="utf-8"))
        write_whole(path, render_audit(rendered, document["validation"]))
    return rendered


def write_whole(path: Path, text: str) -> Path:
    """Write a page so that a reader sees the old one or the new one."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    return unfinished.replace(path)


def clear_old_documents(settings: Settings, audits: list[Audit]) -> None:
    """Remove documents and pages that no table's last audit needs once audit branches of their age are gone, too."""
    needed = {audit.document.stem for audit in audits if audit.document}
    oldest = time.time() - settings.audit_branch_max_age_days * SECONDS_PER_DAY
    for path in (settings.reports / "audits").glob("*"):
        if path.stem not in needed and path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)


def rejected_rows(settings: Settings) -> list[Rejected]:
    """Count the rejected rows of every table by rule, most first."""
    catalog = open_catalog(settings)
    found = []
    for suite in SUITES:
        table = suite.table
        if table.name.endswith("_rejected") and catalog.table_exists(table.identifier):
            scan = catalog.load_table(table.identifier).scan(selected_fields=shown_columns(table))
            found += count_rejected(table, scan.to_arrow_batch_reader())
    return found


def shown_columns(table: Table) -> tuple[str, ...]:
    """Return what is shown of a rejected row: where it came from, why it was rejected, and what it said."""
    raw = (column.name for column in table.columns if column.name.startswith("raw_") and column.type != "binary")
    place = tuple(name for name in LINEAGE if name in table.column_names)
    return ("rule", *place, "reason", *raw)


def count_rejected(table: Table, batches: pa.RecordBatchReader) -> list[Rejected]:
    """Count rows by rule, batch by batch, keeping the first few of each."""
    counts: dict[str, int] = {}
    kept: dict[str, list[Mapping[str, Any]]] = {}
    for batch in batches:
        rows = pa.Table.from_batches([batch])
        for item in rows.group_by("rule").aggregate([([], "count_all")]).to_pylist():
            counts[item["rule"]] = counts.get(item["rule"], 0) + item["count_all"]
            samples = kept.setdefault(item["rule"], [])
            if len(samples) < SHOWN_REJECTED:
                same = rows.filter(pc.equal(rows["rule"], item["rule"]))
                samples += same.slice(0, SHOWN_REJECTED - len(samples)).to_pylist()
    rules = sorted(counts, key=lambda rule: (-counts[rule], rule))
    return [rejected(table, rule, counts[rule], kept[rule]) for rule in rules]


def rejected(table: Table, rule: str, count: int, rows: list[Mapping[str, Any]]) -> Rejected:
    """Put the rejected rows of one rule into words; columns that no shown row fills are left out."""
    names = [
        name for name in shown_columns(table) if name != "rule" and any(row[name] not in (None, "") for row in rows)
    ]
    texts = tuple(tuple(None if row[name] is None else str(row[name]) for name in names) for row in rows)
    literal = rule.replace("'", "''")
    query = f"SELECT * FROM {table.identifier} WHERE rule = '{literal}'"  # noqa: S608  # shown, not run
    return Rejected(
        table.identifier,
        rule,
        number_text(count),
        Sample(tuple(names), texts),
        query_command(query, table.identifier, None),
    )
