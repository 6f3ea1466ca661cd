import numpy as np
import pytest

from ml.finance.backtest import (
    Market,
    buy_and_hold,
    count_entries,
    decide,
    execute,
    hit_rate,
    last_sign,
    random_policies,
    trade,
)
from ml.finance.config import Backtest

CHOSEN = Backtest(fee_bps=6.0, slippage_bps=4.0, entry_bps=20.0, exit_bps=0.0, random_draws=20)
START = np.datetime64("2013-10-07T13:30", "m")


def market_of(runs, returns, forecast=None, instrument=None, minutes=None):
    count = len(runs)
    starts = START + (np.arange(count) if minutes is None else np.array(minutes))
    numbers = np.zeros(count, dtype=int) if instrument is None else np.array(instrument)
    return Market(
        tuple(f"GEN{chr(65 + number)}.USA" for number in np.unique(numbers)),
        numbers,
        starts,
        np.array(runs),
        np.array(returns, dtype=float),
        np.array(returns, dtype=float),
        np.full(count, np.nan) if forecast is None else np.array(forecast) / 1e4,
    )


def test_decide_enters_at_the_entry_leaves_below_the_exit_and_begins_each_run_flat():
    nan = np.nan
    forecast = [nan, 25, 5, nan, -1, -19, -20, 3, nan, 30, 10, -40, 1]
    runs = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    expected = [
        0,  # no forecast yet
        1, 1, 1,  # entered; held while the forecast does not turn, and where there is none
        0, 0,  # turned against it, not enough for the other side
        -1, 0,
        0,  # another run begins flat, also without a forecast
        1, 1, -1, 0,
    ]  # fmt: skip
    assert decide(market_of(runs, np.zeros(13), forecast), CHOSEN).tolist() == expected


def test_exit_threshold_closes_before_the_forecast_turns():
    chosen = CHOSEN.model_copy(update={"exit_bps": 10.0})
    forecast = [20, 12, 9, -25, -10, -9]
    assert decide(market_of([0] * 6, np.zeros(6), forecast), chosen).tolist() == [1, 1, 0, -1, -1, 0]


def test_position_is_executed_one_bar_after_its_decision_and_earns_from_the_bar_after_that():
    # Decided at the end of bar 0, bought at the close of bar 1, so bar 2 is the first whose return it earns
    market = market_of([0] * 5, [0.5, 0.5, 0.01, -0.02, 0.5])
    positions = execute(market, np.array([1.0, 1.0, 0.0, 0.0, 0.0]))
    assert positions.tolist() == [0, 1, 1, 0, 0]
    found = trade(market, positions, 0.001)
    assert found.gross.tolist() == [0, 0, 0.01, -0.02, 0]
    assert found.turnover.tolist() == [0, 1, 0, 1, 0]
    assert found.costs.tolist() == [0, 0.001, 0, 0.001, 0]
    assert found.net == pytest.approx([0, -0.001, 0.01, -0.021, 0])


def test_turning_round_trades_twice_the_capital():
    market = market_of([0] * 6, [0, 0, 0.01, 0.02, 0.03, 0])
    found = trade(market, execute(market, np.array([1.0, 1.0, -1.0, -1.0, 0.0, 0.0])), CHOSEN.cost_ratio)
    assert found.positions.tolist() == [0, 1, 1, -1, -1, 0]
    assert found.turnover.tolist() == [0, 1, 0, 2, 0, 1]
    assert found.gross == pytest.approx([0, 0, 0.01, 0.02, -0.03, 0])
    assert found.costs == pytest.approx([0, 0.001, 0, 0.002, 0, 0.001])


def test_nothing_is_held_from_one_run_into_the_next():
    market = market_of([0, 0, 0, 1, 1, 1], [0.1] * 6)
    found = trade(market, execute(market, np.ones(6)), 0.0)
    assert found.positions.tolist() == [0, 1, 0, 0, 1, 0]
    assert found.gross.tolist() == [0, 0, 0.1, 0, 0, 0.1]


def test_capital_is_shared_by_instruments_minute_by_minute():
    # The second instrument has a bar in minutes 1 and 2 alone: its half lies idle in minute 3
    market = market_of([0, 0, 0, 1, 1], [0, 0.02, 0.04, 0, 0.06], instrument=[0, 0, 0, 1, 1], minutes=[1, 2, 3, 1, 2])
    found = trade(market, np.array([1.0, 1.0, 0.0, 1.0, 0.0]), 0.001)
    assert found.gross == pytest.approx([0, (0.02 + 0.06) / 2, 0.04 / 2])
    assert found.turnover == pytest.approx([1, 0.5, 0.5])


def test_buy_and_hold_keeps_what_it_bought_over_nights_and_pays_twice():
    market = market_of([0, 0, 1, 1], [0.5, 0.01, -0.03, 0.02])
    found = buy_and_hold(market, 0.001)
    assert found.gross.tolist() == [0, 0.01, -0.03, 0.02]  # what was before the first bar is not its
    assert found.costs.tolist() == [0.001, 0, 0, 0.001]


def test_last_sign_follows_the_bar_before():
    market = market_of([0] * 5, [0.01, -0.02, 0.03, 0.04, 0.05])
    assert last_sign(market, 0.0).positions.tolist() == [0, 1, -1, 1, 0]


def test_random_policies_trade_exactly_as_much_and_are_repeatable():
    random = np.random.default_rng(3)
    runs = np.repeat(np.arange(6), 50)
    market = market_of(runs, random.normal(0, 0.001, 300), random.normal(0, 20, 300))
    positions = execute(market, decide(market, CHOSEN))
    own = trade(market, positions, 0.001)
    draws = list(random_policies(market, positions, 0.001, 40, seed=7))
    assert [each.turnover.sum() for each in draws] == pytest.approx([own.turnover.sum()] * 40, abs=1e-9)
    assert [np.abs(each.positions).sum() for each in draws] == [np.abs(positions).sum()] * 40
    assert len({each.net.sum() for each in draws}) == 40  # they do differ
    again = list(random_policies(market, positions, 0.001, 40, seed=7))
    assert [each.net.tolist() for each in draws] == [each.net.tolist() for each in again]
    assert draws[0].net.tolist() != next(random_policies(market, positions, 0.001, 1, seed=8)).net.tolist()


def test_hit_rate_counts_bars_that_moved_while_a_position_was_held():
    market = market_of([0] * 6, [0.1, 0.1, 0.1, 0.0, -0.1, 0.1])
    # Held before the bars 2 to 5, of which bar 3 did not move
    assert hit_rate(market, np.array([0.0, 1.0, 1.0, 1.0, 1.0, 0.0])) == pytest.approx(2 / 3)
    assert hit_rate(market, np.zeros(6)) == 0


@pytest.mark.parametrize(
    ("positions", "expected"),
    [
        pytest.param([0] * 8, 0, id="never"),
        pytest.param([0, 1, 1, 0, 0, 0, 0, 0], 1, id="held is not opened again"),
        pytest.param([0, 1, -1, 0, 0, 0, 0, 0], 2, id="turned round"),
        pytest.param([0, 1, 0, 1, 0, 0, 0, 0], 2, id="opened again"),
        pytest.param([0, 1, 1, 1, 1, 0, 0, 0], 2, id="each instrument's own"),
    ],
)
def test_entries_are_counted_over_all_instruments(positions, expected):
    market = market_of([0] * 4 + [1] * 4, [0.0] * 8, instrument=[0] * 4 + [1] * 4)
    assert count_entries(market, np.array(positions, dtype=float)) == expected
