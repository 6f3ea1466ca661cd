"""Spark's configuration inside pip's pyspark, and the job that the class archive is made from."""

from __future__ import annotations

import os
import stat
import subprocess

from lakehouse.install import spark_home
from lakehouse.install.jars import read_jar_list


def test_the_job_that_warms_the_jvm_up_is_there():
    assert spark_home.WARM_UP.is_file()


def test_write_configuration_names_this_environments_python_and_every_jar(tmp_path):
    home, programs = tmp_path / "pyspark", tmp_path / "bin"
    home.mkdir()
    programs.mkdir()
    spark_home.write_configuration(home, programs, tmp_path / "jars")
    defaults = (home / "conf" / "spark-defaults.conf").read_text()
    assert all(f"{tmp_path}/jars/{jar.file_name}" in defaults for jar in read_jar_list())
    assert f'PYSPARK_PYTHON="${{PYSPARK_PYTHON:-{programs}/python}}"' in (home / "conf" / "spark-env.sh").read_text()
    script = programs / "find-spark-home"
    script.chmod(stat.S_IRWXU)
    found = subprocess.run(
        ["/bin/sh", "-c", f". {script}; printf %s $SPARK_HOME"], env={}, capture_output=True, text=True, check=True
    )
    assert found.stdout == str(home)


def test_submit_environment_leads_to_no_other_spark(monkeypatch):
    for name in spark_home.FOREIGN_SPARK:
        monkeypatch.setenv(name, "/another")
    assert spark_home.submit_environment() == {name: value for name, value in os.environ.items() if value != "/another"}
