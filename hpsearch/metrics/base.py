"""What a metric is, and which there are.

Owns ``Metric``, families of metrics that take a number, and ``METRICS``, which knows them by name.
The metrics themselves stand in the other files of this folder, one a family of formulas.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import OptionError
from hpsearch.task import OF_VALUES, Direction, ProblemKind, Target

if TYPE_CHECKING:
    from hpsearch.metrics.own import OwnMetric

Floats = NDArray[np.float64]
Bounds = tuple[float, float]

PROBABILITY_EPS = float(np.finfo(np.float64).eps)
"""Probabilities are clipped to [eps, 1 - eps] before a logarithm, as scikit-learn clips float64.

It is the same for float32 predictions (scikit-learn would take 1.2e-7 for those), so that the log
loss of a table of predictions read back equals the one that was recorded.
"""

FROM_0: Final[Bounds] = (0.0, math.inf)
SHARE: Final[Bounds] = (0.0, 1.0)
UP_TO_1: Final[Bounds] = (-math.inf, 1.0)
CORRELATION: Final[Bounds] = (-1.0, 1.0)

Function = Callable[..., Any]
"""Problem type, truth (n, ...) and predictions (..., n) or (..., n, n_outputs) to scores (...).

One that is one's own takes weights (n,) besides, or None."""

Scorer = Callable[[ProblemKind, NDArray[Any], Floats, NDArray[Any]], Floats]
"""Problem type, truth, (A, n, ...) predictions and (B, n) counts or weights to (B, A) scores.

Of one sample (B = 1) each score has the same bits whatever else is scored in the same call."""

Cost = Literal["sums", "ordered", "calls"]
"""What scoring bootstrap samples takes: sums over rows, a walk through them in order, or a call of
a function of Python for each."""


@dataclass(frozen=True)
class TargetRule:
    """What a metric asks of the target.

    Attributes
    ----------
    needs : the rule, as it follows "needs".
    received : what there is instead, as it follows "received"; empty where the rule is met.
    """

    needs: str
    received: Callable[[Target, NDArray[Any]], str]


class Metric(str):
    """A metric: its name, which is what it is as a text, and all that belongs to it.

    Whoever writes columns and documents has a text in it, whoever scores and compares has its
    function and direction.

    Attributes
    ----------
    name : the name in options and column names.
    direction : ``"min"`` where small is good, ``"max"`` where large is good.
    kinds : the problem types that it applies to.
    words : what it is, a sentence or two for people.
    bounds : the least and the largest value that it can have.
    function : scores predictions over leading axes.
    scorer : scores rows that count several times, or weigh; None where each sample is made.
    cost : what that takes.
    rule : what it asks of the target, or None.
    own : the code of one's own that it is, or None.
    takes_weights : whether rows may weigh in it what they weigh by themselves.
    """

    name: str
    direction: Direction
    kinds: tuple[ProblemKind, ...]
    words: str
    bounds: Bounds
    function: Function
    scorer: Scorer | None
    cost: Cost
    rule: TargetRule | None
    own: OwnMetric | None
    takes_weights: bool

    def __new__(
        cls,
        name: str,
        direction: Direction,
        kinds: tuple[ProblemKind, ...],
        words: str,
        bounds: Bounds,
        function: Function,
        scorer: Scorer | None = None,
        cost: Cost = "sums",
        rule: TargetRule | None = None,
        own: OwnMetric | None = None,
        takes_weights: bool = True,
    ) -> Metric:
        """A text that is the name, with the attributes."""
        made = super().__new__(cls, name)
        made.name, made.direction, made.kinds = name, direction, kinds
        made.words, made.bounds, made.function = words, bounds, function
        made.scorer, made.cost, made.rule, made.own = scorer, cost, rule, own
        made.takes_weights = takes_weights and scorer is not None
        return made

    @property
    def best(self) -> float | None:
        """The best value that it can have, or None where it has no bound on that side."""
        end = self.bounds[0 if self.direction == "min" else 1]
        return end if math.isfinite(end) else None

    def __reduce__(self) -> tuple[Any, ...]:
        """Those that every process knows travel by their names."""
        if self.own is None and self.name in METRICS:
            return _known, (self.name,)
        return Metric, tuple(getattr(self, each) for each in Metric.__annotations__)

    def of_weights(
        self, kind: ProblemKind, y_true: NDArray[Any], y_pred: Floats, weights: Floats
    ) -> Any:
        """Scores over leading axes of rows that weigh (n,), each of them more than 0."""
        self.check_weights()
        if self.own is not None:
            return self.function(kind, y_true, y_pred, weights)
        assert self.scorer is not None
        n_axes = 1 if kind == "binary" else 2
        arrays = y_pred.reshape(-1, *y_pred.shape[-n_axes:])
        scores = self.scorer(kind, y_true, arrays, weights[np.newaxis])
        return scores.reshape(y_pred.shape[:-n_axes])

    def check_weights(self) -> None:
        """Raise ``OptionError`` where rows can't weigh in it."""
        if not self.takes_weights:
            raise OptionError(
                f"Rows weigh in scores, and the metric {self.name} doesn't take what they weigh. "
                "Give its function a parameter sample_weight, or let rows weigh in the loss alone: "
                "--no-weigh-scores, `weigh_scores=False`."
            )

    def check_target(self, target: Target, y: NDArray[Any]) -> None:
        """Raise ``OptionError`` where it has no value for a target, whatever is predicted."""
        received = "" if self.rule is None else self.rule.received(target, y)
        if self.rule is not None and received:
            raise OptionError(
                f"The metric {self.name} needs {self.rule.needs}; received {received}. "
                "Take another metric."
            )


