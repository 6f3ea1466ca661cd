"""Opening the catalog: a database that another process makes at once, and what a REST server may answer."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from pyiceberg.catalog.sql import SqlCatalog, SqlCatalogBaseTable
from sqlalchemy.exc import OperationalError

from lakehouse.config.settings import read_settings
from lakehouse.errors import BadInputError, UnavailableError
from lakehouse.lake import connection
from lakehouse.lake.connection import open_catalog

ERROR = '{"error": {"message": "said the server", "type": "any", "code": 0}}'


@pytest.fixture
def settings(tmp_path):
    return read_settings({"LAKEHOUSE_HOME": str(tmp_path)})


def test_a_new_catalog_opens_where_another_process_makes_its_tables_at_once(settings, monkeypatch):
    make = SqlCatalog.create_tables

    def make_after_another_process(opened):
        make(opened)  # of the other, which was faster
        SqlCatalogBaseTable.metadata.create_all(opened.engine, checkfirst=False)

    monkeypatch.setattr(SqlCatalog, "create_tables", make_after_another_process)
    assert open_catalog(settings).list_namespaces() == []


def test_a_busy_database_is_opened_again_for_two_seconds(settings, monkeypatch):
    outcomes, pauses = ["busy", "busy", "free"], []

    def open_unless_busy(*arguments, **properties):
        if outcomes.pop(0) == "busy":
            raise OperationalError("PRAGMA", (), Exception("database is locked"))
        return SqlCatalog(*arguments, **properties)

    monkeypatch.setattr(connection, "SqlCatalog", open_unless_busy)
    monkeypatch.setattr("time.sleep", pauses.append)
    assert open_catalog(settings).list_namespaces() == []
    assert pauses == [0.1, 0.1]
    clock = iter(range(100))
    monkeypatch.setattr("time.monotonic", lambda: next(clock) * 0.4)
    outcomes += ["busy"] * 100
    with pytest.raises(UnavailableError, match=r"^the catalog can't be opened \(.*database is locked\)"):
        open_catalog(settings)
    assert 93 <= len(outcomes) <= 97  # of 100, one each 0.4 seconds


@pytest.fixture
def answering(tmp_path):
    """answering(status, text) gives the settings of a catalog at a server that answers so whatever it is asked."""
    servers = []

    def serve(status, text):
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.headers["Authorization"])
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *arguments):
                """Nothing on the tests' output."""

        server = HTTPServer(("127.0.0.1", 0), Answer)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        rest = {
            "LAKEHOUSE_HOME": str(tmp_path),
            "LAKEHOUSE_CATALOG_TYPE": "rest",
            "LAKEHOUSE_CATALOG_URI": f"http://127.0.0.1:{server.server_port}",
            "LAKEHOUSE_CATALOG_TOKEN": "bearer-of-nothing",
        }
        return read_settings(rest), asked

    asked = []
    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_login_is_bad_input_that_names_the_settings(answering, status):
    settings, asked = answering(status, ERROR)
    with pytest.raises(BadInputError, match=r"^http://127\.0\.0\.1:\d+ refuses the login .*CATALOG_TOKEN") as caught:
        open_catalog(settings)
    assert "bearer-of-nothing" not in str(caught.value)
    assert asked == ["Bearer bearer-of-nothing"]


@pytest.mark.parametrize(
    ("status", "text", "why"),
    [
        pytest.param(503, ERROR, "said the server", id="not well"),
        pytest.param(200, "<html>hello</html>", "its answer is no REST catalog's", id="another server"),
    ],
)
def test_a_rest_server_that_gives_no_catalog_is_unavailable_in_one_line(answering, status, text, why):
    settings, _ = answering(status, text)
    with pytest.raises(
        UnavailableError, match=rf"the catalog can't be opened \(.*{why}.*\); `lakehouse doctor`"
    ) as caught:
        open_catalog(settings)
    assert "\n" not in str(caught.value)
