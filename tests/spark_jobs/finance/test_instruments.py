"""The instrument reference: what it lists of a landing folder that other domains share."""

from __future__ import annotations

from datetime import date, datetime

from lakehouse.tables.finance import GOLD_INSTRUMENTS
from spark_jobs.energy import bronze_power_readings
from spark_jobs.finance import bronze_trades, instruments

HEADER = (
    "Date;Time;Global_active_power;Global_reactive_power;Voltage;Global_intensity;"
    "Sub_metering_1;Sub_metering_2;Sub_metering_3"
)


def test_instruments_lists_what_was_traded_and_no_meter(lake, binance_zip):
    binance_zip(lake.landing, "BTCUSDT", date(2024, 8, 8), [(1, "100", "1", datetime(2024, 8, 8, 12))])
    meter = lake.landing / "household_power_consumption.txt"
    meter.write_text(f"{HEADER}\n16/12/2006;17:24:00;4.216;0.418;234.840;18.400;0.000;1.000;17.000\n")
    for job in (bronze_trades.JOB, bronze_power_readings.JOB, instruments.JOB):
        assert lake.run(job).exit_code == 0
    assert lake.values(GOLD_INSTRUMENTS, "instrument_id", "calendar") == [("BTCUSDT.BINANCE", "24/7")]
