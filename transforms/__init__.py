"""Pure functions from the rows of one slice to rows: no Spark, no catalog, no files, no clock."""
