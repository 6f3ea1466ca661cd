"""What the tests of the energy jobs share: the real files, and meter files written for a test."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import pytest

from lakehouse.config.settings import Settings, read_settings

UCI_HEADER = (
    "Date;Time;Global_active_power;Global_reactive_power;Voltage;Global_intensity;"
    "Sub_metering_1;Sub_metering_2;Sub_metering_3"
)
MISSING = "?;?;?;?;?;?;"


@pytest.fixture(scope="session")
def power_files(real_data: Path) -> Path:
    """The folder of real meter files."""
    return real_data / "household_power"


@pytest.fixture
def spark_free_settings(tmp_path: Path) -> Settings:
    """Settings of a lakehouse that is read and written without Spark."""
    return read_settings({"LAKEHOUSE_HOME": str(tmp_path / "home")})


@pytest.fixture
def uci_file() -> Callable[..., Path]:
    """uci_file(folder, [(time, kw), (time, None), "a raw line"]) writes a file in the UCI layout."""

    def write(folder: Path, lines: Iterable[tuple[datetime, float | None] | str], line_end: str = "\n") -> Path:
        texts = [UCI_HEADER]
        for line in lines:
            if isinstance(line, str):
                texts.append(line)
                continue
            time, power = line
            values = MISSING if power is None else f"{power:.3f};0.100;240.000;4.200;0.000;1.000;2.000"
            texts.append(f"{time.day}/{time.month}/{time.year};{time:%H:%M:%S};{values}")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "household_power_consumption.txt"
        path.write_bytes((line_end.join(texts) + line_end).encode())
        return path

    return write
