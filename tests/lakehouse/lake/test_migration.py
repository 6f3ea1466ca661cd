"""Every table, made by an earlier declaration, has the declared columns after `migrate`, and its rows kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table import Transaction
from sqlalchemy.exc import OperationalError

from expectations.batch import open_batch
from expectations.declared import columns_rule
from expectations.judge import judge_rule
from expectations.measure import Measurement, measure
from expectations.rules import Suite
from lakehouse.config.settings import Settings, read_settings
from lakehouse.errors import BadInputError, ConflictError, UnavailableError
from lakehouse.lake import migration
from lakehouse.lake.catalog import append_log, load, read_log
from lakehouse.lake.connection import open_catalog
from lakehouse.lake.history import rows_per_slice, slice_fingerprints
from lakehouse.lake.migration import Difference, compare, load_or_create, migrate, migrate_table, require_tables
from lakehouse.lake.scans import pin, pin_current
from lakehouse.lake.schema import arrow_table, iceberg_type, partition_spec, spelled_type
from lakehouse.tables import TABLES, Column, Table
from lakehouse.tables.finance import GOLD_INSTRUMENTS, GOLD_RETURN_CORRELATIONS_1D
from lakehouse.tables.logs import RUNS

VALUES = {
    "string": "a",
    "bigint": 7,
    "int": 7,
    "boolean": True,
    "double": 0.5,
    "date": date(2024, 8, 8),
    "timestamp": datetime(2024, 8, 8, 12, tzinfo=UTC),
    "timestamp_ntz": datetime(2024, 8, 8, 12),
    "binary": b"a",
}
"""A value of each type."""


def fixed(table: Table) -> set[str]:
    """The columns that a table is laid out by: an earlier version can't have lacked them."""
    return {*table.primary_key, *table.sorted_by, *(re.sub(r"months\((.*)\)", r"\1", p) for p in table.partitioned_by)}


def row_of(table: Table) -> dict[str, Any]:
    """A row with a value in every column."""
    row: dict[str, Any] = {}
    for column in table.columns:
        array = re.fullmatch(r"array<(\w+)>", column.type)
        value = Decimal("1.5") if column.type.startswith("decimal") else VALUES.get(column.type)
        row[column.name] = [VALUES[array[1]]] if array else value
    return row


def without(table: Table, *names: str) -> Table:
    """The declaration as it was before the columns were added."""
    return replace(table, columns=tuple(column for column in table.columns if column.name not in names))


def before_renames(table: Table) -> Table:
    """The declaration as it was when every column had another name."""

    def old(text: str) -> str:
        return re.sub(r"(\w+)(?=\)|$)", r"old_\1", text)

    return replace(
        table,
        columns=tuple(replace(column, name=old(column.name)) for column in table.columns),
        primary_key=tuple(map(old, table.primary_key)),
        partitioned_by=tuple(map(old, table.partitioned_by)),
        sorted_by=tuple(map(old, table.sorted_by)),
        replaced_by=table.replaced_by and old(table.replaced_by),
    )


def renamed(table: Table) -> Table:
    """The declaration that knows those former names."""
    columns = tuple(replace(column, formerly=(f"old_{column.name}",)) for column in table.columns)
    return replace(table, columns=columns)


def ids(iceberg: IcebergTable) -> dict[str, int]:
    """The ids of all columns by name."""
    return {field.name: field.field_id for field in iceberg.schema().fields}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return read_settings({"LAKEHOUSE_HOME": str(tmp_path_factory.mktemp("home"))})


@pytest.fixture(scope="module")
def catalog(home: Settings) -> SqlCatalog:
    return open_catalog(home)


@pytest.fixture
def make(catalog: SqlCatalog, home: Settings) -> Iterator[Any]:
    """make(table) makes a table for one test."""
    made = []

    def make_table(table: Table) -> IcebergTable:
        assert load_or_create(catalog, home, table)[1]
        made.append(table)
        return catalog.load_table(table.identifier)

    yield make_table
    for table in made:
        catalog.drop_table(table.identifier)


