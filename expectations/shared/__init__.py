"""Suites of tables that belong to no domain alone."""
