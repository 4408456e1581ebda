"""What stands for Keras where a test is about the search around it: NumPy that learns, quickly.

``train`` fits a linear, logistic or softmax model of a fold's rows by gradient steps, at the
candidate's ``rate``, from the replica's seed, and goes on from a state as an engine does. What is
around it is the real thing: the search, its stages, the journal, the tables. That engines train
right is proved in ``tests/engines``. It is an engine of its own, ``pretended``; what it trains is
no Keras model, so that the export is pretended, too: its file holds arrays, which predict.
"""

import hashlib
import pickle
from contextlib import contextmanager

import numpy as np
import pytest

from hpsearch import engines
from hpsearch.engines.contract import FoldResult, NetworkWeights, UnitResult
from hpsearch.engines.fit_data import read_fit_data, training_target
from hpsearch.engines.kind import EngineKind
from hpsearch.engines.plan import REFIT, batch_order, plan_units, replica_seed
from hpsearch.engines.probe import Probe
from hpsearch.engines.workers import WORKER_ENVIRONMENT
from hpsearch.preprocessing import design_rows
from hpsearch.preprocessing.design import design_batch
from hpsearch.space.space import fit_settings

HIGHEST_RATE = 0.9
"""Trials whose rate is above fail."""


class PretendedEngine:
    """Trains a unit a task, as the reference engine does."""

    train = staticmethod(lambda task: train(*task))

    def __init__(self, workers, job, data, fall_back):
        self.workers, self.job, self.data = workers, job, data

    def score(self, work):
        units = plan_units(work, self.data.folds, patience=None)
        yield from self.workers.map_unordered(self.train, [(self.job, unit) for unit in units])


def train(job, unit):
    """Train a unit's replicas."""
    values, whole = dict(unit.candidate.values), unit.without_states()
    if values["rate"] > HIGHEST_RATE:
        return UnitResult(whole, values=values, error="its rate is too high")
    folds = tuple(_train_fold(job, unit, position) for position in unit.folds)
    return UnitResult(whole, folds, values, n_params=3, seconds=0.01)


class Network:
    """A linear model of a job's rows, logistic or softmax where these have classes.

    ``weights`` is all its state; statistics are those of the rows that it may see.
    """

    def __init__(self, job, candidate, statistics, seed, position=None):
        self.data, self.statistics, self.seed = read_fit_data(job.data_path), statistics, seed
        self.rate = candidate.values["rate"]
        self.settings = fit_settings(candidate.values, job.options.batch_size, job.options.epochs)
        target = self.data.target
        self.kind = target.kind
        y = training_target(self.data, statistics)
        n = target.n_outputs
        self.y = np.eye(n)[y] if self.kind == "multiclass" else y.reshape(len(y), n)
        weights = self.data.weights
        counts = np.ones(len(y)) if weights is None else weights.of(self.data.y, position)
        trained = slice(None) if position is None else self.data.folds[position].train
        self.counts = counts.astype(np.float64) / counts[trained].mean()
        self.rows = self._design(self.data.encoded_in(position))
        self.weights = np.random.default_rng(seed).normal(0.0, 0.3, (self.rows.shape[1], n))

    def train_epoch(self, rows, epoch, n_steps=None):
        order = rows[batch_order(self.seed, epoch, len(rows))]
        size = self.settings.batch_size
        for first in range(0, len(order), size)[:n_steps]:
            batch = order[first : first + size]
            errors = _outputs(self.rows[batch] @ self.weights, self.kind) - self.y[batch]
            counts = self.counts[batch] / len(batch)
            self.weights = self.weights - self.rate * (self.rows[batch].T * counts) @ errors

    def predict(self, encoded):
        """Canonical predictions."""
        outputs = _outputs(self._design(encoded) @ self.weights, self.kind)
        canonical = outputs * self.statistics.target_scale + self.statistics.target_centre
        if encoded.exposure is not None:
            canonical = canonical * encoded.exposure[:, np.newaxis]
        return (canonical[:, 0] if self.kind == "binary" else canonical).astype(np.float32)

    def _design(self, encoded):
        return _with_one(design_rows(encoded, self.data.layout, self.statistics))


def _with_one(rows):
    rows = rows.reshape(len(rows), -1)
    return np.column_stack([rows, np.ones(len(rows))])


def _outputs(sums, kind):
    if kind == "multiclass":
        powers = np.exp(sums - sums.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)
    return 1 / (1 + np.exp(-sums)) if kind in ("binary", "multilabel") else sums


class FoldModel(Network):
    """A fold's network made again, as ``hpsearch.scoring.fold_networks`` does."""

    @classmethod
    def of(cls, job, candidate, fold):
        statistics = read_fit_data(job.data_path).statistics[fold.position]
        network = cls(job, candidate, statistics, 0, fold.position)
        [network.weights] = fold.trained.weights
        return network


