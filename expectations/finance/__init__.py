"""The suites of the finance tables, one module per table."""

from __future__ import annotations

from expectations.finance import (
    bronze_files,
    bronze_quotes,
    bronze_trades,
    gold_bars_1m,
    gold_instruments,
    gold_return_correlations_1d,
    gold_tick_features,
    gold_tick_predictions,
    gold_volume_profile_1d,
    silver_quotes,
    silver_quotes_rejected,
    silver_trades,
    silver_trades_rejected,
)

SUITES = (
    bronze_files.SUITE,
    bronze_trades.SUITE,
    bronze_quotes.SUITE,
    silver_trades.SUITE,
    silver_trades_rejected.SUITE,
    silver_quotes.SUITE,
    silver_quotes_rejected.SUITE,
    gold_instruments.SUITE,
    gold_bars_1m.SUITE,
    gold_tick_features.SUITE,
    gold_volume_profile_1d.SUITE,
    gold_return_correlations_1d.SUITE,
    gold_tick_predictions.SUITE,
)
