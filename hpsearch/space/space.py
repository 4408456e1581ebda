"""Search spaces: what a space declares and the network it builds.

A space is a function ``build(hp, problem)`` of ``keras_tuner.HyperParameters`` and
``hpsearch.task.Problem`` that returns a compiled ``keras.Model``; keras-tuner's own ``build(hp)``
and ``HyperModel`` serve as well. A file may define ``declare(hp, problem)`` next to ``build``:
it declares every hyperparameter without a network, so that a space can be listed, sampled and
narrowed where no TensorFlow is loaded. ``phases(hp, problem)`` says how a network trains in parts,
``portfolio(problem)`` which configurations were best on other tables.

Owns the space's uses. Its code is found and run by ``hpsearch.space.source``; the rules about
declared hyperparameters belong to ``hpsearch.space.hyperparameters``, proposing values to
``hpsearch.oracles``, training to ``hpsearch.engines``. keras-tuner imports Keras with whatever
backend is configured: choosing that backend belongs to whoever owns the process.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpsearch.errors import OptionError, SpaceError
from hpsearch.options import MOST, MOST_EPOCHS
from hpsearch.space.configurations import portfolio_of
from hpsearch.space.discovery import Discovery, explore
from hpsearch.space.guards import blame, heard_warnings
from hpsearch.space.hyperparameters import (
    Values,
    check_declared,
    describe,
    is_active,
    narrow,
    parse,
)
from hpsearch.space.local_modules import importable, make_importable
from hpsearch.space.network_checks import check_model
from hpsearch.space.objects import read_object
from hpsearch.space.phases import Phase, checked
from hpsearch.space.registered import Registered, make_known
from hpsearch.space.source import (
    SpaceSource,
    definition,
    read_text,
    shipped_files,
)

if TYPE_CHECKING:
    import keras
    from keras_tuner import HyperParameter, HyperParameters

    from hpsearch.task import Problem

__all__ = [
    "Built",
    "Candidate",
    "Discovery",
    "FitSettings",
    "Space",
    "check_steering",
    "describe",
    "fit_settings",
    "narrow",
    "shipped_spaces",
]

MAX_DISCOVERY_BUILDS = 20
"""Networks built at most to find what a space without ``declare`` declares."""

MAX_DECLARE_CALLS = 100
"""Calls of ``declare`` at most; they build no network and cost a millisecond each."""


@dataclass(frozen=True)
class Candidate:
    """A configuration that is not scored yet.

    Attributes
    ----------
    trial : the trial's number, from 0 in the order of asking.
    values : the active hyperparameters and their values, plain Python scalars.
    """

    trial: int
    values: Values


@dataclass(frozen=True)
class Built:
    """A built network and how its hyperparameters met the candidate's values.

    Attributes
    ----------
    model : the compiled network, its weights created.
    values : the value of each hyperparameter that the build declared and that was active, or that
        the space's ``declare`` lists.
    added : those of ``values`` that the candidate did not hold; they have their defaults.
    unused : names that the candidate held and the build never asked for.
    phases : in which it trains, see ``space.phases``; empty where the space declares none.
    """

    model: keras.Model
    values: Values
    added: Values
    unused: tuple[str, ...]
    phases: tuple[Phase, ...] = ()


@dataclass(frozen=True)
class Space:
    """A search space and how to use it; made by ``Space.load``.

    A space from a file holds the file's text as it was when loaded: what workers run never
    changes during a search, even if the file does.

    Examples
    --------
    >>> from hpsearch.task import Problem
    >>> problem = Problem("regression", (13,), 1, "linear", "mse", n_train=300, epochs=10)
    >>> hp = Space.load("boston_housing").declared(problem, fixes={"n_layers": "2"})
    >>> hp.values["optimizer"], hp.values["n_layers"]
    ('rmsprop', 2)
    """

    source: SpaceSource

    @classmethod
    def load(cls, spec: Any) -> Space:
        """A space from a name, a file or a Python object.

        Parameters
        ----------
        spec : the name of a shipped space (see ``shipped_spaces``), the path of a ``.py`` file,
            a function ``build(hp, problem)`` or ``build(hp)``, a ``keras_tuner.HyperModel``
            (class or instance), or a ``Space``, which comes back as it is.

        Raises
        ------
        SpaceError
            If nothing is found there, the file raises on import, or it defines neither ``build``
            nor exactly one ``HyperModel``.
        """
        if isinstance(spec, cls):
            return spec
        is_text = isinstance(spec, str | os.PathLike)
        source = read_text(spec) if is_text else read_object(spec)
        with heard_warnings():  # a worker, which runs the code too, tells of them
            definition(source)
        return cls(source)

    @property
    def name(self) -> str:
        """The shipped space's name, the file's name, or the function's or class's name."""
        return self.source.name

    @property
    def path(self) -> str | None:
        """The file that the space came from, or None for a Python object."""
        return self.source.path

    @property
    def sha256(self) -> str:
        """Fingerprint of the source text (of the pickled object where there is none), in hex."""
        return self.source.sha256

    def mentions(self, word: str) -> bool:
        """Whether the space's code names something, such as a package."""
        return self.source.mentions(word)

    @property
    def declares(self) -> bool:
        """Whether the space lists its hyperparameters without building a network."""
        return definition(self.source).declare is not None

    @property
    def has_phases(self) -> bool:
        """Whether the space says in which phases its networks train."""
        return definition(self.source).phases is not None

    @property
    def registered(self) -> Registered:
        """What Keras knows by name once the space's code has run; see ``space.registered``."""
        return definition(self.source).registered

    def to_bytes(self) -> bytes:
        """The space for another process of the same user; see ``from_bytes``."""
        return pickle.dumps(self.source)

    @classmethod
    def from_bytes(cls, data: bytes) -> Space:
        """The inverse of ``to_bytes``; only for bytes made there, since unpickling runs code."""
        return cls(pickle.loads(data))

    def declared(self, problem: Problem, fixes: Mapping[str, Any] | None = None) -> HyperParameters:
        """Every hyperparameter of the space for this problem, narrowed by the fixes.

        Calls the space's ``declare``; without one it builds networks (see ``discover``).

        Parameters
        ----------
        problem : what the network is for.
        fixes : one value for some names, as text or in their own type; default none.

        Raises
        ------
        SpaceError
            If the space raises, or a fix is not possible; see ``hyperparameters.narrow``.
        """
        declare = definition(self.source).declare
        if declare is None:
            discovery = self.discover(problem)
        else:
            discovery = self._explore("declare", declare, problem, MAX_DECLARE_CALLS)
            if discovery.failures:
                raise SpaceError(discovery.failures[0])
        return narrow(discovery.hyperparameters, fixes or {})

    def portfolio(
        self, problem: Problem, hp: HyperParameters, fixes: Mapping[str, Any] | None = None
    ) -> tuple[Values, ...]:
        """The configurations that the space says were best on other tables, completed, each once.

        Parameters
        ----------
        hp : every hyperparameter, as ``declared`` or ``discover`` gives them without fixes.
        fixes : what is fixed keeps its value; see ``declared``.

        Returns
        -------
        None of them where the space has no ``portfolio``.

        Raises
        ------
        SpaceError
            If the space raises, gives no list of dictionaries, or has not what they name.
        """
        defined = definition(self.source)
        if defined.portfolio is None:
            return ()
        with (
            importable(self.source.modules, keep=self.source.payload is not None),
            blame(self.name, "portfolio", defined.filenames),
            heard_warnings(),
        ):
            given = defined.portfolio(problem)
        return portfolio_of(self.name, given, hp, narrow(hp, fixes or {}))

    def discover(self, problem: Problem) -> Discovery:
        """What the networks of this space declare, found by building at most twenty of them.

        Each build activates conditional scopes and takes choices that no build before it had,
        so that parameters under a Python ``if`` or loop are found as well. Needs Keras.

        Raises
        ------
        SpaceError
            If the first build, with all defaults, raises.
        """
        defined = definition(self.source)

        def all_of_it(hp: HyperParameters, problem: Problem) -> None:
            defined.build(hp, problem)
            if defined.phases is not None:
                defined.phases(hp, problem)

        return self._explore("build", all_of_it, problem, MAX_DISCOVERY_BUILDS)

    def build(
        self, values: Mapping[str, Any], problem: Problem, fixes: Mapping[str, Any] | None = None
    ) -> keras.Model:
        """The compiled network of a configuration; ``construct`` tells more about it."""
        return self.construct(values, problem, fixes).model

    def construct(
        self, values: Mapping[str, Any], problem: Problem, fixes: Mapping[str, Any] | None = None
    ) -> Built:
        """The network of a configuration and how its values were used.

        Keras's settings are those of the space's module while it builds, whatever was built or
        cleared before, and its own modules can be imported. Both stay so in this process: its
        networks train with them.

        Parameters
        ----------
        values : the candidate's active hyperparameters.
        problem : what the network is for.
        fixes : the run's fixes; only needed for names that ``values`` does not hold.

        Raises
        ------
        SpaceError
            If the space raises (with its file and line), returns something else than a compiled
            ``keras.Model``, or adds a reserved hyperparameter while it builds.
        """
        fixes = fixes or {}
        model, phases, active, used = self._build(values, problem)
        self._check_steering(active, values)
        late = {
            name: parse(active[name], fixes[name])
            for name in fixes
            if name in active and name not in values
        }
        if late:
            return self.construct({**values, **late}, problem, fixes)
        with blame(self.name, "build", definition(self.source).filenames):
            check_model(self.name, model, problem)
        # A space that lists its hyperparameters may read them with hp.get, which declares none.
        listed = {n: v for n, v in values.items() if self.declares and n not in active}
        return Built(
            model=model,
            values={**used, **listed},
            added={name: value for name, value in used.items() if name not in values},
            unused=tuple(name for name in values if name not in active),
            phases=phases,
        )

    def _build(
        self, values: Mapping[str, Any], problem: Problem
    ) -> tuple[Any, tuple[Phase, ...], dict[str, HyperParameter], Values]:
        """What the build returns, its phases, what was declared and active, and its values."""
        from keras_tuner import HyperParameters

        defined = definition(self.source)
        hp = HyperParameters()
        hp.values = dict(values)
        make_importable(self.source.modules, keep=self.source.payload is not None)
        make_known(defined.registered)
        defined.settings.apply()
        try:
            with blame(self.name, "build", defined.filenames):
                model = defined.build(hp, problem)
            phases: tuple[Phase, ...] = ()
            if defined.phases is not None:
                with blame(self.name, "phases", defined.filenames):
                    phases = checked(self.name, defined.phases(hp, problem))
            active = {p.name: p for p in hp.space if is_active(p, hp.values)}
            return model, phases, active, {name: hp.values[name] for name in active}
        finally:
            defined.settings.apply()

    def _check_steering(
        self, active: Mapping[str, HyperParameter], values: Mapping[str, Any]
    ) -> None:
        """Refuse a build that asks for ``batch_size`` or ``epochs`` where nobody knew."""
        steering = next((name for name in _RESERVED if name in active and name not in values), None)
        if steering is None:
            return
        call = f"hp.{type(active[steering]).__name__}({steering!r}, ...)"
        remedy = (
            f"Write {call} in its `declare` as well."
            if self.declares
            else f"Call {call} at the beginning of its build, before any `if`."
        )
        raise SpaceError(
            f"'{steering}' steers the fit, so it must be known before a network is built; the "
            f"build of '{self.name}' asks for it where nobody knew. {remedy}"
        )

    def settled(
        self, values: Mapping[str, Any], problem: Problem, fixes: Mapping[str, Any] | None = None
    ) -> Values:
        """A candidate's values without ``batch_size`` and ``epochs`` that its build leaves out.

        Without a ``declare``, a candidate carries a value for whatever some build asked for.
        What this one's build doesn't ask for must not steer its training. Builds the network where
        that has to be known.

        Raises
        ------
        SpaceError
            If the space raises; see ``construct``.
        """
        carried = [name for name in _RESERVED if name in values]
        if self.declares or not carried:
            return dict(values)
        used = self.construct(values, problem, fixes).values
        return {name: v for name, v in values.items() if name not in carried or name in used}

    def _explore(
        self,
        step: str,
        declare: Callable[[HyperParameters, Problem], Any],
        problem: Problem,
        limit: int,
    ) -> Discovery:
        defined = definition(self.source)

        def blamed(hp: HyperParameters) -> None:
            with blame(self.name, step, defined.filenames), heard_warnings():
                declare(hp, problem)
                hp.values = dict(hp.values)  # whatever the space did with them
                for parameter in hp.space:
                    check_declared(parameter)

        with importable(self.source.modules, keep=self.source.payload is not None):
            return explore(blamed, limit=limit)


