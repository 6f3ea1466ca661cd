"""The ground floor: settings, table declarations, the lake, landing, queries, services, set-up and the command line."""
