"""Trades in our own layout, for anybody's feed: canonical/trades/<feed>/<yyyy-mm-dd>[_<part>].csv and kin."""

from __future__ import annotations

from spark_jobs.sources.canonical_layout import CanonicalFeed

SOURCE = CanonicalFeed(
    name="canonical_trades",
    dataset="trades",
    required={"price": "raw_price", "size": "raw_size"},
    optional={
        "trade_id": "raw_trade_id",
        "aggressor_side": "raw_side",
        "exchange": "raw_exchange",
        "conditions": "raw_conditions",
        "is_suspicious": "raw_suspicious",
    },
)
