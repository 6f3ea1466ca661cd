"""How one kind of delivered file becomes rows."""
