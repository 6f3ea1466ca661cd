"""Fixtures that every test may use: one Spark session per test process, and a lakehouse of its own per test.

Also which tests are slow, what each of several test processes gets, and how much memory one may take.
"""

from __future__ import annotations

import hashlib
import os
import resource
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from xdist.scheduler import LoadScopeScheduling

from lakehouse.config.settings import Settings, read_settings
from lakehouse.lake.catalog import load
from lakehouse.lake.history import main_history, summary_of
from lakehouse.slices import Slice
from lakehouse.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from spark_jobs.engine.job import Outcome, Request, TableJob

TAKES_SECONDS = (
    *("test_cli.py", "test_wheel.py", "test_demo.py", "test_session.py", "test_processes.py", "test_command_line.py"),
    *("test_training.py", "test_tick_gru.py", "test_image_cnn.py", "test_mnist.py", "test_distributed.py"),
    *("test_steps.py", "test_reproduce.py", "test_torch_runtime.py", "test_trino.py", "test_real_ticks.py"),
    *("test_power_lgbm.py", "test_networks.py", "test_predict.py", "test_fit.py", "test_dags.py", "test_unpack.py"),
    *("test_real_files.py", "test_landing_files.py", "test_migration.py"),
)
"""Files whose tests start programs, train models, or go through many files or tables: too long for a look before a
commit."""

NEEDS_SERVERS = ("embedded", "stack")
"""Folders of tests over real servers."""
MOST_MEMORY = 12 << 30
"""Bytes that a test process and each of its children may write to. The usual peak is a quarter of it; without a limit,
the kernel would kill some process and nobody would know which test it was."""


def pytest_configure(config: pytest.Config) -> None:
    """Make a test that takes the machine's memory fail by itself, with its name."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, most))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make test-quick` leaves out, and begin with it: quick files fill what is left of the time."""
    for item in items:
        names = set(getattr(item, "fixturenames", ()))
        is_slow = bool(names & {"spark", "training"}) or item.path.name in TAKES_SECONDS
        if is_slow or {*NEEDS_SERVERS} & {*item.path.parts}:
            item.add_marker("slow")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


class ByFile(LoadScopeScheduling):
    """A file goes to one test process, since its tests share what they set up; those of profile stack share servers."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return "tests/stack" if path.startswith("tests/stack/") else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Deal out files, in the order in which they were collected."""
    return ByFile(config, log)


TradeLine = tuple[int, str, str, datetime] | str
"""Trade id, price, size and time; or a line as it is to stand in the file."""


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real input files; tests that need it skip where it is not there."""
    folder = os.environ.get("LAKEHOUSE_REAL_DATA")
    if not folder:
        pytest.skip("LAKEHOUSE_REAL_DATA is not set: no real input files")
    return Path(folder)


def settings_of(home: Path, /, **overrides: str) -> Settings:
    """Settings of a lakehouse in a folder, small enough for a test."""
    values = {"home": str(home), "spark_master": "local[2]", "driver_memory": "2g", "shuffle_partitions": "2"}
    return read_settings({f"LAKEHOUSE_{name.upper()}": value for name, value in (values | overrides).items()})


@pytest.fixture(scope="session")
def spark_home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of the session's own lakehouse: a catalog belongs to a session, so tests share it."""
    return settings_of(tmp_path_factory.mktemp("lakehouse"))


@pytest.fixture(scope="session")
def spark(spark_home: Settings) -> Iterator[SparkSession]:
    """One session for all tests of the process, on the session's own lakehouse."""
    from spark_jobs.engine.session import build_session

    session = build_session("tests", spark_home)
    yield session
    session.stop()


