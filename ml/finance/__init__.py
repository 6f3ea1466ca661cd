"""Models of the return of the coming minutes."""
