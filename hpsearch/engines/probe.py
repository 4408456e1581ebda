"""The probe: whether a space gives a network that can be trained, scored and saved.

Runs in a worker before any training, so that a mistake in a space costs seconds and one line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch import keras_internals
from hpsearch.engines.augmentation import check_value_ranges
from hpsearch.engines.contract import Job
from hpsearch.engines.endings import Ending
from hpsearch.engines.failures import reason_of
from hpsearch.engines.fit_data import problem_of, read_fit_data, smallest_training_set
from hpsearch.engines.frozen_base import cut_of
from hpsearch.engines.initial import numpy_draws
from hpsearch.engines.input_form import InputForm, made_up
from hpsearch.engines.lookups import Lookups, looks_up, lookups_of
from hpsearch.engines.network import (
    OutputForm,
    losses_of,
    numpy_links,
    side_by_side,
)
from hpsearch.errors import InputError, SpaceError
from hpsearch.preprocessing import RawRange
from hpsearch.space.guards import heard_warnings
from hpsearch.space.network_checks import check_saves
from hpsearch.space.phases import enter, spans
from hpsearch.space.space import Built, Candidate, Space, fit_settings
from hpsearch.task import Problem, Target

_N_ROWS = 4
_DISTANCE_LOSSES = ("mean_squared_error", "mean_absolute_error", "huber", "log_cosh", "logcosh")


@dataclass(frozen=True)
class TriedPhase:
    """A phase of the default network: epochs after ``since``, up to ``until``.

    ``n_params`` of its parameters learn.
    """

    since: int
    until: int
    n_params: int

    @property
    def words(self) -> str:
        """What happens in it."""
        last = f" to {self.until}" if self.until > self.since + 1 else ""
        return f"epoch {self.since + 1}{last}: {self.n_params:,} learn"


@dataclass(frozen=True)
class Probe:
    """What the default network showed.

    Attributes
    ----------
    hyperparameters : the declared space as keras-tuner's configuration, where it was discovered
        by building networks; else None.
    under_if : hyperparameters declared under a Python ``if``.
    failures : what some networks raised that were built to find the hyperparameters.
    complete : whether enough networks were built to try every branch of the space.
    scalable_target : whether a scaled target suits the network.
    untraceable : under JAX, why the network cannot train in a fused program; else None.
    n_params : parameters; convolves : whether what is run each epoch has convolutions.
    run_once : parameters of a frozen base, which is run once over the table (``frozen_base``).
    on_gpu : whether JAX found a GPU.
    endings : what each output's last layer can give.
    heard : what Keras, or another library, warned of while the network was built and tried.
    beyond : that a target lies beyond what the last layer can give, in a sentence; or empty.
    asks_for_tokens : whether the network takes numbers of things; ``lookups`` says which, once it
        was tried with the rows' ranges.
    phases : in which it trains; empty where the space declares none.
    """

    hyperparameters: dict[str, Any] | None
    under_if: tuple[str, ...]
    scalable_target: bool
    failures: tuple[str, ...] = ()
    complete: bool = True
    untraceable: str | None = None
    n_params: int = 0
    convolves: bool = False
    run_once: int = 0
    on_gpu: bool = False
    endings: tuple[Ending, ...] = ()
    heard: tuple[str, ...] = ()
    beyond: str = ""
    asks_for_tokens: bool = False
    lookups: Lookups | None = None
    phases: tuple[TriedPhase, ...] = ()

    def facing(self, target: Target, y: NDArray[Any]) -> Probe:
        """The same, with a word where the network cannot reach a target as its loss sees it.

        Parameters
        ----------
        y : every row's target (n, n_outputs), scaled where targets are.
        """
        if target.kind not in ("regression", "count", "quantile") or not self.endings:
            return self
        columns = np.split(y, np.cumsum([ending.n_units for ending in self.endings])[:-1], axis=1)
        pairs = zip(self.endings, columns, strict=True)
        texts = (
            f"The target goes from {values.min():.4g} to {values.max():.4g} as the loss sees it, "
            f"while {ending.words}, so that no network can follow it. Leave out the activation of "
            "the last layer."
            for ending, values in pairs
            if not ending.can_give(values)
        )
        return replace(self, beyond=next(texts, ""))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is worth a word about how the space declares its hyperparameters."""
        texts = (
            self.under_if
            and f"Declared under a Python `if` or loop: {', '.join(self.under_if)}. Every "
            "candidate carries a value for them, used or not; declare them under "
            "hp.conditional_scope to avoid that.",
            self.failures
            and "Some configurations of the space cannot be built, and will be failed trials. "
            f"The first reason: {self.failures[0]}",
            not self.complete
            and "The space has more branches than the networks that were built to find its "
            "hyperparameters, so some of them may be missing. Give the space a function "
            "`declare(hp, problem)`, which needs no networks.",
            self.beyond,
            *(f"While the default network was tried: {text}" for text in self.heard),
        )
        return tuple(text for text in texts if text)


