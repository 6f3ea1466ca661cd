"""A webhook that really listens on loopback, for tests of notices."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

Messages = list[tuple[str, dict[str, Any]]]
"""What was posted: path and content."""


class Webhook(BaseHTTPRequestHandler):
    """Takes what is posted."""

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.messages.append((self.path, json.loads(content)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None: ...


@contextmanager
def serve_webhook() -> Iterator[tuple[str, Messages]]:
    """Serve a webhook; gives its connection, as Airflow reads it, and what is posted to it."""
    server = HTTPServer(("127.0.0.1", 0), Webhook)
    server.messages = []
    address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield json.dumps({"conn_type": "slackwebhook", "host": address, "password": "T0/B0/xyz"}), server.messages
    finally:
        server.shutdown()
        server.server_close()
