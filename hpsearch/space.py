"""Search spaces: where a space comes from, what it declares, and the network it builds.

A space is a function ``build(hp, problem)`` of ``keras_tuner.HyperParameters`` and
``hpsearch.task.Problem`` that returns a compiled ``keras.Model``; keras-tuner's own ``build(hp)``
and ``HyperModel`` serve as well. A file may define ``declare(hp, problem)`` next to ``build``:
it declares every hyperparameter without a network, so that a space can be listed, sampled and
narrowed where no TensorFlow is loaded.

Owns loading, discovery, building and the checks on what was built. The rules about declared
hyperparameters belong to ``hpsearch.hyperparameters``, proposing values to ``hpsearch.oracles``,
training to ``hpsearch.engines``. keras-tuner imports Keras with whatever backend is configured:
choosing that backend belongs to whoever owns the process.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import pickle
import sys
import traceback
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from hpsearch.errors import OptionError, SpaceError
from hpsearch.hyperparameters import (
    ConditionKey,
    Values,
    active_values,
    all_values,
    condition_key,
    is_active,
    kind_of,
    narrow,
    nearest,
    plain,
)

if TYPE_CHECKING:
    import keras
    from keras_tuner import HyperParameter, HyperParameters

    from hpsearch.task import Problem

MAX_DISCOVERY_BUILDS = 20
"""Networks built at most to find what a space without ``declare`` declares."""

MAX_DECLARE_CALLS = 100
"""Calls of ``declare`` at most; they build no network and cost a millisecond each."""

_MAX_VALUES_EXPLORED = 32
"""An integer range with more values than this has only its ends explored."""


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
class FitSettings:
    """What the reserved hyperparameters ``batch_size`` (rows) and ``epochs`` (passes) set."""

    batch_size: int
    epochs: int


@dataclass(frozen=True)
class Discovery:
    """What building a space's networks declared.

    Attributes
    ----------
    hyperparameters : everything that was declared.
    under_if : names declared only in some builds although their conditions held, thus under a
        Python ``if`` or loop: every candidate carries a value for them, used or not.
    complete : whether the limit on the number of builds was enough to try every branch.
    """

    hyperparameters: HyperParameters
    under_if: tuple[str, ...] = ()
    complete: bool = True


@dataclass(frozen=True)
class Built:
    """A built network and how its hyperparameters met the candidate's values.

    Attributes
    ----------
    model : the compiled network, its weights created.
    values : the value of each hyperparameter that the build declared and that was active.
    added : those of ``values`` that the candidate did not hold; they have their defaults.
    unused : names that the candidate held and the build never asked for.
    """

    model: keras.Model
    values: Values
    added: Values
    unused: tuple[str, ...]


@dataclass(frozen=True)
class Space:
    """Where a space comes from and how to use it; made by ``Space.load``, safe to pickle.

    A space from a file holds the file's text as it was when loaded: what workers run never
    changes during a search, even if the file does.

    Attributes
    ----------
    name : the shipped space's name, the file's name, or the function's or class's name.
    path : the file it came from, or None for a Python object.
    source : the text of the file or of the function, empty where Python cannot tell.
    payload : the Python object as bytes of cloudpickle, or None for a file.

    Examples
    --------
    >>> from hpsearch.task import Problem
    >>> problem = Problem("regression", (13,), 1, "linear", "mse", n_train=300, epochs=10)
    >>> hp = Space.load("boston_housing").declared(problem, fixes={"n_layers": "2"})
    >>> hp.values["optimizer"], hp.values["n_layers"]
    ('rmsprop', 2)
    """

    name: str
    path: str | None
    source: str
    payload: bytes | None = None

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
        space = cls._from_text(spec) if isinstance(spec, str | os.PathLike) else _from_object(spec)
        _definition(space)
        return space

    @classmethod
    def _from_text(cls, spec: str | os.PathLike[str]) -> Space:
        text = os.fspath(spec)
        shipped = _shipped_files()
        if text in shipped:
            return cls(text, str(shipped[text]), shipped[text].read_text(encoding="utf-8"))
        path = Path(text).expanduser()
        if path.suffix != ".py" and path.name == text:
            raise SpaceError(
                f"There is no space called '{text}'.{nearest(text, shipped)} Give one of "
                f"{', '.join(shipped)}, or the path of a .py file that defines build(hp, problem)."
            )
        try:
            return cls(path.name, str(path.resolve()), path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise SpaceError(
                f"The space file '{text}' cannot be read: {error}. "
                "Give the path of a .py file that defines build(hp, problem)."
            ) from error

    @property
    def sha256(self) -> str:
        """Fingerprint of the source text (of the pickled object where there is none), in hex."""
        content = self.source.encode() if self.source or self.payload is None else self.payload
        return hashlib.sha256(content).hexdigest()

    @property
    def declares(self) -> bool:
        """Whether the space lists its hyperparameters without building a network."""
        return _definition(self).declare is not None

    def to_bytes(self) -> bytes:
        """The space for another process of the same user; see ``from_bytes``."""
        return pickle.dumps((self.name, self.path, self.source, self.payload))

    @classmethod
    def from_bytes(cls, data: bytes) -> Space:
        """The inverse of ``to_bytes``. Runs code on first use: only for bytes made here."""
        return cls(*pickle.loads(data))

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
        definition = _definition(self)
        if definition.declare is None:
            hp = self.discover(problem).hyperparameters
        else:
            declare = definition.declare
            hp = self._explore(lambda hp: declare(hp, problem), MAX_DECLARE_CALLS).hyperparameters
        return narrow(hp, fixes or {})

    def discover(self, problem: Problem) -> Discovery:
        """What the networks of this space declare, found by building at most twenty of them.

        Each build activates conditional scopes and takes choices that no build before it had,
        so that parameters under a Python ``if`` or loop are found as well. Needs Keras.
        """
        build = _definition(self).build
        return self._explore(lambda hp: build(hp, problem), MAX_DISCOVERY_BUILDS)

    def build(
        self, values: Mapping[str, Any], problem: Problem, fixes: Mapping[str, Any] | None = None
    ) -> keras.Model:
        """The compiled network of a configuration; ``construct`` tells more about it."""
        return self.construct(values, problem, fixes).model

    def construct(
        self, values: Mapping[str, Any], problem: Problem, fixes: Mapping[str, Any] | None = None
    ) -> Built:
        """The network of a configuration, checked, and how its values were used.

        Parameters
        ----------
        values : the candidate's active hyperparameters.
        problem : what the network is for.
        fixes : the run's fixes; only needed for names that ``values`` does not hold.

        Raises
        ------
        SpaceError
            If the space raises (with its file and line), or returns something else than a
            compiled ``keras.Model`` of the problem's shapes that a fresh process can load.
        """
        from keras_tuner import HyperParameters

        hp = HyperParameters()
        hp.values = {**self._missing_fixes(values, problem, fixes or {}), **values}
        given = dict(hp.values)
        with _Blame(self, "build"):
            model = _definition(self).build(hp, problem)
        _check_model(self, model, problem)
        used = {p.name: hp.values[p.name] for p in hp.space if is_active(p, hp.values)}
        return Built(
            model=model,
            values=used,
            added={name: value for name, value in used.items() if name not in given},
            unused=tuple(name for name in values if name not in used),
        )

    def _missing_fixes(
        self, values: Mapping[str, Any], problem: Problem, fixes: Mapping[str, Any]
    ) -> Values:
        if fixes.keys() <= values.keys():
            return {}
        narrowed = self.declared(problem, fixes)
        return {p.name: p.default for p in narrowed.space if p.name in fixes}

    def _explore(self, declare: Callable[[HyperParameters], object], limit: int) -> Discovery:
        def blamed(hp: HyperParameters) -> None:
            with _Blame(self, "declare" if self.declares else "build"):
                declare(hp)

        return explore(blamed, limit=limit)


def shipped_spaces() -> tuple[str, ...]:
    """Names of the spaces that come with the package, in alphabetical order."""
    return tuple(_shipped_files())


def fit_settings(
    values: Mapping[str, Any], default_batch_size: int, default_epochs: int
) -> FitSettings:
    """Batch size and epochs of a candidate: its reserved hyperparameters, else the defaults.

    Raises
    ------
    OptionError
        If either is not a whole number of at least 1.

    Examples
    --------
    >>> fit_settings({"batch_size": 16, "units": 8}, default_batch_size=32, default_epochs=100)
    FitSettings(batch_size=16, epochs=100)
    """
    settings = {"batch_size": default_batch_size, "epochs": default_epochs}
    for name in settings:
        value = values.get(name, settings[name])
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise OptionError(
                f"'{name}' steers the fit and must be a whole number of at least 1; "
                f"received {value!r}. Change the space's hyperparameter '{name}'."
            )
        settings[name] = value
    return FitSettings(**settings)


# -- discovery ---------------------------------------------------------------------------------


def explore(declare: Callable[[HyperParameters], object], *, limit: int) -> Discovery:
    """Call ``declare`` until every scope was active and every choice taken once.

    keras-tuner's tuner activates conditional scopes one after the other and never sees what is
    declared under a Python ``if``. Here each call takes untried values of all discrete
    parameters at once, so that the number of calls is about the longest list of choices.

    Parameters
    ----------
    declare : declares into a fresh ``HyperParameters`` that already holds values.
    limit : calls at most.
    """
    from keras_tuner import HyperParameters

    found = HyperParameters()
    calls: list[tuple[Values, set[tuple[str, ConditionKey]]]] = []
    plan = _ExplorationPlan()
    values: Values | None = {}
    while values is not None and len(calls) < limit:
        hp = HyperParameters()
        hp.values = dict(values)
        declare(hp)
        found.merge(hp.space, overwrite=False)
        calls.append((dict(hp.values), {_declaration(p) for p in hp.space}))
        plan.record(hp)
        values = plan.next_values(found)
    found.values = active_values(found, {})
    return Discovery(
        hyperparameters=found,
        under_if=tuple(
            dict.fromkeys(p.name for p in found.space if _is_sometimes_missing(p, calls))
        ),
        complete=values is None,
    )


class _ExplorationPlan:
    """Which scopes and values have been tried, and which to try next."""

    def __init__(self) -> None:
        self._scopes_tried: set[ConditionKey] = set()
        self._scopes_pending: dict[ConditionKey, Values] = {}
        self._values_tried: set[tuple[str, ConditionKey, Any]] = set()

    def record(self, hp: HyperParameters) -> None:
        for scope in hp.active_scopes:
            self._scopes_tried.add(condition_key(scope))
        for scope in hp.inactive_scopes:
            self._scopes_pending.setdefault(
                condition_key(scope), {c.name: c.values[0] for c in scope}
            )
        for parameter in hp.space:
            if is_active(parameter, hp.values):
                self._values_tried.add((*_declaration(parameter), hp.values[parameter.name]))

    def next_values(self, found: HyperParameters) -> Values | None:
        """Values for the next call, or None when nothing is left to try."""
        forced = self._next_scope()
        values: Values = dict(forced or {})
        is_new = forced is not None
        for parameter in found.space:
            if parameter.name in values or not is_active(parameter, values):
                continue
            untried = self._untried(parameter)
            values[parameter.name] = untried[0] if untried else parameter.default
            is_new = is_new or bool(untried)
            # Marked here already: a value that a call then ignores is not tried for ever.
            self._values_tried.add((*_declaration(parameter), values[parameter.name]))
        return values if is_new else None

    def _next_scope(self) -> Values | None:
        for key, values in self._scopes_pending.items():
            if key not in self._scopes_tried:
                self._scopes_tried.add(key)
                return values
        return None

    def _untried(self, parameter: HyperParameter) -> list[Any]:
        declaration = _declaration(parameter)
        return [
            value
            for value in _values_to_explore(parameter)
            if (*declaration, value) not in self._values_tried
        ]


def _values_to_explore(parameter: HyperParameter) -> list[Any]:
    """Discrete values, the largest integer first: a loop over layers then declares them all."""
    if kind_of(parameter) == "float":
        return []
    if kind_of(parameter) != "int":
        return list(parameter.values)
    values = list(all_values(parameter) or ())
    ends = [plain(parameter, values[-1]), plain(parameter, values[0])]
    return ends + (values[1:-1] if len(values) <= _MAX_VALUES_EXPLORED else [])


def _declaration(parameter: HyperParameter) -> tuple[str, ConditionKey]:
    return parameter.name, condition_key(parameter.conditions)


def _is_sometimes_missing(
    parameter: HyperParameter, calls: list[tuple[Values, set[tuple[str, ConditionKey]]]]
) -> bool:
    return any(
        is_active(parameter, values) and _declaration(parameter) not in declared
        for values, declared in calls
    )


# -- loading -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Definition:
    """A space's functions in one calling convention, and the file that errors point into."""

    build: Callable[[HyperParameters, Problem], Any]
    declare: Callable[[HyperParameters, Problem], Any] | None
    filename: str


