"""Suites of the finance tables, one module per table."""
