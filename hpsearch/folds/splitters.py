"""Splitters that shuffle: iterated K-fold in four kinds, and hold-outs.

They follow scikit-learn's contract: ``split`` yields rows, ``get_n_splits`` counts. They take an
integer seed alone, so that splitting twice gives the same folds, and each repeat draws from a seed
of its own: repeat p is the same however many repeats there are. Exact copies of a row stay on one
side. ``plan`` chooses a splitter for a dataset and checks what it gives.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpsearch.errors import FoldError, OptionError
from hpsearch.folds.blocks import duplicate_ids, join_blocks
from hpsearch.folds.checks import (
    check_integer,
    check_n_splits,
    check_share,
    count_rows,
    plain,
    share_of,
)
from hpsearch.folds.deal import deal, equal_quotas, share_quotas

Rows = NDArray[np.int64]
Sides = tuple[Rows, Rows]
Duplicates = Literal["together", "ignore"]

_IGNORE = ', or pass duplicates="ignore"'


class Splitter(Protocol):
    """What hpsearch asks of a splitter: scikit-learn's contract, so its splitters fit too."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Sides]:
        """Yield the training and the validation rows of one fold after another."""
        ...

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """How many pairs ``split`` yields."""
        ...


@dataclass(frozen=True)
class _Scheme:
    """What a shuffling splitter deals: to how many parts, of which the first validate."""

    n_parts: int
    n_validating: int
    stratified: bool
    grouped: bool
    asked: str
    remedy: str

    def need(self, n: int, what: str, received: str, instead: str = "") -> None:
        """Refuse fewer than one of something for each part."""
        if n < self.n_parts:
            raise FoldError(
                f"{self.asked} needs at least {self.n_parts} {what}; {received}. "
                f"{self.remedy}{instead}."
            )


