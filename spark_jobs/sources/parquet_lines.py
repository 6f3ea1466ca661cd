"""Parquet files as lines of texts, so that they are read by the same rules as CSV; the line is the row, from 1.

Values become text without losing a digit: texts, integers and decimals do. Floats don't and are refused.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import types

from spark_jobs.sources.base import UnreadableFileError
from spark_jobs.sources.lines import FirstLine, Lines
from spark_jobs.sources.unpack import MAX_INFLATED_BYTES, MIB, Member, check_is_data

ROWS_PER_BATCH = 100_000


def read_parquet(content: bytes, path: str, first_line: FirstLine) -> Iterator[Lines]:
    """Yield the rows of a Parquet file as lines; its column names stand for the first line.

    Raises:
        UnreadableFileError: the file is no Parquet, is cut or damaged, or a column's values are not exact as text.
    """
    check_is_data(content)
    member = Member(0, "", iter(()))
    number = 1
    try:
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        names, _ = first_line(file.schema_arrow.names)
        for name, arrow_field in zip(names, file.schema_arrow, strict=True):
            _check_type(name, arrow_field.type)
        groups = range(file.metadata.num_row_groups)
        if sum(file.metadata.row_group(group).total_byte_size for group in groups) > MAX_INFLATED_BYTES:
            raise UnreadableFileError(f"{path} inflates to more than {MAX_INFLATED_BYTES // MIB} MiB")
        for batch in file.iter_batches(batch_size=ROWS_PER_BATCH, use_threads=False):
            fields = {name: _texts(batch.column(place)) for place, name in enumerate(names)}
            yield Lines(member, np.arange(number, number + len(batch), dtype=np.int64), fields, None)
            number += len(batch)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFileError(f"not a Parquet file, or a damaged one: {error}") from None


def _check_type(name: str, kind: pa.DataType) -> None:
    if types.is_dictionary(kind):
        kind = kind.value_type
    is_text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    is_exact = is_text or types.is_integer(kind) or types.is_decimal(kind) or types.is_boolean(kind)
    if name == "ts_event":
        is_exact = is_text or (types.is_timestamp(kind) and kind.tz is not None)
    if not is_exact:
        expected = "a text or a timestamp with a zone" if name == "ts_event" else "text, an integer or a decimal"
        raise UnreadableFileError(f"column {name} is of type {kind}; expected {expected}, which is exact")


def _texts(values: pa.Array) -> pa.Array:
    if types.is_dictionary(values.type):
        values = values.dictionary_decode()
    texts = pc.cast(values, pa.string())
    if types.is_decimal(values.type) and pc.any(pc.match_substring(texts, "E")).as_py():
        # Arrow writes 0.00000001 as 1E-8.
        return pa.array([None if value is None else f"{value:f}" for value in values.to_pylist()], pa.string())
    return texts
