"""Meter files of every declared dialect: found by path and header, refused with the line that differs, never guessed.

A line that is cut or torn stays a rejected row. The whole file is refused where its header or its first whole line is
not as declared, where a date is of the declared form but of no calendar, and where midnights step by months: all of
them mean that the columns or the order of day and month are others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spark_jobs.sources.base import Claim, Rows, UnreadableFileError
from spark_jobs.sources.dialect import Dialect
from spark_jobs.sources.dialect_file import our_dialects
from spark_jobs.sources.lines import Layout, read_lines
from spark_jobs.sources.meter_lines import SHOWN, MeterLines
from spark_jobs.sources.unpack import read_members

ENDINGS = (".csv", ".txt")


@dataclass(frozen=True)
class MeterClaim(Claim):
    """A claim with the dialects that fit the path, in the order in which their headers are tried."""

    dialects: tuple[Dialect, ...] = ()


@dataclass(frozen=True)
class PowerReadings:
    """The source of meter files; `own` are dialects of a user, which come before ours."""

    own: tuple[Dialect, ...] = ()
    name: str = "power_readings"
    dataset: str = "power_readings"

    def claim(self, path: str) -> Claim | None:
        """Claim the paths that some dialect names; ours are asked only where the user's know nothing."""
        for layer in (self.own, our_dialects()):
            found = [(dialect, values) for dialect in layer if (values := dialect.match(path)) is not None]
            if found:
                dialects = tuple(dialect.resolve(values) for dialect, values in found)
                meters = {dialect.meter_id for dialect in dialects}
                return MeterClaim(
                    source=self.name,
                    dataset=self.dataset,
                    path=path,
                    delivery_date=None,
                    delivery_part=next((values["part"] for _, values in found if "part" in values), ""),
                    subject=meters.pop() if len(meters) == 1 else "",
                    read_as=" ".join(f"{dialect.name}:{dialect.digest}" for dialect in dialects),
                    dialects=dialects,
                )
        return None

    def read(self, content: bytes, claim: Claim) -> Iterator[Rows]:
        """Yield every line after the header.

        Raises:
            UnreadableFileError: the file does not match its dialect, with the first line that differs.
        """
        if not isinstance(claim, MeterClaim):
            raise TypeError(f"{claim.path}: expected a claim of {self.name} with dialects")
        dialect = choose_dialect(content, claim)
        reader = MeterLines(dialect)
        wanted = {*dialect.time.fields, *(measure.field for measure in dialect.measures.values())}
        skip = frozenset(name for name in dialect.fields if name not in wanted)
        layout = Layout(dialect.separator, dialect.quote, ENDINGS, skip)
        for lines in read_lines(content, claim.path, reader.check_header, layout=layout):
            yield reader.rows(lines)


def choose_dialect(content: bytes, claim: MeterClaim) -> Dialect:
    """Return the one dialect whose header the file begins with.

    Raises:
        UnreadableFileError: there is none, or more than one.
    """
    member = next(iter(read_members(content, claim.path, ENDINGS)))
    first = next(member.chunks, b"").removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0].rstrip(b"\r")
    header = first.decode(errors="replace")
    fitting = [dialect for dialect in claim.dialects if dialect.header == header]
    if len(fitting) > 1:
        names = " and ".join(dialect.name for dialect in fitting)
        raise UnreadableFileError(f"it fits the dialects {names} alike; narrow the paths of one of them")
    if not fitting:
        expected = " or ".join(f"{dialect.header!r} ({dialect.name})" for dialect in claim.dialects)
        raise UnreadableFileError(f"line 1 is of no declared dialect: expected {expected}, found {header[:SHOWN]!r}")
    return fitting[0]


SOURCE = PowerReadings()
