"""The splitters: what every one of them guarantees, and what each refuses."""

import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from hpsearch.errors import FoldError, OptionError
from hpsearch.folds import (
    HoldOut,
    IteratedGroupKFold,
    IteratedKFold,
    IteratedStratifiedGroupKFold,
    IteratedStratifiedKFold,
    TimeOrderedSplit,
)

KFOLDS = [
    IteratedKFold,
    IteratedStratifiedKFold,
    IteratedGroupKFold,
    IteratedStratifiedGroupKFold,
]
GROUPED = [IteratedGroupKFold, IteratedStratifiedGroupKFold]
seeds = st.integers(0, 2**32 - 1)


def table(n=60, n_groups=20, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 3)), np.arange(n) % 2, np.arange(n) % n_groups


def split(splitter, X, y=None, groups=None):
    """The splitter's folds on what its kind asks for."""
    grouped = type(splitter) in GROUPED or getattr(splitter, "keep_groups", False)
    return list(splitter.split(X, y, groups if grouped else None))


def validations(splitter, *data):
    return [validation.tolist() for _, validation in split(splitter, *data)]


@st.composite
def copied_tables(draw):
    """Rows drawn from a few distinct ones, at least one of each."""
    n_distinct = draw(st.integers(5, 12))
    extra = draw(st.lists(st.integers(0, n_distinct - 1), max_size=25))
    return np.array([*range(n_distinct), *extra], dtype=float)


@pytest.mark.parametrize("kind", KFOLDS)
@given(seed=seeds, n_splits=st.integers(2, 5), n=st.integers(40, 70))
@settings(max_examples=25, deadline=None)
def test_every_row_validates_once_in_each_repeat(kind, seed, n_splits, n):
    X, y, groups = table(n)
    folds = split(kind(n_splits, 2, random_state=seed), X, y, groups)
    for repeat in (folds[:n_splits], folds[n_splits:]):
        assert_array_equal(np.sort(np.concatenate([v for _, v in repeat])), np.arange(n))


@pytest.mark.parametrize("kind", KFOLDS)
@given(seed=seeds)
@settings(max_examples=25, deadline=None)
def test_training_rows_are_all_that_do_not_validate(kind, seed):
    X, y, groups = table()
    for train, validation in split(kind(3, 2, random_state=seed), X, y, groups):
        assert_array_equal(train, np.setdiff1d(np.arange(60), validation))


@pytest.mark.parametrize("kind", KFOLDS)
def test_the_same_splitter_gives_the_same_folds_twice(kind):
    splitter = kind(3, 2, random_state=5)
    assert validations(splitter, *table()) == validations(splitter, *table())


@pytest.mark.parametrize("kind", KFOLDS)
def test_another_seed_gives_other_folds(kind):
    first = validations(kind(3, 1, random_state=0), *table())
    assert first != validations(kind(3, 1, random_state=1), *table())


@pytest.mark.parametrize("kind", KFOLDS)
def test_repeats_differ(kind):
    parts = validations(kind(3, 4), *table())
    repeats = {frozenset(map(tuple, parts[at : at + 3])) for at in range(0, 12, 3)}
    assert len(repeats) == 4


@pytest.mark.parametrize("kind", [*KFOLDS, HoldOut])
def test_a_repeat_does_not_depend_on_how_many_follow(kind):
    few, many = kind(n_repeats=2), kind(n_repeats=5)
    expected = validations(few, *table())
    assert validations(many, *table())[: len(expected)] == expected


@pytest.mark.parametrize("kind", GROUPED)
@given(seed=seeds, groups=st.lists(st.integers(0, 9), min_size=30, max_size=60))
@settings(max_examples=30, deadline=None)
def test_groups_never_straddle(kind, seed, groups):
    groups = np.array([*range(10), *groups])
    X, y, _ = table(len(groups))
    for train, validation in split(kind(3, 2, random_state=seed), X, y, groups):
        assert not set(groups[train]) & set(groups[validation])


