"""What an image set is, as somebody declared it: where its files lie, in which format, what they must hold.

Ours are in image_sets beside this file; a user's are in <landing>/image_sets, or the folder that LAKEHOUSE_IMAGE_SETS
names, and take the place of ours of the same name. docs/image-sets.md explains the keys.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Annotated, Any, Literal

from pyarrow import fs
from pydantic import BeforeValidator, Field, model_validator

from lakehouse.config.settings import Settings
from lakehouse.errors import BadInputError
from lakehouse.lake.store import open_filesystem
from lakehouse.reference.declaration import Declared, parse_declaration, refuse_twins
from lakehouse.tables.vision import SET_NAME

FOLDER = "image_sets"
CHANNELS = {"idx": 1, "cifar10_binary": 3}
CIFAR10_SIDE = 32
PLACEHOLDER = re.compile(r"\{[^}]*\}")
Split = Literal["train", "test"]


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _as_paths(value: Any) -> Any:
    return (value,) if isinstance(value, str) else _as_tuple(value)


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
    labels: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] | None = None
    counts: dict[Split, int] = Field(default_factory=dict)
    balance_tolerance: float | None = Field(default=None, gt=0, le=1)
    duplicates: Literal["drop", "keep"] = "drop"

    @model_validator(mode="after")
    def _is_coherent(self) -> ImageSet:
        if (self.labels is None) == (self.classes is None):
            raise ValueError("expected either labels (the names of the classes) or classes (how many there are)")
        if self.labels is not None:
            if not 2 <= len(self.labels) <= 256 or not all(name.strip() for name in self.labels):
                raise ValueError("labels: expected 2 to 256 names")
            if len(set(self.labels)) != len(self.labels):
                raise ValueError("labels: a name stands there twice")
        wanted = {"idx": {"images", "labels"}, "cifar10_binary": {"batches"}}[self.format]
        for split, files in self.files.items():
            if {role for role, paths in files if paths} != wanted:
                raise ValueError(f"files.{split}: format {self.format} has {' and '.join(sorted(wanted))}")
            for role, paths in files:
                for placeholder in PLACEHOLDER.findall(" ".join(paths or ())):
                    if placeholder != "{part}":
                        raise ValueError(f"files.{split}.{role}: {placeholder} is no placeholder; there is {{part}}")
        if self.archive and self.format == "idx":
            raise ValueError("archive: files of format idx come one by one")
        if self.channels not in (None, CHANNELS[self.format]):
            raise ValueError(f"channels: format {self.format} has {CHANNELS[self.format]}")
        if self.format == "cifar10_binary" and not {self.height, self.width} <= {None, CIFAR10_SIDE}:
            raise ValueError(f"height and width: format {self.format} has {CIFAR10_SIDE} of both")
        return self

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


def parse_image_set(text: str, path: str) -> ImageSet:
    """Read a declaration.

    Raises:
        BadInputError: the file is no YAML or says something that no declaration says; names file and line.
    """
    return parse_declaration(text, path, ImageSet, "an image set (name, format, files, ...)", "docs/image-sets.md")


@cache
def our_image_sets() -> tuple[ImageSet, ...]:
    """Return the sets that come with the package."""
    files = sorted((resources.files("lakehouse.reference") / FOLDER).iterdir(), key=lambda file: file.name)
    return _distinct([(file.name, file.read_text("utf-8")) for file in files if file.name.endswith(".yaml")])


def declared_image_sets(landing: str, settings: Settings) -> dict[str, ImageSet]:
    """Return every declared set by its name, a user's in place of ours.

    Raises:
        BadInputError: a file is no declaration, two declare one name, or the folder of the settings is not there.
    """
    folder = settings.image_sets or f"{landing}/{FOLDER}"
    filesystem, path = open_filesystem(folder, settings)
    found: list[tuple[str, str]] = []
    if filesystem.get_file_info(path).type == fs.FileType.Directory:
        for info in sorted(filesystem.get_file_info(fs.FileSelector(path)), key=lambda info: info.path):
            if info.base_name.endswith((".yaml", ".yml")) and not info.base_name.startswith("."):
                with filesystem.open_input_file(info.path) as stream:
                    found.append((f"{folder}/{info.base_name}", stream.read().decode(errors="replace")))
    elif settings.image_sets:
        raise BadInputError(f"LAKEHOUSE_IMAGE_SETS names {folder}, which is no folder")
    return {declared.name: declared for declared in (*our_image_sets(), *_distinct(found))}


def _distinct(texts: Sequence[tuple[str, str]]) -> tuple[ImageSet, ...]:
    declared = [(path, parse_image_set(text, path)) for path, text in texts]
    refuse_twins([(path, image_set.name) for path, image_set in declared], "image set")
    return tuple(image_set for _, image_set in declared)
