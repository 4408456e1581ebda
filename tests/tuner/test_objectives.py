"""keras-tuner's objectives, and which metric each is."""

import keras_tuner as kt
import pytest

from hpsearch.errors import OptionError
from hpsearch.tuner.objectives import metric_of


@pytest.mark.parametrize(
    ("objective", "loss", "metric"),
    [
        ("val_accuracy", None, "accuracy"),
        ("val_sparse_categorical_accuracy", None, "accuracy"),
        ("val_auc", None, "roc_auc"),
        ("val_mae", None, "mae"),
        ("val_mean_squared_error", None, "mse"),
        ("val_root_mean_squared_error", None, "rmse"),
        ("val_loss", "sparse_categorical_crossentropy", "log_loss"),
        ("val_loss", "mean_absolute_error", "mae"),
        (None, "binary_crossentropy", "log_loss"),
        ("f_beta_2", None, "f_beta_2"),
        ("balanced_accuracy", None, "balanced_accuracy"),
        (kt.Objective("val_f1_score", direction="max"), None, "f1"),
        ([kt.Objective("val_mse", "min")], None, "mse"),
    ],
)
def test_an_objective_is_a_metric(objective, loss, metric):
    assert metric_of(objective, loss) == metric


def test_a_function_of_ones_own_stays_what_it_is():
    assert metric_of(len, None) is len


@pytest.mark.parametrize(
    ("objective", "loss", "said"),
    [
        ("val_loss", "huber", "no metric stands for the loss 'huber'"),
        (None, None, "no metric stands for the loss of several outputs"),
        ("val_my_metric", None, "'val_my_metric' is none that hpsearch knows"),
        ("loss", "mean_squared_error", 'Write "val_loss"'),
        ("acc", None, 'training rows. Write "val_acc"'),
        (["val_loss", "val_accuracy"], "huber", "one metric, which selects; received several"),
        (kt.Objective("val_accuracy", "min"), None, "better where it is large; received"),
    ],
)
def test_what_is_no_metric_is_refused(objective, loss, said):
    with pytest.raises(OptionError, match=said):
        metric_of(objective, loss)
