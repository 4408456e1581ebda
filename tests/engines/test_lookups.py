"""Lookups: numbers that a network looks up in an Embedding are seen, and left as they are."""

import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.engines.input_form import InputForm
from hpsearch.engines.lookups import (
    Lookups,
    check_lookups,
    check_named_lookups,
    looks_up,
    lookups_of,
    named_lookups_of,
    told,
)
from hpsearch.errors import DataError, SpaceError
from hpsearch.preprocessing import Layout, fit_statistics, raw_range
from hpsearch.scoring.rows import encode_dataset, fit_data

RNG = np.random.default_rng(0)
TOKENS = RNG.integers(0, 4, (30, 3))
MIXED = pd.DataFrame({"a": TOKENS[:, 0], "size": 1e3 * RNG.normal(size=30), "b": TOKENS[:, 1]})


def loaded(x):
    return hpsearch.load(x, RNG.normal(size=30))


def range_of(x):
    data = loaded(x)
    layout = Layout.of(data.schema)
    return layout, raw_range(encode_dataset(data), layout)


def network(shape, through, **options):
    """A network of what ``through`` makes of its input."""
    import keras

    rows = keras.Input(shape, **options)
    hidden = keras.layers.Flatten()(through(rows))
    return keras.Model(rows, keras.layers.Dense(1)(hidden))


def embedding(size=4, **options):
    import keras

    return keras.layers.Embedding(size, 2, **options)


def read(x, through, **options):
    layout, raw = range_of(x)
    return lookups_of(network(layout.input_shape, through, **options), raw)


def test_a_network_of_quantities_asks_for_nothing():
    import keras

    assert not looks_up(network((3,), keras.layers.Dense(2)))


def test_an_embedding_behind_the_input_looks_up_every_column():
    found = read(TOKENS, embedding(7))
    assert found == Lookups(dict.fromkeys(range(3), (0, 6)))
    assert found.tokens == ((0, 1, 2), ())


def test_only_the_columns_that_reach_it_are_looked_up():
    import keras

    def through(rows):
        codes = embedding()(keras.ops.take(rows, [0, 2], axis=1))
        return keras.layers.Concatenate()(
            [keras.layers.Flatten()(codes), keras.layers.Dense(2)(rows[:, 1:2])]
        )

    assert read(MIXED, through).tokens == ((0, 2), ())


def test_a_shift_before_the_table_moves_what_it_takes():
    assert read(TOKENS - 1, lambda rows: embedding(9)(rows + 1)).numbers[0] == (-1, 7)


def test_after_other_arithmetic_it_takes_what_the_rows_hold():
    assert read(TOKENS, lambda rows: embedding(9)(2 * rows)).numbers[0] == (0, 3)


def test_columns_with_tables_of_their_own_have_bounds_of_their_own():
    import keras

    def through(rows):
        parts = [embedding(size)(rows[:, i]) for i, size in enumerate((4, 6, 5))]
        return keras.layers.Concatenate()(parts)

    assert read(TOKENS, through).numbers == {0: (0, 3), 1: (0, 5), 2: (0, 4)}


@pytest.mark.parametrize("kind", ["inside of another network", "twice", "at each step", "masked"])
def test_a_table_is_seen_wherever_it_stands(kind):
    import keras

    def through(rows):
        if kind == "at each step":
            return keras.layers.TimeDistributed(embedding())(rows[:, :, None])
        if kind == "masked":
            return keras.layers.SimpleRNN(2)(embedding(mask_zero=True)(rows))
        table = embedding()
        if kind == "twice":
            return keras.layers.Add()([table(rows[:, :1]), table(rows[:, 1:])])
        return keras.Sequential([keras.Input((3,)), table])(rows)

    assert read(TOKENS, through).tokens == ((0, 1, 2), ())


def test_an_input_of_whole_numbers_takes_whole_numbers():
    import keras

    found = read(TOKENS, keras.layers.CategoryEncoding(4), dtype="int32")
    assert found.numbers == dict.fromkeys(range(3), (0, 3))


def test_a_feature_of_a_sequence_is_looked_up_at_every_step():
    import keras

    series = np.stack([RNG.normal(size=(30, 5)), RNG.integers(0, 4, (30, 5))], axis=2)

    def through(rows):
        codes = embedding()(rows[:, :, 1])
        return keras.layers.Concatenate()([codes, rows[:, :, :1]])

    found = read(series, through)
    assert found == Lookups(channels={1: (0, 3)})
    assert "looks up feature 1 of 'x'" in told(found, range_of(series)[0])


def test_a_watched_network_is_left_as_it_was():
    import keras

    layout, raw = range_of(TOKENS)
    model = network(layout.input_shape, embedding())
    before = model.predict_on_batch(TOKENS.astype(np.float32))
    lookups_of(model, raw)
    np.testing.assert_array_equal(model.predict_on_batch(TOKENS.astype(np.float32)), before)
    assert "call" not in vars(
        next(x for x in model.layers if isinstance(x, keras.layers.Embedding))
    )


