import pytest

from lakehouse.errors import BadInputError
from ml.config import config_files, find_config, read_config

MODEL = "tick_gru"
TEXT = config_files()[MODEL].read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "key", "message"),
    [
        pytest.param("  - rsi_14", "  - rsi_15", "  - rsi_15", "features: no feature 'rsi_15'; there are", id="typo"),
        pytest.param("  - rsi_14", "  - close", "  - close", "features: no feature 'close'; there are ", id="a price"),
        pytest.param(
            "[AIG.USA, BAC.USA]", "[AIG.USA, BTCUSDT.BINANCE]", "instruments",
            "instruments: they trade by several calendars (24/7, XNYS): make a model for each", id="calendars",
        ),
        pytest.param(
            "[AIG.USA, BAC.USA]", "[BAC.USA, AIG.USA]", "instruments",
            "instruments: expected instruments in the order of their text, each once", id="order",
        ),
        pytest.param(
            "test_days: {minimum: 20}", "test_days: {minimum: 5}", "gate",
            "gate: test_days needs a minimum of 20 or more", id="few test days",
        ),
        pytest.param(
            "sharpe_net: {minimum: 1.5}", "sharpe_net: {maximum: 1.5}", "gate",
            "gate: sharpe_net needs a minimum of 0 or more", id="the wrong side",
        ),
        pytest.param(
            "sharpe_net: {minimum: 1.5}", "sharpe_net: {minimum: -9}", "gate",
            "gate: sharpe_net needs a minimum of 0 or more", id="any Sharpe ratio",
        ),
        pytest.param(
            "maximum_drawdown: {maximum: 0.20}", "maximum_drawdown: {maximum: 1.0}", "gate",
            "gate: maximum_drawdown needs a maximum of 0.2 or less", id="any drawdown",
        ),
        pytest.param(
            "diebold_mariano_p: {maximum: 0.01}", "diebold_mariano_p: {minimum: 0.01}", "gate",
            "gate: diebold_mariano_p needs a maximum of 0.01 or less", id="any p",
        ),
        pytest.param(
            "deflated_sharpe: {minimum: 0.95}", "deflated_sharpe: {minimum: 0.5}", "gate",
            "gate: deflated_sharpe needs a minimum of 0.95 or more", id="luck as likely as not",
        ),
        pytest.param(
            "  fee_bps: 5.0\n  slippage_bps: 5.0", "  fee_bps: 0.0\n  slippage_bps: 0.0", "backtest",
            "backtest: fee_bps and slippage_bps are 0: trading that costs nothing is not", id="no costs",
        ),
        pytest.param(
            "trades: {minimum: 30}", "trades: {minimum: 29}", "gate",
            "gate: trades needs a minimum of 30 or more", id="few trades",
        ),
        pytest.param("    trades: {minimum: 30}\n", "", "gate", "gate: thresholds lack trades", id="any trades"),
        pytest.param(
            "    deflated_sharpe: {minimum: 0.95}\n", "", "gate", "gate: thresholds lack deflated_sharpe", id="no luck",
        ),
        pytest.param(
            "exit_bps: 0.0", "exit_bps: 30.0", "backtest", "backtest: exit_bps 30.0 is above entry_bps 20.0", id="exit",
        ),
        pytest.param("window: 60", "window: sixty", "window", "window: input should be a valid integer", id="type"),
        pytest.param(
            "    width: 32", "    width: 33", "  transformer",
            "hyperparameters.transformer: width 33 can't be shared out among 4 heads", id="heads",
        ),
        pytest.param("table: gold.tick_features", "table: gold.bars_1m", "table", "table: expected gold.tick_features"),
    ],
)  # fmt: skip
def test_wrong_value_is_named_with_file_and_line(tmp_path, old, new, key, message):
    assert TEXT.count(old) == 1, old
    text = TEXT.replace(old, new)
    path = tmp_path / f"{MODEL}.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError) as caught:
        read_config(path)
    line = next(number for number, each in enumerate(text.splitlines(), start=1) if each.startswith(key))
    if key.startswith("  - "):  # the list is named, its first line is its key's
        line = next(number for number, each in enumerate(text.splitlines(), start=1) if each.startswith("features"))
    assert str(caught.value).startswith(f"{MODEL}.yaml:{line}: {message}")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("horizon=20", f"{MODEL}.yaml:1: split.embargo_bars 70 is below window + horizon = 80"),
        ("model_type=xgboost", "--set model_type=xgboost: model_type: input should be 'gru', "),
        ("gate.thresholds.sharpe_net.minimum=0", "--set gate.thresholds.sharpe_net.minimum=0: gate says what a model "),
        ("is_approval_needed=false", "--set is_approval_needed=false: is_approval_needed says what a model has to "),
        ("hidden=0", "--set hidden=0: hyperparameters.gru.hidden: input should be greater than or equal to 1"),
    ],
)
def test_wrong_override_is_named(override, message):
    with pytest.raises(BadInputError) as caught:
        find_config(MODEL, [override])
    assert str(caught.value).startswith(message)


def test_overrides_change_the_chosen_model_and_costs():
    config = find_config(MODEL, ["model_type=lstm", "hidden=8", "backtest.fee_bps=1.5", "horizon=5"])
    assert config.chosen_hyperparameters()["hidden"] == 8
    assert config.backtest.cost_ratio == pytest.approx(6.5e-4)
    assert config.sha256 != find_config(MODEL).sha256


def test_costs_are_10_bps_where_nothing_is_said(tmp_path):
    text = TEXT.replace("  fee_bps: 5.0\n", "").replace("  slippage_bps: 5.0\n", "")
    path = tmp_path / f"{MODEL}.yaml"
    path.write_text(text, encoding="utf-8")
    assert read_config(path).backtest.cost_ratio == pytest.approx(10e-4)
