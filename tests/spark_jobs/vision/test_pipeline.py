"""The vision pipeline: real files pixel by pixel, sets of any shape, and every record accounted for."""

from __future__ import annotations

import gzip
import hashlib

import numpy as np
import pytest

from lakehouse.demo.images import write_demo_images
from lakehouse.lake.catalog import read_log
from lakehouse.tables.logs import FILE_BALANCES, RUNS
from lakehouse.tables.vision import (
    BRONZE_IMAGES,
    GOLD_IMAGE_CLASS_COUNTS,
    GOLD_IMAGE_STATISTICS,
    SILVER_IMAGES,
    SILVER_IMAGES_REJECTED,
    gold_images,
)
from spark_jobs.layers.chain import run_domain

COUNTS = ("lines_in", "rows_out", "rows_rejected", "rows_duplicate")


def pixels_of(lake, table):
    """The images of a table in the order of their ids, one row of bytes each."""
    rows = lake.rows(table)
    return np.stack([np.frombuffer(value, np.uint8) for value in rows.column("pixels").to_pylist()])


def balances(lake):
    rows = read_log(lake.settings, FILE_BALANCES).to_pylist()
    assert all(row["is_balanced"] and row["event_date"] is None for row in rows)
    return {(row["table_name"], row["_source_file"]): tuple(row[name] for name in COUNTS) for row in rows}


def expected_statistics(name, pixels, channels):
    scaled = pixels.reshape(len(pixels), channels, -1) / 255
    return [
        (name, "train", channel, pytest.approx(scaled[:, channel].mean()), pytest.approx(scaled[:, channel].std()))
        for channel in range(channels)
    ]


def test_first_4000_images_of_cifar10_are_in_gold_pixel_by_pixel(lake, real_data):
    path = real_data / "cifar-10-batches-bin" / "data_batch_1.bin"
    records = np.fromfile(path, np.uint8).reshape(-1, 3073)
    assert run_domain("vision", lake.request(["cifar10"], landing=real_data)) == 0
    rows = lake.rows(gold_images("cifar10"))
    assert rows.column("image_id").to_pylist() == [f"cifar10.train.1.{number:06d}" for number in range(4000)]
    assert np.array_equal(pixels_of(lake, gold_images("cifar10")), records[:, 1:])
    assert rows.column("label").to_pylist() == records[:, 0].tolist()
    names = (real_data / "cifar-10-batches-bin" / "batches.meta.txt").read_text().split()
    assert rows.column("label_name").to_pylist() == [names[label] for label in records[:, 0]]
    statistics = lake.values(GOLD_IMAGE_STATISTICS, "dataset", "split", "channel", "mean", "std")
    assert statistics == expected_statistics("cifar10", records[:, 1:], 3)
    assert balances(lake)["gold.cifar10_images", "cifar-10-batches-bin/data_batch_1.bin"] == (4000, 4000, 0, 0)


def test_mnist_is_in_gold_whole_with_the_statistics_of_train(lake, real_data):
    assert run_domain("vision", lake.request(["mnist"], landing=real_data / "mnist")) == 0
    table = gold_images("mnist")
    images = {}
    for split, file in (("test", "t10k"), ("train", "train")):
        content = gzip.decompress((real_data / "mnist" / f"{file}-images-idx3-ubyte.gz").read_bytes())
        images[split] = np.frombuffer(content, np.uint8, offset=16).reshape(-1, 784)
    assert np.array_equal(pixels_of(lake, table), np.concatenate([images["test"], images["train"]]))
    shapes = set(lake.values(table, "height", "width", "channels", "is_train_test_leak"))
    assert shapes == {(28, 28, 1, False)}
    (statistics,) = lake.values(GOLD_IMAGE_STATISTICS, "mean", "std", "image_count")
    # The numbers that every MNIST recipe has: 0.1307 and 0.3081.
    assert statistics == (pytest.approx(0.1307, abs=5e-5), pytest.approx(0.3081, abs=5e-5), 60_000)
    counts = lake.values(GOLD_IMAGE_CLASS_COUNTS, "split", "label", "image_count")
    assert counts[:2] == [("test", 0, 980), ("test", 1, 1135)]
    assert counts[10:12] == [("train", 0, 5923), ("train", 1, 6742)]
    assert balances(lake)["gold.mnist_images", "train-images-idx3-ubyte.gz"] == (60_000, 60_000, 0, 0)