@dataclass(frozen=True)
class Family:
    """Metrics that differ by a number, which ends their name: ``pinball_0.9``.

    Attributes
    ----------
    stem : the name without the number.
    number : what the number is called, in capitals as it stands for it in ``pinball_SHARE``.
    needs : which numbers there may be, in words; ``takes`` tells.
    words : what they are, with ``{}`` for the number.
    make : the metric of a name, a number, and words.
    examples : some numbers.
    """

    stem: str
    number: str
    needs: str
    takes: Callable[[float], bool]
    words: str
    make: Callable[[str, float, str], Metric]
    examples: tuple[float, ...]

    @property
    def pattern(self) -> str:
        """Its name with a word for the number."""
        return f"{self.stem}_{self.number}"

    def of(self, number: float) -> Metric:
        """The metric of a number."""
        text = f"{number:.12g}"
        return self.make(f"{self.stem}_{text}", number, self.words.format(text))

    @property
    def kinds(self) -> tuple[ProblemKind, ...]:
        """The problem types that it applies to."""
        return self.of(self.examples[0]).kinds


_NUMBERED: Final = re.compile(r"([a-z][a-z0-9_]*?)_(\d+(?:\.\d+)?)")


class Registry(Mapping[str, Metric]):
    """Metrics by name; a name that ends in a number is looked up among the families.

    Iterating gives those without a number.
    """

    def __init__(self) -> None:
        self.families: dict[str, Family] = {}
        self._metrics: dict[str, Metric] = {}
        self._made: dict[tuple[str, float], Metric] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._metrics)

    def __len__(self) -> int:
        return len(self._metrics)

    def __getitem__(self, name: str) -> Metric:
        if name in self._metrics:
            return self._metrics[name]
        numbered = _NUMBERED.fullmatch(name)
        if numbered is None or numbered[1] not in self.families:
            raise KeyError(name)
        family, number = self.families[numbered[1]], float(numbered[2])
        if not family.takes(number):
            raise KeyError(name)
        return self._made.setdefault((family.stem, number), family.of(number))

    def add(self, metric: Metric) -> None:
        """Know a metric."""
        self._metrics[metric.name] = metric

    def remove(self, name: str) -> None:
        """Forget a metric."""
        del self._metrics[name]

    def family_of(self, name: str) -> Family | None:
        """The family that a name belongs to, whether its number is right or missing."""
        stems = [stem for stem in self.families if f"{name}_".startswith(f"{stem}_")]
        return self.families[max(stems, key=len)] if stems else None

    def names_for(self, kind: ProblemKind) -> list[str]:
        """All names that suit a problem type, those of families with a word for the number."""
        plain = [metric.name for metric in self._metrics.values() if kind in metric.kinds]
        return plain + [f.pattern for f in self.families.values() if kind in f.kinds]

    def every_kind(self) -> list[Metric]:
        """Each metric without a number, and some of each family."""
        numbered = [family.of(n) for family in self.families.values() for n in family.examples]
        return [*self._metrics.values(), *numbered]


