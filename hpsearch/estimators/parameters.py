"""Constructors out of the one declaration of options, as scikit-learn reads them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from hpsearch.options import Option, documented

_C = TypeVar("_C", bound=type)

NAMES: Final = {"transform": "transform_target"}
"""Options that have another name as a parameter: what has ``transform`` is a transformer."""

_OF_CLASSES: Final = ("class_weight", "calibrate", "threshold")
_OF_NUMBERS: Final = ("transform", "task", "levels", "exposure")
_WORDS: Final = {
    "task": "What the numbers are: regression, share, count or quantile. Default: regression.",
    "exposure": "With task count, the column of X that says over how much each row was counted: "
    "rates are learnt, and predictions are rates times it.",
}


def for_classifiers(options: Iterable[Option]) -> tuple[Option, ...]:
    """Options as parameters of a classifier, those about numbers left out."""
    return _parameters(each for each in options if each.name not in _OF_NUMBERS)


def for_regressors(options: Iterable[Option]) -> tuple[Option, ...]:
    """Options as parameters of a regressor, those about classes left out."""
    return _parameters(
        replace(each, words=_WORDS.get(each.name, each.words))
        for each in options
        if each.name not in _OF_CLASSES
    )


def _parameters(options: Iterable[Option]) -> tuple[Option, ...]:
    return tuple(replace(each, name=NAMES.get(each.name, each.name)) for each in options)


def asked_of(estimator: Any, options: Iterable[Option]) -> dict[str, Any]:
    """Options by their own names, as an estimator's parameters have them, or at their defaults."""
    return {
        each.name: getattr(estimator, NAMES.get(each.name, each.name), each.default)
        for each in options
    }


def constructed_with(
    options: Sequence[Option],
    *,
    first: tuple[str, Any],
    undocumented: Sequence[str] = (),
    **own: Any,
) -> Callable[[_C], _C]:
    """Give an estimator a constructor that keeps each parameter as it is given.

    What has no meaning is refused by ``fit``, as scikit-learn has it: clones and ``set_params``
    take whatever they are given.

    Parameters
    ----------
    options : its keyword parameters, with their defaults; their words go into the docstring, but
        for those that are ``undocumented``, of which it says something itself.
    first : name and default of the one that may be positional; own : further keyword ones.
    """
    name, default = first
    kinds = inspect.Parameter
    signature = inspect.Signature(
        [
            kinds("self", kinds.POSITIONAL_OR_KEYWORD),
            kinds(name, kinds.POSITIONAL_OR_KEYWORD, default=default),
            *(kinds(key, kinds.KEYWORD_ONLY, default=value) for key, value in own.items()),
            *(kinds(each.name, kinds.KEYWORD_ONLY, default=each.default) for each in options),
        ]
    )

    def construct(estimator: _C) -> _C:
        def keep(self: Any, *given: Any, **named: Any) -> None:
            bound = signature.bind(self, *given, **named)
            bound.apply_defaults()
            for key, value in bound.arguments.items():
                if key != "self":
                    setattr(self, key, value)

        keep.__name__ = "__init__"
        keep.__signature__ = signature  # type: ignore[attr-defined]
        estimator.__init__ = keep  # type: ignore[misc]
        return documented([each for each in options if each.name not in undocumented])(estimator)

    return construct