def _shipped_files() -> dict[str, Path]:
    """Shipped files by name: in the package when installed, beside it in a checkout."""
    package = Path(__file__).parent
    for folder in (package / "spaces", package.parent / "spaces"):
        files = {path.stem: path for path in sorted(folder.glob("[!_]*.py"))}
        if files:
            return files
    return {}


def _from_object(spec: Any) -> Space:
    import cloudpickle

    if not callable(spec) and not _is_hypermodel(spec):
        raise SpaceError(
            "A space is a name, the path of a .py file, a function build(hp, problem) or a "
            f"keras_tuner.HyperModel; received {type(spec).__name__}. Pass one of these."
        )
    described = spec if inspect.isfunction(spec) or inspect.isclass(spec) else type(spec)
    try:
        source = inspect.getsource(described)
    except (OSError, TypeError):
        source = ""
    try:
        payload = cloudpickle.dumps(spec)
    except Exception as error:
        raise SpaceError(
            f"The space '{described.__name__}' cannot be sent to workers: {error}. "
            "Let it refer only to things that can be pickled, or put it into a .py file."
        ) from error
    return Space(described.__name__, None, source, payload)


@lru_cache(maxsize=64)
def _definition(space: Space) -> _Definition:
    """Run a space's source, or unpickle its object, once a process."""
    if space.payload is not None:
        return _define(space, pickle.loads(space.payload), None)
    module = _run_file(space)
    build = getattr(module, "build", None)
    if build is None:
        build = _only_hypermodel(space, module)
    return _define(space, build, getattr(module, "declare", None))


