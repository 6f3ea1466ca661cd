"""Suites of the vision tables, one module per table; the gold tables of image sets share one."""
