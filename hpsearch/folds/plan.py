"""The plan: which splitter a dataset calls for, and its folds as checked records.

Owns the rules that a run's folds must meet whatever splitter makes them. How rows are dealt
belongs to ``splitters``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.dataset import Dataset
from hpsearch.errors import FoldError, InputError, OptionError
from hpsearch.folds.blocks import dataset_duplicates
from hpsearch.folds.copies import said_of_copies
from hpsearch.folds.record import Fold
from hpsearch.folds.splitters import (
    Duplicates,
    HoldOut,
    IteratedGroupKFold,
    IteratedKFold,
    IteratedStratifiedGroupKFold,
    IteratedStratifiedKFold,
    Sides,
    Splitter,
)
from hpsearch.folds.time_order import TimeOrderedSplit
from hpsearch.folds.weighing import check_weights, rows_that_weigh

Split = Literal["auto", "kfold", "stratified", "group", "stratified-group", "time", "holdout"]
SPLITS: tuple[Split, ...] = (
    "auto",
    "kfold",
    "stratified",
    "group",
    "stratified-group",
    "time",
    "holdout",
)

_KFOLDS: dict[Split, type[IteratedKFold]] = {
    "kfold": IteratedKFold,
    "stratified": IteratedStratifiedKFold,
    "group": IteratedGroupKFold,
    "stratified-group": IteratedStratifiedGroupKFold,
}
_KEEPS = {
    "kfold": "shuffled rows",
    "stratified": "each class shared out evenly",
    "group": "groups on one side",
    "stratified-group": "groups on one side, classes shared out",
}
_DEFAULT_TEST_SIZE = 0.25


def make_folds(splitter: Splitter, dataset: Dataset) -> tuple[Fold, ...]:
    """Write down the folds that a splitter makes of a dataset, checked.

    Copies of a row are found over the whole feature content (columns and arrays). Any splitter
    with scikit-learn's contract will do; a repeat ends where a row would validate a second time.

    Parameters
    ----------
    splitter : gets ``X`` (n, 1) with equal numbers for copies of a row, ``y``, and the groups.
    dataset : gives the rows, target, groups and times.

    Returns
    -------
    The folds, repeat by repeat.

    Raises
    ------
    FoldError : where the splitter refuses, a side is empty, a group lies on both sides, a class
        is missing from training rows, validation rows hold one class only, or the rows of a side
        weigh nothing.

    Examples
    --------
    >>> import hpsearch
    >>> import numpy as np
    >>> data = hpsearch.load(np.arange(10.0).reshape(5, 2), np.arange(5) / 2 + 0.25)
    >>> for fold in make_folds(hpsearch.IteratedKFold(2, 1), data):
    ...     print(fold.repeat, fold.fold, len(fold.train), len(fold.validation))
    0 0 2 3
    0 1 3 2
    """
    if isinstance(splitter, TimeOrderedSplit) and splitter.time is None:
        splitter = replace(splitter, time=dataset.time, begins=dataset.begins)
    sides = _split(splitter, dataset)
    folds = _number_folds(sides, dataset.n_rows, _folds_per_repeat(splitter))
    for fold in folds:
        _check_sides(fold, dataset.n_rows)
        _check_groups(fold, dataset)
        _check_windows(fold, dataset)
        check_weights(fold, dataset)
        _check_classes(fold, dataset)
    return folds


def choose_splitter(
    dataset: Dataset,
    *,
    split: Split = "auto",
    folds: int = 4,
    repeats: int = 3,
    gap: int = 0,
    test_size: float | None = None,
    seed: int = 0,
    duplicates: Duplicates = "together",
    at_most: bool = False,
) -> tuple[Splitter, str]:
    """Choose the splitter that a dataset and the options call for, and say why.

    Parameters
    ----------
    dataset : its groups, times and problem type decide under ``"auto"``.
    split : one of ``SPLITS``; ``"auto"`` honours time, else groups, and stratifies classes.
    folds : K, the folds of one repeat; 1 asks for a hold-out.
    repeats : P; time order has one order only, so there it has no effect.
    gap : rows between training and validation rows, in time order.
    test_size : validation share of a hold-out, by default 0.25.
    seed : integer seed of the shuffles.
    duplicates : whether exact copies of a row stay on one side (``"together"``).
    at_most : whether ``repeats`` says how many there may be, for the reason.

    Returns
    -------
    The splitter, and for people the reason in a sentence, with what copies of rows do to it.

    Raises
    ------
    OptionError : where options contradict each other or the data, or have no effect.
    FoldError : where a number is out of range.
    """
    if split not in SPLITS:
        raise OptionError(f"`--split` is one of {', '.join(SPLITS)}; received {split!r}.")
    one_part = folds == 1 or split == "holdout"
    _refuse_contradictions(dataset, split, one_part, gap, test_size)
    if dataset.time is not None:
        splitter, reason = _time_splitter(dataset, folds, repeats, gap, test_size, one_part)
        return splitter, reason + _of_copies(splitter, dataset, duplicates)
    chosen = _kfold_for(dataset) if split in ("auto", "holdout") else split
    times = f"up to {repeats} times" if at_most and repeats > 1 else _times(repeats)
    if one_part:
        share = _DEFAULT_TEST_SIZE if test_size is None else test_size
        splitter, reason = _hold_out(share, repeats, seed, chosen, duplicates, times)
    else:
        splitter = _KFOLDS[chosen](folds, repeats, random_state=seed, duplicates=duplicates)
        reason = f"{folds} folds, {times}: {_KEEPS[chosen]}{_why(split, dataset)}."
    return splitter, reason + _of_copies(splitter, dataset, duplicates)


def hold_back(
    dataset: Dataset,
    test_size: float,
    seed: int = 0,
    *,
    gap: int = 0,
    duplicates: Duplicates = "together",
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose test rows that no search may see: the last ones in time order, else random ones.

    Groups and exact copies of rows stay on one side, and each class gives its share.

    Parameters
    ----------
    dataset : all rows.
    test_size : the test rows' share, above 0 and below 1.
    seed : integer seed.
    gap : in time order, rows that belong to neither side.
    duplicates : whether exact copies of a row stay on one side (``"together"``).

    Returns
    -------
    search_rows, test_rows : sorted row numbers, for ``dataset.take``.

    Raises
    ------
    FoldError : where the share leaves a side empty or the search without a class.
    """
    splitter, _ = choose_splitter(
        dataset,
        folds=1,
        repeats=1,
        gap=gap,
        test_size=test_size,
        seed=seed,
        duplicates=duplicates,
    )
    [(search, test)] = _split(splitter, dataset)
    fold = Fold(0, 0, search, test)
    _check_sides(fold, dataset.n_rows)
    _check_training_classes(fold, dataset, "The rows left for the search lack")
    return fold.train, fold.validation


