"""What jobs of one layer share."""
