"""What a diagnosis is, and its form in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Chart = Literal["curves", "folds", "predictions", "trials"]
"""The picture that shows the evidence: learning curves of the trial, its fold scores, its
out-of-fold predictions, or all trials against a hyperparameter."""

Severity = Literal["problem", "hint", "note"]
"""``problem``: the result is worse than it could be, or means less than it seems to; ``hint``: more
can probably be gained; ``note``: it only looks odd."""

Number = int | float | str | None
"""A figure, or a name that belongs to it."""


@dataclass(frozen=True)
class Diagnosis:
    """One finding about a run: what was seen, in numbers, and what to try.

    Attributes
    ----------
    code : what it is called, in lower case with underscores: ``"overfit"``. It never changes.
    title : what is the matter, one line without numbers and without a full stop.
    evidence : one or two sentences with the numbers that led to it.
    advice : what to try, one or two sentences.
    severity : how much it matters.
    chart : the picture that shows it.
    trial : the trial that it is about; None where it is about the search.
    numbers : the evidence once more, name to figure or to a list of figures or of lists; epochs,
        rows, repeats and folds as in the tables.

    Examples
    --------
    >>> found = Diagnosis(
    ...     code="still_falling",
    ...     title="Still improving at the last epoch",
    ...     evidence="Over epochs 31 to 40 the mean validation log_loss fell from 0.31 to 0.28.",
    ...     advice="Train longer: --epochs 80.",
    ...     severity="hint",
    ...     chart="curves",
    ...     trial=3,
    ...     numbers={"epoch": 40, "before": 0.31, "after": 0.28},
    ... )
    >>> Diagnosis.from_json(found.to_json()) == found
    True
    """

    code: str
    title: str
    evidence: str
    advice: str
    severity: Severity
    chart: Chart
    trial: int | None = None
    numbers: Mapping[str, Number | list[Any]] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.chart not in get_args(Chart) or self.severity not in get_args(Severity):
            raise ValueError(f"There is no chart {self.chart!r} or severity {self.severity!r}.")

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary; ``from_json`` is its inverse."""
        return {
            "code": self.code,
            "title": self.title,
            "evidence": self.evidence,
            "advice": self.advice,
            "severity": self.severity,
            "chart": self.chart,
            "trial": self.trial,
            "numbers": dict(self.numbers),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Diagnosis:
        """The inverse of ``to_json``."""
        return cls(**value)


def short(value: float) -> str:
    """A figure in three significant digits, whole numbers below a million in full.

    Examples
    --------
    >>> short(0.123456), short(1234.0), short(1e-7), short(12.3456)
    ('0.123', '1234', '1e-07', '12.3')
    """
    if float(value).is_integer() and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def percent(share: float) -> str:
    """A share in per cent.

    Examples
    --------
    >>> percent(0.123), percent(0.0012)
    ('12 %', '0.12 %')
    """
    return f"{100 * share:.0f} %" if abs(share) >= 0.01 or not share else f"{100 * share:.2g} %"


def counted(count: int, noun: str) -> str:
    """``1 trial``, ``2 trials``.

    Examples
    --------
    >>> counted(1, "fold"), counted(3, "fold")
    ('1 fold', '3 folds')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
