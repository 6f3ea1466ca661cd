"""Batches have bronze's columns and nothing else, and what every row of a file shares."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pytest

from lakehouse.tables.finance import BRONZE_QUOTES, BRONZE_TRADES
from spark_jobs.sources import unpack
from spark_jobs.sources.discovery import claim_file
from spark_jobs.sources.reading import arrow_schema, read_rows

PATH = "canonical/trades/acme/2024-08-08_2.csv"
TEXT = "instrument_id,ts_event,price,size\n" + "".join(f"A.B,2024-08-08T12:00:{s:02}Z,{s},1\n" for s in range(60))


@pytest.mark.parametrize("table", [BRONZE_TRADES, BRONZE_QUOTES])
def test_arrow_schema_is_the_declaration(table):
    schema = arrow_schema(table)
    assert tuple(schema.names) == table.column_names
    types = {
        "string": "string",
        "date": "date32[day]",
        "bigint": "int64",
        "int": "int32",
        "timestamp": "timestamp[us, tz=UTC]",
    }
    assert [str(field.type) for field in schema] == [types[column.type] for column in table.columns]


def test_read_rows_gives_each_row_its_delivery_and_lineage():
    ingested_at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1)))
    batches = list(read_rows(TEXT.encode(), claim_file(PATH), "ab" * 32, ingested_at))
    row = pa.Table.from_batches(batches).slice(59).to_pylist()[0]

    assert [batch.schema for batch in batches] == [arrow_schema(BRONZE_TRADES)]
    day = datetime(2024, 8, 8).date()
    assert row == {
        **{column.name: None for column in BRONZE_TRADES.columns},
        **{"source": "canonical_trades", "instrument_id": "A.B", "delivery_date": day, "delivery_part": "2"},
        **{"event_date": day, "ts_event": datetime(2024, 8, 8, 12, 0, 59, tzinfo=UTC), "sequence": 200_000_000_000_061},
        **{"price_divisor": 1, "raw_time": "2024-08-08T12:00:59Z", "raw_price": "59", "raw_size": "1"},
        **{"_source_file": PATH, "_source_member": "", "_source_line": 61, "_source_sha256": "ab" * 32},
        "_ingested_at": datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC),
    }


def test_read_rows_gives_the_same_rows_in_batches_of_any_size(monkeypatch, read):
    whole = read(TEXT.encode(), PATH)
    monkeypatch.setattr(unpack, "CHUNK_BYTES", 100)
    pieces = read(TEXT.encode(), PATH)
    assert len(pieces.to_batches()) > 10
    assert pieces.combine_chunks().equals(whole.combine_chunks())
