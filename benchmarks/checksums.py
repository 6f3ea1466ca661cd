"""Checksums of what an engine built: two engines' times are only compared where these agree.

    python benchmarks/checksums.py WORK OTHER_WORK [--days 2026-01-01..2026-02-01]

Counts, times and decimals must be equal to the last digit. Indicators are doubles: their sums may differ by 1e-9 of the
sum of their absolute values, which is what rounding in another order of work costs, and their nulls must be as many.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
from peer import add_days_argument

Checksums = dict[str, int | Decimal | tuple[float, float]]

TRADE_CHECKS = {
    "rows": "count(*)",
    "price": "sum(price)",
    "size": "sum(size)",
    "ts_event": "sum(epoch_us(ts_event))",
    "trade_id": "sum(trade_id::BIGINT)",
    "buys": "count(*) FILTER (aggressor_side = 'buy')",
    "outliers": "count(*) FILTER (is_outlier)",
}
BAR_CHECKS = {
    "rows": "count(*)",
    "bar_start": "sum(epoch_us(bar_start))",
    **{name: f"sum({name})" for name in ("open", "high", "low", "close", "volume", "trade_count", "outlier_count")},
    "filled": "count(*) FILTER (is_filled)",
    # A quotient, rounded to eight decimals from a decimal or from a double.
    "vwap": "(sum(vwap::DOUBLE), sum(abs(vwap::DOUBLE)))",
}
INDICATORS = (
    "log_return",
    "sma_20",
    "sma_50",
    "ema_12",
    "ema_26",
    "macd",
    "macd_signal",
    "macd_histogram",
    "rsi_14",
    "bollinger_upper",
    "bollinger_lower",
    "realized_volatility_30",
    "volume_zscore_30",
)
FEATURE_CHECKS = {
    "rows": "count(*)",
    **{f"{name}_values": f"count({name})" for name in INDICATORS},
    **{name: f"(fsum({name}), fsum(abs({name})))" for name in INDICATORS},
}
READINGS = (
    *("active_power_kw", "reactive_power_kvar", "voltage_v", "current_a"),
    *("sub_metering_1_wh", "sub_metering_2_wh", "sub_metering_3_wh", "other_wh"),
)
READING_CHECKS = {
    "rows": "count(*)",
    "interval_start": "sum(epoch(interval_start)::BIGINT)",
    "available_at": "sum(epoch(available_at)::BIGINT)",
    "measured": "count(*) FILTER (status = 'measured')",
    "interpolated": "count(*) FILTER (status = 'interpolated')",
    **{f"{name}_values": f"count({name})" for name in READINGS},
    **{name: f"(fsum({name}), fsum(abs({name})))" for name in READINGS},
}
LOADS = (
    "load_kw",
    *(f"load_kw_lag_{hours}" for hours in (1, 2, 3, 24, 48, 168)),
    *(f"load_kw_{name}_{hours}" for name in ("mean", "std") for hours in (3, 24, 168)),
    *("load_kw_trend", "load_kw_seasonal", "completeness_ratio"),
)
LOAD_CHECKS = {
    "rows": "count(*)",
    "hour_start": "sum(epoch(hour_start)::BIGINT)",
    "available_at": "sum(epoch(available_at)::BIGINT)",
    "calendar": "sum(hour + 100 * weekday + 1000 * month)",
    "holidays": "count(*) FILTER (is_holiday)",
    **{f"{name}_values": f"count({name})" for name in LOADS},
    **{name: f"(fsum({name}), fsum(abs({name})))" for name in LOADS},
}
PROFILE_CHECKS = {
    "rows": "count(*)",
    "trades": "sum(trade_count)",
    "bins": "sum(bin_index * (trade_count + 1))",
    "point_of_control": "sum(bin_index) FILTER (is_point_of_control)",
    "value_area": "sum(bin_index) FILTER (is_in_value_area)",
}
IMAGE_CHECKS = {
    "rows": "count(*)",
    "ids": "sum(hash(image_id))",
    "pixels": "sum(hash(sha256(pixels)))",
    "labels": "sum(label)",
    "names": "sum(label_name::INT)",
}
STATISTICS_CHECKS = {
    "images": "sum(image_count)",
    "mean": "(sum(mean), sum(mean))",
    "std": "(sum(std), sum(std))",
}
CLASS_CHECKS = {
    "rows": "count(*)",
    "images": "sum(image_count * (label + 1))",
    "shares": "(sum(share_ratio), sum(share_ratio))",
}
CHECKS = {
    "silver": TRADE_CHECKS,
    "bars_1m": BAR_CHECKS,
    "tick_features": FEATURE_CHECKS,
    "power_readings": READING_CHECKS,
    "load_hourly": LOAD_CHECKS,
    "volume_profile_1d": PROFILE_CHECKS,
    "mnist_images": IMAGE_CHECKS,
    "image_statistics": STATISTICS_CHECKS,
    "image_class_counts": CLASS_CHECKS,
}
LAYERS = ("silver", "bars_1m", "tick_features")
"""What the peers of finance write, a file a day."""
TOLERANCE = 1e-9

Rows = pa.Table | pa.RecordBatchReader | Sequence[Path]


def checksums(layer: str, rows: Rows) -> Checksums:
    """Return the checksums of a layer's rows, given as Arrow or as Parquet files; `layer` is a key of CHECKS."""
    connection = duckdb.connect()
    connection.execute("SET threads = 2; SET TimeZone = 'UTC'")
    if isinstance(rows, Sequence):
        missing = [path for path in rows if not path.exists()]
        if missing:
            raise SystemExit(f"{missing[0]} is missing: the engine did not finish its days")
        source = connection.read_parquet([str(path) for path in rows])
    else:
        source = connection.from_arrow(rows)
    checks = CHECKS[layer]
    query = ", ".join(f"{expression} AS {name}" for name, expression in checks.items())
    (values,) = source.aggregate(query).fetchall()
    return dict(zip(checks, values, strict=True))


def differences(one: Checksums, other: Checksums) -> list[str]:
    """Name every checksum that does not agree, with both values."""
    found = []
    for name, value in one.items():
        theirs = other[name]
        if isinstance(value, tuple) and isinstance(theirs, tuple):
            is_equal = abs(value[0] - theirs[0]) <= TOLERANCE * max(value[1], theirs[1])
        else:
            is_equal = value == theirs
        if not is_equal:
            found.append(f"{name}: {value} and {theirs}")
    return found


def layer_files(work: Path, days: Sequence[date]) -> dict[str, list[Path]]:
    """Return a peer's files by layer."""
    return {layer: [work / layer / f"{day}.parquet" for day in days] for layer in LAYERS}


def compare(one: Mapping[str, Rows], other: Mapping[str, Rows]) -> list[str]:
    """Compare two engines' layers; return what differs, one line each."""
    return [
        f"{layer}.{line}"
        for layer in one
        for line in differences(checksums(layer, one[layer]), checksums(layer, other[layer]))
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("other_work", type=Path)
    add_days_argument(parser)
    arguments = parser.parse_args()
    first, last_exclusive = arguments.days
    days = [first + timedelta(days=number) for number in range((last_exclusive - first).days)]
    found = compare(layer_files(arguments.work, days), layer_files(arguments.other_work, days))
    print("\n".join(found) or "equal")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
