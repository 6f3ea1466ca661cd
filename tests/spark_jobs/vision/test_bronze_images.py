"""Deliveries of images: read together or not at all, replaced only on request, one set never in the way of another."""

from __future__ import annotations

import gzip
import os
import pickle
import shutil
import tarfile

import numpy as np
import pytest

from lakehouse.demo.images import idx_bytes
from lakehouse.errors import BadInputError, ExitCode
from lakehouse.tables import find_table
from lakehouse.tables.manifest import BRONZE_FILES
from lakehouse.tables.vision import (
    BRONZE_IMAGES,
    GOLD_IMAGE_CLASS_COUNTS,
    GOLD_IMAGE_STATISTICS,
    SILVER_IMAGES,
    gold_images,
)
from spark_jobs.engine import publish
from spark_jobs.layers.chain import run_domain
from spark_jobs.vision import bronze_images

SHARED = (BRONZE_IMAGES, SILVER_IMAGES, GOLD_IMAGE_STATISTICS, GOLD_IMAGE_CLASS_COUNTS)


class Marker:
    """A pickle that leaves a trace where somebody loads it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (self.path,))


def verdicts(lake):
    """What the manifest says of each file, without hashes."""
    rows = lake.values(BRONZE_FILES, "subject", "delivery_part", "_source_file", "verdict", "rows", "reason")
    return {row[2]: (row[0], row[1], *row[3:]) for row in rows}


def of_set(lake, name):
    """A set's rows in the tables that all sets share, and the digest of its own."""
    shared = [
        [row for row in lake.rows(table).drop_columns(["_ingested_at"]).to_pylist() if row["dataset"] == name]
        for table in SHARED
    ]
    return shared, lake.digest(gold_images(name))


def test_broken_sets_are_quarantined_whole_and_others_go_on(lake, declare, write_idx, noise, tmp_path):
    labels = np.arange(32) % 16
    for name in ("good", "unlabelled", "cut", "short", "switched", "wide"):
        declare(lake.landing, name, *(["height: 5", "width: 7"] if name == "wide" else []))
    write_idx(lake.landing / "good", "train", noise(32), labels)
    write_idx(lake.landing / "unlabelled", "train", noise(32, seed=2), None)
    images, _ = write_idx(lake.landing / "cut", "train", noise(32, seed=3), labels, packed=True)
    images.write_bytes(images.read_bytes()[:500])
    write_idx(lake.landing / "short", "train", noise(32, seed=4), labels[:30])
    write_idx(lake.landing / "switched", "train", labels, noise(32, seed=5))
    write_idx(lake.landing / "wide", "train", noise(32, 7, 5, seed=6), labels)
    trace = tmp_path / "loaded"
    evil = pickle.dumps(Marker(str(trace)))
    python = lake.landing / "cifar-10-batches-py"
    python.mkdir()
    (python / "data_batch_1").write_bytes(evil)
    binary = lake.landing / "cifar-10-batches-bin"
    binary.mkdir()
    (binary / "data_batch_1.bin").write_bytes(evil)
    (binary / "data_batch_2.bin").write_bytes(bytes(3073) + b"x")

    assert run_domain("vision", lake.request()) == ExitCode.QUARANTINED
    missing = "came without its labels; expected a file **/unlabelled/train-labels (or .gz) beside it"
    cut = "cut/train-images.gz: a cut gzip file: it ends before its end-of-stream marker"
    pair = "30 labels in short/train-labels: they do not belong together; nothing of them is loaded"
    ranks = "switched/train-images: IDX with 1 dimensions, expected 3 for images (00 00 08 03)"
    shape = "wide/train-images: images of 7 x 5 pixels; the set wide is declared with 5 x 7"
    found = verdicts(lake)
    pickled = "a Python pickle, which is code and is never loaded; deliver the binary version instead"
    assert pickled in found["cifar-10-batches-py/data_batch_1"][4]
    assert pickled in found.pop("cifar-10-batches-bin/data_batch_1.bin")[4]
    assert found.pop("cifar-10-batches-py/data_batch_1")[:4] == (
        *("cifar10", "cifar-10-batches-py/data_batch_1", "quarantined", 0),
    )
    assert "3074 bytes are no whole records of 3073" in found.pop("cifar-10-batches-bin/data_batch_2.bin")[4]
    assert found == {
        "good/train-images": ("good.train", "", "accepted", 32, None),
        "good/train-labels": ("good.train", "labels", "accepted", 32, None),
        "unlabelled/train-images": ("unlabelled.train", "", "quarantined", 0, f"unlabelled/train-images {missing}"),
        "cut/train-images.gz": ("cut.train", "", "quarantined", 0, cut),
        "cut/train-labels.gz": ("cut.train", "labels", "quarantined", 0, cut),
        "short/train-images": ("short.train", "", "quarantined", 0, f"32 images in short/train-images and {pair}"),
        "short/train-labels": (
            "short.train",
            "labels",
            "quarantined",
            0,
            f"32 images in short/train-images and {pair}",
        ),
        "switched/train-images": ("switched.train", "", "quarantined", 0, ranks),
        "switched/train-labels": ("switched.train", "labels", "quarantined", 0, ranks),
        "wide/train-images": ("wide.train", "", "quarantined", 0, shape),
        "wide/train-labels": ("wide.train", "labels", "quarantined", 0, shape),
    }
    assert not trace.exists()
    assert set(lake.values(BRONZE_IMAGES, "dataset")) == {("good",)}
    assert len(list((lake.settings.home / "warehouse" / "bronze" / "images").rglob("*.parquet"))) == 1
    assert lake.rows(find_table("gold.good_images")).num_rows == 32

    # What was judged is not judged again; labels that come later make the pair a new delivery.
    assert lake.run(bronze_images.JOB).outcome == "done already"
    write_idx(lake.landing / "unlabelled", "train", None, labels)
    assert lake.run(bronze_images.JOB).exit_code == 0
    assert verdicts(lake)["unlabelled/train-images"] == ("unlabelled.train", "", "accepted", 32, None)
    assert set(lake.values(BRONZE_IMAGES, "dataset")) == {("good",), ("unlabelled",)}