def add_row(iceberg: IcebergTable, table: Table) -> None:
    """Write a row with a value in every column."""
    iceberg.append(arrow_table(table, [row_of(table)]))


def check_columns(iceberg: IcebergTable, table: Table) -> None:
    """Check that the columns are the declared ones and pass the rule that every audit holds."""
    fields = iceberg.schema().fields
    assert [(field.name, spelled_type(field.field_type)) for field in fields] == [
        (column.name, column.type) for column in table.columns
    ]
    seen = Measurement(rows=1, columns=tuple(field.name for field in fields), failed={}, nulls={}, raised={})
    assert judge_rule(columns_rule(table), seen, None, []).success


def check_row(home: Settings, table: Table, expected: dict[str, Any]) -> None:
    """Check that the table is what a run demands, passes its audit's rule of columns, and holds this row."""
    require_tables(home, [table])
    rule = columns_rule(table)
    with open_batch(pin_current(home, table), table, (), threads=1) as batch:
        assert judge_rule(rule, measure(Suite(table, rules=(rule,)), batch), None, []).success
        (row,) = batch.connection.sql("SELECT * FROM batch").to_arrow_table().to_pylist()
    assert row == expected


LACKING = [
    pytest.param(table, column.name, id=f"{table.identifier}.{column.name}")
    for table in TABLES
    for column in table.columns
    if column.name not in fixed(table)
]


@pytest.mark.parametrize(("table", "name"), LACKING)
def test_migrate_adds_a_column_where_it_is_declared(table: Table, name: str, make: Any) -> None:
    iceberg = make(without(table, name))
    before = ids(iceberg)
    assert compare(iceberg, table) == Difference(added=(name,))
    assert migrate_table(iceberg, table) == [f"added {name} to {table.identifier}"]
    assert migrate_table(iceberg, table) == []
    after = ids(iceberg)
    assert after.pop(name) > max(before.values())
    assert after == before
    check_columns(iceberg, table)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.identifier)
def test_migrate_puts_in_order_what_was_added_at_the_end(table: Table, home: Settings, make: Any) -> None:
    names = [name for name in table.column_names if name not in fixed(table)]
    earlier = without(table, *names)
    iceberg = make(earlier)
    add_row(iceberg, earlier)
    with iceberg.update_schema() as update:  # as versions did that knew no places
        for name in reversed(names):
            update.add_column(name, iceberg_type(table.column(name).type, 0))
    before = ids(iceberg)
    is_disordered = list(before) != list(table.column_names)
    if is_disordered:
        with pytest.raises(BadInputError) as caught:
            require_tables(home, [table])
        wrong = f"{table.identifier} has its columns in another order than declared"
        assert str(caught.value) == f"{wrong}; run `lakehouse migrate` once"
    expected = [f"put the columns of {table.identifier} in their declared order"] if is_disordered else []
    assert migrate_table(iceberg, table) == expected
    assert ids(iceberg) == before
    check_columns(iceberg, table)
    check_row(home, table, {**row_of(table), **dict.fromkeys(names)})


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.identifier)
def test_migrate_renames_columns_also_of_partitions_and_order(table: Table, home: Settings, make: Any) -> None:
    earlier, table = before_renames(table), renamed(table)
    iceberg = make(earlier)
    add_row(iceberg, earlier)
    before = ids(iceberg)
    with pytest.raises(BadInputError, match=f"^{table.identifier} has old_.* where .* is declared; .*run"):
        require_tables(home, [table])
    assert migrate_table(iceberg, table) == [
        f"renamed old_{name} of {table.identifier} to {name}" for name in table.column_names
    ]
    assert migrate_table(iceberg, table) == []
    assert ids(iceberg) == {name.removeprefix("old_"): number for name, number in before.items()}
    assert iceberg.spec().fields == partition_spec(table).fields
    order = [iceberg.schema().find_field(field.source_id).name for field in iceberg.sort_order().fields]
    assert order == list(table.sorted_by)
    assert [field.doc for field in iceberg.schema().fields] == [column.doc for column in table.columns]
    check_columns(iceberg, table)
    check_row(home, table, row_of(table))
    assert pin(iceberg, home).rows().collect().to_dicts() == [row_of(table)]


