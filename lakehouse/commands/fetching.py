"""The commands of `lakehouse fetch`: published files into the landing folder, each checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lakehouse.commands.jobs import Landing, parse_range
from lakehouse.errors import BadInputError


def binance(
    symbol: Annotated[str, typer.Option(help="Spot symbol, e.g. BTCUSDT.")],
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="First day, e.g. 2024-08-08.")],
    last: Annotated[str, typer.Option("--to", metavar="DAY", help="The day after the last one.")],
    landing: Landing = None,
    dataset: Annotated[str, typer.Option(help="trades or aggTrades.")] = "trades",
) -> None:
    """Download Binance's public spot dumps, day by day; files that are there and right are kept.

    \b
    Example: lakehouse fetch binance --symbol BTCUSDT --from 2024-08-08 --to 2024-08-09
    """
    from lakehouse.config.settings import settings
    from lakehouse.landing.fetch_ticks import fetch_binance

    days = parse_range(first, last)
    root = _folder(landing or settings().landing_root)
    for path in fetch_binance(symbol, *days, root, dataset=dataset, on_progress=_say):
        typer.echo(path)


def power(landing: Landing = None) -> None:
    """Download UCI's household power file (about 20 MB); its sha256 is recorded the first time and checked later.

    \b
    Example: lakehouse fetch power
    """
    from lakehouse.config.settings import settings
    from lakehouse.landing.fetch_power import fetch_power

    typer.echo(fetch_power(_folder(landing or settings().landing_root), on_progress=_say))


def mnist(landing: Landing = None) -> None:
    """Download MNIST (four files, 12 MB), checked against the published MD5 and our SHA-256.

    \b
    Example: lakehouse fetch mnist
    """
    _images("mnist", landing)


def cifar10(landing: Landing = None) -> None:
    """Download CIFAR-10's binary version (163 MB), checked against its MD5; its sha256 is recorded the first time.

    \b
    Example: lakehouse fetch cifar10
    """
    _images("cifar10", landing)


def _images(name: str, landing: str | None) -> None:
    from lakehouse.config.settings import settings
    from lakehouse.landing.fetch_images import fetch_images

    for path in fetch_images(name, _folder(landing or settings().landing_root), on_progress=_say):
        typer.echo(path)


def _folder(landing: str) -> Path:
    """Take a landing for a folder to download into."""
    if "://" in landing:
        raise BadInputError(f"expected a folder to download into, found {landing}; name one with --landing")
    return Path(landing)


def _say(line: str) -> None:
    typer.echo(f"  {line}", err=True)


def land(
    folder: Annotated[Path, typer.Argument(help="A folder of delivered files.")],
    to: Annotated[str, typer.Option(help="Folder or prefix below the landing root that they go to.")] = "",
) -> None:
    """Copy a folder of files to where files land: in profile stack, the bucket `landing`.

    \b
    Example: lakehouse land ~/ticks --to ticks
    """
    from lakehouse.config.settings import settings
    from lakehouse.lake.store import copy_folder

    if not folder.is_dir():
        raise BadInputError(f"expected a folder of files, found none at {folder}")
    target = "/".join(part for part in (settings().landing_root, to.strip("/")) if part)
    typer.echo(f"{copy_folder(folder, target, settings())} files at {target}")
