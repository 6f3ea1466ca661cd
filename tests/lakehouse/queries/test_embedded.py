import time
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from pyiceberg.types import LongType

from lakehouse.config.settings import read_settings
from lakehouse.errors import BadInputError
from lakehouse.lake.as_of import resolve_snapshot
from lakehouse.lake.connection import open_catalog
from lakehouse.queries import embedded
from lakehouse.queries.embedded import Reference, find_references, list_identifiers, open_query

UTC_TIME = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [("day", pa.date32()), ("ts_event", UTC_TIME), ("price", pa.decimal128(18, 8)), ("name", pa.string())]
)


def prints(*names: str, price: str = "1.10000000") -> pa.Table:
    moment = datetime(2024, 8, 8, 23, 59, 59, 999999, UTC)
    rows = [{"day": date(2024, 8, 8), "ts_event": moment, "price": Decimal(price), "name": name} for name in names]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


@pytest.fixture
def settings(tmp_path):
    return read_settings({"LAKEHOUSE_HOME": str(tmp_path / "it's home")})


@pytest.fixture
def catalog(settings):
    catalog = open_catalog(settings)
    catalog.create_namespace("silver")
    return catalog


def ask(settings, sql: str, as_of: str | None = None) -> list[dict]:
    with open_query(sql, settings, as_of) as reader:
        return reader.read_all().to_pylist()


def refusal(settings, sql: str, as_of: str | None = None) -> str:
    with pytest.raises(BadInputError) as caught:
        ask(settings, sql, as_of)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_query_returns_exact_decimals_and_times_in_utc(settings, catalog):
    catalog.create_table("silver.prints", SCHEMA).append(prints("a", price="0.12345678"))
    assert ask(settings, "SELECT * FROM lakehouse.silver.prints") == [
        {
            "day": date(2024, 8, 8),
            "ts_event": datetime(2024, 8, 8, 23, 59, 59, 999999, UTC),
            "price": Decimal("0.12345678"),
            "name": "a",
        }
    ]
    # a day is cut in UTC, whatever the zone of the machine
    assert ask(settings, "SELECT CAST(ts_event AS DATE) AS day FROM silver.prints") == [{"day": date(2024, 8, 8)}]


def test_query_joins_tables_and_reads_many_files(settings, catalog):
    table = catalog.create_table("silver.prints", SCHEMA)
    for name in ("a", "b", "c"):
        table.append(prints(name, name))
    catalog.create_table("silver.names", pa.schema([("name", pa.string()), ("weight", pa.int64())])).append(
        pa.table({"name": ["a", "c"], "weight": pa.array([1, 3], pa.int64())})
    )
    joined = 'silver.prints JOIN "silver".names USING (name)'
    sql = f"SELECT name, sum(weight)::BIGINT AS weight FROM {joined} GROUP BY 1 ORDER BY 1"  # noqa: S608
    assert ask(settings, sql) == [{"name": "a", "weight": 2}, {"name": "c", "weight": 6}]


def test_query_of_an_empty_table_has_its_columns_and_types(settings, catalog):
    catalog.create_table("silver.prints", SCHEMA)
    with open_query("SELECT * FROM silver.prints", settings) as reader:
        rows = reader.read_all()
    assert rows.num_rows == 0
    assert rows.schema == SCHEMA


def test_query_of_a_table_whose_rows_were_all_deleted_is_empty(settings, catalog):
    table = catalog.create_table("silver.prints", SCHEMA)
    table.append(prints("a"))
    table.delete("name = 'a'")
    assert ask(settings, "SELECT count(*) AS n, max(price) AS top FROM silver.prints") == [{"n": 0, "top": None}]


def test_query_gives_null_for_a_column_that_older_files_lack(settings, catalog):
    table = catalog.create_table("silver.prints", SCHEMA)
    table.append(prints("old"))
    with table.update_schema() as update:
        update.add_column("size", LongType())
    # before any file has the column it is there, and has its type
    assert ask(settings, "SELECT name, size, typeof(size) AS type FROM silver.prints") == [
        {"name": "old", "size": None, "type": "BIGINT"}
    ]
    table.append(prints("new").append_column("size", pa.array([7], pa.int64())))
    assert ask(settings, "SELECT name, size FROM silver.prints ORDER BY name") == [
        {"name": "new", "size": 7},
        {"name": "old", "size": None},
    ]


