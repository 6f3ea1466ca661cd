"""Schemas of the tick models' configurations."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from lakehouse.reference.instruments import describe_instrument
from lakehouse.tables.finance import BASE_UNIT, GOLD_TICK_FEATURES, QUOTE_CURRENCY
from ml.config import Gate, ModelConfig, Section, Threshold
from ml.finance.relative import RELATIVE
from ml.hyperparameters import BoostedTrees, RandomForest

PLAIN_FEATURES = tuple(
    name
    for column in GOLD_TICK_FEATURES.columns
    if column.type in ("double", "int") and column.unit not in (QUOTE_CURRENCY, BASE_UNIT)
    for name in (column.name, *column.formerly)
)
"""Numbers of gold that mean the same whatever an instrument's price and lot are, by the units that are declared.

A configuration that was recorded with a run names a column as it was called then.
"""
FEATURES = (*PLAIN_FEATURES, *RELATIVE)
"""What a configuration may name."""

NETWORKS = ("gru", "lstm", "transformer")
"""Model types that torch trains."""
LAXEST = {
    "sharpe_net": Threshold(minimum=0.0),
    "maximum_drawdown": Threshold(maximum=0.20),
    "diebold_mariano_p": Threshold(maximum=0.01),
    "deflated_sharpe": Threshold(minimum=0.95),
    "test_days": Threshold(minimum=20),
    "trades": Threshold(minimum=30),
}
"""Metrics without which a gate would let luck pass, and what it has to ask of each at least.

A few lucky days or trades among flat minutes make a good ratio of any kind.
"""


class Training(Section):
    """What every network is trained with: AdamW on squared errors, the learning rate falling to zero."""

    epochs: int = Field(ge=1, le=10_000)
    batch_size: int = Field(ge=1, le=65_536)
    learning_rate: float = Field(gt=0, le=1)
    weight_decay: float = Field(ge=0)
    dropout: float = Field(ge=0, lt=1)


class Recurrent(Training):
    """Hyperparameters of a GRU or an LSTM."""

    hidden: int = Field(ge=1, le=4096)
    layers: int = Field(ge=1, le=16)


class Transformer(Training):
    """Hyperparameters of a Transformer encoder; `width` is shared out among the heads."""

    width: int = Field(ge=1, le=4096)
    heads: int = Field(ge=1, le=64)
    layers: int = Field(ge=1, le=32)
    feedforward: int = Field(ge=1, le=16_384)

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} can't be shared out among {self.heads} heads")
        return self


class TickHyperparameters(Section):
    """One section per model type that the configuration can be switched to."""

    gru: Recurrent | None = None
    lstm: Recurrent | None = None
    transformer: Transformer | None = None
    random_forest: RandomForest | None = None
    lightgbm: BoostedTrees | None = None


class WalkForward(Section):
    """How bars are split by time, at the same moments for all instruments (ml/finance/walk_forward.py)."""

    test_ratio: float = Field(gt=0, lt=0.9)
    """Last share of the days, at least one: what the gate looks at."""
    folds: int = Field(ge=2, le=50)
    """Tests before it, each after its own training, for how steady the result is."""
    first_fold_ratio: float = Field(gt=0, lt=1)
    """Share of the bars before the test that the first fold trains on."""
    embargo_bars: int = Field(ge=1)
    """Bars that are left out of training on top of what purging takes; at least window + horizon."""


class Backtest(Section):
    """How forecasts become positions of -1, 0 or 1, and what trading costs (ml/finance/backtest.py)."""

    fee_bps: float = Field(default=5.0, ge=0)
    """Fees per traded value, 10^-4."""
    slippage_bps: float = Field(default=5.0, ge=0)
    """How much worse than the close an order is executed, 10^-4 of the traded value."""
    entry_bps: float = Field(gt=0)
    """Forecast return, 10^-4, from which on a position is opened in its direction."""
    exit_bps: float = Field(ge=0)
    """Forecast return in the position's direction below which it is closed."""
    random_draws: int = Field(ge=20, le=10_000)
    """Random policies with the same turnover that the result is compared with."""

    @property
    def cost_ratio(self) -> float:
        """Cost per traded value."""
        return (self.fee_bps + self.slippage_bps) / 1e4

    @model_validator(mode="after")
    def _costs_something(self) -> Self:
        if not self.cost_ratio:
            raise ValueError("fee_bps and slippage_bps are 0: trading that costs nothing is not what would happen")
        return self

    @model_validator(mode="after")
    def _exits_before_it_enters(self) -> Self:
        if self.exit_bps > self.entry_bps:
            raise ValueError(f"exit_bps {self.exit_bps} is above entry_bps {self.entry_bps}")
        return self


