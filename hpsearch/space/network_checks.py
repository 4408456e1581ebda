"""Checks on what a space's ``build`` returned, made before any training.

Owns what needs neither data nor the target: that it is a compiled network, and that it can be
saved and loaded again. What of one's own it holds belongs to ``own_objects``, whether its input and
output fit the problem to ``hpsearch.engines.network``.
"""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, Final

from hpsearch.errors import SpaceError
from hpsearch.space.own_objects import check_made_again, is_kerass, own_objects
from hpsearch.space.registered import Registered

if TYPE_CHECKING:
    import keras

    from hpsearch.task import Problem

NOTHING: Final[Registered] = {}


def check_model(name: str, model: Any, problem: Problem) -> None:
    """Refuse what is no compiled network; create the weights where they do not exist yet.

    Parameters
    ----------
    name : the space's name, for the message.
    model : what its ``build`` returned.
    problem : what the network is for.

    Raises
    ------
    SpaceError
        If this is no ``keras.Model`` compiled with an optimizer and a loss.
    """
    import keras

    if not isinstance(model, keras.Model):
        raise SpaceError(
            f"build of '{name}' must return a compiled keras.Model; it returned "
            f"{type(model).__name__}. Return the model that compile was called on."
        )
    if not model.compiled or model.optimizer is None or model.loss is None:
        raise SpaceError(
            f"build of '{name}' must compile its network with an optimizer and a loss. "
            "Call model.compile(optimizer=..., loss=problem.loss) before returning it."
        )
    if not model.built:
        model.build((None, *problem.input_shape))


def check_saves(name: str, model: keras.Model, registered: Registered = NOTHING) -> None:
    """Refuse what saves without complaint and cannot be loaded again.

    Parameters
    ----------
    registered : objects of one's own that may be in the network: the space's code registers them,
        and whoever loads the network runs it.

    Raises
    ------
    SpaceError
        If the network holds a lambda, or a function or a class that neither Keras ships nor the
        space's code registers where it is loaded; or if it isn't the same once it is made again
        from its configuration.
    """
    own = list(own_objects(model))
    strange = next((one for one in own if not one.is_among(registered)), None)
    if strange is not None:
        remedy = strange.remedy
        if any(one.name == strange.name for one in own if one.is_among(registered)):
            remedy = "Keras would load its own of that name in its place: rename yours."
        raise SpaceError(
            f"The network of '{name}' contains {strange.words} and a saved model with it cannot be "
            f"loaded unless the space's code is run. {remedy}"
        )
    if own:
        check_made_again(name, model)


def foreign_code(model: keras.Model) -> str | None:
    """What a network holds that Keras does not ship, named for people, or None.

    Its losses and its optimizer are not looked at.
    """
    return next((one.words for one in own_objects(model)), None)


def is_of_keras(thing: Any) -> bool:
    """Whether a function or an object's class is one that Keras ships."""
    described = thing if isinstance(thing, types.FunctionType) else type(thing)
    return is_kerass(described.__name__, described.__module__)