class _ShuffledSplitter(ABC):
    """Deals shuffled blocks of rows to parts, anew in every repeat."""

    n_repeats: int
    random_state: int
    duplicates: Duplicates

    def __post_init__(self) -> None:
        check_integer("random_state", self.random_state, at_least=0)
        check_integer("n_repeats", self.n_repeats, at_least=1)
        if self.duplicates not in ("together", "ignore"):
            raise OptionError(
                f'`duplicates` is "together" or "ignore"; received {self.duplicates!r}.'
            )

    @abstractmethod
    def _scheme(self) -> _Scheme:
        """The parts of one repeat."""

    @abstractmethod
    def _quotas(self, classes: Rows) -> Rows:
        """Rows of each class that each part should get, (n_parts, C)."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Sides]:
        """Yield the folds of the first repeat, then those of the second, and so on.

        Parameters
        ----------
        X : the features, n rows: array, DataFrame, list or sparse; read for copies of rows alone.
        y : the classes (n,), where the splitter is stratified; else unused.
        groups : the group of each row (n,), where the splitter keeps groups together; else None.

        Yields
        ------
        train, validation : sorted row numbers, int64.

        Raises
        ------
        FoldError : where rows, classes, groups or blocks of copies are too few.
        """
        scheme = self._scheme()
        n_rows = count_rows(X)
        scheme.need(n_rows, "rows", f"the data have {n_rows}")
        classes = _class_codes(scheme, y, n_rows)
        blocks = self._blocks(scheme, X, groups, classes)
        quotas = self._quotas(classes)
        for repeat in range(self.n_repeats):
            rng = np.random.default_rng(np.random.SeedSequence([self.random_state, repeat]))
            part = deal(blocks, classes, quotas, rng)
            for validating in range(scheme.n_validating):
                yield _sides(scheme, part == validating)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """How many pairs ``split`` yields: repeats times folds."""
        return self.n_repeats * self._scheme().n_validating

    def _blocks(self, scheme: _Scheme, X: Any, groups: Any, classes: Rows) -> Rows:
        """Block codes (n,): groups, copies of a row, both joined, or each row its own."""
        if groups is not None and not scheme.grouped:
            raise FoldError(
                f"{type(self).__name__} does not keep groups together; received `groups`. "
                "Take a splitter that does, such as IteratedGroupKFold, or pass none."
            )
        copies = np.arange(len(classes), dtype=np.int64)
        if self.duplicates == "together":
            copies = duplicate_ids(X)
        if scheme.grouped:
            return _group_blocks(scheme, groups, copies)
        _check_distinct(scheme, copies, classes)
        return copies


@dataclass(frozen=True)
class IteratedKFold(_ShuffledSplitter):
    """Iterated K-fold: all rows are shuffled and cut into K parts, P times anew.

    In each repeat every row validates once. Sizes differ by at most one row, or, where copies of
    rows make larger blocks, by at most the largest block.

    Parameters
    ----------
    n_splits : K, the folds of one repeat, at least 2 and at most the number of rows.
    n_repeats : P, the repeats. Repeat p is the same whatever P is.
    random_state : integer seed from 0; a generator would split differently the second time.
    duplicates : ``"together"`` keeps exact copies of a row on one side; ``"ignore"`` does not.

    Raises
    ------
    FoldError, OptionError : for parameters out of range or of the wrong type.

    Examples
    --------
    >>> import numpy as np
    >>> splitter = IteratedKFold(3, 2, random_state=1)
    >>> splitter.get_n_splits()
    6
    >>> train, validation = next(splitter.split(np.arange(7.0)))
    >>> len(train), len(validation)
    (4, 3)
    """

    n_splits: int = 4
    n_repeats: int = 3
    _: KW_ONLY
    random_state: int = 0
    duplicates: Duplicates = "together"

    _STRATIFIED: ClassVar[bool] = False
    _GROUPED: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_n_splits(self.n_splits, at_least=2)

    def _scheme(self) -> _Scheme:
        return _Scheme(
            n_parts=self.n_splits,
            n_validating=self.n_splits,
            stratified=self._STRATIFIED,
            grouped=self._GROUPED,
            asked=f"`--folds {self.n_splits}`",
            remedy="Lower --folds",
        )

    def _quotas(self, classes: Rows) -> Rows:
        return equal_quotas(classes, self.n_splits)


@dataclass(frozen=True)
class IteratedStratifiedKFold(IteratedKFold):
    """Iterated K-fold in which every part has its share of every class.

    The counts of one class differ by at most one row between parts, and so do the sizes; where
    copies of rows make larger blocks, each block goes where it disturbs the balance least.
    Parameters as in ``IteratedKFold``; ``split`` needs the classes as ``y``.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.array(["no"] * 6 + ["yes"] * 3)
    >>> for _, validation in IteratedStratifiedKFold(3, 1).split(np.arange(9.0), y):
    ...     print(*y[validation])
    no no yes
    no no yes
    no no yes
    """

    _STRATIFIED: ClassVar[bool] = True


@dataclass(frozen=True)
class IteratedGroupKFold(IteratedKFold):
    """Iterated K-fold that keeps the rows of a group on one side.

    The groups are shuffled anew in every repeat and dealt so that sizes differ by at most the
    largest group (joined with the groups that share a copy of a row with it).
    Parameters as in ``IteratedKFold``; ``split`` needs ``groups``.

    Examples
    --------
    >>> import numpy as np
    >>> groups = np.array(["a", "a", "b", "b", "c", "c"])
    >>> splitter = IteratedGroupKFold(3, 1)
    >>> sorted(groups[v].tolist() for _, v in splitter.split(np.arange(6.0), groups=groups))
    [['a', 'a'], ['b', 'b'], ['c', 'c']]
    """

    _GROUPED: ClassVar[bool] = True


@dataclass(frozen=True)
class IteratedStratifiedGroupKFold(IteratedKFold):
    """Iterated K-fold that keeps groups on one side and shares out the classes.

    Groups come first: the classes are balanced as well as whole groups allow.
    Parameters as in ``IteratedKFold``; ``split`` needs ``y`` and ``groups``.
    """

    _STRATIFIED: ClassVar[bool] = True
    _GROUPED: ClassVar[bool] = True


@dataclass(frozen=True)
class HoldOut(_ShuffledSplitter):
    """One part of the rows validates and the rest trains, chosen anew in every repeat.

    Parameters
    ----------
    test_size : the part's share of the rows, above 0 and below 1, rounded up to a row.
    n_repeats : how many times a part is chosen.
    random_state : integer seed from 0.
    stratify : whether each class gives its share (``split`` needs ``y``), and at least one row.
    keep_groups : whether groups stay on one side (``split`` needs ``groups``).
    duplicates : ``"together"`` keeps exact copies of a row on one side; ``"ignore"`` does not.

    Raises
    ------
    FoldError, OptionError : for parameters out of range or of the wrong type.

    Examples
    --------
    >>> import numpy as np
    >>> [(len(t), len(v)) for t, v in HoldOut(0.3).split(np.arange(10.0))]
    [(7, 3)]
    """

    test_size: float = 0.25
    n_repeats: int = 1
    _: KW_ONLY
    random_state: int = 0
    stratify: bool = False
    keep_groups: bool = False
    duplicates: Duplicates = "together"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share(self.test_size)

    @property
    def n_splits(self) -> int:
        """Folds of one repeat: 1."""
        return 1

    def _scheme(self) -> _Scheme:
        return _Scheme(
            n_parts=2,
            n_validating=1,
            stratified=self.stratify,
            grouped=self.keep_groups,
            asked=f"A hold-out of {self.test_size:g}",
            remedy="Use more rows or another share",
        )

    def _quotas(self, classes: Rows) -> Rows:
        n_held = share_of(self.test_size, len(classes))
        if n_held == len(classes):
            raise FoldError(
                f"A hold-out of {self.test_size:g} leaves none of the {n_held} rows to train on. "
                "Lower it."
            )
        return share_quotas(classes, n_held)


def _class_codes(scheme: _Scheme, y: Any, n_rows: int) -> Rows:
    """Class codes (n,), all 0 where classes don't matter."""
    if not scheme.stratified:
        return np.zeros(n_rows, dtype=np.int64)
    codes, names = _codes("y", y, n_rows, "A stratified split needs the classes")
    for name, size in zip(names, np.bincount(codes), strict=True):
        received = f"class {plain(name)!r} has {size}"
        scheme.need(size, "rows of each class", received, " or drop the class")
    return codes


