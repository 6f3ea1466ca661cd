from __future__ import annotations

import os
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from expectations import suite_for
from expectations.judge import expectation_type, judge_rule, suite_result
from expectations.measure import Measurement
from expectations.page_model import days_text, judge_state
from expectations.pages import build_index
from expectations.queries import failed_rows_query
from expectations.report import AuditReport, CheckResult, Sample
from lakehouse.config.settings import Settings, read_settings
from lakehouse.lake.catalog import append_log
from lakehouse.lake.connection import open_catalog
from lakehouse.lake.migration import migrate
from lakehouse.lake.schema import arrow_table
from lakehouse.slices import UNDATED, Slice
from lakehouse.tables import find_table
from lakehouse.tables.logs import CHECK_RESULTS, FILE_BALANCES, HELD_PARTS, RUNS

DAY = date(2024, 8, 8)
BEGIN = datetime(2024, 8, 9, 6, 0, tzinfo=UTC)
HOSTILE = "<script>alert('line 7')</script>"

BROKEN = {
    "silver.trades": {
        "price_in_range": Sample(
            ("instrument_id", "event_date", "price", "_source_file", "_source_line"),
            (
                ("XRPETH.BINANCE", "2024-08-08", "-0.00171000", "binance/XRPETH/XRPETH-trades-2024-08-08.zip", "17"),
                ("XRPETH.BINANCE", "2024-08-08", "-0.00171200", HOSTILE, "18"),
            ),
        )
    }
}


def write_audit(settings: Settings, table_name: str, run_id: str, snapshot_id: int, rows: int) -> None:
    """Log an audit and leave its document, as a run would."""
    suite = suite_for(find_table(table_name))
    samples = BROKEN.get(table_name, {})
    failed = {rule.name: 0 for rule in suite.rules if rule.kind != "table"}
    failed |= {name: len(sample.rows) for name, sample in samples.items()}
    measured = Measurement(rows, suite.table.column_names, failed, {})
    verdicts, results = [], []
    for rule in suite.rules:
        sample = samples.get(rule.name)
        verdicts.append(judge_rule(rule, measured, None, [row[2] + HOSTILE for row in sample.rows] if sample else []))
        results.append(
            CheckResult(
                run_id=run_id,
                run_key="key",
                table_name=table_name,
                snapshot_id=snapshot_id,
                rule=rule.name,
                expectation=expectation_type(rule.expectation.type),
                column_name=rule.column,
                severity=rule.severity,
                is_passed=bool(verdicts[-1].success),
                observed=f"{failed.get(rule.name, 0)} of {rows:,} rows",
                threshold="no rows",
                rows_evaluated=rows,
                rows_failed=failed.get(rule.name),
                failed_rows_query=failed_rows_query(rule, suite.table, [DAY], run_id) if sample else None,
                checked_at=BEGIN,
            )
        )
    report = AuditReport(
        table=suite.table,
        snapshot_id=snapshot_id,
        run_id=run_id,
        run_key="key",
        slices=(DAY,),
        rows_evaluated=rows,
        results=tuple(results),
        samples=samples,
        validation=suite_result(table_name, run_id, verdicts),
    )
    report.write(settings)
    append_log(settings, CHECK_RESULTS, [result.as_row() for result in results])


def run_row(job: str, table_name: str, run_id: str, outcome: str, message: str, minutes: int) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "run_key": "key",
        "job": job,
        "table_name": table_name,
        "days": [DAY],
        "outcome": outcome,
        "exit_code": 3 if outcome == "audit failed" else 0,
        "message": message,
        "rows_in": 12_480,
        "rows_out": 12_477,
        "rows_rejected": 3,
        "rows_duplicate": 0,
        "seconds": 6.25,
        "snapshot_id": 42,
        "started_at": BEGIN + timedelta(minutes=minutes),
        "run_by": "somebody",
    }


