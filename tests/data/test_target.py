"""The target's problem type, label order and ``y``."""

import numpy as np
import pandas as pd
import pytest

from hpsearch.data.target import read_known_target, read_target
from hpsearch.data.understood import Places
from hpsearch.errors import DataError, OptionError
from hpsearch.task import Target


def read(*cells, task=None, dtype=None):
    series = cells[0] if isinstance(cells[0], pd.Series) else pd.Series(cells, dtype=dtype)
    return read_target(series.to_frame("y"), Places(), task)


def read_many(task=None, **columns):
    return read_target(pd.DataFrame(columns), Places(), task)


def reread(target, **columns):
    return read_known_target(pd.DataFrame(columns), Places(), target)


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        (("good", "bad", "bad"), ("bad", "good")),
        ((1, 0, 0), (0, 1)),
        ((1.0, 0.0, 0.0), (0, 1)),
        (("2", "1", "1"), (1, 2)),
        ((1.5, 0.5, 0.5), (0.5, 1.5)),
        ((True, False, False), (False, True)),
        (("true", "false", "false"), (False, True)),
        (("NA", "yes", "yes"), ("NA", "yes")),
        (("007", "123", "123"), ("007", "123")),
    ],
)
def test_two_different_values_are_binary_with_sorted_labels(cells, labels):
    found = read(*cells)
    assert found.target.kind == "binary"
    assert found.target.labels == labels
    assert [type(label) for label in found.target.labels] == [type(label) for label in labels]
    assert found.y.dtype == np.int32
    assert found.y.tolist() == [labels.index(found.target.labels[code]) for code in found.y]
    assert sorted(found.y.tolist()) in ([0, 0, 1], [0, 1, 1])


def test_codes_follow_the_labels():
    assert read("good", "bad", "good").y.tolist() == [1, 0, 1]
    assert read(7, 3, 7).y.tolist() == [1, 0, 1]


def test_the_positive_class_is_said():
    assert read("good", "bad").notes == ("The positive class of 'y' is 'good', the other 'bad'.",)


def test_labels_that_look_missing_are_labels_and_said():
    found = read("NA", "null", "yes", "NA", "null", "yes")
    assert found.target.labels == ("NA", "null", "yes")
    assert "only an empty cell is missing" in found.notes[0]


def test_more_labels_are_multiclass():
    found = read(*"abcabc")
    assert found.target.kind == "multiclass"
    assert found.y.tolist() == [0, 1, 2, 0, 1, 2]


def test_few_whole_numbers_are_multiclass():
    found = read(*([1, 2, 3] * 20))
    assert found.target.kind == "multiclass"
    assert found.target.labels == (1, 2, 3)
    assert "whole numbers" in found.target.reason


def test_whole_numbers_with_many_values_for_their_rows_are_regression():
    found = read(*([1, 2, 3] * 19))
    assert found.target.kind == "regression"
    assert "--task multiclass" in found.notes[0]


def test_more_than_20_whole_numbers_are_regression():
    assert read(*(list(range(21)) * 21)).target.kind == "regression"


def test_few_numbers_that_are_not_whole_are_regression():
    assert read(*([0.5, 1.5, 2.5] * 30)).target.kind == "regression"


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        ([f"{i % 10} %" for i in range(600)], "1234.5 %"),
        ([f"${1000 + i % 10}" for i in range(600)], "1234.5 $"),
        ([f"{i % 50 / 10}".replace(".", ",") for i in range(600)], "1234,5"),
        ([f"{i % 10},0" for i in range(600)], "1234,5"),
    ],
)
def test_amounts_are_a_regression_however_often_they_repeat(cells, form):
    target = read(*cells).target
    assert target.kind == "regression"
    assert target.number_formats == (form,)
    assert form in target.reason
    assert Target.from_json(target.to_json()) == target
    assert reread(target, y=[cells[7]]).tolist() == [read(*cells).y[7].tolist()]


def test_two_amounts_are_classes_that_keep_their_units():
    target = read("5 %", "10 %", "5 %").target
    assert (target.kind, target.labels) == ("binary", ("10 %", "5 %"))
    assert reread(target, y=["5\u00a0%", "10 %"]).tolist() == [1, 0]


def test_two_decimal_commas_are_classes_of_numbers():
    target = read("0,5", "1,5", "0,5").target
    assert target.labels == (0.5, 1.5)
    assert reread(target, y=["1,5", 0.5]).tolist() == [1, 0]


def test_several_targets_keep_their_forms():
    found = read_many(a=["1,5", "2,5", "4,5"], b=["1 kg", "2 kg", "4 kg"])
    assert found.target.number_formats == ("1234,5", "1234.5 kg")
    assert found.y.tolist() == [[1.5, 1], [2.5, 2], [4.5, 4]]


