"""The download against a real HTTP server on this machine, which misbehaves as each test asks it to."""

from __future__ import annotations

import gzip
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lakehouse.errors import BadInputError, UnavailableError
from lakehouse.landing.fetch_ticks import fetch_binance

FIRST, SECOND, THIRD = date(2024, 8, 8), date(2024, 8, 9), date(2024, 8, 10)
NAME = "BTCUSDT-trades-2024-08-08.zip"
FOLDER = "/data/spot/daily/trades/BTCUSDT"
BODY = b"PK generated " * 5000


@dataclass
class Answer:
    """What the server says to one path; `failures` says how often it says 503 before."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    failures: int = 0


class Exchange(ThreadingHTTPServer):
    """A stand-in for the exchange's file server."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Answer] = {}
        self.requested: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def publish(self, name: str, body: bytes, *, sha256: str | None = None) -> None:
        line = f"{sha256 or hashlib.sha256(body).hexdigest()}  {name}\n"
        self.answers[f"{FOLDER}/{name}"] = Answer(body)
        self.answers[f"{FOLDER}/{name}.CHECKSUM"] = Answer(line.encode())


class Handler(BaseHTTPRequestHandler):
    server: Exchange

    def do_GET(self) -> None:
        self.server.requested.append(self.path)
        answer = self.server.answers.get(self.path, Answer(status=404))
        if answer.failures:
            answer.failures -= 1
            answer = Answer(status=503)
        self.send_response(answer.status)
        headers = {"Content-Length": str(len(answer.body))} | answer.headers
        for key, value in headers.items():
            if value:
                self.send_header(key, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def exchange(monkeypatch: pytest.MonkeyPatch) -> Iterator[Exchange]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Exchange()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(exchange: Exchange, landing: Path, last_exclusive: date = SECOND, **options: object) -> list[Path]:
    return fetch_binance(
        "BTCUSDT",
        FIRST,
        last_exclusive,
        landing,
        **{"base_url": exchange.url, "retry_pauses_s": (0.0, 0.0, 0.0), **options},
    )


def files_in(landing: Path) -> dict[str, bytes]:
    return {str(path.relative_to(landing)): path.read_bytes() for path in landing.rglob("*") if path.is_file()}


def test_fetch_binance_stores_each_day_under_the_landing_folder(exchange: Exchange, tmp_path: Path) -> None:
    exchange.publish(NAME, BODY)
    exchange.publish("BTCUSDT-trades-2024-08-09.zip", b"second day")

    paths = fetch(exchange, tmp_path, THIRD)

    expected = {f"binance/BTCUSDT/{NAME}": BODY, "binance/BTCUSDT/BTCUSDT-trades-2024-08-09.zip": b"second day"}
    assert paths == [tmp_path / name for name in expected]
    assert files_in(tmp_path) == expected
    assert paths[0].stat().st_mode & 0o777 == 0o644


def test_fetch_binance_reads_aggregate_trades_from_their_own_folder(exchange: Exchange, tmp_path: Path) -> None:
    name = "BTCUSDT-aggTrades-2024-08-08.zip"
    path = f"/data/spot/daily/aggTrades/BTCUSDT/{name}"
    exchange.answers[path] = Answer(BODY)
    exchange.answers[f"{path}.CHECKSUM"] = Answer(f"{hashlib.sha256(BODY).hexdigest()}  {name}\n".encode())

    fetch(exchange, tmp_path, dataset="aggTrades")

    assert files_in(tmp_path) == {f"binance/BTCUSDT/{name}": BODY}


def test_fetch_binance_keeps_nothing_of_a_file_with_the_wrong_sha256(exchange: Exchange, tmp_path: Path) -> None:
    exchange.publish(NAME, BODY, sha256="ab" * 32)

    with pytest.raises(BadInputError) as raised:
        fetch(exchange, tmp_path)

    assert "ab" * 32 in str(raised.value)
    assert hashlib.sha256(BODY).hexdigest() in str(raised.value)
    assert files_in(tmp_path) == {}


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"<html>maintenance</html>", id="no checksum"),
        pytest.param(b"ab" * 32 + b"  ETHUSDT-trades-2024-08-08.zip\n", id="another file's checksum"),
        pytest.param(b"ab" * 31 + b"  " + NAME.encode() + b"\n", id="hash too short"),
    ],
)
def test_fetch_binance_refuses_a_checksum_file_that_is_none(exchange: Exchange, tmp_path: Path, line: bytes) -> None:
    exchange.publish(NAME, BODY)
    exchange.answers[f"{FOLDER}/{NAME}.CHECKSUM"] = Answer(line)

    with pytest.raises(BadInputError, match=f"expected '<sha256>  {NAME}'"):
        fetch(exchange, tmp_path)

    assert exchange.requested == [f"{FOLDER}/{NAME}.CHECKSUM"]


