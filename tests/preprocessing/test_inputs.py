"""Names of inputs: columns, kinds and views, and what each stands for."""

import pytest

from hpsearch.data import Column, Schema
from hpsearch.preprocessing import Inputs, Layout
from hpsearch.task import Input, Target

SCHEMA = Schema(
    (
        Column("age", "number", has_missing=True),
        Column("day", "date"),
        Column("price/m2", "number"),
        Column("town", "category", levels=("a", "b", "c"), has_missing=True),
        Column("note", "text", levels=("bad", "good")),
        Column("photo", "array", shape=(8, 8), array_kind="image"),
        Column("pulse", "array", shape=(20, 3), array_kind="sequence"),
    ),
    Target(("y",), "regression"),
)
INPUTS = Inputs(Layout.of(SCHEMA))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("numbers", Input((8,))),  # age, five of the day, the price, and whether the age is missing
        ("age", Input((2,))),
        ("day", Input((5,))),
        ("price/m2", Input((1,))),
        ("price_m2", Input((1,))),  # Keras takes no / in a name
        ("age.piecewise", Input((1, 16))),
        ("numbers.missing", Input((1,))),
        ("categories", Input((1,), "int32", 5)),
        ("town", Input((1,), "int32", 5)),
        ("town.onehot", Input((4,))),
        ("town.target", Input((1,))),
        ("words", Input((2,), is_bag=True)),
        ("note", Input((2,), is_bag=True)),
        ("image", Input((8, 8, 1))),
        ("photo", Input((8, 8, 1))),
        ("sequence", Input((20, 3))),
    ],
)
def test_a_name_tells_what_its_input_holds(name, expected):
    assert INPUTS[name] == expected


@pytest.mark.parametrize(
    "name", ["ages", "age.odd", "town.quantile", "photo.robust", "tokens", "."]
)
def test_other_names_are_unknown(name):
    assert name not in INPUTS
    with pytest.raises(KeyError, match="none of the inputs that are known: 'numbers', 'cat"):
        INPUTS[name]


def test_names_are_those_of_kinds_then_of_columns():
    assert list(INPUTS) == [
        *("numbers", "categories", "words", "image", "sequence"),
        *("age", "day", "price/m2", "town", "note", "photo", "pulse"),
    ]


def test_a_kind_goes_before_a_column_of_its_name():
    columns = (Column("numbers", "category", levels=("a", "b")), Column("x", "number"))
    inputs = Inputs(Layout.of(Schema(columns, Target(("y",), "regression"))))
    assert inputs["numbers"] == Input((1,))
    assert inputs["categories"].n_codes == 3


def test_a_kinds_view_goes_before_a_column_of_its_name():
    columns = (Column("numbers.robust", "number"), Column("x", "number"))
    inputs = Inputs(Layout.of(Schema(columns, Target(("y",), "regression"))))
    assert inputs["numbers.robust"] == Input((2,))
    assert inputs["numbers.robust.log"] == Input((1,))


def test_a_columns_own_name_goes_before_another_ones_view():
    columns = (Column("age", "number"), Column("age.log", "category", levels=("a", "b")))
    inputs = Inputs(Layout.of(Schema(columns, Target(("y",), "regression"))))
    assert inputs["age.log"].n_codes == 3


def test_a_name_that_two_columns_would_be_written_as_is_neither():
    columns = (Column("a/b_c", "number"), Column("a_b/c", "number", has_missing=True))
    inputs = Inputs(Layout.of(Schema(columns, Target(("y",), "regression"))))
    assert "a_b_c" not in inputs
    assert inputs["a_b/c"] == Input((2,))


def test_the_flat_vector_has_a_name_where_no_words_are_in_it():
    assert "flat" not in INPUTS
    columns = (Column("town", "category", levels=("a", "b")), Column("x", "number"))
    inputs = Inputs(Layout.of(Schema(columns, Target(("y",), "regression"))))
    assert inputs["flat"] == Input((3,))


def test_a_kind_of_several_arrays_is_no_name():
    photos = tuple(
        Column(name, "array", shape=(8, 8), array_kind="image") for name in ("front", "back")
    )
    inputs = Inputs(Layout.of(Schema(photos, Target(("y",), "regression"))))
    assert "image" not in inputs
    assert inputs["back"] == Input((8, 8, 1))