def _split(splitter: Splitter, dataset: Dataset) -> list[Sides]:
    X = np.arange(dataset.n_rows)[:, np.newaxis]
    if getattr(splitter, "duplicates", None) == "together":
        X = dataset_duplicates(dataset)[:, np.newaxis]
    try:
        return list(splitter.split(X, _named_classes(dataset), dataset.groups))
    except InputError:
        raise
    except ValueError as error:  # a splitter of scikit-learn or of the user
        raise FoldError(f"{type(splitter).__name__} cannot split these rows: {error}") from error


def _named_classes(dataset: Dataset) -> NDArray[Any]:
    """The target with its labels for codes, so that a splitter's message can name a class."""
    if not dataset.target.is_classification:
        return dataset.y
    names: NDArray[Any] = np.array(dataset.target.labels)[dataset.y]
    return names


def _folds_per_repeat(splitter: Splitter) -> int | None:
    """K of our own splitters; None where only the folds themselves can tell."""
    if isinstance(splitter, IteratedKFold | HoldOut | TimeOrderedSplit):
        return splitter.n_splits
    return None


def _number_folds(
    sides: Sequence[Sides], n_rows: int, folds_per_repeat: int | None
) -> tuple[Fold, ...]:
    folds: list[Fold] = []
    repeat, fold, seen = 0, 0, np.zeros(n_rows, dtype=bool)
    for train, validation in sides:
        is_full = seen[validation].any() if folds_per_repeat is None else fold == folds_per_repeat
        if is_full:
            repeat, fold, seen = repeat + 1, 0, np.zeros(n_rows, dtype=bool)
        folds.append(Fold(repeat, fold, train, validation))
        seen[validation] = True
        fold += 1
    return tuple(folds)


