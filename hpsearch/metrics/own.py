"""Metrics of one's own: a function in a file or of Python, or a scorer of scikit-learn.

Owns how such a metric is named, read and sent to workers, what it is called with, and the check on
made-up predictions before anything is trained. Its code is found and run as that of a space
(``hpsearch.space.source``).

``f(y_true, y_pred)`` has an attribute ``greater_is_better``. For labels ``y_true`` are codes and
``y_pred`` probabilities, as ``hpsearch.metrics.score`` takes them; with ``response_method =
"predict"`` both are labels. Numbers are (n,), or (n, V) where there are several. A scorer of
``sklearn.metrics.make_scorer`` gets what scikit-learn would give its score function.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import pickle
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import MetricError
from hpsearch.keras_settings import DEFAULT_SETTINGS
from hpsearch.metrics.base import METRICS, Floats, Metric
from hpsearch.metrics.scorers import Called
from hpsearch.paths import expanded, found_at, shown
from hpsearch.space.guards import blame, line_of, text_of
from hpsearch.space.local_modules import importable
from hpsearch.space.objects import source_of_object
from hpsearch.space.source import SpaceSource, run, source_of_file
from hpsearch.task import OF_VALUES, Label, ProblemKind, Target

Answer = Literal["predict", "predict_proba"]
"""What it takes: labels, or probabilities."""

MOST_CHECKED: Final = 500
"""Rows of the made-up predictions that a metric is tried on."""

_IN_FILE: Final = re.compile(r"(?P<path>.+\.py):(?P<name>\w+)")
_NAME: Final = re.compile(r"[A-Za-z]\w{0,63}")
_TAKEN: Final = re.compile(r"loss|.*_se")
"""Names that would make a column of another meaning: ``train_loss``, ``val_accuracy_se``."""

_WRITE: Final = (
    "Give a function f(y_true, y_pred) with an attribute greater_is_better, or what "
    "sklearn.metrics.make_scorer makes of one"
)


@dataclass(frozen=True)
class OwnMetric:
    """A metric of one's own: its code as it was when loaded.

    Attributes
    ----------
    name : in columns and messages.
    source : the code.
    attribute : what it is called in its file; empty for a Python object.
    """

    name: str
    source: SpaceSource = field(repr=False)
    attribute: str

    @classmethod
    def load(cls, spec: Any) -> OwnMetric:
        """A metric from ``FILE.py:NAME``, a function or a scorer; one that is loaded stays.

        Raises
        ------
        MetricError
            If there is none, or its name has another meaning.
        """
        if isinstance(spec, cls):
            return spec
        loaded = cls._of_file(spec) if isinstance(spec, str) else cls._of_object(spec)
        if not _NAME.fullmatch(loaded.name) or _TAKEN.fullmatch(loaded.name):
            raise MetricError(
                "A metric's name is a word of letters, digits and _, not loss and without _se at "
                f"its end, since columns have it; received {loaded.name!r}. Give it a __name__."
            )
        if loaded.name in METRICS:
            raise MetricError(
                f"There is a metric of hpsearch called {loaded.name!r}, so yours needs another "
                "name. Rename it, or give it a __name__."
            )
        return loaded

    @classmethod
    def _of_file(cls, spec: str) -> OwnMetric:
        parts = _IN_FILE.fullmatch(spec)
        if parts is None:
            raise MetricError(
                f"A metric of your own is FILE.py:NAME; received {spec!r}. Say which function of "
                "the file it is."
            )
        path = expanded(parts["path"], MetricError)
        found = found_at(path, MetricError)
        if found not in ("a file", None):
            raise MetricError(
                f"A metric of your own stands in a .py file; {shown(path)} is {found}. "
                "Give FILE.py:NAME."
            )
        try:
            source = source_of_file(path)
        except (OSError, UnicodeDecodeError, SyntaxError) as error:
            raise MetricError(
                f"The metric's file {shown(path)} cannot be read: {error}. Give FILE.py:NAME."
            ) from error
        return cls(parts["name"], source, parts["name"])

    @classmethod
    def _of_object(cls, spec: Any) -> OwnMetric:
        if not callable(spec):
            raise MetricError(f"A metric is a name or a function; received {spec!r}. {_WRITE}.")
        called = Called.of(spec)
        described = _described(called.function)
        source = source_of_object(spec, described, of="metric", error_type=MetricError)
        names = (getattr(value, "__name__", None) for value in (spec, called.function))
        name = next(filter(None, names), source.name)
        text = source.text and "\n".join([source.text, *called.facts()])
        return cls(str(name), replace(source, text=text, settings=DEFAULT_SETTINGS), "")

    @property
    def sha256(self) -> str:
        """Fingerprint of all that its scores follow from, in hex."""
        return hashlib.sha256(f"{self.source.sha256}:{self.attribute}".encode()).hexdigest()

    def __str__(self) -> str:
        """As a command line names it; ``METRIC.py`` stands for a Python object."""
        return f"{self.source.path or 'METRIC.py'}:{self.attribute or self.name}"

    def of_target(self, target: Target) -> Metric:
        """The metric of a target's problem type and labels.

        Raises
        ------
        MetricError
            If its code raises, or it doesn't say whether large values are good.
        """
        called = _called(self)
        takes = _Takes.of(self, called, target)
        greater = called.greater_is_better
        if not isinstance(greater, bool | np.bool_):
            raise MetricError(
                f"The metric '{self.name}' must say whether large values are good; its "
                f"greater_is_better is {greater!r}. Set {self.name}.greater_is_better = True or "
                "False, or use sklearn.metrics.make_scorer."
            )
        return Metric(
            self.name,
            "max" if greater else "min",
            (target.kind,),
            words="A metric of your own.",
            bounds=(-np.inf, np.inf),
            function=takes.score,
            scorer=takes.score_counted,
            cost="calls",
            own=self,
            takes_weights=takes.takes_weights,
        )


def is_own(spec: Any) -> bool:
    """Whether something is a metric of one's own, or a file that should have one."""
    return not isinstance(spec, str) or ".py" in spec


