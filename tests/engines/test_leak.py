"""The leak test: nothing about a fold's validation rows can be seen by what trains on the others.

Any change to them under the same schema leaves the fold's statistics, trained weights and training
curves bit-identical. The last tests let statistics see every row, and the same properties fail.
"""

import sys
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

import cloudpickle
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal
from scipy import sparse

from hpsearch.data import Dataset
from hpsearch.data.dataset import Column
from hpsearch.engines import engine_kind
from hpsearch.engines.contract import FitOptions, Job
from hpsearch.engines.fit_data import write_fit_data
from hpsearch.folds import Fold
from hpsearch.preprocessing import Layout, fit_statistics
from hpsearch.preprocessing.views import CATEGORY_VIEWS, NUMBER_VIEWS
from hpsearch.scoring import rows as scoring
from hpsearch.space.space import Space
from hpsearch.task import Target

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # ``build`` goes to a worker

N_ROWS = 12
UNITS = Column("units", "exposure")
TARGETS = {
    "count": (Target(("y",), "count"), st.integers(0, 50).map(float)),
    "quantile": (Target(("y",), "quantile", levels=(0.2, 0.7)), st.floats(-1e6, 1e6)),
    "regression": (Target(("y",), "regression"), st.floats(-1e6, 1e6)),
    "binary": (Target(("y",), "binary", ("no", "yes")), st.integers(0, 1)),
}


def datasets(any_rows, schema, kind):
    """A strategy of tables of ``N_ROWS`` rows under the mixed schema, with a target."""
    target, cells = TARGETS[kind]
    shape = N_ROWS if kind == "binary" else (N_ROWS, 1)
    dtype = np.int32 if kind == "binary" else np.float64
    columns = (*schema.columns, UNITS) if kind == "count" else schema.columns

    def made(rows, y, units):
        frame, arrays = rows
        frame = frame.assign(units=units) if kind == "count" else frame
        return Dataset("any", replace(schema, columns=columns, target=target), frame, arrays, y)

    exposure = st.floats(1e-3, 1e3) if kind == "count" else st.just(1.0)
    return st.builds(
        made,
        any_rows(N_ROWS),
        hnp.arrays(dtype, shape, elements=cells),
        hnp.arrays(np.float64, N_ROWS, elements=exposure),
    )


def spliced(dataset, other, rows):
    """The dataset with the given rows taken from the other one."""
    changed = np.isin(np.arange(N_ROWS), rows)
    frame = dataset.frame.copy()
    for name in frame:
        frame[name] = frame[name].where(~changed, other.frame[name])
    arrays = {name: splice_array(a, other.arrays[name], rows) for name, a in dataset.arrays.items()}
    y = dataset.y.copy()
    y[rows] = other.y[rows]
    return replace(dataset, frame=frame, arrays=arrays, y=y)


def splice_array(array, other, rows):
    if sparse.issparse(array):
        return sparse.csr_array(splice_array(array.toarray(), other.toarray(), rows))
    result = array.copy()
    result[rows] = other[rows]
    return result


def fitted(dataset, fold, layout):
    """What training gets to see of a table: its data under one fold."""
    encoded = scoring.encode_dataset(dataset)
    scales = dataset.target.kind != "binary"
    return scoring.fit_data(dataset, encoded, (fold,), layout, scale_target=scales)


def layout_of(schema):
    return Layout.of(schema, max_levels=4, max_words=5)


def split(validation):
    """The fold with these validation rows; all others train."""
    rows = np.array(sorted(validation))
    return Fold(0, 0, np.setdiff1d(np.arange(N_ROWS), rows), rows)


FOLDS = st.sets(st.integers(0, N_ROWS - 1), min_size=1, max_size=N_ROWS - 3).map(split)


# -- statistics


def every_view(layout):
    """The names of inputs of a network that reads numbers and categories in each form there is."""
    views = [f"numbers.{view}" for view in NUMBER_VIEWS if view]
    return [*views, *(f"categories.{view}" for view in CATEGORY_VIEWS if view)]


