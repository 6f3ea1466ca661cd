"""What one check of this machine found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "missing"]


@dataclass(frozen=True)
class Finding:
    """What one check found. `fix` is a command line, empty where all is well."""

    check: str
    state: State
    message: str
    fix: str = ""
