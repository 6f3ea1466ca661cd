"""Records of images: rules, names of labels, and equal images within a split and across."""

from __future__ import annotations

import polars as pl

from lakehouse.tables.vision import BRONZE_IMAGES
from transforms.vision.records import FACT_COLUMNS, clean_records, find_equal

LABELS = ("cat", "dog")


def records(*rows):
    """Records of (split, part, record, label, pixels); equal pixels are equal images."""
    return pl.DataFrame(
        [
            {
                **dict.fromkeys(BRONZE_IMAGES.digest_columns),
                **{"dataset": "a", "split": split, "delivery_part": part, "_source_record": number},
                **{"raw_label": label, "raw_pixels": pixels, "pixels_sha256": pixels.hex()},
                **{"pixel_min": min(pixels), "pixel_max": max(pixels), "height": 1, "width": 2, "channels": 1},
            }
            for split, part, number, label, pixels in rows
        ]
    )


def clean(lines):
    return clean_records(lines, LABELS, find_equal(lines.select(FACT_COLUMNS), len(LABELS)))


def test_equal_images_are_flagged_and_records_that_break_a_rule_are_no_measure():
    cleaned = clean(
        records(
            ("train", "", 0, 0, b"\x01\x02"),
            ("train", "", 1, 0, b"\x01\x02"),  # a copy
            ("train", "", 2, 1, b"\x01\x03"),  # in test with the other label
            ("test", "", 0, 0, b"\x01\x03"),
            ("train", "", 3, 1, b"\x09\x08"),  # alone: its equal has a label that is none
            ("train", "", 4, 2, b"\x09\x08"),
            ("train", "", 5, 0, b"\x07\x07"),
        )
    )
    flags = ("image_id", "label_name", "duplicate_of", "is_train_test_leak", "has_other_label")
    assert cleaned.rows.select(flags).rows() == [
        ("a.test.000000", "cat", None, True, True),
        ("a.train.000000", "cat", None, False, False),
        ("a.train.000001", "cat", "a.train.000000", False, False),
        ("a.train.000002", "dog", None, True, True),
        ("a.train.000003", "dog", None, False, False),
    ]
    assert cleaned.rejected.select("image_id", "rule", "reason").rows() == [
        ("a.train.000004", "impossible_label", "label 2; the set has the classes 0 to 1"),
        ("a.train.000005", "blank_image", "every pixel is 7"),
    ]
    assert cleaned.duplicates.height == 0


def test_ids_name_the_part_and_go_on_beyond_a_million():
    cleaned = clean(records(("train", "2", 7, 0, b"\x01\x02"), ("train", "2", 1_234_567, 1, b"\x01\x03")))
    assert sorted(cleaned.rows["image_id"]) == ["a.train.2.000007", "a.train.2.1234567"]


def test_the_first_of_equal_images_is_the_one_with_the_least_number():
    copies = [("train", part, number, 0, b"\x01\x02") for part, number in (("2", 999_999), ("2", 1_000_000), ("10", 1))]
    cleaned = clean(records(*copies)).rows.sort("_source_record")
    first = "a.train.2.999999"
    assert cleaned.select("image_id", "duplicate_of").rows() == [
        ("a.train.10.000001", first),
        (first, None),
        ("a.train.2.1000000", first),
    ]


def test_any_cut_of_a_sets_records_makes_the_rows_of_the_whole():
    whole = records(*(("train", "", n, n % 2, bytes([1 + n % 3, 9])) for n in range(12)))
    flags = find_equal(whole.select(FACT_COLUMNS), len(LABELS))
    parts = [clean_records(whole[first : first + 5], LABELS, flags).rows for first in range(0, 12, 5)]
    assert pl.concat(parts).sort("image_id").equals(clean(whole).rows)
