"""Cross-validation of one's own network: any build, any data, any splitter, one honest score."""

import functools

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import model_selection as sk

import hpsearch
from hpsearch.errors import DataError, FoldError, OptionError, SearchFailedError, SpaceError

BUDGET = {"epochs": 2, "batch_size": 16, "engine": "reference", "jobs": 1}
COLUMNS = 2
RNG = np.random.default_rng(5)
X = RNG.normal(size=(30, COLUMNS))
Y = 100.0 + X @ [3.0, -1.0] + RNG.normal(size=30)
CLASSES = np.where(X[:, 0] > 0, "yes", "no")


def network(last_units=1, activation="linear", loss="mse", layers=(), rate=0.05):
    """A small network that trains at once, since nobody traces it."""
    import keras

    model = keras.Sequential(
        [keras.Input((COLUMNS,)), *layers, keras.layers.Dense(last_units, activation)]
    )
    model.compile(keras.optimizers.SGD(rate), loss, run_eagerly=True)
    return model


def build():
    return network()


@pytest.fixture
def validate(train_here):
    """Cross-validate in this process, on two folds of one repeat unless told otherwise."""

    def validate(build=build, data=X, y=Y, **options):
        splitter = hpsearch.IteratedKFold(2, 1)
        if isinstance(y, np.ndarray) and y.dtype.kind == "U":
            splitter = hpsearch.IteratedStratifiedKFold(2, 1)
        with train_here():
            return hpsearch.cross_validate(build, data, y, **BUDGET | {"cv": splitter} | options)

    return validate


# -- what comes back


@pytest.fixture(scope="module")
def validated(train_here):
    with train_here():
        splitter = hpsearch.IteratedKFold(3, 2)
        return hpsearch.cross_validate(build, X, Y, cv=splitter, **BUDGET | {"epochs": 3})


def test_the_frames_have_the_columns_of_the_files_of_a_run(validated):
    metrics = ["mae", "rmse", "r2"]
    assert list(validated.folds) == [
        *("repeat", "fold", "seed", "n_train", "n_val", "epochs"),
        *(f"{side}_{name}" for side in ("val", "train") for name in metrics),
    ]
    assert list(validated.curves) == [
        *("epoch", "n_folds"),
        *(f"val_{name}{end}" for name in metrics for end in ("", "_se")),
        *(f"train_{name}" for name in metrics),
        "train_loss",
    ]
    assert list(validated.predictions) == ["row", "repeat", "fold", "y_true", "y_pred"]


def test_the_score_is_the_mean_over_folds_at_the_best_epoch(validated):
    assert len(validated.folds) == 6
    assert (validated.metric, validated.direction) == ("mae", "min")
    assert_allclose(validated.score, validated.folds["val_mae"].mean(), rtol=1e-11)
    best = validated.curves["val_mae"].idxmin()
    assert validated.best_epoch == validated.curves["epoch"][best]
    assert_allclose(validated.score, validated.curves["val_mae"][best], rtol=1e-11)
    assert validated.ci_low < validated.score < validated.ci_high


def test_every_row_is_predicted_once_a_repeat_out_of_fold(validated):
    for _, part in validated.predictions.groupby("repeat"):
        assert_array_equal(np.sort(part["row"]), np.arange(30))
        assert_allclose(part.sort_values("row")["y_true"], Y, rtol=1e-11)
    errors = (validated.predictions["y_pred"] - validated.predictions["y_true"]).abs()
    of_folds = errors.groupby([validated.predictions["repeat"], validated.predictions["fold"]])
    assert_allclose(of_folds.mean(), validated.folds["val_mae"], rtol=1e-6)


def test_it_shows_itself_in_one_line(validated):
    text = repr(validated)
    assert text.startswith(f"CrossValidation(mae {validated.score:.4g} ± ")
    assert "6 folds" in text


# -- any build