@pytest.mark.parametrize("is_local", [True, False], ids=["files of this machine", "files of another store"])
def test_query_reads_main_by_the_names_of_today_and_a_tag_by_those_of_its_time(
    settings, catalog, is_local, monkeypatch
):
    table = catalog.create_table("silver.prints", SCHEMA)
    table.append(prints("old"))
    table.manage_snapshots().create_tag(table.current_snapshot().snapshot_id, "then").commit()
    with table.update_schema() as update:
        update.rename_column("name", "symbol").add_column("size", LongType()).move_first("name")
    if not is_local:
        monkeypatch.setattr(embedded, "local_path", lambda location: None)
    # as long as nothing is published, main's snapshot is one from before the change
    assert ask(settings, "SELECT symbol, size FROM silver.prints") == [{"symbol": "old", "size": None}]
    assert ask(settings, "SELECT name FROM silver.prints", "then") == [{"name": "old"}]
    new = prints("new").rename_columns(["day", "ts_event", "price", "symbol"])
    table.append(new.append_column("size", pa.array([7], pa.int64())))
    assert ask(settings, "SELECT symbol, size FROM silver.prints ORDER BY symbol") == [
        {"symbol": "new", "size": 7},
        {"symbol": "old", "size": None},
    ]
    assert ask(settings, "SELECT symbol FROM silver.prints WHERE symbol = 'old'") == [{"symbol": "old"}]
    with open_query("SELECT * FROM silver.prints", settings) as reader:
        assert reader.schema.names == ["symbol", "day", "ts_event", "price", "size"]


def test_query_as_of_reads_tag_branch_snapshot_and_time(settings, catalog):
    table = catalog.create_table("silver.prints", SCHEMA)
    table.append(prints("a"))
    first = table.current_snapshot()
    table.manage_snapshots().create_tag(first.snapshot_id, "before_b").commit()
    table.manage_snapshots().create_branch(first.snapshot_id, "audit_1").commit()
    time.sleep(0.01)  # snapshots are told apart by milliseconds
    table.append(prints("b"))
    table.append(prints("c"), branch="audit_1")
    count = "SELECT string_agg(name, '' ORDER BY name) AS names FROM silver.prints"
    moment = datetime.fromtimestamp(first.timestamp_ms / 1000, UTC)
    names = {
        as_of: ask(settings, count, as_of)[0]["names"]
        for as_of in (
            None,
            "main",
            "before_b",
            "audit_1",
            str(first.snapshot_id),
            moment.isoformat(),
            moment.replace(tzinfo=None).isoformat(),
        )
    }
    assert list(names.values()) == ["ab", "ab", "a", "ac", "a", "a", "a"]


def test_query_as_of_names_what_there_is_when_it_finds_nothing(settings, catalog):
    table = catalog.create_table("silver.prints", SCHEMA)
    table.append(prints("a"))
    snapshot_id = table.current_snapshot().snapshot_id
    sql = "SELECT * FROM silver.prints"
    assert refusal(settings, sql, "nightly") == (
        "silver.prints has no tag or branch 'nightly', and it is no snapshot id or time like 2024-08-08T12:00:00Z; "
        "there are main"
    )
    assert refusal(settings, sql, "12") == f"silver.prints has no snapshot 12; it has {snapshot_id}"
    assert refusal(settings, sql, "2020-01-01") == (
        "silver.prints did not exist yet, or is no longer remembered, as of 2020-01-01T00:00:00+00:00"
    )


def test_resolve_snapshot_of_a_table_without_one_is_none(catalog):
    assert resolve_snapshot(catalog.create_table("silver.prints", SCHEMA), None) is None


def test_query_reads_metadata_tables_in_both_spellings(settings, catalog):
    table = catalog.create_table("silver.prints", SCHEMA)
    table.append(prints("a", "b"))
    snapshot = table.current_snapshot()
    committed_at = datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC)
    for spelled in ('silver."prints$snapshots"', '"silver.prints$snapshots"', 'lakehouse.silver."prints$snapshots"'):
        sql = f"SELECT snapshot_id, operation, committed_at FROM {spelled}"  # noqa: S608
        assert ask(settings, sql) == [
            {"snapshot_id": snapshot.snapshot_id, "operation": "append", "committed_at": committed_at}
        ]
    assert ask(settings, 'SELECT name, type FROM silver."prints$refs"') == [{"name": "main", "type": "BRANCH"}]
    assert ask(settings, 'SELECT record_count FROM silver."prints$files"') == [{"record_count": 2}]
    assert ask(settings, 'SELECT snapshot_id FROM silver."prints$history"') == [{"snapshot_id": snapshot.snapshot_id}]


