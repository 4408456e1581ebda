"""The plan: which splitter a dataset gets, and which folds are refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import sparse

from hpsearch.data.dataset import Column, Dataset, Schema
from hpsearch.errors import FoldError, OptionError
from hpsearch.folds import (
    Fold,
    HoldOut,
    IteratedGroupKFold,
    IteratedKFold,
    IteratedStratifiedGroupKFold,
    IteratedStratifiedKFold,
    TimeOrderedSplit,
    choose_splitter,
    dataset_duplicates,
    hold_back,
    make_folds,
)
from hpsearch.task import Target

REGRESSION = Target(("price",), "regression")
BINARY = Target(("ill",), "binary", ("no", "yes"))


def dataset(n=40, *, y=None, target=None, groups=None, time=None, x=None, arrays=None):
    """A table of one number column, or of arrays alone where ``x`` is an empty tuple."""
    if target is None:
        target = REGRESSION if y is None else BINARY
    y = np.arange(float(n))[:, np.newaxis] if y is None else np.asarray(y, dtype=np.int32)
    x = np.arange(float(len(y))) if x is None else np.asarray(x, dtype=float)
    frame = pd.DataFrame({"x": x}) if len(x) else pd.DataFrame(index=range(len(y)))
    return Dataset(
        "table",
        Schema((Column("x", "number"),), target),
        frame,
        arrays or {},
        y,
        groups=None if groups is None else np.asarray(groups),
        time=None if time is None else np.asarray(time),
    )


ALTERNATING = np.arange(40) % 2
TEN_GROUPS = np.repeat(np.arange(10), 4)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (dataset(), IteratedKFold),
        (dataset(y=ALTERNATING), IteratedStratifiedKFold),
        (dataset(groups=TEN_GROUPS), IteratedGroupKFold),
        (dataset(y=ALTERNATING, groups=TEN_GROUPS), IteratedStratifiedGroupKFold),
        (dataset(y=ALTERNATING, time=np.arange(40)), TimeOrderedSplit),
    ],
)
def test_auto_takes_the_splitter_that_the_data_call_for(data, kind):
    splitter, _ = choose_splitter(data)
    assert type(splitter) is kind


def test_several_labels_per_row_are_not_stratified():
    target = Target(("a", "b"), "multilabel", ("a", "b"))
    data = dataset(y=np.ones((40, 2)), target=target)
    assert type(choose_splitter(data)[0]) is IteratedKFold


def test_the_options_reach_the_splitter():
    splitter, _ = choose_splitter(dataset(), folds=5, repeats=2, seed=7, duplicates="ignore")
    assert splitter == IteratedKFold(5, 2, random_state=7, duplicates="ignore")


@pytest.mark.parametrize(
    ("data", "options", "reason"),
    [
        (dataset(), {}, "4 folds, 3 times: shuffled rows."),
        (
            dataset(y=ALTERNATING, groups=TEN_GROUPS),
            {"repeats": 1},
            "4 folds, once: groups on one side, classes shared out, because groups are named "
            "and the target has classes.",
        ),
        (
            dataset(y=ALTERNATING),
            {"split": "kfold", "repeats": 2},
            "4 folds, twice: shuffled rows, as asked.",
        ),
        (
            dataset(time=np.arange(40)),
            {},
            "4 folds in time order, because a time column is named: each trains on the past of "
            "what it validates. There is one order, so --repeats has no effect: one repeat.",
        ),
        (
            dataset(time=np.arange(40)),
            {"repeats": 1, "gap": 2},
            "4 folds in time order, because a time column is named: each trains on the past of "
            "what it validates, 2 rows between them left out.",
        ),
        (
            dataset(time=np.arange(40)),
            {"folds": 1},
            "hold-out: the last 0.25 of the rows in time validate, once.",
        ),
        (
            dataset(y=ALTERNATING),
            {"folds": 1},
            "hold-out: 0.25 of the rows validate, chosen 3 times: each class shared out evenly.",
        ),
    ],
)
def test_the_reason_tells_what_was_chosen_and_why(data, options, reason):
    assert choose_splitter(data, **options)[1] == reason


@pytest.mark.parametrize("options", [{"folds": 1}, {"split": "holdout"}])
def test_one_fold_is_a_hold_out_of_a_quarter(options):
    splitter, _ = choose_splitter(dataset(groups=TEN_GROUPS), **options)
    assert splitter == HoldOut(0.25, 3, keep_groups=True)


def test_a_hold_out_takes_the_asked_share():
    splitter, _ = choose_splitter(dataset(), folds=1, test_size=0.1)
    assert splitter == HoldOut(0.1, 3)


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (dataset(), {"split": "random"}, "`--split` is one of auto, kfold"),
        (dataset(), {"split": "group"}, "`--split group` needs groups"),
        (dataset(), {"split": "time"}, "`--split time` needs times"),
        (dataset(), {"split": "stratified"}, "the problem is regression"),
        (dataset(), {"split": "kfold", "folds": 1}, "needs at least 2 folds"),
        (dataset(groups=TEN_GROUPS), {"split": "kfold"}, "would tear groups apart"),
        (dataset(time=np.arange(40)), {"split": "kfold"}, "would train on the future"),
        (dataset(groups=TEN_GROUPS, time=np.arange(40)), {}, "cannot keep groups together"),
        (dataset(), {"gap": 2}, "`--gap 2` has a meaning in time order alone"),
        (dataset(), {"test_size": 0.2}, "a meaning for a hold-out alone; received 0.2"),
    ],
)
def test_contradictory_options_are_refused(data, options, message):
    with pytest.raises(OptionError, match=message):
        choose_splitter(data, **options)


def test_no_folds_at_all_are_refused():
    with pytest.raises(FoldError, match="`--folds` must be at least 2 here; received 0"):
        choose_splitter(dataset(), folds=0)


def test_folds_are_numbered_by_repeat_and_part():
    folds = make_folds(IteratedKFold(2, 3), dataset())
    assert [(f.repeat, f.fold) for f in folds] == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]


def test_repeats_of_another_splitter_end_where_rows_would_validate_again():
    from sklearn.model_selection import RepeatedKFold

    folds = make_folds(RepeatedKFold(n_splits=2, n_repeats=2, random_state=0), dataset())
    assert [(f.repeat, f.fold) for f in folds] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_each_hold_out_is_a_repeat_of_its_own():
    folds = make_folds(HoldOut(0.1, 3), dataset())
    assert [(f.repeat, f.fold) for f in folds] == [(0, 0), (1, 0), (2, 0)]


def test_a_fold_cannot_be_changed():
    [fold, _] = make_folds(IteratedKFold(2, 1), dataset())
    with pytest.raises(ValueError, match="read-only"):
        fold.train[0] = 1


def test_a_fold_sorts_its_rows():
    assert_array_equal(Fold(0, 0, [3, 1], [2, 0]).train, [1, 3])


@given(st.lists(st.integers(0, 8), min_size=30, max_size=50), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_copies_over_columns_and_words_together_never_straddle(cells, seed):
    cells = np.array(cells)
    words = sparse.csr_array(np.eye(3, dtype=np.float32)[cells % 3])
    data = dataset(len(cells), x=cells // 3, arrays={"words": words})
    if len(np.unique(cells)) < 3:
        return
    for fold in make_folds(IteratedKFold(3, 1, random_state=seed), data):
        assert not set(cells[fold.train]) & set(cells[fold.validation])


def test_equal_columns_with_unequal_images_are_no_copies():
    images = np.arange(40, dtype=np.uint8).reshape(40, 1, 1)
    data = dataset(x=np.zeros(40), arrays={"image": images})
    assert_array_equal(dataset_duplicates(data), np.arange(40))


def test_copies_are_found_in_arrays_alone():
    images = np.repeat(np.arange(20, dtype=np.uint8), 2).reshape(40, 1, 1)
    data = dataset(x=(), arrays={"image": images})
    assert_array_equal(dataset_duplicates(data), np.repeat(np.arange(20), 2))


def test_the_dataset_gives_the_times():
    data = dataset(time=np.arange(40)[::-1])
    folds = make_folds(TimeOrderedSplit(3), data)
    assert folds[-1].validation.max() < folds[-1].train.min()


def test_a_small_class_is_named_by_its_label():
    data = dataset(y=[0] * 37 + [1] * 3)
    with pytest.raises(FoldError) as caught:
        make_folds(IteratedStratifiedKFold(5), data)
    assert str(caught.value) == (
        "`--folds 5` needs at least 5 rows of each class; class 'yes' has 3. "
        "Lower --folds or drop the class."
    )


def test_training_rows_without_a_class_are_refused():
    data = dataset(y=[0] * 20 + [1] * 20, time=np.arange(40))
    with pytest.raises(FoldError, match="training rows of repeat 0, fold 0 lack class 'yes'"):
        make_folds(TimeOrderedSplit(3), data)


def test_validation_rows_of_one_class_are_refused():
    data = dataset(y=[0, 1] * 15 + [1] * 10, time=np.arange(40))
    with pytest.raises(FoldError, match="repeat 0, fold 3 hold one class only, 'yes'"):
        make_folds(TimeOrderedSplit(4), data)


def test_a_declared_class_without_rows_is_refused():
    target = Target(("c",), "multiclass", ("a", "b", "c"))
    with pytest.raises(FoldError, match="lack class 'c'"):
        make_folds(IteratedStratifiedKFold(), dataset(y=ALTERNATING, target=target))


def test_groups_that_another_splitter_tears_apart_are_refused():
    class Halves:
        def split(self, X, y=None, groups=None):
            yield np.arange(0, 40, 2), np.arange(1, 40, 2)

        def get_n_splits(self, X=None, y=None, groups=None):
            return 1

    with pytest.raises(FoldError, match="10 groups on both sides"):
        make_folds(Halves(), dataset(groups=TEN_GROUPS))


@pytest.mark.parametrize(
    ("train", "validation", "message"),
    [
        ([], [0], "no training rows"),
        ([0], [], "no validation rows"),
        ([0, 1], [1, 2], "rows on both sides"),
        ([0, 40], [1], "training rows must be different numbers from 0 to 39"),
        ([0, 0], [1], "training rows must be different numbers"),
    ],
)
def test_broken_folds_of_another_splitter_are_refused(train, validation, message):
    class Broken:
        def split(self, X, y=None, groups=None):
            yield np.array(train, dtype=int), np.array(validation, dtype=int)

        def get_n_splits(self, X=None, y=None, groups=None):
            return 1

    with pytest.raises(FoldError, match=message):
        make_folds(Broken(), dataset())


def test_what_another_splitter_refuses_is_a_fold_error():
    from sklearn.model_selection import KFold

    with pytest.raises(FoldError, match="KFold cannot split these rows"):
        make_folds(KFold(50), dataset())


@given(st.integers(0, 1000), st.integers(10, 50))
@settings(max_examples=30, deadline=None)
def test_held_back_rows_and_the_rest_are_all_rows(seed, percent):
    search, test = hold_back(dataset(), percent / 100, seed)
    assert_array_equal(np.sort(np.concatenate([search, test])), np.arange(40))
    assert len(test) == -(-40 * percent // 100)


def test_held_back_rows_have_each_classs_share():
    y = np.repeat([0, 1], [32, 8])
    _, test = hold_back(dataset(y=y), 0.25)
    assert_array_equal(np.bincount(y[test]), [8, 2])


def test_held_back_rows_keep_groups_and_copies_together():
    x = np.repeat(np.arange(20.0), 2)
    groups = np.arange(40) // 4
    search, test = hold_back(dataset(x=x, groups=groups), 0.25)
    assert not set(groups[search]) & set(groups[test])
    assert not set(x[search]) & set(x[test])


def test_held_back_rows_are_the_last_in_time_after_the_gap():
    search, test = hold_back(dataset(time=np.arange(40)[::-1]), 0.25, gap=3)
    assert_array_equal(test, np.arange(10))
    assert_array_equal(search, np.arange(13, 40))


def test_holding_back_needs_a_class_left_to_learn():
    data = dataset(y=[0] * 30 + [1] * 10, time=np.arange(40))
    with pytest.raises(FoldError, match="rows left for the search lack class 'yes'"):
        hold_back(data, 0.25)
