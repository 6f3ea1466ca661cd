"""Commands of the services: up, down, status, reset, Airflow's own command line, and the removal of old logs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from lakehouse.errors import ExitCode


def up() -> None:
    """Start the services on this machine; what runs already is left alone. Profile stack: the servers of the data, too.

    \b
    Example: lakehouse up
             LAKEHOUSE_PROFILE=stack lakehouse up
    """
    from lakehouse.config.settings import settings, starting_settings
    from lakehouse.services.up import bring_up, pages

    states = bring_up(starting_settings(), _say)
    for line in pages(settings(), states):
        typer.echo(line)


def down() -> None:
    """End all that `lakehouse up` has started, running tasks too: what they did not publish, they do again later.

    \b
    Example: lakehouse down
    """
    from lakehouse.config.settings import starting_settings
    from lakehouse.services.up import bring_down

    ended = bring_down(starting_settings())
    typer.echo(f"ended: {', '.join(ended)}" if ended else "nothing was running")


def status() -> None:
    """Say how each service is and which pages there are; exit code 75 where one is not healthy.

    \b
    Example: lakehouse status
    """
    from lakehouse.config.settings import settings, starting_settings
    from lakehouse.services.health import look
    from lakehouse.services.up import pages

    states = look(starting_settings())
    for state in states:
        typer.echo(f"{state.name:<14} {state.health:<12} pid {state.pid}")
    if not states:
        typer.echo("nothing is running; lakehouse up starts it")
        raise typer.Exit(ExitCode.UNAVAILABLE)
    for line in pages(settings(), states):
        typer.echo(line)
    raise typer.Exit(ExitCode.DONE if all(state.is_healthy for state in states) else ExitCode.UNAVAILABLE)


def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """End the services and remove all that they keep: databases, history, logs; in profile stack also the data itself.

    Tables and models of profile embedded stay.

    \b
    Example: LAKEHOUSE_PROFILE=stack lakehouse reset
    """
    from lakehouse.config.settings import starting_settings
    from lakehouse.services.up import reset as remove_state
    from lakehouse.services.up import state_folders

    here = starting_settings()
    folders = state_folders(here)
    if not folders:
        typer.echo("there is nothing to remove")
        return
    typer.echo("to be removed, for good:", err=True)
    for folder in folders:
        typer.echo(f"  {folder}", err=True)
    if here.profile == "stack":
        typer.echo("with every table, delivered file, model and run that profile stack keeps there", err=True)
    if not yes and not typer.confirm("Remove them?", err=True):
        raise typer.Exit(ExitCode.BAD_INPUT)
    remove_state(here)
    typer.echo(f"removed: {', '.join(map(str, folders))}")


def airflow(context: typer.Context) -> None:
    """Run Airflow's own command line with the configuration of `lakehouse up`.

    \b
    Example: lakehouse airflow dags list
             lakehouse airflow pools list
    """
    from lakehouse.config.settings import settings
    from lakehouse.services.airflow import environment
    from lakehouse.services.processes import read_state

    here = settings()
    running = read_state(here).get("api-server")
    variables = environment(here, running.port if running else here.airflow_port)
    program = str(Path(sys.executable).parent / "airflow")
    sys.stdout.flush()
    os.execve(program, [program, *context.args], variables)  # noqa: S606 - this very process becomes Airflow's


def remove_old_logs() -> None:
    """Remove logs that nobody wrote to for LAKEHOUSE_LOG_MAX_AGE_DAYS, on this machine and in the store.

    \b
    Example: lakehouse remove-old-logs
    """
    from lakehouse.config.settings import settings
    from lakehouse.services.retention import apply_retention

    typer.echo(apply_retention(settings()))


def _say(line: str) -> None:
    typer.echo(f"  {line}", err=True)
