"""Transforms of images: rules of records, equal images, statistics."""