@pytest.fixture
def two_sets(lake, declare, write_idx, noise):
    """Sets `one` and `two` in the landing folder."""
    for seed, name in enumerate(("one", "two")):
        declare(lake.landing, name)
        write_idx(lake.landing / name, "train", noise(32, seed=seed), np.arange(32) % 16)
    return lake


def test_another_delivery_is_refused_with_both_hashes_and_replaces_on_request(two_sets, write_idx, noise):
    lake = two_sets
    assert run_domain("vision", lake.request()) == 0
    before = {name: of_set(lake, name) for name in ("one", "two")}
    labels = lake.landing / "one" / "train-labels"
    old = labels.read_bytes()
    write_idx(lake.landing / "one", "train", None, (np.arange(32) + 1) % 16)
    outcome = lake.run(bronze_images.JOB, ["one"])
    assert (outcome.exit_code, "was delivered before with other bytes" in outcome.message) == (2, True)
    assert "accepted sha256" in outcome.message and "found sha256" in outcome.message
    assert {name: of_set(lake, name) for name in ("one", "two")} == before

    assert run_domain("vision", lake.request(["one"], is_replacing=True)) == 0
    assert lake.rows(gold_images("one")).column("label").to_pylist() == [(n + 1) % 16 for n in range(32)]
    assert of_set(lake, "two") == before["two"]
    replaced = [row for row in lake.values(BRONZE_FILES, "_source_file", "verdict") if row[1] == "superseded"]
    assert replaced == [("one/train-labels", "superseded")]
    assert lake.rows(BRONZE_IMAGES).num_rows == 64

    labels.write_bytes(old)
    assert run_domain("vision", lake.request(["one"], is_replacing=True)) == 0
    assert {name: of_set(lake, name) for name in ("one", "two")} == before


def test_sets_in_any_order_and_a_run_that_dies_in_between_come_to_the_same(two_sets, make_lake, monkeypatch):
    first = two_sets
    assert run_domain("vision", first.request()) == 0
    other = make_lake("other")
    shutil.copytree(first.landing, other.landing, dirs_exist_ok=True)
    assert run_domain("vision", other.request(["two"])) == 0

    fast_forward = publish.fast_forward

    def die_before_the_manifest(attempt, staged):
        if staged.write.table is BRONZE_FILES:
            raise KeyboardInterrupt
        fast_forward(attempt, staged)

    monkeypatch.setattr(publish, "fast_forward", die_before_the_manifest)
    with pytest.raises(KeyboardInterrupt):
        other.run(bronze_images.JOB, ["one"])
    assert other.rows(BRONZE_IMAGES).num_rows == 64
    assert {row[0].split(".")[0] for row in other.values(BRONZE_FILES, "subject")} == {"two"}
    monkeypatch.undo()
    assert run_domain("vision", other.request()) == 0
    assert {name: of_set(other, name) for name in ("one", "two")} == {
        name: of_set(first, name) for name in ("one", "two")
    }


