"""Gold instruments: what each delivered instrument is and when it trades.

Reads   lakehouse.bronze.files   the instruments that were ever delivered
Writes  lakehouse.gold.instruments   replaces the whole table

The facts come from the declared venues in lakehouse/reference/instruments.py; the feeds do not hold them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import polars as pl

from lakehouse.lake.schema import arrow_table
from lakehouse.reference.instruments import describe_instrument
from lakehouse.slices import ALL, Slice
from lakehouse.tables.finance import BRONZE_QUOTES, BRONZE_TRADES, GOLD_INSTRUMENTS
from lakehouse.tables.manifest import BRONZE_FILES
from spark_jobs.engine.job import Plan, Request, TableJob
from spark_jobs.engine.kept import stage_rows
from spark_jobs.engine.manifest import accepted, read_manifest
from spark_jobs.engine.publish import Attempt, Write
from spark_jobs.engine.stage import Branch
from spark_jobs.layers.command_line import main


def plan(request: Request) -> Plan:
    """Find the delivered instruments; the table is due if there is a new one or its description changed."""
    entries = read_manifest(request.settings)
    delivered = [entry for table in (BRONZE_TRADES, BRONZE_QUOTES) for entry in accepted(entries, table.name)]
    found = sorted({entry.subject for entry in delivered})
    described = [describe_instrument(instrument_id) for instrument_id in found]
    lines = tuple(f"describe {instrument.instrument_id}" for instrument in described)
    return Plan({ALL: [str(instrument) for instrument in described]} if described else {}, lines, described)


def build(request: Request, planned: Plan, attempt: Attempt) -> Sequence[Write]:
    """Describe what is to be staged: every instrument."""

    def stage(branch: Branch) -> Sequence[Slice]:
        rows = [{**asdict(each), "_ingested_at": attempt.started_at} for each in planned.state]
        return stage_rows(branch, pl.DataFrame(arrow_table(GOLD_INSTRUMENTS, rows)), (ALL,))

    return [Write(GOLD_INSTRUMENTS, (ALL,), stage)]


JOB = TableJob(
    name="finance.instruments",
    table=GOLD_INSTRUMENTS,
    tables=(GOLD_INSTRUMENTS,),
    reads=(BRONZE_FILES,),
    made_by=(describe_instrument,),
    plan=plan,
    build=build,
)

if __name__ == "__main__":
    main(JOB)