def _run_file(space: Space) -> types.ModuleType:
    name = f"hpsearch_space_{space.sha256[:16]}"
    module = types.ModuleType(name)
    module.__file__ = space.path
    sys.modules[name] = module  # where dataclasses and pickle look a class's module up
    with _Blame(space, "import"):
        exec(compile(space.source, space.path or space.name, "exec"), module.__dict__)
    return module


def _only_hypermodel(space: Space, module: types.ModuleType) -> Any:
    own = [value for value in vars(module).values() if _is_hypermodel(value)]
    instances = [value for value in own if not inspect.isclass(value)]
    classes = [
        value for value in own if inspect.isclass(value) and value.__module__ == module.__name__
    ]
    found = instances or classes
    if len(found) != 1:
        raise SpaceError(
            f"'{space.name}' must define build(hp, problem) or exactly one HyperModel; "
            f"it defines no build and {len(found)} HyperModels. Add a function build."
        )
    return found[0]


def _define(space: Space, obj: Any, declare: Any) -> _Definition:
    if inspect.isclass(obj) and _is_hypermodel(obj):
        with _Blame(space, "create"):
            obj = obj()
    prelude = None
    described = obj
    if _is_hypermodel(obj):
        _refuse_own_fit(space, obj)
        prelude, described, obj = obj.declare_hyperparameters, obj._build, obj.build
    takes_problem = _takes_problem(space, described)
    if declare is not None and not (callable(declare) and _accepts(declare, 2)):
        raise SpaceError(
            f"declare of '{space.name}' must be a function declare(hp, problem). "
            "Change its parameters, or remove it to have networks built instead."
        )

    def build(hp: HyperParameters, problem: Problem) -> Any:
        if prelude is not None:
            prelude(hp)
        return obj(hp, problem) if takes_problem else obj(hp)

    code = getattr(inspect.unwrap(described), "__code__", None)
    filename = space.path or (code.co_filename if code else space.name)
    return _Definition(build, declare, filename)


