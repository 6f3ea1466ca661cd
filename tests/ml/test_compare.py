import numpy as np
import pytest

from lakehouse.errors import BadInputError
from ml.compare import Comparison, diebold_mariano, is_better, mcnemar


def correlated(random, length, memory):
    """Noise that remembers, as losses of overlapping forecasts do."""
    noise = random.normal(0, 1, length)
    for position in range(1, length):
        noise[position] += memory * noise[position - 1]
    return noise


def test_statistic_is_that_of_the_formula_written_out():
    random = np.random.default_rng(3)
    own, other = random.normal(1, 0.2, 400) ** 2, random.normal(1.05, 0.2, 400) ** 2
    gain = other - own
    centred = gain - gain.mean()
    lags = int(np.floor(4 * (400 / 100) ** (2 / 9)))  # 5, more than horizon - 1
    variance = np.mean(centred**2)
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * np.sum(centred[lag:] * centred[:-lag]) / 400
    expected = gain.mean() / np.sqrt(variance / 400) * np.sqrt((400 + 1 - 2 + 0) / 400)
    found = diebold_mariano(own, other, 1)
    assert found.statistic == pytest.approx(expected, rel=1e-12)
    assert found.p_value < 0.01
    assert diebold_mariano(other, own, 1).statistic == pytest.approx(-expected, rel=1e-12)


def test_equal_models_are_seldom_promoted_though_their_losses_are_correlated():
    random = np.random.default_rng(5)
    promoted = sum(
        diebold_mariano(correlated(random, 800, 0.9), correlated(random, 800, 0.9), 24).p_value < 0.05
        for _ in range(300)
    )
    # Without the correlation in the variance it would be a third of them
    assert promoted / 300 < 0.12


def test_equal_losses_prove_nothing():
    losses = np.ones(200)
    assert diebold_mariano(losses, losses, 1) == Comparison(200, 1.0, 1.0, 0.0, 1.0, 1.0)


def test_fewer_rows_than_a_week_are_refused():
    with pytest.raises(BadInputError, match=r"^100 rows to compare on; expected at least 168"):
        diebold_mariano(np.ones(100), np.zeros(100), 1)


def test_fewer_rows_than_the_horizon_are_refused():
    losses = np.random.default_rng(2).random((2, 200))
    assert 0 <= diebold_mariano(losses[0], losses[1], 200).p_value <= 1
    with pytest.raises(BadInputError, match=r"^200 rows to compare on; expected at least 201, as many as the horizon"):
        diebold_mariano(losses[0], losses[1], 201)


def test_worse_losses_are_the_other_tail():
    random = np.random.default_rng(4)
    own, other = random.normal(1, 0.2, 400) ** 2, random.normal(1.05, 0.2, 400) ** 2
    found, turned = diebold_mariano(own, other, 1), diebold_mariano(other, own, 1)
    assert (found.p_value, found.p_worse) == (turned.p_worse, turned.p_value)
    assert found.p_value + found.p_worse == pytest.approx(1)


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        pytest.param([(0.01, 0.99), (0.5, 0.5)], True, id="one better, one as good"),
        pytest.param([(0.03, 0.97), (0.5, 0.5)], False, id="the level is shared among two"),
        pytest.param([(0.01, 0.99), (0.99, 0.01)], False, id="one better, one worse"),
        pytest.param([(0.5, 0.5), (0.5, 0.5)], False, id="as good"),
        pytest.param([(0.01, 0.99), (1.0, 1.0)], True, id="one better, one with equal losses"),
        pytest.param([(1.0, 1.0), (1.0, 1.0)], False, id="equal losses"),
    ],
)
def test_better_is_one_group_better_and_none_worse(p_values, expected):
    found = {group: Comparison(200, 1.0, 1.0, 0.0, *p) for group, p in enumerate(p_values)}
    assert is_better(found, 0.05) is expected


@pytest.mark.parametrize(
    ("won", "lost", "p_value", "p_worse"),
    [
        pytest.param(5, 0, 1 / 32, 1.0, id="five rows of five"),
        pytest.param(0, 5, 1.0, 1 / 32, id="none of five"),
        pytest.param(0, 0, 1.0, 1.0, id="no row tells them apart"),
        pytest.param(2, 1, 0.5, 7 / 8, id="two of three"),
        pytest.param(1, 2, 7 / 8, 0.5, id="one of three"),
    ],
)
def test_mcnemar_counts_the_rows_that_one_model_alone_has_right(won, lost, p_value, p_worse):
    agreed = [0.0] * 30 + [1.0] * 10
    challenger = np.array([0.0] * won + [1.0] * lost + agreed)
    incumbent = np.array([1.0] * won + [0.0] * lost + agreed)
    rows = len(challenger)
    found = mcnemar(challenger, incumbent)
    assert found == Comparison(
        *(rows, (lost + 10) / rows, (won + 10) / rows, won - lost),
        *(pytest.approx(each, rel=1e-12) for each in (p_value, p_worse)),
    )


def test_mcnemar_promotes_equal_models_as_rarely_as_it_says():
    random = np.random.default_rng(3)
    verdicts = []
    for _ in range(2000):
        wrong = (random.random((2, 400)) < 0.1).astype(float)
        verdicts.append(mcnemar(wrong[0], wrong[1]).p_value < 0.05)
    assert 0.01 < np.mean(verdicts) <= 0.05  # exact: never more often than said


def test_mcnemar_refuses_rows_that_are_not_the_same():
    with pytest.raises(BadInputError, match=r"^3 and 2 rows to compare on; expected the same, and some$"):
        mcnemar(np.ones(3), np.ones(2))
