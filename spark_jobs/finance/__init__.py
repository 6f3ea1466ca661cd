"""Tables of ticks: trades, quotes, bars, features, profiles, correlations."""
