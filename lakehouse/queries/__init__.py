"""Questions in SQL: embedded by DuckDB, in the stack by Trino, and how answers are written."""