def write_history(settings: Settings) -> None:
    """Jobs that published, one that held a part back and one that its audit stopped, and three rejected lines."""
    migrate(settings)
    append_log(
        settings,
        RUNS,
        [
            run_row("finance.bronze_trades", "bronze.trades", "b1", "published", "published 2024-08-08", 0),
            run_row("finance.silver_trades", "silver.trades", "s1", "published", "published 2024-08-07", 1),
            run_row("finance.silver_trades", "silver.trades", "s2", "audit failed", "price_in_range broke", 2),
            run_row("finance.bars_1m", "gold.bars_1m", "g1", "held back", "published 2024-08-08; held back a part", 3),
        ],
    )
    write_audit(settings, "bronze.trades", "b1", 6093829920392, 12_480)
    write_audit(settings, "silver.trades", "s2", 5577006791947779410, 12_477)
    write_audit(settings, "gold.bars_1m", "g1", 8674665223082153551, 1_440)
    balance = {
        "run_id": "s2",
        "run_key": "key",
        "table_name": "silver.trades",
        "event_date": DAY,
        "_source_file": "binance/XRPETH/XRPETH-trades-2024-08-08.zip",
        "_source_sha256": "a" * 64,
        "lines_in": 12_480,
        "rows_out": 12_477,
        "rows_rejected": 3,
        "rows_duplicate": 0,
        "is_balanced": True,
        "counted_at": BEGIN,
    }
    append_log(settings, FILE_BALANCES, [balance])
    held = {
        "run_id": "g1",
        "table_name": "gold.bars_1m",
        "slice": "2024-08-08",
        "subject": "XRPETH.BINANCE",
        "rules": "high_is_greatest, volume_not_negative",
        "files": f"binance/XRPETH-trades-2024-08-08.zip, {HOSTILE}",
        "held_at": BEGIN + timedelta(minutes=4),
    }
    append_log(settings, HELD_PARTS, [held, held | {"run_id": "g0", "held_at": BEGIN}])
    table = find_table("silver.trades_rejected")
    rows = [
        {"rule": "unparsable", "reason": "price 'x' is no number", "raw_price": "x", "_source_line": 4},
        {"rule": "unparsable", "reason": "line has 2 fields, 7 expected", "raw_line": HOSTILE, "_source_line": 7},
        {"rule": "price_not_positive", "reason": "price 0 is not positive", "raw_price": "0", "_source_line": 9},
    ]
    shared = {"event_date": DAY, "delivery_date": DAY, "_source_file": "binance/XRPETH/XRPETH-trades-2024-08-08.zip"}
    open_catalog(settings).load_table(table.identifier).append(arrow_table(table, [row | shared for row in rows]))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = read_settings({"LAKEHOUSE_HOME": str(tmp_path_factory.mktemp("home"))})
    write_history(settings)
    return settings


@pytest.fixture(scope="module")
def pages(settings: Settings) -> dict[str, str]:
    """Every page that the index leads to, by path, the index itself as index.html."""
    index = build_index(settings)
    text = index.read_text(encoding="utf-8")
    links = set(re.findall(r'href="([^"#]+)"', text))
    return {"index.html": text} | {link: (index.parent / link).read_text(encoding="utf-8") for link in links}


def test_build_index_opens_with_what_was_stopped(pages: dict[str, str]) -> None:
    headline = re.search(r"<h1>(.*?)</h1>", pages["index.html"])
    assert headline is not None
    assert headline[1] == "1 job was stopped: finance.silver_trades"


def test_build_index_shows_of_a_failed_rule_the_words_the_rows_the_run_and_the_command(pages: dict[str, str]) -> None:
    card = pages["index.html"].split('id="silver.trades.price_in_range"')[1].split("</section>")[0]
    shown = [
        "price is greater than 0.",
        "2 of 12,477 rows",
        "-0.00171000",
        "binance/XRPETH/XRPETH-trades-2024-08-08.zip",
        "Run s2",
        "snapshot 5577006791947779410",
        "lakehouse query --as-of 5577006791947779410 &#34;SELECT * FROM silver.trades WHERE event_date = DATE "
        "&#39;2024-08-08&#39; AND (NOT (price &gt; 0))&#34;",
        'href="audits/s2.silver.trades.html"',
    ]
    assert [text for text in shown if text not in card] == []


