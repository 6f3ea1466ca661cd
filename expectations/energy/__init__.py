"""The suites of the energy tables, one module per table."""

from __future__ import annotations

from expectations.energy import (
    bronze_power_readings,
    gold_load_forecasts,
    gold_load_hourly,
    silver_power_readings,
    silver_power_readings_rejected,
)

SUITES = (
    bronze_power_readings.SUITE,
    silver_power_readings.SUITE,
    silver_power_readings_rejected.SUITE,
    gold_load_hourly.SUITE,
    gold_load_forecasts.SUITE,
)
