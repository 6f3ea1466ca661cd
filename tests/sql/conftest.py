"""A lakehouse of declared tables, empty or filled by a test, on which the files of sql/ run without a server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lakehouse.config.settings import Settings, read_settings
from lakehouse.lake.connection import open_catalog
from lakehouse.lake.migration import migrate
from lakehouse.lake.schema import arrow_table
from lakehouse.queries.embedded import open_query
from lakehouse.queries.statements import find_sql_file
from lakehouse.tables import Table


@dataclass(frozen=True)
class Desk:
    """Where a test's analyst sits."""

    settings: Settings

    def fill(self, table: Table, *rows: dict[str, Any]) -> None:
        """Append rows to a table."""
        open_catalog(self.settings).load_table(table.identifier).append(arrow_table(table, list(rows)))

    def ask(self, sql: str) -> list[dict[str, Any]]:
        """Run a query in DuckDB."""
        with open_query(sql, self.settings) as reader:
            return reader.read_all().to_pylist()

    def run(self, name: str, *columns: str) -> list[tuple[Any, ...]]:
        """Run a file of sql/ and return some of its columns, sorted."""
        rows = self.ask(find_sql_file(name).query)
        return sorted((tuple(row[column] for column in columns) for row in rows), key=str)


@pytest.fixture(scope="session")
def empty_desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Every declared table, without a row."""
    settings = read_settings({"LAKEHOUSE_HOME": str(tmp_path_factory.mktemp("desk"))})
    migrate(settings)
    return Desk(settings)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Every declared table, for a test to fill."""
    settings = read_settings({"LAKEHOUSE_HOME": str(tmp_path / "home")})
    migrate(settings)
    return Desk(settings)