def _described(function: Any) -> Any:
    """The function or class whose text stands for a metric."""
    function = getattr(function, "func", function)  # of functools.partial
    return function if inspect.isroutine(function) or inspect.isclass(function) else type(function)


@lru_cache(maxsize=64)
def _called(own: OwnMetric) -> Called:
    """The function or scorer; its code runs once a process."""
    source = own.source
    with importable(source.modules, keep=source.payload is not None):
        if source.payload is not None:
            return Called.of(pickle.loads(source.payload))
        home = f"hpsearch_metric_{source.sha256[:16]}"
        names = run(source, home, of="metric", error_type=MetricError)
    found = names.get(own.attribute)
    if not callable(found):
        what = "nothing" if found is None else type(found).__name__
        raise MetricError(
            f"The metric's file {source.name!r} has {what} called {own.attribute!r}. {_WRITE}."
        )
    return Called.of(found)


@dataclass(frozen=True)
class _Takes:
    """What a metric is called with, and the calls.

    Attributes
    ----------
    own : the metric's code; kind, labels : of the target.
    answer : labels, or probabilities; has_labels : whether the truth comes as labels too.
    positive : the code of the label whose probability a binary problem's metric gets.
    takes_weights : whether it has a parameter ``sample_weight``.
    always_weighs : whether it gets weights where all rows weigh the same, too.
    """

    own: OwnMetric
    kind: ProblemKind
    labels: tuple[Label, ...]
    answer: Answer
    has_labels: bool
    positive: int
    takes_weights: bool
    always_weighs: bool

    @classmethod
    def of(cls, own: OwnMetric, called: Called, target: Target) -> _Takes:
        kind, labels, asked = target.kind, target.labels, called.response_method
        weighs = "sample_weight" in _parameters(called.function)
        if called.is_scorer:
            answer = _answer(own, asked, kind)
            is_first = kind == "binary" and called.kwargs.get("pos_label", labels[1]) == labels[0]
            return cls(own, kind, labels, answer, True, 0 if is_first else 1, weighs, False)
        is_number = kind in OF_VALUES
        answer = "predict" if is_number else _answer(own, asked or "predict_proba", kind)
        return cls(own, kind, labels, answer, answer == "predict", 1, weighs, weighs)

    def score(
        self,
        kind: ProblemKind,
        y_true: NDArray[Any],
        y_pred: Floats,
        weights: Floats | None = None,
    ) -> Floats:
        """Scores over leading axes, one call for each."""
        n_axes = 1 if kind == "binary" else 2
        arrays = y_pred.reshape(-1, *y_pred.shape[-n_axes:])
        if weights is None and self.always_weighs:
            weights = np.ones(len(y_true))
        scores = np.full(len(arrays), np.nan)
        with self._ready():
            for number, array in enumerate(arrays):
                if np.isfinite(array).all():
                    try:
                        scores[number] = self._call(y_true, array, weights)
                    except MetricError as error:
                        error.number = number
                        raise
        return scores.reshape(y_pred.shape[:-n_axes])

    def score_counted(
        self, kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats, times: NDArray[Any]
    ) -> Floats:
        """Scores of rows that count several times, or weigh; NaN where a call raises.

        With ``sample_weight`` each row comes once, with how often it counts; else so often.
        """
        by_weight = self.always_weighs or not np.issubdtype(times.dtype, np.integer)
        scores = np.full((len(times), len(y_pred)), np.nan)
        finite = [at for at, array in enumerate(y_pred) if np.isfinite(array).all()]
        every_row = np.arange(len(y_true))
        with self._ready():
            for sample, counts in zip(scores, times, strict=True):
                rows = every_row[counts > 0] if by_weight else np.repeat(every_row, counts)
                weights = counts[rows].astype(np.float64) if by_weight else None
                for at in finite if len(rows) else ():
                    with contextlib.suppress(MetricError):
                        sample[at] = self._call(y_true[rows], y_pred[at][rows], weights)
        return scores

    def given(self, y_true: NDArray[Any], y_pred: Floats) -> tuple[NDArray[Any], NDArray[Any]]:
        """Truth and predictions as the metric gets them; copies, which it may change."""
        if self.kind in OF_VALUES:
            one = y_true.shape[-1] == 1
            several = self.kind == "quantile"  # of one value, in the order of their levels
            return (
                np.array(y_true[:, 0] if one else y_true),
                np.array(y_pred[:, 0] if one and not several else y_pred),
            )
        said: NDArray[Any] = np.array(y_pred)
        if self.answer == "predict":
            is_one = self.kind == "multiclass"
            said = said.argmax(axis=-1) if is_one else (said >= 0.5).astype(np.int64)
        elif self.kind == "binary" and self.positive == 0:
            said = 1.0 - said
        if self.kind == "multilabel" or not self.has_labels:
            return np.array(y_true), said
        labels = _array(self.labels)
        return labels[y_true], labels[said] if self.answer == "predict" else said

    @contextlib.contextmanager
    def _ready(self) -> Iterator[None]:
        """Warnings are not heard, since epochs are many, and its modules are found."""
        source = self.own.source
        with warnings.catch_warnings(), importable(source.modules, keep=bool(source.payload)):
            warnings.simplefilter("ignore")
            yield

    def _call(
        self, y_true: NDArray[Any], y_pred: Floats, weights: NDArray[np.float64] | None
    ) -> float:
        called = _called(self.own)
        truth, said = self.given(y_true, y_pred)
        more = dict(called.kwargs)
        if weights is not None:
            more["sample_weight"] = weights.copy()
        try:
            value = called.function(truth, said, **more)
        except (Exception, SystemExit) as error:
            raise MetricError(self._raised(called.function, error)) from error
        return self._number(value)

    def _raised(self, function: Any, error: BaseException) -> str:
        code = getattr(inspect.unwrap(function), "__code__", None)
        files = {*self.own.source.filenames, *([code.co_filename] if code else [])}
        told = text_of(error).rstrip(".")
        return (
            f"the metric {self.own.name} raised {type(error).__name__}{line_of(error, files)}"
            f"{told and f': {told}'}"
        )

    def _number(self, value: Any) -> float:
        try:
            if np.ndim(value) == 0 and not isinstance(value, str | bytes | complex):
                return float(value)
        except (TypeError, ValueError):
            pass
        shape = np.shape(value) if isinstance(value, np.ndarray | list | tuple) else ()
        what = f"{type(value).__name__}{f' of shape {shape}' if shape else ''}"
        raise MetricError(f"the metric {self.own.name} gave {what} in place of one number")


