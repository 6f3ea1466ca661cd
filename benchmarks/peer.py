"""What the peers share: their command line, where their Parquet files lie, and the clock of each step.

A peer does the product's work on bare Parquet, without commits, audits, rejected rows or lineage:

  bronze   LANDING's CSV files as they are, one Parquet file a delivery day
  silver   typed; of the lines with one (instrument_id, trade_id, UTC day) the last in file order, which for equal
           copies is as good as the first; price and size above zero; outliers flagged by the product's rule
           (transforms/finance/outliers.py); sorted by instrument_id, ts_event, trade_id
  gold     bars_1m: outliers move no price but count as volume; minutes without a usable trade are filled around the
           clock, from the first trade ever on, with the close carried over midnight; tick_features: the indicators
           that lakehouse/tables/finance.py declares

Every layer is one file a day, so that a day can be replaced: with earlier days done in WORK, `--days` for the next one
measures the increment. Exponential means start from the day before, whose 1440 bars leave no trace of their own start.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path

THREADS = 2
OUTLIER_WINDOW = 50
OUTLIER_MINIMUM_TRADES = 10
OUTLIER_SPREADS = 10.0 * 1.4826
OUTLIER_FLOOR_RATIO = 0.02
LANDING_SUBFOLDER = Path("canonical", "trades", "generated")


@dataclass(frozen=True)
class Run:
    """One call of a peer: the days `[first, last_exclusive)`, what it reads and where it writes."""

    landing: Path
    work: Path
    first: date
    last_exclusive: date

    @property
    def days(self) -> list[date]:
        return [self.first + timedelta(days=number) for number in range((self.last_exclusive - self.first).days)]

    @property
    def day_before(self) -> date:
        return self.first - timedelta(days=1)

    def csv_files(self, day: date) -> list[Path]:
        """The day's files in the order of their parts: later lines win over earlier ones."""
        files = sorted((self.landing / LANDING_SUBFOLDER).glob(f"{day}_*.csv.gz"))
        if not files:
            raise SystemExit(f"no files of {day} in {self.landing / LANDING_SUBFOLDER}; run benchmarks/generate.py")
        return files

    def bronze(self, day: date) -> Path:
        return self.work / "bronze" / f"{day}.parquet"

    def silver(self, day: date) -> Path:
        return self.work / "silver" / f"{day}.parquet"

    def bars(self, day: date) -> Path:
        return self.work / "bars_1m" / f"{day}.parquet"

    def features(self, day: date) -> Path:
        return self.work / "tick_features" / f"{day}.parquet"


Step = Callable[[Run], None]


def add_days_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--days first..last_exclusive`, read as a pair of days."""
    january = (date(2026, 1, 1), date(2026, 2, 1))
    parser.add_argument(
        "--days", type=read_days, default=january, help="first..last_exclusive; default 2026-01-01..2026-02-01"
    )


def read_days(text: str) -> tuple[date, date]:
    first, _, last_exclusive = text.partition("..")
    return date.fromisoformat(first), date.fromisoformat(last_exclusive)


def run_peer(steps: dict[str, Step]) -> None:
    """Read the command line, run the steps one after another and print their seconds as one JSON line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("landing", type=Path)
    parser.add_argument("work", type=Path)
    add_days_argument(parser)
    arguments = parser.parse_args()
    run = Run(arguments.landing, arguments.work, *arguments.days)
    for layer in ("bronze", "silver", "bars_1m", "tick_features"):
        (run.work / layer).mkdir(parents=True, exist_ok=True)
    run_steps({name: partial(step, run) for name, step in steps.items()})


def run_steps(steps: dict[str, Callable[[], None]]) -> None:
    """Run steps one after another and print their seconds as one JSON line."""
    seconds = {}
    for name, step in steps.items():
        started = time.perf_counter()
        step()
        seconds[f"{name}_s"] = round(time.perf_counter() - started, 3)
    print(json.dumps(seconds))
