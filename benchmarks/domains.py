"""Energy, vision and the volume profile against the same work by hand, with an empty run of the product beside it.

    python benchmarks/domains.py energy LANDING WORK [--rounds 3]      LANDING by generate_readings.py
    python benchmarks/domains.py vision LANDING WORK [--rounds 3]      LANDING has MNIST's four files
    python benchmarks/domains.py profile LANDING WORK [--rounds 3]     LANDING by generate.py; silver is made first

The peer is DuckDB, or NumPy and PyArrow for images, with two threads and bare Parquet. The empty run is the product's
same command again, with nothing to do: what is left of a run without it is the cost of its rows, commits and audits.
Results must be equal (checksums.py), or no time is printed.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from checksums import compare
from measure import Measurement, measure

from lakehouse.config.settings import read_settings
from lakehouse.lake.catalog import load
from lakehouse.lake.connection import open_catalog
from lakehouse.lake.store import open_filesystem
from lakehouse.tables import Table
from lakehouse.tables.energy import GOLD_LOAD_HOURLY, SILVER_POWER_READINGS
from lakehouse.tables.finance import GOLD_VOLUME_PROFILE_1D, SILVER_TRADES
from lakehouse.tables.vision import GOLD_IMAGE_CLASS_COUNTS, GOLD_IMAGE_STATISTICS, gold_images

FOLDER = Path(__file__).parent


def files_of(home: Path, table: Table) -> list[Path]:
    """The data files on `main` of a table."""
    settings = read_settings({"LAKEHOUSE_HOME": str(home)})
    tasks = load(settings, table).scan().plan_files()
    return [Path(open_filesystem(task.file.file_path, settings)[1]) for task in tasks]


def remove(home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)


def remove_profile(home: Path) -> None:
    open_catalog(read_settings({"LAKEHOUSE_HOME": str(home)})).drop_table(GOLD_VOLUME_PROFILE_1D.identifier)


@dataclass(frozen=True)
class Case:
    """A comparison: the tables that are compared, the product's arguments, the peer's script, and what undoes a run."""

    tables: tuple[Table, ...]
    product: tuple[str, ...]
    peer: str
    undo: Callable[[Path], None] = remove
    before: tuple[str, ...] = ()
    """The product's arguments of what must be there first."""
    reads: Table | None = None
    """A table whose files the peer reads; else it reads the landing folder."""


CASES = {
    "energy": Case((SILVER_POWER_READINGS, GOLD_LOAD_HOURLY), ("--domain", "energy"), "peer_energy.py"),
    "vision": Case(
        (gold_images("mnist"), GOLD_IMAGE_STATISTICS, GOLD_IMAGE_CLASS_COUNTS), ("--domain", "vision"), "peer_images.py"
    ),
    "profile": Case(
        (GOLD_VOLUME_PROFILE_1D,),
        ("--jobs", GOLD_VOLUME_PROFILE_1D.identifier),
        "peer_profile.py",
        undo=remove_profile,
        before=("--jobs", "bronze.trades", SILVER_TRADES.identifier),
        reads=SILVER_TRADES,
    ),
}


def run(label: str, script: str, *arguments: Path | str) -> Measurement:
    """Measure one of the scripts of this folder and demand that it succeeds."""
    result = measure([sys.executable, str(FOLDER / script), *map(str, arguments)], label=label)
    if result.exit_code:
        raise SystemExit(f"{label} ended with {result.exit_code}")
    print(f"  {result}", flush=True)
    return result


def run_round(case: Case, landing: Path, work: Path) -> tuple[Measurement, Measurement, Measurement]:
    """Run the peer, the product and the product again; demand equal results."""
    home, bare = work / "home", work / "peer"
    given = (bare, *files_of(home, case.reads)) if case.reads else (landing, bare)
    peer = run("by hand", case.peer, *given)
    product = run("lakehouse-tick", "product.py", landing, home, *case.product)
    empty = run("nothing to do", "product.py", landing, home, *case.product)
    ours = {table.name: files_of(home, table) for table in case.tables}
    found = compare({name: [bare / f"{name}.parquet"] for name in ours}, ours)
    if found:
        raise SystemExit("the results differ:\n" + "\n".join(found))
    return peer, product, empty


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("case", choices=CASES)
    parser.add_argument("landing", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    case, home = CASES[arguments.case], arguments.work / "home"
    remove(home)
    if case.before:
        run("before", "product.py", arguments.landing, home, *case.before)
    rounds = []
    for number in range(arguments.rounds):
        if number:
            case.undo(home)
        rounds.append(run_round(case, arguments.landing, arguments.work))
    print("\n| | wall s | CPU s | peak GB |\n|---|---|---|---|")
    for runs in zip(*rounds, strict=True):
        wall, cpu = (statistics.median(getattr(each, name) for each in runs) for name in ("wall_s", "cpu_s"))
        peak = max(each.peak_pss_mb for each in runs) / 1000
        print(f"| {runs[0].label} | {wall:.1f} | {cpu:.1f} | {peak:.2f} |")
    ratios = [(product.cpu_s - empty.cpu_s) / peer.cpu_s for peer, product, empty in rounds]
    whole = [product.cpu_s / peer.cpu_s for peer, product, _ in rounds]
    print(f"\nCPU without the empty run, times the peer's: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
    print(f"with it: {', '.join(f'{ratio:.1f}' for ratio in whole)}")


if __name__ == "__main__":
    main()
