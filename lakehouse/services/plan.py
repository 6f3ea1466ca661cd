"""What a service is started with: the words that the modules of single services and the starter share."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ServicePlan:
    """How one service is started and, where it has pages or takes connections, on which port."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    port: int = 0
    user: str = ""
    """The account that it runs as, where that is not the caller's: PostgreSQL refuses root."""
    stop_signal: int = signal.SIGTERM

    @property
    def whole_command(self) -> tuple[str, ...]:
        """The command with its program's whole path, of this environment."""
        program, *arguments = self.command
        return (program if os.sep in program else str(Path(sys.executable).parent / program), *arguments)
