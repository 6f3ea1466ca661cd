"""Every kind of declaration is read equally strictly: dialects of meters, image sets, configurations of models."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from lakehouse.config.settings import read_settings
from lakehouse.errors import BadInputError
from lakehouse.reference.image_set import declared_image_sets, parse_image_set
from lakehouse.reference.yaml_document import MAX_SIZE
from ml.config import config_files, read_config
from spark_jobs.energy.dialects import user_dialects
from spark_jobs.sources.dialect_file import parse_dialect

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Kind:
    """A kind of declaration: one that ships, a key of its top, one further in, and what a text is refused with."""

    file: Path
    key: str
    inner: str
    refuse: Callable[[str, Path], str]


def refused(read: Callable[[], object]) -> str:
    with pytest.raises(BadInputError) as error:
        read()
    assert "\n" not in str(error.value)
    return str(error.value)


def refuse_model(text: str, folder: Path) -> str:
    path = folder / "tick_gru.yaml"
    path.write_text(text, encoding="utf-8")
    return refused(lambda: read_config(path))


KINDS = {
    "dialect": Kind(
        ROOT / "spark_jobs/sources/meters/steel_plant.yaml",
        "country",
        "fields",
        lambda text, _: refused(lambda: parse_dialect(text, "steel_plant.yaml")),
    ),
    "image set": Kind(
        ROOT / "lakehouse/reference/image_sets/mnist.yaml",
        "format",
        "images",
        lambda text, _: refused(lambda: parse_image_set(text, "mnist.yaml")),
    ),
    "model": Kind(config_files()["tick_gru"], "target", "embargo_bars", refuse_model),
}


@pytest.fixture(params=KINDS)
def kind(request) -> Kind:
    return KINDS[request.param]


def lines_of(kind: Kind) -> list[str]:
    return kind.file.read_text(encoding="utf-8").splitlines()


def position(lines: list[str], key: str) -> int:
    """Return the index of the first line that gives a key."""
    return next(index for index, line in enumerate(lines) if re.match(rf"\s*{key}:", line))


def twice(lines: list[str], key: str) -> tuple[str, int, int]:
    """Return the text with a key's line repeated, and both lines' numbers."""
    at = position(lines, key)
    return "\n".join([*lines[: at + 1], lines[at], *lines[at + 1 :]]), at + 1, at + 2


def changed(lines: list[str], key: str, line: str) -> tuple[str, int]:
    """Return the text with another line in place of a key's, and the line's number."""
    at = position(lines, key)
    indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
    return "\n".join([*lines[:at], indent + line, *lines[at + 1 :]]), at + 1


def test_a_key_that_is_given_twice_is_refused_at_the_top_and_further_in(kind, tmp_path):
    for key in (kind.key, kind.inner):
        text, first, second = twice(lines_of(kind), key)
        assert kind.refuse(text, tmp_path).startswith(
            f"{kind.file.name}:{second}: {key} is given twice, first in line {first}"
        )


def test_an_unknown_key_is_refused_with_the_nearest_one(kind, tmp_path):
    for key in (kind.key, kind.inner):
        text, line = changed(lines_of(kind), key, f"{key[:-1]}: 1")
        message = kind.refuse(text, tmp_path)
        assert re.search(rf"{kind.file.name}:{line}: [a-z.]*{key[:-1]}: unknown key \(did you mean {key}\?\)", message)


def test_tags_aliases_and_names_that_are_none_are_refused(kind, tmp_path):
    lines = lines_of(kind)
    for value, words in (
        (f"{kind.key}: !!str x", "!!str: tags are not read"),
        (f"{kind.key}: *x", "*x: aliases are not"),
    ):
        text, line = changed(lines, kind.key, value)
        assert f"{kind.file.name}:{line}: {words}" in kind.refuse(text, tmp_path)
    text, line = changed(lines, kind.key, "7: x")
    assert f"{kind.file.name}:{line}: expected a name as key, found 7" in kind.refuse(text, tmp_path)


def test_a_text_that_is_too_large_or_not_a_mapping_is_refused(kind, tmp_path):
    large = "#" * MAX_SIZE + "\n" + "\n".join(lines_of(kind))
    assert kind.refuse(large, tmp_path).startswith(f"{kind.file.name}: expected at most {MAX_SIZE:,} bytes")
    assert f"{kind.file.name}:1: expected a mapping of keys to values" in kind.refuse("- a\n- b\n", tmp_path)
    assert re.match(rf"{kind.file.name}:\d+: expected YAML, found an error: ", kind.refuse("a: [", tmp_path))


def test_every_fault_is_named_at_once(kind, tmp_path):
    lines = lines_of(kind)
    text, line = changed(lines, kind.key, f"{kind.key}: [1]")
    text, first, second = twice(text.splitlines(), kind.inner)
    message = kind.refuse(f"{text}\nzzz: red\n", tmp_path)
    last = len(text.splitlines()) + 1
    faults = message.partition("; see docs/")[0].split("; ")
    assert re.match(rf"{kind.file.name}:{line}: {kind.key}: input should be ", faults[0])
    assert f"{kind.file.name}:{second}: {kind.inner} is given twice, first in line {first}" in faults
    assert faults[-1] == f"{kind.file.name}:{last}: zzz: unknown key"
    assert len(faults) == 3


def test_faults_of_all_files_of_a_folder_are_named_at_once(tmp_path):
    settings = read_settings({"LAKEHOUSE_HOME": str(tmp_path)})
    for folder, read in (
        ("dialects", lambda: user_dialects(str(tmp_path), settings)),
        ("image_sets", lambda: declared_image_sets(str(tmp_path), settings)),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.yaml").write_text("name: a\nname: b\n")
        (tmp_path / folder / "b.yml").write_bytes(b"\xff")
        (tmp_path / folder / ".hidden.yaml").write_text("- not read")
        message = refused(read)
        assert f"{folder}/a.yaml:2: name is given twice" in message
        assert message.endswith(f"{folder}/b.yml: expected UTF-8, byte 0 is not")
