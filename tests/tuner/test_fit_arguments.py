"""What a script gives for Keras's fit: taken, left aside with a word, or refused by name."""

import keras
import pytest

from hpsearch.errors import OptionError
from hpsearch.scoring.observer import SilentObserver
from hpsearch.task import Target
from hpsearch.tuner.fit_arguments import sorted_out, with_labels

callbacks = keras.callbacks


def test_epochs_and_batch_size_are_options_of_the_search():
    found = sorted_out({"epochs": 9, "batch_size": None, "verbose": "auto"})
    assert found.options == {"epochs": 9}


def test_verbose_says_who_hears_of_the_search(capsys):
    assert isinstance(sorted_out({"verbose": 0}).options["observer"], SilentObserver)
    sorted_out({"verbose": 2}).options["observer"].note("heard")
    assert capsys.readouterr().out == "heard\n"


def test_validation_rows_are_left_aside_with_a_word():
    [word] = sorted_out({"validation_data": ([1], [2]), "validation_batch_size": 3}).words
    assert word.startswith("validation_data is left aside")
    assert "test_data=(x, y)" in word
    [word] = sorted_out({"validation_split": 0.2}).words
    assert word.startswith("validation_split is left aside")
    assert not sorted_out({"validation_split": 0.0, "validation_data": None}).words


def test_early_stopping_is_patience_on_the_mean_curve_and_says_so():
    stopping = callbacks.EarlyStopping("val_loss", patience=5, restore_best_weights=True)
    found = sorted_out({"callbacks": [stopping, callbacks.TerminateOnNaN()]})
    assert found.options == {"patience": 5}
    assert "patience=5 on the mean validation curve" in found.words[0]


def test_tensorboard_is_the_log_of_the_run_and_says_so():
    found = sorted_out({"callbacks": [callbacks.TensorBoard("logs")]})
    assert found.options == {"log": ("tensorboard",)}
    assert "not in its log_dir" in found.words[0]


def test_weights_of_classes_go_by_their_labels():
    options = sorted_out({"class_weight": {0: 2.0, 2: 1.0}}).options
    one_hot = Target(("y0", "y1", "y2"), "multiclass", ("y0", "y1", "y2"), one_hot=True)
    assert with_labels(options, one_hot)["class_weight"] == {"y0": 2.0, "y2": 1.0}
    numbers = Target(("y",), "multiclass", (0, 2, 7))
    assert with_labels(options, numbers)["class_weight"] == {0: 2.0, 2: 1.0}


def test_keras_stops_at_the_first_epoch_that_is_no_better_with_patience_0_and_1():
    stopping = callbacks.EarlyStopping("val_loss", patience=0)
    assert sorted_out({"callbacks": stopping}).options == {"patience": 1}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"callbacks": [callbacks.EarlyStopping("loss")]}, "monitor='loss', which is of"),
        ({"callbacks": [callbacks.EarlyStopping(min_delta=0.1)]}, "received min_delta=0.1"),
        ({"callbacks": [callbacks.EarlyStopping(start_from_epoch=3)]}, "start_from_epoch=3"),
        ({"callbacks": [callbacks.EarlyStopping(), callbacks.EarlyStopping()]}, "several"),
        ({"callbacks": [callbacks.ModelCheckpoint("a.keras")]}, "without the callback ModelCheck"),
        ({"callbacks": [callbacks.ReduceLROnPlateau()]}, "keras.optimizers.schedules"),
        ({"callbacks": [callbacks.LambdaCallback()]}, "without the callback LambdaCallback"),
        ({"steps_per_epoch": 3}, "does not take steps_per_epoch"),
        ({"shuffle": False}, "received shuffle=False"),
        ({"epoch": 3}, "received epoch"),
    ],
)
def test_what_no_search_does_is_refused_by_its_name(given, said):
    with pytest.raises(OptionError, match=said):
        sorted_out(given)
