"""Suites of the energy tables."""

from __future__ import annotations

from expectations.energy import gold_load_forecasts

SUITES = (gold_load_forecasts.SUITE,)
