"""Arrays: what an array a row is taken for, and how a user says otherwise."""

import numpy as np
import pytest
from scipy import sparse

from hpsearch.data import Column, load
from hpsearch.data.arrays import array_column, network_shape
from hpsearch.errors import DataError, OptionError

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (5, 20, 8), dtype=np.uint8)


def column_of(array, asked=None):
    return array_column(array, "x", asked).column


@pytest.mark.parametrize(
    ("array", "shape"),
    [
        (RNG.normal(size=(5, 20, 8)), (20, 8)),
        (RNG.random((5, 20, 8)), (20, 8)),  # not square
        (RNG.random((5, 4, 4)), (4, 4)),  # too small
        (RNG.normal(size=(5, 12, 12)), (12, 12)),  # below 0
        (100 * RNG.random((5, 12, 12)), (12, 12)),  # neither whole nor from 0 to 1
        (BYTES % 2, (20, 8)),  # true or false
    ],
)
def test_two_axes_are_steps_of_features_and_get_no_channel_axis(array, shape):
    column = column_of(array)
    assert column.array_kind == "sequence"
    assert network_shape(column) == shape


@pytest.mark.parametrize(
    "array",
    [
        BYTES,
        RNG.random((5, 28, 28)),
        RNG.integers(0, 17, (5, 8, 8)).astype(float),
        RNG.integers(0, 2, (5, 28, 28), dtype=np.uint8),
    ],
)
def test_bytes_and_squares_of_brightness_are_grey_images_with_a_channel_axis(array):
    column = column_of(array)
    assert column.array_kind == "image"
    assert network_shape(column) == (*array.shape[1:], 1)


def test_more_axes_are_images_whose_last_axis_holds_channels():
    column = column_of(RNG.normal(size=(5, 6, 4, 3)))
    assert column.array_kind == "image"
    assert network_shape(column) == (6, 4, 3)
    assert "images of 6 x 4 with 3 channels" in column.reason


def test_four_axes_are_a_video():
    column = column_of(RNG.normal(size=(5, 7, 6, 4, 3)))
    assert (column.array_kind, network_shape(column)) == ("video", (7, 6, 4, 3))
    assert column.reason == "videos of 7 frames of 6 x 4 with 3 channels, float64"


def test_three_axes_that_may_be_frames_are_said_and_taken_for_them_on_demand():
    frames = RNG.random((5, 7, 12, 12))
    data = load(frames, np.arange(5.0))
    assert data.schema.columns[0].array_kind == "image"
    assert "--array video takes it for grey videos of 7 frames of 12 x 12" in data.notes[0]
    asked = load(frames, np.arange(5.0), kinds={"x": "video"})
    assert network_shape(asked.schema.columns[0]) == (7, 12, 12, 1)
    assert asked.notes == ()
    assert asked.fingerprint != data.fingerprint


def test_channels_that_come_first_are_said():
    data = load(RNG.random((5, 3, 12, 12)), np.arange(5.0))
    assert "If its 3 channels come first, put them last: numpy.moveaxis(x, 1, -1)" in data.notes[0]
    assert load(RNG.random((5, 12, 12, 3)), np.arange(5.0)).notes == ()


def test_a_word_matrix_is_no_array():
    column = column_of(sparse.csr_array((2, 9), dtype=np.float32))
    assert (column.kind, column.shape) == ("words", (9,))


def test_the_lines_for_people_say_what_an_array_is_and_how_to_say_otherwise():
    data = load(RNG.normal(size=(5, 20, 8)), np.arange(5.0))
    assert data.describe()[1].startswith("array (1): x (sequences of 20 steps of 8 features")
    assert "--array image takes it for grey images of 20 x 8" in data.notes[0]
    assert "kinds={'x': 'image'}" in data.notes[0]


@pytest.mark.parametrize(
    ("asked", "shape"), [("image", (20, 8, 1)), ("sequence", (20, 8)), ("numbers", (160,))]
)
def test_what_the_user_says_counts(asked, shape):
    data = load(BYTES, np.arange(5.0), kinds={"x": asked})
    [column] = data.schema.columns
    assert network_shape(column) == shape
    assert column.reason.endswith("as asked")
    assert data.notes == ()


def test_a_file_is_read_again_with_what_the_user_said(tmp_path):
    np.savez(tmp_path / "t.npz", x=BYTES, y=np.arange(5.0))
    data = load(tmp_path / "t.npz", kinds={"x": "sequence"})
    again = load(data.origin.source, **data.origin.options)
    assert again.schema == data.schema
    assert again.fingerprint == data.fingerprint


def test_another_kind_is_other_data():
    image, sequence = (load(BYTES, np.arange(5.0), kinds={"x": k}) for k in ("image", "sequence"))
    assert image.fingerprint != sequence.fingerprint
    assert image.fingerprint == load(BYTES, np.arange(5.0)).fingerprint


def test_test_rows_are_read_as_the_training_rows_are(tmp_path):
    squares = RNG.random((5, 8, 8))
    parts = {"x_train": squares, "x_test": 300 * squares}
    np.savez(tmp_path / "t.npz", **parts, y_train=np.arange(5.0), y_test=np.arange(5.0))
    data = load(tmp_path / "t.npz")
    assert data.schema.columns[0].array_kind == "image"
    assert data.test.schema == data.schema


def test_a_schema_written_before_there_were_sequences_has_grey_images():
    assert network_shape(Column("x", "array", shape=(20, 8))) == (20, 8, 1)


@pytest.mark.parametrize(
    ("x", "kinds", "error", "message"),
    [
        (BYTES, {"z": "image"}, DataError, "`kinds` must name a column; the table has no 'z'"),
        (BYTES, {"x": "picture"}, OptionError, "one of image, video, .* says 'picture'"),
        (BYTES[:, 0], {"x": "image"}, OptionError, "this one has none; received {'x': 'image'}"),
        (BYTES[..., None], {"x": "sequence"}, OptionError, r"rows of shape \(20, 8, 1\)"),
        (BYTES, {"x": "video"}, OptionError, r"frames, height and width .* shape \(20, 8\)"),
        (BYTES[..., None, None], {"x": "image"}, OptionError, r"shape \(20, 8, 1, 1\)"),
    ],
)
def test_kinds_that_do_not_fit_are_refused(x, kinds, error, message):
    with pytest.raises(error, match=message):
        load(x, np.arange(5.0), kinds=kinds)
