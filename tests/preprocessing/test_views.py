"""Views: what scikit-learn's transformers give, from NumPy, JAX and Keras alike."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import ndtri
from sklearn.preprocessing import RobustScaler, StandardScaler, TargetEncoder

from hpsearch.data import Column, Schema
from hpsearch.preprocessing import Encoded, Inputs, Layout, encode, fit_statistics
from hpsearch.preprocessing.inputs import design_inputs, input_rows, views_needed
from hpsearch.preprocessing.views import CATEGORY_VIEWS, N_BINS, NUMBER_VIEWS, fit_view
from hpsearch.task import Target

N = 60
RNG = np.random.default_rng(3)
AGE, RENT = RNG.normal(40, 12, N), RNG.lognormal(6, 1, N)
TOWN = RNG.choice(["a", "b", "c"], N)
Y = RNG.normal(size=N) + (TOWN == "b")


def schema_of(target=("y",), kind="regression", labels=()):
    columns = (
        Column("age", "number", has_missing=True),
        Column("rent", "number"),
        Column("town", "category", levels=("a", "b", "c", "d"), has_missing=True),
        Column("size", "category", levels=("l", "m")),
    )
    return Schema(columns, Target(target, kind, labels))


def learnt(encoded, y, layout, names, rows=None):
    """Statistics of training rows, all by default, with what the views of some inputs learn."""
    rows = np.arange(encoded.n_rows) if rows is None else rows
    found = fit_statistics(encoded, y, rows, layout, scale_target=False)
    for view in views_needed(layout, names):
        part = encoded.numbers[rows], encoded.codes[rows], y[rows], found.category_slots
        object.__setattr__(found, "views", found.views | fit_view(view, *part, layout))
    return found


@pytest.fixture(scope="module")
def rows():
    frame = pd.DataFrame(
        {
            "age": np.where(np.arange(N) % 7 == 0, np.nan, AGE),
            "rent": RENT,
            "town": pd.Series(TOWN, dtype="str"),
            "size": pd.Series(["l", "m"] * (N // 2), dtype="str"),
        }
    )
    frame.loc[5, "town"] = None
    schema = schema_of()
    return encode(schema, frame, {}, N), Layout.of(schema)


def view(rows, name, y=None):
    encoded, layout = rows
    statistics = learnt(encoded, Y[:, None] if y is None else y, layout, [name])
    [found] = input_rows(encoded, layout, statistics, [name])
    described = Inputs(layout)[name]
    assert found.shape[1:] == described.shape
    assert found.dtype == described.dtype
    return found


def test_robust_numbers_are_those_of_scikit_learn(rows):
    expected = RobustScaler().fit_transform(RENT[:, None])
    assert_allclose(view(rows, "rent.robust"), expected, rtol=1e-5, atol=1e-6)


def test_clipped_numbers_are_robust_ones_that_end_at_three(rows):
    robust = view(rows, "rent.robust")
    clipped = view(rows, "rent.clip")
    assert_allclose(clipped, robust / np.sqrt(1 + (robust / 3) ** 2), rtol=1e-6)
    assert np.abs(clipped).max() < 3 < np.abs(robust).max()


def test_logarithms_are_standardised(rows):
    expected = StandardScaler().fit_transform(np.log1p(RENT)[:, None])
    assert_allclose(view(rows, "rent.log"), expected, rtol=1e-4, atol=1e-5)


def test_quantiles_become_normal_scores_in_the_order_of_the_numbers(rows):
    scores = view(rows, "rent.quantile")[:, 0]
    assert_array_equal(np.argsort(scores), np.argsort(RENT))
    ranks = (np.argsort(np.argsort(RENT)) + 0.5) / N
    inside = (ranks > 0.1) & (ranks < 0.9)
    assert_allclose(scores[inside], ndtri(ranks)[inside], atol=0.15)


def test_equal_numbers_share_one_normal_score():
    numbers = np.array([[0.0]] * 30 + [[1.0]] * 10, np.float32)
    encoded = Encoded(numbers, np.empty((40, 0), np.int32), None, ())
    layout = Layout(numbers=("x",))
    statistics = learnt(encoded, np.zeros((40, 1)), layout, ["x.quantile"])
    [scores] = input_rows(encoded, layout, statistics, ["x.quantile"])
    low, high = np.unique(scores)
    assert low == pytest.approx(ndtri(0.375), abs=0.2)
    assert high == pytest.approx(ndtri(0.875), abs=0.2)


def test_a_piecewise_encoding_fills_the_bins_below_a_number(rows):
    encoding = view(rows, "rent.piecewise")
    assert encoding.shape == (N, 1, N_BINS)
    assert (np.diff(encoding[:, 0], axis=1) <= 0).all()
    ranks = np.argsort(np.argsort(RENT))
    assert_allclose(encoding.sum(axis=(1, 2)), ranks / (N - 1) * N_BINS, atol=0.8)


def test_indicators_of_missing_cells_stand_behind_or_alone(rows):
    missing = (np.arange(N) % 7 == 0).astype(np.float32)
    for name in ("age", "age.robust", "numbers.quantile"):
        assert_array_equal(view(rows, name)[:, -1], missing)
    assert_array_equal(view(rows, "numbers.missing")[:, 0], missing)
    assert view(rows, "rent.missing").shape == (N, 0)


def test_raw_numbers_are_the_cells(rows):
    assert_array_equal(view(rows, "rent.raw")[:, 0], RENT.astype(np.float32))


def test_codes_begin_at_one_and_those_of_several_columns_do_not_meet(rows):
    layout = rows[1]
    codes = view(rows, "categories")
    slots = {"a": 1, "b": 2, "c": 3}
    expected = [slots[town] for town in TOWN]
    expected[5] = 5  # missing; 4, of level 'd', is what no training row has
    assert codes[:, 0].tolist() == expected
    assert codes[:, 1].tolist() == [7, 8] * (N // 2)
    assert Inputs(layout)["categories"].n_codes == 6 + 3
    assert Inputs(layout)["size"].n_codes == 3
    assert view(rows, "size")[:, 0].tolist() == [1, 2] * (N // 2)


def test_a_level_that_training_rows_lack_has_code_zero(rows):
    encoded, layout = rows
    statistics = learnt(encoded, Y[:, None], layout, ["town"], np.flatnonzero(TOWN != "c"))
    [codes] = input_rows(encoded, layout, statistics, ["town"])
    assert set(codes[TOWN == "c", 0]) == {0, 5} - ({5} if TOWN[5] != "c" else set())


def test_ordinal_levels_are_their_places_from_zero_to_one(rows):
    assert_allclose(view(rows, "size.ordinal")[:, 0], [0, 1] * (N // 2))


@pytest.mark.parametrize("kind", ["continuous", "binary"])
def test_target_means_are_those_of_scikit_learn(rows, kind):
    y = Y if kind == "continuous" else (Y > 0.5).astype(np.int32)
    towns = np.where(np.arange(N) == 5, "missing", TOWN)[:, None]
    encoder = TargetEncoder(target_type=kind, smooth="auto").fit(towns, y)
    expected = (encoder.transform(towns)[:, 0] - y.mean()) / y.std()
    given = y[:, None] if kind == "continuous" else y
    assert_allclose(view(rows, "town.target", given)[:, 0], expected, rtol=1e-4, atol=1e-6)


def test_several_classes_have_a_mean_each(rows):
    encoded, _ = rows
    layout = Layout.of(schema_of(kind="multiclass", labels=("x", "y", "z")))
    y = np.digitize(Y, [-0.5, 0.8]).astype(np.int32)
    found = view((encoded, layout), "town.target", y)
    assert found.shape == (N, 3)
    share = (y == 2)[TOWN == "b"].mean()
    assert np.sign(found[TOWN == "b", 2][-1]) == np.sign(share - (y == 2).mean())


NAMES = (
    *("numbers", "numbers.robust", "age.clip", "numbers.log", "numbers.quantile"),
    *("numbers.piecewise", "categories", "town.onehot", "categories.ordinal", "categories.target"),
)


@pytest.mark.parametrize("library", ["keras", "jax"])
def test_other_libraries_give_the_numbers_of_numpy(rows, library):
    if library == "keras":
        from keras import ops as xp
    else:
        import jax.numpy as xp

    encoded, layout = rows
    statistics = learnt(encoded, Y[:, None], layout, NAMES)
    expected = input_rows(encoded, layout, statistics, NAMES)
    parts = {"numbers": encoded.numbers, "codes": encoded.codes}
    for array, ours in zip(
        design_inputs(xp, layout, statistics, NAMES, **parts), expected, strict=True
    ):
        assert_allclose(np.asarray(array), ours, rtol=1e-5, atol=1e-6)


def test_symbolic_tensors_become_every_view_as_the_exported_model_has_it(rows):
    import keras

    encoded, layout = rows
    names = [f"numbers.{view}" for view in NUMBER_VIEWS if view]
    names += [f"categories.{view}" for view in CATEGORY_VIEWS if view]
    statistics = learnt(encoded, Y[:, None], layout, names)
    numbers = keras.Input(encoded.numbers.shape[1:], name="numbers")
    codes = keras.Input(encoded.codes.shape[1:], dtype="int32", name="codes")
    made = design_inputs(keras.ops, layout, statistics, names, numbers=numbers, codes=codes)
    given = keras.Model([numbers, codes], list(made))([encoded.numbers, encoded.codes])
    for array, ours in zip(given, input_rows(encoded, layout, statistics, names), strict=True):
        assert_allclose(np.asarray(array), ours, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["x.quantile", "x.piecewise"])
def test_intervals_that_a_device_takes_for_nothing_are_steps(name):
    from keras import ops

    numbers = np.linspace(0, 1e-39, 8, dtype=np.float32)[:, None]
    encoded = Encoded(numbers, np.empty((8, 0), np.int32), None, ())
    layout = Layout(numbers=("x",))
    statistics = learnt(encoded, np.zeros((8, 1)), layout, [name])
    [made] = design_inputs(ops, layout, statistics, [name], numbers=numbers)
    assert np.isfinite(np.asarray(made)).all()


def test_views_of_many_numbers_are_those_of_each():
    numbers = np.random.default_rng(0).normal(size=(30, 11)).astype(np.float32)
    codes, none = np.empty((30, 0), np.int32), np.empty(0, np.int32)
    for name, kind in NUMBER_VIEWS.items():
        if kind.fit is None:
            continue
        given = f"numbers.{name}", codes, np.zeros((30, 1)), none, Layout()
        whole = fit_view(given[0], numbers, *given[1:])
        for at in range(11):
            alone = fit_view(given[0], numbers[:, [at]], *given[1:])
            for key, values in alone.items():
                assert_allclose(whole[key][[at]], values, rtol=1e-6)


def test_a_view_of_numbers_that_are_all_missing_or_constant_is_finite():
    numbers = np.array([[np.nan, 3.0]] * 8, np.float32)
    encoded = Encoded(numbers, np.empty((8, 0), np.int32), None, ())
    layout = Layout(numbers=("x", "z"), indicators=(0,))
    names = [f"numbers.{v}" for v in ("robust", "clip", "log", "quantile", "piecewise")]
    statistics = learnt(encoded, np.zeros((8, 1)), layout, names)
    for array in input_rows(encoded, layout, statistics, names):
        assert np.isfinite(array).all()
