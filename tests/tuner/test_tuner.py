"""A keras-tuner script with one line changed: what it finds, what it gets back, what it hears."""

import warnings

import keras
import keras_tuner as kt
import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.errors import InputError, OptionError, OptionWarning, SpaceError
from hpsearch.search.refitting import models_of_trials
from hpsearch.tuner.networks import Networks

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SMALL = {"folds": 2, "repeats": 1, "baselines": False, "engine": "reference", "jobs": 1}


def build_model(hp):
    """As guides write it, but for run_eagerly, which traces nothing."""
    model = keras.Sequential()
    model.add(keras.Input((4,)))
    model.add(keras.layers.Dense(hp.Choice("units", [4, 8]), activation="relu"))
    if hp.Boolean("dropout"):
        model.add(keras.layers.Dropout(rate=0.25))
    model.add(keras.layers.Dense(3, activation="softmax"))
    learning_rate = hp.Float("lr", min_value=1e-3, max_value=1e-1, sampling="log")
    model.compile(
        optimizer=keras.optimizers.SGD(learning_rate=learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        run_eagerly=True,
    )
    return model


class OfImages(kt.HyperModel):
    """A hypermodel with arguments of its own."""

    def __init__(self, n_classes):
        super().__init__()
        self.n_classes = n_classes

    def build(self, hp):
        model = keras.Sequential(
            [
                keras.Input((6, 6)),
                keras.layers.Reshape((6, 6, 1)),
                keras.layers.Conv2D(hp.Int("filters", 2, 4), 3, activation="relu"),
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dense(self.n_classes, activation="softmax"),
            ]
        )
        model.compile("adam", "categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
        return model


class Trained(kt.HyperModel):
    """One that trains by itself."""

    def build(self, hp):
        return build_model(hp)

    def fit(self, hp, model, *arguments, **options):
        return model.fit(*arguments, batch_size=hp.Choice("size", [8, 16]), **options)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    y = np.arange(48) % 3
    return rng.normal(size=(48, 4)) + y[:, None], y


@pytest.fixture(scope="module")
def tuned(rows, train_here, tmp_path_factory):
    """A tuner that has searched."""
    tuner = hpsearch.KFoldTuner(
        build_model,
        objective="val_accuracy",
        max_trials=3,
        seed=1,
        directory=tmp_path_factory.mktemp("my_dir"),
        project_name="flowers",
        **SMALL,
    )
    with train_here(), warnings.catch_warnings():
        warnings.simplefilter("ignore", OptionWarning)
        tuner.search(*rows, epochs=2, batch_size=8, validation_split=0.2)
    return tuner


def tables_of(run):
    return [(run.path / name).read_bytes() for name in ("trials.csv", "folds.csv", "curves.csv")]


def test_it_finds_what_search_finds_on_the_same_folds(tuned, rows, train_here, tmp_path):
    with train_here():
        asked = {"metric": "accuracy", "trials": 3, "seed": 1, "epochs": 2, "batch_size": 8}
        search = hpsearch.Search(build_model, **asked, **SMALL, out=tmp_path / "run")
        run = search.run(hpsearch.load(*rows, task="multiclass"))
    assert tables_of(tuned.run) == tables_of(run)


def test_the_best_hyperparameters_build_the_best_network(tuned):
    first, second = tuned.get_best_hyperparameters(num_trials=2)
    assert first.values == tuned.run.best["hyperparameters"]
    assert second.values != first.values
    model = tuned.hypermodel.build(first)
    assert model.layers[0].units == first.get("units")


def test_the_best_model_takes_the_scripts_own_rows(tuned, rows):
    [model] = tuned.get_best_models()
    predicted = model.predict(rows[0], verbose=0)
    expected = hpsearch.predict(tuned.run, rows[0]).filter(like="probability")
    np.testing.assert_allclose(predicted, expected, rtol=1e-6)
    scores = model.evaluate(*rows, verbose=0, return_dict=True)
    assert scores["accuracy"] == pytest.approx((predicted.argmax(axis=1) == rows[1]).mean())


def test_summaries_say_what_is_searched_and_what_was_found(tuned, capsys):
    tuned.search_space_summary()
    tuned.results_summary(num_trials=2)
    said = capsys.readouterr().out
    assert "units (choice): 4, 8; 4 first" in said
    assert f"Results in {tuned.project_dir}" in said
    assert said.count("\nTrial ") == 2
    assert "On new rows expect accuracy" in said


def test_a_script_that_runs_again_goes_on(tuned, rows, train_here, tmp_path, monkeypatch):
    """As keras-tuner does without overwrite."""
    where = {"directory": tuned.directory, "project_name": "flowers"}
    again = hpsearch.KFoldTuner(build_model, "val_accuracy", 3, seed=1, **where, **SMALL)
    before = tables_of(tuned.run)
    with train_here():
        again.search(*rows, epochs=2, batch_size=8)
    assert tables_of(again.run) == before
    other = hpsearch.KFoldTuner(build_model, "val_accuracy", 3, seed=2, **where, **SMALL)
    with pytest.raises(InputError, match=r"option seed \(1; now 2\)"), train_here():
        other.search(*rows, epochs=2, batch_size=8)


def test_a_finished_project_is_opened_without_searching(tuned):
    where = {"directory": tuned.directory, "project_name": "flowers"}
    opened = hpsearch.KFoldTuner(build_model, "val_accuracy", **where)
    assert opened.get_best_hyperparameters()[0].values == tuned.run.best["hyperparameters"]
    opened.reload()
    nothing = hpsearch.KFoldTuner(build_model, "val_accuracy", directory=tuned.directory)
    with pytest.raises(InputError, match="Nothing was searched yet"):
        nothing.results_summary()


def test_a_hypermodel_of_images_with_one_hot_classes(train_here, tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.random((24, 6, 6), dtype=np.float32), np.eye(2)[np.arange(24) % 2]
    of_images = {name: value for name, value in SMALL.items() if name != "baselines"}
    tuner = hpsearch.KFoldTuner(
        OfImages(n_classes=2), "val_loss", 1, directory=tmp_path, oracle="hyperband", **of_images
    )
    stopped = [keras.callbacks.TerminateOnNaN()]
    with train_here():
        tuner.search(x, y, epochs=9, callbacks=stopped, verbose=0)
    [model] = tuner.get_best_models()
    assert tuner.run.baselines is None
    assert model.predict(x, verbose=0).shape == (24, 2)
    assert set(model.evaluate(x, y, verbose=0, return_dict=True)) == {"loss", "accuracy"}


def test_a_unit_for_each_of_two_classes_stays_one(rows, train_here, tmp_path):
    def build(hp):
        model = keras.Sequential([keras.layers.Dense(2, activation="softmax")])
        loss, metrics = "sparse_categorical_crossentropy", ["accuracy"]
        model.compile("adam", loss, metrics=metrics, run_eagerly=True)
        return model

    x, y = rows[0], (rows[1] > 0).astype(int)
    tuner = hpsearch.KFoldTuner(build, "val_accuracy", 1, directory=tmp_path, **SMALL)
    with train_here():
        tuner.search(x, y, epochs=1)
    [model] = tuner.get_best_models()
    predicted = model.predict(x, verbose=0)
    assert predicted.shape == (48, 2)
    np.testing.assert_allclose(predicted.sum(axis=1), 1.0, rtol=1e-6)
    accuracy = model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"]
    assert accuracy == pytest.approx((predicted.argmax(axis=1) == y).mean())


def test_a_space_that_asks_for_the_problem(rows, train_here, tmp_path):
    def build(hp, problem):
        units = hp.Choice("units", [2, 3])
        layers = [keras.Input(problem.input_shape), keras.layers.Dense(units, "relu")]
        layers.append(keras.layers.Dense(problem.n_outputs, activation=problem.output_activation))
        model = keras.Sequential(layers)
        model.compile("adam", problem.loss, run_eagerly=True)
        return model

    tuner = hpsearch.KFoldTuner(build, "val_accuracy", 1, directory=tmp_path, **SMALL)
    with train_here():
        tuner.search(rows[0], rows[1].astype(str), epochs=1)
    [hp], [model] = tuner.get_best_hyperparameters(), tuner.get_best_models()
    assert tuner.hypermodel.build(hp).layers[0].units == hp.get("units") == 2
    assert model.predict(rows[0], verbose=0).shape == (48, 3)


def test_what_is_left_aside_is_said_where_the_script_calls(rows, train_here, tmp_path):
    tuner = hpsearch.KFoldTuner(build_model, "val_accuracy", 1, directory=tmp_path, **SMALL)
    with train_here(), pytest.warns(OptionWarning, match="validation_data is left") as heard:
        tuner.search(*rows, epochs=1, validation_data=rows)
    assert heard[0].filename == __file__


def test_given_hyperparameters_count_before_those_of_the_build():
    given = kt.HyperParameters()
    given.Fixed("units", 8)
    given.Float("lr", 0.01, 0.02)
    declared = Networks.of(build_model, given).space.discover(None).hyperparameters
    found = {p.name: p for p in declared.space}
    assert found["units"].value == 8
    assert (found["lr"].min_value, found["lr"].max_value) == (0.01, 0.02)
    assert "dropout" in found
    other = kt.HyperParameters()
    other.Fixed("units", 4)
    assert (
        Networks.of(build_model, given).space.sha256 != Networks.of(build_model, other).space.sha256
    )


class KnownModel(kt.HyperModel):
    """A hypermodel that knows where to begin."""

    def build(self, hp):
        return build_model(hp)

    def phases(self, hp, problem):
        return [hpsearch.Phase(1.0)]

    def portfolio(self, problem):
        return [{"units": 8, "dropout": True}, {"units": 8}, {"units": 4}]


def test_the_portfolio_of_a_hypermodel_comes_after_its_defaults(rows, train_here, tmp_path):
    tuner = hpsearch.KFoldTuner(KnownModel(), "val_accuracy", 3, directory=tmp_path, **SMALL)
    with train_here():
        tuner.search(*rows, epochs=1, verbose=0)
    table = tuner.run.trials.sort_values("trial")
    found = list(zip(table["hp.units"], table["hp.dropout"].astype(str).str.lower(), strict=True))
    assert found == [(4, "false"), (8, "true"), (8, "false")]


def test_given_hyperparameters_leave_what_stands_beside_a_build():
    given = kt.HyperParameters()
    given.Fixed("lr", 0.01)
    space = Networks.of(KnownModel(), given).space
    assert space.has_phases
    hp = space.discover(None).hyperparameters
    assert [values["units"] for values in space.portfolio(None, hp)] == [8, 8, 4]
    assert [values["lr"] for values in space.portfolio(None, hp)] == [0.01] * 3


def test_the_trials_of_hyperband_are_those_of_a_cycle_and_ten_else():
    def trials(**options):
        return hpsearch.KFoldTuner(build_model, "val_accuracy", **options)._search_for({}).trials

    assert trials() == 10
    assert trials(oracle="hyperband", max_epochs=100, factor=3) == 27 + 12 + 6 + 4
    assert trials(oracle="hyperband", epochs=None) == 27 + 12 + 6 + 4


def test_keras_tuners_own_oracles_are_taken_for_ours():
    oracle = kt.oracles.BayesianOptimizationOracle("val_accuracy", max_trials=7, seed=3)
    search = hpsearch.KFoldTuner(build_model, oracle=oracle)._search_for({})
    assert (search.oracle, search.metric, search.trials, search.seed) == (
        "bayesian",
        "accuracy",
        7,
        3,
    )


def test_executions_are_repeats():
    tuner = hpsearch.KFoldTuner(build_model, "val_loss", executions_per_trial=2)
    search = tuner._search_for({})
    assert (search.repeats, search.metric) == (2, "log_loss")


def with_layer(layer):
    def build(hp):
        model = keras.Sequential([keras.Input((4,)), layer(), keras.layers.Dense(1)])
        model.compile("adam", "mse")
        return model

    return build


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({}, OptionError, "needs a hypermodel"),
        ({"hypermodel": Trained()}, SpaceError, "overrides fit"),
        ({"hypermodel": lambda hp: None}, SpaceError, "must return a compiled keras.Model"),
        ({"hypermodel": lambda hp: 1 / 0}, SpaceError, "raised ZeroDivisionError in its build"),
        (
            {"hypermodel": with_layer(lambda: keras.layers.Rescaling(1 / 255))},
            SpaceError,
            "has a layer Rescaling",
        ),
        ({"hypermodel": build_model, "objective": "val_x"}, OptionError, "'val_x' is none"),
        ({"hypermodel": build_model, "loss": "mse"}, OptionError, "does not take loss"),
        ({"hypermodel": build_model, "fold": 3}, OptionError, "Did you mean folds"),
        ({"hypermodel": build_model, "factor": 4}, OptionError, "received factor=4"),
        ({"hypermodel": build_model, "oracle": "genetic"}, OptionError, "no oracle called"),
        ({"hypermodel": build_model, "max_trials": 0}, OptionError, "`trials` must be"),
        (
            {"hypermodel": build_model, "tune_new_entries": False},
            OptionError,
            "received tune_new_entries=False",
        ),
    ],
)
def test_what_cannot_be_is_one_line_when_the_tuner_is_made(arguments, error, said):
    with pytest.raises(error, match=said):
        hpsearch.KFoldTuner(**arguments)


def test_what_has_no_effect_is_said_when_the_tuner_is_made():
    with pytest.warns(OptionWarning, match="no max_retries_per_trial") as heard:
        hpsearch.KFoldTuner(build_model, "val_loss", max_retries_per_trial=2)
    assert heard[0].filename == __file__


def test_more_models_are_trained_as_the_selected_one_was(tuned, rows, train_here):
    with train_here():
        first, second = tuned.get_best_models(num_models=2)
    [alone] = tuned.get_best_models()
    np.testing.assert_array_equal(
        first.predict(rows[0], verbose=0), alone.predict(rows[0], verbose=0)
    )
    assert second.layers[-1].get_config()["name"] == "hpsearch_model"
    hps = tuned.get_best_hyperparameters(2)[1]
    assert (
        second.count_params() - _n_statistics(second) == tuned.hypermodel.build(hps).count_params()
    )
    assert second.evaluate(*rows, verbose=0, return_dict=True)["accuracy"] > 0.2


def _n_statistics(model):
    """What an exported model holds beside its network: means and scales."""
    return sum(int(np.prod(w.shape)) for w in model.non_trainable_weights)


def test_the_selected_ones_refit_is_the_exported_model(tuned, rows, train_here):
    """Any trial's model is made as the run's own is: here the run's own once more."""
    options, data = tuned._searched
    trial = tuned.run.best["trial"]
    with train_here():
        [again] = models_of_trials(options, data, tuned.run, [trial])
    expected = hpsearch.load_model(tuned.run)
    for made, was in zip(again.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(made, was)


def test_other_models_need_the_rows(tuned):
    where = {"directory": tuned.directory, "project_name": "flowers"}
    opened = hpsearch.KFoldTuner(build_model, "val_accuracy", **where)
    with pytest.raises(InputError, match=r"Call tuner\.search"):
        opened.get_best_models(num_models=2)


def test_a_frame_and_its_exported_model(train_here, tmp_path):
    def build(hp):
        model = keras.Sequential([keras.layers.Dense(hp.Int("units", 2, 3)), keras.layers.Dense(1)])
        model.compile("adam", "mse", run_eagerly=True)
        return model

    table = pd.DataFrame({"a": np.arange(24.0), "city": ["Lima", "Oslo", "Rome"] * 8})
    tuner = hpsearch.KFoldTuner(build, "val_loss", 1, directory=tmp_path, **SMALL)
    with train_here():
        tuner.search(table, pd.Series(np.arange(24) * 0.3, name="rent"), epochs=1)
    assert tuner.run.best["metric"] == "mse"
    [model] = tuner.get_best_models()
    assert set(model.input) == {"numbers", "codes"}
