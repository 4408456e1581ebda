"""A script in the form of keras-tuner's guides runs: one line is another."""

import inspect
import warnings

import keras_tuner
import pytest

import hpsearch
from hpsearch.errors import OptionWarning

LINES = {
    "keras-tuner": "keras_tuner.RandomSearch(",
    "hpsearch": "hpsearch.KFoldTuner(folds=2, engine='reference', baselines=False,",
}
SCRIPT = """
import keras
import keras_tuner
import numpy as np
from keras import layers

import hpsearch


def build_model(hp):
    model = keras.Sequential()
    model.add(layers.Flatten())
    for i in range(hp.Int("num_layers", 1, 2)):
        units = hp.Int(f"units_{i}", min_value=4, max_value=8, step=4)
        model.add(layers.Dense(units=units, activation=hp.Choice("activation", ["relu", "tanh"])))
    if hp.Boolean("dropout"):
        model.add(layers.Dropout(rate=0.25))
    model.add(layers.Dense(10, activation="softmax"))
    learning_rate = hp.Float("lr", min_value=1e-3, max_value=1e-2, sampling="log")
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=learning_rate),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
        run_eagerly=True,
    )
    return model


build_model(keras_tuner.HyperParameters())
tuner = TUNER
    hypermodel=build_model,
    objective="val_accuracy",
    max_trials=2,
    executions_per_trial=1,
    overwrite=True,
    seed=1,
    directory=directory,
    project_name="helloworld",
)
tuner.search_space_summary()
rng = np.random.default_rng(0)
x, y = rng.random((40, 6, 6)).astype("float32"), keras.utils.to_categorical(np.arange(40) % 10)
tuner.search(x[:30], y[:30], epochs=2, validation_data=(x[30:], y[30:]), verbose=0)
tuner.results_summary()
models = tuner.get_best_models(num_models=2)
best_hps = tuner.get_best_hyperparameters(5)
scores = models[0].evaluate(x[30:], y[30:], verbose=0)
model = tuner.hypermodel.build(best_hps[0])
model.fit(x, y, epochs=1, verbose=0)
tuner.reload()
"""


METHODS = ("search_space_summary", "results_summary", "get_best_models")
METHODS += ("get_best_hyperparameters", "reload")


def test_one_line_is_another():
    with_either = [SCRIPT.replace("TUNER", line).splitlines() for line in LINES.values()]
    assert sum(a != b for a, b in zip(*with_either, strict=True)) == 1


@pytest.mark.parametrize("name", METHODS)
def test_what_a_script_calls_takes_what_keras_tuners_takes(name):
    """Running the script with keras-tuner itself would take twenty seconds."""
    theirs, ours = (getattr(t, name) for t in (keras_tuner.RandomSearch, hpsearch.KFoldTuner))
    known = [(p.name, p.default) for p in inspect.signature(ours).parameters.values()]
    assert known == [(p.name, p.default) for p in inspect.signature(theirs).parameters.values()]


def test_the_script_runs_to_its_end(train_here, tmp_path, capsys):
    names = {"directory": str(tmp_path)}
    with train_here(), warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        exec(compile(SCRIPT.replace("TUNER", LINES["hpsearch"]), "script.py", "exec"), names)
    assert len(names["models"]) == len(names["best_hps"]) == len(names["scores"]) == 2
    assert {"num_layers", "activation", "lr"} <= names["best_hps"][0].values.keys()
    said = capsys.readouterr().out
    assert "num_layers" in said
    assert f"{tmp_path}/helloworld" in said
    [word] = [str(each.message) for each in heard if each.category is OptionWarning]
    assert word.startswith("validation_data is left aside")