class TickConfig(ModelConfig):
    """A forecast of the return over the next bars of some instruments that trade at the same hours."""

    code: Literal["tick_gru"]
    instruments: tuple[str, ...] = Field(min_length=1)
    target: Literal["forward_log_return"]
    features: tuple[str, ...] = Field(min_length=1)
    window: int = Field(ge=2, le=1000)
    """Bars that a forecast looks at."""
    horizon: int = Field(ge=1, le=1000)
    """Bars ahead that the target reaches."""
    split: WalkForward
    backtest: Backtest
    model_type: Literal["gru", "lstm", "transformer", "random_forest", "lightgbm"]
    hyperparameters: TickHyperparameters

    @property
    def calendar(self) -> str:
        """The session calendar that all instruments share."""
        return describe_instrument(self.instruments[0]).calendar

    @field_validator("table")
    @classmethod
    def _is_tick_features(cls, identifier: str) -> str:
        if identifier != GOLD_TICK_FEATURES.identifier:
            raise ValueError(f"expected {GOLD_TICK_FEATURES.identifier}")
        return identifier

    @field_validator("instruments")
    @classmethod
    def _trade_at_the_same_hours(cls, instruments: tuple[str, ...]) -> tuple[str, ...]:
        if list(instruments) != sorted(set(instruments)):
            raise ValueError("expected instruments in the order of their text, each once")
        calendars = {describe_instrument(each).calendar for each in instruments}
        if len(calendars) > 1:
            words = ", ".join(sorted(calendars))
            raise ValueError(f"they trade by several calendars ({words}): make a model for each")
        return instruments

    @field_validator("features")
    @classmethod
    def _are_known_when_the_bar_ends(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in names if name not in FEATURES]
        if unknown:
            raise ValueError(f"no feature {unknown[0]!r}; there are {', '.join(FEATURES)}")
        if len(set(names)) != len(names):
            raise ValueError(f"twice there: {', '.join(sorted({name for name in names if names.count(name) > 1}))}")
        return names

    @field_validator("gate")
    @classmethod
    def _gate_asks_what_a_trader_would(cls, gate: Gate) -> Gate:
        missing = [name for name in LAXEST if name not in gate.thresholds]
        if missing:
            raise ValueError(f"thresholds lack {', '.join(missing)}")
        for name, laxest in LAXEST.items():
            minimum, maximum = gate.thresholds[name].minimum, gate.thresholds[name].maximum
            if laxest.minimum is not None and (minimum is None or minimum < laxest.minimum):
                raise ValueError(f"{name} needs a minimum of {laxest.minimum:g} or more")
            if laxest.maximum is not None and (maximum is None or maximum > laxest.maximum):
                raise ValueError(f"{name} needs a maximum of {laxest.maximum:g} or less")
        return gate

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if getattr(self.hyperparameters, self.model_type) is None:
            raise ValueError(f"hyperparameters.{self.model_type} is missing")
        shortest = self.window + self.horizon
        if self.split.embargo_bars < shortest:
            raise ValueError(f"split.embargo_bars {self.split.embargo_bars} is below window + horizon = {shortest}")
        return self
