"""Rules that tables of several domains share."""

from __future__ import annotations

from expectations.rules import FactRule, row_rule
from lakehouse.tables import Table

REASON_GIVEN = row_rule(
    "reason_given",
    "critical",
    "Every rejected row says which rule it broke and why.",
    "trim(rule) = '' OR trim(reason) = ''",
)

FILES_QUERY = "SELECT delivery_date, subject, _source_file, verdict, rows FROM bronze.files ORDER BY delivery_date"

MANIFEST_ROWS = FactRule(
    "manifest_row_difference",
    "critical",
    "Every line that the manifest counts is in the table, and no other.",
    query=FILES_QUERY,
)

UNBALANCED_FILES = FactRule(
    "unbalanced_files",
    "critical",
    "For every file, lines in are rows out and rejected and duplicate ones together.",
    query="SELECT * FROM quality.file_balances WHERE run_id = '{run_id}' AND NOT is_balanced",
)

MANIFEST_LINES = FactRule(
    "manifest_line_difference",
    "critical",
    "Every line that the manifest counts in a file was looked at, where all days of the file are.",
    query=FILES_QUERY,
)

ROWS_PER_DAY = FactRule(
    "rows_per_day_ratio",
    "warning",
    "Rows per day are within 0.1 and 5 times those of the week before.",
    # 25 whole days of LEAN and Binance files lie between 0.11 (a Sunday of EURUSD) and 2.5 times the mean of the days
    # before; a day that is cut off after seconds lies at 0.002.
    minimum=0.1,
    maximum=5,
    may_be_unknown=True,
)
"""The job passes the week's mean as rows_trailing_week_mean, None where no earlier day has rows."""


def rejected_ratio(rejected: Table) -> FactRule:
    """Demand that few lines were rejected; the job passes lines_in and rows_rejected."""
    return FactRule(
        "rejected_ratio",
        "warning",
        "At most 1 % of the lines were rejected.",
        # COMEX gold files of 2013 reject 0.2 to 0.4 % (zero sizes); FXCM EURUSD of May 2014 2 to 12 % (crossed quotes),
        # which a person should know of.
        maximum=0.01,
        may_be_unknown=True,
        query=f"SELECT rule, _source_file, count(*) AS lines FROM {rejected.identifier} WHERE {{days}} "  # noqa: S608
        "GROUP BY rule, _source_file ORDER BY lines DESC",
    )