def test_a_real_set_of_two_classes_goes_through_by_its_declaration_alone(lake, real_data):
    folder = lake.landing / "image_sets"
    folder.mkdir()
    (lake.landing / "mnist-tiny").symlink_to(real_data / "mnist-tiny")
    (folder / "tiny.yaml").write_text(
        "name: tiny\nformat: idx\nlabels: [zero, one]\nfiles:\n"
        '  train: {images: "mnist-tiny/train-images-idx3-ubyte", labels: "mnist-tiny/train-labels-idx1-ubyte"}\n'
        '  test: {images: "mnist-tiny/t10k-images-idx3-ubyte", labels: "mnist-tiny/t10k-labels-idx1-ubyte"}\n'
    )
    assert run_domain("vision", lake.request(["tiny"])) == 0
    counts = lake.values(GOLD_IMAGE_CLASS_COUNTS, "split", "label_name", "image_count")
    # Records 62 and 71 of train are one image: of 108, gold has 107.
    duplicates = [row for row in lake.values(SILVER_IMAGES, "image_id", "duplicate_of") if row[1]]
    assert duplicates == [("tiny.train.000071", "tiny.train.000062")]
    assert sum(count for split, _, count in counts if split == "train") == 107
    assert sum(count for split, _, count in counts if split == "test") == 72
    assert {name for _, name, _ in counts} == {"zero", "one"}


@pytest.fixture(scope="module")
def odd(spark, lakes, declare, write_idx, noise, tmp_path_factory):
    """A set of 5 x 7 pixels and 16 classes with every kind of defect, through the whole pipeline."""
    lake = lakes(spark, tmp_path_factory.mktemp("odd"), "lake")
    declare(lake.landing, "odd")
    train, test = noise(40), noise(12, seed=2)
    labels, test_labels = np.arange(40) % 16, np.arange(12) % 16
    train[7] = train[3]  # a copy with its own label, 7
    train[19] = train[3]
    labels[19] = 3  # and one with the same label
    train[5] = test[4]  # leaks into train, with another label
    train[9] = 0  # blank
    test[2] = 200  # blank, and not black
    labels[11] = 16  # no such class
    test[11] = test[10]
    write_idx(lake.landing / "odd", "train", train, labels)
    write_idx(lake.landing / "odd", "test", test, test_labels, packed=True)
    assert run_domain("vision", lake.request(["odd"])) == 0
    return lake, train, labels, test, test_labels


def test_bronze_has_every_record_as_the_file_said_it(odd):
    lake, train, labels, test, test_labels = odd
    rows = lake.rows(BRONZE_IMAGES).to_pylist()
    assert [(row["split"], row["_source_record"], row["raw_label"], row["raw_pixels"]) for row in rows] == [
        *(("test", number, test_labels[number], test[number].tobytes()) for number in range(12)),
        *(("train", number, labels[number], train[number].tobytes()) for number in range(40)),
    ]
    first = rows[12]
    sha256 = hashlib.sha256((lake.landing / "odd" / "train-images").read_bytes()).hexdigest()
    label_sha256 = hashlib.sha256((lake.landing / "odd" / "train-labels").read_bytes()).hexdigest()
    del first["_ingested_at"]
    assert first == {
        "source": "idx",
        "dataset": "odd",
        "split": "train",
        "delivery_part": "",
        "raw_label": 0,
        "height": 5,
        "width": 7,
        "channels": 1,
        "raw_pixels": train[0].tobytes(),
        "pixels_sha256": hashlib.sha256(train[0].tobytes()).hexdigest(),
        "pixel_min": train[0].min(),
        "pixel_max": train[0].max(),
        "channel_sums": [train[0].sum()],
        "channel_square_sums": [(train[0].astype(int) ** 2).sum()],
        "_label_file": "odd/train-labels",
        "_label_sha256": label_sha256,
        "_source_file": "odd/train-images",
        "_source_member": "",
        "_source_record": 0,
        "_source_sha256": sha256,
    }


def test_silver_flags_equal_images_within_and_across_splits(odd):
    lake, *_ = odd
    flags = ("image_id", "duplicate_of", "is_train_test_leak", "has_other_label")
    flagged = [row for row in lake.values(SILVER_IMAGES, *flags) if row[1] or row[2] or row[3]]
    assert flagged == [
        ("odd.test.000004", None, True, True),
        ("odd.test.000010", None, False, True),
        ("odd.test.000011", "odd.test.000010", False, True),
        ("odd.train.000003", None, False, True),
        ("odd.train.000005", None, True, True),
        ("odd.train.000007", "odd.train.000003", False, True),
        ("odd.train.000019", "odd.train.000003", False, True),
    ]


