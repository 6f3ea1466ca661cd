"""Long-running processes that `lakehouse up` starts on loopback: a module each, and their starter."""
