"""What a tuner knows of its networks before any training, from the default one.

Owns making a space of a keras-tuner hypermodel, and reading off its default network what a script
leaves unsaid: the loss, the shape of its input. Building for trials belongs to ``hpsearch.space``.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from hpsearch.errors import OptionError, SpaceError
from hpsearch.space.guards import blame, heard_warnings
from hpsearch.space.source import definition, is_hypermodel
from hpsearch.space.space import Space
from hpsearch.task import Problem

if TYPE_CHECKING:
    from keras_tuner import HyperParameters

_FOR_RAW_ROWS: Final = ("Rescaling", "Normalization")
"""Layers that standardise, as if nobody had."""


@dataclass(frozen=True)
class Networks:
    """The networks of a hypermodel.

    Attributes
    ----------
    space : the space that a search takes.
    build : makes a network of hyperparameters; None where the space wants to know the problem.
    """

    space: Space
    build: Callable[[HyperParameters], Any] | None

    @classmethod
    def of(cls, hypermodel: Any, hyperparameters: HyperParameters | None = None) -> Networks:
        """The networks of what a script gives its tuner.

        Parameters
        ----------
        hypermodel : a function ``build(hp)``, a ``kt.HyperModel`` (class or instance), or whatever
            else ``Search`` takes as a space.
        hyperparameters : declarations that count before those of the same names in the build.

        Raises
        ------
        InputError
            It is none of these, or raises.
        """
        if hypermodel is None:
            raise OptionError(
                "KFoldTuner needs a hypermodel, a function build(hp) or a HyperModel; received "
                "none."
            )
        if inspect.isclass(hypermodel) and is_hypermodel(hypermodel):
            hypermodel = hypermodel()
        build = hypermodel.build if is_hypermodel(hypermodel) else hypermodel
        takes_hp_alone = callable(build) and _takes_hp_alone(build)
        if hyperparameters is None:
            return cls(Space.load(hypermodel), build if takes_hp_alone else None)
        if not takes_hp_alone:
            raise OptionError(
                "KFoldTuner takes hyperparameters= with a build(hp) alone. Narrow the space with "
                "fix= instead."
            )
        first = _declaring_first(build, hyperparameters)
        for name in ("phases", "portfolio"):
            if (beside := getattr(hypermodel, name, None)) is not None:
                setattr(first, name, beside)
        return cls(Space.load(first), first)

    def built(self, hp: HyperParameters, problem: Problem) -> Any:
        """The network of some hyperparameters."""
        return definition(self.space.source).build(hp, problem)

    def declared(self, problem: Problem) -> HyperParameters:
        """All hyperparameters, as a search finds them."""
        return self.space.declared(problem)

    @cached_property
    def default(self) -> Any:
        """The network of the defaults; None where it takes a problem to build one.

        Raises
        ------
        SpaceError
            The build raises, or gives no compiled network.
        """
        if self.build is None:
            return None
        from keras_tuner import HyperParameters

        name = self.space.name
        with blame(name, "build", self.space.source.filenames), heard_warnings():
            model = self.build(HyperParameters())
        if getattr(model, "optimizer", None) is None or not hasattr(model, "loss"):
            raise SpaceError(
                f"build of '{name}' must return a compiled keras.Model; received "
                f"{type(model).__name__}. Call model.compile(...) and return the model."
            )
        return model

    @property
    def loss(self) -> str | None:
        """The loss of the default network by Keras's name; None where there is not one."""
        loss = None if self.default is None else self.default.loss
        if isinstance(loss, list | tuple) and len(loss) == 1:
            [loss] = loss
        if loss is None or isinstance(loss, list | tuple | dict):
            return None
        import keras

        found = keras.losses.get(loss)
        if inspect.isfunction(found):
            return str(found.__name__)
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(found).__name__).lower()

    @property
    def input_shape(self) -> tuple[int | None, ...] | None:
        """The shape of a row as the default network declares it; None where it takes any."""
        model = self.default
        inputs = getattr(model, "inputs", None) if model is not None else None
        if not inputs or len(inputs) > 1:  # several go by their names
            return None
        return tuple(inputs[0].shape[1:])

    def check_layers(self) -> None:
        """Raise ``SpaceError`` where the default network would standardise once more."""
        for layer in _layers_of(self.default):
            if type(layer).__name__ in _FOR_RAW_ROWS:
                raise SpaceError(
                    f"Rows reach a network standardised with the training rows of each fold; that "
                    f"of '{self.space.name}' has a layer {type(layer).__name__} for rows as they "
                    "are. Leave the layer out."
                )


def _layers_of(model: Any) -> list[Any]:
    from hpsearch import keras_internals

    return [] if model is None else keras_internals.layers_of(model)


def _takes_hp_alone(build: Callable[..., Any]) -> bool:
    """Whether it can be called with hyperparameters and nothing else, and asks for no problem."""
    parameters = list(inspect.signature(build).parameters.values())
    needed = [p for p in parameters if p.default is p.empty and p.kind in _POSITIONAL]
    return len(needed) == 1 and [p.name for p in parameters[1:2]] != ["problem"]


_POSITIONAL: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)


def _declaring_first(
    build: Callable[[Any], Any], hyperparameters: HyperParameters
) -> Callable[[Any], Any]:
    """A build whose declarations are those given, where it names the same."""
    declared = [parameter.get_config() for parameter in hyperparameters.space]
    kinds = [type(parameter).__name__ for parameter in hyperparameters.space]
    in_words = repr(list(zip(kinds, declared, strict=True)))  # so that a run's fingerprint has it

    def build_with(hp: Any) -> Any:
        assert in_words
        hp.merge(hyperparameters.space, overwrite=False)
        return build(hp)

    return build_with
