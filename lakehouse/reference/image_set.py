"""What an image set is, as somebody declared it: where its files lie, in which format, what they must hold.

Ours are in image_sets beside this file; a user's are in <landing>/image_sets, or the folder that LAKEHOUSE_IMAGE_SETS
names, and take the place of ours of the same name. docs/image-sets.md explains the keys.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from lakehouse.config.settings import Settings
from lakehouse.reference.declaration import ContradictionError, Declared, parse_all, parse_declaration
from lakehouse.reference.declared_files import read_user_files
from lakehouse.reference.yaml_document import Place
from lakehouse.tables.vision import SET_NAME

FOLDER = "image_sets"
CHANNELS = {"idx": 1, "cifar10_binary": 3}
CIFAR10_SIDE = 32
PLACEHOLDER = re.compile(r"\{[^}]*\}")
Split = Literal["train", "test"]


def _as_paths(value: Any) -> Any:
    """Take one path for a list of one."""
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


Paths = Annotated[tuple[str, ...], BeforeValidator(_as_paths), Field(min_length=1)]


class SplitFiles(Declared):
    """Path patterns of one split's files below the landing folder."""

    images: Paths | None = None
    labels: Paths | None = None
    batches: Paths | None = None


class ImageSet(Declared):
    """One declared set of images."""

    name: str = Field(pattern=rf"^{SET_NAME.pattern}$")
    doc: str = ""
    format: Literal["idx", "cifar10_binary"]
    files: dict[Split, SplitFiles] = Field(min_length=1)
    archive: Annotated[tuple[str, ...], BeforeValidator(_as_paths)] = ()
    height: int | None = Field(default=None, ge=1, le=65535)
    width: int | None = Field(default=None, ge=1, le=65535)
    channels: int | None = Field(default=None, ge=1)
    classes: int | None = Field(default=None, ge=2, le=256)
    labels: tuple[str, ...] | None = None
    counts: dict[Split, int] = Field(default_factory=dict)
    balance_tolerance: float | None = Field(default=None, gt=0, le=1)
    duplicates: Literal["drop", "keep"] = "drop"

    @model_validator(mode="after")
    def _is_coherent(self) -> ImageSet:
        found = [*self._faults_of_classes(), *self._faults_of_files()]
        if self.channels not in (None, CHANNELS[self.format]):
            found.append((("channels",), f"format {self.format} has {CHANNELS[self.format]}"))
        if self.format == "cifar10_binary":
            sides = {"height": self.height, "width": self.width}
            found += [
                ((name,), f"format {self.format} has {CIFAR10_SIDE}")
                for name, side in sides.items()
                if side not in (None, CIFAR10_SIDE)
            ]
        if found:
            raise ContradictionError(found)
        return self

    def _faults_of_classes(self) -> Iterator[tuple[Place, str]]:
        if (self.labels is None) == (self.classes is None):
            words = "expected either labels (the names of the classes) or classes (how many there are)"
            yield () if self.labels is None else ("classes",), words
        if self.labels is not None:
            if not 2 <= len(self.labels) <= 256 or not all(name.strip() for name in self.labels):
                yield ("labels",), "expected 2 to 256 names"
            for position, name in enumerate(self.labels):
                if name in self.labels[:position]:
                    yield ("labels", position), f"{name!r} is given twice"

    def _faults_of_files(self) -> Iterator[tuple[Place, str]]:
        wanted = {"idx": {"images", "labels"}, "cifar10_binary": {"batches"}}[self.format]
        for split, files in self.files.items():
            if {role for role, paths in files if paths} != wanted:
                yield ("files", split), f"format {self.format} has {' and '.join(sorted(wanted))}"
            for role, paths in files:
                for placeholder in PLACEHOLDER.findall(" ".join(paths or ())):
                    if placeholder != "{part}":
                        yield ("files", split, role), f"{placeholder} is not a placeholder; there is {{part}}"
        if self.archive and self.format == "idx":
            yield ("archive",), "files of format idx come one by one"

    @property
    def label_names(self) -> tuple[str, ...]:
        """The classes by name, in the order of their labels; a class without a name is called by its number."""
        return self.labels or tuple(str(number) for number in range(self.classes or 0))

    @property
    def reading(self) -> str:
        """What changes where the files' bytes mean something else: name and digest."""
        return f"{self.name}:{_digest(self.model_dump(include={'name', 'format', 'height', 'width'}))}"

    @property
    def judging(self) -> str:
        """What changes with anything that rows are judged and chosen by."""
        return _digest(self.model_dump(exclude={"doc", "files", "archive"}))


def _digest(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def parse_image_set(content: str | bytes, path: str) -> ImageSet:
    """Read a declaration.

    Raises:
        BadInputError: the file is not YAML, or has what no image set has; names every fault with file and line.
    """
    return parse_declaration(content, path, ImageSet, "docs/image-sets.md")


@cache
def our_image_sets() -> tuple[ImageSet, ...]:
    """Return the sets that come with the package."""
    files = sorted((resources.files("lakehouse.reference") / FOLDER).iterdir(), key=lambda file: file.name)
    ours = [(file.name, file.read_bytes()) for file in files if file.name.endswith(".yaml")]
    return parse_all(ours, parse_image_set, "image set")


def declared_image_sets(landing: str, settings: Settings) -> dict[str, ImageSet]:
    """Return every declared set by its name, a user's in place of ours.

    Raises:
        BadInputError: a file is not a declaration, two declare one name, or the folder of the settings is not there.
        UnavailableError: the folder or a file can't be read.
    """
    files = read_user_files("LAKEHOUSE_IMAGE_SETS", settings.image_sets, f"{landing}/{FOLDER}", settings)
    return {
        declared.name: declared for declared in (*our_image_sets(), *parse_all(files, parse_image_set, "image set"))
    }
