import numpy as np
import pytest

from ml.energy.interval import conformal_quantile, covered, fit_interval


def test_interval_holds_its_share_of_new_errors_low_and_high():
    random = np.random.default_rng(4)
    forecasts = random.uniform(0.2, 3, 4000)
    truths = forecasts * random.lognormal(0, 0.3, 4000)  # wider and skewed where the forecast is high
    interval = fit_interval(forecasts[:2000], truths[:2000], 0.8)
    for low, high in ((0.2, 1.13), (1.13, 2.07), (2.07, 3.0)):  # the thirds that errors are taken within
        new = (forecasts[2000:] > low) & (forecasts[2000:] < high)
        ends = interval.around(forecasts[2000:][new])
        assert covered(truths[2000:][new], ends) == pytest.approx(0.8, abs=0.04)
        assert (ends[0] <= forecasts[2000:][new]).all()
        assert (forecasts[2000:][new] <= ends[1]).all()


def test_conformal_quantile_counts_the_new_error_in():
    errors = np.arange(1.0, 10.0)  # nine errors: a tenth is above the largest with one chance in ten
    assert conformal_quantile(errors, 0.9) == 9.0
    assert conformal_quantile(errors, 0.5) == 5.0
