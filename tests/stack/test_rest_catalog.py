"""The same jobs over Iceberg's own REST server: only settings differ, and the rows are those of embedded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import date, datetime

import pytest
from rest_server import rest_server

from lakehouse.tables.finance import BRONZE_TRADES, GOLD_BARS_1M, GOLD_TICK_FEATURES, SILVER_TRADES

FINANCE = (BRONZE_TRADES, SILVER_TRADES, GOLD_BARS_1M, GOLD_TICK_FEATURES)
DAYS = ("--from", "2019-10-11", "--to", "2019-10-12")
TIMEOUT_S = 1200


@dataclass(frozen=True)
class Rest:
    """A lakehouse whose catalog is the server's; commands are run as a user runs them."""

    variables: dict[str, str]

    def lakehouse(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        outer = {name: value for name, value in os.environ.items() if not name.startswith("LAKEHOUSE_")}
        command = [sys.executable, "-m", "lakehouse", *arguments]
        return subprocess.run(
            command, env=outer | self.variables | more, check=False, capture_output=True, text=True, timeout=TIMEOUT_S
        )

    def run(self, *arguments: str) -> str:
        done = self.lakehouse(*arguments)
        assert done.returncode == 0, (arguments, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def rest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rest")
    home = folder / "home"
    with rest_server(folder / "server.db", (home / "warehouse").as_uri()) as uri:
        yield Rest(
            {
                "LAKEHOUSE_HOME": str(home),
                "LAKEHOUSE_CATALOG_TYPE": "rest",
                "LAKEHOUSE_CATALOG_URI": uri,
                "LAKEHOUSE_SPARK_MASTER": "local[2]",
                "LAKEHOUSE_DRIVER_MEMORY": "1g",
                "LAKEHOUSE_SHUFFLE_PARTITIONS": "2",
            }
        )


@pytest.fixture(scope="module")
def opened(rest, lakes, spark, tmp_path_factory):
    """The tables of the server as this process reads and writes them."""
    given = {name.removeprefix("LAKEHOUSE_").lower(): value for name, value in rest.variables.items()}
    return lakes(spark, tmp_path_factory.mktemp("opened"), "rest", **given)


@pytest.fixture(scope="module")
def ran(rest, real_data):
    """A real day of trades, from file to gold."""
    return rest.run("run", "finance", "--landing", str(real_data / "ticks" / "binance"), *DAYS)


def test_a_chain_over_rest_has_the_digests_of_the_embedded_catalog(
    ran, opened, real_data, lakes, spark, tmp_path_factory
):
    from spark_jobs.layers.chain import run_domain

    embedded = lakes(spark, tmp_path_factory.mktemp("embedded"), "embedded")
    request = embedded.request([date(2019, 10, 11)], landing=real_data / "ticks" / "binance")
    assert run_domain("finance", request) == 0
    assert {table.identifier: opened.digest(table) for table in FINANCE} == {
        table.identifier: embedded.digest(table) for table in FINANCE
    }
    assert opened.rows(BRONZE_TRADES).num_rows == 5929  # the lines of the exchange's file
    assert not opened.settings.catalog_file.exists()
    assert [opened.branches(table) for table in FINANCE] == [[], [], [], []]


def test_a_second_run_says_that_it_is_done_already(rest, ran, opened, real_data):
    before = [opened.main(table) for table in FINANCE]
    assert "done already" in rest.run("run", "finance", "--landing", str(real_data / "ticks" / "binance"), *DAYS)
    assert [opened.main(table) for table in FINANCE] == before


def test_queries_and_tables_are_read_through_rest(rest, ran):
    asked = rest.run("query", "SELECT count(*) AS n FROM silver.trades", "--format", "json")
    assert json.loads(asked) == [{"n": 5929}]
    assert "silver.trades" in rest.run("tables")


def test_an_address_without_a_server_is_exit_code_75_in_one_line(rest, ran):
    done = rest.lakehouse("query", "SELECT 1 AS n FROM silver.trades", LAKEHOUSE_CATALOG_URI="http://127.0.0.1:9")
    assert (done.returncode, done.stdout) == (75, "")
    assert done.stderr.startswith("error: http://127.0.0.1:9: the catalog can't be opened (")
    assert done.stderr.count("\n") == 1


def test_half_a_setting_is_exit_code_2_in_one_line(rest):
    done = rest.lakehouse("tables", LAKEHOUSE_CATALOG_URI="")
    expected = "error: LAKEHOUSE_CATALOG_URI: expected a URL like https://host/catalog, found none\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)


def test_a_failed_audit_leaves_main_untouched(rest, ran, opened, binance_zip, tmp_path):
    """Last in this file, since it adds a delivery to bronze."""
    before = [opened.main(table) for table in (SILVER_TRADES, GOLD_BARS_1M)]
    noon = datetime(2019, 10, 12, 12)
    lines = [(1, "0", "1", noon), (2, "100", "0", noon)]  # no line is a trade, so that silver has no row of the day
    binance_zip(tmp_path, "BTCUSDT", date(2019, 10, 12), lines)
    done = rest.lakehouse("run", "finance", "--landing", str(tmp_path), "--from", "2019-10-12", "--to", "2019-10-13")
    assert done.returncode == 3, done.stderr[-2000:]
    assert "audit failed in silver.trades: has_rows; main is untouched" in done.stdout + done.stderr
    assert [opened.main(table) for table in (SILVER_TRADES, GOLD_BARS_1M)] == before
    (branch,) = opened.branches(SILVER_TRADES)
    asked = "SELECT rule FROM silver.trades_rejected ORDER BY rule"
    kept = rest.run("query", asked, "--as-of", branch, "--format", "json")
    assert json.loads(kept) == [{"rule": "non_positive_price"}, {"rule": "non_positive_size"}]
