"""Tables of meters: power readings and hourly loads."""
