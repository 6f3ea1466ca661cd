"""Access to the tables without a JVM: catalog, schemas, scans, log tables, the store behind them."""
