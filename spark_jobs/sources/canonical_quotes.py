"""Quotes in our own layout, for anybody's feed: canonical/quotes/<feed>/<yyyy-mm-dd>[_<part>].csv and kin."""

from __future__ import annotations

from spark_jobs.sources.canonical_layout import CanonicalFeed

SOURCE = CanonicalFeed(
    name="canonical_quotes",
    dataset="quotes",
    required={
        "bid_price": "raw_bid_price",
        "bid_size": "raw_bid_size",
        "ask_price": "raw_ask_price",
        "ask_size": "raw_ask_size",
    },
    optional={"exchange": "raw_exchange", "conditions": "raw_conditions", "is_suspicious": "raw_suspicious"},
)
