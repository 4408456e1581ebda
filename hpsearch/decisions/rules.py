"""Rules that a threshold is chosen by, and the figures of rows that a threshold sorts.

Owns what ``--threshold`` takes. Choosing and correcting belongs to ``cuts`` and ``threshold``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import OptionError
from hpsearch.task import Direction, Target

Floats = NDArray[np.float64]

WRITE: Final = (
    "f1, f_beta_BETA, balanced, youden, mcc, kappa, accuracy, cost:FN=A,FP=B, recall>=SHARE, "
    "precision>=SHARE, specificity>=SHARE (in quotes, as > is the shell's), or a number from 0 to 1"
)


@dataclass(frozen=True, eq=False)
class Confusion:
    """What rows weigh by what they are and what they are said to be, in arrays of one shape.

    Attributes
    ----------
    true_positives, false_positives, false_negatives, true_negatives : positive rows have the
        label; what is said of a row is positive from the threshold on.
    """

    true_positives: Floats
    false_positives: Floats
    false_negatives: Floats
    true_negatives: Floats

    @property
    def positives(self) -> Floats:
        """Rows that have the label."""
        return self.true_positives + self.false_negatives

    @property
    def negatives(self) -> Floats:
        """Rows that have not."""
        return self.false_positives + self.true_negatives

    @property
    def said(self) -> Floats:
        """Rows that are said to have it."""
        return self.true_positives + self.false_positives

    @property
    def total(self) -> Floats:
        """All rows."""
        return self.positives + self.negatives

    def at(self, places: Any) -> Confusion:
        """Those of some places of the arrays."""
        return Confusion(*(np.asarray(part[places]) for part in self.parts()))

    def parts(self) -> tuple[Floats, Floats, Floats, Floats]:
        """The four arrays, in the order of the attributes."""
        return (
            self.true_positives,
            self.false_positives,
            self.false_negatives,
            self.true_negatives,
        )


def _over(part: Floats, whole: Floats) -> Floats:
    """Part over whole; 0 where there is no whole."""
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), 0.0)


def _recall(rows: Confusion) -> Floats:
    return _over(rows.true_positives, rows.positives)


def _specificity(rows: Confusion) -> Floats:
    return _over(rows.true_negatives, rows.negatives)


def _precision(rows: Confusion) -> Floats:
    return _over(rows.true_positives, rows.said)


def _f_beta(rows: Confusion, beta: float) -> Floats:
    square = beta**2
    return _over((1 + square) * rows.true_positives, square * rows.positives + rows.said)


def _balanced_accuracy(rows: Confusion) -> Floats:
    return (_recall(rows) + _specificity(rows)) / 2


def _matthews(rows: Confusion) -> Floats:
    tp, fp, fn, tn = rows.parts()
    apart = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return np.where(apart > 0, (tp * tn - fp * fn) / np.sqrt(np.where(apart > 0, apart, 1)), 0.0)


def _cohen_kappa(rows: Confusion) -> Floats:
    tp, fp, fn, tn = rows.parts()
    apart = (tp + fp) * (fp + tn) + (tp + fn) * (fn + tn)
    return _over(2 * (tp * tn - fn * fp), apart)


def _accuracy(rows: Confusion) -> Floats:
    return _over(rows.true_positives + rows.true_negatives, rows.total)


def _cost(rows: Confusion, fn: float, fp: float) -> Floats:
    return _over(fn * rows.false_negatives + fp * rows.false_positives, rows.total)


Figure = Callable[[Confusion], Floats]

FIGURES: Final[Mapping[str, Figure]] = {
    "f1": partial(_f_beta, beta=1.0),
    "precision": _precision,
    "recall": _recall,
    "specificity": _specificity,
    "balanced_accuracy": _balanced_accuracy,
    "accuracy": _accuracy,
}
"""What is said at every threshold, whatever it is chosen by."""

_FURTHER: Final[Mapping[str, Figure]] = {
    "youden": lambda rows: _recall(rows) + _specificity(rows) - 1,
    "matthews": _matthews,
    "cohen_kappa": _cohen_kappa,
}
_OTHER_NAMES: Final = {
    "balanced": "balanced_accuracy",
    "mcc": "matthews",
    "kappa": "cohen_kappa",
}
_OTHER_BOUNDS: Final = {"sensitivity": "recall", "tpr": "recall", "tnr": "specificity"}
TRADED_FOR: Final = {"recall": "specificity", "precision": "recall", "specificity": "recall"}
"""What is as large as it can be where the first one reaches a bound."""

_BOUND: Final = re.compile(r"([^>=\s]+)\s*>=\s*(.*)")
_F_BETA: Final = re.compile(r"f_?(?:beta_)?(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class ThresholdRule:
    """What a threshold is chosen by.

    Attributes
    ----------
    text : the rule, always written in the same way.
    name : of the figure that it is about; direction : whether small or large values are good.
    figure : its function.
    bound : what the figure must reach, while another one is as large as it can be; or None.
    number : the threshold itself, where that is what was asked; or None.
    """

    text: str
    name: str
    figure: Figure
    direction: Direction = "max"
    bound: float | None = None
    number: float | None = None

    @classmethod
    def of(cls, asked: Any) -> ThresholdRule:
        """The rule that is meant by a text or a number.

        Raises
        ------
        OptionError
            None is.

        Examples
        --------
        >>> ThresholdRule.of(" MCC ").text, ThresholdRule.of("cost:fp=1, fn=5").text
        ('matthews', 'cost:FN=5,FP=1')
        >>> ThresholdRule.of("sensitivity >= .9").text, ThresholdRule.of(0.3).text
        ('recall>=0.9', '0.3')
        """
        if isinstance(asked, cls):
            return asked
        if isinstance(asked, bool) or not isinstance(asked, str | int | float | np.number):
            raise OptionError(f"`threshold` is {WRITE}; received {asked!r}.")
        text = str(asked).strip().lower()
        found = _number(text) or _bounded(text) or _of_cost(text) or _optimum(text)
        if found is None:
            raise OptionError(f"`threshold` is {WRITE}; received {asked!r}.{_hint(text)}")
        return found

    @property
    def figures(self) -> dict[str, Figure]:
        """What is said at the threshold: what it is chosen by, then what is always said."""
        return {self.name: self.figure, **FIGURES}

    @property
    def words(self) -> str:
        """What the threshold does, as it follows "the one that"."""
        if self.number is not None:
            return "was asked for"
        if self.bound is not None:
            other = TRADED_FOR[self.name]
            return f"has the largest {other} with a {self.name} of {self.bound:g} or more"
        best = "smallest" if self.direction == "min" else "largest"
        return f"has the {best} {self.name}"

    def places(self, rows: Confusion) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """(b,) where each of b samples is best, of thresholds from high to low (b, m).

        The highest of equally good ones; and whether a bound is reached there. Where none reaches
        it, the one that comes nearest.
        """
        values = self.figure(rows)
        if self.bound is None:
            losses = values if self.direction == "min" else -values
            best = losses.argmin(axis=1)
            return best, np.ones(len(best), dtype=bool)
        reaches = np.asarray(values >= self.bound - 1e-12)
        other = FIGURES[TRADED_FOR[self.name]](rows)
        best = np.where(reaches, other, -1.0).argmax(axis=1)
        is_reached = np.asarray(reaches.any(axis=1))
        return np.where(is_reached, best, values.argmax(axis=1)), is_reached


def threshold_option(name: str, value: Any) -> str | None:
    """The rule of the option: the text of a ``ThresholdRule``, or none.

    Examples
    --------
    >>> threshold_option("threshold", "balanced"), threshold_option("threshold", "none")
    ('balanced_accuracy', None)
    """
    return None if value == "none" else ThresholdRule.of(value).text


def check_suits(rule: ThresholdRule, target: Target) -> None:
    """Raise ``OptionError`` where a problem's rows are not sorted by a threshold."""
    if target.kind in ("binary", "multilabel"):
        return
    remedy = (
        "Of several classes the most probable one is predicted: leave --threshold out, or join "
        "them to two."
        if target.kind == "multiclass"
        else "Leave --threshold out."
    )
    raise OptionError(
        "`threshold` is where the probability of a label says yes, so the problem must be binary "
        f"or multilabel; received --threshold {rule.text} for a {target.kind} problem. {remedy}"
    )


