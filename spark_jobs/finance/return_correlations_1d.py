"""Pearson correlation of two instruments' one-minute log returns within one UTC day.

Reads   lakehouse.gold.tick_features             the event days
Writes  lakehouse.gold.return_correlations_1d    replaces those event days

A task makes the pairs of two groups of instruments of one day. An instrument's day that failed its audit is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement

from lakehouse.slices import Slice
from lakehouse.tables.finance import GOLD_RETURN_CORRELATIONS_1D, GOLD_TICK_FEATURES
from spark_jobs.engine.pieces import Piece
from spark_jobs.layers.command_line import main
from spark_jobs.layers.derive import by_slices
from spark_jobs.layers.gold import Derivation, Inputs, gold_job
from transforms.finance.correlations import FEATURE_COLUMNS, correlate

GROUP = 200
"""Instruments in a group: the matrices of two groups take some 40 MB, and their pairs half a CPU second."""


def cut_pairs(inputs: Inputs, pieces: Sequence[Piece]) -> list[Piece]:
    """Cut each day into pieces of all pairs between two groups of instruments."""
    subjects: dict[tuple[Slice, ...], set[str]] = {}
    for piece in pieces:
        subjects.setdefault(piece.slices, set()).update(piece.subjects)
    cut = []
    for slices, names in subjects.items():
        ordered = sorted(names)
        groups = [tuple(ordered[first : first + GROUP]) for first in range(0, len(ordered), GROUP)]
        for left, right in combinations_with_replacement(groups, 2):
            cut.append(Piece(slices, tuple(sorted({*left, *right})), given=(left, right)))
    return cut


JOB = gold_job(
    "finance.return_correlations_1d",
    Derivation(
        table=GOLD_RETURN_CORRELATIONS_1D,
        upstream=GOLD_TICK_FEATURES,
        making=by_slices(correlate, FEATURE_COLUMNS, cut=cut_pairs),
        combines_parts=True,
    ),
)

if __name__ == "__main__":
    main(JOB)
