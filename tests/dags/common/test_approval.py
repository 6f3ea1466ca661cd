"""What a person is shown before a promotion."""

from __future__ import annotations

from datetime import UTC, datetime

from dags.common.approval import find_champion, side_by_side

NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)


def version(number: int, rmse: float) -> dict:
    return {
        "model_name": "m",
        "version": number,
        "model_type": "lightgbm",
        "registered_at": NOON,
        "snapshot_ids": [70 + number],
        "mlflow_run_id": f"{number:032x}",
        "metrics": f'{{"rmse_kw_h1": {rmse}}}',
    }


def promotion(number: int, at: int, *, model: str = "m", is_applied: bool = True) -> dict:
    recorded = NOON.replace(hour=at)
    return {"model_name": model, "version": number, "is_applied": is_applied, "recorded_at": recorded}


def test_find_champion_is_the_version_of_the_last_applied_promotion():
    versions = [version(1, 0.5), version(2, 0.6)]
    history = [
        promotion(1, 13),
        promotion(2, 14),
        promotion(1, 15),  # rolled back
        promotion(2, 16, is_applied=False),  # decided, never seen to be done
        promotion(2, 17, model="another"),
    ]
    assert find_champion("m", versions, history) == versions[0]
    assert find_champion("m", versions, []) is None


def test_side_by_side_shows_both_versions_and_the_test():
    assert side_by_side(version(1, 0.5), version(2, 0.4), "better, p 0.0010").splitlines() == [
        "| | champion | challenger |",
        "|---|---|---|",
        "| version | 1 | 2 |",
        "| type | lightgbm | lightgbm |",
        "| registered | 2024-08-08 12:00 UTC | 2024-08-08 12:00 UTC |",
        "| snapshot | 71 | 72 |",
        f"| MLflow run | {1:032x} | {2:032x} |",
        "| rmse_kw_h1 | 0.5000 | 0.4000 |",
        "",
        "Paired test on the same rows: better, p 0.0010",
    ]


def test_side_by_side_without_a_champion_says_so():
    lines = side_by_side(None, version(2, 0.4), "better than naive").splitlines()
    assert "| version | — | 2 |" in lines
    assert lines[-1] == "There is no champion yet."
