import numpy as np
import pytest

from ml.examples import Examples
from ml.leakage import FUTURE_R2, LeakError, check_columns, check_past_only, check_split, future_shares

START = np.datetime64("2007-01-01T00", "h")


def examples_of(features, targets, horizon=1):
    times = START + np.arange(len(targets)).astype("timedelta64[h]")
    return Examples(("f",), times, times + np.timedelta64(horizon, "h"), features[:, None], targets)


def builder(load, feature, scale=lambda values: values):
    """Build one feature from a load whose future may be hidden."""

    def build(cut):
        known = load if cut is None else np.where(np.arange(cut + 1) < cut, load[: cut + 1], np.nan)
        return examples_of(scale(feature(known)), scale(known))

    return build


def past(load):
    return np.concatenate([[np.nan], load[:-1]])


LOAD = np.random.default_rng(1).normal(1, 0.3, 1500)


def test_past_features_and_raw_targets_pass():
    check_past_only(builder(LOAD, past), [100, 700, 1400])


@pytest.mark.parametrize(
    ("feature", "scale"),
    [
        pytest.param(lambda load: load, lambda v: v, id="the row's own hour"),
        pytest.param(lambda load: np.concatenate([load[1:], [np.nan]]), lambda v: v, id="the next hour"),
        pytest.param(lambda load: np.convolve(np.nan_to_num(load), np.ones(3) / 3, "same"), lambda v: v, id="centred"),
        pytest.param(past, lambda v: (v - np.nanmean(v)) / np.nanstd(v), id="scaled before the split"),
        pytest.param(
            lambda load: np.where(np.isnan(past(load)), np.nanmean(load), past(load)), lambda v: v, id="filled"
        ),
    ],
)
def test_planted_leak_is_found(feature, scale):
    with pytest.raises(LeakError, match=r"^feature f at .* changes when everything from .* is hidden"):
        check_past_only(builder(LOAD, feature, scale), [100, 700, 1400])


def test_targets_scaled_before_the_split_are_found():
    def build(cut):
        whole = builder(LOAD, past)(cut)
        return examples_of(whole.features[:, 0], whole.targets / np.nanmax(whole.targets[: cut or None]))

    with pytest.raises(LeakError, match=r"^targets before .* change when everything later is hidden"):
        check_past_only(build, [700])


def test_split_by_time_with_a_gap_passes_and_others_do_not():
    examples = examples_of(LOAD, LOAD, horizon=24)
    check_split(examples.take(slice(0, 77)), examples.take(slice(100, 200)))
    with pytest.raises(LeakError, match=r"expected a split by time with a gap as long as the horizon$"):
        check_split(examples.take(slice(0, 78)), examples.take(slice(100, 200)))  # its last target is hour 100
    chosen = np.random.default_rng(2).permutation(len(examples))
    with pytest.raises(LeakError, match=r"^a training target is measured at .*, but the test begins at "):
        check_split(examples.take(np.sort(chosen[:1200])), examples.take(np.sort(chosen[1200:])))


def rolling(values, length, ahead):
    """Mean of `length` values of which `ahead` lie at or after the row's hour."""
    padded = np.concatenate([np.full(length, np.nan), values, np.full(length, np.nan)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, length).mean(axis=1)
    return windows[ahead : ahead + len(values)]


@pytest.fixture(scope="module")
def real_load(real_data, hours):
    return hours.half_year(real_data)["load_kw"].to_numpy()


@pytest.mark.parametrize(
    ("length", "ahead"),
    [
        pytest.param(1, 1, id="own hour"),
        pytest.param(1, 2, id="next hour"),
        pytest.param(1, 24, id="tomorrow"),
        pytest.param(3, 1, id="3 h with the own one"),
        pytest.param(24, 1, id="24 h with the own one"),
        pytest.param(24, 12, id="centred day"),
        pytest.param(168, 84, id="centred week"),
    ],
)
def test_column_of_gold_that_knows_later_hours_is_found(real_load, length, ahead):
    with pytest.raises(LeakError, match=r"^column planted follows what is measured after its hour began"):
        check_columns({"planted": rolling(real_load, length, ahead)}, real_load)


@pytest.mark.parametrize("length", [1, 3, 24, 168])
def test_column_of_gold_that_knows_the_past_passes(real_load, length):
    assert future_shares({"past": rolling(real_load, length, 0)}, real_load)["past"] < FUTURE_R2 / 2
