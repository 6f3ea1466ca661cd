"""Silver trades: which lines become trades, what becomes of the others, and that the order of runs leaves no trace."""

from __future__ import annotations

import zipfile
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow.compute as pc
import pytest

from lakehouse.lake.catalog import read_log
from lakehouse.lake.history import SLICES
from lakehouse.tables.finance import SILVER_TRADES, SILVER_TRADES_REJECTED
from lakehouse.tables.logs import FILE_BALANCES, RUNS
from lakehouse.tables.manifest import BRONZE_FILES
from spark_jobs.finance import bronze_trades, silver_trades

DAY = date(2024, 8, 8)
NEXT_DAY = date(2024, 8, 9)
TABLES = (SILVER_TRADES, SILVER_TRADES_REJECTED)


def at(hour, minute=0, second=0, day=DAY):
    return datetime(day.year, day.month, day.day, hour, minute, second)


def milliseconds(time):
    return int(time.replace(tzinfo=UTC).timestamp() * 1000)


def load(lake, **flags):
    """Run bronze and silver over everything that has landed."""
    bronze = lake.run(bronze_trades.JOB, **flags)
    assert bronze.exit_code in (0, 5), bronze.message
    silver = lake.run(silver_trades.JOB)
    assert silver.exit_code == 0, silver.message
    return silver


def balances(lake, run_id=None):
    """The balance of the last run per event day and file: lines in, rows out, rejected, duplicate."""
    rows = read_log(lake.settings, FILE_BALANCES).sort_by("counted_at").to_pylist()
    assert all(row["is_balanced"] for row in rows)
    last = {(row["event_date"], row["_source_file"].rpartition("/")[2]): row for row in rows}
    return {
        key: (row["lines_in"], row["rows_out"], row["rows_rejected"], row["rows_duplicate"])
        for key, row in last.items()
    }


def test_silver_trades_judges_each_line_by_the_first_rule_that_it_breaks(lake, binance_zip):
    time = milliseconds(at(12))
    far = milliseconds(at(12, day=date(2024, 8, 11)))
    lines = [
        (1, "61837.63000000", "0.02000000", at(12)),
        "an advertisement",
        "3,1.5,1,1.5,soon,true,true",
        f"4,1.5,1,1.5,{far},true,true",
        f"5,1.5x,1,1.5,{time},true,true",
        f"6,12345678901,1,1.5,{time},true,true",  # eleven digits do not fit decimal(18,8)
        f"7,0.123456789,1,1.5,{time},true,true",  # nine decimals would be rounded
        f"8,1.5,,1.5,{time},true,true",
        f"9,0,1,0,{time},true,true",
        f"10,-1.5,0,0,{time},true,true",
        f"11,1.5,0.0,0,{time},true,true",
        (12, "0.00000001", "9999999999", at(12, 0, 1)),
    ]
    binance_zip(lake.landing, "BTCUSDT", DAY, lines)
    outcome = load(lake)
    summary = outcome.summary
    assert (summary.rows_in, summary.rows_out, summary.rows_rejected, summary.rows_duplicate) == (12, 2, 10, 0)

    number = "is no number with at most 10 digits and 8 decimals"
    assert lake.values(SILVER_TRADES_REJECTED, "_source_line", "rule", "reason") == [
        (2, "malformed_line", "the line does not have the fields of its format"),
        (3, "unreadable_time", "no time can be read from 'soon'"),
        (4, "outside_delivery", "the event is of 2024-08-11, more than a day from its delivery of 2024-08-08"),
        (5, "unreadable_price", f"'1.5x' {number}"),
        (6, "unreadable_price", f"'12345678901' {number}"),
        (7, "unreadable_price", f"'0.123456789' {number}"),
        (8, "unreadable_size", f"'' {number}"),
        (9, "non_positive_price", "price '0' is not positive"),
        (10, "non_positive_price", "price '-1.5' is not positive"),
        (11, "non_positive_size", "size '0.0' is not positive"),
    ]
    kept = lake.rows(SILVER_TRADES).drop(["_source_sha256", "_ingested_at"]).to_pylist()
    common = {
        "instrument_id": "BTCUSDT.BINANCE",
        "event_date": DAY,
        "exchange": None,
        "conditions": None,
        "is_suspicious": False,
        "is_outlier": False,
        "source": "binance_trades",
        "delivery_date": DAY,
        "_source_file": "BTCUSDT/BTCUSDT-trades-2024-08-08.zip",
        "_source_member": "BTCUSDT-trades-2024-08-08.csv",
    }
    assert kept == [
        common
        | {
            "ts_event": at(12).replace(tzinfo=UTC),
            "sequence": 1,
            "trade_id": "1",
            "price": Decimal("61837.63000000"),
            "size": Decimal("0.02000000"),
            "aggressor_side": "sell",
            "_source_line": 1,
        },
        common
        | {
            "ts_event": at(12, 0, 1).replace(tzinfo=UTC),
            "sequence": 12,
            "trade_id": "12",
            "price": Decimal("0.00000001"),
            "size": Decimal("9999999999.00000000"),
            "aggressor_side": "buy",
            "_source_line": 12,
        },
    ]
    assert balances(lake) == {(DAY, "BTCUSDT-trades-2024-08-08.zip"): (12, 2, 10, 0)}


