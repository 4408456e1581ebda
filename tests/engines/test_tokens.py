"""Words in their order: both engines train on them as Keras does, and see no validation rows."""

import sys
from dataclasses import replace

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

import hpsearch
from hpsearch.engines.contract import WorkUnit
from hpsearch.engines.fit_data import read_fit_data, write_fit_data
from hpsearch.engines.input_form import InputForm
from hpsearch.errors import SpaceError
from hpsearch.preprocessing import Encoded, Layout, fit_statistics
from hpsearch.space.space import Candidate

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the spaces below go to a worker

N_ROWS, WIDTH = 26, 6


def notes(words=("bad", "good", "not", "so", "film"), n_rows=N_ROWS):
    """Texts of 0 to 6 words beside a number, of which a word's place decides."""
    rng = np.random.default_rng(11)
    texts = [list(rng.choice(words, rng.integers(0, WIDTH + 1))) for _ in range(n_rows)]
    y = [row.index("good") + 1 if "good" in row else 0 for row in texts]
    x = rng.normal(size=n_rows)
    return pd.DataFrame({"note": [" ".join(row) for row in texts], "x": x, "y": y + 0.1 * x})


def pooled(hp, problem):
    """An embedding whose padding is left out, beside numbers."""
    import keras
    from keras import layers as k

    found = problem.inputs["tokens"]
    words = keras.Input(found.shape, dtype=found.dtype, name="tokens")
    numbers = keras.Input(problem.inputs["numbers"].shape, name="numbers")
    rows = k.Embedding(found.n_codes, 4, mask_zero=True)(words)
    rows = k.Concatenate()([k.GlobalAveragePooling1D()(rows), k.GRU(2)(rows), numbers])
    model = keras.Model([words, numbers], k.Dense(problem.n_outputs)(rows))
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss=problem.loss)
    return model


@pytest.fixture(scope="module")
def table():
    return hpsearch.load(notes(), target="y", text="note", words_as="tokens")


@pytest.fixture(scope="module")
def job(make_job, table):
    return make_job(table, pooled, epochs=2)


def test_words_in_order_train_as_in_keras(engine, job):
    result = engine.train(job, WorkUnit(Candidate(0, {}), (1,)))
    assert result.error is None, result.traceback
    [fold] = result.folds
    losses, outputs = engine.call("keras_curves", job, Candidate(0, {}), 1)
    data = read_fit_data(job.data_path)
    stats = data.statistics[1]
    expected = outputs[:, data.folds[1].validation] * stats.target_scale + stats.target_centre
    assert_allclose(fold.train_loss, losses, rtol=2e-5)
    assert_allclose(fold.predictions, expected, rtol=1e-4, atol=1e-5)


def alone(hp, problem):
    """A network whose one input has no name."""
    import keras
    from keras import layers as k

    n_codes = problem.inputs["tokens"].n_codes
    layers = [k.Embedding(n_codes, 3), k.GlobalMaxPooling1D(), k.Dense(problem.n_outputs)]
    model = keras.Sequential([keras.Input(problem.input_shape), *layers])
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss=problem.loss)
    return model


def test_a_table_of_words_in_order_alone_needs_no_name(train, make_job):
    data = hpsearch.load(notes().drop(columns="x"), target="y", text="note", words_as="tokens")
    result = train(make_job(data, alone, epochs=2), 0)
    assert result.error is None, result.traceback
    assert len(result.folds[0].train_loss) == 2


def flat(hp, problem):
    import keras

    model = keras.Sequential([keras.Input(problem.input_shape), keras.layers.Dense(1)])
    model.compile(optimizer="adam", loss=problem.loss)
    return model


def test_a_flat_vector_holds_no_words_in_order(table):
    import keras

    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    with pytest.raises(SpaceError, match=r"none of 'note'. Name its inputs.*space 'text'"):
        InputForm.on(network, Layout.of(table.schema))


def small_table(hp, problem):
    import keras
    from keras import layers as k

    words = keras.Input(problem.inputs["note"].shape, dtype="int32", name="note")
    rows = k.GlobalMaxPooling1D()(k.Embedding(4, 2)(words))
    model = keras.Model(words, k.Dense(1)(rows))
    model.compile(optimizer="adam", loss=problem.loss)
    return model


def test_a_table_that_lacks_words_is_refused(train, make_job, table):
    said = train(make_job(table, small_table), 0).error
    assert (
        "looks up whole numbers from 0 to 3; it is asked for 0 to 6. Raise its input_dim to" in said
    )


# -- leaks

LAYOUT = Layout(tokens=("t",), n_token_words=(5,), token_slots=(3,), token_widths=(WIDTH,))
WORDS = hnp.arrays(np.int32, (8, WIDTH), elements=st.integers(0, 6))


@settings(deadline=None, max_examples=60)
@given(rows=WORDS, others=WORDS, training=st.sets(st.integers(0, 7), min_size=1))
def test_which_words_are_known_ignores_any_change_to_the_validation_rows(rows, others, training):
    train = np.array(sorted(training))
    changed = others.copy()
    changed[train] = rows[train]
    empty = np.empty((8, 0), np.float32), np.empty((8, 0), np.int32), None, ()
    learnt = [
        fit_statistics(
            Encoded(*empty, tokens=tokens), np.zeros((8, 1)), train, LAYOUT, scale_target=False
        )
        for tokens in (rows, changed)
    ]
    for name in ("token_slots", "token_reach"):
        assert_array_equal(*(getattr(each, name) for each in learnt))


def test_training_ignores_any_change_to_the_validation_rows(train, make_job, table):
    frame = table.frame.copy()
    rows = read_fit_data(make_job(table, pooled).data_path).folds[0].validation
    frame.loc[rows, "note"] = "film film film film film film not"
    curves = []
    for data in (table, replace(table, frame=frame)):
        [fold] = train(make_job(data, pooled, epochs=2), 0).folds
        curves.append(fold.train_loss)
    assert_array_equal(*curves)


def beside(hp, problem):
    import keras
    from keras import layers as k

    found = problem.inputs["tokens"]
    words = keras.Input(found.shape, dtype=found.dtype, name="tokens")
    prepared = keras.Input(problem.inputs["prepared"].shape, name="prepared")
    text = k.GlobalMaxPooling1D()(k.Embedding(found.n_codes, 2)(words))
    model = keras.Model([words, prepared], k.Dense(1)(k.Concatenate()([text, prepared])))
    model.compile(optimizer="adam", loss=problem.loss)
    return model


def test_words_in_order_stay_beside_prepared_rows(train, make_job, table, tmp_path):
    data = read_fit_data(make_job(table, pooled).data_path)
    numbers = np.asarray(data.encoded.numbers)
    layout = data.layout.with_prepared((1,))
    assert layout.tokens == ("note",)
    rows = np.stack([numbers] * (len(data.folds) + 1))
    encoded = replace(data.encoded, numbers=numbers[:, :0])
    prepared = replace(data, encoded=encoded, layout=layout, fold_rows=rows)
    job = replace(make_job(table, beside, epochs=1), data_path=write_fit_data(prepared, tmp_path))
    assert train(job, 0).error is None
