"""LEAN quote ticks of equities, forex and CFDs: no header.

An equity row updates one side and writes zeros for the other; forex and CFD rows carry both prices, no sizes, and may
be crossed. All of that is left as the file has it.
"""

from __future__ import annotations

from collections.abc import Iterator

from spark_jobs.sources.base import Claim, Rows
from spark_jobs.sources.clock import parse_time_of_day
from spark_jobs.sources.lean_layout import TickFile, parse_path
from spark_jobs.sources.lines import read_lines, without_header

RAW_COLUMNS = {
    "ms": "raw_time",
    "bid": "raw_bid_price",
    "bid_size": "raw_bid_size",
    "ask": "raw_ask_price",
    "ask_size": "raw_ask_size",
    "exchange": "raw_exchange",
    "condition": "raw_conditions",
    "suspicious": "raw_suspicious",
}
EQUITY = tuple(RAW_COLUMNS)
PRICES_ONLY = ("ms", "bid", "ask")


class LeanQuotes:
    """Equity, forex and CFD quotes."""

    name = "lean_quotes"
    dataset: str = "quotes"

    def claim(self, path: str) -> Claim | None:
        """Claim one symbol's day."""
        file = _parse(path)
        if file is None:
            return None
        return Claim(self.name, self.dataset, path, file.day, subject=file.instrument_id)

    def read(self, content: bytes, claim: Claim) -> Iterator[Rows]:
        """Yield the rows."""
        file = _parse(claim.path)
        if file is None:
            raise ValueError(f"{claim.path} was not claimed by {self.name}")
        names = EQUITY if file.asset == "equity" else PRICES_ONLY
        for lines in read_lines(content, claim.path, without_header(*names)):
            yield Rows(
                member=lines.member.name,
                member_index=lines.member.index,
                lines=lines.numbers,
                ts_event=parse_time_of_day(lines.fields["ms"], file.day, file.market.zone),
                subject=claim.subject,
                price_divisor=file.market.price_divisor,
                raw=lines.raw(**{RAW_COLUMNS[name]: name for name in names}),
            )


def _parse(path: str) -> TickFile | None:
    return parse_path(path, "quote", frozenset({"equity", "forex", "cfd"}))


SOURCE = LeanQuotes()
