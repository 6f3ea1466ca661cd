"""The terminal that a command writes to."""

from __future__ import annotations

import sys

from rich.console import Console

WIDTH_WITHOUT_TERMINAL = 240
"""A pipe or a file has no width; narrower, the longest table's lines would be folded."""


def console() -> Console:
    """Return a console on stdout, as wide as the terminal."""
    return Console(width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL, highlight=False)
