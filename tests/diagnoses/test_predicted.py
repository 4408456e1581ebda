"""Constant predictions, and classes that are never predicted."""

import numpy as np
import pandas as pd
import pytest

from hpsearch.diagnoses import diagnose

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CALM = np.full(5, 0.3)


def codes(tables):
    return [found.code for found in diagnose(tables)]


def test_dead_units_predict_the_same_for_every_row(search_here, space, make_blobs, found_in):
    dead = space(
        lambda keras: keras.layers.Dense(
            8, activation="relu", bias_initializer=keras.initializers.Constant(-100.0)
        )
    )
    run = search_here(make_blobs(), dead, epochs=4)
    found = found_in(run, "constant_predictions")
    assert found.numbers == {"folds": [[0, 0], [0, 1]], "n_folds": 2}
    assert [one.code for one in run.diagnoses] == ["constant_predictions"]


def predicted(y_true, y_pred, **more):
    """Two folds of one repeat, as many rows in each."""
    n = len(y_true)
    fold = np.arange(n) * 2 // n
    values = y_pred if isinstance(y_pred, dict) else {"y_pred": y_pred}
    return pd.DataFrame(
        {"row": np.arange(n), "repeat": 0, "fold": fold, "y_true": y_true, **values, **more}
    )


def test_one_fold_that_says_one_thing_is_named(tables):
    frame = predicted([1.0, 2, 3, 4, 5, 6], [1.1, 2.2, 2.9, 5.0, 5.0, 5.01])
    [found] = diagnose(tables(CALM, predictions=frame))
    assert found.numbers == {"folds": [[0, 1]], "n_folds": 2}
    assert "1 of 2 folds (repeat 0 fold 1)" in found.evidence


def test_values_that_differ_by_two_hundredths_of_a_deviation_are_not_constant(tables):
    frame = predicted([1.0, 2, 3, 4, 5, 6], [1.1, 2.2, 2.9, 5.0, 5.0, 5.04])
    assert codes(tables(CALM, predictions=frame)) == []


def test_rows_whose_truth_is_one_thing_may_all_get_it(tables):
    frame = predicted([1.0, 2, 3, 5, 5, 5], [1.1, 2.2, 2.9, 5.0, 5.0, 5.0])
    assert codes(tables(CALM, predictions=frame)) == []


def test_a_rare_class_without_a_pattern_is_never_predicted(search_here, space, found_in):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=80), "b": rng.normal(size=80)})
    frame["y"] = np.where(np.arange(80) % 10 == 0, "ill", "well")
    quick = space(optimizer=lambda keras: keras.optimizers.Adam(0.1))
    found = found_in(search_here(frame, quick, epochs=16), "class_never_predicted")
    assert found.numbers["classes"] == ["ill"]
    assert found.numbers["rows"] == [8]
    assert found.numbers["highest"][0] < 0.5


def classes(y_true, **chances):
    frame = predicted(y_true, {f"y_pred.{name}": values for name, values in chances.items()})
    return {"predictions": frame, "task": "multiclass", "labels": tuple(chances)}


def test_a_class_that_wins_a_single_row_is_predicted(tables):
    truth, low, high = (
        list("abcabc"),
        [0.6, 0.2, 0.3, 0.6, 0.3, 0.2],
        [0.3, 0.6, 0.4, 0.3, 0.5, 0.5],
    )
    never = classes(truth, a=low, b=high, c=[0.1, 0.2, 0.3, 0.1, 0.2, 0.3])
    once = classes(truth, a=low, b=high, c=[0.1, 0.2, 0.3, 0.1, 0.2, 0.6])
    assert codes(tables(0 * CALM, metric="log_loss", **never)) == ["class_never_predicted"]
    assert codes(tables(0 * CALM, metric="log_loss", **once)) == []


def test_a_class_that_never_occurs_need_not_be_predicted(tables):
    told = classes(
        list("ababab"), a=[0.9, 0, 0.8, 0, 0.7, 0], b=[0, 0.9, 0, 0.8, 0, 0.7], c=[0.1] * 6
    )
    assert codes(tables(0 * CALM, metric="log_loss", **told)) == []


def test_a_label_of_several_may_never_be_predicted(tables):
    n = 6
    frame = pd.DataFrame({"row": range(n), "repeat": 0, "fold": np.arange(n) // 3})
    frame["y_true.x"], frame["y_true.z"] = [0, 1, 0, 1, 0, 1], [1, 0, 0, 0, 0, 1]
    frame["y_pred.x"], frame["y_pred.z"] = [0.1, 0.9, 0.2, 0.7, 0.3, 0.8], [0.4, 0.1] * 3
    several = {"predictions": frame, "task": "multilabel", "labels": ("x", "z")}
    [found] = diagnose(tables(0 * CALM, metric="log_loss", **several))
    assert found.numbers["classes"] == ["z"]
    assert found.numbers["rows"] == [2]


@pytest.mark.parametrize("labels", [(7, 8), ("07", "8"), ("7", "8"), (7.0, 8.0)])
def test_labels_are_found_as_the_table_reads_them(labels, tables):
    frame = predicted([7, 8, 7, 8, 7, 8], [0.1, 0.4, 0.2, 0.3, 0.1, 0.2])
    [found] = diagnose(
        tables(0 * CALM, metric="log_loss", predictions=frame, task="binary", labels=labels)
    )
    assert found.numbers["classes"] == [str(labels[1])]
