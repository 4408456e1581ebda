"""Baselines: each problem type, statistics of training rows alone, and what large tables lose."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from threadpoolctl import threadpool_limits

import hpsearch
from hpsearch.engines.fit_data import write_fit_data
from hpsearch.engines.workers import Lost
from hpsearch.folds import IteratedKFold, make_folds
from hpsearch.metrics import resolve_metric, score
from hpsearch.preprocessing import Layout
from hpsearch.scoring.rows import encode_dataset, fit_data
from hpsearch.search import baselines
from hpsearch.search.baselines import (
    NAMES,
    BaselineTask,
    fit_and_predict,
    score_baselines,
    score_fold,
)

N = 120
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3))
SIGNAL = X[:, 0] + 0.5 * X[:, 1]
TARGETS = {
    "binary": np.where(SIGNAL > 0, "yes", "no"),
    "multiclass": np.digitize(SIGNAL, [-0.5, 0.5]),
    "multilabel": np.stack([SIGNAL > 0, X[:, 2] > 0], axis=1).astype(int),
    "regression": np.stack([3 * SIGNAL + 10, X[:, 2]], axis=1),
    "share": 1 / (1 + np.exp(-SIGNAL)),
    "count": RNG.poisson(np.exp(1.0 + 0.7 * SIGNAL)),
    "quantile": 3 * SIGNAL + 10,
}


def dataset(kind):
    return hpsearch.load(X, TARGETS[kind], task=kind)


def prepared(data, folder=None):
    """The data as workers read them, and where they are written."""
    folds = make_folds(IteratedKFold(3, 1, random_state=0), data)
    layout = Layout.of(data.schema)
    found = fit_data(data, encode_dataset(data), folds, layout, scale_target=False)
    return found, folder and write_fit_data(found, folder)


@pytest.fixture(autouse=True)
def one_thread():
    """As in a worker: threads that wait for a processor cost more than they bring."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def workers(train_here):
    with train_here():
        from hpsearch.scoring.crew import machines

        yield machines(None, 1, print)


@pytest.mark.parametrize("kind", TARGETS)
def test_models_that_look_at_the_columns_beat_the_constant(kind, tmp_path, workers):
    data, path = prepared(dataset(kind), tmp_path)
    metrics = resolve_metric(kind)
    found = score_baselines(workers, path, data, [0, 1, 2], metrics, 0)
    assert [scores.name for scores in found] == list(NAMES)
    assert [len(scores.rows) for scores in found] == [3, 3, 3, 3]
    sign = 1 if metrics[0] in ("log_loss", "mae", "poisson_deviance", "mean_pinball") else -1
    constant, linear, trees, small = (
        sign * np.mean([row[f"val_{metrics[0]}"] for row in scores.rows]) for scores in found
    )
    assert linear < 0.8 * constant
    assert max(trees, small) < 0.9 * constant
    assert all(np.isfinite(row[f"val_{m}"]) for s in found for row in s.rows for m in metrics)


@pytest.mark.parametrize("name", NAMES)
def test_a_target_far_from_zero_is_predicted_as_one_near_zero(name):
    near, far = (prepared(hpsearch.load(X, SIGNAL + at))[0] for at in (0.0, 2.0**30))
    assert far.target.offset
    fold = near.folds[0]
    said = [
        fit_and_predict(name, data, data.statistics[0], fold.train, fold.validation)
        for data in (near, far)
    ]
    assert_allclose(said[1] - 2.0**30, said[0], atol=1e-5)


def test_the_constant_is_the_training_rows_mean_or_frequencies():
    for kind, expected in (("regression", np.mean), ("binary", np.mean)):
        data, _ = prepared(dataset(kind))
        fold = data.folds[0]
        said = fit_and_predict("constant", data, data.statistics[0], fold.train, fold.validation)
        assert_allclose(said, np.broadcast_to(expected(data.y[fold.train], axis=0), said.shape))


