"""Commands of models: train, models, promote, rollback, predict, reproduce, `setup torch`; found by entry points.

Whatever takes long to import is imported by the command that needs it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="Name of the model: its YAML's, e.g. household_power_lgbm.")
]
Reason = Annotated[str, typer.Option(help="Why; it is kept with the decision.")]


class Step(StrEnum):
    """The steps of training, in their order."""

    PREPARE = "prepare"
    TRAIN = "train"
    EVALUATE = "evaluate"
    REGISTER = "register"
    PROMOTE = "promote"


def train(
    model: Model,
    *,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value of the configuration.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(metavar="POINT", help="Tag, snapshot id or ISO time (UTC) of gold; default is main.")
    ] = None,
    step: Annotated[Step | None, typer.Option(help="Only this step; without it all of them.")] = None,
    run_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Go on with this run, as prepare printed it.")
    ] = None,
) -> None:
    """Train a model from pinned gold, measure it, and register it if it passes its gate.

    \b
    Example: lakehouse train household_power_lgbm
             lakehouse train household_power_lgbm --set num_leaves=63 --as-of 2026-11-01T00:00:00Z
             lakehouse train household_power_lgbm --step evaluate --run-id 0123456789abcdef0123456789abcdef
    """
    from lakehouse.config.settings import settings
    from ml.steps import train_model
    from ml.tracking import open_tracking

    context = open_tracking(settings(), _say)
    run = train_model(context, model, overrides=overrides or (), as_of=as_of, step=step, run_id=run_id)
    typer.echo(run.run_id)


def models(
    reconcile: Annotated[
        bool, typer.Option("--reconcile", help="First bring the tags of gold in line with the versions that there are.")
    ] = False,
) -> None:
    """List the configured models with their versions, aliases and gate verdicts.

    \b
    Example: lakehouse models
             lakehouse models --reconcile
    """
    from lakehouse.config.settings import settings
    from ml.overview import describe_models
    from ml.reconcile import reconcile_tags
    from ml.tracking import open_tracking

    context = open_tracking(settings(), _say)
    if reconcile:
        for line in reconcile_tags(context) or ["every tag has its version or run"]:
            _say(line)
    for line in describe_models(context):
        typer.echo(line)


def promote(
    model: Model,
    version: Annotated[int, typer.Argument(min=1, help="The version that becomes champion.")],
    reason: Reason,
) -> None:
    """Make a version champion by a person's decision, which is kept in registry.promotions.

    \b
    Example: lakehouse promote household_power_lgbm 3 --reason 'holiday weeks are forecast better'
    """
    from lakehouse.config.settings import settings
    from ml.promotion import promote_by_person
    from ml.tracking import open_tracking

    typer.echo(promote_by_person(open_tracking(settings(), _say), model, version, reason))


def rollback(model: Model, reason: Reason = "") -> None:
    """Make the champion before the present one champion again.

    \b
    Example: lakehouse rollback household_power_lgbm --reason 'forecasts of Sunday were off'
    """
    from lakehouse.config.settings import settings
    from ml.promotion import roll_back
    from ml.tracking import open_tracking

    typer.echo(roll_back(open_tracking(settings(), _say), model, reason))


def predict(
    model: Annotated[str, typer.Argument(metavar="MODEL[@ALIAS|/VERSION]", help="Without alias: its champion.")],
    first: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="First day to forecast; images have no days.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DAY", help="The day after the last one.")] = None,
    as_of: Annotated[
        str | None, typer.Option(metavar="POINT", help="Tag, snapshot id or ISO time (UTC) of gold; default is main.")
    ] = None,
) -> None:
    """Forecast days, or classify all images of a set, and publish it to gold, audited like every table.

    \b
    Example: lakehouse predict household_power_lgbm@champion --from 2007-06-01 --to 2007-07-01
             lakehouse predict mnist_cnn@champion
    """
    from lakehouse.config.settings import settings
    from lakehouse.errors import BadInputError
    from lakehouse.slices import day_range, parse_day
    from ml.predict import publish_forecasts
    from ml.tracking import open_tracking

    if (first is None) != (last is None):
        raise BadInputError("--from and --to belong together: --to is the day after the last one")
    days = day_range(parse_day(first), parse_day(last)) if first and last else None
    raise typer.Exit(publish_forecasts(open_tracking(settings(), _say), model, days, as_of))


def backtest(
    model: Annotated[str, typer.Argument(metavar="MODEL[@ALIAS|/VERSION]", help="Without alias: its champion.")],
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="First day to trade on, e.g. 2013-10-07.")],
    last: Annotated[str, typer.Option("--to", metavar="DAY", help="The day after the last one.")],
    as_of: Annotated[
        str | None, typer.Option(metavar="POINT", help="Tag, snapshot id or ISO time (UTC) of gold; default is main.")
    ] = None,
) -> None:
    """Trade on a version's forecasts of some days and print what it would have brought, after costs.

    \b
    Example: lakehouse backtest tick_gru@champion --from 2013-10-07 --to 2013-10-12
    """
    from lakehouse.config.settings import settings
    from lakehouse.slices import day_range, parse_day
    from ml.predict import backtest_days
    from ml.tracking import open_tracking

    days = day_range(parse_day(first), parse_day(last))
    for line in backtest_days(open_tracking(settings(), _say), model, days, as_of):
        typer.echo(line)


def reproduce(
    model: Model,
    version: Annotated[int, typer.Argument(min=1, help="The version to train again.")],
) -> None:
    """Train a version again from its tag and configuration and print what differs; exit code 3 if anything does.

    \b
    Example: lakehouse reproduce household_power_lgbm 3
    """
    from lakehouse.config.settings import settings
    from lakehouse.errors import ExitCode
    from ml.reproduce import train_again
    from ml.tracking import open_tracking

    found = train_again(open_tracking(settings(), _say), model, version)
    for line in found.lines():
        typer.echo(line)
    raise typer.Exit(ExitCode.DONE if found.is_equal else ExitCode.AUDIT_FAILED)


def torch() -> None:
    """Install torch now, which the first training of a model that is made with it would do otherwise.

    \b
    Example: lakehouse setup torch
    """
    from ml.torch_runtime import require_torch

    require_torch(_say)


def _say(line: str) -> None:
    typer.echo(f"  {line}", err=True)
