"""A run's model as a script gets it: compiled with what Keras has for its outputs."""

from types import SimpleNamespace

import pytest

from hpsearch.data.dataset import Column, Schema
from hpsearch.export.inputs import described_inputs
from hpsearch.preprocessing import Layout
from hpsearch.task import PinballOfSteps, PoissonOfLogs, Target
from hpsearch.tuner.models import model_of


@pytest.mark.parametrize(
    ("target", "loss", "expected"),
    [
        (Target(("y",), "regression"), "mae", "mae"),
        (Target(("y",), "count"), PoissonOfLogs(), "poisson"),
        (Target(("y",), "quantile", levels=(0.5,)), PinballOfSteps((0.5,)), None),
    ],
)
def test_the_model_has_the_loss_of_what_it_gives(target, loss, expected):
    import keras

    schema = Schema((Column("x0", "number"), Column("x1", "number")), target)
    numbers = keras.Input((2,), name="numbers")
    exported = keras.Model({"numbers": numbers}, keras.layers.Dense(1)(numbers))
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    network.compile("sgd", loss)
    inputs = described_inputs(schema, Layout.of(schema))
    run = SimpleNamespace(manifest={"schema": schema.to_json(), "inputs": inputs})
    model = model_of(exported, run, network)
    assert getattr(model, "loss", None) == expected
    assert model.compiled == (expected is not None)