def test_build_index_shows_parts_held_back_with_rules_files_and_since_when(pages: dict[str, str]) -> None:
    shown = pages["index.html"].split("<h2>Held back</h2>")[1].split("<h2>")[0]
    cells = re.findall(r"<td[^>]*>(.*?)</td>", shown)
    assert cells == [
        *("<b>gold.bars_1m</b>", "2024-08-08", "XRPETH.BINANCE", "high_is_greatest, volume_not_negative"),
        "binance/XRPETH-trades-2024-08-08.zip, &lt;script&gt;alert(&#39;line 7&#39;)&lt;/script&gt;",
        *("2024-08-09 06:00:00", "2024-08-09 06:04:00"),
    ]
    assert "<b>gold.bars_1m</b>: 1 part keeps the rows from before: see Held back." in pages["index.html"]


def test_build_index_counts_rejected_rows_by_rule_with_file_and_line(pages: dict[str, str]) -> None:
    rejected = pages["index.html"].split("<h2>Rejected rows</h2>")[1].split("<h2>")[0]
    assert re.findall(r": (\d+) rows? by rule <b>(\w+)</b>", rejected) == [
        ("2", "unparsable"),
        ("1", "price_not_positive"),
    ]
    assert "<td>4</td>" in rejected
    assert "price &#39;x&#39; is no number" in rejected


def test_build_index_leads_to_data_docs_of_each_audit(pages: dict[str, str]) -> None:
    assert sorted(pages) == [
        "audits/b1.bronze.trades.html",
        "audits/g1.gold.bars_1m.html",
        "audits/s2.silver.trades.html",
        "index.html",
    ]
    data_docs = pages["audits/s2.silver.trades.html"].split("Every expectation")[1]
    assert re.findall(r"\d+ unexpected values found", data_docs) == ["2 unexpected values found"]
    assert data_docs.count("&lt;script&gt;") == 2


def test_pages_hold_no_script_and_load_nothing(pages: dict[str, str]) -> None:
    for name, text in pages.items():
        assert "<script" not in text.lower(), name
        assert re.findall(r"(?:src|href)=\"(?:https?:)?//[^\"]*", text) == [], name
        assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text, name


def test_build_index_keeps_documents_of_last_audits_and_clears_old_others(
    settings: Settings, pages: dict[str, str]
) -> None:
    folder = settings.reports / "audits"
    for name in ("old.silver.trades.json", "old.silver.trades.html", "s2.silver.trades.json"):
        (folder / name).touch()
        os.utime(folder / name, (0, 0))
    (folder / "young.silver.trades.json").touch()
    build_index(settings)
    left = sorted(path.name for path in folder.iterdir() if "silver" in path.name)
    assert left == ["s2.silver.trades.html", "s2.silver.trades.json", "young.silver.trades.json"]


def test_build_index_of_an_empty_lakehouse_says_so(tmp_path: Path) -> None:
    index = build_index(read_settings({"LAKEHOUSE_HOME": str(tmp_path)}))
    assert "<h1>Nothing has run yet</h1>" in index.read_text(encoding="utf-8")


def test_judge_state_forgets_a_stopped_run_that_a_later_one_made_good() -> None:
    runs = [
        run_row("finance.bars_1m", "gold.bars_1m", "g1", "crash", "out of memory", 0),
        run_row("finance.bars_1m", "gold.bars_1m", "g2", "published", "published", 1),
    ]
    assert judge_state([], runs).headline == "Everything that was published passed its audit"
    assert judge_state([], runs[:1]).headline == "1 job was stopped: finance.bars_1m"


@pytest.mark.parametrize(
    ("days", "shown"),
    [
        ([date(2024, 8, 8), date(2024, 8, 9), date(2024, 8, 12)], "2024-08-08 to 2024-08-09, 2024-08-12"),
        (["digits", "mnist"], "digits, mnist"),
        ([UNDATED], "deliveries without a day"),
        ([UNDATED, date(2024, 8, 8)], "2024-08-08, deliveries without a day"),
        ([], ""),
    ],
)
def test_days_text_says_what_an_audit_looked_at(days: list[Slice], shown: str) -> None:
    assert days_text(days) == shown
