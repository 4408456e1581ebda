"""Baselines: models that need no search, on a run's own folds with its own preprocessing.

The worker's half fits and scores them on one fold; the parent's half hands out the folds and
collects the rows of ``baselines.csv``. What the winner is worth beside them belongs to
``hpsearch.ledger.baselines``.

Four models, by scikit-learn: a constant (the mean, quantiles, or the classes' frequencies), a
linear one (logistic regression; for numbers ridge regression, for counts Poisson regression with
the same penalty, for quantiles quantile regression without any), and boosted trees twice (histogram
gradient boosting, one ensemble a target column or level, by Poisson's deviance for counts, by the
pinball loss for quantiles): large trees, whose number is found on a tenth of the fold's training
rows, and many small ones of a fixed number. Counts are fitted for one unit of exposure, weighed by
it. Features are the rows that a network sees: every statistic is fitted on a fold's training rows
alone. Rows weigh in fitting what they weigh in a network's loss, 1 on average, and in scores what
they weigh in a network's.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hpsearch.engines.failures import reason_of
from hpsearch.engines.fit_data import FitData, read_fit_data
from hpsearch.engines.workers import Lost, Workers
from hpsearch.preprocessing import Layout, Statistics, design_rows, per_exposure
from hpsearch.preprocessing.design import bag_of_tokens
from hpsearch.preprocessing.statistics import ABSENT
from hpsearch.scoring.trials import Row
from hpsearch.task import OF_VALUES, ProblemKind, Target

NAMES: Final = ("constant", "linear", "trees", "small_trees")

TREES: Final = ("trees", "small_trees")

SMALL_TREES: Final = {"max_iter": 200, "learning_rate": 0.07, "max_leaf_nodes": 8}
"""The second setting: on some tables it is better than large trees with early stopping."""

ENOUGH_TO_STOP, ENOUGH_OF_EACH = 200, 10
"""Training rows from which on boosting stops early, and of each class among them, or of counts
above 0: a tenth of fewer says too little of when to stop."""

FIXED_ROUNDS, MOST_ROUNDS = 100, 1000
"""Rounds of boosting without early stopping, scikit-learn's default, and at most with it."""

BOOSTED_CELLS, CELLS_OF_A_TREE = 5 * 10**8, 7 * 10**4
"""What sets the most rounds: cells that trees are grown on, over all rounds, about 3 s of a core;
and what a tree costs however few its cells are."""

MAX_CELLS: Final = 10**7
"""Cells of the training rows that a model is fitted on, for trees times the outputs: seconds."""

QUANTILE_CELLS, QUANTILE_ROWS = 2 * 10**5, 3_000
"""The same of linear quantile regression, for all levels, and rows: a linear program's time grows
with the square of its constraints, one for each row."""

SMALLEST_SHARE: Final = 0.1
"""A model that could see a smaller share of the training rows than this is left out."""

PREDICT_CELLS: Final = 4 * 10**6
"""Cells of the rows that are predicted at a time."""


@dataclass(frozen=True)
class BaselineTask:
    """What a worker is to do: all models on one fold.

    Attributes
    ----------
    data_path : of ``FitData``; position : the fold's there.
    names : models to fit; metrics : the metrics' names; seed : the run's.
    """

    data_path: str
    position: int
    names: tuple[str, ...]
    metrics: tuple[str, ...]
    seed: int


@dataclass(frozen=True)
class BaselineScores:
    """What became of one baseline.

    Attributes
    ----------
    name, label : in the table, and for people.
    rows : its rows of ``baselines.csv``.
    notes : what was limited; missing : why there are no rows, or empty.
    """

    name: str
    label: str
    rows: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()
    missing: str = ""


def score_baselines(
    workers: Workers,
    data_path: str,
    data: FitData,
    positions: Sequence[int],
    metrics: Sequence[str],
    seed: int,
    meanwhile: Callable[[], None] = lambda: None,
) -> list[BaselineScores]:
    """Score the baselines on the given folds, one fold a task.

    A fold's rows don't depend on which worker has it. A model that fails has its reason in
    ``missing``: it is no cause to lose a search.

    Parameters
    ----------
    workers : processes of one thread each.
    data_path, data : of the run; ``data`` may lack its features.
    positions : of the folds in ``data.folds``.
    metrics : the metrics' names; seed : of the rows that a large table's models see.
    meanwhile : is called after each fold.
    """
    sizes = _Sizes.of(data, positions)
    obstacles = {name: sizes.obstacle(name) for name in NAMES}
    names = tuple(name for name in NAMES if obstacles[name] is None)
    tasks = [BaselineTask(data_path, p, names, tuple(metrics), seed) for p in positions]
    rows: list[Row] = []
    failed: dict[str, str] = {}
    for result in workers.map_unordered(score_fold, tasks):
        meanwhile()
        if isinstance(result, Lost):
            failed |= dict.fromkeys(names, f"It could not be fitted: {result.reason}.")
            continue
        rows += [row for row in result if "error" not in row]
        failed |= {row["baseline"]: row["error"] for row in result if "error" in row}
    rows.sort(key=lambda row: (row["repeat"], row["fold"]))
    return [
        BaselineScores(
            name=name,
            label=label_of(name, data.target),
            rows=tuple(r for r in rows if r["baseline"] == name and name not in failed),
            notes=sizes.notes(name),
            missing=obstacles[name] or failed.get(name, ""),
        )
        for name in NAMES
    ]


