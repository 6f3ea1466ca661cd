"""Published files downloaded into the landing folder, each checked by its hash."""
