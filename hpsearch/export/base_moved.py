"""What of a trained network came trained already, and what the training made of it.

Weights that are the same in two builds under different seeds were not drawn: a file gave them.
``best.json`` keeps what is found; what it means belongs to ``hpsearch.diagnoses``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hpsearch import keras_internals
from hpsearch.engines.configuration import Configuration
from hpsearch.engines.contract import Job
from hpsearch.engines.fit_data import read_fit_data
from hpsearch.engines.initial import numpy_draws
from hpsearch.space.space import Candidate, Space

_SIGNS: Final = ("load_model", "load_weights", "set_weights", "weights=")
"""Words of code that gives a network weights."""


def inspect_base(network: Any, job: Job, candidate: Candidate) -> dict[str, Any] | None:
    """What ``best.json`` says of a network's base; None where nothing came trained.

    Parameters
    ----------
    network : trained on all rows; it stays as it is.

    Returns
    -------
    ``n_params``
        Parameters that came trained.
    ``frozen_moved``, ``moved_layers``
        Of layers that are frozen in every phase, the largest change of a weight relative to its
        size, and the layers that changed.
    ``normalization``
        Layers of batch normalisation that came trained, or are in a part of the network of which
        some did, and learn in some phase.
    ``n_rows``
        Rows that it was trained on.
    """
    space, data = Space.from_bytes(job.space), read_fit_data(job.data_path)
    if not space.has_phases and not any(map(space.mentions, _SIGNS)):
        return None
    configuration = Configuration(job, data, candidate.values, n_train=data.encoded.n_rows)
    with numpy_draws():
        one, other = configuration.construct(), configuration.construct()
        later = [configuration.in_phase(n) for n in range(1, len(configuration.phases))]
        phases = [one, *(each.construct() for each in later)]
    came = _came_trained(one, other)
    if not came:
        return None
    learning = {at for model in phases for at, v in enumerate(model.variables) if v.trainable}
    layers = list(zip(*(keras_internals.layers_of(m) for m in phases), strict=True))
    frozen = [of_phases[0] for of_phases in layers if not any(p.trainable for p in of_phases)]
    place = {id(variable): at for at, variable in enumerate(one.variables)}
    of_base = _layers_of_base(one, place, came)
    moved = dict(_moved(frozen, place, came - learning, one, network))
    return {
        "n_params": int(sum(np.size(one.variables[at].value) for at in came)),
        "frozen_moved": max(moved.values(), default=0.0),
        "moved_layers": sorted(moved),
        "normalization": sum(
            any(p.trainable for p in of_phases) and id(of_phases[0]) in of_base
            for of_phases in layers
            if _is_normalization(of_phases[0])
        ),
        "n_rows": data.encoded.n_rows,
    }


def _came_trained(one: Any, other: Any) -> set[int]:
    """Positions of variables that no seed draws and that no plain initializer fills."""
    pairs = zip(one.variables, other.variables, strict=True)
    return {
        at
        for at, (mine, theirs) in enumerate(pairs)
        if np.ndim(mine.value) and np.array_equal(_values(mine), _values(theirs))
        if np.ptp(_values(mine)) > 0
    }


def _moved(
    layers: list[Any], place: dict[int, int], came: set[int], before: Any, after: Any
) -> Iterator[tuple[str, float]]:
    pairs = zip(keras_internals.layers_of(before), keras_internals.layers_of(after), strict=True)
    names = {id(layer): trained.name for layer, trained in pairs}
    for layer in layers:
        if keras_internals.parts_of(layer):
            continue  # whose parts are looked at
        for variable in layer.weights:
            at = place[id(variable)]
            was, now = _values(before.variables[at]), _values(after.variables[at])
            change = float(np.linalg.norm(now - was)) / max(float(np.linalg.norm(was)), 1e-12)
            if at in came and change > 0.0:
                yield names[id(layer)], change


def _layers_of_base(model: Any, place: dict[int, int], came: set[int]) -> set[int]:
    """``id`` of layers with weights that came trained, and of all within a part that has some."""
    parts = keras_internals.parts_of(model)
    found = (part for part in parts if any(place[id(v)] in came for v in part.weights))
    return {
        id(layer) for part in found for layer in keras_internals.layers_of(part, include_self=True)
    }


def _is_normalization(layer: Any) -> bool:
    import keras

    return isinstance(layer, keras.layers.BatchNormalization)


def _values(variable: Any) -> NDArray[Any]:
    import keras

    return np.asarray(keras.ops.convert_to_numpy(variable.value))
