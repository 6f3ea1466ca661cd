"""Count what breaks each rule: one Spark aggregation for all rules over rows, one per rule over keys.

Great Expectations by itself starts a Spark job per rule for the values that broke it, also where there are none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from expectations.rules import Rule, Suite

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

WORD_BITS = 6
"""2^6 = 64 consecutive numbers share one 64-bit word of the map that the uniqueness check keeps per key."""
INTEGERS = ("bigint", "int")


@dataclass(frozen=True)
class Measurement:
    """What was counted. `failed` has rows (or keys) per rule, `nulls` rows per column; `raised` why a rule could not be
    counted."""

    rows: int
    columns: tuple[str, ...]
    failed: dict[str, int]
    nulls: dict[str, int]
    raised: dict[str, str] = field(default_factory=dict)


def measure(suite: Suite, frame: DataFrame) -> Measurement:
    """Count a frame's rows, and for each rule of the suite those that break it.

    Raises:
        PySparkException: not even the rows can be counted: that is no rule's fault.
    """
    over_rows = [rule for rule in suite.rules if rule.kind == "rows"]
    over_keys = [rule for rule in suite.rules if rule.kind in ("duplicates", "groups")]
    failed: dict[str, int] = {}
    raised: dict[str, str] = {}
    try:
        rows, counts, nulls = count_rows(frame, over_rows)
        failed |= counts
    except (PySparkException, Py4JError):
        rows, nulls = frame.count(), {}
        for rule in over_rows:
            try:
                _, counts, more_nulls = count_rows(frame, [rule])
            except (PySparkException, Py4JError) as error:
                raised[rule.name] = first_line(error)
            else:
                failed |= counts
                nulls |= more_nulls
    for rule in over_keys:
        try:
            failed[rule.name] = count_keys(suite, frame, rule)
        except (PySparkException, Py4JError) as error:
            raised[rule.name] = first_line(error)
    return Measurement(rows, tuple(frame.columns), failed, nulls, raised)


def count_rows(frame: DataFrame, rules: Iterable[Rule]) -> tuple[int, dict[str, int], dict[str, int]]:
    """Count all rows, the rows that each rule's SQL selects and the nulls of the rules' columns, in one pass."""
    rules = list(rules)
    columns = sorted({rule.column for rule in rules if rule.column})
    counted = frame.selectExpr(
        "count(*)",
        *(f"count_if({rule.failed_rows_sql})" for rule in rules),
        *(f"count_if({column} IS NULL)" for column in columns),
    ).first()
    assert counted is not None  # an aggregation without keys has exactly one row  # noqa: S101
    total, *counts = (int(value) for value in counted)
    names = [rule.name for rule in rules]
    return total, dict(zip(names, counts, strict=False)), dict(zip(columns, counts[len(names) :], strict=True))


def count_keys(suite: Suite, frame: DataFrame, rule: Rule) -> int:
    """Count the rows whose key occurs more than once, or the keys whose group the rule's SQL selects."""
    if rule.kind == "groups":
        return int(broken_groups(frame, rule).count())
    if surplus_copies(suite, frame, rule.group_by) == 0:
        return 0
    total = broken_groups(frame, rule).selectExpr("coalesce(sum(copies), 0)").first()
    assert total is not None  # an aggregation without keys has exactly one row  # noqa: S101
    return int(total[0])


def broken_groups(frame: DataFrame, rule: Rule) -> DataFrame:
    """Return the keys whose group breaks the rule, with the number of their rows as `copies`."""
    from pyspark.sql import functions as F

    having = F.expr(str(rule.failed_rows_sql)).alias("_is_broken")
    groups = frame.groupBy(*rule.group_by).agg(F.count("*").alias("copies"), having)
    return groups.where("_is_broken").drop("_is_broken")


def surplus_copies(suite: Suite, frame: DataFrame, key: tuple[str, ...]) -> int:
    """Return how many rows there are beyond one per key, exactly.

    Where the key ends in numbers that run (lines, sequences), a 64-bit word holds 64 of them: 4 million keys take
    62,500 groups instead of 4 million, a third of the time (tests/expectations/test_measure.py has the cases).
    """
    from pyspark.sql import functions as F

    numbers = [name for name in key if suite.table.column(name).type in INTEGERS]
    if not numbers:
        distinct = frame.groupBy(*key).agg(F.count("*").alias("copies")).selectExpr("coalesce(sum(copies - 1), 0)")
    else:
        number = numbers[-1]
        words = [F.col(name) for name in key if name != number]
        words.append(F.expr(f"shiftright(CAST({number} AS BIGINT), {WORD_BITS})").alias("_word"))
        bit = F.expr(f"bit_or(shiftleft(1L, CAST({number} & {2**WORD_BITS - 1} AS INT)))").alias("_bits")
        # A null number makes a group of its own without bits: one key.
        distinct = (
            frame.groupBy(*words)
            .agg(F.count("*").alias("copies"), bit)
            .selectExpr("coalesce(sum(copies - coalesce(bit_count(_bits), 1)), 0)")
        )
    surplus = distinct.first()
    assert surplus is not None  # an aggregation without keys has exactly one row  # noqa: S101
    return int(surplus[0])


def first_line(error: BaseException) -> str:
    """Return an exception as one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]
