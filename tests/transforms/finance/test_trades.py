"""Lines of trades: their order, and that the order comes before the look for outliers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl

from lakehouse.tables.finance import BRONZE_TRADES
from transforms.finance.trades import clean_trades

DAY = date(2024, 8, 8)
NEXT_DAY = date(2024, 8, 9)
NOON = datetime(2024, 8, 8, 12, tzinfo=UTC)
POLARS_TYPES = {
    "string": pl.String,
    "bigint": pl.Int64,
    "int": pl.Int32,
    "date": pl.Date,
    "timestamp": pl.Datetime("us", "UTC"),
}


def trade_lines(*lines: tuple[str, date, int, datetime, str]) -> pl.DataFrame:
    """Lines of a feed without ids: instrument, delivery day, sequence, time and price."""
    schema = {column.name: POLARS_TYPES[column.type] for column in BRONZE_TRADES.columns}
    return pl.DataFrame(
        [
            {
                **dict.fromkeys(schema),
                **{"instrument_id": instrument, "delivery_date": delivered, "sequence": number, "ts_event": time},
                **{"event_date": DAY, "delivery_part": "", "price_divisor": 1, "raw_price": price, "raw_size": "1"},
            }
            for instrument, delivered, number, time, price in lines
        ],
        schema,
    )


def test_clean_trades_orders_trades_before_it_looks_for_outliers():
    lines = trade_lines(
        # equal times: the sequence orders them, so that the far price comes eleventh and is cleaned
        *(("A.X", DAY, number, NOON, "1000" if number == 11 else "100") for number in range(20, 0, -1)),
        # another instrument's prices are no measure
        *(("B.X", DAY, number, NOON + timedelta(seconds=number), "1000") for number in range(9)),
        # one time and sequence from two deliveries: the later delivery's comes last, eleventh, and is cleaned
        ("C.X", NEXT_DAY, 10, NOON, "5000"),
        *(("C.X", DAY, number, NOON, "5") for number in range(11) if number != 9),
    )
    cleaned = clean_trades(lines)
    assert cleaned.rows.select("instrument_id", "sequence").rows() == [
        *(("A.X", number) for number in range(1, 21)),
        *(("B.X", number) for number in range(9)),
        *(("C.X", number) for number in (*range(9), 10, 10)),
    ]
    outliers = cleaned.rows.filter("is_outlier").select("instrument_id", "delivery_date", "sequence").rows()
    assert outliers == [("A.X", DAY, 11), ("C.X", NEXT_DAY, 10)]
    assert (cleaned.rejected.height, cleaned.duplicates.height) == (0, 0)
