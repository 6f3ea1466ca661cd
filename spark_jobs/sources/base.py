"""What a source is: it claims files by their path and turns a file's bytes into rows, without Spark.

A source is an object named SOURCE in a module of this package; `discovery` finds it, so nothing lists the sources.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa


class UnreadableFileError(Exception):
    """The whole file is to be quarantined; `reason` says why, in words for a person."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Claim:
    """What a source says of a file from its path alone.

    Where `delivery_date` is None, the path has no day: each row is delivered on the UTC day of its own event, and a row
    without a readable time on the first readable day of the file.
    """

    source: str
    dataset: str
    """Name of the bronze table that the rows go into."""
    path: str
    """Below the landing root, with / between the parts."""
    delivery_date: date | None
    delivery_part: str = ""
    """A number of up to four digits; empty unless a day comes in several files."""
    subject: str = ""
    """The one instrument or meter of the file; empty if only the content can tell."""
    read_as: str | None = None
    """What declarations the file is read by: a file that was judged by others is judged again."""


@dataclass(frozen=True)
class Rows:
    """Some lines of one member, in the order of the file: what a source makes of them.

    `raw` holds columns by the bronze table's names; one that is missing in it is null in every row. `ts_event` has no
    zone where the bronze table's times are local ones.
    """

    member: str
    member_index: int
    lines: npt.NDArray[np.int64]
    ts_event: pa.Array
    subject: str | pa.Array
    """What the rows are about: an instrument, or a meter."""
    raw: Mapping[str, pa.Array] = field(default_factory=dict)
    aggressor_side: pa.Array | None = None
    price_divisor: int = 1


class Source(Protocol):
    """One kind of file."""

    name: str
    dataset: str

    def claim(self, path: str) -> Claim | None:
        """Say what the file at this path below the landing root is, or None where it is not of this kind."""

    def read(self, content: bytes, claim: Claim) -> Iterator[Rows]:
        """Yield every line of the file as rows, header lines left out.

        Raises:
            UnreadableFileError: the file as a whole is not what its path says; also while iterating.
        """
