"""A store that answers somebody without keys is refused, whatever it lets them do."""

from __future__ import annotations

import http.server
import threading
from contextlib import contextmanager

import pytest

from lakehouse.errors import BadInputError, UnavailableError
from lakehouse.services.store_probe import refuse_open_store


@contextmanager
def store(answer):
    """A server that answers `answer(method, path)`; yields its address and the list of requests."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def reply(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            seen.append((self.command, self.path.partition("unsigned-")[0]))
            assert "Authorization" not in self.headers
            self.send_response(answer(self.command, self.path))
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_PUT = do_DELETE = reply  # noqa: N815 - as http.server calls them

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()


def test_denials_pass_and_every_kind_of_request_was_tried():
    with store(lambda method, path: 403) as (address, seen):
        refuse_open_store(address, ["lake"])
    assert seen == [("GET", "/"), ("GET", "/lake?list-type=2&max-keys=1"), ("GET", "/lake/"), ("PUT", "/lake/")]


@pytest.mark.parametrize(
    ("opened", "status", "what"),
    [
        pytest.param(("GET", "/"), 200, "list the buckets, found 200", id="lists its buckets"),
        pytest.param(("GET", "/lake?"), 200, "list lake, found 200", id="lists a bucket"),
        pytest.param(("GET", "/lake/"), 404, "read an object of lake, found 404", id="says that an object is missing"),
        pytest.param(("PUT", "/lake/"), 200, "write an object to lake, found 200", id="takes an object"),
    ],
)
def test_whatever_is_answered_is_refused(opened, status, what):
    method, prefix = opened

    def answer(asked, path):
        is_opened = asked == method and (path == "/" if prefix == "/" else path.startswith(prefix))
        return status if is_opened or asked == "DELETE" else 403

    with store(answer) as (address, seen):
        with pytest.raises(BadInputError, match=what):
            refuse_open_store(address, ["lake"])
        assert (("DELETE", "/lake/") in seen) == (method == "PUT")  # what it wrote, it removes


def test_a_store_that_is_not_well_is_no_denial():
    with store(lambda method, path: 503) as (address, _), pytest.raises(UnavailableError, match="answered 503"):
        refuse_open_store(address, ["lake"])


def test_a_store_that_is_away_is_said_to_be():
    with pytest.raises(UnavailableError, match="does not answer"):
        refuse_open_store("http://127.0.0.1:9", [])
