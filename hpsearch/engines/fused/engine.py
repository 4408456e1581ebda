"""The fused engine: all folds and candidates of one structure train as one program.

The parent's half: has the workers sketch each candidate, groups those of one structure, and cuts
the groups into work units, which ``training`` trains. What cannot be traced goes to the
reference engine.
"""

from __future__ import annotations

import importlib.util
import itertools
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hpsearch.engines.backend import import_keras, keep_compiled_programs, unkept_programs
from hpsearch.engines.base_outputs import shortened
from hpsearch.engines.contract import Job, Span, UnitResult, WorkUnit
from hpsearch.engines.failures import reason_of
from hpsearch.engines.fit_data import FitData, read_fit_data
from hpsearch.engines.fused import KERAS_BACKEND, NAME
from hpsearch.engines.fused.configuration import FusedConfiguration
from hpsearch.engines.fused.obstacles import untraceable_reason
from hpsearch.engines.fused.refit import train_on_all_rows
from hpsearch.engines.fused.training import (
    UNIT_SIZES,
    FusedUnit,
    train_fused_unit,
)
from hpsearch.engines.kind import EngineKind, FallBack
from hpsearch.engines.plan import MANY_UNITS
from hpsearch.engines.probe import Probe
from hpsearch.engines.workers import WORKER_ENVIRONMENTS, Lost, Workers
from hpsearch.folds import Fold
from hpsearch.preprocessing import Layout
from hpsearch.space.space import Candidate, Space

CONVOLUTIONS = "convolutions are slower in a fused program on a processor"

MAX_WIDTH = 16
"""Replicas that train side by side at most; more fall out of the processor's cache."""


def import_jax() -> None:
    """What a worker loads while the parent still reads the data."""
    import_keras()
    warnings.simplefilter("ignore")  # what the default network caused is heard by the probe
    keep_compiled_programs()
    import hpsearch.engines.fused.program  # noqa: F401


@dataclass(frozen=True)
class Sketch:
    """What a candidate's network looks like, without its weights.

    Attributes
    ----------
    key : candidates of one key can train in one program.
    work : multiplications of a whole training, roughly; larger units start first.
    epochs : its budget.
    reason : why the network cannot be traced under JAX, or None.
    error, traceback : why it cannot be built at all, or None.
    """

    candidate: Candidate
    key: str = ""
    work: float = 0.0
    epochs: int = 1
    reason: str | None = None
    error: str | None = None
    traceback: str | None = None


class FusedEngine:
    """Scores candidates in worker processes (the ``Engine`` contract).

    Parameters
    ----------
    workers : processes with Keras on JAX.
    job : what they need.
    data : the parent's copy, for the plan.
    fall_back : scores what cannot be traced; called with that work and the reason.
    """

    def __init__(self, workers: Workers, job: Job, data: FitData, fall_back: FallBack) -> None:
        self._workers = workers
        self._job = job
        self._data = data
        self._fall_back = fall_back
        self._sketches: dict[int, Sketch] = {}

    def score(self, work: Sequence[WorkUnit]) -> Iterator[UnitResult]:
        """Train the given folds of each candidate; yield results as soon as they are there."""
        sketches = self._sketch({unit.candidate.trial: unit.candidate for unit in work})
        pairs = [(sketches[unit.candidate.trial], unit) for unit in work]
        for sketch, unit in pairs:
            if sketch.error is not None:
                yield failed_unit(unit, sketch)
        traced = [(sketch, unit) for sketch, unit in pairs if sketch.key]
        parts = parts_of(self._data.folds, 1 if self._data.layout.words else MAX_WIDTH)
        yield from self._train(plan_fused_units(traced, parts, self._job.options.patience))
        untraceable = [(sketch, unit) for sketch, unit in pairs if sketch.reason is not None]
        if untraceable:
            reason = str(untraceable[0][0].reason)
            yield from self._fall_back([unit for _, unit in untraceable], reason)

    def _train(self, units: Sequence[FusedUnit]) -> Iterator[UnitResult]:
        """Train units; where one is given up, each of its trials gets another chance alone."""
        again: list[FusedUnit] = []
        for outcome in self._workers.map_unordered(_train_task, [(self._job, u) for u in units]):
            if not isinstance(outcome, Lost):
                yield from outcome
                continue
            alone = outcome.task[1].by_trial()
            if len(alone) > 1:
                again += alone
            else:
                for part in outcome.task[1].parts:
                    yield UnitResult(part.without_states(), error=outcome.reason)
        if again:
            yield from self._train(again)

    def _sketch(self, candidates: Mapping[int, Candidate]) -> dict[int, Sketch]:
        """A sketch of every candidate, by trial; one that is known is not made again."""
        known = {
            trial: self._sketches[trial]
            for trial, candidate in candidates.items()
            if trial in self._sketches and self._sketches[trial].candidate == candidate
        }
        tasks = [(self._job, c) for trial, c in candidates.items() if trial not in known]
        for outcome in self._workers.map_unordered(_sketch_task, tasks):
            if isinstance(outcome, Lost):
                sketch = Sketch(outcome.task[1], error=outcome.reason)
            else:
                sketch = outcome
            known[sketch.candidate.trial] = sketch
        self._sketches |= known
        return known


