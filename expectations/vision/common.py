"""Rules that several vision tables share."""

from __future__ import annotations

from expectations.rules import Rule, row_rule


def whole_images(pixels: str) -> Rule:
    """Demand as many bytes as the shape of the image has."""
    return row_rule(
        "image_is_whole",
        "critical",
        "An image has channels * height * width bytes.",
        f"NOT (octet_length({pixels}) = channels * height * width)",
    )


def hashed(column: str) -> Rule:
    """Demand a hash of 64 digits."""
    return row_rule(
        "sha256_is_hex",
        "critical",
        "Pixels and file are known by their SHA-256, 64 digits.",
        f"NOT (length({column}) = 64 AND length(_source_sha256) = 64)",
    )
