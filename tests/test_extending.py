"""The recipes of docs/extending.md, carried out: their code goes into a copy of the project, Spark runs over files."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import pytest

from lakehouse.config.project import ROOT
from lakehouse.demo.power import write_demo_power

FOLDERS = ("conf", "dags", "expectations", "lakehouse", "ml", "spark_jobs", "sql", "transforms")
BLOCK = re.compile(r'^ *```(?P<kind>\w+) title="(?P<path>[^"]+)"\n(?P<text>.*?)^ *```$', re.MULTILINE | re.DOTALL)
DAY = date(2024, 8, 8)


@dataclass(frozen=True)
class Block:
    """A code block with the file that it belongs to, under the heading of its recipe."""

    recipe: str
    kind: str
    path: str
    text: str


def read_blocks(page: str) -> Iterator[Block]:
    text = (ROOT / "docs" / page).read_text()
    for found in BLOCK.finditer(text):
        headings = re.findall(r"^## (.+)$", BLOCK.sub("", text[: found.start()]), re.MULTILINE)
        yield Block(headings[-1], found["kind"], found["path"], textwrap.dedent(found["text"]))


BLOCKS = [*read_blocks("extending.md"), *read_blocks("sources.md")]


def write_block(block: Block, project: Path) -> None:
    """Write a whole file, or put the lines of a difference in the place of those that it takes out."""
    path = project / block.path
    if block.kind != "diff":
        assert not path.exists(), f"{block.path} of {block.recipe!r} is in the project already"
        path.parent.mkdir(exist_ok=True)
        path.write_text(block.text)
        return
    lines = block.text.splitlines()
    before, after = ("".join(f"{line[1:]}\n" for line in lines if not line.startswith(mark)) for mark in ("+", "-"))
    text = path.read_text()
    if not before:
        path.write_text(text + after)
        return
    assert text.count(before) == 1, f"{block.path} does not hold these lines of {block.recipe!r} once:\n{before}"
    path.write_text(text.replace(before, after))


def counted(recipe: str) -> set[str]:
    return {block.path for block in BLOCKS if block.recipe == recipe}


def test_the_page_counts_the_files_that_each_recipe_touches():
    page = (ROOT / "docs" / "extending.md").read_text()
    claimed = dict(re.findall(r"^\| \[(A \w+)\]\(\S+\) \| (\d+)", page, re.MULTILINE))
    sections = {name: "Adding a source" if name == "A source" else name for name in claimed}
    assert {name: len(counted(section)) for name, section in sections.items()} == {
        name: int(number) for name, number in claimed.items()
    }
    assert len(counted("A table")) <= 3
    assert len(counted("A column")) <= 3
    assert all(block.kind != "diff" for block in BLOCKS if block.recipe in ("A domain", "A model", "Adding a source"))


@dataclass(frozen=True)
class Project:
    """A copy of the project with every recipe of the page in it, and a lakehouse of its own."""

    folder: Path

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the copy; its packages come before those of this environment."""
        outer = {name: value for name, value in os.environ.items() if not name.startswith("LAKEHOUSE_")}
        own = {
            "PYTHONPATH": str(self.folder),
            "LAKEHOUSE_HOME": str(self.folder / "home"),
            "LAKEHOUSE_SPARK_MASTER": "local[2]",
            "LAKEHOUSE_DRIVER_MEMORY": "2g",
            "LAKEHOUSE_SHUFFLE_PARTITIONS": "2",
        }
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=outer | own | variables,
            check=False,
            capture_output=True,
            text=True,
            timeout=540,
        )

    def query(self, sql: str) -> list[str]:
        """Ask the copy's lakehouse; the lines of the answer without the header."""
        done = self.run("-m", "lakehouse", "query", sql, "--format", "csv")
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[1:]


