"""A configuration in a worker: its settings, its problem, and networks built of it.

Which weights a network begins with, and how it trains, belongs to each engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

from hpsearch.engines.augmentation import check_value_ranges
from hpsearch.engines.buckets import Batching, open_inputs
from hpsearch.engines.contract import Job
from hpsearch.engines.fit_data import FitData, problem_of, smallest_training_set
from hpsearch.engines.frozen_base import cut_of
from hpsearch.engines.initial import numpy_draws
from hpsearch.engines.input_form import InputForm
from hpsearch.engines.lookups import check_lookups, check_named_lookups
from hpsearch.engines.rates import rates_in
from hpsearch.errors import SpaceError
from hpsearch.preprocessing.inputs import reads_words
from hpsearch.space.network_checks import check_saves
from hpsearch.space.phases import enter, spans
from hpsearch.space.space import FitSettings, Space, fit_settings
from hpsearch.task import Problem


class Configuration:
    """Hyperparameters, and the compiled networks that a space builds of them.

    Attributes
    ----------
    values : the hyperparameters; after a build, those that it really used.
    settings : batch size and epochs; problem : as the space sees it.
    input_form : how the networks take rows, once one was built.
    phase : the phase that its networks are in, from 0.
    phases : after a build, the epochs of each phase, as ``space.phases.spans`` gives them; empty
        where the space declares no phases.
    open_inputs : which of their inputs take sequences of any length, where these differ in it.
    batching : how rows of like length come together for them, or None.

    Parameters
    ----------
    n_train : training rows that the networks are built for; by default the smallest fold's. Their
        schedules count the steps of so many; see ``rates_for`` for those of other folds.
    """

    def __init__(
        self,
        job: Job,
        data: FitData,
        values: Mapping[str, Any],
        *,
        n_train: int | None = None,
        phase: int = 0,
    ) -> None:
        self.values = dict(values)
        self.settings: FitSettings = fit_settings(
            values, job.options.batch_size, job.options.epochs
        )
        self.problem: Problem = problem_of(
            data.target,
            data.layout,
            n_train=n_train or smallest_training_set(data.folds),
            epochs=self.settings.epochs,
        )
        self.open_inputs: tuple[int, ...] = ()
        self.batching: Batching | None = None
        self._seed = job.options.seed
        self._space = Space.from_bytes(job.space)
        self._fixes = dict(job.fixes)
        self._must_save = job.must_save
        self._data = data
        self._is_checked = False
        self._made_of = job, data, dict(values), n_train
        self._asked = self.problem
        self._is_of_heads = False
        self._rates: dict[int, list[Any]] = {}
        self.phase = phase
        self.phases: tuple[tuple[int, int], ...] = ()

    @property
    def has_phases(self) -> bool:
        """Whether its networks train in phases."""
        return self._space.has_phases

    def of_heads(self, job: Job, data: FitData) -> Self:
        """The same, whose networks are the heads behind a frozen base (``frozen_base``).

        Parameters
        ----------
        job, data : with the base's outputs in place of rows.
        """
        _, _, values, n_train = self._made_of
        made = type(self)(job, data, values, n_train=n_train)
        made._asked, made._is_of_heads, made._must_save = self._asked, True, False
        made._is_checked, made._made_of, made.phases = True, self._made_of, self.phases
        return made

    def in_phase(self, number: int) -> Self:
        """The same configuration, whose networks are in a phase."""
        job, data, values, n_train = self._made_of
        return type(self)(job, data, values, n_train=n_train, phase=number)

    def construct(self) -> Any:
        """A new compiled network, in its phase, under the seeds that Keras has now.

        Raises
        ------
        SpaceError
            If the space raises, or the network does not fit the rows or cannot be saved where it
            must be; see ``Job``.
        """
        built, asked = self._space.construct(self.values, self._asked, self._fixes), self._asked
        self.input_form = InputForm.of(built.model, asked.input_shape, asked.inputs)
        self._note_open_inputs(built.model)
        if self._must_save:
            check_saves(self._space.name, built.model, self._space.registered)
            self._must_save = False  # what one network of a configuration can do, the others can
        if not self._is_checked:
            if self.input_form.names:
                check_named_lookups(built.model, self.input_form, self._data)
            else:
                check_lookups(built.model, self._data)
            check_value_ranges(built.model)
            self._is_checked = True
        self.values = dict(built.values)
        if built.phases:
            self.phases = tuple(spans(built.phases, self.settings.epochs))
            enter(self._space.name, built.model, built.phases, self.phase)
        return self._head_of(built.model) if self._is_of_heads else built.model

    def has_steps_of(self, n_train: int) -> bool:
        """Whether so many training rows take as many steps an epoch as the networks count."""
        size, asked = self.settings.batch_size, self._asked
        other = replace(asked, n_train=n_train)
        return other.steps_per_epoch(size) == asked.steps_per_epoch(size)

    def rates_for(self, n_train: int, own: list[Any]) -> list[Any]:
        """Learning rates that count the steps of a fold of so many training rows.

        They are those of a network that is built for these rows, of which nothing else counts: what
        all folds are trained with stays one network.

        Parameters
        ----------
        own : the learning rates of the optimizer that takes them, as ``rates.rates_in`` gives them.

        Raises
        ------
        SpaceError
            If the space raises, or makes other optimizers of so many rows.
        """
        if n_train not in self._rates:
            problem = replace(self._asked, n_train=n_train)
            with numpy_draws():
                built = self._space.construct(self.values, problem, self._fixes)
                if built.phases:
                    enter(self._space.name, built.model, built.phases, self.phase)
            optimizer = built.model.optimizer
            if hasattr(optimizer, "optimizers"):  # which it may only find for variables
                optimizer.build(built.model.trainable_variables)
            self._rates[n_train] = rates_in(optimizer)
        rates = self._rates[n_train]
        if len(rates) != len(own):
            raise SpaceError(
                f"build of '{self._space.name}' must make as many optimizers whatever "
                f"`problem.n_train` is; it made {len(own)}, and {len(rates)} of {n_train} rows."
            )
        return rates

    def _head_of(self, model: Any) -> Any:
        cut = cut_of(model)
        if cut is None:
            raise SpaceError(
                f"build of '{self._space.name}' must freeze the same layers each time it is called "
                "with the same hyperparameters; it did not."
            )
        self.input_form = InputForm()
        return cut.head

    def _note_open_inputs(self, model: Any) -> None:
        buckets, layout = self._data.buckets, self._data.layout
        if buckets is None or reads_words(layout, self.input_form.names):
            return
        self.open_inputs = open_inputs(model, self.input_form, layout)
        if self.open_inputs:
            self.batching = Batching(buckets, self.settings.batch_size, self._seed)
