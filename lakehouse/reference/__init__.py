"""What is known beside the data: instruments, venues, image sets, and how declarations are read."""