def _is_hypermodel(value: Any) -> bool:
    """Whether this is a HyperModel, class or instance, without importing keras-tuner."""
    keras_tuner = sys.modules.get("keras_tuner")
    if keras_tuner is None:
        return False
    base = keras_tuner.HyperModel
    if inspect.isclass(value):
        return issubclass(value, base) and value is not base
    return isinstance(value, base)


def _refuse_own_fit(space: Space, hypermodel: Any) -> None:
    from keras_tuner import HyperModel

    if type(hypermodel).fit is not HyperModel.fit:
        raise SpaceError(
            f"The HyperModel of '{space.name}' overrides fit, which would have no effect: the "
            "search trains the network itself. Remove fit; hyperparameters called batch_size "
            "and epochs steer the training."
        )


def _takes_problem(space: Space, build: Any) -> bool:
    """Whether the second argument is the problem: it is required, or called so."""
    if callable(build):
        names = _positional(build)
        if _accepts(build, 2) and (not _accepts(build, 1) or names[1:2] == ["problem"]):
            return True
        if _accepts(build, 1):
            return False
    raise SpaceError(
        f"build of '{space.name}' must be a function build(hp, problem) or build(hp). "
        "Change its parameters."
    )


def _accepts(function: Any, n_arguments: int) -> bool:
    try:
        inspect.signature(function).bind(*[None] * n_arguments)
    except (TypeError, ValueError):
        return False
    return True


