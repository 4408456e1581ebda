"""Columns that give the target away."""

import numpy as np
import pandas as pd

from hpsearch.data.hints import target_leaks
from hpsearch.task import Target

CLASSES = Target(("y",), "multiclass", ("a", "b", "c"))
Y = np.array([0, 1, 2, 0, 1, 2], dtype=np.int32)
VALUES = np.array([[1.0], [2.0], [4.0], [8.0], [16.0], [32.0]])


def leaks(cells, target=CLASSES, y=Y):
    return target_leaks(pd.DataFrame({"c": cells}), target, y)


def test_a_renaming_of_the_classes_is_found():
    assert "'c' gives the target 'y' away" in leaks(list("pqrpqr"))[0]
    assert leaks([7.0, 5.0, 3.0, 7.0, 5.0, 3.0])


def test_a_renaming_with_a_missing_cell_is_found():
    y = np.concatenate([Y, Y])
    assert leaks(["p", "q", "r", None, "q", "r", *"pqrpqr"], y=y)


def test_one_row_of_each_class_proves_no_renaming():
    assert leaks(list("pqr"), y=Y[:3]) == ()


def test_a_column_that_merges_classes_is_no_renaming():
    assert leaks(list("pqqpqq")) == ()


def test_a_column_finer_than_the_classes_is_no_renaming():
    assert leaks(list("pqrsqr")) == ()


def test_cells_missing_in_one_class_only_are_found():
    target = Target(("y",), "binary", ("a", "b"))
    y = np.array([0, 1, 0, 1], dtype=np.int32)
    assert "missing in one class" in leaks([1.0, None, 2.0, None], target, y)[0]


def test_a_line_through_a_number_target_is_found():
    assert (
        "correlation is -1.000000"
        in leaks(3 - 2 * VALUES[:, 0], Target(("y",), "regression"), VALUES)[0]
    )


def test_a_weaker_correlation_is_not_warned_about():
    assert leaks(np.sqrt(VALUES[:, 0]), Target(("y",), "regression"), VALUES) == ()


def test_each_of_several_targets_is_looked_at():
    target = Target(("u", "v"), "regression")
    y = np.column_stack([VALUES[::-1, 0], VALUES[:, 0]])
    assert "'v'" in leaks(2 * VALUES[:, 0], target, y)[0]


def test_two_rows_prove_no_correlation():
    assert leaks([1.0, 2.0], Target(("y",), "regression"), np.array([[1.0], [2.0]])) == ()


def test_text_gives_no_number_away():
    assert leaks(list("abcdef"), Target(("y",), "regression"), VALUES) == ()
