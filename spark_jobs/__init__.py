"""Jobs that make the tables: landing files to bronze, silver, gold."""
