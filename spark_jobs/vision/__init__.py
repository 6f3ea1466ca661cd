"""Tables of image sets."""