def test_silver_trades_keeps_the_first_of_equal_copies_and_the_last_of_changed_ones(lake, binance_zip):
    binance_zip(
        lake.landing,
        "BTCUSDT",
        DAY,
        [
            (1, "100", "1", at(12)),
            (1, "100.0", "1.00", at(12)),  # the same trade, written otherwise
            (2, "100", "1", at(13)),
            (3, "100", "1", at(23, 59, 59)),
            (4, "100", "1", at(23, 59, 59)),
        ],
    )
    binance_zip(
        lake.landing,
        "BTCUSDT",
        NEXT_DAY,
        [
            (3, "100", "1", at(23, 59, 59)),  # delivered again the next day: the first copy stays
            (4, "101", "1", at(23, 59, 59)),  # with another price: this one counts
            (5, "100", "1", at(0, 0, 0, NEXT_DAY)),
        ],
    )
    binance_zip(lake.landing, "ETHUSDT", DAY, [(1, "30", "1", at(12))])  # an id is the instrument's own
    load(lake)
    assert lake.values(
        SILVER_TRADES, "event_date", "instrument_id", "delivery_date", "trade_id", "price", "_source_line"
    ) == [
        (DAY, "BTCUSDT.BINANCE", DAY, "1", Decimal(100), 1),
        (DAY, "BTCUSDT.BINANCE", DAY, "2", Decimal(100), 3),
        (DAY, "BTCUSDT.BINANCE", DAY, "3", Decimal(100), 4),
        (DAY, "BTCUSDT.BINANCE", NEXT_DAY, "4", Decimal(101), 2),
        (DAY, "ETHUSDT.BINANCE", DAY, "1", Decimal(30), 1),
        (NEXT_DAY, "BTCUSDT.BINANCE", NEXT_DAY, "5", Decimal(100), 3),
    ]
    assert lake.values(
        SILVER_TRADES_REJECTED, "delivery_date", "event_date", "raw_trade_id", "raw_price", "rule", "reason"
    ) == [(DAY, DAY, "4", "100", "superseded", "a later line has trade id '4' with other values")]
    assert balances(lake) == {
        (DAY, "BTCUSDT-trades-2024-08-08.zip"): (5, 3, 1, 1),
        (DAY, "BTCUSDT-trades-2024-08-09.zip"): (2, 1, 0, 1),
        (DAY, "ETHUSDT-trades-2024-08-08.zip"): (1, 1, 0, 0),
        (NEXT_DAY, "BTCUSDT-trades-2024-08-09.zip"): (1, 1, 0, 0),
    }
    again = lake.run(silver_trades.JOB)
    assert (again.outcome, again.exit_code) == ("done already", 0)


def test_silver_trades_keeps_equal_rows_without_id_and_splits_a_local_day_by_utc(lake):
    folder = lake.landing / "equity/usa/tick/abc"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "20131007_trade.zip", "w") as archive:
        archive.writestr(
            "20131007_abc_tick_trade.csv",
            "34200000,1012500,100,P,0,0\n"  # 09:30 in New York
            "34200000,1012500,100,P,0,0\n"
            "34200000,1012500,100,P,0,0\n"
            "72000000,1012600,5,D,20000008,1\n",  # 20:00, which is midnight in UTC
        )
    load(lake)
    tuesday = date(2013, 10, 8)
    monday = date(2013, 10, 7)
    opening = datetime(2013, 10, 7, 13, 30, tzinfo=UTC)
    first, last = Decimal("101.25"), Decimal("101.26")
    columns = ("event_date", "ts_event", "sequence", "trade_id", "price", "size", "conditions", "is_suspicious")
    assert lake.values(SILVER_TRADES, *columns) == [
        *((monday, opening, line, None, first, Decimal(100), "0", False) for line in (1, 2, 3)),
        (tuesday, datetime(2013, 10, 8, tzinfo=UTC), 4, None, last, Decimal(5), "20000008", True),
    ]
    assert lake.snapshots(SILVER_TRADES)[0][SLICES] == "2013-10-07..2013-10-08"


def test_silver_trades_of_parts_of_a_day_without_ids_are_all_kept(lake):
    folder = lake.landing / "canonical/trades/acme"
    folder.mkdir(parents=True)
    for part in ("00", "01"):
        (folder / f"{DAY}_{part}.csv").write_text(
            f"instrument_id,ts_event,price,size\nABC.ACME,2024-08-08T{part}:00:00Z,1.5,2\n"
        )
    load(lake)
    assert lake.values(SILVER_TRADES, "ts_event", "price", "_source_file") == [
        (datetime(2024, 8, 8, 0, tzinfo=UTC), Decimal("1.5"), "canonical/trades/acme/2024-08-08_00.csv"),
        (datetime(2024, 8, 8, 1, tzinfo=UTC), Decimal("1.5"), "canonical/trades/acme/2024-08-08_01.csv"),
    ]


