"""What makes `.venv/bin/spark-submit` work with no environment set: Spark's own configuration, inside pip's pyspark.

Writes  <pyspark>/conf/spark-defaults.conf   the jars, a quiet console, UTC
        <pyspark>/conf/spark-env.sh          this environment's Python, the driver's memory
        <pyspark>/conf/log4j2.properties     errors only
        <bin>/find-spark-home                pip's own asks the first python3 on PATH, which need not be this one
        .jars/classes.jsa                    `setup archive`: the JVM's archive of loaded classes, a shorter start

A session's own settings (catalog, master, addresses) are not here: they follow LAKEHOUSE_… of the process.
The class archive fits one JVM and these very jars; a JVM that it does not fit ignores it without a word.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from lakehouse.config.project import ROOT
from lakehouse.config.settings import PREFIX
from lakehouse.errors import BadInputError
from lakehouse.install.jars import JAR_FOLDER, Jar, read_jar_list
from lakehouse.install.java import java_command

ARCHIVE = JAR_FOLDER / "classes.jsa"
WARM_UP = ROOT / "spark_jobs" / "engine" / "warm_up.py"
FOREIGN_SPARK = ("SPARK_HOME", "SPARK_CONF_DIR", "SPARK_ENV_LOADED")
"""Variables by which another Spark on this machine would be taken instead of this environment's."""

SPARK_ENV = """\
# Written by lakehouse setup spark-home
PYSPARK_PYTHON="${{PYSPARK_PYTHON:-{python}}}"
SPARK_DRIVER_MEMORY="${{SPARK_DRIVER_MEMORY:-${{LAKEHOUSE_DRIVER_MEMORY:-4g}}}}"
# spark-submit's --master wins over MASTER
MASTER="${{MASTER:-${{LAKEHOUSE_SPARK_MASTER:-local[*]}}}}"
"""

LOG4J = """\
# Written by lakehouse setup spark-home
# An exception that ends a job reaches Python whole; on the console its first line will do
rootLogger.level = error
rootLogger.appenderRef.stderr.ref = stderr
appender.console.type = Console
appender.console.name = stderr
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss'Z'}{UTC} %p %c{1}: %m%n%ex{short}
# Python's gateway sets the root logger to this logger's level, and says so where the two differ
logger.gateway.name = org.apache.spark.api.python.PythonGatewayServer
logger.gateway.level = error
"""

FIND_SPARK_HOME = """\
#!/usr/bin/env bash
# Written by lakehouse setup spark-home; sourced by spark-submit and its siblings.
if [ -z "${{SPARK_HOME:-}}" ]; then
  export SPARK_HOME="{spark_home}"
fi
"""


LATE_COMPILER = tuple(
    f"-XX:Tier4{name}Threshold={10 * usual}"
    for name, usual in {"Invocation": 5_000, "MinInvocation": 600, "Compile": 15_000, "BackEdge": 40_000}.items()
)
"""The JVM's second compiler begins ten times as late as usual: compiling costs a day's job more than it gains. A day's
ticks take 2.4 of 18 CPU seconds less, a month's volume profiles and correlations in Spark SQL 9 to 19 % less; forty
times as late, profiles are as slow as before, and without that compiler correlations take 2.6 times as long.
"""
JAVA_OPTIONS = ("-Xlog:cds=off", "-Xlog:cds+dynamic=off", *LATE_COMPILER)
"""Besides the class archive: no word about it where it does not fit."""


def spark_home() -> Path:
    """Return the folder of pip's pyspark.

    Raises:
        BadInputError: pyspark is not installed in this Python.
    """
    spec = find_spec("pyspark")  # not import: it takes half a second
    if spec is None or spec.origin is None:
        raise BadInputError(f"pyspark is not installed in {sys.executable}; run: make setup")
    return Path(spec.origin).parent


def spark_defaults(jars: Sequence[Jar], jar_folder: Path, home: Path, archive: Path) -> str:
    """Return the text of spark-defaults.conf."""
    paths = [str(jar_folder / jar.file_name) for jar in jars]
    settings = {
        # Spark's own jars once more, before the conf folder that Spark puts next: the JVM archives no class
        # that stands behind a folder on the class path
        "spark.driver.extraClassPath": os.pathsep.join([*paths, f"{home}/jars/*"]),
        "spark.executor.extraClassPath": os.pathsep.join(paths),
        "spark.driver.defaultJavaOptions": " ".join((f'"-XX:SharedArchiveFile={archive}"', *JAVA_OPTIONS)),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.session.timeZone": "UTC",
    }
    lines = (f"{key} {value}\n" for key, value in settings.items())
    return "# Written by lakehouse setup spark-home; spark-submit --conf wins over it.\n" + "".join(lines)


def write_configuration(home: Path, bin_folder: Path, jar_folder: Path = JAR_FOLDER) -> None:
    """Write Spark's configuration into pip's pyspark and fix its find-spark-home."""
    conf = home / "conf"
    conf.mkdir(exist_ok=True)
    jars = read_jar_list()
    (conf / "spark-defaults.conf").write_text(spark_defaults(jars, jar_folder, home, ARCHIVE), encoding="utf-8")
    (conf / "spark-env.sh").write_text(SPARK_ENV.format(python=bin_folder / "python"), encoding="utf-8")
    (conf / "log4j2.properties").write_text(LOG4J, encoding="utf-8")
    (bin_folder / "find-spark-home").write_text(FIND_SPARK_HOME.format(spark_home=home), encoding="utf-8")


def submit_environment() -> dict[str, str]:
    """Return this process's environment without what would lead spark-submit to another Spark."""
    return {name: value for name, value in os.environ.items() if name not in FOREIGN_SPARK}


def submit_command() -> list[str]:
    """Return the start of a command line that runs this environment's spark-submit."""
    return [str(scripts_folder() / "spark-submit")]


def scripts_folder() -> Path:
    """Return where this environment's programs are."""
    return Path(sysconfig.get_path("scripts"))


def archive_classes() -> bool:
    """Run a tiny job once and let the JVM keep the classes it loaded; False where this JVM cannot.

    Saves 4 of 12 s of a small job on two cores; without it everything works as well, only later.
    """
    java_command()  # says what is wrong with Java, if anything, in one line
    ARCHIVE.unlink(missing_ok=True)
    environment = {name: value for name, value in submit_environment().items() if not name.startswith(PREFIX)}
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / ARCHIVE.name
        options = f'"-XX:ArchiveClassesAtExit={made}" -Xlog:disable -Xlog:all=error:file={folder}/log'
        command = [*submit_command(), "--master", "local[1]", "--driver-java-options", options]
        # An archive on top of an archive is not possible: leave out the one of spark-defaults.conf
        command += ["--conf", "spark.driver.defaultJavaOptions=", str(WARM_UP)]
        environment["LAKEHOUSE_HOME"] = folder
        done = subprocess.run(
            command, env=environment, check=False, capture_output=True, stdin=subprocess.DEVNULL, cwd=folder
        )
        if done.returncode != 0 or not made.is_file():
            return False
        partial = ARCHIVE.with_suffix(".partial")
        shutil.copyfile(made, partial)
        partial.replace(ARCHIVE)
    return True
