"""Fitting on some rows: what a transformer gets, what it gives, and what it may not give."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, TargetEncoder

import hpsearch
from hpsearch.errors import TransformerError
from hpsearch.transformers import OwnTransformer, RawRows, fit_rows

N = 20
TRAIN = np.arange(0, N, 2)
FRAME = pd.DataFrame(
    {
        "age": np.r_[np.nan, np.arange(1.0, N)],
        "town": ["a", "b", "c", None, "a"] * 4,
        "day": pd.date_range("2024-01-01", periods=N),
    }
)


def table(y=None, frame=FRAME):
    return hpsearch.load(frame.assign(y=np.arange(N) * 1.5 if y is None else y), target="y")


def fitted(transformer, dataset=None, rows=TRAIN, **how):
    raw = RawRows.of(dataset or table())
    own = OwnTransformer.load(transformer)
    return fit_rows(own, raw, rows, **{"seed": 0, "where": "fold 2 of repeat 0", **how})


class Told(TransformerMixin, BaseEstimator):
    """Keeps what it is given."""

    def fit(self, X, y=None):
        self.X_, self.y_ = X, y
        return self

    def transform(self, X):
        return np.zeros((len(X), 1))


def given_to(dataset):
    return fitted(Told(), dataset).transformer


def test_columns_come_by_name_in_their_own_types():
    X = given_to(table()).X_
    assert {name: kind.kind for name, kind in X.dtypes.items()} == {
        "age": "f",
        "town": "O",
        "day": "M",
    } or {name: str(kind) for name, kind in X.dtypes.items()} == {
        "age": "float64",
        "town": "str",
        "day": "datetime64[us]",
    }
    assert X["age"].isna().sum() == 1
    assert X["town"].isna().sum() == 2
    assert X.index.tolist() == list(range(len(TRAIN)))


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        (["yes", "no"] * 10, ["yes"]),
        (np.arange(N) % 3, [0, 2, 1]),
        (np.arange(N) * 1.5, [0.0, 3.0, 6.0]),
    ],
)
def test_labels_and_numbers_come_as_they_are(y, expected):
    assert given_to(table(y)).y_[: len(expected)].tolist() == expected
    assert given_to(table(y)).y_.shape == (len(TRAIN),)


def test_training_rows_are_encoded_without_their_own_target_and_others_with_all():
    encoder = make_column_transformer((TargetEncoder(target_type="continuous"), ["town"]))
    found = fitted(encoder)
    same = FRAME["town"].eq("a").to_numpy()
    of_training = found.rows[TRAIN][same[TRAIN], 0]
    of_others = np.delete(found.rows, TRAIN, axis=0)[np.delete(same, TRAIN), 0]
    assert len(np.unique(of_training)) > 1
    assert len(np.unique(of_others)) == 1
    assert_array_equal(fitted(encoder).rows, found.rows)  # by the seed alone
    assert not np.array_equal(fitted(encoder, seed=1).rows, found.rows)


def numbers():
    return make_pipeline(SimpleImputer(), FunctionTransformer())


def test_sparse_rows_and_frames_come_as_dense_float32():
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=True)
    sparse_rows = fitted(make_column_transformer((encoder, ["town"]), sparse_threshold=1.0))
    framed = make_column_transformer(
        (encoder.set_params(sparse_output=False), ["town"]), verbose_feature_names_out=False
    ).set_output(transform="pandas")
    found = fitted(framed)
    assert found.rows.dtype == np.float32
    assert found.names == ("town_a", "town_b", "town_c", "town_nan")
    assert_array_equal(found.rows, sparse_rows.rows)


def test_a_transformer_may_give_rows_of_any_shape():
    def cubes(X):
        return np.ones((len(X), 2, 3))

    assert fitted(FunctionTransformer(cubes)).rows.shape == (N, 2, 3)


def test_warnings_are_heard_once():
    encoder = OneHotEncoder(drop="first", handle_unknown="ignore", sparse_output=False)
    found = fitted(make_column_transformer((encoder, ["town"])), rows=np.array([1, 2, 6, 7]))
    assert len(found.warnings) == 1
    assert "unknown categories" in found.warnings[0]


def test_what_draws_without_a_random_state_follows_the_seed_and_leaves_other_draws_alone():
    def noisy(X):
        return np.random.rand(len(X), 1)  # noqa: NPY002

    np.random.seed(3)  # noqa: NPY002
    expected = np.random.rand()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    one, same = (fitted(FunctionTransformer(noisy)).rows for _ in range(2))
    assert_array_equal(one, same)
    assert np.random.rand() == expected  # noqa: NPY002


def refused(function, said, **how):
    with pytest.raises(TransformerError, match=said):
        fitted(FunctionTransformer(function), **how)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda X: X[["age"]].iloc[1:], "for 9 rows in fold 2 of repeat 0 it gave 8"),
        (lambda X: X[["age"]].dropna(), "for 9 rows in fold 2 of repeat 0 it gave 8"),
        (lambda X: X[["age"]], "repeat 0, 1 is not, such as nan, in the features 'age'"),
        (lambda X: 1 / (X[["age"]].fillna(0) - 2), r"such as inf.*Fill missing cells"),
        (lambda X: X[["age"]].fillna(0) * 1e300, "finite numbers of float32.*Scale them in it"),
        (lambda X: X[["town"]], "it gave 'a' in column 'town'. Encode categories"),
        (lambda X: X[["town"]].to_numpy(dtype=object), "it gave 'a' in a cell"),
        (lambda X: X[["day"]], "it gave Timestamp.* in column 'day'"),
        (lambda X: np.zeros((len(X), 0)), "in fold 2 of repeat 0 it gave none"),
        (lambda X: 3.0, "it gave none"),
        (lambda X: [[1.0] * (1 + i % 2) for i in range(len(X))], "some are longer than others"),
        (lambda X: X["age"] * 1j, "gives numbers"),
        (lambda X: X["height"], "raised KeyError in its fit on fold 2 of repeat 0.*: 'height'"),
        (lambda X: 1 / 0, "raised ZeroDivisionError in its fit on fold 2 of repeat 0"),
        (lambda X: np.ones((len(X), len(X))), r"it gave \(9,\) for the rows.*\(11,\) for others"),
    ],
)
def test_what_a_network_cannot_take_is_refused_in_one_line_that_names_the_fold(function, said):
    with pytest.raises(TransformerError, match=said) as refusal:
        fitted(FunctionTransformer(function), rows=np.arange(9))
    assert "\n" not in str(refusal.value)
    assert "prep" in str(refusal.value) or "FunctionTransformer" in str(refusal.value)


def test_rows_that_would_not_fit_into_memory_are_refused_before_they_are_made_dense():
    def wide(X):
        return sparse.csr_array((len(X), 10**9))

    refused(wide, "of 1,000,000,000 features each they take 80.0 GB", n_copies=1)


def test_a_transformer_that_remembers_rows_by_number_is_no_way_around(tmp_path):
    frame = FRAME[["age"]].fillna(0.0)
    raw = RawRows.of(table(frame=frame))
    assert raw.frame.columns.tolist() == ["age"]
    found = fit_rows(OwnTransformer.load(PCA(1)), raw, TRAIN, seed=0, where="fold 0")
    assert found.rows.shape == (N, 1)


def test_a_transformer_that_was_fitted_on_every_row_would_be_caught():
    own, raw = OwnTransformer.load(make_pipeline(SimpleImputer(), PCA(1))), RawRows.of(table())
    raw = RawRows(raw.frame[["age"]], raw.y)
    other = raw.frame.copy()
    other.loc[np.setdiff1d(np.arange(N), TRAIN), "age"] = 1e6
    how = {"seed": 0, "where": "all rows"}
    found = [fit_rows(own, RawRows(f, raw.y), np.arange(N), **how) for f in (raw.frame, other)]
    assert not np.array_equal(found[0].rows[TRAIN], found[1].rows[TRAIN])


MIXED = make_column_transformer(
    (make_pipeline(SimpleImputer(), PCA(1)), ["age"]),
    (TargetEncoder(target_type="continuous"), ["town"]),
)
CELLS = st.floats(-1e6, 1e6)


@settings(deadline=None, max_examples=20)
@given(
    st.lists(CELLS, min_size=10, max_size=10),
    st.lists(st.sampled_from(["a", "b", "z", None]), min_size=10, max_size=10),
    st.lists(CELLS, min_size=10, max_size=10),
)
def test_no_change_to_other_rows_moves_a_bit_of_training_rows(ages, towns, targets):
    own, others = OwnTransformer.load(MIXED), np.setdiff1d(np.arange(N), TRAIN)
    raw = RawRows.of(table())
    frame, y = raw.frame.copy(), raw.y.copy()
    frame.loc[others, "age"] = ages
    frame.loc[others, "town"] = towns
    y[others] = targets
    how = {"seed": 0, "where": "fold 0"}
    before = fit_rows(own, raw, TRAIN, **how)
    after = fit_rows(own, RawRows(frame, y), TRAIN, **how)
    assert_array_equal(before.rows[TRAIN], after.rows[TRAIN])