def check_statistics(draw, any_rows, schema, kind):
    table, other = (draw(datasets(any_rows, schema, kind)) for _ in range(2))
    fold = draw(FOLDS)
    changed = spliced(table, other, fold.validation)
    found = [fitted(data, fold, layout_of(data.schema)) for data in (table, changed)]
    before, after = (data.statistics for data in found)
    for name in before.for_all():
        assert_array_equal(getattr(before, name), getattr(after, name))
    of_views = [data.statistics_of(0, every_view(data.layout)).views for data in found]
    for name, values in of_views[0].items():
        assert_array_equal(values, of_views[1][name])
    if kind == "count":
        assert_array_equal(*(data.loss_weights(0)[fold.train] for data in found))


@pytest.mark.parametrize("kind", TARGETS)
@settings(deadline=None, max_examples=70)
@given(data=st.data())
def test_statistics_ignore_any_change_to_the_validation_rows(data, kind, any_rows, mixed_schema):
    check_statistics(data.draw, any_rows, mixed_schema, kind)


# -- training

UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)  # shrinking would train for minutes
TRAIN_FOLD = split({1, 4, 6, 11})


def build(hp, problem):
    import keras

    layers = [
        keras.Input(problem.input_shape),
        keras.layers.Dense(3, "tanh"),
        keras.layers.Dropout(0.2),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(problem.n_outputs, activation=problem.output_activation),
    ]
    model = keras.Sequential(layers)
    model.compile(optimizer=keras.optimizers.Adam(0.1), loss=problem.loss)
    return model


@pytest.fixture(scope="module")
def curves_on(train, tmp_path_factory):
    """Train three epochs on a table's one fold; gives the curves of its training rows."""
    folder = tmp_path_factory.mktemp("leak")
    space = Space.load(build).to_bytes()

    def curves_on(dataset):
        data = fitted(dataset, TRAIN_FOLD, layout_of(dataset.schema))
        metrics = ("log_loss", "accuracy") if dataset.target.kind == "binary" else ("mae", "rmse")
        options = FitOptions(0, epochs=3, batch_size=3, patience=None, metrics=metrics)
        path = write_fit_data(data, Path(mkdtemp(dir=folder)))
        result = train(Job(path, space, (), options), 0)
        assert result.error is None, result.traceback
        [fold] = result.folds
        return [fold.train_loss, *(fold.train[name] for name in metrics)]

    return curves_on


@pytest.fixture(scope="session")
def schema(mixed_schema, engine):
    """A column of every kind that the engine takes."""
    layout = Layout.of(mixed_schema)
    if engine_kind(engine.name).data_obstacle(layout, Space.load(build)) is None:
        return mixed_schema
    columns = tuple(c for c in mixed_schema.columns if c.kind not in ("text", "words"))
    return replace(mixed_schema, columns=columns)


def check_training(draw, any_rows, schema, kind, curves_on):
    table, other = (draw(datasets(any_rows, schema, kind)) for _ in range(2))
    changed = spliced(table, other, TRAIN_FOLD.validation)
    for before, after in zip(curves_on(table), curves_on(changed), strict=True):
        assert_array_equal(before, after)


@pytest.mark.parametrize("kind", ["regression", "binary"])  # it sees of others what is fitted
@settings(deadline=None, max_examples=3, phases=UNSHRUNK)
@given(data=st.data())
def test_training_ignores_any_change_to_the_validation_rows(
    data, kind, any_rows, schema, curves_on
):
    check_training(data.draw, any_rows, schema, kind, curves_on)


# -- the leak test itself


@pytest.fixture
def leak(monkeypatch):
    """Let every fold's statistics be fitted on all rows, as a careless program would."""

    def fit_on_every_row(encoded, y, rows, layout, **how):
        every_row = np.arange(encoded.n_rows)
        return fit_statistics(encoded, y, every_row, layout, **how)

    monkeypatch.setattr(scoring, "fit_statistics", fit_on_every_row)


once = settings(deadline=None, max_examples=20, database=None, phases=UNSHRUNK)


@pytest.mark.usefixtures("leak")
def test_statistics_that_see_every_row_are_caught(any_rows, mixed_schema):
    @once
    @given(data=st.data())
    def leaky(data):
        check_statistics(data.draw, any_rows, mixed_schema, "regression")

    with pytest.raises(AssertionError):
        leaky()


@pytest.mark.usefixtures("leak")
def test_training_with_statistics_that_see_every_row_is_caught(any_rows, schema, curves_on):
    @once
    @given(data=st.data())
    def leaky(data):
        check_training(data.draw, any_rows, schema, "regression", curves_on)

    with pytest.raises(AssertionError):
        leaky()
