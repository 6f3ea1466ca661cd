"""The SQL that shows the rows behind a failed rule, for `lakehouse query` (DuckDB) and Trino alike."""

from __future__ import annotations

import re
from collections.abc import Sequence

from expectations.report import slices_condition
from expectations.rules import FactRule, Rule
from lakehouse.slices import Slice
from lakehouse.tables import Column, Table


def failed_rows_query(rule: Rule | FactRule, table: Table, slices: Sequence[Slice], run_id: str) -> str | None:
    """Return the query; None for a rule that no row breaks, such as one about the columns."""
    condition = slices_condition(table, slices)
    if isinstance(rule, FactRule):
        return rule.query and rule.query.format(days=condition or "true", run_id=run_id)
    if rule.failed_rows_sql is None:
        return None
    where = f" WHERE {condition}" if condition else ""
    if rule.kind == "rows":
        broken = f"({rule.failed_rows_sql})"
    else:
        by = ", ".join(rule.group_by)
        keys = ", ".join(without_null(table.column(key)) for key in rule.group_by)
        groups = f"SELECT {keys} FROM {table.identifier}{where} GROUP BY {by} HAVING {rule.failed_rows_sql}"  # noqa: S608  # shown, not run
        broken = f"({keys}) IN ({groups})"
    return f"SELECT * FROM {table.identifier}{where}{' AND ' if where else ' WHERE '}{broken}"  # noqa: S608  # shown, not run; from declarations only


def without_null(column: Column) -> str:
    """Return a key's column for comparison by IN, which never finds a null."""
    return f"coalesce(CAST({column.name} AS VARCHAR), '')" if column.nullable else column.name


def query_command(query: str, table_name: str, snapshot_id: int | None) -> str:
    """Return the command line that runs a query, on the snapshot that was audited.

    A snapshot is one table's: a query that reads another one, too, is run on what is published.
    """
    is_of_one_table = set(re.findall(r"\bFROM (\w+\.\w+)", query)) == {table_name}
    as_of = f" --as-of {snapshot_id}" if snapshot_id is not None and is_of_one_table else ""
    return f'lakehouse query{as_of} "{query}"'