@pytest.mark.parametrize("splitter", [IteratedKFold(3, 2), HoldOut(0.3, 3)])
@given(X=copied_tables())
@settings(max_examples=40, deadline=None)
def test_copies_of_a_row_never_straddle(splitter, X):
    for train, validation in splitter.split(X):
        assert not set(X[train]) & set(X[validation])


@given(X=copied_tables(), seed=seeds)
@settings(max_examples=40, deadline=None)
def test_copies_of_a_row_never_straddle_where_classes_are_shared_out(X, seed):
    X = np.concatenate([X, X + 100])  # two classes of at least five distinct rows each
    y = (X >= 100).astype(int)
    for train, validation in IteratedStratifiedKFold(3, 2, random_state=seed).split(X, y):
        assert not set(X[train]) & set(X[validation])
        assert set(y[validation]) == {0, 1}


def test_copies_and_groups_stay_together_at_once():
    X = np.array([1.0, 2.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    groups = np.array([0, 0, 1, 1, 2, 2, 3, 3])  # 0 and 1 share the row 2.0
    for train, validation in IteratedGroupKFold(3, 3).split(X, groups=groups):
        assert not set(groups[train]) & set(groups[validation])
        assert len({0, 1, 2, 3} & set(validation)) in (0, 4)


def test_copies_may_straddle_where_they_are_ignored():
    X = np.zeros(6)
    folds = list(IteratedKFold(3, 1, duplicates="ignore").split(X))
    assert [len(v) for _, v in folds] == [2, 2, 2]


@given(n=st.integers(2, 60), n_splits=st.integers(2, 7), seed=seeds)
@settings(max_examples=60, deadline=None)
def test_sizes_are_those_of_scikit_learns_k_fold(n, n_splits, seed):
    from sklearn.model_selection import KFold

    n = max(n, n_splits)
    X = np.arange(float(n))
    ours = [len(v) for _, v in IteratedKFold(n_splits, 1, random_state=seed).split(X)]
    assert ours == [len(v) for _, v in KFold(n_splits).split(X)]


@given(y=st.lists(st.integers(0, 2), max_size=50), n_splits=st.integers(2, 5), seed=seeds)
@settings(max_examples=60, deadline=None)
def test_class_counts_and_sizes_differ_by_at_most_one_where_stratified(y, n_splits, seed):
    y = np.array([0, 1, 2] * n_splits + y)
    splitter = IteratedStratifiedKFold(n_splits, 1, random_state=seed)
    counts = np.array(
        [np.bincount(y[v], minlength=3) for _, v in splitter.split(np.arange(float(len(y))), y)]
    )
    assert np.ptp(counts, axis=0).max() <= 1
    assert np.ptp(counts.sum(axis=1)) <= 1


@given(
    sizes=st.lists(st.integers(1, 9), min_size=4, max_size=15),
    n_splits=st.integers(2, 4),
    seed=seeds,
)
@settings(max_examples=60, deadline=None)
def test_sizes_differ_by_at_most_the_largest_group(sizes, n_splits, seed):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    splitter = IteratedGroupKFold(n_splits, 1, random_state=seed)
    lengths = [len(v) for _, v in splitter.split(np.arange(float(len(groups))), groups=groups)]
    assert max(lengths) - min(lengths) <= max(sizes)


@given(X=copied_tables(), n_splits=st.integers(2, 5), seed=seeds)
@settings(max_examples=60, deadline=None)
def test_sizes_differ_by_at_most_the_largest_block_of_copies(X, n_splits, seed):
    lengths = [len(v) for _, v in IteratedKFold(n_splits, 1, random_state=seed).split(X)]
    assert max(lengths) - min(lengths) <= np.unique(X, return_counts=True)[1].max()


def test_a_block_of_copies_larger_than_a_part_leaves_rows_for_every_other_part():
    X = np.array([0.0] * 100 + [1.0, 2.0, 3.0])
    assert sorted(len(v) for _, v in IteratedKFold(4, 1).split(X)) == [1, 1, 1, 100]


def test_pure_groups_are_shared_out_by_class():
    groups = np.repeat(np.arange(8), 5)
    y = (groups >= 4).astype(int)
    for _, validation in IteratedStratifiedGroupKFold(4, 5).split(np.arange(40.0), y, groups):
        assert_array_equal(np.bincount(y[validation]), [5, 5])


@given(n=st.integers(4, 80), percent=st.integers(5, 95), seed=seeds)
@settings(max_examples=60, deadline=None)
def test_a_hold_out_has_its_share_rounded_up(n, percent, seed):
    expected = -(-n * percent // 100)
    splitter = HoldOut(percent / 100, random_state=seed)
    if expected == n:
        with pytest.raises(FoldError, match="leaves none"):
            list(splitter.split(np.arange(float(n))))
        return
    [(train, validation)] = splitter.split(np.arange(float(n)))
    assert (len(train), len(validation)) == (n - expected, expected)


def test_a_stratified_hold_out_takes_each_classs_share():
    y = np.array([0] * 40 + [1] * 20)
    for _, validation in HoldOut(0.25, 3, stratify=True).split(np.arange(60.0), y):
        assert_array_equal(np.bincount(y[validation]), [10, 5])


def test_a_stratified_hold_out_has_every_class_on_both_sides():
    y = np.array([0] * 40 + [1] * 2)
    for train, validation in HoldOut(0.1, 5, stratify=True).split(np.arange(42.0), y):
        assert 1 in y[train]
        assert 1 in y[validation]


def test_a_group_hold_out_keeps_groups_and_nears_its_share():
    groups = np.repeat(np.arange(20), 5)
    for train, validation in HoldOut(0.25, 5, keep_groups=True).split(
        np.arange(100.0), groups=groups
    ):
        assert not set(groups[train]) & set(groups[validation])
        assert len(validation) == 25


@given(
    time=st.lists(st.integers(0, 12), min_size=8, max_size=50),
    n_splits=st.integers(1, 4),
    gap=st.integers(0, 3),
)
@settings(max_examples=100, deadline=None)
def test_training_always_ends_the_gap_before_validation_begins(time, n_splits, gap):
    time = np.array([*[-1] * 20, *time, 13, 14, 15])  # a long past leaves room for the gap
    folds = list(TimeOrderedSplit(n_splits, gap=gap, time=time).split(time))
    assert len(folds) == n_splits
    for train, validation in folds:
        assert time[train].max() < time[validation].min()
        earlier = (time < time[validation].min()).sum()
        assert len(train) == earlier - gap


@given(time=st.lists(st.integers(0, 5), min_size=6, max_size=40), n_splits=st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_stretches_validate_the_end_of_time_one_after_another(time, n_splits):
    time = np.array([*range(5), *time])
    folds = list(TimeOrderedSplit(n_splits, time=time).split(time))
    validated = np.concatenate([v for _, v in folds])
    assert len(np.unique(validated)) == len(validated)
    assert (time >= time[validated].min()).sum() == len(validated)
    bounds = [(time[v].min(), time[v].max()) for _, v in folds]
    assert all(before[1] < after[0] for before, after in pairwise(bounds))


@given(n=st.integers(6, 60), n_splits=st.integers(2, 5), gap=st.integers(0, 1))
@settings(max_examples=60, deadline=None)
def test_distinct_times_give_the_folds_of_scikit_learns_time_series_split(n, n_splits, gap):
    from sklearn.model_selection import TimeSeriesSplit

    if n // (n_splits + 1) * n_splits + gap >= n:
        return
    ours = TimeOrderedSplit(n_splits, gap=gap).split(np.zeros(n))
    for (train, validation), (their_train, their_validation) in zip(
        ours, TimeSeriesSplit(n_splits, gap=gap).split(np.zeros(n)), strict=True
    ):
        assert_array_equal(train, their_train)
        assert_array_equal(validation, their_validation)


def test_a_boundary_moves_to_the_nearest_change_of_time():
    time = np.repeat([0, 1, 2], [4, 6, 2])  # the middle, 6, is nearer to 4 than to 10
    [(train, validation)] = TimeOrderedSplit(1, time=time).split(time)
    assert_array_equal(train, np.arange(4))
    assert_array_equal(validation, np.arange(4, 12))


def test_one_stretch_of_a_share_is_the_last_rows():
    time = np.array([5, 4, 3, 2, 1, 0, 9, 8])
    [(_, validation)] = TimeOrderedSplit(1, test_size=0.25, time=time).split(time)
    assert_array_equal(validation, [6, 7])


@pytest.mark.parametrize(
    "splitter",
    [*(kind(3, 2) for kind in KFOLDS), TimeOrderedSplit(3), HoldOut(0.3, 2)],
    ids=lambda splitter: type(splitter).__name__,
)
def test_cross_val_score_takes_the_splitter(splitter):
    from sklearn.model_selection import cross_val_score
    from sklearn.tree import DecisionTreeClassifier

    X, y, groups = table()
    groups = groups if type(splitter) in GROUPED else None
    scores = cross_val_score(DecisionTreeClassifier(), X, y, groups=groups, cv=splitter)
    assert len(scores) == splitter.get_n_splits()
    assert np.isfinite(scores).all()


def test_grid_search_takes_the_splitter_and_its_clone():
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV
    from sklearn.tree import DecisionTreeClassifier

    X, y, _ = table()
    search = clone(
        GridSearchCV(
            DecisionTreeClassifier(random_state=0),
            {"max_depth": [1, 2]},
            cv=IteratedStratifiedKFold(3, 2),
        )
    ).fit(X, y)
    assert search.n_splits_ == 6


def test_a_splitter_shows_its_parameters():
    assert repr(IteratedKFold(5, 2, random_state=1)) == (
        "IteratedKFold(n_splits=5, n_repeats=2, random_state=1, duplicates='together')"
    )


def test_sparse_features_and_tables_are_split_like_arrays():
    import pandas as pd
    from scipy import sparse

    X, _, _ = table()
    expected = validations(IteratedKFold(), X)
    assert validations(IteratedKFold(), sparse.csr_array(X)) == expected
    assert validations(IteratedKFold(), pd.DataFrame(X)) == expected


@pytest.mark.parametrize("kind", [IteratedKFold, IteratedStratifiedKFold])
def test_twelve_folds_of_54000_rows_take_well_below_a_second(kind):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(54_000, 10)), rng.integers(0, 10, 54_000)
    start = time.process_time()
    list(kind(4, 3).split(X, y))
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: IteratedKFold(1), FoldError, "`--folds` must be at least 2"),
        (lambda: TimeOrderedSplit(0), FoldError, "`--folds` must be at least 1"),
        (lambda: IteratedKFold(2.5), OptionError, "`n_splits` must be an integer"),
        (lambda: IteratedKFold(n_repeats=0), FoldError, "`n_repeats` must be at least 1"),
        (lambda: IteratedKFold(random_state=-1), FoldError, "at least 0; received -1"),
        (lambda: IteratedKFold(random_state=None), OptionError, "integer; received None"),
        (
            lambda: IteratedKFold(random_state=np.random.RandomState(0)),
            OptionError,
            "integer; received RandomState",
        ),
        (lambda: IteratedKFold(duplicates="no"), OptionError, "received 'no'"),
        (lambda: HoldOut(1.0), FoldError, "above 0 and below 1; received 1.0"),
        (lambda: HoldOut(0), FoldError, "above 0 and below 1; received 0"),
        (lambda: HoldOut("half"), OptionError, "must be a number; received 'half'"),
        (lambda: TimeOrderedSplit(gap=-1), FoldError, "`gap` must be at least 0"),
    ],
)
def test_parameters_out_of_range_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("splitter", "data", "message"),
    [
        (
            IteratedKFold(5),
            (np.arange(3.0),),
            "`--folds 5` needs at least 5 rows; the data have 3. Lower --folds.",
        ),
        (
            IteratedStratifiedKFold(5),
            (np.arange(9.0), ["often"] * 6 + ["rare"] * 3),
            "`--folds 5` needs at least 5 rows of each class; class 'rare' has 3. "
            "Lower --folds or drop the class.",
        ),
        (
            IteratedGroupKFold(5),
            (np.arange(9.0), None, np.arange(9) % 2),
            "`--folds 5` needs at least 5 groups; the data have 2. Lower --folds.",
        ),
        (
            IteratedKFold(3),
            (np.zeros(9),),
            "`--folds 3` needs at least 3 distinct rows, because exact copies stay on one side; "
            'received 1. Lower --folds, or pass duplicates="ignore".',
        ),
        (
            IteratedStratifiedKFold(2),
            (np.array([1.0, 2, 3, 4, 4, 4]), [0, 0, 0, 1, 1, 1]),
            "`--folds 2` needs at least 2 distinct rows of each class, because exact copies "
            'stay on one side; received 1. Lower --folds, or pass duplicates="ignore".',
        ),
        (
            IteratedGroupKFold(2),
            (np.zeros(4), None, [0, 0, 1, 1]),
            "`--folds 2` needs at least 2 groups that share no exact copy of a row; received 1. "
            'Lower --folds, or pass duplicates="ignore".',
        ),
        (
            IteratedStratifiedKFold(2),
            (np.arange(4.0),),
            "A stratified split needs the classes; received none.",
        ),
        (
            IteratedGroupKFold(2),
            (np.arange(4.0),),
            "A group split needs the groups; received none.",
        ),
        (
            IteratedGroupKFold(2),
            (np.arange(4.0), None, [1.0, 2.0, np.nan, 1.0]),
            "A group split needs the groups; 1 values of `groups` are missing.",
        ),
        (
            IteratedStratifiedKFold(2),
            (np.arange(4.0), np.zeros((4, 2))),
            "A stratified split needs the classes, one per row (4,); received shape (4, 2).",
        ),
        (
            IteratedKFold(2),
            (np.arange(4.0), None, [0, 0, 1, 1]),
            "IteratedKFold does not keep groups together; received `groups`. "
            "Take a splitter that does, such as IteratedGroupKFold, or pass none.",
        ),
        (
            HoldOut(0.1, keep_groups=True),
            (np.arange(20.0), None, np.arange(20) // 10),
            "A hold-out of 0.1 left a fold without rows on one side, because groups or exact "
            "copies of rows are too large. Use more rows or another share.",
        ),
        (
            HoldOut(0.25, stratify=True),
            (np.arange(4.0), [0, 0, 0, 1]),
            "A hold-out of 0.25 needs at least 2 rows of each class; class 1 has 1. "
            "Use more rows or another share or drop the class.",
        ),
        (
            TimeOrderedSplit(2, time=np.array([0, 0, 1, 1])),
            (np.zeros(4),),
            "`--folds 2` in time order needs at least 3 distinct times; the data have 2. "
            "Lower --folds.",
        ),
        (
            TimeOrderedSplit(2, gap=2),
            (np.zeros(6),),
            "`--gap 2` leaves no rows to train on in the first fold; at most 1 is possible. "
            "Lower --gap or --folds.",
        ),
        (
            TimeOrderedSplit(2, test_size=0.5),
            (np.zeros(6),),
            "2 stretches of 3 rows leave none of the 6 rows to train on. "
            "Lower --folds or the test size.",
        ),
        (
            TimeOrderedSplit(2, time=np.zeros(5)),
            (np.zeros(6),),
            "`time` needs one value per row; received 5 for 6 rows.",
        ),
        (
            TimeOrderedSplit(2, time=np.array([0, 1, np.nan])),
            (np.zeros(3),),
            "`time` must be known for every row; received missing times. Drop them.",
        ),
        (
            TimeOrderedSplit(2),
            (np.zeros(6), None, np.zeros(6)),
            "Time order does not keep groups together; received `groups`.",
        ),
    ],
)
def test_data_that_cannot_be_split_are_refused_with_a_remedy(splitter, data, message):
    with pytest.raises(FoldError) as caught:
        list(splitter.split(*data))
    assert str(caught.value) == message
