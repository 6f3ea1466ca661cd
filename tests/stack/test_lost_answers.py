"""The catalog's answer is lost after PostgreSQL applied a commit, at each commit of a publish, alone and with a second
writer in between: `main` stays readable, every row is there once, and the exit code is 0 or 75.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import pyarrow as pa
import pytest
from cutting_proxy import CuttingProxy
from psycopg import sql

from lakehouse.lake import catalog
from lakehouse.services import postgres
from lakehouse.tables.finance import SILVER_TRADES, SILVER_TRADES_REJECTED
from spark_jobs.finance import bronze_trades, silver_trades

DAY = date(2024, 8, 8)
DAYS = (DAY, DAY + timedelta(days=1))
"""Named in each run: one for every day would also empty the second writer's, of which bronze knows nothing."""
BASE = "lost_answers"
LATER = timedelta(days=30)
TABLES = (SILVER_TRADES, SILVER_TRADES_REJECTED)
COMMITS = 11
"""Of a run of silver.trades: a branch made, written, published and dropped in each of two tables, and three logs."""


@dataclass
class Scene:
    """A catalog that is copied for each case: one day published, the next one in bronze and due in silver."""

    stack: object
    proxy: CuttingProxy
    open_lake: object
    landing: object

    def copy(self, name):
        """Copy the catalog, which is a database; the files that it names stay where they are."""
        with closing(postgres.connect(self.stack.settings, self.stack.settings.catalog_port)) as admin:
            # A database is copied while nobody is in it; who was connects again
            sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            admin.execute(sessions, (BASE,))
            names = {"name": sql.Identifier(name), "base": sql.Identifier(BASE)}
            admin.execute(sql.SQL("CREATE DATABASE {name} TEMPLATE {base} OWNER catalog").format(**names))

    def lake(self, database, *, is_cut=False):
        found = replace(self.open_lake(database, self.proxy.port if is_cut else None), landing=self.landing)
        # The driver would send a statement that it knows by its number alone, and the proxy reads its text
        uri = f"{found.settings.catalog_jdbc_uri}?prepareThreshold=0"
        found.spark.conf.set("spark.sql.catalog.lakehouse.uri", uri)
        return found


@pytest.fixture(scope="module")
def scene(stack, lakes, spark, binance_zip, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lost")
    own = stack.settings
    proxy = CuttingProxy(own.catalog_port)

    def open_lake(database, port=None):
        given = {
            "catalog_port": str(port or own.catalog_port),
            "catalog_database": database,
            "catalog_user": "catalog",
            "catalog_password": own.catalog_password.get_secret_value(),
            "warehouse": "s3://lake/lost_answers",
            "s3_endpoint": own.s3_endpoint,
            "s3_access_key_id": own.s3_access_key_id,
            "s3_secret_access_key": own.s3_secret_access_key.get_secret_value(),
        }
        return lakes(spark, folder, f"{database}-{port}", profile="stack", **given)

    with closing(postgres.connect(own, own.catalog_port)) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER catalog").format(sql.Identifier(BASE)))
    landing = folder / "landing"
    noon = datetime(2024, 8, 8, 12)
    lines = [(number, "100.5", "0.25", noon + timedelta(seconds=number)) for number in range(20)]
    binance_zip(landing, "BTCUSDT", DAY, [*lines, "nonsense"])
    lake = replace(open_lake(BASE), landing=landing)
    for job in (bronze_trades.JOB, silver_trades.JOB):
        assert lake.run(job, slices=DAYS[:1]).exit_code == 0
    next_day = [(number, "101.5", "0.5", noon + timedelta(days=1, seconds=number)) for number in range(20, 45)]
    binance_zip(landing, "BTCUSDT", DAY + timedelta(days=1), [*next_day, next_day[-1], "nonsense"])
    assert lake.run(bronze_trades.JOB).exit_code == 0
    yield Scene(stack, proxy, open_lake, landing)
    proxy.close()


@pytest.fixture(scope="module")
def undisturbed(scene):
    """The digests of a run that nothing disturbs; its commits are counted on the way."""
    scene.copy("lost_none")
    scene.proxy.arm(0)
    assert scene.lake("lost_none", is_cut=True).run(silver_trades.JOB, slices=DAYS).exit_code == 0
    return {table.identifier: scene.lake("lost_none").digest(table) for table in TABLES}, scene.proxy.commits


def append_elsewhere(lake):
    """Commit as a second writer would: a trade of another day, straight to `main`."""
    table = catalog.load(lake.settings, SILVER_TRADES)
    row = table.scan(row_filter=f"event_date = '{DAY}'", limit=1).to_arrow()
    changed = {"event_date": row["event_date"][0].as_py() + LATER, "ts_event": row["ts_event"][0].as_py() + LATER}
    for name, value in changed.items():
        position = row.schema.get_field_index(name)
        row = row.set_column(position, row.schema.field(name), pa.array([value], row.schema.field(name).type))
    table.append(row)


def take_away_elsewhere(lake):
    """Remove the second writer's trade, after it was found to be there once."""
    day = DAY + LATER
    rows = lake.rows(SILVER_TRADES)
    assert rows["event_date"].to_pylist().count(day) == 1
    catalog.load(lake.settings, SILVER_TRADES).delete(f"event_date = '{day}'")


def test_commits_of_a_publish_are_known(undisturbed):
    assert undisturbed[1] == COMMITS


@pytest.mark.parametrize("is_joined", [False, True], ids=["alone", "second writer in between"])
@pytest.mark.parametrize("commit", range(1, COMMITS + 1))
def test_lost_answer_loses_and_doubles_nothing(scene, undisturbed, commit, is_joined):
    database = f"lost_{commit}_{'joined' if is_joined else 'alone'}"
    scene.copy(database)
    lake, direct = scene.lake(database, is_cut=True), scene.lake(database)
    scene.proxy.arm(commit, (lambda: append_elsewhere(direct)) if is_joined else (lambda: None))
    outcome = lake.run(silver_trades.JOB, slices=DAYS)
    assert scene.proxy.cuts == 1
    assert outcome.exit_code in (0, 75), outcome.message

    days = direct.rows(SILVER_TRADES)["event_date"].to_pylist()  # main is readable, whatever was published
    published = days.count(DAY + timedelta(days=1))
    assert (days.count(DAY), published) in ((20, 0), (20, 25))
    if outcome.exit_code == 0:
        assert published == 25

    assert direct.run(silver_trades.JOB, slices=DAYS).exit_code == 0  # the same again
    if is_joined:
        take_away_elsewhere(direct)
    assert {table.identifier: direct.digest(table) for table in TABLES} == undisturbed[0]
