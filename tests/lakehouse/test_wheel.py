"""The wheel, installed apart from the project's folder: it reads, and says in one line what it can't do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest

from lakehouse.config.project import ROOT

FILES = ("pyproject.toml", "README.md", "LICENSE", "requirements.in")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with what the wheel holds and nothing else of the project."""
    source, wheels, target = (tmp_path_factory.mktemp(name) for name in ("source", "wheels", "site"))
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    for name in (each.removesuffix("*") for each in setuptools["packages"]["find"]["include"]):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copyfile(ROOT / name, source / name)
    build = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(source)]
    subprocess.run([sys.executable, "-m", *build], check=True)
    (wheel,) = wheels.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(target)
    return target


def run(installed, *arguments, **variables):
    """Run the installed command line; the packages it needs are this environment's."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LAKEHOUSE_")}
    return subprocess.run(
        [sys.executable, "-m", "lakehouse", *arguments],
        env=clean | {"PYTHONPATH": str(installed)} | variables,
        cwd=installed.parent,
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("command", ["doctor", "demo", "up", "report", "migrate", "train", "airflow"])
def test_what_needs_the_projects_folder_says_so_in_one_line(installed, command):
    done = run(installed, command)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: expected the project's folder around the packages, found them alone in {installed}: an installed "
        "wheel reads (query, tables, models); for all else clone the repository and run `make setup` in it\n"
    )


def test_it_reads_a_home_and_has_none_by_itself(installed, tmp_path):
    alone = run(installed, "query", "SELECT 1")
    assert (alone.returncode, alone.stderr.partition(":")[2].partition(":")[0]) == (2, " LAKEHOUSE_HOME")
    assert not (installed / "lakehouse-home").exists()
    read = run(installed, "tables", LAKEHOUSE_HOME=str(tmp_path))
    assert read.returncode == 0, read.stderr
    assert "silver.trades" in read.stdout
    models = run(installed, "models", LAKEHOUSE_HOME=str(tmp_path))
    assert models.returncode == 0, models.stderr
    assert "no version yet: lakehouse train mnist_cnn" in models.stdout
