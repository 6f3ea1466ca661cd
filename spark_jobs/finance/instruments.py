"""Gold instruments: what each delivered instrument is and when it trades.

Reads   lakehouse.bronze.files   the instruments that were ever delivered
Writes  lakehouse.gold.instruments   replaces the whole table

The facts come from the declared venues in lakehouse/reference/instruments.py; the feeds do not hold them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import astuple
from datetime import date

from lakehouse.lake.schema import spark_schema
from lakehouse.reference import instruments as reference
from lakehouse.slices import WHOLE_TABLE
from lakehouse.tables.finance import BRONZE_QUOTES, BRONZE_TRADES, GOLD_INSTRUMENTS
from lakehouse.tables.manifest import BRONZE_FILES
from spark_jobs.engine.job import Job, Plan, Request
from spark_jobs.engine.publish import Attempt, Write
from spark_jobs.engine.stage import Branch, stage_frame
from spark_jobs.layers.command_line import main
from spark_jobs.layers.manifest import accepted, read_manifest


def plan(request: Request) -> Plan:
    """Find the delivered instruments; the table is due when there is a new one or its description changed."""
    entries = read_manifest(request.settings)
    delivered = [entry for table in (BRONZE_TRADES, BRONZE_QUOTES) for entry in accepted(entries, table.name)]
    found = sorted({entry.instrument_id for entry in delivered})
    described = [reference.describe_instrument(instrument_id) for instrument_id in found]
    lines = tuple(f"describe {instrument.instrument_id}" for instrument in described)
    inputs = {day: [str(instrument) for instrument in described] for day in WHOLE_TABLE} if described else {}
    return Plan(inputs, lines, described)


def build(request: Request, planned: Plan, attempt: Attempt) -> Sequence[Write]:
    """Describe what is to be staged: every instrument."""

    def stage(branch: Branch) -> Sequence[date]:
        rows = [(*astuple(instrument), attempt.started_at) for instrument in planned.state]
        return stage_frame(
            branch, request.spark.createDataFrame(rows, spark_schema(GOLD_INSTRUMENTS)).coalesce(1), WHOLE_TABLE
        )

    return [Write(GOLD_INSTRUMENTS, WHOLE_TABLE, stage)]


JOB = Job(
    name="finance.instruments",
    table=GOLD_INSTRUMENTS,
    tables=(GOLD_INSTRUMENTS,),
    reads=(BRONZE_FILES,),
    code=(sys.modules[__name__], reference),
    plan=plan,
    build=build,
)

if __name__ == "__main__":
    main(JOB)
