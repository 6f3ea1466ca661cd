"""Bronze: what becomes of the files of a landing folder, one run after the other."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, timedelta

import pyarrow.compute as pc
import pytest

from lakehouse.errors import ExitCode
from lakehouse.lake.catalog import read_log
from lakehouse.lake.history import SLICES
from lakehouse.tables.finance import BRONZE_QUOTES, BRONZE_TRADES
from lakehouse.tables.logs import RUNS
from lakehouse.tables.manifest import BRONZE_FILES
from spark_jobs.finance import bronze_quotes, bronze_trades

DAY = date(2024, 8, 8)
NEXT_DAY = date(2024, 8, 9)
NOON = datetime(2024, 8, 8, 12)


def trades(count, first_id=1, price="100.5", start=NOON):
    """Some trades, one a second."""
    return [(first_id + n, price, "0.25", start + timedelta(seconds=n)) for n in range(count)]


def verdicts(lake):
    return {(file, verdict) for file, verdict in lake.values(BRONZE_FILES, "_source_file", "verdict")}


def outcomes(lake):
    """What ops.runs says of each run, in the order of the runs."""
    rows = read_log(lake.settings, RUNS).sort_by("started_at")
    return [tuple(row.values()) for row in rows.select(["job", "outcome", "exit_code", "rows_in"]).to_pylist()]


def test_bronze_keeps_lines_as_the_file_has_them_and_describes_the_delivery(lake, binance_zip):
    path = binance_zip(
        lake.landing,
        "BTCUSDT",
        DAY,
        [
            (7, "100.50", "0.250", datetime(2024, 8, 8, 23, 59, 59, 999000)),
            (
                8,
                "0",
                "-1",
                datetime(2024, 8, 9, 0, 0, 0, 1000),
            ),  # an event of the next day; values are silver's business
            "9,abc,1,1,not a time,true,true",
            "a line of another format",
        ],
    )
    outcome = lake.run(bronze_trades.JOB)
    assert (outcome.exit_code, outcome.message) == (0, "published 2024-08-08; 1 files read")

    lines = lake.values(
        BRONZE_TRADES,
        *("_source_line", "event_date", "raw_trade_id", "raw_price", "raw_size", "raw_time", "aggressor_side"),
        *("raw_line", "sequence", "price_divisor", "_source_member"),
    )
    member = "BTCUSDT-trades-2024-08-08.csv"
    assert lines == [
        (1, DAY, "7", "100.50", "0.250", "1723161599999", "sell", None, 1, 1, member),
        (2, NEXT_DAY, "8", "0", "-1", "1723161600001", "buy", None, 2, 1, member),
        (3, DAY, "9", "abc", "1", "not a time", "sell", None, 3, 1, member),
        (4, DAY, None, None, None, None, None, "a line of another format", 4, 1, member),
    ]
    assert lake.rows(BRONZE_FILES).drop(["_source_sha256", "_ingested_at"]).to_pylist() == [
        {
            "delivery_date": DAY,
            "dataset": "trades",
            "source": "binance_trades",
            "subject": "BTCUSDT.BINANCE",
            "delivery_part": "",
            "_source_file": "BTCUSDT/BTCUSDT-trades-2024-08-08.zip",
            "bytes": path.stat().st_size,
            "rows": 4,
            "first_ts_event": datetime(2024, 8, 8, 23, 59, 59, 999000, tzinfo=UTC),
            "last_ts_event": datetime(2024, 8, 9, 0, 0, 0, 1000, tzinfo=UTC),
            "first_interval_start": None,
            "last_interval_start": None,
            "event_dates": [DAY, NEXT_DAY],
            "verdict": "accepted",
            "reason": None,
            "read_as": None,
        }
    ]


def test_bronze_reads_each_file_once(lake, binance_zip):
    path = binance_zip(lake.landing, "BTCUSDT", DAY, trades(5))
    binance_zip(lake.landing, "BTCUSDT", NEXT_DAY, trades(3, 6, start=NOON + timedelta(days=1)))
    dry = lake.run(bronze_trades.JOB, is_dry_run=True)
    assert dry.exit_code == 0
    assert dry.message.splitlines()[0] == "finance.bronze_trades would replace 2024-08-08..2024-08-09"
    assert f"read {path.relative_to(lake.landing)} ({path.stat().st_size} bytes, sha256 " in dry.message.splitlines()[1]
    assert (lake.main(BRONZE_TRADES), lake.main(BRONZE_FILES), outcomes(lake)) == (None, None, [])

    assert lake.run(bronze_trades.JOB, [DAY]).slices == (DAY,)
    assert lake.snapshots(BRONZE_TRADES)[0][SLICES] == "2024-08-08"
    before = (lake.main(BRONZE_TRADES), lake.main(BRONZE_FILES))
    shutil.copy(path, lake.landing / "BTCUSDT-trades-2024-08-08.zip")  # the same bytes in another folder
    again = lake.run(bronze_trades.JOB, [DAY])
    assert (again.outcome, again.exit_code, again.slices) == ("done already", 0, ())
    assert (lake.main(BRONZE_TRADES), lake.main(BRONZE_FILES)) == before

    late = lake.run(bronze_trades.JOB)
    assert late.slices == (NEXT_DAY,)
    assert lake.snapshots(BRONZE_TRADES)[0][SLICES] == "2024-08-09"
    assert lake.rows(BRONZE_TRADES).num_rows == 8
    assert outcomes(lake) == [
        ("finance.bronze_trades", "published", 0, 5),
        ("finance.bronze_trades", "done already", 0, None),
        ("finance.bronze_trades", "published", 0, 3),
    ]
    assert lake.branches(BRONZE_TRADES) == lake.branches(BRONZE_FILES) == []


def test_bronze_refuses_other_bytes_replaces_them_on_demand_and_restores_the_first(lake, make_lake, binance_zip):
    first = binance_zip(lake.landing, "BTCUSDT", DAY, trades(5))
    binance_zip(lake.landing, "ETHUSDT", DAY, trades(4, price="30"))
    lake.run(bronze_trades.JOB)
    of_first = (lake.digest(BRONZE_TRADES), lake.main(BRONZE_TRADES))
    content = first.read_bytes()
    sha256 = dict(lake.values(BRONZE_FILES, "_source_file", "_source_sha256"))

    binance_zip(lake.landing, "BTCUSDT", DAY, trades(6, price="101"))
    refused = lake.run(bronze_trades.JOB)
    assert refused.exit_code == ExitCode.BAD_INPUT
    assert f"accepted sha256 {sha256['BTCUSDT/BTCUSDT-trades-2024-08-08.zip']}" in refused.message
    assert "found sha256 " in refused.message
    assert (lake.digest(BRONZE_TRADES), lake.main(BRONZE_TRADES)) == of_first

    replaced = lake.run(bronze_trades.JOB, is_replacing=True)
    assert (replaced.exit_code, replaced.slices) == (0, (DAY,))
    scratch = make_lake("scratch")
    scratch.run(bronze_trades.JOB, landing=lake.landing)
    assert lake.digest(BRONZE_TRADES) == scratch.digest(BRONZE_TRADES) != of_first[0]

    first.write_bytes(content)
    restored = lake.run(bronze_trades.JOB, is_replacing=True)
    assert (restored.outcome, restored.slices) == ("published", (DAY,))
    assert lake.digest(BRONZE_TRADES) == of_first[0]
    assert sorted(lake.values(BRONZE_FILES, "subject", "rows", "verdict")) == [
        ("BTCUSDT.BINANCE", 5, "accepted"),
        ("BTCUSDT.BINANCE", 6, "superseded"),
        ("ETHUSDT.BINANCE", 4, "accepted"),
    ]


def test_bronze_quarantines_damaged_files_and_goes_on(lake, binance_zip):
    whole = binance_zip(lake.landing, "BTCUSDT", DAY, trades(5))
    cut = binance_zip(lake.landing, "ETHUSDT", DAY, trades(500))
    cut.write_bytes(cut.read_bytes()[:-100])
    text = binance_zip(lake.landing, "XRPETH", NEXT_DAY, [])
    text.write_bytes(b"<html>502 Bad Gateway</html>")

    strict = lake.run(bronze_trades.JOB, is_strict=True)
    assert strict.exit_code == ExitCode.BAD_INPUT
    assert "2 of 3 files can't be read and --strict publishes nothing then" in strict.message
    assert (lake.main(BRONZE_TRADES), lake.main(BRONZE_FILES)) == (None, None)

    outcome = lake.run(bronze_trades.JOB)
    assert outcome.exit_code == ExitCode.QUARANTINED
    assert outcome.message == (
        "published 2024-08-08..2024-08-09; 3 files read, 2 of them quarantined (reasons in bronze.files)"
    )
    assert verdicts(lake) == {
        (str(whole.relative_to(lake.landing)), "accepted"),
        (str(cut.relative_to(lake.landing)), "quarantined"),
        (str(text.relative_to(lake.landing)), "quarantined"),
    }
    assert all(reason for (reason, verdict) in lake.values(BRONZE_FILES, "reason", "verdict") if verdict != "accepted")
    assert lake.values(BRONZE_TRADES, "instrument_id", "_source_line") == [("BTCUSDT.BINANCE", n) for n in range(1, 6)]

    again = lake.run(bronze_trades.JOB)
    assert (again.outcome, again.exit_code) == ("done already", 0)
    assert outcomes(lake) == [
        ("finance.bronze_trades", "bad input", 2, None),
        ("finance.bronze_trades", "quarantined", 5, 5),
        ("finance.bronze_trades", "done already", 0, None),
    ]

    binance_zip(lake.landing, "ETHUSDT", DAY, trades(500))  # delivered again, whole
    repaired = lake.run(bronze_trades.JOB)
    assert (repaired.exit_code, repaired.slices) == (0, (DAY,))
    assert lake.rows(BRONZE_TRADES).num_rows == 505


def test_bronze_of_files_in_any_order_is_the_same(make_lake, binance_zip):
    one_by_one, at_once = make_lake("one"), make_lake("all")
    days = [NEXT_DAY + timedelta(days=2), NEXT_DAY, DAY]
    for day in days:
        for lake in (one_by_one, at_once):
            noon = datetime(day.year, day.month, day.day, 12)
            binance_zip(lake.landing, "BTCUSDT", day, trades(4, start=noon))
        one_by_one.run(bronze_trades.JOB)
    at_once.run(bronze_trades.JOB)
    for table in (BRONZE_TRADES, BRONZE_FILES):
        assert one_by_one.digest(table) == at_once.digest(table)


def test_bronze_of_a_landing_that_is_not_there_is_bad_input(lake):
    outcome = lake.run(bronze_trades.JOB, landing=lake.landing / "nowhere")
    assert outcome.exit_code == ExitCode.BAD_INPUT
    assert str(lake.landing / "nowhere") in outcome.message
    assert outcomes(lake) == [("finance.bronze_trades", "bad input", 2, None)]


def counts(lake, table):
    """Rows per instrument."""
    grouped = lake.rows(table).group_by("instrument_id").aggregate([([], "count_all")])
    return dict(zip(grouped.column("instrument_id").to_pylist(), grouped.column("count_all").to_pylist(), strict=True))


def test_bronze_holds_every_line_of_the_real_trade_files(real_lake):
    found = counts(real_lake, BRONZE_TRADES)
    assert found["XRPETH.BINANCE"] == 12_477
    assert (found["AIG.USA"], found["BAC.USA"]) == (206_337, 573_620)
    files = real_lake.rows(BRONZE_FILES)
    of_trades = files.filter(pc.equal(files.column("dataset"), "trades"))
    assert pc.sum(of_trades.column("rows")).as_py() == sum(found.values())
    assert set(files.column("verdict").to_pylist()) == {"accepted"}


def test_bronze_holds_every_line_of_the_real_quote_files(real_lake):
    found = counts(real_lake, BRONZE_QUOTES)
    assert (found["EURUSD.FXCM"], found["IBM.USA"]) == (1_144_807, 109_067)


@pytest.mark.parametrize("job", [bronze_trades.JOB, bronze_quotes.JOB], ids=lambda job: job.name)
def test_bronze_of_the_same_real_files_again_changes_nothing(real_lake, real_data, job):
    before = (real_lake.main(job.table), real_lake.main(BRONZE_FILES))
    outcome = real_lake.run(job, landing=real_data / "ticks")
    assert (outcome.outcome, outcome.exit_code) == ("done already", 0)
    assert (real_lake.main(job.table), real_lake.main(BRONZE_FILES)) == before
