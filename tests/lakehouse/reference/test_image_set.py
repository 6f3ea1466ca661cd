"""Declared image sets: ours, a user's in place of ours, and errors with file and line."""

from __future__ import annotations

import pytest

from lakehouse.config.settings import read_settings
from lakehouse.errors import BadInputError
from lakehouse.reference.image_set import declared_image_sets, our_image_sets, parse_image_set
from lakehouse.tables.vision import SHIPPED_SETS

FASHION = """\
name: fashion
format: idx
files:
  train: {images: "**/fashion/train-images", labels: ["**/fashion/train-labels", "**/f/labels"]}
classes: 16
"""


@pytest.fixture
def settings(tmp_path):
    return read_settings({"LAKEHOUSE_HOME": str(tmp_path / "home")})


def declare(folder, **texts):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)


def test_our_image_sets_are_those_with_tables():
    assert {image_set.name for image_set in our_image_sets()} == set(SHIPPED_SETS)


def test_parse_image_set_names_classes_by_number_where_they_have_no_names():
    image_set = parse_image_set(FASHION, "fashion.yaml")
    assert image_set.label_names == tuple(str(number) for number in range(16))
    assert image_set.files["train"].labels == ("**/fashion/train-labels", "**/f/labels")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param(
            "classes: 16",
            "classes: many",
            "f.yaml:5: classes: input should be a valid integer, found 'many'",
            id="type",
        ),
        pytest.param(
            "classes: 16", "clases: 16", "f.yaml:5: clases: unknown key (did you mean classes?)", id="unknown key"
        ),
        pytest.param("name: fashion", "name: Fashion!", "f.yaml:1: name: string should match pattern", id="name"),
        pytest.param("format: idx", "format: png", "f.yaml:2: format: input should be 'idx' or", id="format"),
        pytest.param("  train:", "  valid:", "f.yaml:4: files.valid", id="split"),
        pytest.param(
            "classes: 16", "", "f.yaml:1: expected either labels (the names of the classes) or classes", id="no classes"
        ),
        pytest.param("classes: 16", "labels: [a, b, a]", "f.yaml:5: labels.2: 'a' is given twice", id="label twice"),
        pytest.param(
            'images: "**/fashion/train-images", ',
            "",
            "f.yaml:4: files.train: format idx has images and labels",
            id="images are missing",
        ),
        pytest.param("classes: 16", "classes: 16\nheight: 0", "f.yaml:6: height: input should be greater", id="height"),
        pytest.param("classes: 16", "classes: 16\nchannels: 3", "f.yaml:6: channels: format idx has 1", id="channels"),
        pytest.param("classes: 16", "classes: [", "f.yaml:6: expected YAML", id="no yaml"),
        pytest.param("name: fashion\n", "- name\n", "f.yaml:2: expected YAML", id="mixed"),
        pytest.param(
            "classes: 16",
            "classes: 16\nbalance_tolerance: 2.0",
            "f.yaml:6: balance_tolerance: input should be less than or equal to 1",
            id="tolerance",
        ),
        pytest.param(
            '"**/fashion/train-images"',
            '"**/{set}/train-images"',
            "f.yaml:4: files.train.images: {set} is not a placeholder; there is {part}",
            id="placeholder",
        ),
    ],
)
def test_parse_image_set_names_file_line_and_page_of_what_is_wrong(old, new, message):
    with pytest.raises(BadInputError) as caught:
        parse_image_set(FASHION.replace(old, new), "f.yaml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_declared_image_sets_puts_the_users_in_place_of_ours(tmp_path, settings):
    own = FASHION.replace("name: fashion", "name: mnist")
    declare(tmp_path / "landing" / "image_sets", fashion=FASHION, mnist=own)
    declared = declared_image_sets(str(tmp_path / "landing"), settings)
    assert list(declared) == ["cifar10", "digits", "mnist", "fashion"]
    assert len(declared["mnist"].label_names) == 16


def test_declared_image_sets_refuses_two_of_one_name(tmp_path, settings):
    declare(tmp_path / "image_sets", a=FASHION, b=FASHION)
    with pytest.raises(BadInputError, match=r"b\.yaml and .*a\.yaml both declare the image set 'fashion'; rename one"):
        declared_image_sets(str(tmp_path), settings)


def test_declared_image_sets_reads_the_folder_of_the_settings_which_must_be_there(tmp_path):
    there, missing = tmp_path / "sets", tmp_path / "none"
    declare(there, fashion=FASHION)
    settings = read_settings({"LAKEHOUSE_HOME": str(tmp_path), "LAKEHOUSE_IMAGE_SETS": str(there)})
    assert "fashion" in declared_image_sets(str(tmp_path), settings)
    settings = read_settings({"LAKEHOUSE_HOME": str(tmp_path), "LAKEHOUSE_IMAGE_SETS": str(missing)})
    with pytest.raises(BadInputError, match=r"LAKEHOUSE_IMAGE_SETS names .*none, which is not a folder"):
        declared_image_sets(str(tmp_path), settings)


@pytest.mark.parametrize(
    ("old", "new", "is_reading", "is_judging"),
    [
        pytest.param("name: fashion", "name: fashion\ndoc: other words", False, False, id="description"),
        pytest.param('"**/f/labels"', '"**/g/labels"', False, False, id="where files lie"),
        pytest.param("classes: 16", "classes: 12", False, True, id="classes"),
        pytest.param("classes: 16", "classes: 16\nduplicates: keep", False, True, id="rule of duplicates"),
        pytest.param("classes: 16", "classes: 16\nheight: 28", True, True, id="height"),
    ],
)
def test_digests_change_with_what_files_and_rows_depend_on(old, new, is_reading, is_judging):
    one, other = parse_image_set(FASHION, "f"), parse_image_set(FASHION.replace(old, new), "f")
    assert (one.reading != other.reading, one.judging != other.judging) == (is_reading, is_judging)