def _array(labels: tuple[Label, ...]) -> NDArray[Any]:
    """Labels as an array of their own type; of mixed types, as objects."""
    if len({type(label) for label in labels}) == 1:
        return np.array(labels)
    made = np.empty(len(labels), dtype=object)
    made[:] = labels
    return made


def _parameters(function: Any) -> Mapping[str, Any]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}


def _answer(own: OwnMetric, asked: Any, kind: ProblemKind) -> Answer:
    """What a network answers a metric with, of the methods that it asks for."""
    of_values = kind in OF_VALUES
    methods = (asked,) if isinstance(asked, str) else tuple(asked or ())
    if "predict_proba" in methods and not of_values:
        return "predict_proba"
    if "predict" in methods:
        return "predict"
    can = "predict" if of_values else "predict or predict_proba"
    raise MetricError(
        f"The metric '{own.name}' asks for {', '.join(map(str, methods))}, and a network of a "
        f"{kind} problem gives {can}. Set its response_method."
    )


# -- the check


def check_own(metric: Metric, target: Target, y: NDArray[Any], *, weighs: bool = False) -> None:
    """Try a metric on some of a table's rows, with predictions made up: at random, and right ones.

    Parameters
    ----------
    weighs : whether rows weigh in scores.

    Raises
    ------
    MetricError
        If it raises, gives no number, or is finite for none.
    OptionError
        If rows weigh, and it doesn't take what they weigh.
    """
    own, takes = metric.own, getattr(metric.function, "__self__", None)
    if own is None or takes is None:
        return
    if weighs:
        metric.check_weights()
    rows = np.unique(np.linspace(0, len(y) - 1, MOST_CHECKED).astype(np.int64))
    truth = y[rows].reshape(len(rows), -1) if target.kind in OF_VALUES else y[rows]
    truth = truth.astype(np.float64 if target.kind in OF_VALUES else np.int64)
    made_up = _made_up(target, truth)
    weights = np.random.default_rng(1).uniform(0.5, 2.0, len(truth)) if weighs else None
    with blame(own.name, "check", own.source.filenames, of="metric", error_type=MetricError):
        try:
            scores = [takes.score(target.kind, truth, said, weights).item() for said in made_up]
        except MetricError as error:
            given = (f"{a.dtype} {a.shape}" for a in takes.given(truth, made_up[0]))
            shown = " and ".join(
                f"{n} {s}" for n, s in zip(("y_true", "y_pred"), given, strict=True)
            )
            raise MetricError(
                f"{str(error)[:1].upper()}{str(error)[1:]}, on made-up predictions of a "
                f"{target.kind} problem, {shown}. Correct the metric."
            ) from error
    if not np.isfinite(scores).any():
        raise MetricError(
            f"The metric '{own.name}' gave {scores[0]:g} for {len(rows)} rows with made-up "
            f"predictions, and {scores[1]:g} with right ones, where a finite number is wanted. "
            "Correct the metric."
        )


def _made_up(target: Target, truth: NDArray[Any]) -> list[Floats]:
    """Predictions at random, and right ones."""
    rng = np.random.default_rng(0)
    if target.kind == "binary":
        return [rng.random(len(truth)), np.clip(truth.astype(np.float64), 0.01, 0.99)]
    if target.kind == "multilabel":
        return [rng.random(truth.shape), np.clip(truth.astype(np.float64), 0.01, 0.99)]
    if target.kind == "multiclass":
        right = 0.01 + (truth[:, np.newaxis] == np.arange(len(target.labels)))
        drawn = rng.random(right.shape) + 0.01
        return [p / p.sum(axis=1, keepdims=True) for p in (drawn, right)]
    drawn = truth + rng.normal(size=truth.shape) * (truth.std(axis=0) + 1e-6)
    low, high = {"share": (0.0, 1.0), "count": (0.0, np.inf)}.get(target.kind, (-np.inf, np.inf))
    made_up = [np.clip(drawn, low, high), truth.copy()]
    if target.levels:
        steps = np.arange(len(target.levels)) * (truth.std() + 1e-6)
        return [values + steps for values in made_up]
    return made_up