def land_three_days(landing, binance_zip, price="100"):
    """Three days whose events reach into the neighbours, with rejected rows, copies and changed copies."""
    for number in range(3):
        day = DAY + timedelta(days=number)
        first = 100 * number
        binance_zip(
            landing,
            "BTCUSDT",
            day,
            [
                (first - 1, "99", "1", at(23, 59, 58, day - timedelta(days=1))),  # changed since the day before
                (first, price, "1", at(23, 59, 59, day - timedelta(days=1))),  # equal to the day before's
                (first + 1, price, "1", at(12, 0, 0, day)),
                (first + 2, price, "0", at(13, 0, 0, day)),
                "nonsense",
                (first + 99, price, "1", at(23, 59, 58, day)),
                (first + 100, price, "1", at(23, 59, 59, day)),
            ],
        )


def test_silver_trades_do_not_depend_on_the_order_of_deliveries(make_lake, binance_zip):
    forward, backward, at_once = make_lake("forward"), make_lake("backward"), make_lake("at_once")
    land_three_days(at_once.landing, binance_zip)
    load(at_once)
    files = sorted(at_once.landing.rglob("*.zip"))
    for lake, ordered in ((forward, files), (backward, list(reversed(files)))):
        for file in ordered:
            target = lake.landing / file.relative_to(at_once.landing)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(file.read_bytes())
            load(lake)
    for table in TABLES:
        assert forward.digest(table) == backward.digest(table) == at_once.digest(table)
    assert at_once.rows(SILVER_TRADES).num_rows == 11
    late = backward.snapshots(SILVER_TRADES)[0]
    assert late[SLICES] == "2024-08-07..2024-08-08"  # the last delivery, of the first day, left the later days alone


def test_silver_trades_after_a_correction_equal_those_of_the_corrected_file_alone(make_lake, binance_zip):
    corrected, scratch = make_lake("corrected"), make_lake("scratch")
    land_three_days(corrected.landing, binance_zip)
    load(corrected)
    lines = [(150, "100", "1", at(12, 0, 0, NEXT_DAY)), "nonsense"]
    land_three_days(scratch.landing, binance_zip)
    for lake in (corrected, scratch):  # without any event of the neighbouring days
        binance_zip(lake.landing, "BTCUSDT", NEXT_DAY, lines)
    load(scratch)
    outcome = load(corrected, is_replacing=True)
    assert outcome.slices == (DAY, NEXT_DAY)
    for table in TABLES:
        assert corrected.digest(table) == scratch.digest(table)


@pytest.fixture(scope="module")
def real_trades(real_lake):
    """The real files' trades; the second run finds nothing to do."""
    outcome = real_lake.run(silver_trades.JOB)
    assert outcome.exit_code == 0, outcome.message
    return real_lake


def sums(rows, column):
    """Add a column up per file."""
    added = rows.group_by("_source_file").aggregate([(column, "sum")])
    return dict(zip(added["_source_file"].to_pylist(), added[f"{column}_sum"].to_pylist(), strict=True))


def test_silver_trades_of_real_files_lose_no_line(real_trades):
    rows = real_trades.rows(SILVER_TRADES)
    counted = rows.group_by("instrument_id").aggregate([([], "count_all")]).to_pylist()
    found = {row["instrument_id"]: row["count_all"] for row in counted}
    expected = {"XRPETH.BINANCE": 12_477, "AIG.USA": 206_337, "BAC.USA": 573_620}
    assert {name: found[name] for name in expected} == expected

    rules = set(real_trades.values(SILVER_TRADES_REJECTED, "rule", "source"))
    assert rules == {("non_positive_size", "lean_trades")}  # zero-size prints of gold futures

    files = real_trades.rows(BRONZE_FILES)
    of_trades = files.filter(pc.equal(files.column("dataset"), "trades"))
    balance = read_log(real_trades.settings, FILE_BALANCES)
    balance = balance.filter(pc.equal(balance.column("table_name"), SILVER_TRADES.identifier))
    assert pc.all(balance.column("is_balanced")).as_py()
    assert pc.sum(balance.column("lines_in")).as_py() == pc.sum(of_trades.column("rows")).as_py()
    # A file has a balance per event day and a row of the manifest per instrument and delivery day.
    assert sums(balance, "lines_in") == sums(of_trades, "rows")


def test_silver_trades_of_real_files_are_not_made_twice(real_trades):
    before = [real_trades.main(table) for table in TABLES]
    outcome = real_trades.run(silver_trades.JOB)
    assert (outcome.outcome, outcome.exit_code) == ("done already", 0)
    assert [real_trades.main(table) for table in TABLES] == before
    last = read_log(real_trades.settings, RUNS).sort_by("started_at").to_pylist()[-1]
    assert (last["job"], last["outcome"], last["exit_code"]) == ("finance.silver_trades", "done already", 0)
