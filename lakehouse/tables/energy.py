"""Energy tables: meter readings as delivered (bronze), cleaned (silver), and hourly load for forecasts (gold).

Times are local civil times of the meter, and an hour that its clock shows twice is told apart by its occurrence.
`event_date` is the civil day of the reading, the unit that a run replaces. A delivery is what one file says of one
meter and one civil day; a meter's file may hold years of them, so bronze keeps each file in one piece, without
partitions, and silver and gold, of which a day has few rows, are partitioned by month.
"""

from __future__ import annotations

from lakehouse.tables.columns import INGESTED_AT, REASON_COLUMNS, SOURCE_COLUMNS
from lakehouse.tables.model import Column, Table

METER_ID = Column("meter_id", "string", "Meter, as its dialect names it, e.g. household.UCI.", has_few_values=True)

METER_COLUMNS = (
    Column("dialect", "string", "The declared dialect that the file matched.", has_few_values=True),
    Column(
        "interval_min", "int", "Minutes that a reading stands for.", "min", minimum=1, maximum=60, has_few_values=True
    ),
    Column(
        "zone",
        "string",
        "IANA zone of the meter's clock; null where nothing says it has one.",
        nullable=True,
        has_few_values=True,
    ),
    Column("country", "string", "Country whose public holidays count, ISO 3166.", has_few_values=True),
    Column(
        "utc_offset_min",
        "int",
        "Minutes that the zone's clock is ahead of UTC then; the first of two where it shows the time twice.",
        "min",
        nullable=True,
        has_few_values=True,
    ),
)

DELIVERY_COLUMNS = (
    Column("source", "string", "Name of the source that read the file.", has_few_values=True),
    METER_ID,
    Column("delivery_date", "date", "Civil day of the reading; a file may hold many.", has_few_values=True),
    Column(
        "delivery_part",
        "string",
        "Part of a day that comes in several files; empty where a day is in one.",
        has_few_values=True,
    ),
    Column(
        "event_date",
        "date",
        "Civil day of the reading; the file's first one where the time is unreadable.",
        has_few_values=True,
    ),
    Column(
        "interval_start",
        "timestamp_ntz",
        "Start of the interval that the reading stands for, local; null where unreadable.",
        nullable=True,
    ),
    Column("sequence", "bigint", "Order of the line: part * 10^14 + member index * 10^10 + line.", minimum=1),
    *METER_COLUMNS,
    Column(
        "second_utc_offset_min",
        "int",
        "The same at the second time; null unless the zone's clock shows the time twice.",
        "min",
        nullable=True,
        has_few_values=True,
    ),
    Column("is_skipped_time", "boolean", "The zone's clock leaves this time out.", has_few_values=True),
)

MEASURES = (
    "active_power",
    "reactive_power",
    "voltage",
    "current",
    "sub_metering_1",
    "sub_metering_2",
    "sub_metering_3",
)
"""What a meter may measure: the names that dialects map fields to."""

RAW_COLUMNS = (
    Column("raw_time", "string", "Time fields as the file has them, with a blank between.", nullable=True),
    *(
        Column(
            f"raw_{name}",
            "string",
            "Text of the file, with a point for its decimal mark; null where the file marks it as missing or has none.",
            nullable=True,
        )
        for name in MEASURES
    ),
    Column(
        "active_power_factor", "double", "What raw_active_power is to be multiplied with for kW.", has_few_values=True
    ),
    Column(
        "reactive_power_factor",
        "double",
        "What raw_reactive_power is to be multiplied with for kvar.",
        has_few_values=True,
    ),
    Column(
        "sub_metering_factor",
        "double",
        "What raw_sub_metering_1 to _3 are to be multiplied with for Wh.",
        has_few_values=True,
    ),
    Column(
        "raw_line",
        "string",
        "The whole line, only where it could not be split into its fields.",
        nullable=True,
        has_few_values=True,
    ),
)

LINE_KEY = ("delivery_date", "meter_id", "_source_sha256", "_source_member", "_source_line")

