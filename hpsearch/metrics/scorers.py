"""What a metric of one's own says of itself, a function or what scikit-learn made of one.

The one module that knows what ``sklearn.metrics.make_scorer`` keeps privately.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Called:
    """A function that scores, and what is known of it.

    Attributes
    ----------
    function : takes truth and predictions; kwargs : what it gets besides.
    greater_is_better : what it says; None where it says nothing.
    response_method : what it asks a model for, by scikit-learn's names; None where it says nothing.
    is_scorer : whether scikit-learn's ``make_scorer`` made it.
    """

    function: Any
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    greater_is_better: Any = None
    response_method: Any = None
    is_scorer: bool = False

    @classmethod
    def of(cls, value: Any) -> Called:
        """Read a function, or a scorer."""
        if not _is_scorer(value):
            says = getattr(value, "greater_is_better", None)
            return cls(value, {}, says, getattr(value, "response_method", None))
        better = bool(value._sign > 0)
        return cls(value._score_func, dict(value._kwargs), better, value._response_method, True)

    def facts(self) -> list[str]:
        """What scores follow from beside the function's text, a line each."""
        lines = []
        if self.is_scorer:
            lines.append(f"# {self.greater_is_better}, {self.response_method!r}")
        lines += [f"# {name}: {value!r}" for name, value in sorted(self.kwargs.items())]
        own = dict(getattr(self.function, "__dict__", {}))
        if hasattr(self.function, "func"):  # of functools.partial
            own |= {"args": self.function.args, **self.function.keywords}
        plain = (bool, int, float, str, tuple, list, type(None))
        return lines + [f"# {n} = {own[n]!r}" for n in sorted(own) if isinstance(own[n], plain)]


def _is_scorer(value: Any) -> bool:
    return type(value).__module__.startswith("sklearn.") and all(
        hasattr(value, name) for name in ("_score_func", "_sign", "_kwargs", "_response_method")
    )
