"""The gate before the registry: the configuration's thresholds, and better than the strongest naive forecast."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.errors import ExitCode, LakehouseError
from ml.config import ModelConfig
from ml.model import Evaluation


class GateFailedError(LakehouseError):
    """The model does not reach what its configuration demands; it is tracked, and not registered."""

    exit_code = ExitCode.AUDIT_FAILED


@dataclass(frozen=True)
class Demand:
    """One demand of the gate and what was seen."""

    words: str
    is_met: bool


@dataclass(frozen=True)
class Verdict:
    """All demands of the gate."""

    demands: tuple[Demand, ...]

    @property
    def is_passed(self) -> bool:
        """True where every demand is met."""
        return all(demand.is_met for demand in self.demands)

    def lines(self) -> list[str]:
        """Return the verdict and every demand, one line each, for a person."""
        verdict = "passed" if self.is_passed else "failed"
        return [
            f"gate {verdict}",
            *(f"  {'met' if each.is_met else 'NOT MET':<8} {each.words}" for each in self.demands),
        ]

    def describe(self) -> str:
        """Return the failed demands in one line, or all of them where none failed."""
        failed = [demand.words for demand in self.demands if not demand.is_met]
        return f"failed: {'; '.join(failed)}" if failed else f"passed: {'; '.join(d.words for d in self.demands)}"


def judge(config: ModelConfig, evaluation: Evaluation, scored: pa.Table) -> Verdict:
    """Check a model's test rows against the configuration and the naive forecasts of the same rows."""
    demands = []
    for name, threshold in config.gate.thresholds.items():
        value = evaluation.metrics.get(name)
        if value is None:
            demands.append(Demand(f"{name} is demanded and was not measured", False))
            continue
        if threshold.minimum is not None:
            demands.append(Demand(f"{name} {value:.4f} >= {threshold.minimum}", value >= threshold.minimum))
        if threshold.maximum is not None:
            demands.append(Demand(f"{name} {value:.4f} <= {threshold.maximum}", value <= threshold.maximum))
    for group, baseline in evaluation.baselines.items():
        rows = scored.filter((pc.field("group") == group) & pc.field("is_test"))
        own, naive = pc.mean(rows.column("loss")).as_py(), pc.mean(rows.column("baseline_loss")).as_py()
        if own is None or naive is None:
            demands.append(
                Demand(f"loss below that of {baseline} is demanded and group {group} has no test row", False)
            )
            continue
        words = f"loss {own:.6g} < {naive:.6g} of {baseline} in group {group}, {rows.num_rows} rows"
        # Where neither is ever wrong, nothing is left to be better at
        demands.append(Demand(words.replace("<", "=", 1) if own == naive == 0 else words, own < naive or own == 0))
    return Verdict(tuple(demands))
