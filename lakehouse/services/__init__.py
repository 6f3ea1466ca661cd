"""The embedded profile's long-running processes: Airflow, MLflow's pages and the quality pages, on loopback."""
