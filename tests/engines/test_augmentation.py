"""Layers that change images while they train: under each replica's own seed, and then alone."""

import sys

import cloudpickle
import numpy as np
import pytest
from numpy.testing import assert_array_equal

import hpsearch
from hpsearch.engines.augmentation import check_value_ranges
from hpsearch.engines.fit_data import read_fit_data
from hpsearch.errors import SpaceError
from hpsearch.space.space import Candidate

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # ``build`` goes to a worker

PIXELS = {"value_range": (-3.0, 3.0)}
LAYERS = {
    "RandomFlip": {},
    "RandomTranslation": {"height_factor": 0.2, "width_factor": 0.2},
    "RandomContrast": {"factor": 0.3, **PIXELS},
}


def build(hp, problem):
    """A small network with a convolution behind the layers that ``augment`` names."""
    import keras

    chosen = hp.Choice("augment", ["", *LAYERS, "all", "CutMix", "MixUp", "RandAugment", "bytes"])
    made = {name: (name, options) for name, options in LAYERS.items()}
    made |= {name: (name, {}) for name in ("CutMix", "MixUp")}
    made |= {"RandAugment": ("RandAugment", PIXELS), "bytes": ("RandomContrast", {"factor": 0.3})}
    names = {"all": list(LAYERS), "": []}.get(chosen, [chosen])
    layers = [getattr(keras.layers, made[n][0])(**made[n][1]) for n in names]
    model = keras.Sequential(
        [
            keras.Input(problem.input_shape),
            *layers,
            keras.layers.Conv2D(3, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(problem.n_outputs, activation=problem.output_activation),
        ]
    )
    model.compile(keras.optimizers.SGD(hp.Float("rate", 0.0, 1.0, default=0.1)), problem.loss)
    return model


PICTURES = np.random.default_rng(0).integers(0, 256, (20, 6, 6, 3), dtype=np.uint8)


def job_on(pictures, make_job):
    """A job on pictures of two classes."""
    data = hpsearch.load(pictures, np.arange(20) % 2)
    return make_job(data, build, n_folds=2, epochs=2)


@pytest.fixture(scope="module")
def job(make_job):
    """Images of 6 x 6 in colours, of two classes."""
    return job_on(PICTURES, make_job)


@pytest.fixture(scope="module")
def augmented(train, job):
    """Both folds, trained together with all of the layers."""
    return train(job, 0, 1, augment="all").folds


def test_replicas_are_augmented_each_under_its_own_seed(augmented, train, job):
    [other] = train(job, 0, trial=1, augment="all").folds
    assert not np.array_equal(other.train_loss, augmented[0].train_loss)


def test_a_fold_is_augmented_alone_as_in_company(augmented, train, job):
    [alone] = train(job, 1, augment="all").folds
    assert_array_equal(alone.train_loss, augmented[1].train_loss)
    assert_array_equal(alone.predictions, augmented[1].predictions)


def test_no_change_of_validation_images_reaches_what_trains(augmented, train, job, make_job):
    rows = read_fit_data(job.data_path).folds[0].validation
    changed = PICTURES.copy()
    changed[rows] = 255 - changed[rows]
    [fold] = train(job_on(changed, make_job), 0, augment="all").folds
    assert_array_equal(fold.train_loss, augmented[0].train_loss)
    for name, values in fold.train.items():
        assert_array_equal(values, augmented[0].train[name])
    assert not np.array_equal(fold.predictions, augmented[0].predictions)


def test_scores_and_predictions_are_of_images_as_they_are(train, job):
    """Weights that stay as they are score the same in each epoch, whatever the loss saw."""
    [fold] = train(job, 0, augment="all", rate=0.0).folds
    assert fold.train_loss[0] != fold.train_loss[1]
    for curves in (fold.train, fold.validation):
        for values in curves.values():
            assert values[0] == values[1]
    assert_array_equal(fold.predictions[0], fold.predictions[1])


def test_layers_that_a_program_cannot_have_go_to_the_reference_engine(on_jax, job):
    candidates = [Candidate(i, {"augment": n}) for i, n in enumerate(["MixUp", "CutMix", "all"])]
    candidates.append(Candidate(3, {"augment": "RandAugment"}))
    mixed, cut, traced, compiled = on_jax("sketches", job, candidates)
    assert "a MixUp, mixes the rows of a batch with each other" in mixed.reason
    assert "a CutMix, mixes the rows of a batch" in cut.reason
    assert "a RandAugment, takes minutes to compile" in compiled.reason
    assert (traced.reason, traced.error) == (None, None)


def test_a_layer_that_takes_pixels_for_bytes_fails_its_trial(train, job):
    error = train(job, 0, augment="bytes").error
    assert "cuts off what lies outside of its value_range, 0 to 255" in error


def network(*layers):
    import keras

    return keras.Sequential([keras.Input((6, 6, 3)), *layers])


def test_standardised_pixels_are_not_cut_off_unseen():
    import keras

    with pytest.raises(SpaceError, match=r"value_range=\(-3.0, 3.0\)"):
        check_value_ranges(network(keras.Sequential([keras.layers.RandomBrightness(0.1)])))
    check_value_ranges(network(keras.layers.RandomBrightness(0.1, **PIXELS)))
    check_value_ranges(
        network(keras.layers.Rescaling(40.0, 128.0), keras.layers.RandomBrightness(0.1))
    )
    check_value_ranges(network(keras.layers.Dense(2)))