def test_doubts_of_a_target_are_warned_about():
    assert "was not read as numbers" in read(*["1 kg", "2 g"] * 9).warnings[0]
    assert "may be a decimal sign" in read(*(f"{i},500" for i in range(1, 30))).warnings[0]


def test_a_declared_category_of_numbers_is_multiclass():
    series = pd.Series([1, 2, 3] * 2, dtype="category")
    assert read(series).target.labels == (1, 2, 3)


def test_regression_gives_one_column_of_float64():
    y = read(1.5, 2.5, 4.0).y
    assert y.shape == (3, 1)
    assert y.dtype == np.float64


def test_numbers_between_0_and_1_are_regression_with_a_hint():
    found = read(0.1, 0.5, 0.9)
    assert found.target.kind == "regression"
    assert "--task share" in found.notes[0]


def test_a_share_is_taken_where_asked():
    found = read(0.0, 0.5, 1.0, task="share")
    assert found.target.kind == "share"
    assert found.y.tolist() == [[0.0], [0.5], [1.0]]


def test_a_share_beyond_1_is_refused():
    with pytest.raises(DataError, match=r"between 0 and 1; 'y' does not in row 1 \(1\.5\)"):
        read(0.0, 1.5, 1.0, task="share")


def test_asked_regression_of_two_values_is_regression():
    assert read(0, 1, 1, task="regression").y.tolist() == [[0.0], [1.0], [1.0]]


def test_asked_classes_of_numbers_mixed_with_text_are_labels():
    assert read("1", "2", "3+", "3+", "1", "2", task="multiclass").target.labels == ("1", "2", "3+")


def test_numbers_mixed_with_text_are_refused_with_what_can_be_done_with_a_target():
    with pytest.raises(DataError, match=r"^The target 'y' is mostly numbers, but row 2") as refused:
        read("1", "2", "3+", "1")
    assert str(refused.value).endswith("Correct these cells or drop their rows.")


def test_classes_are_advised_where_each_has_rows_enough():
    cells = ["8", "9", "10", "10+"] * 5
    with pytest.raises(DataError, match="take each value for a class with --task multiclass"):
        read(*cells)
    assert read(*cells, task="multiclass").target.labels == ("10", "10+", "8", "9")


@pytest.mark.parametrize("task", ["regression", "share"])
def test_classes_are_advised_instead_of_numbers_where_each_has_rows_enough(task):
    with pytest.raises(DataError, match="or use --task binary"):
        read(*(["a", "b"] * 5), task=task)
    with pytest.raises(DataError, match=r"such as 'a'\. Correct its cells\.$"):
        read("a", "b", "a", task=task)


def test_binary_of_many_numbers_advises_regression():
    with pytest.raises(DataError, match="Use --task regression"):
        read(*range(30), task="binary")


def test_an_unknown_task_is_refused():
    with pytest.raises(OptionError, match=r"--task is one of binary, .*'ranking'"):
        read(1, 2, task="ranking")


def test_binary_asked_of_three_values_is_refused():
    with pytest.raises(DataError, match="needs two different values; the target 'y' has 3"):
        read(*"abcabc", task="binary")


def test_multiclass_asked_of_too_many_values_is_refused():
    with pytest.raises(DataError, match=r"8 different values in 10 rows.*--task regression"):
        read(*range(8), 1, 2, task="multiclass")


def test_text_that_differs_in_most_rows_is_refused_as_target():
    with pytest.raises(DataError, match=r"4 different values in 4 rows\. Choose another target"):
        read(*"abcd")


def test_regression_asked_of_text_is_refused():
    with pytest.raises(DataError, match="holds text, such as 'a'"):
        read(*"abab", task="regression")


@pytest.mark.parametrize("cells", [(1, 1, 1), ("x", "x"), (2.5, 2.5), (True, True)])
def test_a_constant_target_is_refused(cells):
    with pytest.raises(DataError, match="needs two different values"):
        read(*cells)


@pytest.mark.parametrize("cells", [(1.0, None, 2.0), ("a", "", "b"), ("1", "NA", "2")])
def test_missing_target_cells_are_refused_with_count_and_row(cells):
    with pytest.raises(DataError, match="1 missing cells of 3, in row 1"):
        read(*cells)


def test_a_target_without_any_value_is_refused():
    with pytest.raises(DataError, match="2 missing cells of 2"):
        read("", "")


@pytest.mark.parametrize("cell", [np.inf, -np.inf, 1e39])
def test_an_infinite_target_is_refused_with_its_row(cell):
    with pytest.raises(DataError, match="'y' is not in row 1"):
        read(1.0, cell, 2.0)


def test_a_target_of_dates_is_refused():
    with pytest.raises(DataError, match="days since"):
        read("2024-01-01", "2024-01-02")


def test_a_target_of_huge_integers_is_refused():
    with pytest.raises(DataError, match=r"beyond 2\*\*53"):
        read(2**53 + 1, 1)


