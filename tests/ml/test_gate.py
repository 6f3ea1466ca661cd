import pyarrow as pa

from ml.config import find_config
from ml.gate import Demand, Verdict, judge
from ml.model import Evaluation


def test_verdict_is_told_demand_by_demand_whether_it_passed_or_not(gate_with):
    limits = "{sharpe: {minimum: 1.5}, days: {minimum: 20}, depth: {maximum: 0.2}}"
    with gate_with("household_power_lgbm", limits):
        config = find_config("household_power_lgbm")
    scored = pa.table({"group": [1, 1], "is_test": [True, True], "loss": [1.0, 1.0], "baseline_loss": [2.0, 2.0]})
    verdict = judge(config, Evaluation({"sharpe": 0.3, "depth": 0.2}, {1: "no_change"}), scored)
    assert verdict.lines() == [
        "gate failed",
        "  NOT MET  sharpe 0.3000 >= 1.5",
        "  NOT MET  days is demanded and was not measured",
        "  met      depth 0.2000 <= 0.2",
        "  met      loss 1 < 2 of no_change in group 1, 2 rows",
    ]
    assert Verdict((Demand("a", True),)).lines() == ["gate passed", "  met      a"]


def test_group_without_a_test_row_is_a_demand_that_is_not_met():
    config = find_config("household_power_lgbm")
    scored = pa.table({"group": [1, 1], "is_test": [True, False], "loss": [1.0, 1.0], "baseline_loss": [2.0, 2.0]})
    evaluation = Evaluation(dict.fromkeys(config.gate.thresholds, 0.0), {1: "no_change", 24: "last_day"})
    demands = judge(config, evaluation, scored).demands
    assert demands[-2:] == (
        Demand("loss 1 < 2 of no_change in group 1, 1 rows", True),
        Demand("loss below that of last_day is demanded and group 24 has no test row", False),
    )
