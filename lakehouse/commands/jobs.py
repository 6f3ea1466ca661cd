"""Commands that change tables: run, migrate."""

from __future__ import annotations

import logging
import os
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.config.project import pipelines
from lakehouse.errors import BadInputError

if TYPE_CHECKING:
    from lakehouse.config.settings import Settings

From = Annotated[str | None, typer.Option("--from", metavar="DAY", help="First day, e.g. 2024-08-08.")]
To = Annotated[str | None, typer.Option("--to", metavar="DAY", help="The day after the last one, e.g. 2024-08-09.")]
Landing = Annotated[str | None, typer.Option(metavar="DIR", help="Folder or s3:// prefix of the delivered files.")]


def run(
    domain: Annotated[str, typer.Argument(help=f"What to run: {', '.join(pipelines())}.")],
    *,
    dataset: Annotated[
        list[str] | None,
        typer.Option(metavar="SET", help="Of images, which have no days: an image set, e.g. mnist; else every set."),
    ] = None,
    first: From = None,
    last: To = None,
    jobs: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this job or table, e.g. silver.trades; may be repeated."),
    ] = None,
    landing: Landing = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Let files supersede deliveries with other bytes.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Publish nothing where a file is unreadable.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be read and rewritten.")] = False,
) -> None:
    """Run a domain's jobs, from files to gold, for whole days or image sets; without either, for all files.

    \b
    Example: lakehouse run finance --from 2024-08-08 --to 2024-08-09
             lakehouse run finance --from 2024-08-08 --to 2024-08-09 --landing ~/ticks --dry-run
             lakehouse run energy --landing ~/meters
             lakehouse run vision --dataset mnist
             lakehouse run finance --jobs silver.trades --jobs gold.bars_1m
    """
    from lakehouse.commands.submit import find_pipeline, spark_submit
    from lakehouse.config.settings import settings
    from lakehouse.tables import has_days

    if (first is None) != (last is None):
        raise BadInputError("--from and --to belong together: days are [from, to)")
    pipeline = find_pipeline(domain)
    if dataset and has_days(domain):
        raise BadInputError(f"--dataset is for image sets; {domain} has days: --from and --to")
    if first and not has_days(domain):
        raise BadInputError(f"--from and --to are for days; {domain} has image sets, which have none: --dataset")
    require_ready(settings())
    chosen = (("--dataset", dataset), ("--jobs", jobs))
    arguments = [part for option, names in chosen for name in names or () for part in (option, name)]
    if first and last:
        parse_range(first, last)
        arguments += ["--from", first, "--to", last]
    if landing:
        arguments += ["--landing", landing]
    is_debugging = logging.getLogger().isEnabledFor(logging.DEBUG)
    flags = {"--replace": replace, "--strict": strict, "--dry-run": dry_run, "--debug": is_debugging}
    raise typer.Exit(spark_submit(pipeline, [*arguments, *(flag for flag, is_set in flags.items() if is_set)]))


def migrate() -> None:
    """Bring all tables to this version: make missing ones; add, rename and move columns. Nothing is ever dropped.

    \b
    Example: lakehouse migrate
    """
    from lakehouse.config.settings import settings
    from lakehouse.lake.migration import migrate as migrate_tables
    from lakehouse.reference.image_set import declared_image_sets
    from lakehouse.tables.vision import gold_images

    sets = declared_image_sets(settings().landing_root, settings())
    for change in migrate_tables(settings(), map(gold_images, sets)) or ["nothing to do: every table is as declared"]:
        typer.echo(change)


def require_ready(settings: Settings) -> None:
    """Name what is missing before a job would fail on it."""
    from lakehouse.install.doctor import quick_check

    missing = quick_check(settings, os.environ)
    if missing:
        first = missing[0]
        raise BadInputError(f"{first.check}: {first.message}; fix: {first.fix}; all checks: lakehouse doctor")


def parse_range(first: str, last: str) -> tuple[date, date]:
    """Read the days of `--from` and `--to`, which must hold one."""
    from lakehouse.slices import day_range, parse_day

    days = parse_day(first), parse_day(last)
    day_range(*days)
    return days
