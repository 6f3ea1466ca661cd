"""Log tables: what ran and what was checked; append-only, keyed, read as the last row per key."""

from __future__ import annotations

from lakehouse.tables.model import Column, Table

OUTCOMES = (
    "published",
    "done already",
    "quarantined",
    "held back",
    "audit failed",
    "bad input",
    "conflict",
    "unavailable",
    "crash",
    "dry run",
    "audited",
)

CALLER = "spark.lakehouse.caller"
"""Spark's setting by which a caller names itself, one attempt each; it stands in `run_by` after the login."""
RUN_FACTS = (
    *("run_id", "job", "table_name", "outcome", "exit_code", "message"),
    *("rows_out", "rows_rejected", "snapshot_id"),
)
"""What an orchestrator is told of a run."""

RUNS = Table(
    layer="ops",
    name="runs",
    doc="One row per run of a job, failed ones too.",
    columns=(
        Column("run_id", "string", "This attempt: a random id, also in the logs."),
        Column("run_key", "string", "Hash of code, declaration, parameters, days and inputs; empty where unknown."),
        Column("job", "string", "The job, e.g. finance.silver_trades."),
        Column("table_name", "string", "The table that the job writes."),
        Column("days", "array<date>", "The days that the run replaced or would have replaced; none for image sets."),
        Column("outcome", "string", "What came of it.", allowed=OUTCOMES),
        Column("exit_code", "int", "The process's exit code."),
        Column("message", "string", "One line for a person."),
        Column("rows_in", "bigint", "Rows read.", nullable=True, minimum=0),
        Column("rows_out", "bigint", "Rows written.", nullable=True, minimum=0),
        Column("rows_rejected", "bigint", "Rows rejected with a reason.", nullable=True, minimum=0),
        Column("rows_duplicate", "bigint", "Equal copies dropped.", nullable=True, minimum=0),
        Column("seconds", "double", "Wall time of the run.", unit="s", minimum=0),
        Column("snapshot_id", "bigint", "The table's main snapshot after the run.", nullable=True),
        Column("started_at", "timestamp", "Begin of the run, UTC."),
        Column("run_by", "string", "Login name of the process, and who called it where it said so."),
    ),
    primary_key=("run_id",),
    sorted_by=("started_at",),
    kind="log",
)

CHECK_RESULTS = Table(
    layer="quality",
    name="check_results",
    doc="One row per rule and audit.",
    columns=(
        Column("run_id", "string", "The run that audited."),
        Column("run_key", "string", "Run key of the audited write."),
        Column("table_name", "string", "The audited table."),
        Column("snapshot_id", "bigint", "The audited snapshot, on its audit branch.", nullable=True),
        Column("rule", "string", "Name of the rule, unique in the suite."),
        Column("expectation", "string", "The Great Expectations type behind it."),
        Column("column_name", "string", "The column it looks at; null for rules over the table.", nullable=True),
        Column("severity", "string", "Whether a failure blocks.", allowed=("critical", "warning")),
        Column("is_passed", "boolean", "The rule held."),
        Column("observed", "string", "What was seen, as text."),
        Column("threshold", "string", "What was demanded, as text."),
        Column("rows_evaluated", "bigint", "Rows that the rule looked at.", nullable=True, minimum=0),
        Column("rows_failed", "bigint", "Rows that broke it.", nullable=True, minimum=0),
        Column("failed_rows_query", "string", "SQL that shows the rows that broke it.", nullable=True),
        Column("checked_at", "timestamp", "When, UTC."),
    ),
    primary_key=("run_id", "table_name", "rule"),
    sorted_by=("checked_at",),
    kind="log",
)

FILE_BALANCES = Table(
    layer="quality",
    name="file_balances",
    doc="Lines or records in = rows out + rejected + duplicates, per run, file and event day.",
    columns=(
        Column("run_id", "string", "The run that counted."),
        Column("run_key", "string", "Run key of the counted write."),
        Column("table_name", "string", "The silver table, or the gold table of an image set."),
        Column("event_date", "date", "The day that was replaced; null for image sets, which have none.", nullable=True),
        Column("_source_file", "string", "The file."),
        Column("_source_sha256", "string", "Its SHA-256, hex."),
        Column("lines_in", "bigint", "Lines of the file in bronze for that day.", minimum=0),
        Column("rows_out", "bigint", "Rows in the table.", minimum=0),
        Column("rows_rejected", "bigint", "Rows in the rejected table.", minimum=0),
        Column("rows_duplicate", "bigint", "Equal copies dropped.", minimum=0),
        Column("is_balanced", "boolean", "lines_in = rows_out + rows_rejected + rows_duplicate."),
        Column("counted_at", "timestamp", "When, UTC."),
    ),
    primary_key=("run_id", "table_name", "event_date", "_source_file", "_source_sha256"),
    sorted_by=("counted_at",),
    kind="log",
)

HELD_PARTS = Table(
    layer="quality",
    name="held_parts",
    doc="One row per part and run that failed its audit: the table keeps the part's rows from before.",
    columns=(
        Column("run_id", "string", "The run that held it back."),
        Column("table_name", "string", "The table whose rules it broke."),
        Column("slice", "string", "The day, e.g. 2024-08-08, or the image set."),
        Column("subject", "string", "The instrument, meter or image set."),
        Column("rules", "string", "The critical rules that it broke, with commas between."),
        Column("files", "string", "The accepted files that its rows came from, with commas between."),
        Column("held_at", "timestamp", "When, UTC."),
    ),
    primary_key=("run_id", "table_name", "slice", "subject"),
    sorted_by=("held_at",),
    kind="log",
)
