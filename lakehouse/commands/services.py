"""Commands of the services: up, down, status, and Airflow's own command line with the configuration of `up`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

from lakehouse.errors import ExitCode


def up() -> None:
    """Start Airflow, MLflow's pages and the quality pages on this machine; what runs already is left alone.

    \b
    Example: lakehouse up
    """
    from lakehouse.services.up import bring_up, pages
    from lakehouse.settings import settings

    for line in pages(settings(), bring_up(settings(), _say)):
        typer.echo(line)


def down() -> None:
    """End all that `lakehouse up` has started, running tasks too: what they did not publish, they do again later.

    \b
    Example: lakehouse down
    """
    from lakehouse.services.up import bring_down
    from lakehouse.settings import settings

    ended = bring_down(settings())
    typer.echo(f"ended: {', '.join(ended)}" if ended else "nothing was running")


def status() -> None:
    """Say how each service is and which pages there are; exit code 75 where one is not healthy.

    \b
    Example: lakehouse status
    """
    from lakehouse.services.up import look, pages
    from lakehouse.settings import settings

    states = look(settings())
    for state in states:
        typer.echo(f"{state.name:<14} {state.health:<12} pid {state.pid}")
    if not states:
        typer.echo("nothing is running; lakehouse up starts it")
        raise typer.Exit(ExitCode.UNAVAILABLE)
    for line in pages(settings(), states):
        typer.echo(line)
    raise typer.Exit(ExitCode.DONE if all(state.is_healthy for state in states) else ExitCode.UNAVAILABLE)


def airflow(context: typer.Context) -> None:
    """Run Airflow's own command line with the configuration of `lakehouse up`.

    \b
    Example: lakehouse airflow dags list
             lakehouse airflow pools list
    """
    from lakehouse.services.airflow import environment
    from lakehouse.services.processes import read_state
    from lakehouse.settings import settings

    here = settings()
    running = read_state(here).get("api-server")
    variables = environment(here, running.port if running else here.airflow_port)
    program = str(Path(sys.executable).parent / "airflow")
    sys.stdout.flush()
    os.execve(program, [program, *context.args], variables)  # noqa: S606 - this very process becomes Airflow's


def _say(line: str) -> None:
    typer.echo(f"  {line}", err=True)
