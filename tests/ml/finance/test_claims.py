import numpy as np
import pyarrow as pa
import pytest

from lakehouse.errors import BadInputError
from lakehouse.tables.finance import GOLD_TICK_FEATURES
from ml.config import config_files, find_config
from ml.finance import claims
from ml.finance.claims import check_claims, compute_again, unchecked_columns
from ml.finance.config import FEATURES, TickConfig
from ml.finance.features import columns_of
from ml.leakage import LeakError
from transforms.finance.indicators import State, compute_features

FORMULAS = tuple(compute_features(np.ones(1), np.ones(1), State())[0])
TICK_MODELS = [name for name, path in config_files().items() if path.parent.name == "finance"]


@pytest.fixture(scope="module")
def rows(ticks):
    """Two sessions of two instruments: every column is told after some 400 bars."""
    return ticks.rows([ticks.generated(2, 0.5, seed, name) for seed, name in ((1, "GENA.USA"), (2, "GENB.USA"))])


@pytest.mark.parametrize("name", TICK_MODELS)
def test_every_feature_of_a_shipped_yaml_is_made_from_columns_that_are_checked(name):
    config = find_config(name)
    assert isinstance(config, TickConfig)
    unchecked = unchecked_columns(column for feature in config.features for column in columns_of(feature))
    assert not unchecked, f"{name}.yaml: nothing checks {unchecked} against the future"


def test_every_feature_that_a_yaml_may_name_is_made_from_declared_columns_that_are_checked():
    columns = {column for name in FEATURES for column in columns_of(name)}
    undeclared, unchecked = columns - {*GOLD_TICK_FEATURES.column_names}, unchecked_columns(columns)
    assert not undeclared, f"{undeclared} not declared in lakehouse/tables/finance.py"
    assert not unchecked, f"{unchecked} without formula in transforms/finance/indicators.py or check in claims.py"


def test_feature_of_a_column_that_nothing_checks_is_refused_by_name_and_file(rows):
    features = {"momentum_10": ("momentum_10",), "rsi_14": ("rsi_14",), "momentum_ratio": ("momentum_10", "close")}
    expected = (
        r"^column momentum_10 of gold\.tick_features can't be checked against the future: no formula of "
        r"transforms/finance/indicators\.py makes it; .* ml/finance/claims\.py, .* \(momentum_10, momentum_ratio\)$"
    )
    with pytest.raises(LeakError, match=expected):
        check_claims(rows, features)


def from_the_next_bar(close, volume, state):
    """Gold's formulas with one that looks ahead: then gold and the check agree, and only hiding bars shows it."""
    features, after = compute_features(close, volume, state)
    return {**features, "sma_20": np.concatenate([features["sma_20"][1:], [np.nan]])}, after


def test_formula_that_looks_ahead_is_found_though_gold_is_made_by_it(rows, monkeypatch):
    monkeypatch.setattr(claims, "compute_features", from_the_next_bar)
    with pytest.raises(LeakError, match=r"^feature sma_20 at .* changes when everything from .* on is hidden"):
        check_claims(rows, {})


def prices(kind, random, count):
    """Prices that formulas find hard, and what volume there is."""
    moves = random.normal(0, 5e-4, count)
    volume = 100.0 * random.integers(0, 3, count)
    if kind == "splits":
        moves[random.integers(0, count, 3)] = -2.3
    elif kind == "never down":
        moves = np.abs(moves)
    elif kind == "silent":
        moves[count // 3 :], volume[count // 3 :] = 0.0, 0.0
    elif kind == "wild before":
        moves[: count // 2] *= 100
    return 50 * np.exp(np.cumsum(moves)), volume


@pytest.mark.parametrize("kind", ["plain", "splits", "never down", "silent", "wild before"])
def test_columns_are_told_as_they_are_whatever_the_bars_before_the_rows_were(kind):
    told = []
    for seed in range(4):
        close, volume = prices(kind, np.random.default_rng(seed), 1500)
        gold, _ = compute_features(close, volume, State())
        for begin in (0, 1, 30, 517, 760):
            for name, expected in compute_again(close[begin:], volume[begin:]).items():
                values = gold[name][begin:]
                is_right = claims.is_same(values, expected.values, expected.tolerance)
                assert is_right[expected.is_told].all(), (name, begin, seed)
                told.append(expected.is_told[450:].mean())
    assert np.mean(told) > 0.9  # of the bars from which on everything is forgotten


def shifted(rows, name, bars):
    """Give each bar the value that another has: of a later one for positive numbers."""
    column = rows.column(name).to_pylist()
    moved = column[bars:] + [None] * bars if bars > 0 else [None] * -bars + column[:bars]
    return rows.set_column(rows.schema.get_field_index(name), name, pa.array(moved, rows.schema.field(name).type))


def test_honest_columns_pass_in_any_order_of_rows(rows):
    check_claims(rows, {})
    check_claims(rows.take(list(range(rows.num_rows))[::-1]), {})


@pytest.mark.parametrize("bars", [1, -1, 10])
@pytest.mark.parametrize("name", [*FORMULAS, "minutes_since_open"])
def test_every_column_shifted_in_time_is_found(rows, name, bars):
    with pytest.raises(LeakError, match=rf"{name} of GENA\.USA is "):
        check_claims(shifted(rows, name, bars), {})


def test_one_value_of_one_bar_is_found(rows):
    values = rows.column("sma_20").to_pylist()
    values[700] *= 1.0001
    planted = rows.set_column(rows.schema.get_field_index("sma_20"), "sma_20", pa.array(values))
    with pytest.raises(LeakError, match=r"\(1 of 780 bars are wrong\): a feature of another bar, or from the future$"):
        check_claims(planted, {})


def test_value_that_is_missing_is_found(rows):
    values = rows.column("ema_26").to_pylist()
    values[700] = None
    planted = rows.set_column(rows.schema.get_field_index("ema_26"), "ema_26", pa.array(values))
    with pytest.raises(LeakError, match=r"^column ema_26 of GENA\.USA is nan at .*, expected \d"):
        check_claims(planted, {})


def test_training_window_that_begins_in_the_middle_passes(rows):
    check_claims(rows.slice(137, 500), {})


def test_rows_of_before_gold_had_volumes_are_refused(rows):
    empty = pa.array([None] * rows.num_rows, pa.float64())
    with pytest.raises(BadInputError, match=r"^gold\.tick_features has bars without volume, .* lakehouse run finance"):
        check_claims(rows.set_column(rows.schema.get_field_index("volume"), "volume", empty), {})