def test_silver_rejects_blank_images_and_impossible_labels_with_file_and_record(odd):
    lake, *_ = odd
    columns = ("image_id", "rule", "reason", "_source_file", "_source_record")
    assert lake.values(SILVER_IMAGES_REJECTED, *columns) == [
        ("odd.test.000002", "blank_image", "every pixel is 200", "odd/t10k-images.gz", 2),
        ("odd.train.000009", "blank_image", "every pixel is 0", "odd/train-images", 9),
        ("odd.train.000011", "impossible_label", "label 16; the set has the classes 0 to 15", "odd/train-images", 11),
    ]


def test_gold_has_each_image_once_and_none_of_train_that_is_in_test(odd):
    lake, train, labels, test, test_labels = odd
    kept_train = [number for number in range(40) if number not in (5, 7, 9, 11, 19)]
    kept_test = [number for number in range(12) if number not in (2, 11)]
    table = gold_images("odd")
    assert lake.values(table, "image_id", "label", "label_name", "is_train_test_leak") == [
        *((f"odd.test.{n:06d}", test_labels[n], str(test_labels[n]), n == 4) for n in kept_test),
        *((f"odd.train.{n:06d}", labels[n], str(labels[n]), False) for n in kept_train),
    ]
    chosen = np.concatenate([test[kept_test], train[kept_train]]).reshape(-1, 35)
    assert np.array_equal(pixels_of(lake, table), chosen)
    hashes = [hashlib.sha256(row).hexdigest() for row in chosen]
    assert lake.rows(table).column("image_sha256").to_pylist() == hashes
    statistics = lake.values(GOLD_IMAGE_STATISTICS, "dataset", "split", "channel", "mean", "std")
    assert statistics == expected_statistics("odd", train[kept_train], 1)
    counts = lake.values(GOLD_IMAGE_CLASS_COUNTS, "split", "label", "image_count", "share_ratio")
    assert counts == [
        *(("test", c, n := sum(test_labels[kept_test] == c), n / 10) for c in range(16)),
        *(("train", c, n := sum(labels[kept_train] == c), n / 35) for c in range(16)),
    ]


def test_records_in_are_rows_rejected_and_duplicates_for_every_file(odd):
    lake, *_ = odd
    assert balances(lake) == {
        ("silver.images", "odd/train-images"): (40, 38, 2, 0),
        ("silver.images", "odd/t10k-images.gz"): (12, 11, 1, 0),
        ("gold.odd_images", "odd/train-images"): (40, 35, 2, 3),
        ("gold.odd_images", "odd/t10k-images.gz"): (12, 10, 1, 1),
    }
    runs = read_log(lake.settings, RUNS).to_pandas().set_index("job")
    assert runs.loc["vision.odd_images", ["rows_in", "rows_out", "rows_rejected", "rows_duplicate"]].tolist() == [
        *(52, 45, 3, 4)
    ]
    assert runs.loc["vision.silver_images", "message"] == "published odd; 3 duplicates, 1 of train in test, too"


def test_same_files_again_change_nothing(odd):
    lake, *_ = odd
    tables = (BRONZE_IMAGES, SILVER_IMAGES, SILVER_IMAGES_REJECTED, gold_images("odd"), GOLD_IMAGE_STATISTICS)
    before = [lake.main(table) for table in tables]
    assert run_domain("vision", lake.request(["odd"])) == 0
    assert [lake.main(table) for table in tables] == before


def test_keep_leaves_every_sound_image_in_gold(odd, declare):
    lake, *_ = odd
    declare(lake.landing, "odd", "duplicates: keep")
    bronze = lake.main(BRONZE_IMAGES)
    assert run_domain("vision", lake.request(["odd"])) == 0
    assert lake.main(BRONZE_IMAGES) == bronze  # how files are read has not changed
    assert lake.rows(gold_images("odd")).num_rows == 49


def test_digits_of_the_demo_go_through(lake):
    write_demo_images(lake.landing)
    assert run_domain("vision", lake.request()) == 0
    counts = lake.values(GOLD_IMAGE_CLASS_COUNTS, "dataset", "split", "image_count")
    assert {name for name, _, _ in counts} == {"digits"}
    assert sum(count for _, _, count in counts) == 1797
