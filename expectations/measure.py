"""Count what breaks each rule: one aggregation for all rules over rows, one per rule over keys.

Great Expectations by itself starts a Spark job per rule for the values that broke it, also where there are none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import duckdb

from expectations.batch import NAME, Batch
from expectations.rules import Rule, Suite

WORD_BITS = 6
"""2^6 = 64 consecutive numbers share one 64-bit word of the map that the uniqueness check keeps per key."""
INTEGERS = ("bigint", "int")
MINUTE_US = 60_000_000


@dataclass(frozen=True)
class Measurement:
    """What was counted. `failed` has rows (or keys) per rule, `nulls` rows per column; `raised` why a rule could not be
    counted."""

    rows: int
    columns: tuple[str, ...]
    failed: dict[str, int]
    nulls: dict[str, int]
    raised: dict[str, str] = field(default_factory=dict)


def measure(suite: Suite, batch: Batch) -> Measurement:
    """Count the rows, and for each rule of the suite those that break it.

    Raises:
        OSError: the rows can't be read: that is no rule's fault.
    """
    over_rows = [rule for rule in suite.rules if rule.kind == "rows"]
    over_keys = [rule for rule in suite.rules if rule.kind in ("duplicates", "groups")]
    failed: dict[str, int] = {}
    raised: dict[str, str] = {}
    try:
        rows, counts, nulls = count_rows(batch, over_rows)
        failed |= counts
    except duckdb.Error:
        rows, _, nulls = count_rows(batch, [])
        for rule in over_rows:
            try:
                _, counts, more_nulls = count_rows(batch, [rule])
            except duckdb.Error as error:
                raised[rule.name] = first_line(error)
            else:
                failed |= counts
                nulls |= more_nulls
    for rule in over_keys:
        try:
            failed[rule.name] = count_keys(suite, batch, rule)
        except duckdb.Error as error:
            raised[rule.name] = first_line(error)
    return Measurement(rows, tuple(batch.columns), failed, nulls, raised)


def count_rows(batch: Batch, rules: Iterable[Rule]) -> tuple[int, dict[str, int], dict[str, int]]:
    """Count all rows, the rows that each rule's SQL selects and the nulls of the rules' columns, in one pass."""
    rules = list(rules)
    columns = sorted({rule.column for rule in rules if rule.column})
    counted = (
        "count(*)",
        *(f"count(*) FILTER (WHERE {rule.failed_rows_sql})" for rule in rules),
        *(f"count(*) FILTER (WHERE {column} IS NULL)" for column in columns),
    )
    total, *counts = (int(value) for value in batch.row(f"SELECT {', '.join(counted)} FROM {NAME}"))  # noqa: S608  # from declarations only
    names = [rule.name for rule in rules]
    return total, dict(zip(names, counts, strict=False)), dict(zip(columns, counts[len(names) :], strict=True))


def count_keys(suite: Suite, batch: Batch, rule: Rule) -> int:
    """Count the rows whose key occurs more than once, or the keys whose group the rule's SQL selects."""
    broken = broken_groups(rule)
    if rule.kind == "groups":
        return int(batch.row(f"SELECT count(*) FROM ({broken})")[0])  # noqa: S608  # from declarations only
    if surplus_copies(suite, batch, rule.group_by) == 0:
        return 0
    return int(batch.row(f"SELECT coalesce(sum(copies), 0) FROM ({broken})")[0])  # noqa: S608  # from declarations only


def broken_groups(rule: Rule) -> str:
    """Select the keys whose group breaks the rule, with the number of their rows as `copies`."""
    keys = ", ".join(rule.group_by)
    return f"SELECT {keys}, count(*) AS copies FROM {NAME} GROUP BY {keys} HAVING {rule.failed_rows_sql}"  # noqa: S608  # from declarations only


def surplus_copies(suite: Suite, batch: Batch, key: tuple[str, ...]) -> int:
    """Return how many rows there are beyond one per key, exactly.

    Where the key has numbers that run (minutes, lines, sequences), a 64-bit word holds 64 of them: 4 million keys take
    62,500 groups instead of 4 million (tests/expectations/test_measure.py has the cases).
    """
    times = [name for name in key if suite.table.column(name).type.startswith("timestamp")]
    numbers = times or [name for name in key if suite.table.column(name).type in INTEGERS]
    if not numbers:
        grouped, surplus = ", ".join(key), "count(*) - 1"
    else:
        name = numbers[-1]
        parts = [other for other in key if other != name]
        number = name
        if times:
            number = f"(epoch_us({name}) // {MINUTE_US})"
            parts.append(f"epoch_us({name}) % {MINUTE_US}")
        grouped = ", ".join([*parts, f"{number} >> {WORD_BITS}"])
        bits = f"bit_or(1::UBIGINT << ({number} & {2**WORD_BITS - 1})::UBIGINT)"
        surplus = f"count(*) - coalesce(bit_count({bits}), 1)"  # a null number is a group of its own without bits
    groups = f"SELECT {surplus} AS surplus FROM {NAME} GROUP BY {grouped}"  # noqa: S608  # from declarations only
    return int(batch.row(f"SELECT coalesce(sum(surplus), 0) FROM ({groups})")[0])  # noqa: S608  # from declarations only


def first_line(error: BaseException) -> str:
    """Return an exception as one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]