def test_query_leaves_out_rows_that_another_engine_deleted(spark, spark_home):
    spark.sql("CREATE NAMESPACE IF NOT EXISTS silver")
    properties = "'format-version' = '2', 'write.delete.mode' = 'merge-on-read'"
    spark.sql(f"CREATE TABLE silver.deleted_from (name STRING) USING iceberg TBLPROPERTIES ({properties})")
    try:
        spark.sql("INSERT INTO silver.deleted_from SELECT /*+ COALESCE(1) */ * FROM VALUES ('a'), ('b'), ('c')")
        spark.sql("DELETE FROM silver.deleted_from WHERE name = 'b'")  # a delete file beside the data file
        assert ask(spark_home, "SELECT name FROM silver.deleted_from ORDER BY name") == [{"name": "a"}, {"name": "c"}]
    finally:
        spark.sql("DROP TABLE silver.deleted_from PURGE")


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        pytest.param("", "expected one statement, found 0", id="nothing"),
        pytest.param("SELECT 1; SELECT 2", "expected one statement, found 2", id="two statements"),
        pytest.param(
            "DELETE FROM silver.prints", "expected a query (SELECT, DESCRIBE, EXPLAIN), found DELETE", id="delete"
        ),
        pytest.param(
            "COPY (SELECT 1) TO '/tmp/x.csv'", "expected a query (SELECT, DESCRIBE, EXPLAIN), found COPY", id="copy"
        ),
        pytest.param("SET threads = 1", "expected a query (SELECT, DESCRIBE, EXPLAIN), found SET", id="setting"),
        pytest.param(
            "SHOW TABLES", "tables are listed by `lakehouse tables`, their columns by DESCRIBE layer.name", id="show"
        ),
        pytest.param(
            "SELECT * FROM silver.prnts", "there is no table silver.prnts; did you mean silver.prints?", id="misspelled"
        ),
        pytest.param(
            "SELECT * FROM nowhere.at_all", "there is no table nowhere.at_all; there are silver.prints", id="unknown"
        ),
        pytest.param(
            "SELEC 1", 'SQL: Parser Error: syntax error at or near "SELEC" (line 1, at: SELEC 1)', id="syntax"
        ),
        pytest.param(
            "SELECT 1,\n  pric FROM silver.prints",
            'SQL: Binder Error: Referenced column "pric" not found in FROM clause! '
            'Candidate bindings: "price" (line 2, at: pric FROM silver.prints)',
            id="column",
        ),
    ],
)
def test_query_refuses_in_one_line(settings, catalog, sql, message):
    catalog.create_table("silver.prints", SCHEMA)
    assert refusal(settings, sql) == message


@pytest.mark.parametrize(
    "function",
    ["read_text('{path}')", "read_csv('{path}')", "glob('{folder}/*')", "read_parquet('{folder}/../*.parquet')"],
)
def test_query_reads_no_other_file(settings, catalog, tmp_path, function):
    secret = tmp_path / "secret.csv"
    secret.write_text("password\n")
    catalog.create_table("silver.prints", SCHEMA).append(prints("a"))
    source = function.format(path=secret, folder=tmp_path)
    message = refusal(settings, f"SELECT * FROM silver.prints, {source}")  # noqa: S608
    assert "file system operations are disabled" in message


def test_query_says_that_there_are_no_tables_yet(settings):
    assert refusal(settings, "SELECT 1") == f"{settings.home} has no tables yet; make some: lakehouse demo"
    assert not settings.home.exists()


def test_find_references_takes_whole_names_in_any_spelling():
    identifiers = ("silver.trades", "silver.trades_rejected", "gold.bars_1m")
    sql = 'select * from Silver.Trades_Rejected, "gold"."bars_1m", old_silver.trades'
    assert find_references(sql, identifiers) == (Reference("silver.trades_rejected"), Reference("gold.bars_1m"))


def test_list_identifiers_sorts_over_namespaces(catalog):
    catalog.create_namespace("bronze")
    for name in ("silver.b", "silver.a", "bronze.z"):
        catalog.create_table(name, SCHEMA)
    assert list_identifiers(catalog) == ("bronze.z", "silver.a", "silver.b")