def _number(text: str) -> ThresholdRule | None:
    try:
        number = float(text)
    except ValueError:
        return None
    if not 0 <= number <= 1:
        raise OptionError(f"`threshold`, where it is a number, is from 0 to 1; received {text}.")
    return ThresholdRule(f"{number:.12g}", "f1", FIGURES["f1"], number=number)


def _bounded(text: str) -> ThresholdRule | None:
    parts = _BOUND.fullmatch(text)
    if parts is None:
        return None
    name = _OTHER_BOUNDS.get(parts[1], parts[1])
    if name not in TRADED_FOR:
        raise OptionError(
            f"`threshold` holds one of {', '.join(TRADED_FOR)} at a share or above; received "
            f"{parts[1]!r}. Write for instance 'recall>=0.9'."
        )
    try:
        bound = float(parts[2])
    except ValueError:
        bound = math.nan
    if not 0 < bound <= 1:
        raise OptionError(
            f"`threshold` {name}>=SHARE takes a share above 0, up to 1; received {parts[2]!r}. "
            f"Write for instance '{name}>=0.9'."
        )
    return ThresholdRule(f"{name}>={bound:.12g}", name, FIGURES[name], bound=bound)


def _of_cost(text: str) -> ThresholdRule | None:
    if not text.startswith("cost"):
        return None
    rule = (
        "`threshold` cost:FN=A,FP=B takes what a missed positive row costs and what a false alarm "
        "does, both numbers above 0"
    )
    costs: dict[str, float] = {}
    for part in text.removeprefix("cost").removeprefix(":").split(","):
        key, _, value = (word.strip() for word in part.partition("="))
        try:
            costs[key] = math.nan if key in costs else float(value)
        except ValueError:
            costs[key] = math.nan
    is_right = costs.keys() == {"fn", "fp"} and all(0 < cost < math.inf for cost in costs.values())
    if not is_right:
        raise OptionError(f"{rule}; received {text!r}. Write for instance cost:FN=5,FP=1.")
    name = f"cost:FN={costs['fn']:.12g},FP={costs['fp']:.12g}"
    return ThresholdRule(name, "cost", partial(_cost, fn=costs["fn"], fp=costs["fp"]), "min")


def _optimum(text: str) -> ThresholdRule | None:
    name = _OTHER_NAMES.get(text, text)
    if name in ("precision", "recall", "specificity"):
        return None
    known = {**FIGURES, **_FURTHER}
    if name in known:
        return ThresholdRule(name, name, known[name])
    beta = _F_BETA.fullmatch(name)
    if beta is None:
        return None
    number = float(beta[1])
    if not 0 < number <= 1000:
        raise OptionError(
            "`threshold` f_beta_BETA ends in a number above 0, up to 1,000; received "
            f"{text!r}. Write for instance f_beta_2."
        )
    name = "f1" if number == 1 else f"f_beta_{number:.12g}"
    return ThresholdRule(name, name, partial(_f_beta, beta=number))


def _hint(text: str) -> str:
    if ".py" in text:
        return (
            " A metric of your own would be called for every threshold of every sample; choose by "
            "one of these, and record it with --also."
        )
    if text in ("precision", "recall", "specificity", *_OTHER_BOUNDS):
        return (
            f" Alone it is largest where all rows, or none, are said to be positive: write "
            f"--threshold '{_OTHER_BOUNDS.get(text, text)}>=0.9', with the quotes."
        )
    return ""