BRONZE_POWER_READINGS = Table(
    layer="bronze",
    name="power_readings",
    doc="Every line of every accepted meter file, as the file said it.",
    columns=(*DELIVERY_COLUMNS, *RAW_COLUMNS, *SOURCE_COLUMNS),
    primary_key=LINE_KEY,
    replaced_by="delivery_date",
    subject="meter_id",
    event_time="interval_start",
)

STATUSES = ("measured", "interpolated", "missing")
CIVIL_DATE = Column("event_date", "date", "Civil day, local time of the meter.", has_few_values=True)
OCCURRENCE = Column("occurrence", "int", "1; 2 where the clock shows the hour a second time.", minimum=1, maximum=2)

SILVER_POWER_READINGS = Table(
    layer="silver",
    name="power_readings",
    doc="One row per meter and interval from the day's first reading to its last, gaps included and flagged.",
    columns=(
        METER_ID,
        CIVIL_DATE,
        Column("interval_start", "timestamp_ntz", "Start of the interval, local civil time of the meter."),
        OCCURRENCE,
        Column(
            "status",
            "string",
            "Measured; interpolated between readings of the day that are close enough; or missing.",
            allowed=STATUSES,
        ),
        Column(
            "available_at",
            "timestamp_ntz",
            "When the values were known, local: the end of the interval, or of the one that closed the gap.",
            nullable=True,
        ),
        Column("active_power_kw", "double", "Mean active power of the interval.", "kW", nullable=True),
        Column("reactive_power_kvar", "double", "Mean reactive power of the interval.", "kvar", nullable=True),
        Column("voltage_v", "double", "Mean voltage.", "V", nullable=True, minimum=0),
        Column("current_a", "double", "Mean current.", "A", nullable=True, minimum=0),
        *(
            Column(
                f"sub_metering_{number}_wh",
                "double",
                f"Active energy of sub-meter {number} in the interval.",
                "Wh",
                nullable=True,
                minimum=0,
            )
            for number in (1, 2, 3)
        ),
        Column(
            "other_wh",
            "double",
            "Active energy outside the sub-meters: active_power_kw * 1000 * hours - sub-meters; rounding may make it "
            "slightly negative.",
            "Wh",
            nullable=True,
        ),
        *METER_COLUMNS,
        Column("source", "string", "Name of the source that read the file.", has_few_values=True),
        Column("delivery_date", "date", "Day of the delivery that brought the row.", has_few_values=True),
        *(
            Column("_source_line", "bigint", "Line in the file; null where it has none.", nullable=True, minimum=1)
            if column.name == "_source_line"
            else column
            for column in SOURCE_COLUMNS
        ),
    ),
    primary_key=("meter_id", "interval_start", "occurrence"),
    partitioned_by=("months(event_date)",),
    sorted_by=("meter_id", "interval_start", "occurrence"),
    replaced_by="event_date",
    subject="meter_id",
)

SILVER_POWER_READINGS_REJECTED = Table(
    layer="silver",
    name="power_readings_rejected",
    doc="Every line of a meter file that broke a rule, as the file said it, with the reason.",
    columns=(*DELIVERY_COLUMNS, *REASON_COLUMNS, *RAW_COLUMNS, *SOURCE_COLUMNS),
    primary_key=LINE_KEY,
    partitioned_by=("months(event_date)",),
    sorted_by=("meter_id", "sequence"),
    replaced_by="event_date",
    subject="meter_id",
    may_be_empty=True,
)

LAGS = (1, 2, 3, 24, 48, 168)
"""Hours back from the row's own hour."""
ROLLING_HOURS = (3, 24, 168)
"""Lengths of the windows that end before the row's own hour."""