def test_fetch_binance_refuses_a_redirect_to_another_host(exchange: Exchange, tmp_path: Path) -> None:
    exchange.publish(NAME, BODY)
    # localhost reaches the same server under another name, so following it would succeed
    elsewhere = f"http://localhost:{exchange.server_port}/other/{NAME}"
    exchange.answers[f"{FOLDER}/{NAME}"] = Answer(status=302, headers={"Location": elsewhere})
    exchange.answers[f"/other/{NAME}"] = Answer(BODY)

    with pytest.raises(BadInputError, match=f"redirected to http://localhost:{exchange.server_port}"):
        fetch(exchange, tmp_path)

    assert f"/other/{NAME}" not in exchange.requested
    assert files_in(tmp_path) == {}


def test_fetch_binance_follows_a_redirect_on_the_same_host(exchange: Exchange, tmp_path: Path) -> None:
    exchange.publish(NAME, BODY)
    exchange.answers[f"{FOLDER}/{NAME}"] = Answer(status=302, headers={"Location": f"/moved/{NAME}"})
    exchange.answers[f"/moved/{NAME}"] = Answer(BODY)

    fetch(exchange, tmp_path)

    assert files_in(tmp_path) == {f"binance/BTCUSDT/{NAME}": BODY}


def test_fetch_binance_gives_up_on_a_server_that_redirects_in_circles(exchange: Exchange, tmp_path: Path) -> None:
    checksum = f"{FOLDER}/{NAME}.CHECKSUM"
    exchange.answers[checksum] = Answer(status=302, headers={"Location": checksum})

    with pytest.raises(BadInputError, match="more than 5 redirects"):
        fetch(exchange, tmp_path)


def test_fetch_binance_calls_a_cut_body_safe_to_repeat(exchange: Exchange, tmp_path: Path) -> None:
    exchange.publish(NAME, BODY)
    exchange.answers[f"{FOLDER}/{NAME}"].headers = {"Content-Length": str(len(BODY) + 1)}

    with pytest.raises(UnavailableError, match="safe to repeat"):
        fetch(exchange, tmp_path)

    assert exchange.requested.count(f"{FOLDER}/{NAME}") == 4
    assert files_in(tmp_path) == {}


@pytest.mark.parametrize(
    "length",
    [
        pytest.param(str(len(BODY)), id="Content-Length is true"),
        pytest.param("", id="no Content-Length"),
    ],
)
def test_fetch_binance_stops_at_the_size_limit(exchange: Exchange, tmp_path: Path, length: str) -> None:
    exchange.publish(NAME, BODY)
    exchange.answers[f"{FOLDER}/{NAME}"].headers = {"Content-Length": length}

    with pytest.raises(BadInputError, match=f"over the limit of {len(BODY) - 1} bytes"):
        fetch(exchange, tmp_path, max_bytes=len(BODY) - 1)

    assert files_in(tmp_path) == {}


def test_fetch_binance_counts_bytes_after_decompression(exchange: Exchange, tmp_path: Path) -> None:
    """A body that the server compressed unasked is larger than its Content-Length says."""
    exchange.publish(NAME, BODY)
    bomb = gzip.compress(BODY)
    exchange.answers[f"{FOLDER}/{NAME}"] = Answer(bomb, headers={"Content-Encoding": "gzip"})

    with pytest.raises(BadInputError, match="over the limit"):
        fetch(exchange, tmp_path, max_bytes=len(bomb) * 2)


def test_fetch_binance_names_the_day_that_is_not_published(exchange: Exchange, tmp_path: Path) -> None:
    exchange.publish(NAME, BODY)

    with pytest.raises(BadInputError, match=r"2024-08-09.*not published yet or the symbol unknown"):
        fetch(exchange, tmp_path, THIRD)

    assert files_in(tmp_path) == {f"binance/BTCUSDT/{NAME}": BODY}  # the day that was there stays