def _positional(function: Any) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in inspect.signature(function).parameters.values() if p.kind in kinds]


# -- errors and checks -------------------------------------------------------------------------


class _Blame:
    """Turns what a space's own code raises into a SpaceError with the file and the line."""

    def __init__(self, space: Space, step: str) -> None:
        self._space = space
        self._step = step

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception | SystemExit) and not isinstance(error, SpaceError):
            self._raise(error)

    def _raise(self, error: BaseException) -> NoReturn:
        filename = self._space.path
        if filename is None and self._step != "import":
            filename = _definition(self._space).filename if self._step != "create" else None
        where = _line_of(error, filename)
        raise SpaceError(
            f"The space '{self._space.name}' raised {type(error).__name__} in its "
            f"{self._step}{where}: {error}. Correct the space."
        ) from error


def _line_of(error: BaseException, filename: str | None) -> str:
    if isinstance(error, SyntaxError) and error.filename == filename:
        return f" ({filename}:{error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == filename]
    return f" ({filename}:{own[-1].lineno})" if own else ""


def _check_model(space: Space, model: Any, problem: Problem) -> None:
    import keras

    if not isinstance(model, keras.Model):
        raise SpaceError(
            f"build of '{space.name}' must return a compiled keras.Model; it returned "
            f"{type(model).__name__}. Return the model that compile was called on."
        )
    if not model.compiled or model.optimizer is None or model.loss is None:
        raise SpaceError(
            f"build of '{space.name}' must compile its network with an optimizer and a loss. "
            "Call model.compile(optimizer=..., loss=problem.loss) before returning it."
        )
    if not model.built:
        model.build((None, *problem.input_shape))
    _check_shapes(space, model, problem)
    check_saves(space, model)


def _check_shapes(space: Space, model: keras.Model, problem: Problem) -> None:
    expected = {
        "input": ((None, *problem.input_shape), "problem.input_shape"),
        "output": ((None, problem.n_outputs), "problem.n_outputs"),
    }
    for end, (shape, remedy) in expected.items():
        received = getattr(model, f"{end}_shape", shape)
        if not _fits(received, shape):
            raise SpaceError(
                f"The network of '{space.name}' must have the {end} shape {shape} for this "
                f"{problem.kind} problem; it has {received}. Use {remedy} in build."
            )


def _fits(received: Any, expected: tuple[int | None, ...]) -> bool:
    if not isinstance(received, tuple) or len(received) != len(expected):
        return False
    return all(a is None or b is None or a == b for a, b in zip(received, expected, strict=True))


def check_saves(space: Space, model: keras.Model) -> None:
    """Refuse what saves without complaint and cannot be loaded without the space's code.

    Raises
    ------
    SpaceError
        If the network holds a lambda or a class that Keras does not ship.
    """
    import keras

    try:
        config = keras.saving.serialize_keras_object(model)
    except Exception as error:
        raise SpaceError(
            f"The network of '{space.name}' cannot be saved: {error}. "
            "Build it from Keras's own layers with the functional or the sequential interface."
        ) from error
    for name in _foreign_classes(config):
        raise SpaceError(
            f"The network of '{space.name}' contains {name}, which a saved model cannot be "
            "loaded with unless the space's code is run. Use Keras's own layers, activations "
            "and regularizers."
        )


def _foreign_classes(config: Any) -> Iterator[str]:
    if isinstance(config, Mapping):
        class_name = config.get("class_name")
        if class_name in ("__lambda__", "Lambda"):
            yield "a lambda"
        elif isinstance(class_name, str) and "config" in config and "module" in config:
            yield from _foreign_class(config)
        for key, value in config.items():
            if key != "compile_config":  # the network is loaded without its optimizer and loss
                yield from _foreign_classes(value)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _foreign_classes(value)


def _foreign_class(config: Mapping[str, Any]) -> Iterator[str]:
    module = config["module"] or ""
    if module.split(".")[0] not in ("keras", "builtins"):
        name = config["config"] if config["class_name"] == "function" else config["class_name"]
        yield f"'{name}' of the space's own code"