def failed_unit(unit: WorkUnit, sketch: Sketch) -> UnitResult:
    """The result of a unit whose candidate's network cannot be built."""
    return UnitResult(
        unit.without_states(),
        values=unit.candidate.values,
        error=sketch.error,
        traceback=sketch.traceback,
    )


def parts_of(folds: Sequence[Fold], most: int = MAX_WIDTH) -> list[tuple[int, ...]]:
    """Fold positions that train side by side: the folds of one repeat, cut where they are many.

    The first part is as wide as any: the width depends on the folds of the first repeat alone.

    Parameters
    ----------
    most : positions of a part.
    """
    n_folds = sum(fold.repeat == folds[0].repeat for fold in folds)
    width = -(-n_folds // -(-n_folds // most))
    repeats: dict[int, list[int]] = {}
    for position, fold in enumerate(folds):
        repeats.setdefault(fold.repeat, []).append(position)
    return [
        tuple(positions[first : first + width])
        for positions in repeats.values()
        for first in range(0, len(positions), width)
    ]


def plan_fused_units(
    work: Sequence[tuple[Sketch, WorkUnit]],
    parts: Sequence[tuple[int, ...]],
    patience: int | None,
) -> list[FusedUnit]:
    """Cut each structure's work into units of nearly equal size, the largest work first.

    With ``patience`` a candidate's replicas stay in one unit, since they stop together.

    Parameters
    ----------
    work : what to train, each with its candidate's sketch.
    parts : the positions that train side by side; see ``parts_of``.
    """
    width = len(parts[0])
    groups: dict[tuple[str, int, Span], list[list[WorkUnit]]] = {}
    size: dict[tuple[str, int, Span], float] = {}
    for sketch, unit in work:
        wanted = (tuple(p for p in part if p in unit.folds) for part in parts)
        trial = [unit.of(part) for part in wanted if part]
        key = sketch.key, unit.first_epoch, unit.span
        groups.setdefault(key, []).extend([trial] if patience else [[p] for p in trial])
        epochs = unit.span.end(sketch.epochs) - unit.first_epoch
        size[key] = sketch.work * epochs / sketch.epochs
    for n_replicas in UNIT_SIZES:
        planned = [
            (-size[key] * sum(len(part.folds) for part in chosen), FusedUnit(chosen, width, key[0]))
            for key, indivisible in groups.items()
            for chosen in _cut(indivisible, n_replicas)
        ]
        if len(planned) >= MANY_UNITS:
            break
    return [unit for _, unit in sorted(planned, key=lambda item: item[0])]


def _cut(
    indivisible: Sequence[Sequence[WorkUnit]], n_replicas: int
) -> Iterator[tuple[WorkUnit, ...]]:
    """Put together so many parts, in their order, that the units are nearly of one size."""
    n_all = sum(len(part.folds) for parts in indivisible for part in parts)
    n_units = min(len(indivisible), max(1, round(n_all / n_replicas)))
    ends = [round(i * len(indivisible) / n_units) for i in range(n_units + 1)]
    for first, last in itertools.pairwise(ends):
        yield tuple(itertools.chain.from_iterable(indivisible[first:last]))


def _sketch_task(task: tuple[Job, Candidate]) -> Sketch:
    return sketch_candidate(*task)


def sketch_candidate(job: Job, candidate: Candidate) -> Sketch:
    """Build a candidate's network once and look at its structure; runs in a worker."""
    from hpsearch.engines.fused.structure import structure_key
    from hpsearch.engines.network import OutputForm

    data = read_fit_data(job.data_path)
    try:
        whole = FusedConfiguration(job, data, candidate.values)
        OutputForm.of(whole.network, data.target)
        ours, configuration = shortened(job, whole)
        later = [whole.in_phase(n) for n in range(1, len(whole.phases))]
        parts = [(one, one.network) for one in (configuration, *later)]
    except BaseException as error:
        return Sketch(candidate, error=reason_of(error), traceback=traceback.format_exc())
    try:
        for one, network in parts:
            has_words = bool(data.layout.words) and (one is whole or one in later)
            reason = untraceable_reason(network, one.input_form, one.problem, has_words=has_words)
            if reason is not None:
                return Sketch(candidate, reason=reason)
        size, values = configuration.settings.batch_size, configuration.values
        keys = [structure_key(n, size, values, one.input_form.names) for one, n in parts]
        base = "" if configuration is whole else f"-{Path(ours.data_path).parent.name}"
        key = "-".join(keys) + base + "".join(f"-{last}" for _, last in whole.phases[:-1])
    except BaseException as error:
        return Sketch(candidate, reason=reason_of(error))
    epochs = configuration.settings.epochs
    work = float(configuration.n_params) * data.encoded.n_rows * epochs
    return Sketch(candidate, key=f"{key}-{epochs}", work=work, epochs=epochs)


def _train_task(task: tuple[Job, FusedUnit]) -> list[UnitResult]:
    return train_fused_unit(*task)


def _data_obstacle(layout: Layout, space: Space) -> str | None:
    if importlib.util.find_spec("jax") is None:
        return "JAX is not installed"
    if space.mentions("tensorflow"):
        return "the space uses TensorFlow itself"
    return None


def _data_drawback(layout: Layout, space: Space) -> str | None:
    """Convolutions, by the names of layers such as ``Conv2D`` or ``SeparableConv1D``."""
    convolves = any(space.mentions(f"Conv{n}D") for n in (1, 2, 3))
    return CONVOLUTIONS if convolves and not _may_have_gpu() else None


def _may_have_gpu() -> bool:
    """Whether a look with JAX could find a GPU: there is a device file of a driver."""
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/kfd").exists()


def _network_obstacle(probe: Probe) -> str | None:
    return probe.untraceable


def _network_drawback(probe: Probe) -> str | None:
    return CONVOLUTIONS if probe.convolves and not probe.on_gpu else None


ENGINE = EngineKind(
    name=NAME,
    way="all folds and candidates of one structure train as one program",
    environment=WORKER_ENVIRONMENTS[KERAS_BACKEND],
    warm_up=import_jax,
    forks=True,
    make=FusedEngine,
    train_on_all_rows=train_on_all_rows,
    pins=True,
    data_obstacle=_data_obstacle,
    data_drawback=_data_drawback,
    network_obstacle=_network_obstacle,
    network_drawback=_network_drawback,
    caution=unkept_programs,
    fallback="reference",
)
