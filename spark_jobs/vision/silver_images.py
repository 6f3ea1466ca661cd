"""Silver images: one row per sound image, with its label's name, equal images flagged within a split and across.

Reads   lakehouse.bronze.images   the accepted records of each set, and bronze.files for which of them are accepted
Writes  lakehouse.silver.images   replaces the sets
        lakehouse.silver.images_rejected   blank images and impossible labels, with the rule's name and the reason

Equal images are found from a set's facts without pixels; tasks then make the rows of ranges of records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from lakehouse.lake.scans import PinnedTable
from lakehouse.slices import Slice, names_of
from lakehouse.tables.vision import BRONZE_IMAGES, SILVER_IMAGES, SILVER_IMAGES_REJECTED
from spark_jobs.engine.job import Request
from spark_jobs.engine.pieces import Piece
from spark_jobs.layers.command_line import main
from spark_jobs.layers.silver import Cleaning, silver_job
from spark_jobs.vision.record_pieces import cut_records
from spark_jobs.vision.sets import declared_sets
from transforms.vision.records import FACT_COLUMNS, clean_records, find_equal

IMAGE_FACTS = {
    "duplicate_images": "duplicate_of IS NOT NULL",
    "train_test_leaks": "is_train_test_leak AND split = 'train'",
    "other_labels": "has_other_label",
}


def prepare(request: Request, bronze: PinnedTable, pieces: Sequence[Piece]) -> list[Piece]:
    """Cut sets by ranges of records, each given its set's label names and flags of equal images."""
    sets = declared_sets(request)
    prepared = []
    for piece in pieces:
        (name,) = names_of(piece.slices)
        names = sets[name].label_names
        facts = bronze.rows(pl.col("dataset") == name, *piece.conditions).select(FACT_COLUMNS).collect()
        flags = find_equal(facts, len(names))
        given = Piece(piece.slices, piece.subjects, piece.conditions, (names, flags))
        prepared += cut_records(bronze, [given])
    return prepared


def declared(request: Request, slices: Sequence[Slice]) -> dict[Slice, str]:
    """Return what of each set's declaration changes how its records are judged."""
    sets = declared_sets(request)
    return {name: sets[name].judging for name in names_of(slices) if name in sets}


def count_flags(rows: pl.LazyFrame) -> Mapping[str, Any]:
    """Count the images that are flagged."""
    counts = [pl.sql_expr(condition).sum().alias(name) for name, condition in IMAGE_FACTS.items()]
    return rows.select(counts).collect().row(0, named=True)


JOB = silver_job(
    "vision.silver_images",
    Cleaning(
        SILVER_IMAGES,
        SILVER_IMAGES_REJECTED,
        BRONZE_IMAGES,
        clean_records,
        prepare=prepare,
        declared=declared,
        facts=count_flags,
        note=lambda facts: (
            f"{facts['duplicate_images']} duplicates, {facts['train_test_leaks']} images of train are in test, too"
        ),
    ),
)

if __name__ == "__main__":
    main(JOB)
