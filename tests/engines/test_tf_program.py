"""The TensorFlow program: rows made batch by batch, and what is read from a user's compile."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from hpsearch.data import Schema
from hpsearch.engines.input_form import InputForm
from hpsearch.engines.reference.program import Program, RowSource
from hpsearch.preprocessing import Layout, encode, fit_statistics
from hpsearch.preprocessing.inputs import views_needed
from hpsearch.preprocessing.views import fit_view
from hpsearch.task import Target


@pytest.mark.parametrize("kinds", [(), ("array",), ("number",), ("text", "words")])
def test_batches_made_on_the_fly_are_rows_of_the_matrix(kinds, mixed_schema, mixed_rows):
    columns = mixed_schema.of_kind(*kinds) if kinds else mixed_schema.columns
    schema = Schema(columns, mixed_schema.target)
    layout = Layout.of(schema, max_levels=4, max_words=3)
    rows = encode(schema, *mixed_rows, 40)
    y = np.zeros((rows.n_rows, 1))
    statistics = fit_statistics(rows, y, np.arange(20), layout, scale_target=False)
    numbers = np.array([3, 29, 0, 3], np.int32)
    whole, on_the_fly = (
        source.batch(source.tensors(statistics), numbers)
        for source in (RowSource(rows, layout, dense=dense) for dense in (True, False))
    )
    assert on_the_fly.shape == (4, *layout.input_shape)
    assert_allclose(on_the_fly, whole, rtol=1e-6, atol=1e-6)


def test_named_inputs_are_the_same_from_a_matrix_and_batch_by_batch(mixed_schema, mixed_rows):
    layout = Layout.of(mixed_schema, max_levels=4, max_words=3)
    rows = encode(mixed_schema, *mixed_rows, 40)
    names = ("numbers.quantile", "colour.target", "town", "words", "image")
    y = np.arange(40.0)[:, np.newaxis]
    statistics = fit_statistics(rows, y, np.arange(20), layout, scale_target=False)
    views = {}
    for view in views_needed(layout, names):
        part = rows.numbers[:20], rows.codes[:20], y[:20]
        views |= fit_view(view, *part, statistics.category_slots, layout)
    statistics = replace(statistics, views=views)
    numbers = np.array([3, 29, 0, 3], np.int32)
    whole, on_the_fly = (
        source.batch(source.tensors(statistics), numbers)
        for source in (RowSource(rows, layout, InputForm(names), dense=d) for d in (True, False))
    )
    for one, other in zip(whole, on_the_fly, strict=True):
        assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def program(**compile_arguments):
    def build():
        import keras

        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile(**({"optimizer": "sgd", "loss": "mse"} | compile_arguments))
        return model

    return Program(build, lambda: None, Target(("y",), "regression"), batch_size=4)


def test_options_of_compile_are_kept_but_for_the_metrics():
    started = program(metrics=["mae"], run_eagerly=True, loss_weights=[0.5])
    started.start(0)
    assert started.model.run_eagerly
    assert [metric.name for metric in started.model.metrics] == ["loss"]
    assert started.model._compile_loss._user_loss_weights == [0.5]


def test_a_loss_that_cannot_be_serialized_is_taken():
    started = program(loss=lambda y, predicted: (y - predicted) ** 2)
    started.start(0)
    assert started.form.target_form == "values"


def test_a_replica_starts_from_its_seed_and_goes_on_from_its_state():
    replicas = program()
    replicas.start(1)
    first = replicas.state()
    replicas.start(2)
    second = replicas.state()
    assert not np.array_equal(first[0], second[0])
    replicas.restore(first)
    for variable, value in zip(replicas.state(), first, strict=True):
        assert_array_equal(variable, value)
    replicas.start(1)
    for variable, value in zip(replicas.state(), first, strict=True):
        assert_array_equal(variable, value)
