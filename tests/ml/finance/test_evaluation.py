from datetime import date

import numpy as np
import pytest

from ml.config import find_config
from ml.finance.backtest import Market
from ml.finance.evaluation import measure_trading

DAYS = (date(2013, 10, 7), date(2013, 10, 7))


def market_of(*names):
    """Of each instrument six bars of one run; the last of them, in the order of `names`, gains the most."""
    numbers = np.repeat(np.arange(len(names)), 6)
    returns = np.tile([0, 0, 0.01, 0.02, 0.03, 0.0], len(names)) * (1 + numbers)
    # A position is wanted after the first bar, held after the second, and gains from the third on
    forecast = np.tile([30, 30, 30, -1, -1, -1], len(names)) / 1e4
    starts = np.tile(np.datetime64("2013-10-07T13:30", "m") + np.arange(6), len(names))
    return Market(names, numbers, starts, numbers, returns, returns, forecast)


@pytest.mark.parametrize("names", [("AIG.USA", "BAC.USA"), ("BAC.USA",)])
def test_instruments_are_measured_under_their_own_names_where_another_is_absent(names):
    config = find_config("tick_gru")
    assert config.instruments == ("AIG.USA", "BAC.USA")
    metrics = measure_trading(config, market_of(*names), DAYS)
    found = {name: metrics[key] for key in metrics for name in [key.removeprefix("return_net_")] if name != key}
    # Costs of 10 bps are paid when it is entered and when it is left
    expected = {
        name: 0.999 * (1 + 0.01 * size) * (1 + 0.02 * size) * (1 + 0.03 * size - 0.001) - 1
        for size, name in enumerate(names, start=1)
    }
    assert found == pytest.approx(expected)