def _check_sides(fold: Fold, n_rows: int) -> None:
    for side, rows in (("training", fold.train), ("validation", fold.validation)):
        if not len(rows):
            raise FoldError(f"{fold.place} has no {side} rows. Use fewer or larger folds.")
        if rows[0] < 0 or rows[-1] >= n_rows or (np.diff(rows) == 0).any():
            raise FoldError(
                f"{fold.place}: the {side} rows must be different numbers from 0 to "
                f"{n_rows - 1}; the splitter gave others."
            )
    if np.intersect1d(fold.train, fold.validation).size:
        raise FoldError(f"{fold.place} has rows on both sides. Use a splitter that parts them.")


def _check_groups(fold: Fold, dataset: Dataset) -> None:
    if dataset.groups is None:
        return
    both = np.intersect1d(dataset.groups[fold.train], dataset.groups[fold.validation])
    if both.size:
        raise FoldError(
            f"{fold.place} has rows of {len(both)} groups on both sides. Use a splitter that "
            "keeps groups together, such as IteratedGroupKFold."
        )


def _check_windows(fold: Fold, dataset: Dataset) -> None:
    """Raise ``FoldError`` where windows on both sides have rows in common, at least in time."""
    begins, ends = dataset.begins, dataset.time
    if begins is None or ends is None:
        return
    order = fold.validation[np.argsort(begins[fold.validation], kind="stable")]
    latest = np.maximum.accumulate(ends[order])
    before = np.searchsorted(begins[order], ends[fold.train], side="right")
    overlaps = (before > 0) & (latest[before - 1] >= begins[fold.train])
    if overlaps.any():
        raise FoldError(
            f"{fold.place} trains on {int(overlaps.sum()):,} windows that overlap in time with "
            "those that validate, so that its scores would flatter. Leave the splitter to the "
            "data, or use TimeOrderedSplit."
        )


def _check_classes(fold: Fold, dataset: Dataset) -> None:
    _check_training_classes(fold, dataset, f"The training rows of {fold.place} lack")
    if not dataset.target.is_classification:
        return
    codes = dataset.y[rows_that_weigh(dataset, fold.validation)]
    if (codes == codes[0]).all():
        label = dataset.target.labels[int(codes[0])]
        raise FoldError(
            f"The validation rows of {fold.place} hold one class only, {label!r}, so they "
            "cannot tell good from bad. Use fewer folds, other groups, or another split."
        )


def _check_training_classes(fold: Fold, dataset: Dataset, complaint: str) -> None:
    if not dataset.target.is_classification:
        return
    labels = dataset.target.labels
    missing = np.flatnonzero(np.bincount(dataset.y[fold.train], minlength=len(labels)) == 0)
    if missing.size:
        raise FoldError(
            f"{complaint} class {labels[missing[0]]!r}, which no network can learn then. "
            "Drop the class, or use other folds, groups or times."
        )


