"""A run's exported model as a keras-tuner script takes it: of the rows that the script has.

Owns that wrapping, so that ``evaluate(x, y)`` and ``predict(x)`` work as with a network that the
script built. The exported model itself belongs to ``hpsearch.export``.
"""

from __future__ import annotations

from typing import Any

from hpsearch.data.dataset import Schema
from hpsearch.results import Run
from hpsearch.task import PinballOfSteps, PoissonOfLogs


def model_of(exported: Any, run: Run, network: Any) -> Any:
    """The model of a configuration of a run, trained on all rows.

    Parameters
    ----------
    exported : as the run exports it, ``load_model(run)``.
    network : that configuration's network as it is built, whose loss and metrics it gets.

    Returns
    -------
    A compiled ``keras.Model`` of the arrays that the search was given. Where these were no plain
    numbers (categories, words, dates, columns that were left out), the exported model as it is.
    """
    schema = Schema.from_json(run.manifest["schema"])
    [description, *others] = run.manifest["inputs"]
    target = schema.target
    named = [feature.get("column") for feature in description["features"]]
    is_whole = named in (["x"], [f"x{i}" for i in range(len(named))])
    if others or not is_whole or target.offset or description["name"] == "codes":
        return exported
    is_pair = target.kind == "binary" and _n_units(network, description["shape"]) == 2
    model = _of_arrays(exported, description, is_binary_pair=is_pair)
    _compile(model, network)
    return model


def _n_units(network: Any, shape: list[int]) -> int:
    """Units of a network's last layer; a binary problem may have one for each class."""
    return int(network.compute_output_shape((1, *shape))[-1])


def _of_arrays(exported: Any, description: dict[str, Any], *, is_binary_pair: bool) -> Any:
    import keras

    shape = tuple(description["shape"])
    rows = keras.Input(shape, name="rows")
    less = [feature["less"] for feature in description["features"]]
    less = less[0] if description["name"] != "numbers" else less
    moved = keras.layers.Rescaling(1.0, [-each for each in _numbers(less)])(rows)
    outputs = exported({description["name"]: moved if any(_numbers(less)) else rows})
    if is_binary_pair:
        outputs = keras.ops.concatenate([1.0 - outputs, outputs], axis=-1)
    return keras.Model(rows, outputs, name="best_model")


def _numbers(less: Any) -> list[float]:
    return [float(each) for each in less] if isinstance(less, list) else [float(less)]


def _compile(model: Any, network: Any) -> None:
    """Compile it as the network is, whose outputs may have been logits; these are probabilities.

    Where outputs were logarithms of counts, these are counts; a model of quantiles, which Keras has
    no loss of, stays as it is.
    """
    if isinstance(network.loss, PinballOfSteps):
        return
    config = network.get_compile_config() or {}
    if isinstance(network.loss, PoissonOfLogs):
        config["loss"] = "poisson"
    loss = config.get("loss")
    if isinstance(loss, dict) and "from_logits" in (loss.get("config") or {}):
        config["loss"] = {**loss, "config": {**loss["config"], "from_logits": False}}
    model.compile_from_config(config)
