"""Which files of the landing folder belong together, and which of them are not judged yet.

A delivery is one batch of a split, or a split's file of images and its file of labels: these two are read together or
not at all, and judged again when either of them changes. An archive holds several batches.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lakehouse.errors import BadInputError
from lakehouse.reference.image_set import ImageSet
from spark_jobs.engine.manifest import LABELS, Entry
from spark_jobs.sources.dialect import path_regex
from spark_jobs.sources.image_bytes import PICKLED, REFUSE_PICKLE
from spark_jobs.sources.landing import LandedFile

DATASET = "images"


@dataclass(frozen=True)
class ImageFile:
    """A file of the landing folder and the hash that its bytes had when the run was planned."""

    landed: LandedFile
    sha256: str


@dataclass(frozen=True)
class Place:
    """What a file is by its path. An archive, and what is refused for its name alone, has no split."""

    role: str
    split: str = ""
    part: str = ""


@dataclass(frozen=True)
class ImageDelivery:
    """Files that are read together. `images` also stands for a batch or an archive; one of the two may be missing."""

    image_set: ImageSet
    place: Place
    images: ImageFile | None
    labels: ImageFile | None
    refusal: str | None = None
    """Why it can't be read, where that is known from the paths alone."""

    @property
    def files(self) -> tuple[tuple[ImageFile, str], ...]:
        """The files with the part of the delivery that each is in the manifest."""
        parts = ((self.images, self.place.part), (self.labels, labels_part(self.place.part)))
        return tuple((file, part) for file, part in parts if file is not None)

    @property
    def subject(self) -> str:
        """What the delivery is about: set and split."""
        return subject_of(self.image_set.name, self.place.split)

    @property
    def read_as(self) -> str:
        """What changes with the declaration and with any of the files."""
        digest = hashlib.sha256("\n".join(f"{part} {file.sha256}" for file, part in self.files).encode())
        return f"{self.image_set.reading} of {digest.hexdigest()[:16]}"


def subject_of(name: str, split: str) -> str:
    """Name a set's split, as bronze.files has it."""
    return f"{name}.{split}" if split else name


def labels_part(part: str) -> str:
    """Name the part of a delivery that its labels are."""
    return f"{part}.{LABELS}" if part else LABELS


def find_place(image_set: ImageSet, path: str, landing_name: str) -> Place | None:
    """Say what the file at a path is to a set; the name of the landing folder counts as the first folder, too."""
    paths = (path, f"{landing_name}/{path}")

    def match(patterns: Iterable[str] | None, suffix: str = "") -> re.Match[str] | None:
        found = (re.fullmatch(path_regex(pattern) + suffix, text) for pattern in patterns or () for text in paths)
        return next(filter(None, found), None)

    for split, files in image_set.files.items():
        for role, patterns in files:
            if found := match(patterns, r"(?:\.gz)?"):
                return Place(role, split, found.groupdict().get("part", ""))
    if match(image_set.archive):
        return Place("archive")
    if image_set.format == "cifar10_binary" and PICKLED.fullmatch(path):
        return Place("pickled", part=path)
    return None


def batch_place(image_set: ImageSet, member: str) -> Place | None:
    """Say which batch a member of an archive is."""
    place = find_place(image_set, member, "")
    return place if place is not None and place.role == "batches" else None


def find_deliveries(
    image_set: ImageSet, files: Sequence[tuple[Place, ImageFile]], entries: Sequence[Entry]
) -> list[ImageDelivery]:
    """Put the files of one set together to deliveries.

    Raises:
        BadInputError: two files with different bytes are the same part of a delivery, and neither was judged before.
    """
    offers: dict[Place, list[ImageFile]] = {}
    for place, file in files:
        offers.setdefault(place, []).append(file)
    chosen = {place: choose(image_set, place, offered, entries) for place, offered in offers.items()}
    deliveries = []
    for place, file in chosen.items():
        if place.role == "pickled":
            deliveries.append(ImageDelivery(image_set, place, file, None, f"{file.landed.path}: {REFUSE_PICKLE}"))
        elif place.role in ("batches", "archive"):
            deliveries.append(ImageDelivery(image_set, place, file, None))
    pairs = {(place.split, place.part) for place in chosen if place.role in ("images", "labels")}
    for split, part in sorted(pairs):
        images, labels = (chosen.get(Place(role, split, part)) for role in ("images", "labels"))
        deliveries.append(pair_up(image_set, Place("images", split, part), images, labels))
    return deliveries


def pair_up(image_set: ImageSet, place: Place, images: ImageFile | None, labels: ImageFile | None) -> ImageDelivery:
    """Make the delivery of images and labels; where one of them is missing, say which."""
    if images is not None and labels is not None:
        return ImageDelivery(image_set, place, images, labels)
    there = images or labels
    missing = "labels" if labels is None else "images"
    patterns = getattr(image_set.files[place.split], missing)  # type: ignore[index]  # a key of files
    path = there.landed.path if there else ""
    refusal = f"{path} came without its {missing}; expected a file {' or '.join(patterns)} (or .gz) beside it"
    return ImageDelivery(image_set, place, images, labels, refusal)


def choose(image_set: ImageSet, place: Place, offered: Sequence[ImageFile], entries: Sequence[Entry]) -> ImageFile:
    """Return the file that counts of those at one place: a new one, else the accepted one.

    Raises:
        BadInputError: there are two new ones.
    """
    by_hash = {file.sha256: file for file in reversed(offered)}
    subject = subject_of(image_set.name, place.split)
    part = labels_part(place.part) if place.role == "labels" else place.part
    known = [entry for entry in entries if entry.subject == subject and entry.delivery_part == part]
    new = [file for sha256, file in by_hash.items() if sha256 not in {entry.source_sha256 for entry in known}]
    if len(new) > 1:
        listed = " and ".join(f"{file.landed.path} (sha256 {file.sha256})" for file in new)
        raise BadInputError(
            f"{subject} {place.role} lie in the landing folder twice with different bytes: {listed}; remove one of them"
        )
    accepted = [by_hash[e.source_sha256] for e in known if e.verdict == "accepted" and e.source_sha256 in by_hash]
    return (*new, *accepted, *by_hash.values())[0]
