"""Views of checks, models and classes; log tables are read as the last row per key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lakehouse.tables.logs import CHECK_RESULTS, HELD_PARTS
from lakehouse.tables.registry import MODEL_VERSIONS, PROMOTIONS
from lakehouse.tables.vision import GOLD_IMAGE_CLASS_COUNTS

NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)


def check(run: str, hours: int, rule: str, *, passed: bool, severity: str = "critical", failed: int = 0) -> dict:
    return {
        "run_id": run,
        "table_name": "silver.trades",
        "rule": rule,
        "severity": severity,
        "is_passed": passed,
        "observed": f"{failed} rows",
        "threshold": "0 rows",
        "rows_evaluated": 100,
        "rows_failed": failed,
        "checked_at": NOON + timedelta(hours=hours),
    }


@pytest.fixture
def audited(desk):
    desk.fill(
        CHECK_RESULTS,
        check("first", 0, "price_above_zero", passed=False, failed=7),
        check("first", 0, "few_outliers", passed=False, severity="warning", failed=3),
        check("second", 1, "price_above_zero", passed=True),
        check("second", 1, "few_outliers", passed=False, severity="warning", failed=2),
    )
    # an answer that was lost: the same append again
    desk.fill(CHECK_RESULTS, check("second", 1, "few_outliers", passed=False, severity="warning", failed=2))
    desk.fill(CHECK_RESULTS, check("other", 0, "keys_unique", passed=False) | {"table_name": "gold.bars_1m"})
    return desk


def test_latest_verdicts_are_of_the_last_audit_of_each_table(audited):
    rows = audited.run(
        "quality/latest_verdicts",
        *("table_name", "verdict", "rule_count", "failed_critical_count", "failed_warning_count", "run_id"),
    )
    assert rows == [
        ("gold.bars_1m", "failed", 1, 1, 0, "other"),
        ("silver.trades", "passed with warnings", 2, 0, 1, "second"),
    ]


def test_failed_rules_say_how_often_and_what_the_last_failure_was(audited):
    rows = audited.run(
        "quality/failed_rules",
        *("table_name", "rule", "audit_count", "failed_audit_count", "is_passed_last", "rows_failed", "last_failed_at"),
    )
    assert rows == [
        ("gold.bars_1m", "keys_unique", 1, 1, False, 0, NOON),
        ("silver.trades", "few_outliers", 2, 2, False, 2, NOON + timedelta(hours=1)),
        ("silver.trades", "price_above_zero", 2, 1, True, 7, NOON),
    ]


def test_held_parts_are_one_row_per_part_with_its_last_rules_and_files(desk):
    def held(run: str, hours: int, subject: str, rules: str) -> dict:
        part = {"table_name": "silver.trades", "slice": "2024-08-08", "subject": subject}
        return part | {"run_id": run, "rules": rules, "files": f"{run}.zip", "held_at": NOON + timedelta(hours=hours)}

    desk.fill(HELD_PARTS, held("first", 0, "IBM.USA", "few_outliers, keys_unique"), held("first", 0, "A.USA", "x"))
    desk.fill(HELD_PARTS, held("second", 2, "IBM.USA", "few_outliers"))
    desk.fill(HELD_PARTS, held("second", 2, "IBM.USA", "few_outliers"))  # an answer that was lost
    columns = ("subject", "held_count", "first_held_at", "last_held_at", "rules", "files", "run_id")
    assert desk.run("quality/held_parts", *columns) == [
        ("A.USA", 1, NOON, NOON, "x", "first.zip", "first"),
        ("IBM.USA", 2, NOON, NOON + timedelta(hours=2), "few_outliers", "second.zip", "second"),
    ]


def test_model_snapshots_are_one_row_per_table_that_a_version_read(desk):
    desk.fill(
        MODEL_VERSIONS,
        {
            "model_name": "tick_gru",
            "version": 2,
            "table_names": ["gold.tick_features", "gold.bars_1m"],
            "tags": ["model_tick_gru_a", "model_tick_gru_b"],
            "snapshot_ids": [11, 12],
            "is_gate_passed": True,
            "registered_at": NOON,
        },
    )
    rows = desk.run("models/model_snapshots", "model_name", "version", "table_name", "tag", "snapshot_id")
    assert rows == [
        ("tick_gru", 2, "gold.bars_1m", "model_tick_gru_b", 12),
        ("tick_gru", 2, "gold.tick_features", "model_tick_gru_a", 11),
    ]


def test_champions_are_the_last_decisions_that_took_effect(desk):
    def decision(number: int, version: int, *, applied: bool, minutes: int) -> dict:
        return {
            "promotion_id": f"p{number}",
            "model_name": "tick_gru",
            "version": version,
            "previous_version": version - 1 or None,
            "action": "promote",
            "decided_by": "test",
            "reason": "better",
            "is_applied": applied,
            "decided_at": NOON,
            "recorded_at": NOON + timedelta(minutes=minutes),
        }

    desk.fill(
        PROMOTIONS,
        *(decision(1, 1, applied=False, minutes=0), decision(1, 1, applied=True, minutes=1)),
        *(decision(2, 2, applied=False, minutes=2), decision(2, 2, applied=True, minutes=3)),
        decision(3, 3, applied=False, minutes=4),  # decided, and the alias was never seen to move
    )
    assert desk.run("models/champions", "model_name", "version", "previous_version", "reason") == [
        ("tick_gru", 2, 1, "better")
    ]


def test_class_balance_is_held_against_an_equal_share(desk):
    def count(label: int, images: int, share: float, split: str = "train") -> dict:
        return {"dataset": "digits", "split": split, "label": label, "image_count": images, "share_ratio": share}

    desk.fill(
        GOLD_IMAGE_CLASS_COUNTS, count(0, 75, 0.75), count(1, 25, 0.25), count(2, 0, 0.0), count(0, 4, 1.0, "test")
    )
    rows = desk.run("vision/class_balance", "split", "label", "image_count", "share_pct", "relative_to_equal")
    assert rows == [
        ("test", 0, 4, 100.0, 1.0),
        ("train", 0, 75, 75.0, 2.25),
        ("train", 1, 25, 25.0, 0.75),
        ("train", 2, 0, 0.0, 0.0),
    ]
