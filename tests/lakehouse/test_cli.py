import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
import typer

from lakehouse import cli
from lakehouse.commands import jobs, submit
from lakehouse.config.project import ROOT, pipelines
from lakehouse.config.settings import read_settings, settings
from lakehouse.docs import dictionary
from lakehouse.docs import settings as settings_page
from lakehouse.install import fetch_parts, jars, stack_parts
from lakehouse.install.stack_parts import Part
from lakehouse.lake.catalog import append_log
from lakehouse.lake.connection import open_catalog
from lakehouse.lake.migration import migrate
from lakehouse.lake.schema import arrow_table
from lakehouse.queries.statements import read_sql_files
from lakehouse.tables import TABLES
from lakehouse.tables.logs import RUNS
from lakehouse.tables.vision import GOLD_IMAGE_CLASS_COUNTS

ROWS = pa.table(
    {
        "day": [date(2024, 8, 8), None],
        "ts_event": pa.array([datetime(2024, 8, 8, 12, 0, 0, 1, UTC), None], pa.timestamp("us", tz="UTC")),
        "price": pa.array([Decimal("0.10000000"), None], pa.decimal128(18, 8)),
        "size": pa.array([2**60, None], pa.int64()),
        "ratio": pa.array([0.1, float("nan")], pa.float64()),
        "name": ['a "b", c', None],
        "codes": pa.array([[1, 2], None], pa.list_(pa.int32())),
        "is_last": [True, None],
    }
)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A lakehouse of the test's own, as the environment names it."""
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield read_settings({"LAKEHOUSE_HOME": str(tmp_path / "home")})
    settings.cache_clear()