GOLD_LOAD_HOURLY = Table(
    layer="gold",
    name="load_hourly",
    doc="Mean load per meter and hour of every civil day with readings, and features that were known when it began.",
    columns=(
        METER_ID,
        CIVIL_DATE,
        Column("hour_start", "timestamp_ntz", "Start of the hour, local civil time of the meter."),
        OCCURRENCE,
        Column(
            "available_at",
            "timestamp_ntz",
            "When the last reading that a feature of the row rests on had been taken, at most hour_start; local; null "
            "where no feature rests on one.",
            nullable=True,
        ),
        Column(
            "load_kw",
            "double",
            "Mean active power of the hour, of what was known when it ended; null where it was not measured.",
            "kW",
            nullable=True,
        ),
        Column(
            "completeness_ratio",
            "double",
            "Share of the hour that was measured, without interpolation.",
            minimum=0,
            maximum=1,
        ),
        Column("hour", "int", "Hour of the day.", minimum=0, maximum=23),
        Column("weekday", "int", "Day of the week, Monday is 0.", minimum=0, maximum=6),
        Column("month", "int", "Month.", minimum=1, maximum=12),
        Column("is_holiday", "boolean", "Public holiday in the meter's country."),
        *(
            Column(f"load_kw_lag_{hours}", "double", f"load_kw {hours} h before.", "kW", nullable=True)
            for hours in LAGS
        ),
        *(
            Column(
                f"load_kw_{name}_{hours}",
                "double",
                f"{words} of load_kw over the {hours} h before; null where fewer than half of them were measured.",
                "kW",
                nullable=True,
            )
            for hours in ROLLING_HOURS
            for name, words in (("mean", "Mean"), ("std", "Sample standard deviation"))
        ),
        Column(
            "load_kw_trend",
            "double",
            "Mean of load_kw over the four weeks before; null where fewer than half of their hours were measured.",
            "kW",
            nullable=True,
        ),
        Column(
            "load_kw_seasonal",
            "double",
            "Mean of load_kw at this hour of those weeks, at least two of them, less the trend; null without trend.",
            "kW",
            nullable=True,
        ),
        INGESTED_AT,
    ),
    primary_key=("meter_id", "hour_start", "occurrence"),
    partitioned_by=("months(event_date)",),
    sorted_by=("meter_id", "hour_start", "occurrence"),
    replaced_by="event_date",
    subject="meter_id",
)

GOLD_LOAD_FORECASTS = Table(
    layer="gold",
    name="load_forecasts",
    doc="Forecasts of the hourly mean load per model version, meter, hour and horizon, with an interval.",
    columns=(
        METER_ID,
        Column("event_date", "date", "Civil day of the forecast hour, local time of the meter.", has_few_values=True),
        Column("target_start", "timestamp_ntz", "Start of the forecast hour, local civil time of the meter."),
        Column("target_occurrence", "int", "1; 2 where the clock shows the hour a second time.", minimum=1, maximum=2),
        Column("horizon", "int", "Hours ahead; 1 is the hour that begins when the forecast is made.", "h", minimum=1),
        Column(
            "origin_start",
            "timestamp_ntz",
            "Start of the hour that the forecast is made at, local: nothing later was used.",
        ),
        Column("load_kw", "double", "Forecast of the mean active power of the hour.", "kW"),
        Column("load_kw_lower", "double", "Lower end of the interval.", "kW"),
        Column("load_kw_upper", "double", "Upper end of the interval.", "kW"),
        Column("interval_ratio", "double", "Share of hours that the interval is to hold.", minimum=0, maximum=1),
        Column("model_name", "string", "Registered model, e.g. household_power_lgbm."),
        Column("model_version", "int", "Its version.", minimum=1),
        Column("snapshot_id", "bigint", "Snapshot of gold.load_hourly that the features were read at."),
        Column("made_at", "timestamp", "When the run that published the forecast began, UTC."),
        Column("_source_sha256", "string", "SHA-256 of the file of forecasts, hex.", has_few_values=True),
        INGESTED_AT,
    ),
    primary_key=("model_name", "model_version", "meter_id", "target_start", "target_occurrence", "horizon"),
    partitioned_by=("event_date",),
    sorted_by=("meter_id", "target_start", "horizon"),
    replaced_by="event_date",
    subject="meter_id",
)