def test_strict_publishes_nothing_where_a_delivery_is_unreadable(two_sets):
    lake = two_sets
    (lake.landing / "one" / "train-labels").unlink()
    outcome = lake.run(bronze_images.JOB, ["one", "two"], is_strict=True)
    assert outcome.exit_code == 2
    assert outcome.message == (
        "one/train-images came without its labels; expected a file **/one/train-labels (or .gz) beside it; "
        "1 of 2 deliveries can't be read and --strict publishes nothing then"
    )
    assert (lake.main(BRONZE_IMAGES), lake.main(BRONZE_FILES)) == (None, None)
    assert list((lake.settings.home / "warehouse").rglob("bronze/images/**/*.parquet")) == []


def test_two_different_files_of_one_place_are_refused_and_equal_ones_are_one(two_sets, noise):
    lake = two_sets
    folder = lake.landing / "one"
    (folder / "train-images.gz").write_bytes(gzip.compress(idx_bytes(noise(32, seed=9))))
    outcome = lake.run(bronze_images.JOB, ["one"])
    assert outcome.exit_code == 2
    assert "one.train images lie in the landing folder twice with different bytes" in outcome.message
    (folder / "train-images.gz").unlink()
    copy = lake.landing / "again" / "one"
    copy.mkdir(parents=True)
    shutil.copy(folder / "train-images", copy)
    assert lake.run(bronze_images.JOB, ["one"]).exit_code == 0
    assert lake.rows(BRONZE_IMAGES).num_rows == 32


def test_archive_of_cifar10_gives_the_images_of_its_loose_batches(lake, make_lake):
    records = np.random.default_rng(4).integers(0, 256, (5, 3073), dtype=np.uint8)
    records[:, 0] = [0, 9, 4, 9, 10]  # the last one is no class of CIFAR-10
    loose = make_lake("loose")
    batches = loose.landing / "cifar-10-batches-bin"
    batches.mkdir()
    (batches / "data_batch_2.bin").write_bytes(records[:3].tobytes())
    (batches / "test_batch.bin").write_bytes(records[3:].tobytes())
    with tarfile.open(lake.landing / "cifar-10-binary.tar.gz", "w:gz") as archive:
        archive.add(batches, "cifar-10-batches-bin")
    columns = ("split", "delivery_part", "raw_label", "raw_pixels", "_source_record")
    found = []
    for each in (lake, loose):
        outcome = each.run(bronze_images.JOB, ["cifar10"])
        assert outcome.exit_code == 0, outcome.message
        found.append(each.values(BRONZE_IMAGES, *columns))
    assert found[0] == found[1]
    assert set(lake.values(BRONZE_IMAGES, "_source_member")) == {
        ("cifar-10-batches-bin/data_batch_2.bin",),
        ("cifar-10-batches-bin/test_batch.bin",),
    }
    # Both at once are the same deliveries with other bytes.
    shutil.copytree(batches, lake.landing / "cifar-10-batches-bin")
    outcome = lake.run(bronze_images.JOB, ["cifar10"])
    assert (outcome.exit_code, "was delivered before with other bytes" in outcome.message) == (2, True)


def test_a_declaration_that_makes_accepted_files_unreadable_is_refused(two_sets, declare):
    lake = two_sets
    assert lake.run(bronze_images.JOB, ["one"]).exit_code == 0
    declare(lake.landing, "one", "height: 28")
    outcome = lake.run(bronze_images.JOB, ["one"])
    assert outcome.exit_code == 2
    assert outcome.message == (
        "one.train was accepted before and can't be read as it is declared now: one/train-images: images of 5 x 7 "
        "pixels; the set one is declared with 28 x 7; fix the declaration"
    )
    assert lake.rows(BRONZE_IMAGES).num_rows == 32


def test_files_that_leave_the_landing_folder_stay_in_bronze(two_sets):
    lake = two_sets
    assert lake.run(bronze_images.JOB).exit_code == 0
    (lake.landing / "one" / "train-labels").unlink()  # one of the pair
    shutil.rmtree(lake.landing / "two")
    assert lake.run(bronze_images.JOB).outcome == "done already"
    assert lake.rows(BRONZE_IMAGES).num_rows == 64


def test_a_set_that_is_not_declared_is_refused(two_sets):
    with pytest.raises(BadInputError) as caught:
        run_domain("vision", two_sets.request(["none"]))
    assert "no image set 'none' is declared; there are cifar10, digits, mnist, one, two" in str(caught.value)


def test_a_set_without_files_is_refused(two_sets):
    outcome = two_sets.run(bronze_images.JOB, ["mnist"])
    assert outcome.exit_code == ExitCode.BAD_INPUT
    assert "holds no file of mnist; expected **/mnist/train-images?idx3-ubyte" in outcome.message
