"""The command `demo`: every domain from files to audited tables, a model of each, and what to look at next."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.commands.jobs import Landing, require_ready
from lakehouse.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import Console

MODELS = {
    "generated_household_lgbm": "the load of the generated household",
    "generated_tick_gru": "returns of generated trades, which carry no signal: the gate is to refuse it",
    "digits_cnn": "scikit-learn's handwritten digits, which are real",
}
"""Trained on what the demo lands; on your own files, name the model yourself."""
EXAMPLE = "SELECT instrument_id, count(*) AS bars, sum(volume) AS volume FROM gold.bars_1m GROUP BY ALL ORDER BY ALL"


def demo(
    landing: Landing = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the generated files of an earlier demo as they are.")
    ] = False,
) -> None:
    """Build every table, from generated files or your own, with three models and the quality report.

    \b
    Example: lakehouse demo
             lakehouse demo --landing ~/ticks
    """
    from lakehouse.commands.console import console
    from lakehouse.commands.submit import EVERY_DOMAIN, build_report, spark_submit
    from lakehouse.config.settings import settings
    from lakehouse.queries.overview import print_runs, runs_since

    here, screen = settings(), console()
    require_ready(here)
    folder = here.home / "demo-landing"
    if landing is None and not (keep and folder.is_dir()):
        land_files(folder, screen)
    screen.print("starting Spark: bronze, silver, gold, each audited before it is published (two minutes) ...")
    started_at = datetime.now(UTC)
    code = spark_submit(EVERY_DOMAIN, ["--landing", landing or str(folder)])
    runs = runs_since(here, started_at)
    if runs:
        print_runs(screen, runs)
    if code not in (ExitCode.DONE, ExitCode.QUARANTINED, ExitCode.AUDIT_FAILED):
        raise typer.Exit(code)
    if landing is None and code == ExitCode.DONE:
        code = train_models(screen)
    page = build_report(here)
    seconds = (datetime.now(UTC) - started_at).total_seconds()
    screen.print(f"\n{seconds:.0f} s from files to tables, models and report. Next:")
    print_next(screen, page, has_models=landing is None)
    raise typer.Exit(code)


def land_files(folder: Path, screen: Console) -> None:
    """Write small files for every domain."""
    from lakehouse.demo.images import write_demo_images
    from lakehouse.demo.landing_files import write_demo_landing
    from lakehouse.demo.power import write_demo_power

    screen.print(f"writing small files in the layouts of real feeds: {folder} ...", soft_wrap=True)
    plan = write_demo_landing(folder)
    screen.print(f"  generated: {plan.files} files, {plan.rows:,} lines, days [{plan.first}, {plan.last_exclusive})")
    power = write_demo_power(folder)
    screen.print(f"  generated: 1 meter, {power.rows:,} readings, days [{power.first}, {power.last_exclusive})")
    images = write_demo_images(folder)
    screen.print(f"  real: {images.train + images.test:,} handwritten digits that come with scikit-learn")


def train_models(screen: Console) -> int:
    """Train the demo's models; a model that its gate refuses is a success of the gate.

    Returns the exit code of the first that failed otherwise, else 0.
    """
    from lakehouse.commands.submit import train_model

    for name, what in MODELS.items():
        screen.print(f"\ntraining {name}: {what} ...", soft_wrap=True)
        code = train_model(name)
        if code == ExitCode.AUDIT_FAILED:
            screen.print(f"  its gate refused {name}: nothing was registered, and that is what the gate is for")
        elif code:
            return code
    return ExitCode.DONE


def print_next(screen: Console, page: Path, *, has_models: bool) -> None:
    """Say what to type and open next."""
    from lakehouse.install.spark_home import submit_command

    program = os.path.relpath(submit_command()[0].replace("spark-submit", "lakehouse"))
    screen.print(f"  query   {program} query '{EXAMPLE}'", soft_wrap=True)
    if has_models:
        screen.print(f"  model   {program} models", soft_wrap=True)
    screen.print(f"  report  {page}", soft_wrap=True)
