"""Refit and export: train the selected configuration on all rows, save it, prove the reload.

The worker's half trains and writes ``model.keras``; the parent's half has a fresh process reload
it, in safe mode and without the space's file, but for what the network holds of it, and compares
predictions bit by bit. Nothing is kept that does not pass.
"""

from __future__ import annotations

import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.dataset import Schema
from hpsearch.data.names import listed
from hpsearch.decisions.calibrators import Calibrator, calibrator_in
from hpsearch.decisions.ensembles import Ensemble
from hpsearch.engines.contract import Job
from hpsearch.engines.failures import raise_if_out_of_memory, reason_of
from hpsearch.engines.fit_data import FitData, read_fit_data
from hpsearch.engines.input_form import InputForm
from hpsearch.engines.lookups import Lookups, looks_up, lookups_of, named_lookups_of
from hpsearch.engines.network import numpy_links, side_by_side, single_precision
from hpsearch.errors import BundleError, HpsearchError, InputError
from hpsearch.export.bundle import (
    bundle_ensemble,
    canonical,
    file_sha256,
    load_keras_file,
    predict_encoded,
    rows_at_once,
    save_keras_file,
)
from hpsearch.export.code import objects_with_code
from hpsearch.export.graph_inputs import model_inputs
from hpsearch.export.inputs import described_model
from hpsearch.export.inspection import inspect_network
from hpsearch.export.lengths import by_length, open_in_network
from hpsearch.export.members import Member, OnAllRows, Part, TrainOnAllRows
from hpsearch.export.misses import N_SAMPLED, SEEDS_BETWEEN, TRAININGS, Usual
from hpsearch.export.transformer import Kept
from hpsearch.keras_settings import keras_settings
from hpsearch.metrics import Metric, metric_named
from hpsearch.preprocessing import Encoded
from hpsearch.results.files import to_json_text
from hpsearch.space.own_objects import own_objects
from hpsearch.space.source import SpaceSource
from hpsearch.space.space import Candidate
from hpsearch.task import loss_sign

NOTHING: Final[Mapping[str, Any]] = {"modes": None, "learning_rate": None}
"""What ``inspection.inspect_network`` says of a network that it was not asked about."""

TIMES_TIMED: Final = 7
"""Predictions of one batch, after a first one, that tell how long it takes."""


@dataclass(frozen=True, eq=False)
class Refitted:
    """What the worker leaves.

    Attributes
    ----------
    sha256 : of ``model.keras``.
    n_params : parameters of all networks together.
    n_bytes : of ``model.keras``.
    predictions : canonical, of the test rows (n, ...), or None.
    word_slots : the slots of the words, for the manifest.
    inspected : what ``inspection.inspect_network`` says of the network.
    lookups : what the network looks up, as ``Lookups.to_json`` gives it.
    predicting : of several networks, rows of ``predicting.csv``.
    own : registered name of each object of one's own in the networks, to its module.
    n_trainings : how often a network was trained at most, until a training did not miss.
    """

    sha256: str
    n_params: int
    n_bytes: int
    predictions: NDArray[np.floating[Any]] | None
    word_slots: tuple[int, ...]
    inspected: Mapping[str, Any] = field(default_factory=dict)
    lookups: Sequence[Mapping[str, Any]] = ()
    predicting: Sequence[Mapping[str, Any]] = ()
    own: Mapping[str, str] = field(default_factory=dict)
    n_trainings: int = 1

    def measured(self, ensemble: Ensemble) -> Ensemble:
        """The record of an ensemble, with the size of the file that holds it."""
        return replace(ensemble, n_params=self.n_params, n_bytes=self.n_bytes)


