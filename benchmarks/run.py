"""The whole comparison: every engine in turn, several rounds, equal checksums demanded, medians printed as tables.

    python benchmarks/run.py LANDING WORK [--rounds 3] [--days 2026-01-01..2026-02-01] [--increments 3]

Engines are interleaved, so that a machine that grows slower does so for all of them. The increment is the last day,
measured cold, after a rebuild of the days before it.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from checksums import compare, layer_files
from measure import Measurement, measure
from peer import read_days

from lakehouse.config.settings import read_settings
from lakehouse.lake.catalog import load
from lakehouse.lake.store import open_filesystem
from lakehouse.tables.finance import GOLD_BARS_1M, GOLD_TICK_FEATURES, SILVER_TRADES

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Engine:
    """One contender: the script that runs it, and whether it is the product."""

    name: str
    script: str
    flags: tuple[str, ...] = ()
    is_product: bool = False

    def command(self, landing: Path, work: Path, first: date, last_exclusive: date) -> list[str]:
        """The command line that computes some days."""
        days = f"{first}..{last_exclusive}"
        return [sys.executable, str(FOLDER / self.script), str(landing), str(work), "--days", days, *self.flags]

    def files(self, work: Path, days: Sequence[date]) -> dict[str, list[Path]]:
        """The Parquet files of each layer after a run."""
        return product_files(work) if self.is_product else layer_files(work, days)


ENGINES = (
    Engine("DuckDB, bare Parquet", "peers_duckdb.py"),
    Engine("Polars, bare Parquet", "peers_polars.py"),
    Engine("lakehouse-tick, without audits", "product.py", ("--without-audits",), is_product=True),
    Engine("lakehouse-tick, with audits", "product.py", is_product=True),
)


def product_files(work: Path) -> dict[str, list[Path]]:
    """The data files on `main` of the tables that are compared."""
    settings = read_settings({"LAKEHOUSE_HOME": str(work)})
    tables = {"silver": SILVER_TRADES, "bars_1m": GOLD_BARS_1M, "tick_features": GOLD_TICK_FEATURES}
    return {
        layer: [
            Path(open_filesystem(task.file.file_path, settings)[1])
            for task in load(settings, table).scan().plan_files()
        ]
        for layer, table in tables.items()
    }


def run_engine(engine: Engine, landing: Path, work: Path, first: date, last_exclusive: date) -> Measurement:
    """Run an engine cold over some days and demand that it succeeds."""
    result = measure(engine.command(landing, work, first, last_exclusive), label=engine.name)
    if result.exit_code:
        raise SystemExit(f"{engine.name} ended with {result.exit_code}")
    print(f"  {result}", flush=True)
    return result


def demand_equal(works: dict[str, Path], days: Sequence[date]) -> None:
    """Stop where an engine's rows differ from the first one's: a time for other rows is no time."""
    reference = ENGINES[0].files(works[ENGINES[0].name], days)
    for engine in ENGINES[1:]:
        found = compare(reference, engine.files(works[engine.name], days))
        if found:
            raise SystemExit(f"{engine.name} differs from {ENGINES[0].name}:\n" + "\n".join(found))


def print_table(title: str, results: dict[str, list[Measurement]]) -> None:
    """Print the medians and, for wall seconds, the range."""
    walls = {name: statistics.median(run.wall_s for run in runs) for name, runs in results.items()}
    best = min(walls[engine.name] for engine in ENGINES if not engine.is_product)
    print(f"\n{title}\n\n| Engine | wall s (range) | CPU s | peak GB | times the best peer (wall) |")
    print("|---|---|---|---|---|")
    for name, runs in results.items():
        span = f"{min(run.wall_s for run in runs):.1f}-{max(run.wall_s for run in runs):.1f}"
        cpu = statistics.median(run.cpu_s for run in runs)
        peak = statistics.median(run.peak_pss_mb for run in runs) / 1000
        print(f"| {name} | {walls[name]:.1f} ({span}) | {cpu:.0f} | {peak:.1f} | {walls[name] / best:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("landing", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--days", type=read_days, default=read_days("2026-01-01..2026-02-01"))
    parser.add_argument("--increments", type=int, help="rounds of one day more; default as many as --rounds")
    arguments = parser.parse_args()
    first, last_exclusive = arguments.days
    last = last_exclusive - timedelta(days=1)
    days = [first + timedelta(days=number) for number in range((last_exclusive - first).days)]
    works = {engine.name: arguments.work / str(number) for number, engine in enumerate(ENGINES)}
    rebuilds: dict[str, list[Measurement]] = {engine.name: [] for engine in ENGINES}
    increments: dict[str, list[Measurement]] = {engine.name: [] for engine in ENGINES}
    for number in range(arguments.rounds):
        print(f"round {number + 1} of {arguments.rounds}", flush=True)
        for engine in ENGINES:
            work = works[engine.name]
            shutil.rmtree(work, ignore_errors=True)
            rebuilds[engine.name].append(run_engine(engine, arguments.landing, work, first, last_exclusive))
        demand_equal(works, days)
    increment_rounds = arguments.rounds if arguments.increments is None else arguments.increments
    for number in range(increment_rounds if len(days) > 1 else 0):
        print(f"increment {number + 1} of {increment_rounds}", flush=True)
        for engine in ENGINES:
            work = works[engine.name]
            shutil.rmtree(work, ignore_errors=True)
            run_engine(engine, arguments.landing, work, first, last)
            increments[engine.name].append(run_engine(engine, arguments.landing, work, last, last_exclusive))
        demand_equal(works, days)
    print_table(f"{len(days)} days, rebuilt", rebuilds)
    if increments[ENGINES[0].name]:
        print_table("One day more, cold", increments)


if __name__ == "__main__":
    main()