def _refuse_contradictions(
    dataset: Dataset, split: Split, one_part: bool, gap: int, test_size: float | None
) -> None:
    grouped, timed = dataset.groups is not None, dataset.time is not None
    kind = dataset.target.kind
    rules = (
        (
            grouped and timed,
            "Time order cannot keep groups together; received --groups and --time. Leave one "
            "out, and --drop its column.",
        ),
        (
            one_part and split not in ("auto", "holdout", "time"),
            f"`--split {split}` needs at least 2 folds; received --folds 1. Raise --folds, or "
            "leave --split out to hold out one share of the rows.",
        ),
        (
            split in ("group", "stratified-group") and not grouped,
            f"`--split {split}` needs groups; received none. Name their column with --groups.",
        ),
        (
            split in ("kfold", "stratified") and grouped,
            f"`--split {split}` would tear groups apart; received --groups. Leave --split out.",
        ),
        (
            split == "time" and not timed,
            "`--split time` needs times; received none. Name their column with --time.",
        ),
        (
            split not in ("auto", "time", "holdout") and timed,
            f"`--split {split}` would train on the future; received --time. Leave --split out.",
        ),
        (
            split in ("stratified", "stratified-group") and not dataset.target.is_classification,
            f"`--split {split}` needs one class per row; the problem is {kind}. Leave --split out.",
        ),
        (
            gap != 0 and not timed,
            f"`--gap {gap}` has a meaning in time order alone; received no --time. Leave it out.",
        ),
        (
            test_size is not None and not one_part,
            f"A validation share has a meaning for a hold-out alone; received {test_size}. Ask "
            "for `--split holdout`, or leave it out.",
        ),
    )
    for is_broken, message in rules:
        if is_broken:
            raise OptionError(message)


def _kfold_for(dataset: Dataset) -> Split:
    if dataset.groups is not None:
        return "stratified-group" if dataset.target.is_classification else "group"
    return "stratified" if dataset.target.is_classification else "kfold"


def _time_splitter(
    dataset: Dataset, folds: int, repeats: int, gap: int, test_size: float | None, one_part: bool
) -> tuple[Splitter, str]:
    left_out = f", {gap} row{'s' if gap > 1 else ''} between them left out" if gap else ""
    left_out += ", windows across the cut left out" if dataset.begins is not None else ""
    of_rows: dict[str, Any] = {"time": dataset.time, "begins": dataset.begins}
    if one_part:
        share = _DEFAULT_TEST_SIZE if test_size is None else test_size
        splitter = replace(TimeOrderedSplit(1, gap=gap, test_size=share), **of_rows)
        return (
            splitter,
            f"hold-out: the last {share:.4g} of the rows in time validate, once{left_out}.",
        )
    splitter = replace(TimeOrderedSplit(folds, gap=gap), **of_rows)
    order = " There is one order, so --repeats has no effect: one repeat." if repeats > 1 else ""
    return splitter, (
        f"{folds} folds in time order, because a time column is named: each trains on the past "
        f"of what it validates{left_out}.{order}"
    )


def _hold_out(
    share: float, repeats: int, seed: int, chosen: Split, duplicates: Duplicates, times: str
) -> tuple[Splitter, str]:
    splitter = HoldOut(
        share,
        repeats,
        random_state=seed,
        stratify=chosen in ("stratified", "stratified-group"),
        keep_groups=chosen in ("group", "stratified-group"),
        duplicates=duplicates,
    )
    return splitter, (
        f"hold-out: {share:.4g} of the rows validate, chosen {times}: {_KEEPS[chosen]}."
    )


def _of_copies(splitter: Splitter, dataset: Dataset, duplicates: Duplicates) -> str:
    """What copies of rows do to the first repeat, or nothing where they don't matter."""
    if duplicates == "ignore":
        return ""
    if not isinstance(splitter, IteratedKFold | HoldOut):
        return said_of_copies(dataset, dataset_duplicates(dataset), ())
    try:
        sides = _split(replace(splitter, n_repeats=1), dataset)
    except FoldError:  # said where the folds are made
        return ""
    validation = [validation for _, validation in sides]
    return said_of_copies(dataset, dataset_duplicates(dataset), validation)


def _times(repeats: int) -> str:
    return {1: "once", 2: "twice"}.get(repeats, f"{repeats} times")


def _why(split: Split, dataset: Dataset) -> str:
    if split != "auto":
        return ", as asked"
    reasons = []
    if dataset.groups is not None:
        reasons.append("groups are named")
    if dataset.target.is_classification:
        reasons.append("the target has classes")
    return f", because {' and '.join(reasons)}" if reasons else ""