_RESERVED = {"batch_size": MOST, "epochs": MOST_EPOCHS}


@dataclass(frozen=True)
class FitSettings:
    """What the reserved hyperparameters ``batch_size`` (rows) and ``epochs`` (passes) set."""

    batch_size: int
    epochs: int


def fit_settings(
    values: Mapping[str, Any], default_batch_size: int, default_epochs: int
) -> FitSettings:
    """Batch size and epochs of a candidate: its reserved hyperparameters, else the defaults.

    Raises
    ------
    OptionError
        If either is not a whole number of at least 1, or larger than any search's.

    Examples
    --------
    >>> fit_settings({"batch_size": 16, "units": 8}, default_batch_size=32, default_epochs=100)
    FitSettings(batch_size=16, epochs=100)
    """
    settings = dict(zip(_RESERVED, (default_batch_size, default_epochs), strict=True))
    for name in settings:
        value, most = values.get(name, settings[name]), _RESERVED[name]
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise OptionError(
                f"'{name}' steers the fit and must be a whole number from 1 to {most:,}; "
                f"received {value!r}. Change the space's hyperparameter '{name}'."
            )
        settings[name] = value
    return FitSettings(**settings)


def check_steering(hp: HyperParameters) -> None:
    """Raise ``OptionError`` where a space's batch size or epochs can be what no fit takes."""
    for parameter in hp.space:
        if parameter.name in _RESERVED:
            ends = [getattr(parameter, end, None) for end in ("value", "min_value", "max_value")]
            known = [end for end in ends if end is not None]  # a range lists its values one by one
            for value in known or parameter.values:
                fit_settings({parameter.name: value}, 1, 1)


def shipped_spaces() -> tuple[str, ...]:
    """Names of the spaces that come with the package, in alphabetical order."""
    return tuple(shipped_files())