def land_files(landing: Path) -> None:
    """Files of the recipes' sources: trades with a price above the check's limit, stations with faults."""
    acme = landing / "acme" / f"BTC_{DAY:%Y%m%d}.csv.gz"
    acme.parent.mkdir(parents=True)
    noon = int(datetime.fromisoformat(f"{DAY}T12:00:00Z").timestamp())
    lines = (f"{noon},100,1", f"{noon + 5},101,2", f"{noon + 35},102,1", f"{noon + 40},20000000,1")
    acme.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))
    for station, texts in {
        "OSLO": (f"{DAY}T06:00:00Z,10.5", f"{DAY}T06:00:00Z,10.5", f"{DAY}T12:00:00Z,19.5", f"{DAY}T18:00:00Z,warm"),
        "HELL": (f"{DAY}T12:00:00Z,99.9",),  # above the declared maximum: the part is to be held back
    }.items():
        path = landing / "weather" / station / f"{DAY}.csv"
        path.parent.mkdir(parents=True)
        path.write_text("".join(f"{text}\n" for text in texts))
    write_demo_power(landing)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("project")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("jars.txt", "pyproject.toml", "requirements.in"):
        shutil.copyfile(ROOT / name, folder / name)
    (folder / ".jars").symlink_to(ROOT / ".jars")
    for block in BLOCKS:
        write_block(block, folder)
    return Project(folder)


@pytest.fixture(scope="module")
def ran(project: Project) -> str:
    """What the pipelines of all domains said, in one session over the recipes' files."""
    landing = project.folder / "landing"
    land_files(landing)
    done = project.run("spark_jobs/pipeline.py", "--landing", str(landing))
    assert done.returncode == 5, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_code_of_the_page_is_formatted_and_linted(project: Project):
    paths = sorted({block.path for block in BLOCKS if block.path.endswith(".py")})
    for command in (["check"], ["format", "--check"]):
        done = project.run("-m", "ruff", *command, *paths)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_table_and_a_source(project: Project, ran: str):
    assert "finance.trade_pauses_1d: published" in ran
    # 12:00:00, 12:00:05, 12:00:35 and 12:00:40
    assert project.query(
        "SELECT instrument_id, event_date, longest_pause_s, trade_count FROM gold.trade_pauses_1d"
    ) == [f"BTC.ACME,{DAY},30.0,4"]


@pytest.mark.slow
def test_a_check(project: Project, ran: str):
    sql = "SELECT severity, is_passed, rows_failed FROM quality.check_results WHERE rule = 'price_below_ten_million'"
    assert project.query(sql) == ["warning,false,1"]


@pytest.mark.slow
def test_a_column(project: Project, ran: str):
    sql = "SELECT sum(volume_pct), max(volume_pct) < 100 FROM gold.volume_profile_1d"
    assert project.query(sql) == ["100.0,true"]


@pytest.mark.slow
def test_a_domain_from_files_to_gold_with_a_rejected_line_a_copy_and_a_part_that_is_held_back(
    project: Project, ran: str
):
    assert project.query("SELECT * EXCLUDE _ingested_at FROM gold.temperatures_1d") == [f"OSLO,{DAY},10.5,15.0,19.5,2"]
    assert project.query("SELECT station_id, rule, reason FROM silver.temperatures_rejected") == [
        "OSLO,unreadable_temperature,'warm' is not a number"
    ]
    held = f"HELL of {DAY} (silver.temperatures: temperature_c_in_range), from weather/HELL/{DAY}.csv"
    assert held in [line.strip() for line in ran.splitlines()]


@pytest.mark.slow
def test_a_domains_schedule_is_a_setting_and_its_dag_is_read(project: Project):
    code = "from dags.weather import SCHEDULE, dag; print(sorted(dag.task_ids), SCHEDULE.crons)"
    home = {"AIRFLOW_HOME": str(project.folder / "airflow"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    done = project.run("-c", code, LAKEHOUSE_WEATHER_SCHEDULE="manual", **home)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "['bronze', 'gold', 'plan', 'report', 'silver'] ()"


@pytest.mark.slow
def test_a_model(project: Project, ran: str):
    done = project.run("-m", "lakehouse", "train", "generated_household_ridge")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "generated_household_ridge" in project.run("-m", "lakehouse", "models").stdout
