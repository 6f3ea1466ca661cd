"""Training from gold at a tag: configuration, gate, registry, promotion, forecasts."""