class Loaded:
    """What a pretended ``model.keras`` holds, with the method of a Keras model that predicts."""

    def __init__(self, content):
        self.layout, self.kind, self.parts, self.calibrator = pickle.loads(content)

    def predict_on_batch(self, inputs):
        outputs = [weight * self._outputs(inputs, *part) for weight, *part in self.parts]
        mean = sum(outputs[1:], outputs[0])
        mean = mean if self.calibrator is None else self.calibrator.columns(np, mean)
        return mean.astype(np.float32)

    def _outputs(self, inputs, statistics, weights):
        arrays = tuple(inputs[f"array_{i}"] for i in range(len(self.layout.arrays)))
        named = {name: inputs.get(name) for name in ("numbers", "codes", "words", "prepared")}
        rows = _with_one(design_batch(np, self.layout, statistics, **named, arrays=arrays))
        outputs = _outputs((rows[:, :, None] * weights).sum(axis=1), self.kind)
        values = outputs * statistics.target_scale + statistics.target_centre
        return values * inputs.get("exposure", 1.0)


def _train_fold(job, unit, position):
    data, options, trial = read_fit_data(job.data_path), job.options, unit.candidate.trial
    fold = data.folds[position]
    seed = replica_seed(options.seed, trial, fold.repeat, fold.fold)
    network = Network(job, unit.candidate, data.statistics[position], seed, position)
    if unit.states is not None:
        network.weights = unit.states[position]
    first, budget = unit.first_epoch, network.settings.epochs
    end, predictions = unit.span.end(budget), []
    for epoch in range(first, end):
        network.train_epoch(fold.train, epoch)
        predictions.append(network.predict(data.encoded_in(position)))
    predictions = np.stack(predictions)
    curves = {
        side: {str(name): data.scores(name, rows, predictions[:, rows]) for name in options.metrics}
        for side, rows in (("train", fold.train), ("validation", fold.validation))
    }
    trained = FoldResult(
        position=position,
        seed=seed,
        epochs=end - first,
        train_loss=curves["train"][options.metrics[0]],
        predictions=predictions[:, fold.validation],
        since=first,
        state=network.weights if end < budget and not unit.keeps_networks else None,
        network=NetworkWeights("pretended", (network.weights,)) if unit.keeps_networks else None,
        **curves,
    )
    return trained.between(unit.span.since, end)


def check_reload(model_path, check_path, code=None, transformer=None):
    if transformer is not None:
        transformer.check()


def refit_and_export(
    train, job, members, schema, model_path, check_path, test_rows, decisions=None
):
    from hpsearch.decisions.calibrators import calibrator_in
    from hpsearch.export.refit import Refitted  # here, so that a worker's import of this is quick

    calibrator = calibrator_in(decisions)
    networks = _made(train, job, members)
    layout, kind = networks[0].data.layout, networks[0].kind
    parts = [
        (member.weight, network.statistics, network.weights)
        for member, network in zip(members, networks, strict=True)
    ]
    content = pickle.dumps((layout, kind, parts, calibrator))
    with open(model_path, "wb") as file:
        file.write(content)
    digest = hashlib.sha256(content).hexdigest()
    predictions = None if test_rows is None else _mean(members, networks, test_rows)
    if calibrator is not None and predictions is not None:
        predictions = calibrator.predictions(predictions)
    slots = tuple(networks[0].statistics.word_slots.tolist())
    return Refitted(digest, 9 * len(networks), len(content), predictions, slots)


def refit_and_predict(train, job, members, rows):
    return _mean(members, _made(train, job, members), rows)


def _made(train, job, members):
    return [
        FoldModel.of(job, m.candidate, m.fold)
        if hasattr(m, "fold")
        else train(job, m.candidate, m.n_steps, m.number)
        for m in members
    ]


def _mean(members, networks, rows):
    parts = [m.weight * n.predict(rows) for m, n in zip(members, networks, strict=True)]
    return sum(parts[1:], parts[0])


def train_on_all_rows(job, candidate, n_steps, number=0):
    data = read_fit_data(job.data_path)
    seed = replica_seed(job.options.seed, candidate.trial, REFIT, number)
    network = Network(job, candidate, data.refit_statistics, seed)
    every_row = np.arange(data.encoded.n_rows)
    per_epoch = -(-len(every_row) // network.settings.batch_size)
    for epoch, done in enumerate(range(0, n_steps, per_epoch)):
        network.train_epoch(every_row, epoch, n_steps - done)
    return network


ENGINE = EngineKind(
    name="pretended",
    way="it pretends",
    environment=WORKER_ENVIRONMENT,
    warm_up=None,
    make=PretendedEngine,
    train_on_all_rows=train_on_all_rows,
    probe=lambda *arguments: Probe(None, (), scalable_target=True),
)


@contextmanager
def pretend():
    """Let searches take this engine, whose name it gives, and export what it trains."""
    with engines.registered(ENGINE), pytest.MonkeyPatch.context() as patch:
        patch.setattr("hpsearch.search.final_model.refit_and_export", refit_and_export)
        patch.setattr("hpsearch.search.single.refit_and_export", refit_and_export)
        patch.setattr("hpsearch.search.nesting.refit_and_predict", refit_and_predict)
        patch.setattr(
            "hpsearch.export.bundle.load_keras_bytes", lambda content, *_: Loaded(content)
        )
        patch.setattr("hpsearch.search.final_model.check_reload", check_reload)
        patch.setattr("hpsearch.search.column_importance.FoldModel", FoldModel)
        patch.setattr("hpsearch.scoring.crew.Crew.fresh", lambda crew, kind: crew.workers)
        yield ENGINE.name