def build_with_hp(hp):
    return network(layers=[dense(hp.Int("units", 1, 5, default=2))])


def build_with_problem(hp, problem):
    assert problem.input_shape == (COLUMNS,)
    return network(problem.n_outputs, problem.output_activation, problem.loss)


def dense(units):
    import keras

    return keras.layers.Dense(units)


def hyper_model():
    import keras_tuner

    class Mine(keras_tuner.HyperModel):
        def build(self, hp):
            return build_with_hp(hp)

    return Mine()


@pytest.mark.parametrize("kind", ["build()", "build(hp)", "build(hp, problem)", "HyperModel"])
def test_a_network_may_come_from(kind, validate):
    given = {
        "build()": build,
        "build(hp)": build_with_hp,
        "build(hp, problem)": build_with_problem,
        "HyperModel": hyper_model(),
    }[kind]
    assert len(validate(given, epochs=1).folds) == 2


def test_values_set_hyperparameters(validate):
    def seen(hp):
        model = build_with_hp(hp)
        assert model.layers[0].units == hp.get("units")
        return model

    small, large = (validate(seen, epochs=1, values={"units": units}) for units in (1, 5))
    assert small.score != large.score


def test_a_value_that_the_build_does_not_know_is_refused(validate):
    with pytest.raises(SpaceError, match="no hyperparameter 'unitz'"):
        validate(build_with_hp, values={"unitz": 3})


def build_with_own_layer():
    import keras

    class Doubled(keras.layers.Layer):
        def call(self, x):
            return 2.0 * x

    return network(layers=[Doubled(), keras.layers.Lambda(lambda x: x)])


def build_with_own_loss():
    return network(loss=lambda y, predicted: (y - predicted) ** 2)


