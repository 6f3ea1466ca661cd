"""Pieces of an image set: ranges of records whose pixels fit a task's memory."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from lakehouse.lake.scans import PinnedTable
from spark_jobs.engine.pieces import Piece

PIXEL_BYTES = 64 << 20
"""Of a piece; a task holds them some four times over."""


def cut_records(source: PinnedTable, pieces: Sequence[Piece]) -> list[Piece]:
    """Cut pieces of one set each by split and ranges of records; no pixel is read for that."""
    return [part for piece in pieces for part in cut_set(source, piece)]


def cut_set(source: PinnedTable, piece: Piece) -> list[Piece]:
    """Cut one piece, which is a set, by split and ranges of records."""
    (name,) = piece.slices
    pixels = pl.col("height").cast(pl.Int64) * pl.col("width") * pl.col("channels")
    records = source.rows(pl.col("dataset") == name, *piece.conditions).select("split", "_source_record", pixels=pixels)
    sizes = records.group_by("split", "_source_record").agg(pl.col("pixels").sum()).sort("split", "_source_record")
    number = ((pl.col("pixels").cum_sum() - 1) // PIXEL_BYTES).over("split")
    ranges = sizes.with_columns(number=number).group_by("split", "number", maintain_order=True)
    record = pl.col("_source_record")
    cut = []
    for split, _, first, last in ranges.agg(first=record.min(), last=record.max()).collect().rows():
        of_range = (pl.col("split") == split, record.is_between(first, last))
        cut.append(Piece(piece.slices, piece.subjects, (*piece.conditions, *of_range), piece.given))
    return cut
