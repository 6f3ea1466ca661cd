"""The commands `lakehouse audit`, which checks all rows on a table's `main`, and `lakehouse report`, the pages.

Reads   the table
Writes  lakehouse.quality.check_results   audit: a row per rule
        lakehouse.ops.runs                audit: the run `audit.<table>`, so that the report shows a failure
        <home>/reports                    report: the data-quality pages
"""

from __future__ import annotations

import getpass
import os
import secrets
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.errors import AuditFailedError, BadInputError, ExitCode
from lakehouse.tables import Table, find_table
from lakehouse.tables.logs import CHECK_RESULTS, RUNS

if TYPE_CHECKING:
    from lakehouse.config.settings import Settings


def audit(table: Annotated[str, typer.Argument(help="The table as layer.name, such as silver.trades.")]) -> None:
    """Hold all rows on a table's main against its suite, and record what was seen.

    Exit code 3 where a rule that blocks failed; the rows stay on main, since they are published already. What only a
    run can count, such as the balance of its files, is left to the runs.

    \b
    Example: lakehouse audit silver.trades
    """
    from lakehouse.config.settings import settings

    typer.echo(audit_main(settings(), find_table(table)))


def report(
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Rebuild the data-quality pages from the recorded checks and print where they are.

    \b
    Example: lakehouse report --open
    """
    from expectations.pages import build_index
    from lakehouse.config.settings import settings

    page = build_index(settings())
    typer.echo(page)
    if show:
        typer.launch(page.as_uri())


def audit_main(here: Settings, table: Table) -> str:
    """Audit a table's `main` and return what was seen, in words.

    Raises:
        BadInputError: nothing of the table is published yet.
        AuditFailedError: a rule that blocks failed.
    """
    from expectations import suite_for
    from expectations.batch import open_batch
    from expectations.runner import audit as hold
    from lakehouse.lake.catalog import append_log, load
    from lakehouse.lake.scans import PinnedTable

    run_id, started_at, begin = secrets.token_hex(8), datetime.now(UTC), time.monotonic()
    suite, iceberg = replace(suite_for(table), fact_rules=()), load(here, table)
    main = iceberg.refs().get("main")
    if main is None:
        raise BadInputError(f"nothing of {table.identifier} is published yet, so there is nothing to audit")
    pinned = PinnedTable(here, iceberg.metadata_location, main.snapshot_id)
    with open_batch(pinned, table, (), os.cpu_count() or 1) as batch:
        report = hold(suite, batch, {}, run_id=run_id, run_key="", snapshot_id=main.snapshot_id, settings=here)
    append_log(here, CHECK_RESULTS, [result.as_row() for result in report.results])
    held = sum(result.is_passed for result in report.results)
    message = f"{table.identifier}: {report.rows_evaluated:,} rows on main, {held} of {len(report.results)} rules held"
    if report.warnings:
        message += f"; warnings: {', '.join(report.warnings)}"
    if not report.passed:
        message += f"; failed: {', '.join(report.failed_rules) or 'it has no rows'}; `lakehouse report` shows more"
    row = {
        "run_id": run_id,
        "run_key": "",
        "job": f"audit.{table.identifier}",
        "table_name": table.identifier,
        "days": [],
        "outcome": "audited" if report.passed else "audit failed",
        "exit_code": int(ExitCode.DONE if report.passed else ExitCode.AUDIT_FAILED),
        "message": message,
        "seconds": time.monotonic() - begin,
        "snapshot_id": main.snapshot_id,
        "started_at": started_at,
        "run_by": getpass.getuser(),
    }
    append_log(here, RUNS, [row])
    if not report.passed:
        raise AuditFailedError(message)
    return message