def probe_space(
    space_bytes: bytes,
    problem: Problem,
    target: Target,
    fixes: Mapping[str, Any],
    values: Mapping[str, Any] | None,
    must_save: bool,
    has_words: bool = False,
    raw: RawRange | None = None,
) -> Probe:
    """Build the default network, train one step on made-up rows, and predict.

    Parameters
    ----------
    values : the default candidate; None to discover the space by building networks first.
    must_save : whether the network must be loadable without the space's code.
    has_words : whether there are bags of words among the columns of its rows.
    raw : of the rows, where the network takes numbers as they are. Without it such a network is
        built and no more: the answer is that it ``asks_for_tokens``.

    Raises
    ------
    SpaceError
        If anything of that fails, with the reason.
    OptionError
        If the space's own ``batch_size`` or ``epochs`` is no whole number of at least 1.
    """
    with heard_warnings() as heard:
        probe = _probe(
            Space.from_bytes(space_bytes),
            problem,
            target,
            fixes,
            values,
            raw,
            must_save=must_save,
            has_words=has_words,
        )
    return replace(probe, heard=tuple(heard))


def _probe(
    space: Space,
    problem: Problem,
    target: Target,
    fixes: Mapping[str, Any],
    values: Mapping[str, Any] | None,
    raw: RawRange | None,
    *,
    must_save: bool,
    has_words: bool,
) -> Probe:
    found: dict[str, Any] | None = None
    discovery = None
    if values is None:
        from hpsearch.space.hyperparameters import active_values, narrow

        with numpy_draws():
            discovery = space.discover(problem)
        narrowed = narrow(discovery.hyperparameters, fixes)
        found = discovery.hyperparameters.get_config()
        with numpy_draws():
            values = space.settled(active_values(narrowed, narrowed.values), problem, fixes)
    fit_settings(values, default_batch_size=1, default_epochs=problem.epochs)
    built = _build(space, values, problem, fixes)
    model = built.model
    given = InputForm.of(model, problem.input_shape, problem.inputs)
    form = OutputForm.of(model, target)
    asks = looks_up(model) and not given.names
    if asks and raw is None:
        return Probe(None, (), False, asks_for_tokens=True)
    lookups = lookups_of(model, raw) if asks and raw is not None else None
    if must_save:
        check_saves(space.name, model, space.registered)
    check_value_ranges(model)
    rows = given.given(_made_up_rows(given, problem, lookups, raw))
    tried = _Tried()
    for number, span in enumerate(_spans(built, problem, values)):
        one, other = (_build(space, values, problem, fixes, number) for _ in range(2))
        _check_fresh(space, one.model, other.model)
        untraceable = _untraceable(one.model, given, problem, has_words=has_words)
        if untraceable is None and tried.untraceable is None:
            _try(space, one.model, form, rows, target)
        tried.note(number, span, one.model, untraceable)
    return Probe(
        found,
        under_if=discovery.under_if if discovery else (),
        scalable_target=_scalable_target(model, target),
        failures=discovery.failures if discovery else (),
        complete=discovery.complete if discovery else True,
        untraceable=tried.untraceable,
        n_params=int(model.count_params()),
        convolves=tried.convolves,
        run_once=tried.run_once,
        on_gpu=_on_gpu(),
        endings=tuple(Ending.of(output) for output in model.outputs),
        asks_for_tokens=asks,
        lookups=lookups,
        phases=tuple(tried.phases) if built.phases else (),
    )


def settle(task: tuple[Job, Candidate]) -> Candidate:
    """A candidate with the values that its build asks for; as it is where that cannot be told.

    What a build raises is told where the candidate is trained.
    """
    job, candidate = task
    data, options = read_fit_data(job.data_path), job.options
    try:
        settings = fit_settings(candidate.values, options.batch_size, options.epochs)
        n_train = smallest_training_set(data.folds)
        problem = problem_of(data.target, data.layout, n_train=n_train, epochs=settings.epochs)
        with numpy_draws(), heard_warnings():
            space = Space.from_bytes(job.space)
            values = space.settled(candidate.values, problem, dict(job.fixes))
    except InputError:
        return candidate
    return Candidate(candidate.trial, values)


def _build(
    space: Space,
    values: Mapping[str, Any],
    problem: Problem,
    fixes: Mapping[str, Any],
    phase: int = 0,
) -> Built:
    """The default network, in a phase where it has any."""
    with numpy_draws():  # no layer's shape needs a compiled program then
        built = space.construct(values, problem, fixes)
        if built.phases:
            enter(space.name, built.model, built.phases, phase)
        return built


def _spans(built: Built, problem: Problem, values: Mapping[str, Any]) -> list[tuple[int, int]]:
    """The epochs of each phase; all of them where there is one."""
    epochs = fit_settings(values, 1, problem.epochs).epochs
    return spans(built.phases, epochs) if built.phases else [(0, epochs)]


