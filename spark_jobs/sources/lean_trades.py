"""LEAN trade ticks of equities and futures: no header, no trade id, many equal rows that are real trades.

Equities have one CSV per zip, futures one per contract month, which the member's name ends with. Sale conditions look
like numbers and are hexadecimal text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from spark_jobs.sources.base import Claim, Rows, UnreadableFileError
from spark_jobs.sources.clock import parse_time_of_day
from spark_jobs.sources.lean_layout import TickFile, parse_path
from spark_jobs.sources.lines import read_lines, without_header

CONTRACT_MEMBER = re.compile(r".*_(?P<month>\d{6})(?:_\d{8})?\.csv")
"""20131007_gc_tick_trade_201312.csv; later files write the day of expiry behind the month."""
FIRST_LINE = without_header("ms", "price", "size", "exchange", "conditions", "suspicious")


class LeanTrades:
    """Equity and future trades."""

    name = "lean_trades"
    dataset: str = "trades"

    def claim(self, path: str) -> Claim | None:
        """Claim one symbol's day; of futures that is every contract, so the instrument is the member's."""
        file = _parse(path)
        if file is None:
            return None
        instrument_id = "" if file.asset == "future" else file.instrument_id
        return Claim(self.name, self.dataset, path, file.day, subject=instrument_id)

    def read(self, content: bytes, claim: Claim) -> Iterator[Rows]:
        """Yield the rows; refuse a futures archive with a member that names no contract month."""
        file = _parse(claim.path)
        if file is None:
            raise ValueError(f"{claim.path} was not claimed by {self.name}")
        for lines in read_lines(content, claim.path, FIRST_LINE):
            yield Rows(
                member=lines.member.name,
                member_index=lines.member.index,
                lines=lines.numbers,
                ts_event=parse_time_of_day(lines.fields["ms"], file.day, file.market.zone),
                subject=claim.subject or contract_id(file, lines.member.name),
                price_divisor=file.market.price_divisor,
                raw=lines.raw(
                    raw_time="ms",
                    raw_price="price",
                    raw_size="size",
                    raw_exchange="exchange",
                    raw_conditions="conditions",
                    raw_suspicious="suspicious",
                ),
            )


def contract_id(file: TickFile, member: str) -> str:
    """Name a futures contract by its month: GC-201312.COMEX.

    Raises:
        UnreadableFileError: the member's name has no contract month.
    """
    match = CONTRACT_MEMBER.fullmatch(member)
    if match is None:
        raise UnreadableFileError(f"member {member!r} names no contract month; expected ..._<yyyymm>.csv")
    return f"{file.symbol}-{match['month']}.{file.market_name.upper()}"


def _parse(path: str) -> TickFile | None:
    return parse_path(path, "trade", frozenset({"equity", "future"}))


SOURCE = LeanTrades()