def label_of(name: str, target: Target) -> str:
    """What a baseline is called for people.

    Examples
    --------
    >>> label_of("constant", Target(("y",), "regression"))
    'mean of the target'
    """
    of_values = target.kind in OF_VALUES
    labels = {
        "constant": "mean of the target" if of_values else "class frequencies",
        "linear": "ridge regression" if of_values else "logistic regression",
        "trees": "boosted trees",
        "small_trees": "small boosted trees",
    }
    if target.kind == "count":
        labels |= {"constant": "mean rate", "linear": "Poisson regression"}
    if target.kind == "quantile":
        labels |= {"constant": "quantiles of the target", "linear": "linear quantile regression"}
    if target.kind == "multilabel":
        labels["constant"] = "label frequencies"
    return labels[name]


# -- the worker's half


def score_fold(task: BaselineTask) -> list[Row]:
    """Fit and score the models on one fold; runs in a worker.

    Returns
    -------
    Rows of ``baselines.csv``, each with ``error`` in place of scores where the model failed.
    """
    from threadpoolctl import threadpool_limits

    data = read_fit_data(task.data_path)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a solver would like more iterations
        return [_score_one(task, name, data) for name in task.names]


def _score_one(task: BaselineTask, name: str, data: FitData) -> Row:
    fold, statistics = data.folds[task.position], data.statistics[task.position]
    rows = _training_rows(name, data, task.position, task.seed)
    head = {
        "baseline": name,
        "repeat": fold.repeat,
        "fold": fold.fold,
        "n_train": len(rows),
        "n_val": len(fold.validation),
    }
    try:
        weights = data.loss_weights(task.position)
        seen = replace(data, encoded=data.encoded_in(task.position))
        predicted = fit_and_predict(name, seen, statistics, rows, fold.validation, weights)
    except Exception as error:  # a baseline is no cause to lose a search
        return {**head, "error": f"It could not be fitted: {reason_of(error)}."}
    scores = {m: float(data.scores(m, fold.validation, predicted)) for m in task.metrics}
    return head | {f"val_{m}": value for m, value in scores.items()}


