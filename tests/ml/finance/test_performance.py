"""Numbers by hand and out of the papers; a published library as oracle where one computes the same."""

import math
from datetime import date

import numpy as np
import pytest

from ml.finance.performance import (
    Moments,
    annual_sharpe,
    bars_per_year,
    best_of_luck,
    deflated_sharpe,
    drawdowns,
    equity,
    maximum_drawdown,
    moments,
    probabilistic_sharpe,
)

SERIES = np.array([0.01, -0.02, 0.03, 0.0])
"""Mean 0.005; squared distances 0.25, 6.25, 6.25 and 0.25 in 10^-4, so the variance is 13 / 3 x 10^-4."""


def test_sharpe_ratio_by_hand():
    found = moments(SERIES)
    assert found.sharpe == pytest.approx(0.005 / math.sqrt(13 / 3 * 1e-4))
    assert found.count == 4
    # Third powers 0.125 - 15.625 + 15.625 - 0.125 in 10^-6 cancel out; fourth powers add up to 78.25 in 10^-8
    assert found.skewness == pytest.approx(0, abs=1e-12)
    assert found.kurtosis == pytest.approx((78.25 / 4) / (13 / 4) ** 2)
    assert annual_sharpe(SERIES, 252) == pytest.approx(math.sqrt(252) * 0.005 / math.sqrt(13 / 3 * 1e-4))


@pytest.mark.parametrize("returns", [np.zeros(9), np.full(9, 0.001), np.array([0.5]), np.array([])])
def test_series_that_does_not_move_has_no_ratio(returns):
    assert moments(returns).sharpe == 0


def test_drawdown_by_hand():
    # 1.1, 0.88, 0.924, 0.8316, 1.16424: the highest mark before the last is 1.1
    returns = np.array([0.1, -0.2, 0.05, -0.1, 0.4])
    assert equity(returns) == pytest.approx([1.1, 0.88, 0.924, 0.8316, 1.16424])
    assert drawdowns(returns) == pytest.approx([0, 0.2, 0.16, 0.244, 0])
    assert maximum_drawdown(returns) == pytest.approx(0.244)


def test_first_loss_is_a_drawdown_from_the_capital():
    assert maximum_drawdown(np.array([-0.25, 0.1])) == pytest.approx(0.25)
    assert maximum_drawdown(np.array([0.1, 0.1])) == 0
    assert maximum_drawdown(np.zeros(0)) == 0


def test_probabilistic_sharpe_ratio_of_the_paper_of_2012():
    """Two years of monthly returns at 0.458 a month: 0.982 if they were normal, 0.913 as skewed as they are."""
    assert probabilistic_sharpe(Moments(0.458, 24, -2.448, 10.164)) == pytest.approx(0.913, abs=5e-4)
    assert probabilistic_sharpe(Moments(0.458, 24, 0.0, 3.0)) == pytest.approx(0.982, abs=5e-4)


def spread_sharpes(variance):
    """Two ratios with a variance."""
    half = math.sqrt(variance / 2)
    return [-half, half]


def test_deflated_sharpe_ratio_of_the_paper_of_2014():
    """Five years of 250 days, 2.5 a year, variance 1/2 of yearly ratios: 0.1132 a day is luck of 100."""
    found = Moments(2.5 / math.sqrt(250), 1250, -3.0, 10.0)
    sharpes = spread_sharpes(0.5 / 250)
    assert best_of_luck(sharpes, 100, 1250) == pytest.approx(0.1132, abs=5e-5)
    assert deflated_sharpe(found, sharpes, 100) == pytest.approx(0.9004, abs=5e-5)
    assert deflated_sharpe(found, sharpes, 46) == pytest.approx(0.9505, abs=5e-5)


def test_one_trial_is_not_deflated_and_more_trials_are_deflated_more():
    found = Moments(0.1, 500, 0.0, 3.0)
    left = [deflated_sharpe(found, [0.1, 0.0], trials) for trials in (1, 2, 10, 1000)]
    assert left[0] == probabilistic_sharpe(found)
    assert left == sorted(left, reverse=True)
    assert len(set(left)) == 4


@pytest.mark.parametrize(
    "sharpes",
    [
        pytest.param([0.1], id="none but its own was measured"),
        pytest.param([0.1] * 100, id="tied"),
        pytest.param([0.0] * 100, id="none ever traded"),
        pytest.param([0.01, *[0.0] * 99], id="closer than luck brings them"),
    ],
)
def test_trials_differ_at_least_as_luck_does(sharpes):
    by_luck = best_of_luck(spread_sharpes(1 / 1249), 100, 1250)
    assert by_luck > 0.07  # the best of 100 normal values is 2.53 deviations out
    assert best_of_luck(sharpes, 100, 1250) == pytest.approx(by_luck)
    found = Moments(0.1, 1250, 0.0, 3.0)
    assert deflated_sharpe(found, sharpes, 100) < 0.9 < probabilistic_sharpe(found)


def test_series_without_trades_has_no_deflated_ratio():
    assert deflated_sharpe(Moments(0.0, 500, 0.0, 3.0), [0.0, -0.1], 5) == 0


@pytest.mark.parametrize(
    ("calendar", "year", "expected"),
    [
        # 252 sessions of 390 minutes, of which 3 July, 29 November and 24 December were three hours shorter
        pytest.param("XNYS", 2013, 252 * 390 - 3 * 180, id="New York"),
        pytest.param("24/7", 2013, 365 * 1440, id="around the clock"),
        pytest.param("24/7", 2024, 366 * 1440, id="leap year"),
        pytest.param("24/5", 2013, 261 * 1440, id="weekdays"),
    ],
)
def test_bars_of_a_year_are_counted_by_the_calendar(calendar, year, expected):
    assert bars_per_year(calendar, date(year, 3, 1), date(year, 3, 20)) == expected


def test_bars_per_year_is_the_mean_of_the_years_that_are_touched():
    assert bars_per_year("24/7", date(2023, 12, 30), date(2024, 1, 2)) == (365 + 366) * 720


def test_sharpe_ratio_and_drawdown_are_those_of_empyrical():
    import empyrical

    random = np.random.default_rng(11)
    returns = random.standard_t(4, 5000) * 0.001 + 0.00002
    assert annual_sharpe(returns, 97_740) == pytest.approx(empyrical.sharpe_ratio(returns, annualization=97_740))
    assert -maximum_drawdown(returns) == pytest.approx(empyrical.max_drawdown(returns))
    assert equity(returns)[-1] - 1 == pytest.approx(empyrical.cum_returns_final(returns))
