"""What the services of `lakehouse up` take of memory, with all that they start: now, and at most while one watches."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from lakehouse.config.settings import Settings
from lakehouse.services import processes

SECONDS_BETWEEN_LOOKS = 5.0


def shares(settings: Settings) -> dict[str, int]:
    """Return the bytes of each service with its children, memory that several share counted once."""
    found = {}
    for name in processes.read_state(settings):
        members = set(processes.family(settings, name))
        for process in [*members]:
            with suppress(psutil.Error):  # PostgreSQL's are sessions of their own
                members |= set(process.children(recursive=True))
        found[name] = 0
        for process in members:
            with suppress(psutil.Error):
                found[name] += process.memory_full_info().pss
    return found


@contextmanager
def watch(settings: Settings) -> Iterator[list[dict[str, int]]]:
    """Look again and again until the block ends; gives the list that grows with each look."""
    looks: list[dict[str, int]] = []
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(SECONDS_BETWEEN_LOOKS):
            looks.append(shares(settings))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield looks
    finally:
        is_over.set()
        watcher.join()
