"""The demo's generated files: same bytes every time, in the layouts of the real feeds, with the dirt they promise."""

from __future__ import annotations

import hashlib
import zipfile
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from lakehouse.demo.landing_files import DemoPlan, write_demo_landing
from lakehouse.errors import BadInputError

DAYS = (date(2026, 1, 5), date(2026, 1, 6), date(2026, 1, 7))


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "landing"
    write_demo_landing(folder)
    return folder


def read_lines(path: Path, line_end: str = "\n") -> list[str]:
    with zipfile.ZipFile(path) as archive:
        (member,) = archive.namelist()
        return archive.read(member).decode("ascii").removesuffix(line_end).split(line_end)


def hashes(landing: Path) -> dict[str, str]:
    return {
        str(path.relative_to(landing)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(landing.rglob("*"))
        if path.is_file()
    }


def test_write_demo_landing_writes_the_layouts_of_the_real_feeds(tmp_path: Path) -> None:
    plan = write_demo_landing(tmp_path)

    zips = [name for name in hashes(tmp_path) if name.endswith(".zip")]
    members = {name: zipfile.ZipFile(tmp_path / name).namelist() for name in zips}
    rows = sum(len(read_lines(tmp_path / name)) for name in zips)
    expected = {
        f"binance/{symbol}/{symbol}-trades-{day}.zip": [f"{symbol}-trades-{day}.csv"]
        for symbol in ("GENBTCUSDT", "GENETHUSDT", "GENXRPUSDT")
        for day in DAYS
    }
    expected |= {
        f"equity/usa/tick/{symbol}/{day:%Y%m%d}_trade.zip": [f"{day:%Y%m%d}_{symbol}_Trade_Tick.csv"]
        for symbol in ("genaa", "genbb")
        for day in DAYS
    }
    expected |= {
        "equity/usa/tick/genaa/20260105_quote.zip": ["20260105_genaa_Quote_Tick.csv"],
        "forex/fxcm/tick/genusd/20260105_quote.zip": ["20260105_genusd_tick_quote.csv"],
    }
    assert members == expected
    assert plan == DemoPlan(first=DAYS[0], last_exclusive=date(2026, 1, 8), files=17, rows=rows)
    assert 150_000 <= rows <= 250_000
    assert "GENERATED" in (tmp_path / "GENERATED.txt").read_text()


def test_write_demo_landing_gives_the_same_bytes_again_and_others_for_another_seed(
    landing: Path, tmp_path: Path
) -> None:
    write_demo_landing(tmp_path / "again")
    write_demo_landing(tmp_path / "other", seed=8)

    assert hashes(tmp_path / "again") == hashes(landing)
    zips = [name for name in hashes(landing) if name.endswith(".zip")]
    other = hashes(tmp_path / "other")
    assert [name for name in zips if other[name] == hashes(landing)[name]] == []


def test_write_demo_landing_gives_a_longer_demo_the_same_first_days(landing: Path, tmp_path: Path) -> None:
    write_demo_landing(tmp_path, days=4)

    longer = hashes(tmp_path)
    assert {name: longer[name] for name in hashes(landing)} == hashes(landing)


def test_write_demo_landing_leaves_equal_files_and_mends_others(tmp_path: Path) -> None:
    write_demo_landing(tmp_path, days=1)
    before = hashes(tmp_path)
    names = [name for name in before if name.endswith(".zip")]
    kept, cut, missing, recompressed = names[:4]
    member = zipfile.ZipFile(tmp_path / recompressed).namelist()[0]
    content = zipfile.ZipFile(tmp_path / recompressed).read(member)
    with zipfile.ZipFile(tmp_path / recompressed, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(member, content)  # the same lines, other bytes: as from another zlib
    (tmp_path / cut).write_bytes((tmp_path / cut).read_bytes()[:1000])
    (tmp_path / missing).unlink()
    stamps = {name: (tmp_path / name).stat().st_mtime_ns for name in (kept, recompressed)}

    write_demo_landing(tmp_path, days=1)

    after = hashes(tmp_path)
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in (kept, recompressed)} == stamps
    assert after.pop(recompressed) != before.pop(recompressed)
    assert after == before


def test_write_demo_landing_does_not_write_among_somebody_elses_files(tmp_path: Path) -> None:
    (tmp_path / "mine.zip").write_bytes(b"mine")

    with pytest.raises(BadInputError, match=r"holds files but no GENERATED\.txt"):
        write_demo_landing(tmp_path)

    assert list(hashes(tmp_path)) == ["mine.zip"]


def test_write_demo_landing_refuses_no_days(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="at least 1 day"):
        write_demo_landing(tmp_path / "landing", days=0)

    assert not (tmp_path / "landing").exists()


def test_write_demo_landing_gives_stocks_no_weekend(tmp_path: Path) -> None:
    write_demo_landing(tmp_path, first=date(2026, 1, 9), days=3)  # Friday to Sunday

    equity_days = {path.name for path in tmp_path.glob("equity/usa/tick/*/*_trade.zip")}
    crypto_days = {path.name for path in tmp_path.glob("binance/GENBTCUSDT/*.zip")}
    assert equity_days == {"20260109_trade.zip"}
    assert crypto_days == {f"GENBTCUSDT-trades-2026-01-{day}.zip" for day in ("09", "10", "11")}


@pytest.mark.parametrize("symbol", ["GENBTCUSDT", "GENETHUSDT", "GENXRPUSDT"])
def test_binance_files_hold_the_dirt_they_promise(landing: Path, symbol: str) -> None:
    found: dict[date, Counter[str]] = {}
    previous: dict[str, str] = {}
    for day in DAYS:
        lines = read_lines(landing / "binance" / symbol / f"{symbol}-trades-{day}.zip")
        found[day] = Counter(binance_faults(lines, day, previous))
        previous = {line.split(",")[0]: line for line in lines}

    alone = {"cut": 1, "no number": 1, "zero price": 1, "far event": 1, "outlier": 1, "sent twice": 1}
    with_yesterday = alone | {"yesterday again": 1, "yesterday corrected": 1}
    assert found == {DAYS[0]: alone, DAYS[1]: with_yesterday, DAYS[2]: with_yesterday}


def binance_faults(lines: list[str], day: date, previous: dict[str, str]) -> list[str]:
    """Name what is wrong with each line that is not an ordinary trade of its day."""
    faults, seen, last = [], set(), None
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    for line in lines:
        fields = line.split(",")
        if len(fields) != 7:
            faults.append("cut")
            continue
        if line in seen:
            faults.append("sent twice")
        seen.add(line)
        if fields[0] in previous:
            faults.append("yesterday again" if previous[fields[0]] == line else "yesterday corrected")
            continue
        if fields[1] == "n/a":
            faults.append("no number")
            continue
        price = Decimal(fields[1])
        if price == 0:
            faults.append("zero price")
        elif last and not Decimal("0.8") < price / last < Decimal("1.25"):
            faults.append("outlier")
        else:
            last = price
        age = datetime.fromtimestamp(int(fields[4]) // 1_000_000, tz=UTC) - midnight
        if age < timedelta(0):
            assert age < timedelta(days=-1)
            faults.append("far event")
    return faults


def test_binance_trades_are_plausible(landing: Path) -> None:
    rows = [
        line.split(",")
        for day in DAYS
        for line in read_lines(landing / "binance/GENXRPUSDT" / f"GENXRPUSDT-trades-{day}.zip")
        if line.count(",") == 6 and "n/a" not in line
    ]
    exact = sum(Decimal(row[1]) * Decimal(row[2]) == Decimal(row[3]) for row in rows)
    assert len(rows) - exact == 3 + 3 + 2  # zero prices, outliers and corrections keep the old quote quantity
    assert {row[5] for row in rows} == {"true", "false"}
    assert all(len(row[4]) == 16 for row in rows)  # microseconds


def test_equity_trades_keep_to_the_session_and_repeat_real_rows(landing: Path) -> None:
    lines = read_lines(landing / "equity/usa/tick/genaa/20260105_trade.zip")
    rows = [line.split(",") for line in lines]
    times = [int(row[0]) for row in rows]
    regular = sum(9.5 * 3_600_000 <= time < 16 * 3_600_000 for time in times)
    repeated = sum(count for count in Counter(lines).values() if count > 1)

    assert times == sorted(times)
    assert times[0] >= 4 * 3_600_000
    assert times[-1] < 20 * 3_600_000
    assert 0.85 < regular / len(rows) < 0.95
    assert 0.04 < repeated / len(rows) < 0.19  # as in real files
    assert {row[4] for row in rows} == {"20000020", "1", "20", "2000", "20100000"}
    assert {row[5] for row in rows} == {"0", "1"}
    # A row that is repeated by chance may double either.
    assert sum(row[1] == "0" for row in rows) in (1, 2)
    assert sum(int(row[1]) > 2_500_000 for row in rows) in (1, 2)


def test_equity_quotes_are_one_sided_or_whole_and_never_crossed(landing: Path) -> None:
    rows = [line.split(",") for line in read_lines(landing / "equity/usa/tick/genaa/20260105_quote.zip")]
    kinds: Counter[str] = Counter()
    for _, bid, bid_size, ask, ask_size, *_ in rows:
        assert (bid == "0") == (bid_size == "0")
        assert (ask == "0") == (ask_size == "0")
        kinds["ask" if bid == "0" else "bid" if ask == "0" else "both" if int(bid) < int(ask) else "crossed"] += 1

    assert set(kinds) == {"ask", "bid", "both"}
    assert kinds["both"] < kinds["bid"]


def test_forex_quotes_have_crlf_and_a_few_crossed(landing: Path) -> None:
    lines = read_lines(landing / "forex/fxcm/tick/genusd/20260105_quote.zip", line_end="\r\n")
    kinds: Counter[str] = Counter()
    for line in lines:
        fields = line.split(",")
        if len(fields) != 3:
            kinds["cut"] += 1
        else:
            kinds["crossed" if Decimal(fields[1]) > Decimal(fields[2]) else "quote"] += 1

    assert kinds == {"quote": 18_000 - 13, "crossed": 12, "cut": 1}
