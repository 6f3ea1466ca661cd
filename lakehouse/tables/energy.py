"""Energy tables: meter readings as delivered (bronze), cleaned (silver), and hourly load for forecasts (gold).

A meter's clock has no zone: times are local civil time, and an hour that the clock shows twice is told apart by its
occurrence. `event_date` is the civil day of the reading, the unit that a run replaces.
"""

from __future__ import annotations

from lakehouse.tables.model import Column, Table

METER_ID = Column("meter_id", "string", "Meter, as its dialect names it, e.g. household.UCI.")
CIVIL_DATE = Column("event_date", "date", "Civil day of the hour, local time of the meter.")
HOUR_START = Column("hour_start", "timestamp_ntz", "Start of the hour, local civil time of the meter.")
OCCURRENCE = Column("occurrence", "int", "1; 2 where the clock shows the hour a second time.", minimum=1, maximum=2)
INGESTED_AT = Column("_ingested_at", "timestamp", "When the run that wrote the row began, UTC; not part of a digest.")

LAGS = (1, 2, 3, 24, 48, 168)
"""Hours back from the row's own hour."""
ROLLING_HOURS = (3, 24, 168)
"""Lengths of the windows that end before the row's own hour."""

GOLD_LOAD_HOURLY = Table(
    layer="gold",
    name="load_hourly",
    doc="Mean load per meter and hour, with features that were known when the hour began.",
    columns=(
        METER_ID,
        CIVIL_DATE,
        HOUR_START,
        OCCURRENCE,
        Column(
            "available_at",
            "timestamp_ntz",
            "When the last reading that a feature of the row rests on had been taken, at most hour_start; local.",
        ),
        Column(
            "load_kw", "double", "Mean active power of the hour; null where it was not measured.", "kW", nullable=True
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
                f"{words} of load_kw over the {hours} h before.",
                "kW",
                nullable=True,
            )
            for hours in ROLLING_HOURS
            for name, words in (("mean", "Mean"), ("std", "Standard deviation"))
        ),
        Column("load_kw_trend", "double", "Trend before the hour began.", "kW", nullable=True),
        Column("load_kw_seasonal", "double", "Seasonal part expected for the hour.", "kW", nullable=True),
        INGESTED_AT,
    ),
    primary_key=("meter_id", "hour_start", "occurrence"),
    partitioned_by=("event_date",),
    sorted_by=("meter_id", "hour_start"),
    replaced_by="event_date",
)

GOLD_LOAD_FORECASTS = Table(
    layer="gold",
    name="load_forecasts",
    doc="Forecasts of the hourly mean load per model version, meter, hour and horizon, with an interval.",
    columns=(
        METER_ID,
        Column("event_date", "date", "Civil day of the forecast hour, local time of the meter."),
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
        Column("_source_sha256", "string", "SHA-256 of the file of forecasts, hex."),
        INGESTED_AT,
    ),
    primary_key=("model_name", "model_version", "meter_id", "target_start", "target_occurrence", "horizon"),
    partitioned_by=("event_date",),
    sorted_by=("meter_id", "target_start", "horizon"),
    replaced_by="event_date",
)

TABLES = (GOLD_LOAD_HOURLY, GOLD_LOAD_FORECASTS)
