"""A TCP proxy before PostgreSQL that loses an answer: the commit is applied, its client sees the connection break."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

UPDATE = b"UPDATE iceberg_tables"
"""How a catalog client commits: one row's metadata location is changed."""


class CuttingProxy:
    """Counts the commits that pass; cuts the connection of the one that was asked for once the server has applied it.

    A client that works in transactions (PyIceberg's) is cut at the COMMIT after its statement, one that does not
    (Iceberg's in the JVM) at the statement itself. `meanwhile` runs between the server's answer and the cut.
    """

    def __init__(self, port: int) -> None:
        self.upstream = port
        self.commits = 0
        self.cut_at = 0
        self.cuts = 0
        self.meanwhile: Callable[[], None] = lambda: None
        self.lock = threading.Lock()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, commit: int, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Count anew, and cut at that commit; 0 cuts none."""
        self.commits, self.cuts, self.cut_at, self.meanwhile = 0, 0, commit, meanwhile

    def close(self) -> None:
        """Take no more connections."""
        self.server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.server.accept()
                server = socket.create_connection(("127.0.0.1", self.upstream))
                is_cut = threading.Event()
                threading.Thread(target=self._forward, args=(client, server, is_cut), daemon=True).start()
                threading.Thread(target=self._answer, args=(server, client, is_cut), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket, is_cut: threading.Event) -> None:
        in_transaction = is_wanted = False
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                in_transaction = in_transaction or b"BEGIN" in data
                if UPDATE in data:
                    is_wanted = self._is_wanted() or is_wanted
                if is_wanted and (not in_transaction or b"COMMIT" in data):
                    is_cut.set()
                    is_wanted = False
                in_transaction = in_transaction and not (b"COMMIT" in data or b"ROLLBACK" in data)
                server.sendall(data)
        _close(client, server)

    def _is_wanted(self) -> bool:
        with self.lock:
            self.commits += 1
            return self.commits == self.cut_at

    def _answer(self, server: socket.socket, client: socket.socket, is_cut: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if is_cut.is_set():  # the server has done it; nobody is told
                    self.meanwhile()
                    self.cuts += 1
                    break
                client.sendall(data)
        _close(server, client)


def _close(*sockets: socket.socket) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