@pytest.fixture
def lakehouse(home, monkeypatch, capsys):
    """Run a command line in this process; return exit code, stdout and stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lakehouse", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return call


@pytest.fixture
def prints(home):
    catalog = open_catalog(home)
    catalog.create_namespace("silver")
    catalog.create_table("silver.prints", ROWS.schema).append(ROWS)


def test_query_as_json_is_one_array_with_exact_values(lakehouse, prints):
    code, out, err = lakehouse("query", "SELECT * FROM silver.prints ORDER BY day NULLS LAST", "--format", "json")
    assert (code, err) == (0, "")
    assert json.loads(out) == [
        {
            "day": "2024-08-08",
            "ts_event": "2024-08-08T12:00:00.000001Z",
            "price": "0.10000000",
            "size": 2**60,
            "ratio": 0.1,
            "name": 'a "b", c',
            "codes": [1, 2],
            "is_last": True,
        },
        {
            "day": None,
            "ts_event": None,
            "price": None,
            "size": None,
            "ratio": "nan",
            "name": None,
            "codes": None,
            "is_last": None,
        },
    ]


def test_query_as_csv_has_a_header_and_empty_nulls(lakehouse, prints):
    _, out, _ = lakehouse("query", "SELECT * FROM silver.prints ORDER BY day NULLS LAST", "--format", "csv")
    assert list(csv.reader(io.StringIO(out))) == [
        list(ROWS.schema.names),
        ["2024-08-08", "2024-08-08T12:00:00.000001Z", "0.10000000", str(2**60), "0.1", 'a "b", c', "[1, 2]", "true"],
        ["", "", "", "", "nan", "", "", ""],
    ]


def test_query_as_table_says_where_it_stops(lakehouse, prints):
    sql = "SELECT name FROM silver.prints ORDER BY name DESC NULLS LAST"
    _, out, _ = lakehouse("query", sql, "--limit", "1")
    assert [line.rstrip() for line in out.splitlines()] == [
        "name",
        'a "b", c',
        "the first 1 rows; more: --limit, all: --format csv",
    ]
    _, out, _ = lakehouse("query", sql, "--limit", "2")
    assert [line.rstrip() for line in out.splitlines()] == ["name", 'a "b", c', ""]


def test_query_reads_its_text_from_stdin(lakehouse, prints, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("SELECT count(*) AS n FROM silver.prints"))
    assert lakehouse("query", "-", "--format", "csv") == (0, "n\n2\n", "")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        pytest.param(
            ["query", "SELECT 1 FROM a.b"], 2, "error: there is no table a.b; there are silver.prints", id="table"
        ),
        pytest.param(
            ["run", "nothing"], 2, "error: no domain 'nothing'; there are energy, finance, vision", id="domain"
        ),
        pytest.param(
            ["run", "vision", "--from", "2024-08-08", "--to", "2024-08-09"],
            2,
            "error: --from and --to are for days; vision has image sets, which have none: --dataset",
            id="days of image sets",
        ),
        pytest.param(
            ["run", "finance", "--dataset", "mnist"],
            2,
            "error: --dataset is for image sets; finance has days: --from and --to",
            id="image set of finance",
        ),
        pytest.param(
            ["run", "finance", "--from", "2024-08-08"],
            2,
            "error: --from and --to belong together: days are [from, to)",
            id="half a range",
        ),
        pytest.param(
            ["fetch", "binance", "--symbol", "BTCUSDT", "--from", "8.8.2024", "--to", "2024-08-09"],
            2,
            "error: expected a day like 2024-08-08, found '8.8.2024'",
            id="day",
        ),
        pytest.param(
            ["fetch", "binance", "--symbol", "btc/usdt", "--from", "2024-08-08", "--to", "2024-08-09"],
            2,
            "error: expected a symbol of 2 to 20 capital letters and digits like BTCUSDT, found 'btc/usdt'",
            id="symbol",
        ),
    ],
)
def test_failure_is_one_line_and_its_exit_code(lakehouse, prints, arguments, code, message):
    assert lakehouse(*arguments) == (code, "", message + "\n")


def test_usage_error_is_exit_code_2(lakehouse):
    code, out, err = lakehouse("query")
    assert (code, out) == (2, "")
    assert "Missing argument" in err


def test_unexpected_failure_is_one_line_and_a_traceback_with_debug(lakehouse, monkeypatch, caplog):
    def fail(*_):
        raise ValueError("boom")

    monkeypatch.setattr("lakehouse.queries.overview.table_states", fail)
    caplog.set_level("INFO", logger="lakehouse.cli")
    assert lakehouse("tables") == (1, "", "error: ValueError: boom; lakehouse --debug … shows where\n")
    assert not [record for record in caplog.records if record.exc_info]
    caplog.set_level("DEBUG", logger="lakehouse.cli")
    lakehouse("--debug", "tables")
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["boom"]


def test_home_of_another_account_is_one_line_that_says_what_to_do(lakehouse, monkeypatch):
    def fail(*_):
        raise PermissionError(13, "Permission denied", "/theirs/catalog.db")

    monkeypatch.setattr("lakehouse.queries.overview.table_states", fail)
    assert lakehouse("tables") == (
        2,
        "",
        "error: /theirs/catalog.db is not open to this account (Permission denied); where state is another's, name a "
        "folder of yours by LAKEHOUSE_HOME\n",
    )


def test_misspelled_setting_stops_every_command(lakehouse, monkeypatch):
    monkeypatch.setenv("LAKEHOUSE_HOMME", "/x")
    assert lakehouse("tables") == (2, "", "error: LAKEHOUSE_HOMME is not a setting; did you mean LAKEHOUSE_HOME?\n")


def commands(group: typer.core.TyperGroup, *before: str) -> Iterator[tuple[str, ...]]:
    """Yield every command with its groups."""
    for name, command in group.commands.items():
        if isinstance(command, typer.core.TyperGroup):
            yield from commands(command, *before, name)
        elif name != "airflow":  # --help is Airflow's own
            yield (*before, name)


@pytest.mark.parametrize("command", commands(typer.main.get_command(cli.app)), ids=" ".join)
def test_every_command_has_help_with_an_example(lakehouse, command):
    code, out, _ = lakehouse(*command, "--help")
    assert code == 0
    assert re.search(rf"Example: (LAKEHOUSE_PROFILE=stack )?lakehouse {' '.join(command)}\b", out)


def test_help_shows_what_somebody_types(lakehouse):
    _, out, _ = lakehouse("--help")
    shown = {line.split()[0] for line in out.partition("Commands:")[2].splitlines() if line.strip()}
    assert {"demo", "report", "audit", "train"} < shown
    assert not shown & {"setup", "remove-old-logs"}


def test_make_runs_no_module_and_no_setup_that_is_not_there():
    text = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"lakehouse setup (\S+)", text))
    assert {"jars", "spark-home", "archive", "torch"} < named < {*typer.main.get_command(cli.setup_app).commands}
    assert set(re.findall(r"python -m (\S+)", text)) == {"pip", "pytest"}


def test_setup_docs_writes_the_generated_pages(lakehouse, tmp_path, monkeypatch):
    for module in (dictionary, settings_page):
        monkeypatch.setattr(module, "PAGE", tmp_path / module.PAGE.name)
    code, out, _ = lakehouse("setup", "docs")
    assert (code, out.split()) == (0, [str(tmp_path / "data-dictionary.md"), str(tmp_path / "settings.md")])
    for path in map(Path, out.split()):
        assert path.read_text() == (ROOT / "docs" / path.name).read_text()


def test_setup_parts_lists_each_part_and_fails_where_one_is_missing(lakehouse, monkeypatch, tmp_path):
    found = (Part("Trino", tmp_path, ""), Part("PostgreSQL", None, "apt-get install postgresql"))
    monkeypatch.setattr(stack_parts, "parts", lambda: found)
    monkeypatch.setattr(fetch_parts, "fetch_missing", lambda say: say("fetching ..."))
    assert lakehouse("setup", "parts") == (
        2,
        f"  fetching ...\n  Trino: {tmp_path}\n  PostgreSQL: missing; apt-get install postgresql\n",
        "error: missing: PostgreSQL\n",
    )


def test_setup_jars_names_what_was_fetched(lakehouse, monkeypatch):
    monkeypatch.setattr(jars, "fetch", lambda listed: listed[:1])
    code, out, _ = lakehouse("setup", "jars")
    assert (code, out) == (0, f"  {jars.read_jar_list()[0].file_name}, sha256 as listed\n")


def test_remove_old_logs_says_what_it_removed(lakehouse, home):
    old, young = home.logs / "old.log", home.logs / "young.log"
    home.logs.mkdir(parents=True)
    for path in (old, young):
        path.touch()
    os.utime(old, (0, 0))
    assert lakehouse("remove-old-logs") == (0, "removed 1 log files older than 30 days\n", "")
    assert [path.name for path in home.logs.iterdir()] == ["young.log"]


def test_report_writes_the_pages_and_prints_where(lakehouse, home):
    migrate(home)
    page = home.reports / "index.html"
    assert lakehouse("report") == (0, f"{page}\n", "")
    assert page.is_file()


def test_tables_lists_what_is_declared_with_rows_and_last_publish(home, lakehouse):
    _, before, _ = lakehouse("tables")
    assert [line.split()[:3] for line in before.splitlines()[1:]] == [
        [table.identifier, "not", "made"] for table in TABLES
    ]
    assert not home.home.exists()  # looking makes nothing
    migrate(home)
    append_log(home, RUNS, [run_row()])
    _, after, _ = lakehouse("tables")
    lines = {line.split()[0]: line.split()[1:3] for line in after.splitlines()[1:]}
    assert lines == {table.identifier: ["1", "1"] if table is RUNS else ["0", "0"] for table in TABLES}


def run_row() -> dict:
    return {
        "run_id": "r1",
        "run_key": "k",
        "job": "finance.silver_trades",
        "table_name": "silver.trades",
        "days": [date(2024, 8, 8)],
        "outcome": "published",
        "exit_code": 0,
        "message": "",
        "rows_in": 1200,
        "rows_out": 1000,
        "rows_rejected": 150,
        "rows_duplicate": 50,
        "seconds": 1.25,
        "snapshot_id": 1,
        "started_at": datetime(2024, 8, 8, tzinfo=UTC),
        "run_by": "me",
    }


def test_print_runs_shows_the_balance_of_each_table(home, capsys):
    from lakehouse.commands.console import console
    from lakehouse.queries.overview import print_runs, runs_since

    migrate(home)
    append_log(home, RUNS, [run_row()])
    assert runs_since(home, datetime(2024, 8, 9, tzinfo=UTC)) == []
    print_runs(console(), runs_since(home, datetime(2024, 8, 8, tzinfo=UTC)))
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["table", "outcome", "rows", "in", "rows", "out", "rejected", "duplicate", "seconds"],
        ["silver.trades", "published", "1,200", "1,000", "150", "50", "1.2"],
    ]


def test_tables_of_one_table_shows_its_columns(lakehouse):
    _, out, _ = lakehouse("tables", "quality.check_results")
    columns = [line.split()[0] for line in out.splitlines()[3:]]
    assert columns == list(next(table for table in TABLES if table.name == "check_results").column_names)


def test_migrate_says_what_it_made_and_then_nothing(lakehouse):
    code, out, _ = lakehouse("migrate")
    assert (code, out.splitlines()) == (0, [f"made {table.identifier}" for table in TABLES])
    assert lakehouse("migrate") == (0, "nothing to do: every table is as declared\n", "")


def test_help_answers_without_importing_what_is_slow():
    slow = ("pyarrow", "duckdb", "pyiceberg", "pydantic", "pyspark", "requests")
    code = f"import sys, lakehouse.cli; print([name for name in {slow} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_reader_that_leaves_early_causes_no_complaint(home, prints):
    query = [sys.executable, "-c", "from lakehouse.cli import main; main()", "query", "--format", "csv"]
    with subprocess.Popen([*query, "FROM range(5000000)"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"range\n"
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_run_process_returns_the_exit_code_and_drops_the_jvms_noise(capfdbinary):
    script = (
        "import sys; print('out'); print('WARNING: Using incubator modules: jdk.incubator.vector', file=sys.stderr);"
        "print('err', file=sys.stderr); sys.exit(75)"
    )
    assert submit.run_process([sys.executable, "-c", script]) == 75
    assert capfdbinary.readouterr() == (b"out\n", b"err\n")
    assert submit.run_process([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]) == 128 + 9


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 7)])
def test_run_process_waits_for_a_job_that_is_asked_to_stop(tmp_path, number, expected):
    """A job that rolls back needs time: the command must not leave it behind."""
    mark = tmp_path / "rolled back"
    job = tmp_path / "job.py"
    job.write_text(
        "import pathlib, signal, sys, time\n"
        "def stop(*_):\n"
        "    time.sleep(0.3)\n"
        f"    pathlib.Path({str(mark)!r}).touch()\n"
        "    sys.exit(7)\n"
        "signal.signal(signal.SIGINT, stop); signal.signal(signal.SIGTERM, stop)\n"
        "print('ready', flush=True)\n"
        "time.sleep(30)\n"
    )
    caller = (
        "import signal, sys; from lakehouse.commands.submit import run_process\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal; below nohup it is ignored\n"
        f"sys.exit(run_process([sys.executable, {str(job)!r}]))"
    )
    with subprocess.Popen([sys.executable, "-c", caller], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # what a terminal does
        else:
            process.send_signal(number)  # what a scheduler does
        started = time.monotonic()
        assert process.wait(timeout=20) == expected
        assert time.monotonic() - started < 10
    assert mark.exists()


def test_sql_list_names_every_file(lakehouse):
    code, out, _ = lakehouse("sql", "list")
    assert code == 0
    kinds = dict(line.split()[:2] for line in out.splitlines() if "/" in line.split()[0])
    assert kinds == {file.name: "view" if file.is_view else "query" for file in read_sql_files()}


def test_sql_run_and_query_answer_from_a_view_without_a_server(lakehouse, home):
    migrate(home)
    counts = {"dataset": "digits", "split": "train", "label": 3, "image_count": 4, "share_ratio": 1.0}
    rows = arrow_table(GOLD_IMAGE_CLASS_COUNTS, [counts])
    open_catalog(home).load_table(GOLD_IMAGE_CLASS_COUNTS.identifier).append(rows)
    header = "dataset,split,label,label_name,image_count,share_pct,relative_to_equal\n"
    expected = (0, f"{header}digits,train,3,,4,100.0,1.0\n", "")
    assert lakehouse("sql", "run", "class_balance", "--format", "csv") == expected
    assert lakehouse("query", "SELECT * FROM views.vision.class_balance", "--format", "csv") == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ("run", "vwap"), "there is no SQL file 'vwap'; did you mean finance/daily_vwap", id="no such file"
        ),
        pytest.param(("apply",), "profile embedded has no Trino; `lakehouse sql run` and", id="apply without servers"),
        pytest.param(
            ("run", "load_as_a_model_saw_it"), "SQL: Parser Error: syntax error at or near", id="what DuckDB lacks"
        ),
    ],
)
def test_sql_refuses_in_one_line(lakehouse, home, arguments, message):
    migrate(home)
    code, out, err = lakehouse("sql", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "script", "expected"),
    [
        pytest.param(
            [
                "finance",
                "--from",
                "2024-08-08",
                "--to",
                "2024-08-09",
                "--jobs",
                "silver.trades",
                "--jobs",
                "gold.bars_1m",
            ],
            "finance",
            ["--jobs", "silver.trades", "--jobs", "gold.bars_1m", "--from", "2024-08-08", "--to", "2024-08-09"],
            id="days and jobs",
        ),
        pytest.param(
            ["vision", "--dataset", "mnist", "--dataset", "digits", "--dry-run"],
            "vision",
            ["--dataset", "mnist", "--dataset", "digits", "--dry-run"],
            id="image sets",
        ),
    ],
)
def test_run_hands_days_sets_and_jobs_to_the_domains_pipeline(lakehouse, monkeypatch, arguments, script, expected):
    started = []
    monkeypatch.setattr(jobs, "require_ready", lambda settings: None)
    monkeypatch.setattr(submit, "spark_submit", lambda path, given: started.append((path, given)) or 0)
    assert lakehouse("run", *arguments)[0] == 0
    assert started == [(ROOT / "spark_jobs" / script / "pipeline.py", expected)]


def test_run_names_every_domain_that_has_a_pipeline(lakehouse):
    _, out, _ = lakehouse("run", "--help")
    assert f"What to run: {', '.join(pipelines())}." in " ".join(out.split())