def refit_steps(data: FitData, *, batch_size: int, best_epoch: int) -> int:
    """Optimizer steps of the refit: as many epochs of all rows as the best epoch was.

    Whole epochs, so that each row is seen as often as it was in the folds, and so that a schedule
    that counts by ``Problem.total_steps`` ends where it ended there.
    """
    return best_epoch * -(-data.encoded.n_rows // batch_size)


def refit_and_export(
    train: TrainOnAllRows,
    job: Job,
    members: Sequence[Member],
    schema: Schema,
    path: str,
    check_path: str,
    test_rows: Encoded | None,
    decisions: Mapping[str, Any] | None = None,
) -> Refitted:
    """Train on all rows and write the exported model; runs in a worker.

    Parameters
    ----------
    train : the engine's ``EngineKind.train_on_all_rows``.
    members : the networks whose weighted mean is exported, mostly one; what is inspected is the
        first.
    path : where ``model.keras`` goes; ``check_path`` gets inputs and predictions for the reload.
    test_rows : rows to predict with the exported model, or None.
    decisions : what predicting needs of what was decided; stands in the file. A calibrator is part
        of the graph.

    Raises
    ------
    BundleError
        If the refit failed or diverged, the network cannot be written, or the exported model does
        not predict what the network does.
    """
    import keras

    keras.utils.clear_session()  # names of layers count what a process built before
    with _told_in_one_line([member.candidate for member in members]):
        return _refitted(train, job, members, schema, path, check_path, test_rows, decisions or {})


def _refitted(
    train: TrainOnAllRows,
    job: Job,
    members: Sequence[Member],
    schema: Schema,
    path: str,
    check_path: str,
    test_rows: Encoded | None,
    decisions: Mapping[str, Any],
) -> Refitted:
    data = read_fit_data(job.data_path)
    parts = [_made(member, train, job, data) for member in members]
    networks = [part.network for part in parts]
    lookups = Lookups.joined([_looked_up(network, data) for network in networks])
    slots, calibrator = parts[0].statistics.word_slots, calibrator_in(decisions)
    with keras_settings():  # what the space sets of its own is in the network's layers
        model = bundle_ensemble(parts, schema, data.layout, calibrator)
        described = described_model(schema, data.layout, slots.tolist(), decisions)
        save_keras_file(model, Path(path), to_json_text(described))
    sample = data.encoded_in(None).take(slice(0, rows_at_once(data.layout)))
    outputs = predict_encoded(model, sample, data.layout, slots)
    _check_same(parts, calibrator, sample, data, outputs, members)
    inputs: dict[str, Any] = model_inputs(sample, data.layout, slots)
    _save_arrays(check_path, {"outputs": _of_one_batch(model, inputs), **inputs})
    predictions = None
    if test_rows is not None:
        lookups.check_rows(test_rows, data.layout)
        outputs = predict_encoded(model, test_rows, data.layout, slots)
        predictions = canonical(data.target, outputs)
    predicting = []
    if len(parts) > 1:
        with keras_settings():
            alone = bundle_ensemble([replace(parts[0], weight=1.0)], schema, data.layout)
        predicting = list(_timed({"exported": model, "one network": alone}, inputs, len(outputs)))
    return Refitted(
        predicting=predicting,
        sha256=file_sha256(Path(path)),
        n_params=sum(int(network.count_params()) for network in networks),
        n_bytes=Path(path).stat().st_size,
        predictions=predictions,
        word_slots=tuple(slots.tolist()),
        inspected=_inspected(networks[0], job, members[0]),
        lookups=lookups.to_json(data.layout),
        own=objects_with_code(one for network in networks for one in own_objects(network)),
        n_trainings=max(part.n_trainings for part in parts),
    )


def _of_one_batch(model: Any, inputs: Mapping[str, Any]) -> NDArray[np.float32]:
    """What the fresh process is to predict, which knows nothing of sequences of like length."""
    with keras_settings():
        return np.asarray(model.predict_on_batch(inputs))


def _looked_up(network: Any, data: FitData) -> Lookups:
    """Which numbers a trained network looks up as they are."""
    form = InputForm.on(network, data.layout)
    if form.names:
        return named_lookups_of(network, form, data)
    return lookups_of(network, data.raw_range) if looks_up(network) else Lookups()


def _timed(models: Mapping[str, Any], inputs: Any, n_rows: int) -> Iterator[dict[str, Any]]:
    """How long models take for the same rows, by turns, since a machine has other things to do."""
    took: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(1 + TIMES_TIMED):
        for name, model in models.items():
            began = time.perf_counter()
            model.predict_on_batch(inputs)
            took[name].append(time.perf_counter() - began)
    for name, seconds in took.items():
        yield {"model": name, "n_rows": n_rows, "seconds": float(np.median(seconds[1:]))}


def _inspected(network: Any, job: Job, member: Member) -> dict[str, Any]:
    """What was looked at in the first network; nothing where it was not trained on all rows."""
    if not isinstance(member, OnAllRows):
        return dict(NOTHING)
    return inspect_network(network, job, member.candidate, member.n_steps)


@contextmanager
def _told_in_one_line(candidates: Sequence[Candidate]) -> Iterator[None]:
    """Whatever a space's code, or Keras, raises once all folds are trained is a ``BundleError``."""
    try:
        yield
    except HpsearchError:
        raise
    except BaseException as error:
        raise_if_out_of_memory(error)
        its, their = ("its", "its") if len(candidates) == 1 else ("their", "the")
        raise BundleError(
            f"{_named(candidates).capitalize()} trained on {its} folds, but {their} final model "
            "could not be made: "
            f"{reason_of(error).rstrip('.')}. Everything else is recorded: correct what failed and "
            "resume the run."
        ) from error


def _named(candidates: Sequence[Candidate]) -> str:
    """The trials, in a sentence."""
    numbers = list(dict.fromkeys(str(candidate.trial) for candidate in candidates))
    return f"trial{'s' * (len(numbers) > 1)} {listed(numbers, most=5)}"


def _save_arrays(path: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """An ``.npz`` file without the time, for which ``numpy.savez`` takes a clock that is right."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asarray(array), allow_pickle=False)


def refit_and_predict(
    train: TrainOnAllRows, job: Job, members: Sequence[Member], rows: Encoded
) -> NDArray[np.floating[Any]]:
    """Train on all rows of the job and predict others, canonically; runs in a worker.

    What ``refit_and_export`` exports predicts the same, up to the last digits of float32.
    """
    data = read_fit_data(job.data_path)
    total: Any = 0.0
    with _told_in_one_line([member.candidate for member in members]):
        for member in members:
            predictions = _predicted(_made(member, train, job, data), data, rows)
            if len(members) == 1:
                return predictions
            total = total + member.weight * predictions.astype(np.float64)
    return np.asarray(total, data.target.prediction_dtype)


def _made(member: Member, train: TrainOnAllRows, job: Job, data: FitData) -> Part:
    """A member's first training that did not miss.

    The best one, by its training rows, where all of a few did.
    """
    if not isinstance(member, OnAllRows) or member.usual is None:
        return member.made(train, job)
    metric = metric_named(job.options.metrics[0])
    best: tuple[float, Part] | None = None
    n_trainings = 0
    for number in range(TRAININGS):
        again = replace(member, number=member.number + number * SEEDS_BETWEEN)
        try:
            part = again.made(train, job)
        except Exception:
            if best is None:
                raise
            break  # what is there is worth more than what went wrong since
        n_trainings = number + 1
        loss = _loss_if_missed(part, member.usual, metric, data)
        if loss is None:
            return replace(part, n_trainings=n_trainings)
        if best is None or loss < best[0]:
            best = loss, part
        del part  # so that the best one alone is held while the next one trains
    assert best is not None
    return replace(best[1], n_trainings=n_trainings)


def _loss_if_missed(part: Part, usual: Usual, metric: Metric, data: FitData) -> float | None:
    """How a training that missed scores on all its rows, as a loss; None of one that did not."""
    n_rows, score = data.encoded.n_rows, np.nan
    sample = np.random.default_rng(0).permutation(n_rows)[:N_SAMPLED]
    for rows in (np.sort(sample), np.arange(n_rows)):
        predictions = _on_training_rows(part, data, rows)
        score = float(data.scores(metric, rows, predictions))
        if not usual.is_missed_by(score, metric.direction):
            return None
        if len(rows) == n_rows:
            break
    if np.isnan(score) and np.isfinite(predictions).all():
        return None  # the metric has no value, whatever was learnt
    return loss_sign(metric.direction) * score if np.isfinite(score) else np.inf


def _on_training_rows(part: Part, data: FitData, rows: NDArray[np.int64]) -> NDArray[Any]:
    """A network's canonical predictions of rows that it was trained on, some at a time."""
    encoded, size = data.encoded_in(None), rows_at_once(data.layout)
    blocks = (rows[first : first + size] for first in range(0, len(rows), size))
    return np.concatenate([_predicted(part, data, encoded.take(block)) for block in blocks])


def _predicted(part: Part, data: FitData, rows: Encoded) -> NDArray[np.floating[Any]]:
    """A network's canonical predictions."""
    taken = open_in_network(part.network, data.layout)
    return by_length(taken, rows, data.layout, lambda some: _of_one_length(part, data, some))


def _of_one_length(part: Part, data: FitData, rows: Encoded) -> NDArray[np.floating[Any]]:
    blocks, size = [], rows_at_once(data.layout)
    form = InputForm.on(part.network, data.layout)
    for first in range(0, rows.n_rows, size):
        block = rows.take(slice(first, first + size))
        batch = form.rows(block, data.layout, part.statistics)
        raw = side_by_side(numpy_links, part.network.predict_on_batch(batch))
        raw = np.asarray(raw)
        found = part.form.predictions(data.target, part.statistics, raw, block.exposure)
        blocks.append(found)
    return np.concatenate(blocks)


def _check_same(
    parts: Sequence[Part],
    calibrator: Calibrator | None,
    sample: Encoded,
    data: FitData,
    outputs: NDArray[np.float32],
    members: Sequence[Member],
) -> None:
    """The exported graph computes in another order than its networks alone, so bits may differ."""
    if not np.isfinite(outputs).all():
        raise BundleError(
            f"The refit of {_named([m.candidate for m in members])} diverged, although none of "
            f"{'its' if len(members) == 1 else 'their'} folds did. "
            "Choose another --seed, or narrow its learning rate."
        )
    found = [_outputs_alone(part, sample, data) for part in parts]
    expected = found[0]
    if len(parts) > 1:
        expected = np.average(found, axis=0, weights=[part.weight for part in parts])
    if calibrator is not None:
        expected = calibrator.columns(np, np.asarray(expected, np.float64))
    scale = data.refit_statistics.target_scale
    if data.target.transform or data.target.kind == "count":  # the scale is another one
        scale = np.maximum(np.abs(expected).max(axis=0), np.finfo(np.float32).tiny)
    if not np.allclose(outputs / scale, expected / scale, rtol=1e-3, atol=1e-4):
        worst = float(np.abs(outputs - expected).max())
        raise BundleError(
            "The exported model must predict what the trained network predicts; they differ by "
            f"up to {worst:.3g}. Look for a layer that behaves differently once it is saved."
        )


def _outputs_alone(part: Part, sample: Encoded, data: FitData) -> NDArray[Any]:
    """What a network predicts, less the target's offset, as the exported graph gives it."""
    statistics = part.statistics
    rows = InputForm.on(part.network, data.layout).rows(sample, data.layout, statistics)
    raw = single_precision(side_by_side(numpy_links, part.network.predict_on_batch(rows)))
    centre = data.target.less_offset(statistics.target_centre)
    learnt = centre, statistics.target_scale, statistics.target_power
    exposure = None if sample.exposure is None else sample.exposure[:, np.newaxis]
    return np.asarray(part.form.canonical(numpy_links, data.target, raw, *learnt, exposure))


def check_reload(
    model_path: str,
    check_path: str,
    code: SpaceSource | None = None,
    transformer: Kept | None = None,
) -> None:
    """Reload the exported model and compare its predictions; runs in a fresh process.

    Parameters
    ----------
    code : what registers the objects of one's own that it holds.
    transformer : of one's own, which stands before it; it is read from its file as well.

    Raises
    ------
    BundleError
        If it can't be loaded, or predicts something else than before, be it by a bit.
    """
    if transformer is not None:
        try:
            transformer.check()
        except InputError as error:
            raise BundleError(str(error)) from error
    with np.load(check_path, allow_pickle=False) as check:
        inputs: dict[str, Any] = {name: check[name] for name in check.files}
    expected = inputs.pop("outputs")
    try:
        with keras_settings():
            outputs = np.asarray(load_keras_file(Path(model_path), code).predict_on_batch(inputs))
    except Exception as error:
        raise _not_the_same(reason_of(error)) from error
    if not np.array_equal(outputs, expected):
        worst = float(np.abs(outputs - expected).max())
        raise _not_the_same(f"predictions differ by up to {worst:.3g}")


def _not_the_same(reason: str) -> BundleError:
    return BundleError(
        "The exported model must predict the same after a reload in a fresh process: "
        f"{reason.rstrip('.')}. Look for a layer that keeps state outside its weights."
    )