@dataclass
class _Tried:
    """What trying a network showed, phase by phase."""

    untraceable: str | None = None
    convolves: bool = False
    run_once: int = 0
    phases: list[TriedPhase] = field(default_factory=list)

    def note(self, number: int, span: tuple[int, int], model: Any, untraceable: str | None) -> None:
        """Note a phase, from 0, in which a model was tried."""
        cut = None if number else cut_of(model)
        self.untraceable = self.untraceable or untraceable
        self.convolves = self.convolves or _convolves(model if cut is None else cut.head)
        self.run_once = cut.n_params if cut else self.run_once
        self.phases.append(TriedPhase(*span, _learning(model)))


def _convolves(model: Any) -> bool:
    return any("Conv" in type(layer).__name__ for layer in keras_internals.layers_of(model))


def _learning(model: Any) -> int:
    return sum(math.prod(variable.shape) for variable in model.trainable_variables)


def _check_fresh(space: Space, model: Any, other: Any) -> None:
    """Refuse networks that share what training changes: one fold would go on from another."""
    if model.optimizer is other.optimizer:
        shared = "their optimizer"
    else:
        others = {id(variable) for variable in other.trainable_variables}
        kept = (v.path for v in model.trainable_variables if id(v) in others)
        shared = next((f"the weights {path!r}" for path in kept), "")
    if shared:
        raise SpaceError(
            f"build of '{space.name}' must make a new network each time it is called; two calls "
            f"share {shared}, so that folds would not be trained apart. Create the layers, the "
            "optimizer and the model inside build."
        )


def _untraceable(model: Any, given: InputForm, problem: Problem, *, has_words: bool) -> str | None:
    import keras

    if keras.backend.backend() != "jax":
        return None
    from hpsearch.engines.fused.obstacles import untraceable_reason

    return untraceable_reason(model, given, problem, has_words=has_words)


def _on_gpu() -> bool:
    import keras

    if keras.backend.backend() != "jax":
        return False
    import jax

    return bool(jax.default_backend() == "gpu")


def _made_up_rows(
    given: InputForm, problem: Problem, lookups: Lookups | None, raw: RawRange | None
) -> list[NDArray[Any]]:
    """Standardised numbers, and tokens that the rows hold; for each input, codes that it knows."""
    generator = np.random.default_rng(0)
    if given.names:
        return [made_up(found, generator, _N_ROWS) for found in given.described(problem)]
    rows = generator.normal(size=(_N_ROWS, *problem.input_shape))
    if lookups is not None and raw is not None:
        is_token = [lookups.has(position) for position in raw.positions]
        rows = np.where(np.reshape(is_token, problem.input_shape), raw.low, rows)
    return [rows.astype(np.float32)]


def _try(space: Space, model: Any, form: OutputForm, rows: Any, target: Target) -> None:
    y = form.loss_target(_made_up_target(target), len(target.labels))
    try:
        _train_one_step(model, rows, y, form)
        outputs = model.predict_on_batch(rows)
    except BaseException as error:
        raise SpaceError(
            f"the network of '{space.name}' cannot be trained: {reason_of(error).rstrip('.')}. "
            "Check its loss and its layers."
        ) from error
    fault = form.fault(np.asarray(side_by_side(numpy_links, outputs)))
    if fault is not None:
        raise SpaceError(
            f"the network of '{space.name}' must give probabilities for a {target.kind} problem: "
            f"{fault}. Use problem.output_activation for its last layer, or no activation and a "
            "loss with from_logits=True."
        )


def _train_one_step(model: Any, rows: Any, y: Any, form: OutputForm) -> None:
    """One step with Keras; under JAX only its tracing, since compiling it takes a second."""
    import keras

    if keras.backend.backend() != "jax":
        model.train_on_batch(rows, form.per_output(y))
        return
    import jax

    from hpsearch.engines.fused.losses import Batch, batch_loss

    loss_of_batch = batch_loss(model)
    trainable = [variable.value for variable in model.trainable_variables]
    frozen = [variable.value for variable in model.non_trainable_variables]

    def loss(trainable: Any, x: Any, y: Any) -> Any:
        outputs, _ = model.stateless_call(trainable, frozen, x, training=True)
        return loss_of_batch(y, outputs, Batch(float(_N_ROWS), None))

    jax.eval_shape(jax.grad(loss), trainable, rows, y)


def _made_up_target(target: Target) -> Any:
    if target.is_classification:
        y: Any = np.arange(_N_ROWS) % len(target.labels)
        return y.reshape(-1, 1).astype(np.float32) if target.kind == "binary" else y
    return np.full((_N_ROWS, target.n_outputs), 0.5, np.float32)


def _scalable_target(model: Any, target: Target) -> bool:
    """Whether every output is linear and every loss measures a distance.

    A loss of ours that takes any number is made for a scaled target. Of counts, which are divided
    by their mean alone, whether every output may be as large as any number, and a loss knows a
    factor as well.
    """
    if target.kind == "count":
        known = (*_DISTANCE_LOSSES, "poisson")
        return all(Ending.of(output).high == np.inf for output in model.outputs) and all(
            loss.link is not None or loss.name in known for loss in losses_of(model)
        )
    return all(Ending.of(output).is_linear for output in model.outputs) and all(
        loss.link is not None or loss.name in _DISTANCE_LOSSES for loss in losses_of(model)
    )
