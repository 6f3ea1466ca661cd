"""Commands that change something: demo, run, migrate, report."""

from __future__ import annotations

import logging
import os
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.errors import BadInputError, ExitCode

if TYPE_CHECKING:
    from lakehouse.settings import Settings

DOMAINS = ("finance", "energy")
"""What the demo builds, in this order."""
VISION = "vision"
"""The domain whose runs are of image sets, not of days."""
DEMO_MODEL = "generated_household_lgbm"
"""Trained on what the demo generates; on your own files, name the model yourself."""

From = Annotated[str | None, typer.Option("--from", metavar="DAY", help="First day, e.g. 2024-08-08.")]
To = Annotated[str | None, typer.Option("--to", metavar="DAY", help="The day after the last one, e.g. 2024-08-09.")]
Landing = Annotated[str | None, typer.Option(metavar="DIR", help="Folder or s3:// prefix of the delivered files.")]


def demo(
    landing: Landing = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the generated files of an earlier demo as they are.")
    ] = False,
) -> None:
    """Build every finance and energy table, from generated files or your own, a model and the quality report.

    \b
    Example: lakehouse demo
             lakehouse demo --landing ~/ticks
    """
    from lakehouse.console import console
    from lakehouse.demo import write_demo_landing
    from lakehouse.demo_power import write_demo_power
    from lakehouse.overview import print_runs, runs_since
    from lakehouse.settings import settings
    from lakehouse.spark_home import submit_command
    from lakehouse.submit import build_report, find_pipeline, spark_submit, train_model

    here, screen = settings(), console()
    _require_ready(here)
    folder = here.home / "demo-landing"
    if landing is None and not (keep and folder.is_dir()):
        screen.print(f"generating small files in the layouts of real feeds: {folder} ...", soft_wrap=True)
        plan = write_demo_landing(folder)
        screen.print(f"  {plan.files} files, {plan.rows:,} lines, days [{plan.first}, {plan.last_exclusive})")
        power = write_demo_power(folder)
        screen.print(f"  1 meter, {power.rows:,} readings, days [{power.first}, {power.last_exclusive})")
    screen.print("starting Spark: bronze, silver, gold, each audited before it is published (two minutes) ...")
    started_at = datetime.now(UTC)
    code = 0
    for domain in DOMAINS:
        code = max(code, spark_submit(find_pipeline(domain), ["--landing", landing or str(folder)]))
        if code not in (ExitCode.DONE, ExitCode.QUARANTINED):
            break
    runs = runs_since(here, started_at)
    if runs:
        print_runs(screen, runs)
    if code not in (ExitCode.DONE, ExitCode.QUARANTINED, ExitCode.AUDIT_FAILED):
        raise typer.Exit(code)
    if landing is None and code == ExitCode.DONE:
        screen.print(f"\ntraining {DEMO_MODEL} on the generated readings ...")
        code = train_model(DEMO_MODEL)
    page = build_report(here)
    seconds = (datetime.now(UTC) - started_at).total_seconds()
    screen.print(f"\n{seconds:.0f} s from files to tables, model and report. Next:")
    example = (
        "SELECT instrument_id, count(*) AS bars, sum(volume) AS volume FROM gold.bars_1m GROUP BY ALL ORDER BY ALL"
    )
    program = submit_command()[0].replace("spark-submit", "lakehouse")
    screen.print(f"  query   {os.path.relpath(program)} query '{example}'", soft_wrap=True)
    if landing is None:
        screen.print(f"  model   {os.path.relpath(program)} models", soft_wrap=True)
    screen.print(f"  report  {page}", soft_wrap=True)
    raise typer.Exit(code)


def run(
    domain: Annotated[str, typer.Argument(help="What to run: finance, energy or vision.")],
    *,
    dataset: Annotated[
        str | None, typer.Option(metavar="SET", help="Of vision: an image set, e.g. mnist; without it all there are.")
    ] = None,
    first: From = None,
    last: To = None,
    landing: Landing = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Let files supersede deliveries with other bytes.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Publish nothing where a file is unreadable.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be read and rewritten.")] = False,
) -> None:
    """Run a domain's jobs for whole days or an image set, from files to gold; without, for all that the files hold.

    \b
    Example: lakehouse run finance --from 2024-08-08 --to 2024-08-09
             lakehouse run finance --from 2024-08-08 --to 2024-08-09 --landing ~/ticks --dry-run
             lakehouse run energy --landing ~/meters
             lakehouse run vision --dataset mnist
    """
    from lakehouse.settings import settings
    from lakehouse.submit import find_pipeline, spark_submit

    if (first is None) != (last is None):
        raise BadInputError("--from and --to belong together: days are [from, to)")
    pipeline = find_pipeline(domain)
    if (first if domain == VISION else dataset) is not None:
        raise BadInputError("--dataset is for vision, --from and --to for the other domains: image sets have no days")
    _require_ready(settings())
    arguments = ["--dataset", dataset] if dataset else []
    if first and last:
        parse_range(first, last)
        arguments += ["--from", first, "--to", last]
    if landing:
        arguments += ["--landing", landing]
    is_debugging = logging.getLogger().isEnabledFor(logging.DEBUG)
    flags = {"--replace": replace, "--strict": strict, "--dry-run": dry_run, "--debug": is_debugging}
    raise typer.Exit(spark_submit(pipeline, [*arguments, *(flag for flag, is_set in flags.items() if is_set)]))


def migrate() -> None:
    """Make the declared tables that are missing and add the columns that are missing; nothing is ever dropped.

    \b
    Example: lakehouse migrate
    """
    from lakehouse.catalog import migrate as migrate_tables
    from lakehouse.image_set import declared_image_sets
    from lakehouse.settings import settings
    from lakehouse.tables.vision import gold_images

    sets = declared_image_sets(settings().landing_root, settings())
    for change in migrate_tables(settings(), map(gold_images, sets)) or ["nothing to do: every table is as declared"]:
        typer.echo(change)


def report(
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Rebuild the data-quality pages from the recorded checks and print where they are.

    \b
    Example: lakehouse report --open
    """
    from lakehouse.settings import settings
    from lakehouse.submit import build_report

    page = build_report(settings())
    typer.echo(page)
    if show:
        typer.launch(page.as_uri())


def _require_ready(settings: Settings) -> None:
    """Name what is missing before a job would fail on it."""
    from lakehouse.doctor import quick_check

    missing = quick_check(settings, os.environ)
    if missing:
        first = missing[0]
        raise BadInputError(f"{first.check}: {first.message}; mend: {first.mend}; all checks: lakehouse doctor")


def parse_range(first: str, last: str) -> tuple[date, date]:
    """Read the days of `--from` and `--to`, which must hold one."""
    from lakehouse.days import day_range, parse_day

    days = parse_day(first), parse_day(last)
    day_range(*days)
    return days