def build_with_own_schedule():
    import keras

    class Half(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.05 / (1.0 + keras.ops.cast(step, "float32"))

    return network(rate=Half())


@pytest.mark.parametrize(
    "own", [build_with_own_layer, build_with_own_loss, build_with_own_schedule]
)
def test_layers_losses_and_schedules_of_ones_own_may_be_used(own, validate):
    assert np.isfinite(validate(own).score)


def build_two_units():
    return network(2, "softmax", "sparse_categorical_crossentropy")


def build_logits():
    import keras

    return network(1, "linear", keras.losses.BinaryCrossentropy(from_logits=True))


def build_two_logits():
    import keras

    return network(2, "linear", keras.losses.SparseCategoricalCrossentropy(from_logits=True))


@pytest.mark.parametrize("of_classes", [build_two_units, build_logits, build_two_logits])
def test_two_classes_may_be_told_by_two_units_or_by_logits(of_classes, validate):
    result = validate(of_classes, y=CLASSES, epochs=8, batch_size=4)
    assert result.metric == "log_loss"
    assert result.predictions["y_pred"].between(0, 1).all()
    assert result.folds["val_roc_auc"].min() > 0.6  # the second label's probability


@functools.cache
def one_network():
    return network()


def test_a_build_that_gives_one_network_again_and_again_is_refused(validate):
    with pytest.raises(SpaceError, match="a new network each time"):
        validate(lambda: one_network())


def test_a_network_that_does_not_fit_is_refused_before_training(validate):
    with pytest.raises(SpaceError, match="needs 1 units; the network's has 3"):
        validate(lambda: network(3))


def test_a_training_that_fails_says_why(validate):
    with pytest.raises(SearchFailedError, match="The training failed: the training diverged"):
        validate(lambda: network(rate=1e30), epochs=9)


# -- any data


def test_arrays_frames_and_datasets_of_the_same_rows_give_the_same_scores(validate):
    frame = pd.DataFrame(X, columns=["x0", "x1"])
    dataset = hpsearch.load(X, Y)
    table = frame.assign(y=Y)
    scores = {
        validate(epochs=1, data=data, y=y).score
        for data, y in [
            *((X, Y), (frame, Y), (frame, pd.Series(Y))),
            *((dataset, None), (hpsearch.load(table, target="y"), None)),
        ]
    }
    assert len(scores) == 1


def test_a_dataset_brings_its_target_itself(validate):
    with pytest.raises(OptionError, match="A Dataset is used as it is"):
        validate(data=hpsearch.load(X, Y), y=Y)


def test_a_task_may_be_asked_for(validate):
    counts = np.tile([0, 1, 2], 10)
    assert validate(y=counts, task="regression", epochs=1).metric == "mae"


def test_data_that_cannot_be_used_are_refused(validate):
    with pytest.raises(DataError, match="Every row needs a target"):
        validate(y=np.where(np.arange(30) == 3, np.nan, Y))


# -- any splitter


@pytest.mark.parametrize(
    ("cv", "n_repeats", "n_folds"),
    [
        (sk.KFold(3), 1, 3),
        (sk.RepeatedKFold(n_splits=2, n_repeats=3, random_state=0), 3, 2),
        (sk.TimeSeriesSplit(2), 1, 2),
        (sk.PredefinedSplit(np.arange(30) % 3), 1, 3),
        (hpsearch.IteratedKFold(2, 3), 3, 2),
        (hpsearch.HoldOut(0.3, 2), 2, 1),
    ],
    ids=lambda cv: type(cv).__name__,
)
def test_any_splitter_with_the_contract_of_scikit_learn_will_do(cv, n_repeats, n_folds, validate):
    folds = validate(cv=cv, epochs=1).folds
    assert folds["repeat"].nunique() == n_repeats
    assert folds["fold"].nunique() == n_folds


def test_a_splitter_of_groups_gets_the_groups(validate):
    groups = np.repeat(np.arange(6), 5)
    result = validate(cv=sk.GroupKFold(3), groups=groups, epochs=1)
    assert (
        result.predictions.groupby(groups[result.predictions["row"]])["fold"].nunique().eq(1).all()
    )


@pytest.mark.filterwarnings("ignore:The groups parameter is ignored by KFold:UserWarning")
def test_groups_that_a_splitter_tears_apart_are_refused(validate):
    with pytest.raises(FoldError, match="groups on both sides"):
        validate(cv=sk.KFold(2), groups=np.tile(np.arange(6), 5))


def test_a_number_is_that_many_folds_once_as_in_scikit_learn(validate):
    result = validate(cv=2, epochs=1)
    assert result.folds[["repeat", "fold"]].to_numpy().tolist() == [[0, 0], [0, 1]]


def test_without_a_splitter_classes_are_shared_out(validate):
    result = validate(build_two_units, y=CLASSES, cv=None, epochs=1)
    shares = result.predictions.groupby(["repeat", "fold"])["y_true"].apply(
        lambda y: (y == "yes").mean()
    )
    assert shares.max() - shares.min() < 0.15


# -- options


def test_one_seed_gives_one_result(validate):
    first, again, other = (validate(seed=seed).predictions for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first["y_pred"].equals(other["y_pred"])


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"epochs": 0}, "`epochs` must be"),
        ({"batch_size": 1.5}, "`batch_size` must be"),
        ({"seed": -1}, "`seed` must be"),
        ({"patience": 0}, "`patience` must be"),
        ({"jobs": 0}, "`jobs` must be"),
        ({"cv": 0}, "`cv` must be"),
        ({"cv": "five"}, "`cv` is a splitter"),
        ({"metric": "accuracy"}, "must suit a regression problem"),
    ],
)
def test_options_without_a_meaning_are_refused(options, rule, validate):
    with pytest.raises(OptionError, match=rule):
        validate(**options)


def test_another_metric_may_choose_the_epoch(validate):
    result = validate(metric="r2")
    assert (result.metric, result.direction) == ("r2", "max")
    assert list(result.folds)[-3:] == ["train_r2", "train_mae", "train_rmse"]