def test_columns_with_one_1_per_row_are_classes():
    found = read_many(a=[1, 0, 0], b=[0, 1, 0], c=[0, 0, 1])
    assert (found.target.kind, found.target.one_hot) == ("multiclass", True)
    assert found.target.labels == ("a", "b", "c")
    assert found.y.tolist() == [0, 1, 2]


def test_other_columns_of_0_and_1_are_labels():
    found = read_many(a=[1, 0, 0], b=[True, True, False])
    assert found.target.kind == "multilabel"
    assert found.target.labels == ("a", "b")
    assert found.y.dtype == np.float32
    assert found.y.tolist() == [[1, 1], [0, 1], [0, 0]]


def test_columns_of_numbers_are_regression_of_several_values():
    found = read_many(a=[1.5, 2.0], b=[3, 4])
    assert found.target.kind == "regression"
    assert found.target.n_outputs == 2
    assert found.y.tolist() == [[1.5, 3.0], [2.0, 4.0]]


def test_one_1_per_row_may_be_asked_to_be_labels():
    assert read_many(task="multilabel", a=[1, 0], b=[0, 1]).target.kind == "multilabel"


def test_one_column_may_be_asked_to_be_a_label():
    found = read(1, 0, 1, task="multilabel")
    assert found.y.tolist() == [[1], [0], [1]]


def test_labels_other_than_0_and_1_are_refused():
    with pytest.raises(DataError, match=r"'b' is not in row 1 \(2\.0\)"):
        read_many(task="multilabel", a=[1, 0], b=[0, 2])


def test_several_columns_of_text_are_refused():
    with pytest.raises(DataError, match="'b' holds text, such as 'x'"):
        read_many(a=[1, 2], b=["x", "y"])


def test_a_constant_column_among_several_is_refused():
    with pytest.raises(DataError, match="'b' is '0' in all 2 rows"):
        read_many(a=[1, 0], b=[0, 0])


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_one_class_asked_of_several_free_columns_is_refused(task):
    with pytest.raises(DataError, match=f"--task {task} needs"):
        read_many(task=task, a=[1, 1, 0], b=[0, 1, 1])


def test_several_shares_are_checked():
    assert read_many(task="share", a=[0.1, 0.9], b=[0.2, 0.4]).target.kind == "share"
    with pytest.raises(DataError, match="'b' does not in row 0"):
        read_many(task="share", a=[0.1, 0.9], b=[1.2, 0.4])


@pytest.mark.parametrize(
    ("labels", "cells", "codes"),
    [
        (("bad", "good"), ["good", " bad", "good"], [1, 0, 1]),
        ((0, 1), ["1", "0", "1.0"], [1, 0, 1]),
        ((0, 1), [True, False, True], [1, 0, 1]),
        ((0.5, 1.5), [1.5, 0.5, 1.5], [1, 0, 1]),
        ((False, True), ["TRUE", "false", "True"], [1, 0, 1]),
        (("1", "3+"), [3, 1, 1], None),
    ],
)
def test_labels_of_new_rows_are_recognised(labels, cells, codes):
    target = Target(("y",), "binary", labels)
    if codes is None:
        with pytest.raises(DataError, match=r"classes '1', '3\+'; row 0 \('3'\) is none"):
            reread(target, y=cells)
    else:
        assert reread(target, y=cells).tolist() == codes


@pytest.mark.parametrize(("labels", "cells"), [((0, 1), [0, 7]), (("a", "b"), ["a", "z"])])
def test_unknown_labels_of_new_rows_are_refused(labels, cells):
    with pytest.raises(DataError, match=r"row 1 .* is none of them"):
        reread(Target(("y",), "binary", labels), y=cells)


def test_missing_targets_of_new_rows_are_refused():
    with pytest.raises(DataError, match="missing cells"):
        reread(Target(("y",), "regression"), y=[1.0, None])
    with pytest.raises(DataError, match="missing cells"):
        reread(Target(("y",), "regression"), y=["1.0", "?"])


def test_one_hot_columns_of_new_rows_are_checked():
    target = Target(("a", "b"), "multiclass", ("a", "b"), one_hot=True)
    assert reread(target, a=[1, 0], b=[0, 1]).tolist() == [0, 1]
    with pytest.raises(DataError, match="row 1 do otherwise"):
        reread(target, a=[1, 1], b=[0, 1])


def test_labels_and_shares_of_new_rows_are_checked():
    with pytest.raises(DataError, match="0 or 1"):
        reread(Target(("a",), "multilabel", ("a",)), a=[2, 1])
    with pytest.raises(DataError, match="between 0 and 1"):
        reread(Target(("a",), "share"), a=[2, 1])


def test_numbers_of_new_rows_may_be_constant():
    assert reread(Target(("y",), "regression"), y=[2, 2]).tolist() == [[2.0], [2.0]]
