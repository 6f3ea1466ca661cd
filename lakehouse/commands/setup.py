"""The hidden commands of `lakehouse setup`: what make and the containers of docker-compose.yaml run."""

from __future__ import annotations

import typer

from lakehouse.errors import BadInputError


def jars() -> None:
    """Fetch the jars of Spark that are missing.

    \b
    Example: lakehouse setup jars
    """
    from lakehouse.install.jars import fetch, read_jar_list

    for jar in fetch(read_jar_list()):
        _say(f"{jar.file_name}, sha256 as listed")


def spark_home() -> None:
    """Write Spark's configuration into pip's pyspark.

    \b
    Example: lakehouse setup spark-home
    """
    from lakehouse.install.spark_home import scripts_folder, write_configuration
    from lakehouse.install.spark_home import spark_home as find_spark

    write_configuration(find_spark(), scripts_folder())


def archive() -> None:
    """Let the JVM keep an archive of the classes that a job loads: a shorter start.

    \b
    Example: lakehouse setup archive
    """
    from lakehouse.install.spark_home import archive_classes

    if not archive_classes():
        _say("this JVM keeps no class archive: Spark works, its starts take some seconds more")


def parts() -> None:
    """Get what profile stack needs and this machine lacks, and list where each part is.

    \b
    Example: lakehouse setup parts
    """
    from lakehouse.install.fetch_parts import fetch_missing
    from lakehouse.install.stack_parts import parts as all_parts

    fetch_missing(_say)
    found = all_parts()
    for part in found:
        _say(f"{part.name}: {part.path or f'missing; {part.fix}'}")
    missing = [part.name for part in found if part.path is None]
    if missing:
        raise BadInputError(f"missing: {', '.join(missing)}")


def docs() -> None:
    """Write the pages of docs/ that follow from declarations: the data dictionary and the list of settings.

    \b
    Example: lakehouse setup docs
    """
    from lakehouse.docs import dictionary, settings

    for page, text in ((dictionary.PAGE, dictionary.render()), (settings.PAGE, settings.render())):
        page.write_text(text, encoding="utf-8")
        typer.echo(page)


def compose_files() -> None:
    """Generate the secrets and folders that the containers mount.

    \b
    Example: lakehouse setup compose-files
    """
    from lakehouse.services.compose import FOLDER, account, write_files

    write_files(FOLDER, *account())
    typer.echo(f"secrets are in {FOLDER / 'secrets'}")


def compose_prepare() -> None:
    """Make roles, databases and buckets, from within a container.

    \b
    Example: lakehouse setup compose-prepare
    """
    from lakehouse.config.settings import starting_settings
    from lakehouse.services.compose import prepare

    prepare(starting_settings())


def compose_airflow() -> None:
    """Migrate Airflow's database and import its pools, from within a container.

    \b
    Example: lakehouse setup compose-airflow
    """
    from lakehouse.config.settings import settings
    from lakehouse.services.compose import prepare_airflow

    prepare_airflow(settings(), typer.echo)


def _say(line: str) -> None:
    typer.echo(f"  {line}")
