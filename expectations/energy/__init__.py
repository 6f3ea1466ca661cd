"""Suites of the energy tables, one module per table."""