@dataclass
class Lake:
    """A lakehouse of one test: its own folder, its own catalog in the shared JVM."""

    spark: SparkSession
    settings: Settings
    landing: Path

    def request(self, slices: Sequence[Slice] | None = None, landing: Path | None = None, **flags: bool) -> Request:
        """Build a request; without slices it is for every one."""
        from spark_jobs.engine.job import Request

        chosen = None if slices is None else tuple(slices)
        return Request(self.spark, self.settings, chosen, str(landing or self.landing), **flags)

    def run(
        self, job: TableJob, slices: Sequence[Slice] | None = None, landing: Path | None = None, **flags: bool
    ) -> Outcome:
        """Run one job."""
        from spark_jobs.engine.run import run

        return run(job, self.request(slices, landing, **flags))

    def rows(self, table: Table, ref: str = "main") -> pa.Table:
        """The rows of a branch in a total order: by primary key, then by the other columns."""
        iceberg = load(self.settings, table)
        main = iceberg.refs().get(ref)
        scan = iceberg.scan(snapshot_id=main.snapshot_id if main else None)
        rows = scan.to_arrow().select(list(table.column_names))
        flat = [name for name in table.column_names if not pa.types.is_nested(rows.schema.field(name).type)]
        keys = [*table.primary_key, *(name for name in flat if name not in table.primary_key)]
        return rows.sort_by([(name, "ascending") for name in keys])

    def values(self, table: Table, *columns: str) -> list[tuple[Any, ...]]:
        """The values of some columns on `main`, in the order of `rows`."""
        rows = self.rows(table)
        return list(zip(*(rows.column(name).to_pylist() for name in columns), strict=True))

    def digest(self, table: Table) -> str:
        """SHA-256 of what two equal tables agree on, whatever files their rows lie in."""
        rows = self.rows(table)
        digest = hashlib.sha256(str(rows.num_rows).encode())
        for name in table.digest_columns:
            column = rows.column(name)
            if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
                texts = [repr(value) for value in column.to_pylist()]
            else:
                texts = pc.fill_null(pc.cast(column, pa.string()), "\0").to_pylist()
            digest.update("\x1f".join([name, *texts]).encode())
        return digest.hexdigest()

    def snapshots(self, table: Table) -> list[dict[str, str]]:
        """What the snapshots of `main` say of themselves, newest first."""
        return [summary_of(snapshot) for snapshot in main_history(load(self.settings, table))]

    def main(self, table: Table) -> int | None:
        """The snapshot that `main` is at."""
        main = load(self.settings, table).refs().get("main")
        return main.snapshot_id if main else None

    def branches(self, table: Table) -> list[str]:
        """The names of the audit branches."""
        return sorted(name for name in load(self.settings, table).refs() if name != "main")


def new_lake(spark: SparkSession, folder: Path, name: str, **overrides: str) -> Lake:
    """Make a lakehouse without tables below a folder."""
    from spark_jobs.engine.session import connect_catalog

    settings = settings_of(folder / name, **overrides)
    session = spark.newSession()  # catalogs belong to a session
    connect_catalog(session, settings)
    landing = folder / f"{name}-landing"
    landing.mkdir(exist_ok=True)
    return Lake(session, settings, landing)


@pytest.fixture
def make_lake(spark: SparkSession, tmp_path: Path) -> Any:
    """Make lakehouses by name, for tests that compare two."""
    return partial(new_lake, spark, tmp_path)


@pytest.fixture(scope="session")
def real_lake(spark: SparkSession, real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lakehouse with every real tick file in bronze, made once for all tests that only read it."""
    from spark_jobs.finance import bronze_quotes, bronze_trades

    lake = new_lake(spark, tmp_path_factory.mktemp("real"), "lake")
    for job in (bronze_trades.JOB, bronze_quotes.JOB):
        outcome = lake.run(job, landing=real_data / "ticks")
        assert outcome.exit_code == 0, outcome.message
    return lake


@pytest.fixture
def lake(make_lake: Any) -> Lake:
    """A lakehouse without tables."""
    return make_lake("lake")


def write_binance_zip(folder: Path, symbol: str, day: date, lines: Iterable[TradeLine], name: str = "") -> Path:
    """Write a day's dump in the exchange's layout; equal lines give equal bytes."""
    texts = []
    for line in lines:
        if isinstance(line, str):
            texts.append(line)
            continue
        number, price, size, time = line
        quote = Decimal(price) * Decimal(size)
        milliseconds = int(time.replace(tzinfo=UTC).timestamp() * 1000)
        texts.append(f"{number},{price},{size},{quote},{milliseconds},{'true' if number % 2 else 'false'},true")
    stem = f"{symbol}-trades-{day}"
    path = folder / symbol / (name or f"{stem}.zip")
    path.parent.mkdir(parents=True, exist_ok=True)
    member = zipfile.ZipInfo(f"{stem}.csv", date_time=(2024, 1, 1, 0, 0, 0))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, "".join(f"{text}\n" for text in texts))
    return path


@pytest.fixture(scope="session")
def lakes() -> Any:
    """lakes(spark, folder, name) opens a lakehouse below a folder, in a session of its own."""
    return new_lake


@pytest.fixture(scope="session")
def binance_zip() -> Any:
    """binance_zip(landing, "BTCUSDT", day, [(id, price, size, time), "or a raw line"], name="") -> path."""
    return write_binance_zip