def test_rows_before_and_after_a_rename_are_counted_by_partition(home: Settings, make: Any) -> None:
    table = renamed(GOLD_RETURN_CORRELATIONS_1D)
    iceberg = make(before_renames(table))
    add_row(iceberg, before_renames(table))
    migrate_table(iceberg, table)
    later = {**row_of(table), "event_date": date(2024, 8, 9)}
    iceberg.append(arrow_table(table, [later, row_of(table)]))
    assert rows_per_slice(iceberg, "event_date") == {date(2024, 8, 8): 2, date(2024, 8, 9): 1}
    assert slice_fingerprints(iceberg, "event_date", [date(2024, 8, 8)]).keys() == {date(2024, 8, 8)}


def test_migrate_adds_moves_and_renames_in_one_commit(home: Settings, make: Any) -> None:
    table = GOLD_INSTRUMENTS
    names = table.column_names
    columns = {column.name: column for column in table.columns}
    first, second, third, *others = names
    old = (replace(columns[first], name="old"), *(columns[name] for name in reversed(others)), columns[second])
    earlier = replace(table, columns=old, primary_key=("old",), sorted_by=("old",), partitioned_by=())
    iceberg = make(earlier)
    add_row(iceberg, earlier)
    before = len(iceberg.metadata.metadata_log)
    now = replace(table, columns=(replace(columns[first], formerly=("older", "old")), *table.columns[1:]))
    with pytest.raises(BadInputError) as caught:
        require_tables(home, [now])
    assert str(caught.value) == (
        f"gold.instruments lacks {third}; has old where {first} is declared; "
        "has its columns in another order than declared; run `lakehouse migrate` once"
    )
    assert migrate_table(iceberg, now) == [
        f"renamed old of gold.instruments to {first}",
        f"added {third} to gold.instruments",
        "put the columns of gold.instruments in their declared order",
    ]
    assert len(iceberg.metadata.metadata_log) == before + 1
    check_row(home, now, {**row_of(table), third: None})


def test_no_former_name_is_a_name_of_today_or_of_two_columns() -> None:
    for table in TABLES:
        names = [*table.column_names, *(name for column in table.columns for name in column.formerly)]
        assert len(names) == len(set(names)), table.identifier


def test_current_name_is_the_declared_one() -> None:
    table = renamed(RUNS)
    assert [table.current_name(name) for name in ("run_id", "old_run_id", "other")] == ["run_id", "run_id", "other"]


@pytest.fixture
def settings(tmp_path: Any) -> Settings:
    return read_settings({"LAKEHOUSE_HOME": str(tmp_path / "home")})


def run_row(run_id: str, **values: Any) -> dict[str, Any]:
    """One row of ops.runs."""
    return {"run_id": run_id, "job": "test", "seconds": 0.5, "started_at": VALUES["timestamp"]} | values


def test_migrate_makes_every_declared_table_once(settings: Settings) -> None:
    assert migrate(settings) == [f"made {table.identifier}" for table in TABLES]
    assert migrate(settings) == []
    for table in TABLES:
        iceberg = load(settings, table)
        assert [field.name for field in iceberg.schema().fields] == list(table.column_names)
        assert iceberg.spec().fields == partition_spec(table).fields
        assert iceberg.location() == f"{settings.warehouse_uri}/{table.layer}/{table.name}"