def test_fetch_binance_repeats_after_server_errors(exchange: Exchange, tmp_path: Path) -> None:
    exchange.publish(NAME, BODY)
    exchange.answers[f"{FOLDER}/{NAME}.CHECKSUM"].failures = 1
    exchange.answers[f"{FOLDER}/{NAME}"].failures = 3
    said: list[str] = []

    fetch(exchange, tmp_path, on_progress=said.append)

    assert files_in(tmp_path) == {f"binance/BTCUSDT/{NAME}": BODY}
    assert sum("the server answered 503; trying again" in line for line in said) == 4


def test_fetch_binance_gives_up_after_three_repeats(exchange: Exchange, tmp_path: Path) -> None:
    exchange.publish(NAME, BODY)
    exchange.answers[f"{FOLDER}/{NAME}.CHECKSUM"].failures = 4

    with pytest.raises(UnavailableError, match="the server answered 503"):
        fetch(exchange, tmp_path)

    assert exchange.requested == [f"{FOLDER}/{NAME}.CHECKSUM"] * 4


def test_fetch_binance_calls_a_server_that_is_away_unavailable(exchange: Exchange, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="safe to repeat"):
        fetch(exchange, tmp_path, base_url="http://127.0.0.1:1")


def test_fetch_binance_does_not_download_a_file_that_is_there(exchange: Exchange, tmp_path: Path) -> None:
    exchange.publish(NAME, BODY)
    fetch(exchange, tmp_path)
    exchange.requested.clear()

    assert fetch(exchange, tmp_path) == [tmp_path / "binance" / "BTCUSDT" / NAME]
    assert exchange.requested == [f"{FOLDER}/{NAME}.CHECKSUM"]


def test_fetch_binance_replaces_a_file_with_another_sha256(exchange: Exchange, tmp_path: Path) -> None:
    target = tmp_path / "binance" / "BTCUSDT" / NAME
    target.parent.mkdir(parents=True)
    target.write_bytes(BODY[:100])
    exchange.publish(NAME, BODY)

    fetch(exchange, tmp_path)

    assert files_in(tmp_path) == {f"binance/BTCUSDT/{NAME}": BODY}


def test_fetch_binance_removes_what_a_killed_download_left_but_not_a_live_one(
    exchange: Exchange, tmp_path: Path
) -> None:
    folder = tmp_path / "binance" / "BTCUSDT"
    folder.mkdir(parents=True)
    killed, live = folder / f"{NAME}.a.part", folder / f"{NAME}.b.part"
    killed.write_bytes(b"left")
    live.write_bytes(b"growing")
    os.utime(killed, (time.time() - 7200,) * 2)
    exchange.publish(NAME, BODY)

    fetch(exchange, tmp_path)

    assert files_in(tmp_path) == {f"binance/BTCUSDT/{NAME}": BODY, f"binance/BTCUSDT/{NAME}.b.part": b"growing"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"symbol": "../etc"}, "expected a symbol", id="path as symbol"),
        pytest.param({"symbol": "btcusdt"}, "expected a symbol", id="small letters"),
        pytest.param({"symbol": "BTCUSDT\n"}, "expected a symbol", id="line break"),
        pytest.param({"dataset": "klines"}, "expected a dataset of trades, aggTrades", id="unknown dataset"),
        pytest.param({"base_url": "http://data.binance.vision"}, "begins with https://", id="not encrypted"),
        pytest.param({"base_url": "file:///etc"}, "begins with https://", id="no web address"),
        pytest.param({"base_url": "https://me:secret@example.org"}, "without user and password", id="password in URL"),
        pytest.param({"last_exclusive": FIRST}, "holds no day", id="no day"),
    ],
)
def test_fetch_binance_refuses_bad_parameters_before_any_request(
    exchange: Exchange, tmp_path: Path, options: dict[str, object], message: str
) -> None:
    arguments = {"symbol": "BTCUSDT", "first": FIRST, "last_exclusive": SECOND, "base_url": exchange.url} | options

    with pytest.raises(BadInputError, match=message) as raised:
        fetch_binance(landing=tmp_path, **arguments)

    assert "secret" not in str(raised.value)
    assert exchange.requested == []


def test_fetch_binance_calls_a_folder_that_cannot_be_written_safe_to_repeat(exchange: Exchange, tmp_path: Path) -> None:
    (tmp_path / "binance").write_text("a file where the folder belongs")
    exchange.publish(NAME, BODY)

    with pytest.raises(UnavailableError, match="cannot write"):
        fetch(exchange, tmp_path)
