"""Generated files in the layouts of real feeds, for the demo and the tests."""
