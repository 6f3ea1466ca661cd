import pyarrow as pa
import pytest

from lakehouse.errors import BadInputError
from ml.finance.claims import CLAIMS, check_claims
from ml.leakage import LeakError


@pytest.fixture(scope="module")
def rows(ticks):
    """Two sessions of two instruments: rsi_14 and macd are told after some 400 bars."""
    return ticks.rows([ticks.generated(2, 0.5, seed, name) for seed, name in ((1, "GENA.USA"), (2, "GENB.USA"))])


def shifted(rows, name, bars):
    """Give each bar the value that another has: of a later one for positive numbers."""
    column = rows.column(name).to_pylist()
    moved = column[bars:] + [None] * bars if bars > 0 else [None] * -bars + column[:bars]
    return rows.set_column(rows.schema.get_field_index(name), name, pa.array(moved, rows.schema.field(name).type))


def test_honest_columns_pass_in_any_order_of_rows(rows):
    check_claims(rows)
    check_claims(rows.take(list(range(rows.num_rows))[::-1]))


@pytest.mark.parametrize("bars", [1, -1, 10])
@pytest.mark.parametrize("name", [*CLAIMS, "minutes_since_open"])
def test_every_column_shifted_in_time_is_found(rows, name, bars):
    with pytest.raises(LeakError, match=rf"{name} of GENA\.USA is "):
        check_claims(shifted(rows, name, bars))


def test_one_value_of_one_bar_is_found(rows):
    values = rows.column("sma_20").to_pylist()
    values[700] *= 1.0001
    planted = rows.set_column(rows.schema.get_field_index("sma_20"), "sma_20", pa.array(values))
    with pytest.raises(LeakError, match=r"\(1 of 780 bars are wrong\): a feature of another bar, or from the future$"):
        check_claims(planted)


def test_training_window_that_begins_in_the_middle_passes(rows):
    check_claims(rows.slice(137, 500))


def test_rows_of_before_gold_had_volumes_are_refused(rows):
    empty = pa.array([None] * rows.num_rows, pa.float64())
    with pytest.raises(BadInputError, match=r"^gold\.tick_features has bars without volume, .* lakehouse run finance"):
        check_claims(rows.set_column(rows.schema.get_field_index("volume"), "volume", empty))