def test_the_linear_model_is_scikit_learns_on_the_same_features():
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    data, _ = prepared(dataset("binary"))
    fold = data.folds[1]
    scaler = StandardScaler().fit(X[fold.train])
    model = LogisticRegression().fit(scaler.transform(X[fold.train]), data.y[fold.train])
    said = fit_and_predict("linear", data, data.statistics[1], fold.train, fold.validation)
    expected = model.predict_proba(scaler.transform(X[fold.validation]))[:, 1]
    assert_allclose(said, expected, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_validation_rows_teach_a_baseline_nothing(name):
    data = dataset("regression")
    fold = prepared(data)[0].folds[0]
    changed_x, changed_y = X.copy(), TARGETS["regression"].copy()
    changed_x[fold.validation[1:]] += 1e3
    changed_y[fold.validation] -= 1e3
    other = hpsearch.load(changed_x, changed_y, task="regression")
    said = [
        fit_and_predict(name, found, found.statistics[0], fold.train, fold.validation[:1])
        for found in (prepared(data)[0], prepared(other)[0])
    ]
    assert_array_equal(*said)


@pytest.mark.parametrize("name", NAMES)
def test_quantiles_never_cross_and_the_constant_has_the_training_rows(name):
    noise = np.random.default_rng(9).normal(size=N) * np.exp(X[:, 2])
    levels = (0.1, 0.2, 0.9)
    data, _ = prepared(hpsearch.load(X, SIGNAL + noise, task="quantile", levels=levels))
    fold = data.folds[0]
    said = fit_and_predict(name, data, data.statistics[0], fold.train, fold.validation)
    assert said.shape == (len(fold.validation), 3)
    assert (np.diff(said, axis=1) >= 0).all()
    if name == "constant":
        assert_allclose(said[0], np.quantile(data.y[fold.train], levels))


def counts_with_exposure():
    years = np.random.default_rng(5).uniform(0.1, 4.0, N)
    y = np.random.default_rng(6).poisson(years * np.exp(0.3 + 0.7 * SIGNAL))
    return years, hpsearch.load(np.c_[X, years], y, task="count", exposure="x3")


@pytest.mark.parametrize("name", NAMES)
def test_the_unit_in_which_rows_weigh_fits_nothing_else(name):
    """Penalties are meant for rows that weigh 1: shares of rows would leave the models nothing."""
    data, _ = prepared(hpsearch.load(X, (SIGNAL > 0).astype(int)))
    fold, weights = data.folds[0], np.random.default_rng(0).uniform(0.5, 2.0, N)
    said = [
        fit_and_predict(name, data, data.statistics[0], fold.train, fold.validation, unit * weights)
        for unit in (1.0, 1e-6, 1e6)
    ]
    assert_allclose(said[1], said[0], rtol=1e-4)
    assert_allclose(said[2], said[0], rtol=1e-4)


def test_the_constant_of_counts_is_the_rate_of_the_training_rows_times_exposure():
    years, table = counts_with_exposure()
    data, _ = prepared(table)
    fold = data.folds[0]
    args = data, data.statistics[0], fold.train, fold.validation, data.loss_weights(0)
    rate = table.y[fold.train].sum() / years[fold.train].sum()
    assert_allclose(
        fit_and_predict("constant", *args)[:, 0], rate * years[fold.validation], rtol=1e-6
    )


def test_a_linear_model_of_counts_is_scikit_learns_with_an_offset():
    from sklearn.linear_model import PoissonRegressor
    from sklearn.preprocessing import StandardScaler

    years, table = counts_with_exposure()
    data, _ = prepared(table)
    fold = data.folds[0]
    args = data, data.statistics[0], fold.train, fold.validation, data.loss_weights(0)
    scaler = StandardScaler().fit(X[fold.train])
    rates, units = table.y[fold.train, 0] / years[fold.train], years[fold.train]
    alpha = np.average(rates, weights=units) / len(units)
    model = PoissonRegressor(alpha=alpha, max_iter=300)
    model.fit(scaler.transform(X[fold.train]), rates, sample_weight=units)
    expected = model.predict(scaler.transform(X[fold.validation])) * years[fold.validation]
    assert_allclose(fit_and_predict("linear", *args)[:, 0], expected, rtol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_counts_of_nothing_in_the_training_rows_are_predicted_as_none(name):
    y = np.zeros(N, int)
    y[0] = 3
    data, _ = prepared(hpsearch.load(X, y, task="count"))
    said = fit_and_predict(name, data, data.statistics[0], np.arange(1, N), np.array([0]))
    assert said.tolist() == [[0.0]]


def test_a_share_stays_between_0_and_1():
    data, _ = prepared(hpsearch.load(X, np.clip(SIGNAL * 3, 0, 1), task="share"))
    fold = data.folds[0]
    said = fit_and_predict("linear", data, data.statistics[0], fold.train, fold.validation)
    assert said.min() == 0.0
    assert said.max() == 1.0


def test_a_label_that_the_training_rows_never_have_gets_its_frequency():
    y = np.zeros((N, 2), int)
    y[:, 0] = SIGNAL > 0
    y[0, 1] = 1
    data, _ = prepared(hpsearch.load(X, y, task="multilabel"))
    train, new = np.arange(1, N), np.array([0])
    for name in ("linear", "trees", "small_trees"):
        assert fit_and_predict(name, data, data.statistics[0], train, new)[0, 1] == 0.0


def words_dataset():
    words = sparse.csr_array((RNG.random((N, 40)) < 0.3).astype(np.float32))
    return hpsearch.load(words, words.toarray()[:, 7].astype(int))


def test_words_stay_sparse_and_have_no_trees(tmp_path, workers):
    data, path = prepared(words_dataset(), tmp_path)
    constant, linear, *both = score_baselines(workers, path, data, [0], ["accuracy"], 0)
    assert linear.rows[0]["val_accuracy"] > constant.rows[0]["val_accuracy"] + 0.1
    assert all("words are sparse" in trees.missing for trees in both)
    assert sparse.issparse(baselines._features(data, data.statistics[0], np.arange(5)))


def test_words_beside_numbers_are_joined():
    rows = pd.DataFrame({"note": np.where(SIGNAL > 0, "good so", "bad so"), "x": X[:, 0]})
    data, _ = prepared(hpsearch.load(rows.assign(y=SIGNAL), target="y", text=["note"]))
    features = baselines._features(data, data.statistics[0], np.arange(N))
    assert features.shape == (N, *data.layout.input_shape)
    fold = data.folds[0]
    said = fit_and_predict("linear", data, data.statistics[0], fold.train, fold.validation)
    assert score("mae", data.y[fold.validation], said) < 0.4


def test_arrays_are_flattened():
    images = RNG.integers(0, 255, (N, 4, 4), dtype=np.uint8)
    data, _ = prepared(hpsearch.load(images, images.mean(axis=(1, 2))))
    fold = data.folds[0]
    said = fit_and_predict("linear", data, data.statistics[0], fold.train, fold.validation)
    assert score("r2", data.y[fold.validation], said) > 0.9


def test_a_large_table_is_sampled_or_left_out_and_says_so(tmp_path, workers, monkeypatch):
    data, path = prepared(dataset("multiclass"), tmp_path)
    monkeypatch.setattr(baselines, "MAX_CELLS", 60)
    constant, linear, *both = score_baselines(workers, path, data, [0], ["log_loss"], 0)
    assert (constant.notes, constant.rows[0]["n_train"]) == ((), 80)
    assert linear.rows[0]["n_train"] == 20
    assert linear.notes == ("fitted on 20 of up to 80 training rows, to save time",)
    for trees in both:
        assert trees.missing == "It would take too long on 80 rows of 3 features."
        assert trees.rows == ()
    again = score_baselines(workers, path, data, [0], ["log_loss"], 0)
    assert again[1].rows == linear.rows


def test_a_model_that_fails_has_its_reason_and_takes_no_other_down(tmp_path, workers, monkeypatch):
    data, path = prepared(dataset("binary"), tmp_path)
    fitted = baselines._fitted

    def failing(name, *arguments):
        if name == "trees":
            raise ValueError("no trees today")
        return fitted(name, *arguments)

    monkeypatch.setattr(baselines, "_fitted", failing)
    _, linear, trees, small = score_baselines(workers, path, data, [0, 1], ["log_loss"], 0)
    assert len(linear.rows) == len(small.rows) == 2
    assert trees.missing == "It could not be fitted: ValueError: no trees today."


class Losing:
    """Workers that lose every task."""

    def map_unordered(self, function, tasks):
        return [Lost(task, 3) for task in tasks]


def test_a_lost_worker_is_a_reason_too(tmp_path):
    data, path = prepared(dataset("binary"), tmp_path)
    found = score_baselines(Losing(), path, data, [0], ["log_loss"], 0)
    assert all("its worker process died 3 times" in scores.missing for scores in found)


def test_a_folds_rows_are_the_same_whatever_else_is_asked(tmp_path):
    data, path = prepared(dataset("binary"), tmp_path)
    task = BaselineTask(path, 1, NAMES, ("log_loss",), 0)
    rows = score_fold(task)
    assert score_fold(replace(task, names=("trees",))) == rows[2:3]
    assert [row["fold"] for row in rows] == [data.folds[1].fold] * 4


# -- boosted trees that stop early


@pytest.fixture
def boosted(monkeypatch):
    """The models of trees that are fitted from here on."""
    fitted, found = baselines._fitted, []

    def kept(*arguments):
        found.append(fitted(*arguments))
        return found[-1]

    monkeypatch.setattr(baselines, "_fitted", kept)
    return found


MANY = 360
LARGE = np.random.default_rng(1).normal(size=(MANY, 3))
SLOPE = LARGE[:, 0] + 0.5 * LARGE[:, 1]
DRAWN = np.random.default_rng(2)
MANY_TARGETS = {
    "binary": (SLOPE + DRAWN.normal(size=MANY) > 0).astype(int),
    "multiclass": np.digitize(SLOPE + DRAWN.normal(size=MANY), [-0.5, 0.5]),
    "multilabel": np.stack([SLOPE > 0, LARGE[:, 2] > 0], axis=1).astype(int),
    "regression": np.stack([SLOPE + DRAWN.normal(size=MANY), LARGE[:, 2]], axis=1),
    "share": 1 / (1 + np.exp(-SLOPE)),
    "count": DRAWN.poisson(np.exp(0.7 * SLOPE)),
    "quantile": SLOPE + DRAWN.normal(size=MANY),
}


def fold_of(data, name="trees", weights=None):
    fold = data.folds[0]
    return fit_and_predict(
        name, data, data.statistics[0], fold.train, fold.validation, weights=weights
    )


@pytest.mark.parametrize("weighs", [False, True])
@pytest.mark.parametrize("kind", MANY_TARGETS)
def test_trees_of_every_problem_type_stop_early_without_a_warning(kind, weighs, boosted):
    data, _ = prepared(hpsearch.load(LARGE, MANY_TARGETS[kind], task=kind))
    weights = DRAWN.uniform(0.0, 2.0, MANY) * (DRAWN.random(MANY) < 0.9) if weighs else None
    said = fold_of(data, weights=weights)
    assert np.isfinite(said).all()
    assert all(model.do_early_stopping_ for model in boosted)
    assert all(model.n_iter_ < model.max_iter == 1000 for model in boosted)
    assert_array_equal(fold_of(data, weights=weights), said)


def test_trees_are_scikit_learns_with_early_stopping_on_the_training_rows():
    from sklearn.ensemble import HistGradientBoostingRegressor

    data, _ = prepared(hpsearch.load(LARGE, MANY_TARGETS["quantile"]))
    fold = data.folds[0]
    features = baselines._features(data, data.statistics[0], np.arange(MANY))
    train, y = fold.train, data.y[:, 0]
    for name, setting in (
        ("trees", {"max_iter": 1000, "early_stopping": True, "tol": 0.0}),
        ("small_trees", {"max_iter": 200, "learning_rate": 0.07, "max_leaf_nodes": 8}),
    ):
        model = HistGradientBoostingRegressor(random_state=0, **setting)
        model.fit(features[train], y[train])
        assert_allclose(fold_of(data, name)[:, 0], model.predict(features[fold.validation]))


@pytest.mark.parametrize("name", ["trees", "small_trees"])
@pytest.mark.parametrize("kind", ["binary", "regression", "count"])
def test_validation_rows_have_no_say_in_when_trees_stop(name, kind, boosted):
    y = MANY_TARGETS[kind]
    fold = prepared(hpsearch.load(LARGE, y, task=kind))[0].folds[0]
    x, other = LARGE.copy(), y.copy()
    x[fold.validation] = -5 * x[fold.validation]
    other[fold.validation] = np.random.default_rng(4).permutation(y[fold.validation])[::-1]
    tables = (hpsearch.load(LARGE, y, task=kind), hpsearch.load(x, other, task=kind))
    said = []
    for data in (prepared(table)[0] for table in tables):
        fold_of(data, name)
        features = baselines._features(data, data.statistics[0], fold.train)
        said += [model.predict(features) for model in boosted]
        said.append([model.n_iter_ for model in boosted])
        said.append(np.concatenate([model.validation_score_ for model in boosted]))
        boosted.clear()
    half = len(said) // 2
    for before, after in zip(said[:half], said[half:], strict=True):
        assert_array_equal(before, after)


def test_few_rows_or_few_of_a_class_or_of_counts_are_boosted_a_fixed_number_of_rounds(boosted):
    rare = np.zeros(MANY, int)
    rare[:12] = 1
    for x, y, task in (
        (X, TARGETS["regression"], "regression"),  # 80 training rows
        (LARGE, rare, "binary"),  # eight or so in the training rows
        (LARGE, rare, "count"),
        (LARGE, np.c_[rare, rare], "multilabel"),
    ):
        fold_of(prepared(hpsearch.load(x, y, task=task))[0])
    assert len(boosted) == 6
    assert not any(model.do_early_stopping_ for model in boosted)
    assert {model.n_iter_ for model in boosted} == {100}


def test_rows_that_weigh_nothing_do_not_count_as_enough(boosted):
    data, _ = prepared(hpsearch.load(LARGE, MANY_TARGETS["regression"]))
    weights = np.zeros(MANY)
    weights[data.folds[0].train[:199]] = 1.0
    fold_of(data, weights=weights)
    weights[data.folds[0].train[199]] = 1.0
    fold_of(data, weights=weights)
    assert [model.do_early_stopping_ for model in boosted] == [False, False, True, True]


def test_rounds_are_fewer_where_a_fold_would_take_long():
    assert baselines._most_rounds(8_000 * 20, 1) == 1000
    assert baselines._most_rounds(8_000 * 20, 6) == 362
    assert baselines._most_rounds(10**7, 1) == 100


@pytest.mark.parametrize("unit", [1e-5, 1e5])
def test_trees_learn_the_same_whatever_the_unit_of_the_target(unit):
    x = np.random.default_rng(4).normal(size=(400, 3))
    y = np.sin(2 * x[:, 0]) + x[:, 1]
    found = []
    for factor in (1.0, unit):
        data, _ = prepared(hpsearch.load(x, factor * y, task="regression"))
        found.append(fold_of(data)[:, 0] / factor)
    assert_allclose(found[1], found[0], rtol=1e-3, atol=1e-3)
