"""Models of the hourly load of a meter."""
