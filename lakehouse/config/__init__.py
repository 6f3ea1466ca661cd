"""Settings, generated secrets and addresses, and where the project lies."""
