import json

import numpy as np
import pyarrow as pa
import pytest

from lakehouse.errors import BadInputError
from lakehouse.lake.catalog import read_log
from lakehouse.tables.registry import PROMOTIONS
from ml import promotion
from ml.promotion import finish_decisions, line_of_champions, promote_by_person, promote_if_better, roll_back
from ml.registry import find_alias

MODEL = "household_power_lgbm"


@pytest.fixture(scope="module")
def versions(training):
    """Two registered versions, the second with other trees, and what brings the stores back to before any champion."""
    runs = []
    for overrides in (["rounds=10"], ["rounds=80"]):
        run = training.train(overrides, "{rmse_kw_h24: {maximum: 9.0}}", step="prepare")
        for step in ("train", "evaluate"):
            run = training.train(step=step, run_id=run.run_id)
        training.context.client.set_tag(run.run_id, "lakehouse.gate", "passed")  # weak models are wanted here
        runs.append(training.train(step="register", run_id=run.run_id))
    return runs, training.keep()


@pytest.fixture
def runs(versions):
    found, bring_back = versions
    bring_back()
    return found


def champion(training):
    found = find_alias(training.context, MODEL, "champion")
    return None if found is None else int(found.version)


def decisions(training):
    rows = sorted(read_log(training.settings, PROMOTIONS).to_pylist(), key=lambda row: row["decided_at"])
    return [
        (row["action"], row["previous_version"], row["version"], row["decided_by"], row["is_applied"]) for row in rows
    ]


def test_person_promotes_and_rolls_back_with_reasons(training, runs):
    promote_by_person(training.context, MODEL, 1, "the first")
    promote_by_person(training.context, MODEL, 2, "more trees")
    assert champion(training) == 2
    assert roll_back(training.context, MODEL, "Sundays") == (
        f"version 1 of {MODEL} is champion again, version 2 is not"
    )
    assert champion(training) == 1
    assert decisions(training) == [
        ("promote", None, 1, "person", True),
        ("promote", 1, 2, "person", True),
        ("rollback", 2, 1, "person", True),
    ]
    reasons = {row["reason"] for row in read_log(training.settings, PROMOTIONS).to_pylist()}
    assert reasons == {"the first", "more trees", "Sundays"}
    with pytest.raises(BadInputError, match=rf"^{MODEL} had no champion before 1: nothing to go back to$"):
        roll_back(training.context, MODEL, "")


def test_promotion_needs_a_reason_and_a_version(training, runs):
    with pytest.raises(BadInputError, match=r"^a promotion by a person needs its reason"):
        promote_by_person(training.context, MODEL, 1, "  ")
    with pytest.raises(BadInputError, match=rf"^{MODEL} has no version 9; there are 1, 2$"):
        promote_by_person(training.context, MODEL, 9, "why not")
    assert promote_by_person(training.context, MODEL, 1, "the first") == f"version 1 of {MODEL} is champion"
    assert promote_by_person(training.context, MODEL, 1, "again") == f"version 1 of {MODEL} is champion already"
    assert len(decisions(training)) == 1


def test_better_model_on_the_same_rows_becomes_champion_with_the_evidence(training, runs):
    promote_by_person(training.context, MODEL, 1, "ten trees")
    said = promote_if_better(training.context, runs[1], 2)
    assert said.startswith("version 2 is champion: better than version 1 (group 1: loss 0.")
    assert champion(training) == 2
    row = next(row for row in read_log(training.settings, PROMOTIONS).to_pylist() if row["decided_by"] == "test")
    evidence = json.loads(row["evidence"])
    assert evidence["test"] == "Diebold-Mariano, Newey-West variance, one-sided"
    assert evidence["incumbent"] == "version 1"
    assert set(evidence["groups"]) == {"1", "24"}
    assert evidence["groups"]["1"]["challenger_loss"] < evidence["groups"]["1"]["incumbent_loss"]
    assert evidence["groups"]["1"]["p_value"] < 0.025


def test_equal_or_worse_models_do_not_become_champion(training, runs):
    promote_by_person(training.context, MODEL, 2, "eighty trees")
    assert promote_if_better(training.context, runs[1], 2) == "version 2 is champion already"
    assert promote_if_better(training.context, runs[0], 1).startswith("version 2 is champion and newer")
    # the same model under another number: every loss is equal
    twin = training.train(["rounds=80"], "{rmse_kw_h24: {maximum: 9.0}}", step="prepare")
    for step in ("train", "evaluate", "register"):
        twin = training.train(step=step, run_id=twin.run_id)
    assert "not significantly better than version 2" in promote_if_better(training.context, twin, 3)
    assert champion(training) == 2


def test_approval_waits_for_a_person(training, runs, monkeypatch):
    promote_by_person(training.context, MODEL, 1, "ten trees")
    careful = runs[1].config.model_copy(update={"is_approval_needed": True})
    run = type(runs[1])(**{**vars(runs[1]), "config": careful})
    assert promote_if_better(training.context, run, 2).endswith(f"waiting for: lakehouse promote {MODEL} 2 --reason …")
    assert champion(training) == 1


def test_rows_that_the_champion_was_trained_on_do_not_count(training, runs, monkeypatch):
    promote_by_person(training.context, MODEL, 1, "ten trees")
    honest = promotion.score_run

    def knows_the_test(context, run, rows_of):
        scored = honest(context, run, rows_of)
        if run.run_id != runs[0].run_id:
            return scored
        index = scored.schema.get_field_index("is_trained_on")
        return scored.set_column(index, "is_trained_on", pa.array(np.ones(scored.num_rows, dtype=bool)))

    monkeypatch.setattr(promotion, "score_run", knows_the_test)
    said = promote_if_better(training.context, runs[1], 2)
    assert said == "not compared with version 1: 0 rows of group 1 that both forecast, expected 168"
    assert champion(training) == 1


@pytest.mark.parametrize("is_applied", [False, True])
def test_decision_whose_alias_broke_off_is_carried_out_by_the_next_command(training, runs, monkeypatch, is_applied):
    promote_by_person(training.context, MODEL, 1, "the first")
    client = type(training.context.client)
    move = client.set_registered_model_alias

    def fail(self, *arguments):
        if is_applied:
            move(self, *arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(client, "set_registered_model_alias", fail)
    with pytest.raises(KeyboardInterrupt):
        promote_by_person(training.context, MODEL, 2, "more trees")
    monkeypatch.undo()
    assert champion(training) == (2 if is_applied else 1)
    finish_decisions(training.context, MODEL)
    assert champion(training) == 2
    assert decisions(training)[-1] == ("promote", 1, 2, "person", True)


def test_line_of_champions_goes_back_through_rollbacks():
    def rows(*steps):
        return [{"action": action, "version": version, "is_applied": applied} for action, version, applied in steps]

    promoted = [("promote", number, True) for number in (1, 2, 3)]
    assert line_of_champions(rows(*promoted)) == [1, 2, 3]
    assert line_of_champions(rows(*promoted, ("rollback", 2, True))) == [1, 2]
    assert line_of_champions(rows(*promoted, ("rollback", 2, True), ("rollback", 1, True))) == [1]
    assert line_of_champions(rows(*promoted, ("promote", 4, False))) == [1, 2, 3]
