"""Declared hyperparameters as JSON: what a run remembers of its space, for whoever reads the run.

Owns that form. A space's code is what a run is resumed with; this is for programs that must not run
it, such as an export.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpsearch.space.hyperparameters import kind_of, plain

if TYPE_CHECKING:
    from keras_tuner import HyperParameter, HyperParameters

Declaration = dict[str, Any]


def declarations(hp: HyperParameters) -> list[Declaration]:
    """Each declaration in its order: name, type, values or range, default, and when it is active.

    Examples
    --------
    >>> from keras_tuner import HyperParameters
    >>> hp = HyperParameters()
    >>> _ = hp.Choice("optimizer", ["sgd", "adam"])
    >>> with hp.conditional_scope("optimizer", ["sgd"]):
    ...     _ = hp.Float("momentum", 0.0, 0.9, step=0.3)
    >>> for each in declarations(hp):
    ...     print(each["name"], each.get("values"), each.get("low"), each["conditions"])
    optimizer ['sgd', 'adam'] None []
    momentum None 0.0 [{'name': 'optimizer', 'values': ['sgd']}]
    """
    return [
        {
            "name": parameter.name,
            "type": kind_of(parameter),
            **_values_of(parameter),
            "default": plain(parameter, parameter.default),
            "conditions": [
                {"name": condition.name, "values": list(condition.values)}
                for condition in parameter.conditions
            ],
        }
        for parameter in hp.space
    ]


def _values_of(parameter: HyperParameter) -> Declaration:
    kind = kind_of(parameter)
    if kind not in ("int", "float"):
        return {"values": list(dict.fromkeys(parameter.values))}
    return {
        "low": parameter.min_value,
        "high": parameter.max_value,
        "step": parameter.step,
        "sampling": parameter.sampling,
    }
