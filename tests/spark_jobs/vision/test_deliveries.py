"""Which files belong together: found by declared patterns, chosen by what the manifest says."""

from __future__ import annotations

import pytest

from lakehouse.reference.image_set import our_image_sets, parse_image_set
from spark_jobs.engine.manifest import Entry
from spark_jobs.sources.landing import LandedFile
from spark_jobs.vision.deliveries import ImageFile, Place, batch_place, choose, find_deliveries, find_place
from spark_jobs.vision.image_manifest import is_settled

SETS = {image_set.name: image_set for image_set in our_image_sets()}
TRAIN_IMAGES, TRAIN_LABELS = Place("images", "train"), Place("labels", "train")


def file(path, sha256):
    return ImageFile(LandedFile(path, f"/landing/{path}", 1, None), sha256)


def entry(sha256, part="", verdict="accepted", read_as="", subject="mnist.train"):
    return Entry(
        *(None, "images", "idx", subject, part, f"{sha256}.gz", sha256, 1, 1),
        *(None, None, None, None, (), verdict, None),
        ingested_at=None,
        read_as=read_as,
    )


@pytest.mark.parametrize(
    ("name", "path", "landing", "place"),
    [
        pytest.param("mnist", "mnist/train-images-idx3-ubyte.gz", "", TRAIN_IMAGES, id="gzip"),
        pytest.param("mnist", "a/b/mnist/train-labels.idx1-ubyte", "", TRAIN_LABELS, id="raw, deep, with a point"),
        pytest.param("mnist", "t10k-images-idx3-ubyte", "mnist", Place("images", "test"), id="landing is the folder"),
        pytest.param("mnist", "fashion/train-images-idx3-ubyte.gz", "data", None, id="another set's folder"),
        pytest.param("mnist", "mnist/train-images-idx3-ubyte.gz.part", "", None, id="another ending"),
        pytest.param(
            "cifar10", "cifar-10-batches-bin/data_batch_3.bin", "", Place("batches", "train", "3"), id="batch"
        ),
        pytest.param("cifar10", "cifar-10-binary.tar.gz", "", Place("archive"), id="archive"),
        pytest.param(
            "cifar10", "x/cifar-10-python.tar.gz", "", Place("pickled", "", "x/cifar-10-python.tar.gz"), id="py"
        ),
        pytest.param("cifar10", "x/data_batch_2", "", Place("pickled", "", "x/data_batch_2"), id="pickled batch"),
        pytest.param("mnist", "x/data_batch_2", "", None, id="pickled batch of another set"),
    ],
)
def test_find_place_knows_files_by_their_declared_paths(name, path, landing, place):
    assert find_place(SETS[name], path, landing) == place


def test_find_deliveries_refuses_each_pickle_by_itself():
    paths = ("a/batches.meta", "cifar100/batches.meta")
    offered = [
        (find_place(SETS["cifar10"], path, ""), file(path, sha256)) for path, sha256 in zip(paths, "ab", strict=True)
    ]
    refused = find_deliveries(SETS["cifar10"], offered, [])
    assert [delivery.refusal.partition(":")[0] for delivery in refused] == list(paths)


def test_batch_place_takes_members_of_an_archive_that_are_batches():
    names = ["cifar-10-batches-bin/test_batch.bin", "cifar-10-batches-bin/readme.html", "cifar-10-binary.tar.gz"]
    assert [batch_place(SETS["cifar10"], name) for name in names] == [Place("batches", "test"), None, None]


def test_find_deliveries_pairs_images_and_labels_of_a_split_and_part():
    image_set = parse_image_set(
        'name: parts\nformat: idx\nclasses: 2\nfiles:\n  train: {images: "images_{part}", labels: "labels_{part}"}\n',
        "parts.yaml",
    )
    files = [file(name, name) for name in ("images_1", "labels_1", "images_2")]
    placed = [(find_place(image_set, each.landed.path, ""), each) for each in files]
    first, second = find_deliveries(image_set, placed, [])
    assert [(each.sha256, part) for each, part in first.files] == [("images_1", "1"), ("labels_1", "1.labels")]
    assert (first.refusal, first.subject) == (None, "parts.train")
    assert second.refusal == "images_2 came without its labels; expected a file labels_{part} (or .gz) beside it"


@pytest.mark.parametrize(
    ("entries", "chosen"),
    [
        pytest.param([entry("a")], "b", id="the new one beside the accepted one"),
        pytest.param([entry("a"), entry("b", verdict="superseded")], "a", id="the accepted one beside a replaced one"),
        pytest.param([entry("b", verdict="quarantined"), entry("a")], "a", id="the accepted one beside a broken one"),
    ],
)
def test_choose_takes_one_of_two_files_by_what_was_judged_before(entries, chosen):
    offered = [file("mnist/a", "a"), file("mnist/b", "b")]
    assert choose(SETS["mnist"], TRAIN_IMAGES, offered, entries).sha256 == chosen


def pair(images="i", labels="l"):
    placed = [(TRAIN_IMAGES, file("mnist/i", images)), (TRAIN_LABELS, file("mnist/l", labels))]
    return find_deliveries(SETS["mnist"], [each for each in placed if each[1].sha256], [])[0]


def loaded(delivery, verdict="accepted"):
    return [entry(each.sha256, part, verdict, delivery.read_as) for each, part in delivery.files]


@pytest.mark.parametrize(
    ("delivery", "entries", "replacing", "expected"),
    [
        pytest.param(pair(), [], False, False, id="never seen"),
        pytest.param(pair(), loaded(pair()), False, True, id="the same pair"),
        pytest.param(pair(), loaded(pair(), "quarantined"), False, True, id="the same pair, quarantined"),
        pytest.param(pair(labels="new"), loaded(pair()), False, False, id="other labels"),
        pytest.param(pair(), [entry("i", read_as=pair(labels="").read_as)], False, False, id="labels came later"),
        pytest.param(pair(labels=""), loaded(pair()), False, True, id="labels left the folder"),
        pytest.param(pair(), loaded(pair(), "superseded"), False, True, id="replaced, and not to come back"),
        pytest.param(pair(), loaded(pair(), "superseded"), True, False, id="replaced, and to come back"),
    ],
)
def test_is_settled_where_the_files_were_judged_together(delivery, entries, replacing, expected):
    landed = {each.sha256: each for each, _ in delivery.files}
    assert is_settled(delivery, entries, landed, replacing) is expected