def _group_blocks(scheme: _Scheme, groups: Any, copies: Rows) -> Rows:
    """Block codes (n,): groups, joined where they share a copy of a row."""
    codes, names = _codes("groups", groups, len(copies), "A group split needs the groups")
    scheme.need(len(names), "groups", f"the data have {len(names)}")
    blocks = join_blocks(copies, codes)
    n_blocks = int(blocks.max()) + 1
    scheme.need(
        n_blocks, "groups that share no exact copy of a row", f"received {n_blocks}", _IGNORE
    )
    return blocks


def _check_distinct(scheme: _Scheme, copies: Rows, classes: Rows) -> None:
    """Refuse data, or a class, with too few distinct rows."""
    pairs = np.unique(np.stack([classes, copies], axis=1), axis=0)
    fewest = int(np.bincount(pairs[:, 0]).min())
    of_class = " of each class" if scheme.stratified else ""
    what = f"distinct rows{of_class}, because exact copies stay on one side"
    scheme.need(fewest, what, f"received {fewest}", _IGNORE)


def _sides(scheme: _Scheme, validates: NDArray[np.bool_]) -> Sides:
    if not validates.any() or validates.all():
        raise FoldError(
            f"{scheme.asked} left a fold without rows on one side, because groups or exact "
            f"copies of rows are too large. {scheme.remedy}."
        )
    return np.flatnonzero(~validates), np.flatnonzero(validates)


def _codes(name: str, values: Any, n_rows: int, needs: str) -> tuple[Rows, Any]:
    """Codes from 0 in the order of the values, and the values."""
    if values is None:
        raise FoldError(f"{needs}; received none.")
    array = np.asarray(values)
    if array.shape != (n_rows,):
        raise FoldError(f"{needs}, one per row ({n_rows},); received shape {array.shape}.")
    try:
        codes, names = pd.factorize(array, sort=True)
    except TypeError:  # values of several types have no order
        codes, names = pd.factorize(array)
    if (codes < 0).any():
        raise FoldError(f"{needs}; {int((codes < 0).sum())} values of `{name}` are missing.")
    return codes.astype(np.int64), names
