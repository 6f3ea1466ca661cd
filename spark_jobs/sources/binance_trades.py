"""Binance public spot dumps of trades: <SYMBOL>-trades-<day>.zip, one CSV per day.

The exchange wrote `time` in milliseconds up to 2024 and writes microseconds since: the file's own values tell. Dumps of
futures have the same name with other columns and are not claimed; folders named `futures` tell them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from spark_jobs.sources.base import Claim, Rows
from spark_jobs.sources.clock import EpochColumn, parse_day
from spark_jobs.sources.lines import Lines, read_lines, with_optional_header
from spark_jobs.sources.sides import aggressor_side

MAKER_SIDES = {"true": "sell", "false": "buy"}
"""isBuyerMaker: the buyer's order was resting, so the seller took liquidity."""


class BinanceDump:
    """One of the exchange's daily dumps of what was traded; the columns are given in the file's order."""

    dataset: str = "trades"

    def __init__(
        self, name: str, kind: str, venue: str, columns: Sequence[str], aliases: Sequence[frozenset[str]]
    ) -> None:
        self.name = name
        self._venue = venue
        self._path = re.compile(rf"(?:.*/)?(?P<symbol>[A-Z0-9]+)-{kind}-(?P<day>\d{{4}}-\d\d-\d\d)\.zip")
        self._first_line = with_optional_header(columns, aliases)
        self._skip = frozenset(columns) - {"id", "price", "qty", "time", "isBuyerMaker"}

    def claim(self, path: str) -> Claim | None:
        """Claim one symbol's day."""
        match = self._path.fullmatch(path)
        if match is None or "futures" in path.split("/"):
            return None
        day = parse_day(match["day"])
        if day is None:
            return None
        return Claim(self.name, self.dataset, path, day, subject=f"{match['symbol']}.{self._venue}")

    def read(self, content: bytes, claim: Claim) -> Iterator[Rows]:
        """Yield the rows; refuse the file whose times are not of its day in either unit."""
        if claim.delivery_date is None:
            raise ValueError(f"{claim.path} was not claimed by {self.name}")
        times = EpochColumn(claim.delivery_date, ("ms", "us"))
        for lines in read_lines(content, claim.path, self._first_line, self._skip):
            yield self._rows(lines, times, claim.subject)
        times.finish()

    def _rows(self, lines: Lines, times: EpochColumn, instrument_id: str) -> Rows:
        fields = lines.fields
        return Rows(
            member=lines.member.name,
            member_index=lines.member.index,
            lines=lines.numbers,
            ts_event=times.parse(fields["time"]),
            subject=instrument_id,
            aggressor_side=aggressor_side(fields["isBuyerMaker"], MAKER_SIDES),
            raw=lines.raw(
                raw_time="time", raw_trade_id="id", raw_price="price", raw_size="qty", raw_side="isBuyerMaker"
            ),
        )


SOURCE = BinanceDump(
    name="binance_trades",
    kind="trades",
    venue="BINANCE",
    columns=("id", "price", "qty", "quoteQty", "time", "isBuyerMaker", "isBestMatch"),
    aliases=(
        frozenset({"id", "tradeid"}),
        frozenset({"price"}),
        frozenset({"qty", "quantity"}),
        frozenset({"quoteqty", "basequantity", "quotequantity"}),
        frozenset({"time", "timestamp"}),
        frozenset({"isbuyermaker", "wasthebuyerthemaker"}),
        frozenset({"isbestmatch", "wasthetradethebestpricematch"}),
    ),
)
