"""A claimed file as bronze rows: Arrow batches in exactly the columns of the data set's bronze table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.lake.schema import arrow_schema
from lakehouse.tables import find_table
from spark_jobs.sources.base import Claim, Rows, UnreadableFileError
from spark_jobs.sources.clock import TIMESTAMP, days_since_epoch
from spark_jobs.sources.discovery import find_sources

SEQUENCES_PER_MEMBER = 10**10
"""More lines than a member of the largest accepted file can have."""
SEQUENCES_PER_PART = 10**14
"""Room for ten thousand members; parts are numbers of up to four digits, so that a sequence fits 64 bits."""


def read_rows(content: bytes, claim: Claim, sha256: str, ingested_at: datetime) -> Iterator[pa.RecordBatch]:
    """Yield the file's rows in the order of the file, with the bronze table's columns.

    Raises:
        UnreadableFileError: the file is to be quarantined whole; also after some batches, so what they were written to
            is to be thrown away.
    """
    source = find_sources()[claim.source]
    batches = _Batches(claim, sha256, ingested_at)
    is_empty = True
    for rows in source.read(content, claim):
        is_empty = is_empty and not len(rows.lines)
        yield from batches.add(rows)
    if is_empty:
        raise UnreadableFileError("the file holds no rows")
    batches.finish()


class _Batches:
    """Completes a source's rows with the columns that every file has: delivery, order and lineage."""

    def __init__(self, claim: Claim, sha256: str, ingested_at: datetime) -> None:
        self._claim = claim
        self._table = find_table(f"bronze.{claim.dataset}")
        self._schema = arrow_schema(self._table)
        self._fixed: dict[str, pa.Scalar] = {
            "source": pa.scalar(claim.source),
            "delivery_part": pa.scalar(claim.delivery_part),
            "_source_file": pa.scalar(claim.path),
            "_source_sha256": pa.scalar(sha256),
            "_ingested_at": pa.scalar(ingested_at.astimezone(UTC), TIMESTAMP),
        }
        self._repeated: dict[pa.Scalar, pa.Array] = {}
        self._first_day: date | None = None
        self._waiting: list[Rows] = []

    def add(self, rows: Rows) -> Iterator[pa.RecordBatch]:
        """Yield what can be completed now; rows wait for the file's first readable day where it is their delivery."""
        if not len(rows.lines):
            return
        if self._claim.delivery_date is None and self._first_day is None:
            self._waiting.append(rows)
            readable = rows.ts_event.drop_null()
            if not len(readable):
                return
            self._first_day = readable[0].as_py().date()
            yield from (self._complete(waiting) for waiting in self._waiting)
            self._waiting.clear()
        else:
            yield self._complete(rows)

    def finish(self) -> None:
        """Refuse the file whose rows still wait."""
        if self._waiting:
            raise UnreadableFileError("no row has a readable time, and the file's path has no day")

    def _complete(self, rows: Rows) -> pa.RecordBatch:
        count = len(rows.lines)
        columns: dict[str, pa.Array] = {name: self._repeat(scalar, count) for name, scalar in self._fixed.items()}
        columns |= self._dates(rows.ts_event)
        columns |= rows.raw
        if isinstance(rows.subject, str):
            columns[self._table.subject] = self._repeat(pa.scalar(rows.subject), count)
        else:
            columns[self._table.subject] = rows.subject
        columns[self._table.event_time] = rows.ts_event
        first = int(self._claim.delivery_part or 0) * SEQUENCES_PER_PART + rows.member_index * SEQUENCES_PER_MEMBER
        columns["sequence"] = pa.array(rows.lines + np.int64(first))
        if "price_divisor" in self._schema.names:
            columns["price_divisor"] = self._repeat(pa.scalar(rows.price_divisor, pa.int32()), count)
        columns["_source_member"] = self._repeat(pa.scalar(rows.member), count)
        columns["_source_line"] = pa.array(rows.lines)
        if rows.aggressor_side is not None:
            columns["aggressor_side"] = rows.aggressor_side
        if unknown := columns.keys() - set(self._schema.names):
            raise ValueError(
                f"source {self._claim.source} gives columns that bronze lacks: {', '.join(sorted(unknown))}"
            )
        arrays = [columns.get(name, pa.nulls(count, self._schema.field(name).type)) for name in self._schema.names]
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _dates(self, times: pa.Array) -> dict[str, pa.Array]:
        """delivery_date and event_date of each row."""
        day = self._claim.delivery_date
        if day is None:
            own_days = pc.fill_null(days_since_epoch(times), pa.scalar(self._first_day, pa.date32()))
            return {"delivery_date": own_days, "event_date": own_days}
        delivery_dates = self._repeat(pa.scalar(day, pa.date32()), len(times))
        first, last = (bound.as_py() for bound in pc.min_max(times).values())
        if times.null_count == 0 and first.date() == last.date() == day:
            return {"delivery_date": delivery_dates, "event_date": delivery_dates}
        days = days_since_epoch(times)
        is_near = pc.and_(
            pc.greater_equal(days, pa.scalar(day - timedelta(days=1))),
            pc.less_equal(days, pa.scalar(day + timedelta(days=1))),
        )
        event_dates = pc.if_else(pc.fill_null(is_near, False), days, pa.scalar(day, pa.date32()))
        return {"delivery_date": delivery_dates, "event_date": event_dates}

    def _repeat(self, scalar: pa.Scalar, count: int) -> pa.Array:
        """A column of one value. Batches share its memory: the longest so far is sliced."""
        repeated = self._repeated.get(scalar)
        if repeated is None or len(repeated) < count:
            repeated = self._repeated[scalar] = pa.repeat(scalar, count)
        return repeated[:count]