@pytest.mark.parametrize(
    ("x", "size", "message"),
    [
        (TOKENS, 3, r"from 0 to 2; 'x0' holds 0 to 3\. Raise its input_dim to 4"),
        (TOKENS - 1, 4, r"from 0 to 3; 'x0' holds -1 to 2\. Number from 0"),
        (
            pd.DataFrame({"a": [np.nan, *TOKENS[1:, 0]], "b": TOKENS[:, 1]}),
            *(4, "'a' has missing cells. Give them a number of their own"),
        ),
        (
            pd.DataFrame({"a": TOKENS[:, 0], "town": list("abc") * 10}),
            *(4, "'town' reaches the network as 0 or 1 for each level or word"),
        ),
    ],
)
def test_what_a_table_does_not_have_is_refused(x, size, message):
    with pytest.raises(SpaceError, match=message):
        read(x, embedding(size))


def test_a_table_that_cannot_be_watched_is_refused():
    import keras

    class Symbolic(keras.layers.Layer):
        def call(self, inputs):
            if inputs.shape[0] is not None:
                raise ValueError("rows are no symbols")
            return inputs

    with pytest.raises(
        SpaceError, match=r"rows are no symbols .*Put the Embedding directly behind"
    ):
        read(TOKENS, lambda rows: embedding()(Symbolic()(rows)))


# -- what becomes of them


def test_tokens_are_neither_filled_nor_standardised():
    data = loaded(MIXED)
    layout = Lookups({0: (0, 3)}).marked(Layout.of(data.schema))
    stats = fit_statistics(encode_dataset(data), data.y, np.arange(20), layout, scale_target=False)
    assert (stats.fill[0], stats.centre[0], stats.scale[0]) == (0.0, 0.0, 1.0)
    assert stats.centre[1] != 0.0
    assert stats.scale[2] != 1.0


def test_a_token_among_an_arrays_features_is_not_standardised():
    data = loaded(RNG.integers(0, 4, (30, 5, 2)))
    layout = Lookups(channels={1: (0, 3)}).marked(Layout.of(data.schema))
    stats = fit_statistics(encode_dataset(data), data.y, np.arange(20), layout, scale_target=False)
    assert (stats.array_centre[1], stats.array_scale[1]) == (0.0, 1.0)
    assert stats.array_centre[0] != 0.0


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (4.0, "'a' in an Embedding, which takes whole numbers from 0 to 3; received 4"),
        (0.5, "received 0.5"),
        (np.nan, "1 of its cells are missing"),
    ],
)
def test_rows_with_other_numbers_are_refused(cell, message):
    data = loaded(MIXED.assign(a=[cell, *MIXED["a"][1:]]))
    layout = Layout.of(data.schema)
    with pytest.raises(DataError, match=message):
        Lookups({0: (0, 3)}).check_rows(encode_dataset(data), layout)


def test_lookups_come_back_from_json():
    layout, _ = range_of(MIXED)
    found = Lookups({0: (0, 3), 2: (-1, 7)})
    written = found.to_json(layout)
    assert [one["name"] for one in written] == ["a", "b"]
    assert Lookups.from_json(written) == found


def test_a_candidate_that_looks_up_others_than_the_default_one_fails():
    import keras

    data = loaded(TOKENS)
    layout = Lookups(dict.fromkeys(range(3), (0, 3))).marked(Layout.of(data.schema))
    made = fit_data(data, encode_dataset(data), _folds(data), layout, scale_target=False)
    check_lookups(network((3,), embedding()), made)
    with pytest.raises(SpaceError, match="looks up none, the default one 'x0', 'x1', 'x2'"):
        check_lookups(network((3,), keras.layers.Dense(2)), made)


# -- inputs by name


def named_network(size):
    """A network that looks up ``a.raw``, and takes the other columns as quantities."""
    import keras

    tokens, sizes = (keras.Input((1,), name=name) for name in ("a.raw", "size"))
    looked_up = keras.layers.Flatten()(embedding(size)(tokens))
    rows = keras.layers.Concatenate()([looked_up, sizes])
    return keras.Model([sizes, tokens], keras.layers.Dense(1)(rows))


def named(frame, size=4):
    """What such a network of a table's rows looks up, and the layout."""
    data = loaded(frame)
    layout, model = Layout.of(data.schema), named_network(size)
    made = fit_data(data, encode_dataset(data), _folds(data), layout, scale_target=False)
    form = InputForm.on(model, layout)
    check_named_lookups(model, form, made)
    return named_lookups_of(model, form, made), layout


def test_raw_numbers_that_an_input_by_name_looks_up_bound_those_of_new_rows():
    found, layout = named(MIXED, size=6)
    assert found == Lookups({0: (0, 5)})
    new = loaded(MIXED.assign(a=[6, *TOKENS[1:, 0]]))
    with pytest.raises(DataError, match=r"looks up 'a' in an Embedding.* 0 to 5; received 6"):
        found.check_rows(encode_dataset(new), layout)


def test_raw_numbers_outside_of_a_table_and_missing_ones_are_refused():
    with pytest.raises(SpaceError, match=r"numbers from 0 to 2; 'a' holds 0 to 3\. Raise its"):
        named(MIXED, size=3)
    with pytest.raises(SpaceError, match="looks up whole numbers; 'a' has missing cells"):
        named(MIXED.assign(a=[np.nan, *TOKENS[1:, 0]]))


def _folds(data):
    return hpsearch.folds.make_folds(hpsearch.IteratedKFold(2, 1), data)
