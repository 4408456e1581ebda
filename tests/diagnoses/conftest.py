"""Small real trainings, and tables made up by hand."""

import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.diagnoses import Tables

OPTIONS = {"trials": 1, "folds": 2, "repeats": 1, "epochs": 12, "batch_size": 16, "jobs": 1}


@pytest.fixture(scope="session")
def search_here(train_here, tmp_path_factory):
    """Search in this process with the reference engine; the run that it leaves."""

    def search_here(frame, build, **options):
        data = hpsearch.load(frame, target="y", name="table")
        out = tmp_path_factory.mktemp("diagnosed") / "run"
        with train_here():
            search = hpsearch.Search(build, **OPTIONS | options, out=out, engine="reference")
            return search.run(data)

    return search_here


@pytest.fixture
def codes_of():
    """The codes of a run's diagnoses."""
    return lambda run: [found.code for found in run.diagnoses]


@pytest.fixture
def found_in():
    """The one diagnosis of a run with a code."""

    def found_in(run, code):
        [found] = [one for one in run.diagnoses if one.code == code]
        return found

    return found_in


def network(*hidden, optimizer=None, loss=None):
    """A space of one network: hidden layers, given as functions of Keras, and an optimizer."""

    def build(hp, problem):
        import keras

        made = [layer(keras) for layer in hidden]
        head = keras.layers.Dense(problem.n_outputs, activation=problem.output_activation)
        model = keras.Sequential([keras.Input(problem.input_shape), *made, head])
        rate = optimizer(keras) if optimizer else keras.optimizers.Adam(0.03)
        model.compile(rate, loss or problem.loss)
        return model

    return build


@pytest.fixture(scope="session")
def space():
    """Makes a space of one network."""
    return network


def blobs(n=72, n_classes=2, distance=3.0, noise=1.0, seed=0):
    """Classes around points of a circle, as many rows of each."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % n_classes
    angles = 2 * np.pi * codes / n_classes
    centres = distance * np.stack([np.cos(angles), np.sin(angles)], axis=1) / 2
    x = centres + noise * rng.normal(size=(n, 2))
    return pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": np.array(list("pqrs"))[codes]})


@pytest.fixture(scope="session")
def make_blobs():
    """Makes a table of classes that a network can learn."""
    return blobs


@pytest.fixture(scope="session")
def healthy(search_here):
    """A run of a network that suits its data."""
    tanh = network(lambda keras: keras.layers.Dense(6, activation="tanh"))
    return search_here(blobs(n=96, distance=4.0), tanh, epochs=18, folds=3)


def made_up(
    validation,
    training=None,
    *,
    running=None,
    se=0.01,
    guess=1.0,
    metric="mae",
    best=None,
    predictions=None,
    fold_scores=(),
    **documents,
):
    """Tables of one trial with these curves; the best constant prediction scores ``guess``.

    The problem is a regression whose targets are -guess and guess, or what ``predictions`` say.
    """
    validation = np.asarray(validation, float)
    training = validation if training is None else np.asarray(training, float)
    epochs = np.arange(1, len(validation) + 1)
    curves = pd.DataFrame(
        {
            "trial": 0,
            "epoch": epochs,
            f"val_{metric}": validation,
            f"val_{metric}_se": se,
            f"train_{metric}": training,
            "train_loss": training if running is None else np.asarray(running, float),
        }
    )
    n_folds = len(fold_scores)
    if predictions is None:
        n = max(n_folds, 2)
        predictions = pd.DataFrame(
            {
                "row": np.arange(n),
                "repeat": np.arange(n) // 4,
                "fold": np.arange(n) % 4,
                "y_true": np.where(np.arange(n) % 2, guess, -guess),
                "y_pred": 0.0,
            }
        )
    folds = pd.DataFrame(
        {
            "trial": 0,
            "repeat": np.arange(n_folds) // 4,
            "fold": np.arange(n_folds) % 4,
            "n_train": 30,
            "n_val": 10,
            f"val_{metric}": np.asarray(fold_scores, float),
        }
    )
    trials = pd.DataFrame({"trial": [0], "status": "completed", "rank": [1], "error": [None]})
    return Tables(
        trials=documents.pop("trials", trials),
        folds=folds,
        curves=curves,
        predictions=predictions,
        settings={"data": {"task": documents.pop("task", "regression")}},
        best={"trial": 0, "metric": metric, **(best or {})},
        labels=documents.pop("labels", ()),
    )


@pytest.fixture(scope="session")
def tables():
    """Makes tables of one trial by hand."""
    return made_up