def fit_and_predict(
    name: str,
    data: FitData,
    statistics: Statistics,
    rows: NDArray[np.int64],
    new_rows: NDArray[np.int64],
    weights: NDArray[np.floating[Any]] | None = None,
) -> NDArray[np.float64]:
    """Canonical predictions of some rows, by a model fitted on others.

    Parameters
    ----------
    name : one of ``NAMES``.
    statistics : fitted on the training rows of the fold.
    rows, new_rows : the rows to fit on, and to predict.
    weights : what each row of the table weighs in the loss; None where all weigh the same.
    """
    exposure = data.encoded.exposure
    units, new_units = (None if exposure is None else exposure[each] for each in (rows, new_rows))
    y = per_exposure(data.y[rows].reshape(len(rows), -1), units)
    y = data.target.less_offset(y)
    weights = None if weights is None else _of_mean_one(weights[rows])
    if name == "constant":
        same = np.tile(_frequencies(data.target, y, weights), (len(new_rows), 1))
        return _canonical(data.target, same, new_units)
    features = _features(data, statistics, rows)
    columns = [y[:, 0]] if data.target.is_classification else list(y.T)
    fitted = [
        _fitted(name, data.target, features, column, weights, level)
        for column in columns
        for level in data.target.levels or (None,)
    ]
    step = max(1, PREDICT_CELLS // max(1, _n_features(data.layout)))
    parts = [
        np.concatenate([_outputs(data.target, model, chunk) for model in fitted], axis=1)
        for start in range(0, len(new_rows), step)
        for chunk in [_features(data, statistics, new_rows[start : start + step])]
    ]
    return _canonical(data.target, np.concatenate(parts), new_units)


def _of_mean_one(weights: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Weights in the unit that a penalty by default is meant for."""
    each = np.asarray(weights, np.float64)
    return each / each.mean() if each.any() else each


def _frequencies(target: Target, y: NDArray[Any], weights: Any) -> NDArray[np.float64]:
    """What the constant predicts: a share of each class, the mean of each column, or quantiles."""
    if target.is_classification:
        counts = np.bincount(y[:, 0].astype(np.int64), weights, minlength=len(target.labels))
        return np.asarray(counts / counts.sum(), dtype=np.float64)
    if target.levels:
        weighed = {} if weights is None else {"weights": weights, "method": "inverted_cdf"}
        return np.asarray(np.quantile(y[:, 0].astype(np.float64), target.levels, **weighed))
    return np.asarray(np.average(y.astype(np.float64), axis=0, weights=weights))


class _Constant:
    """Stands for a classifier where the training rows hold one class alone."""

    def __init__(self, value: Any) -> None:
        self.classes_ = np.array([value])

    def predict_proba(self, features: Any) -> NDArray[np.float64]:
        return np.ones((features.shape[0], 1))


class _Nothing:
    """Stands for a model of counts where nothing was counted in the training rows."""

    def predict(self, features: Any) -> NDArray[np.float64]:
        return np.zeros(features.shape[0])


def _fitted(
    name: str,
    target: Target,
    features: Any,
    y: NDArray[Any],
    weights: Any,
    level: float | None = None,
) -> Any:
    """A model of one target column, a level of it, or of the classes."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.linear_model import (
        LogisticRegression,
        PoissonRegressor,
        QuantileRegressor,
        Ridge,
    )

    of_values = target.kind in OF_VALUES
    if not of_values and len(np.unique(y)) == 1:
        return _Constant(y[0])
    counts = target.kind == "count"
    if counts and not y.any():
        return _Nothing()
    if name == "linear":
        model = Ridge() if of_values else LogisticRegression()
        if counts:  # whose penalty is for a mean over rows, and a mean count of 1
            alpha = float(np.average(y, weights=weights)) / len(y)
            model = PoissonRegressor(alpha=alpha, max_iter=300)
        elif level is not None:
            model = QuantileRegressor(quantile=level, alpha=0.0)
    else:
        trees = HistGradientBoostingRegressor if of_values else HistGradientBoostingClassifier
        asked: dict[str, Any] = {"early_stopping": False, "random_state": 0}
        if counts:
            asked |= {"loss": "poisson"}
        if level is not None:
            asked |= {"loss": "quantile", "quantile": level}
        if name == "small_trees":
            asked |= SMALL_TREES
        elif _may_stop_early(target, y, weights):
            counted = slice(None) if weights is None else weights > 0
            features, y = features[counted], y[counted]
            weights = None if weights is None else weights[counted]
            most = _most_rounds(features.size, target.n_outputs)
            asked |= {"early_stopping": True, "validation_fraction": 0.1, "max_iter": most}
            asked["tol"] = 0.0  # else a target in large units would stop later than one in small
        model = trees(**asked)
    return model.fit(features, y if of_values else y.astype(np.int64), sample_weight=weights)


def _may_stop_early(target: Target, y: NDArray[Any], weights: Any) -> bool:
    """Whether a tenth of the training rows, drawn at random, would say when to stop.

    The classes are divided in proportion. Rows that weigh nothing don't count.
    """
    seen = y if weights is None else y[weights > 0]
    if len(seen) < ENOUGH_TO_STOP:
        return False
    if target.kind == "count":
        return bool(np.count_nonzero(seen) >= ENOUGH_OF_EACH)
    if target.kind in OF_VALUES:
        return True
    counts = np.unique(seen, return_counts=True)[1]
    return bool(len(counts) > 1 and counts.min() >= ENOUGH_OF_EACH)


def _most_rounds(n_cells: int, n_outputs: int) -> int:
    """Rounds of boosting that a table has time for, with a tree for each output a round."""
    rounds = BOOSTED_CELLS // (n_outputs * (n_cells + CELLS_OF_A_TREE))
    return max(FIXED_ROUNDS, min(MOST_ROUNDS, rounds))


def _outputs(target: Target, model: Any, features: Any) -> NDArray[np.float64]:
    """(n, 1) values or a label's probability, or (n, C) of the classes."""
    if target.kind in OF_VALUES:
        return np.asarray(model.predict(features), dtype=np.float64).reshape(-1, 1)
    n_classes = len(target.labels) if target.is_classification else 2
    known = np.asarray(model.predict_proba(features), dtype=np.float64)
    probabilities = np.zeros((len(known), n_classes))
    probabilities[:, model.classes_.astype(np.int64)] = known
    return probabilities if target.is_classification else probabilities[:, 1:]


def _canonical(
    target: Target, outputs: NDArray[np.float64], exposure: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    if target.kind == "share":
        return np.clip(outputs, 0.0, 1.0)
    if target.kind == "quantile":
        outputs = np.sort(outputs, axis=1)  # a model of each level by itself may cross another
    if exposure is not None:
        outputs = outputs * exposure[:, np.newaxis]
    return target.without_column(target.plus_offset(outputs))


def _features(data: FitData, statistics: Statistics, rows: NDArray[np.int64]) -> Any:
    """Preprocessed rows (n, features): arrays flattened, which words occur as a sparse matrix."""
    encoded, layout = data.encoded.take(rows), data.layout
    bags = []
    if encoded.words is not None:
        bags.append(_slotted(encoded.words, statistics.word_slots, sum(layout.word_slots)))
    if encoded.tokens is not None:
        bags.append(bag_of_tokens(encoded.tokens, layout, statistics))
    if not bags:
        return design_rows(encoded, layout, statistics).reshape(len(rows), -1)
    words = sparse.hstack(bags, format="csr")
    if not (layout.numbers or layout.categories or layout.arrays or layout.prepared):
        return words
    without = replace(encoded, words=None)
    others = design_rows(without, layout.without_words(), statistics).reshape(len(rows), -1)
    return sparse.hstack([sparse.csr_array(others), words], format="csr")


def _n_features(layout: Layout) -> int:
    flat = 0 if layout.is_tokens else int(np.prod(layout.input_shape))
    return flat + sum(layout.token_slots)


def _slotted(words: Any, slot_of_word: NDArray[np.int32], n_slots: int) -> sparse.csr_array:
    """The words that the training rows know, in their slots."""
    slots = slot_of_word[words.indices]
    rows = np.repeat(np.arange(words.shape[0]), np.diff(words.indptr))
    known = slots != ABSENT
    ones = np.ones(int(known.sum()), np.float32)
    cells = (rows[known].astype(np.int32), slots[known].astype(np.int32))
    return sparse.csr_array((ones, cells), shape=(words.shape[0], n_slots))


# -- what is left out of large tables


@dataclass(frozen=True)
class _Sizes:
    """How large the models' tables are, and so what they see of them."""

    n_train: int
    n_features: int
    kind: ProblemKind
    n_outputs: int
    has_words: bool

    @classmethod
    def of(cls, data: FitData, positions: Sequence[int]) -> _Sizes:
        return cls(
            n_train=max(len(data.folds[p].train) for p in positions),
            n_features=max(1, _n_features(data.layout)),
            kind=data.target.kind,
            n_outputs=data.target.n_outputs,
            has_words=bool(data.layout.words or data.layout.tokens),
        )

    def most_rows(self, name: str) -> int:
        """Training rows that a model may see."""
        if name == "constant":
            return self.n_train
        if name == "linear" and self.kind == "quantile":
            cells = QUANTILE_CELLS // (self.n_features * self.n_outputs)
            return max(1, min(QUANTILE_ROWS, cells))
        if name == "linear" and self.has_words:
            return self.n_train  # sparse rows are cheap
        one_each = name in TREES or self.kind == "multilabel"  # a fit for each output
        cells = self.n_features * (self.n_outputs if one_each else 1)
        return max(1, MAX_CELLS // cells)

    def obstacle(self, name: str) -> str | None:
        """Why a model is left out, or None."""
        if name in TREES and self.has_words:
            return "Boosted trees need a dense table; words are sparse."
        if self.most_rows(name) < SMALLEST_SHARE * self.n_train:
            return (
                f"It would take too long on {self.n_train:,} rows of {self.n_features:,} features."
            )
        return None

    def notes(self, name: str) -> tuple[str, ...]:
        """What a model was not given."""
        most = self.most_rows(name)
        if most >= self.n_train or self.obstacle(name):
            return ()
        return (f"fitted on {most:,} of up to {self.n_train:,} training rows, to save time",)


def _training_rows(name: str, data: FitData, position: int, seed: int) -> NDArray[np.int64]:
    """The fold's training rows, or a random share of them where the table is large."""
    fold, most = data.folds[position], _Sizes.of(data, [position]).most_rows(name)
    if most >= len(fold.train):
        return fold.train
    generator = np.random.default_rng([seed, fold.repeat, fold.fold])
    return np.sort(generator.choice(fold.train, most, replace=False))
