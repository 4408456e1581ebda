"""Class weights: how they are asked for, and that balanced ones follow training rows alone."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.utils.class_weight import compute_class_weight

from hpsearch.data.class_weights import class_weight, read_class_weight, write_class_weight
from hpsearch.errors import OptionError
from hpsearch.preprocessing import fit_loss_weights
from hpsearch.preprocessing.weights import check_class_weight
from hpsearch.task import Target

Y = np.array([0, 0, 0, 0, 1, 1, 2, 0], np.int32)
TARGET = Target(("y",), "multiclass", labels=("a", "b", "c"))
TRAIN, EVERY = np.array([0, 1, 2, 4, 6]), np.arange(8)


def test_balanced_weights_are_scikit_learns_on_the_training_rows():
    found = fit_loss_weights(None, "balanced", TARGET, Y, [TRAIN, EVERY])
    for weights, rows in zip(found.classes, (TRAIN, EVERY), strict=True):
        expected = compute_class_weight("balanced", classes=np.arange(3), y=Y[rows])
        assert_array_equal(weights, expected)
    assert_array_equal(found.of(Y, 0), found.classes[0][Y].astype(np.float32))
    assert_array_equal(found.of(Y, None), found.classes[1][Y].astype(np.float32))


def test_validation_rows_change_no_balanced_weight():
    other = Y.copy()
    other[np.setdiff1d(EVERY, TRAIN)] = 2
    one, two = (fit_loss_weights(None, "balanced", TARGET, y, [TRAIN, EVERY]) for y in (Y, other))
    assert_array_equal(one.classes[0], two.classes[0])
    assert not np.array_equal(one.classes[1], two.classes[1])


def test_a_class_without_a_training_row_weighs_one_and_the_others_share_its_part():
    found = fit_loss_weights(None, "balanced", TARGET, Y, [np.array([0, 1, 2, 4])])
    assert_array_equal(found.classes, [[4 / (2 * 3), 4 / (2 * 1), 1.0]])


def test_labels_that_are_not_named_weigh_one():
    found = fit_loss_weights(None, {"b": 3.0}, TARGET, Y, [TRAIN])
    assert_array_equal(found.classes, [[1.0, 3.0, 1.0]])
    assert fit_loss_weights(None, None, TARGET, Y, [TRAIN]) is None


def test_labels_that_are_numbers_are_found_by_their_value():
    numbers = Target(("y",), "binary", labels=("0.0", "1.0"))
    found = fit_loss_weights(
        None, class_weight("class_weight", {1: 5}), numbers, Y[:6], [np.arange(6)]
    )
    assert_array_equal(found.classes, [[1.0, 5.0]])


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        (None, None),
        ("balanced", "balanced"),
        ("bad=5,good=0.5", {"bad": 5.0, "good": 0.5}),
        ("<=50K=1, >50K=3.25", {"<=50K": 1.0, ">50K": 3.25}),
    ],
)
def test_a_command_line_is_read_and_written(given, asked):
    assert read_class_weight(given) == asked
    if given is not None:
        [flag, words] = write_class_weight(asked)
        assert flag == "--class-weight"
        assert read_class_weight(words) == asked


@pytest.mark.parametrize("given", ["bad", "bad=", "bad=much", "=5", "bad=5,,good=1", "Balanced"])
def test_what_is_no_weight_of_a_label_is_refused_with_an_example(given):
    with pytest.raises(OptionError, match="Write for instance --class-weight bad=5,good=1"):
        read_class_weight(given)


@pytest.mark.parametrize(
    "value", [{"a": 0}, {"a": -1.0}, {"a": np.nan}, {"a": np.inf}, {"a": True}, {"a": "5"}, {}, 5]
)
def test_weights_are_positive_finite_numbers(value):
    with pytest.raises(OptionError, match="'balanced', or positive weights by label"):
        class_weight("class_weight", value)


def test_a_label_that_the_target_lacks_is_named_with_those_that_it_has():
    with pytest.raises(OptionError, match=r"received 'd'\. The labels are: a, b, c\."):
        check_class_weight({"a": 1.0, "d": 2.0}, TARGET)


def test_a_target_without_classes_takes_no_class_weights():
    with pytest.raises(OptionError, match="received one of regression"):
        check_class_weight("balanced", Target(("y",), "regression"))
    check_class_weight(None, Target(("y",), "regression"))
