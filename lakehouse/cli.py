"""The command line: `lakehouse <command>`; what a command does is in lakehouse/commands.

Modules that take long to import are imported by the command that needs them, so that --help answers at once.
"""

from __future__ import annotations

import logging
import sys
from importlib.metadata import entry_points
from typing import Annotated, NoReturn

import typer

from lakehouse.commands import fetching, jobs, reading, services, setup, sql
from lakehouse.commands.demo import demo
from lakehouse.config.project import require_folder
from lakehouse.errors import ExitCode, LakehouseError

logger = logging.getLogger(__name__)

COMMANDS, SETUP_COMMANDS = "lakehouse.commands", "lakehouse.setup"
"""Entry points by which packages above this floor bring their commands, and those of `setup` (pyproject.toml)."""

READERS = ("query", "tables", "models")
"""Commands that do without the project's folder: all that an installed wheel is good for, but serving models."""

app = typer.Typer(
    name="lakehouse",
    help="Ticks, meter readings and images from files to audited Iceberg tables. First use: lakehouse demo",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
fetch_app = typer.Typer(
    help="Download files into the landing folder, each checked by its hash.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(fetch_app, name="fetch")
sql_app = typer.Typer(help="The views and example queries in sql/.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(sql_app, name="sql")
setup_app = typer.Typer(help="What make and the containers run.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(setup_app, name="setup", hidden=True)

for command in (
    reading.doctor,
    demo,
    fetching.land,
    jobs.run,
    reading.tables,
    jobs.migrate,
    reading.query,
):
    app.command()(command)
for command in (services.up, services.down, services.status, services.reset):
    app.command()(command)
app.command(hidden=True)(services.remove_old_logs)
app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []})(
    services.airflow
)
for fetch in (fetching.binance, fetching.power, fetching.mnist, fetching.cifar10):
    fetch_app.command()(fetch)
sql_app.command("list")(sql.show)
for sql_command in (sql.apply, sql.run):
    sql_app.command()(sql_command)
for setup_command in (
    setup.jars,
    setup.spark_home,
    setup.archive,
    setup.parts,
    setup.docs,
    setup.compose_files,
    setup.compose_prepare,
    setup.compose_airflow,
):
    setup_app.command()(setup_command)
for plugged in entry_points(group=COMMANDS):
    app.command(plugged.name)(plugged.load())
for plugged in entry_points(group=SETUP_COMMANDS):
    setup_app.command(plugged.name)(plugged.load())


@app.callback()
def options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Log more, and tracebacks.")] = False,
) -> None:
    """Options before the command."""
    if context.invoked_subcommand not in READERS:
        require_folder()
    level = logging.DEBUG if debug else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)


def main() -> NoReturn:
    """Run the command line; every failure ends with one line and the documented exit code."""
    try:
        app()
    except LakehouseError as error:
        typer.echo(f"error: {error}", err=True)
        logger.debug("traceback", exc_info=True)
        sys.exit(error.exit_code)
    except PermissionError as error:
        whose = f"{error.filename} is not open to this account ({error.strerror})"
        typer.echo(f"error: {whose}; where state is another's, name a folder of yours by LAKEHOUSE_HOME", err=True)
        logger.debug("traceback", exc_info=True)
        sys.exit(ExitCode.BAD_INPUT)
    except Exception as error:
        typer.echo(f"error: {type(error).__name__}: {error}; lakehouse --debug … shows where", err=True)
        logger.debug("traceback", exc_info=True)
        sys.exit(ExitCode.CRASH)
    sys.exit(ExitCode.DONE)