METRICS: Final = Registry()


def _known(name: str) -> Metric:
    return METRICS[name]


def register(
    name: str,
    direction: Direction,
    *kinds: ProblemKind,
    words: str,
    bounds: Bounds,
    scorer: Scorer | None = None,
    cost: Cost = "sums",
    rule: TargetRule | None = None,
) -> Callable[[Function], Function]:
    """Make a function a metric of some problem types.

    It takes the problem type, the truth (n, ...) and predictions (..., n) or (..., n, n_outputs),
    and scores over their leading axes. The other parameters are attributes of ``Metric``.
    """

    def keep(function: Function) -> Function:
        METRICS.add(Metric(name, direction, kinds, words, bounds, function, scorer, cost, rule))
        return function

    return keep


def register_family(family: Family) -> None:
    """Know the metrics of a family."""
    METRICS.families[family.stem] = family


def tables() -> str:
    """All metrics in two tables in Markdown: of labels and probabilities, and of numbers."""
    lines = []
    for title, of_values in (("Labels and probabilities", False), ("Numbers", True)):
        lines += [f"### {title}", "", "| name | for | better is | range | what it is |"]
        lines.append("| --- | --- | --- | --- | --- |")
        for name, words, metric in _described():
            if bool({*OF_VALUES} & {*metric.kinds}) == of_values:
                better = "less" if metric.direction == "min" else "more"
                low, high = (f"{end:g}".replace("inf", "∞") for end in metric.bounds)
                kinds = ", ".join(metric.kinds)
                lines.append(f"| `{name}` | {kinds} | {better} | {low} to {high} | {words} |")
        lines.append("")
    return "\n".join(lines).rstrip()


def _described() -> list[tuple[str, str, Metric]]:
    """Every metric with its name and its words; of a family one, with a word for the number."""
    plain = [(name, metric.words, metric) for name, metric in METRICS.items()]
    numbered = [
        (family.pattern, family.words.format(family.number), family.of(family.examples[0]))
        for family in METRICS.families.values()
    ]
    return sorted([*plain, *numbered], key=lambda entry: (entry[2].kinds, entry[0]))


def over_rows(values: Floats) -> Floats:
    """Mean of (..., n, V) over the rows, (..., V).

    Rows are made the contiguous last axis, so that NumPy sums them in one order whatever axes
    lead: an epoch's score has the same bits alone and among others.
    """
    return np.asarray(rows_last(values).mean(axis=-1), dtype=np.float64)


def rows_last(values: NDArray[Any]) -> NDArray[Any]:
    """(..., n, V) as a contiguous (..., V, n)."""
    return np.ascontiguousarray(np.swapaxes(values, -1, -2))


def predicted_codes(kind: ProblemKind, y_pred: Floats) -> NDArray[np.int64]:
    """Predicted codes (..., n); a probability of 0.5 counts as the second label."""
    if kind == "binary":
        return (y_pred >= 0.5).astype(np.int64)
    return np.asarray(y_pred.argmax(axis=-1), dtype=np.int64)