def test_migrate_of_all_tables_lets_a_log_be_appended_to_and_read(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_tables(settings, [RUNS])
    append_log(settings, RUNS, [run_row("r1")])
    host = Column("host", "string", "Where it ran.", nullable=True)
    wider = replace(RUNS, columns=(*RUNS.columns[:2], host, *RUNS.columns[2:]))
    monkeypatch.setattr(migration, "TABLES", (wider,))
    assert migrate(settings) == ["added host to ops.runs"]
    assert migrate(settings) == []
    append_log(settings, wider, [run_row("r2", host="a")])
    rows = read_log(settings, wider).select(["run_id", "host"]).to_pylist()
    assert sorted(rows, key=lambda row: row["run_id"]) == [
        {"run_id": "r1", "host": None},
        {"run_id": "r2", "host": "a"},
    ]


def test_migrate_that_was_killed_between_two_tables_does_the_rest(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = TABLES[:3]
    for table in wanted:
        name = next(column.name for column in table.columns if column.name not in fixed(table))
        require_tables(settings, [without(table, name)])
    monkeypatch.setattr(migration, "TABLES", wanted)
    commit, commits = Transaction.commit_transaction, []

    def killed(transaction: Transaction) -> IcebergTable:
        commits.append(transaction)
        if len(commits) == 2:
            raise KeyboardInterrupt
        return commit(transaction)

    monkeypatch.setattr(Transaction, "commit_transaction", killed)
    with pytest.raises(KeyboardInterrupt):
        migrate(settings)
    monkeypatch.setattr(Transaction, "commit_transaction", commit)
    require_tables(settings, wanted[:1])
    with pytest.raises(BadInputError, match="lacks"):
        require_tables(settings, wanted[1:2])
    assert [re.sub("added .* to ", "", change) for change in migrate(settings)] == [t.identifier for t in wanted[1:]]
    require_tables(settings, wanted)


def test_a_column_of_another_type_is_refused(settings: Settings) -> None:
    require_tables(settings, [RUNS])
    columns = tuple(replace(c, type="string") if c.name == "seconds" else c for c in RUNS.columns)
    for refuse in (require_tables, migrate):
        with pytest.raises(BadInputError) as caught:
            refuse(settings, [replace(RUNS, columns=columns)])
        assert str(caught.value) == (
            "ops.runs.seconds is double in the table and string in the declaration; a type can't be migrated: "
            "give the changed column a new name"
        )


@pytest.mark.parametrize("formerly", [(), ("node", "host")], ids=["never declared", "a second former name"])
def test_a_column_that_is_not_declared_is_refused(settings: Settings, formerly: tuple[str, ...]) -> None:
    require_tables(settings, [RUNS])
    with load(settings, RUNS).update_schema() as update:
        for name in ("host", *formerly[:1]):
            update.add_column(name, iceberg_type("string", 0))
    machine = Column("machine", "string", "Where it ran.", formerly=formerly, nullable=True)
    for refuse in (require_tables, migrate):
        with pytest.raises(BadInputError) as caught:
            refuse(settings, [replace(RUNS, columns=(*RUNS.columns, machine))])
        assert str(caught.value) == (
            "ops.runs has the column host, which is not declared: a newer version of this software has changed the "
            "table; update the installation"
        )


def test_migrate_beside_another_commit_ends_as_a_conflict(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    require_tables(settings, [without(RUNS, "seconds")])

    def fail(*_: Any, **__: Any) -> None:
        raise CommitFailedException("Table has been updated by another process")

    monkeypatch.setattr(migration, "TABLES", (RUNS,))
    monkeypatch.setattr(SqlCatalog, "commit_table", fail)
    with pytest.raises(ConflictError) as caught:
        migrate(settings)
    assert str(caught.value) == ("another program changed ops.runs at the same moment; run `lakehouse migrate` again")


def test_migrate_without_a_catalog_is_unavailable(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OperationalError("UPDATE iceberg_tables", (), Exception("database is locked"))

    require_tables(settings, [without(RUNS, "seconds")])
    monkeypatch.setattr(migration, "TABLES", (RUNS,))
    monkeypatch.setattr(SqlCatalog, "commit_table", fail)
    with pytest.raises(UnavailableError, match=r"^the catalog or the store is away \(.*locked\); run the same again$"):
        migrate(settings)


def test_a_namespace_that_another_process_makes_at_once_is_taken_as_it_is(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_catalog(settings).create_namespace(RUNS.layer)
    exists, asked = SqlCatalog.namespace_exists, []

    def not_yet(opened: SqlCatalog, name: Any) -> bool:
        asked.append(name)
        return len(asked) > 1 and exists(opened, name)  # at first as before the other's commit

    monkeypatch.setattr(SqlCatalog, "namespace_exists", not_yet)
    require_tables(settings, [RUNS])
    assert load(settings, RUNS).current_snapshot() is None
