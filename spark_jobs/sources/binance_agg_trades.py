"""Binance public spot dumps of aggregate trades: <SYMBOL>-aggTrades-<day>.zip.

An aggregate is what one taker order bought or sold at one price. It restates the single trades, so it has a venue of
its own (BTCUSDT.BINANCE_AGG) and is never added to them.
"""

from __future__ import annotations

from spark_jobs.sources.binance_trades import BinanceDump

SOURCE = BinanceDump(
    name="binance_agg_trades",
    kind="aggTrades",
    venue="BINANCE_AGG",
    columns=("id", "price", "qty", "firstId", "lastId", "time", "isBuyerMaker", "isBestMatch"),
    aliases=(
        frozenset({"id", "aggid", "aggtradeid", "aggregatetradeid"}),
        frozenset({"price"}),
        frozenset({"qty", "quantity"}),
        frozenset({"firstid", "firsttradeid"}),
        frozenset({"lastid", "lasttradeid"}),
        frozenset({"time", "timestamp", "transacttime"}),
        frozenset({"isbuyermaker", "wasthebuyerthemaker"}),
        frozenset({"isbestmatch", "wasthetradethebestpricematch"}),
    ),
)
