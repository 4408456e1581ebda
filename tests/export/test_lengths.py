"""Sequences longer than those trained on: each row alone decides its prediction, or one line."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

from hpsearch.data import Column, Schema
from hpsearch.engines.network import OutputForm
from hpsearch.errors import DataError
from hpsearch.export.bundle import bundle_model, predict_encoded
from hpsearch.export.lengths import by_length, open_in_export
from hpsearch.preprocessing import Encoded, Layout, fit_statistics
from hpsearch.task import Target

N_STEPS, TARGET = 8, Target(("y",), "regression")
SCHEMA = Schema((Column("x", "array", shape=(N_STEPS, 2), array_kind="sequence"),), TARGET)
LAYOUT = Layout.of(SCHEMA)


def rows_of(*ends):
    """A sequence of each length, padded to the longest, or to those trained on."""
    rng = np.random.default_rng(0)
    rows = np.full((len(ends), max(N_STEPS, *ends), 2), np.nan, np.float32)
    for row, end in zip(rows, ends, strict=True):
        row[:end] = rng.normal(size=(end, 2))
    n = len(rows)
    return Encoded(np.empty((n, 0), np.float32), np.empty((n, 0), np.int32), None, (rows,))


def model_of(n_steps):
    keras.utils.set_random_seed(0)
    layers = [keras.Input((n_steps, 2)), keras.layers.Masking(), keras.layers.GRU(2)]
    network = keras.Sequential([*layers, keras.layers.Dense(1)])
    network.compile("sgd", "mse")
    encoded = rows_of(8, 5, 3)
    y = np.zeros((3, 1))
    statistics = fit_statistics(encoded, y, np.arange(3), LAYOUT, scale_target=False)
    return bundle_model(network, OutputForm.of(network, TARGET), SCHEMA, LAYOUT, statistics)


def predictions(model, encoded):
    return predict_encoded(model, encoded, LAYOUT, np.empty(0, np.int32))


def test_longer_rows_are_predicted_with_steps_of_their_own():
    model, encoded = model_of(None), rows_of(3, 20, 8, 9, 20)
    seen = []

    def predict(part):
        seen.append(part.arrays[0].shape[:2])
        return np.arange(part.n_rows)

    assert open_in_export(model, LAYOUT) == {0}
    assert by_length({0}, encoded, LAYOUT, predict).tolist() == [0, 0, 1, 0, 1]
    assert seen == [(2, 8), (1, 9), (2, 20)]
    together = predictions(model, encoded)
    for row in range(5):
        alone = predictions(model, encoded.take(np.array([row])))
        assert_allclose(alone[0], together[row], rtol=1e-6)


def test_steps_behind_the_trained_ones_reach_the_network_and_padding_does_not():
    model, encoded = model_of(None), rows_of(12)
    cut = Encoded(encoded.numbers, encoded.codes, None, (encoded.arrays[0][:, :N_STEPS],))
    wide = np.pad(cut.arrays[0], ((0, 0), (0, 4), (0, 0)), constant_values=np.nan)
    padded = Encoded(encoded.numbers, encoded.codes, None, (wide,))
    assert abs(predictions(model, encoded) - predictions(model, cut)).max() > 1e-3
    assert_allclose(predictions(model, padded), predictions(model, cut), rtol=1e-6)


def test_a_model_of_so_many_steps_takes_no_more():
    with pytest.raises(DataError, match="sequences of up to 8 steps, the most that it was trained"):
        predictions(model_of(N_STEPS), rows_of(9))
