"""Power readings: the lines of meters become typed readings with gaps flagged, rejected lines, and equal copies.

Lines of the same time are sorted out in occurrences.py, gaps are filled and flagged in gaps.py.
"""

from __future__ import annotations

import polars as pl

from lakehouse.tables.energy import MEASURES, SILVER_POWER_READINGS, SILVER_POWER_READINGS_REJECTED
from transforms.energy.gaps import mark_gaps
from transforms.energy.occurrences import sort_out
from transforms.rules import Judged, LineRule, is_sound, name_broken, outside, quote_text

COLUMNS = {
    "active_power": "active_power_kw",
    "reactive_power": "reactive_power_kvar",
    "voltage": "voltage_v",
    "current": "current_a",
    "sub_metering_1": "sub_metering_1_wh",
    "sub_metering_2": "sub_metering_2_wh",
    "sub_metering_3": "sub_metering_3_wh",
}
"""Silver's column of each measure."""
FACTORS = {
    "active_power": "active_power_factor",
    "reactive_power": "reactive_power_factor",
    "sub_metering_1": "sub_metering_factor",
    "sub_metering_2": "sub_metering_factor",
    "sub_metering_3": "sub_metering_factor",
}
"""Bronze's column with the factor from the file's unit to silver's; volts and amperes have none."""
LIMITED = tuple(name for name in MEASURES if SILVER_POWER_READINGS.column(COLUMNS[name]).minimum is not None)
"""Measures that can't be negative. Power may be: a plant feeds in."""

READING_RULES = (
    LineRule("malformed_line", "raw_line IS NOT NULL", "'the line does not have the fields of its dialect'"),
    LineRule(
        "unreadable_time",
        "interval_start IS NULL",
        f"concat({quote_text('raw_time')}, ' is no time of the dialect''s form')",
    ),
    LineRule(
        "skipped_time",
        "is_skipped_time",
        f"concat({quote_text('raw_time')}, ' is a time that the clock of ', zone, ' leaves out')",
    ),
    LineRule(
        "off_grid",
        "extract(MINUTE FROM interval_start) % nullif(interval_min, 0) <> 0 "
        "OR extract(SECOND FROM interval_start) <> 0",
        f"concat({quote_text('raw_time')}, ' is no multiple of the interval, min: ', CAST(interval_min AS VARCHAR))",
        "An interval begins at a multiple of its length.",
    ),
    *(
        LineRule(
            f"unreadable_{name}",
            f"raw_{name} IS NOT NULL AND {COLUMNS[name]} IS NULL",
            f"concat({quote_text(f'raw_{name}')}, ' is no number')",
        )
        for name in MEASURES
    ),
    *(
        LineRule(
            f"negative_{name}",
            outside(SILVER_POWER_READINGS.column(COLUMNS[name])),
            f"concat('{name} ', {quote_text(f'raw_{name}')}, ' is negative')",
        )
        for name in LIMITED
    ),
)
"""The rules of a line with parsed measures, in the order in which they are named."""


def clean_readings(lines: pl.DataFrame) -> Judged:
    """Sort out all bronze lines of some meters and civil days.

    `rows` has the columns of silver.power_readings without _ingested_at, `rejected` those of its rejected lines, and
    `duplicates` those of bronze. A civil day is cleaned from its own lines alone.
    """
    parsed = parse_measures(lines)
    sound = parsed.select(is_sound(READING_RULES)).to_series()
    broken = name_broken(parsed.filter(~sound), READING_RULES)
    sorted_out = sort_out(parsed.filter(sound))
    rejected = (frame.select(SILVER_POWER_READINGS_REJECTED.digest_columns) for frame in (broken, sorted_out.rejected))
    return Judged(
        rows=mark_gaps(sorted_out.rows),
        rejected=pl.concat(rejected).sort(SILVER_POWER_READINGS_REJECTED.row_order),
        duplicates=sorted_out.duplicates.select(lines.columns),
    )


def parse_measures(lines: pl.DataFrame) -> pl.DataFrame:
    """Add the measures in silver's units; null if a text is not a finite number, with a point and without blanks."""
    return lines.with_columns(parse_measure(name) for name in MEASURES)


def parse_measure(name: str) -> pl.Expr:
    """Read the text of a measure as a number in silver's unit."""
    number = pl.col(f"raw_{name}").cast(pl.Float64, strict=False)
    if name in FACTORS:
        number = number * pl.col(FACTORS[name])
    return pl.when(number.is_finite()).then(number).alias(COLUMNS[name])
