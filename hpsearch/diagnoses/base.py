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
