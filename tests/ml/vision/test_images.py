import numpy as np
import pyarrow as pa
import pytest

from lakehouse.errors import BadInputError
from ml.vision.images import choose_validation, class_names, mean_and_std, shape_of, stack_pixels


def rows_of(pixels, shape=(1, 2, 2), **columns):
    channels, height, width = shape
    count = len(pixels)
    return pa.table(
        {
            "pixels": pixels,
            "channels": [channels] * count,
            "height": [height] * count,
            "width": [width] * count,
            **columns,
        }
    )


CHUNKS = [pa.array([b"\0\1\2\3", b"\4\5\6\7"]), pa.array([b"\x08\x09\x0a\x0b"])]


@pytest.mark.parametrize(
    "pixels",
    [
        pytest.param(pa.chunked_array(CHUNKS), id="several chunks"),
        pytest.param(pa.concat_arrays(CHUNKS), id="one piece"),
        pytest.param(pa.concat_arrays(CHUNKS).cast(pa.large_binary()), id="long offsets"),
        pytest.param(pa.concat_arrays([pa.array([b"xxxx"]), *CHUNKS]).slice(1), id="part of a longer array"),
    ],
)
def test_stack_pixels_lays_images_side_by_side(pixels):
    found = stack_pixels(rows_of(pixels))
    assert found.dtype == np.uint8
    assert np.array_equal(found, np.arange(12).reshape(3, 1, 2, 2))


def test_stack_pixels_copies_nothing_where_arrow_has_one_piece():
    pixels = pa.concat_arrays(CHUNKS)
    found = stack_pixels(rows_of(pixels))
    assert found.__array_interface__["data"][0] == pixels.buffers()[2].address


def test_stack_pixels_keeps_planes_and_rows_in_their_order():
    image = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    assert np.array_equal(stack_pixels(rows_of(pa.array([image.tobytes()]), image.shape))[0], image)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        pytest.param([b"\0" * 4, b"\0" * 3], "found one of 3$", id="a byte is missing"),
        pytest.param([b"\0" * 4, None], "found one of 0$", id="an image is missing"),
    ],
)
def test_stack_pixels_refuses_bytes_that_are_not_of_their_shape(pixels, words):
    with pytest.raises(BadInputError, match=rf"^pixels of 4 bytes an image as its shape says, {words}"):
        stack_pixels(rows_of(pa.array(pixels)))


def test_shape_of_refuses_several_shapes_and_none():
    rows = rows_of(pa.array([b"\0" * 4] * 2)).set_column(2, "height", pa.array([2, 3]))
    with pytest.raises(BadInputError, match=r"^images of one height, found 2 to 3: one network reads one shape$"):
        shape_of(rows)
    with pytest.raises(BadInputError, match=r"^there is no image to learn from$"):
        shape_of(rows.slice(0, 0))


def test_choose_validation_draws_a_share_of_each_class_by_seed():
    labels = np.array([0] * 100 + [1] * 10 + [2] * 2 + [3])
    chosen = choose_validation(labels, 0.1, seed=1)
    assert [int(chosen[labels == label].sum()) for label in range(4)] == [10, 1, 1, 0]
    assert np.array_equal(chosen, choose_validation(labels, 0.1, seed=1))
    assert not np.array_equal(chosen, choose_validation(labels, 0.1, seed=2))
    with pytest.raises(BadInputError, match=r"^2 images for training, no class has two: "):
        choose_validation(np.array([0, 1]), 0.1, seed=1)


def test_mean_and_std_are_those_of_the_pixels_by_channel():
    pixels = np.random.default_rng(1).integers(0, 256, (50, 3, 4, 5), dtype=np.uint8)
    mean, std = mean_and_std(pixels)
    values = pixels.transpose(1, 0, 2, 3).reshape(3, -1) / 255
    assert np.allclose(mean, values.mean(axis=1), rtol=1e-12)
    assert np.allclose(std, values.std(axis=1), rtol=1e-12)
    assert mean_and_std(np.full((2, 1, 2, 2), 7, np.uint8))[1].tolist() == [1 / 255]  # of one grey


def test_class_names_are_in_the_order_of_labels():
    def names(*rows):
        split, label, name = zip(*rows, strict=True)
        return class_names(pa.table({"split": split, "label": label, "label_name": name}))

    assert names(("train", 2, "c"), ("train", 0, "a"), ("test", 0, "a")) == ["a", "1", "c"]  # no image of class 1
    with pytest.raises(BadInputError, match=r"^label 0 is called \w and \w$"):
        names(("train", 0, "a"), ("train", 0, "b"))
    with pytest.raises(BadInputError, match=r"^labels \[1\] are in test and not in train: nothing to learn them from$"):
        names(("train", 0, "a"), ("test", 1, "b"))
