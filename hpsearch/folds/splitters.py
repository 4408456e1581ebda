"""Splitters that shuffle: iterated K-fold in four kinds, and hold-outs.

They follow scikit-learn's contract: ``split`` yields rows, ``get_n_splits`` counts. They take an
integer seed alone, so that splitting twice gives the same folds, and each repeat draws from a seed
of its own: repeat p is the same however many repeats there are. Exact copies of a row stay on one
side. ``plan`` chooses a splitter for a dataset and checks what it gives.
"""

from __future__ import annotations

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


class Splitter(Protocol):
    """What hpsearch asks of a splitter: scikit-learn's contract, so its splitters fit too."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Sides]:
        """Yield the training and the validation rows of one fold after another."""
        ...

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """How many pairs ``split`` yields."""
        ...


class _ShuffledSplitter:
    """Deals shuffled blocks of rows to parts, anew in every repeat.

    A child says how many parts there are, which of them validate, and what each should get.
    """

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
        n_rows = count_rows(X)
        self._check_count("rows", n_rows)
        classes = self._classes(y, n_rows)
        blocks = self._blocks(X, n_rows, groups, classes)
        quotas = self._quotas(classes)
        for repeat in range(self.n_repeats):
            rng = np.random.default_rng(np.random.SeedSequence([self.random_state, repeat]))
            part = deal(blocks, classes, quotas, rng)
            for validating in self._validating():
                yield _sides(part == validating)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """How many pairs ``split`` yields: repeats times folds."""
        return self.n_repeats * len(self._validating())

    def _classes(self, y: Any, n_rows: int) -> Rows:
        """Class codes (n,), all 0 where classes don't matter."""
        if not self._is_stratified():
            return np.zeros(n_rows, dtype=np.int64)
        codes, names = _codes("y", y, n_rows, f"{type(self).__name__} needs the classes `y`")
        for name, size in zip(names, np.bincount(codes), strict=True):
            self._check_count("rows of each class", int(size), name)
        return codes

    def _blocks(self, X: Any, n_rows: int, groups: Any, classes: Rows) -> Rows:
        """Block codes (n,): groups, copies of a row, or both joined."""
        blocks = np.arange(n_rows, dtype=np.int64)
        if self.duplicates == "together":
            blocks = duplicate_ids(X)
            self._check_distinct(blocks, classes)
        if self._is_grouped():
            needs = f"{type(self).__name__} needs the groups of the rows"
            codes, names = _codes("groups", groups, n_rows, needs)
            self._check_count("groups", len(names))
            blocks = join_blocks(blocks, codes) if self.duplicates == "together" else codes
            self._check_joined(blocks)
        elif groups is not None:
            raise FoldError(
                f"{type(self).__name__} does not keep groups together; received `groups`. "
                "Take a splitter that does, such as IteratedGroupKFold, or pass none."
            )
        return blocks

    def _check_count(self, what: str, n: int, name: Any = None) -> None:
        if n >= self._n_parts():
            return
        has = f"the data have {n}" if name is None else f"class {plain(name)!r} has {n}"
        raise FoldError(
            f"{self._asked()} needs at least {self._n_parts()} {what}; {has}. "
            + self._remedy(or_drop_class=name is not None)
        )

    def _check_distinct(self, blocks: Rows, classes: Rows) -> None:
        """Refuse classes (or data) with too few distinct rows, groups left aside."""
        if self._is_grouped():
            return
        pairs = np.unique(np.stack([classes, blocks], axis=1), axis=0)
        fewest = int(np.bincount(pairs[:, 0]).min())
        if fewest < self._n_parts():
            of_class = " of each class" if self._is_stratified() else ""
            raise FoldError(
                f"{self._asked()} needs at least {self._n_parts()} distinct rows{of_class}, "
                f"because exact copies stay on one side; received {fewest}. "
                f'{self._remedy()[:-1]}, or pass duplicates="ignore".'
            )

    def _check_joined(self, blocks: Rows) -> None:
        n_blocks = int(blocks.max()) + 1
        if n_blocks < self._n_parts():
            raise FoldError(
                f"{self._asked()} needs at least {self._n_parts()} groups that share no exact "
                f"copy of a row; received {n_blocks}. {self._remedy()[:-1]}, or pass "
                'duplicates="ignore".'
            )

    def _is_stratified(self) -> bool:
        raise NotImplementedError

    def _is_grouped(self) -> bool:
        raise NotImplementedError

    def _n_parts(self) -> int:
        raise NotImplementedError

    def _validating(self) -> range:
        raise NotImplementedError

    def _quotas(self, classes: Rows) -> Rows:
        raise NotImplementedError

    def _asked(self) -> str:
        raise NotImplementedError

    def _remedy(self, *, or_drop_class: bool = False) -> str:
        raise NotImplementedError


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

    def _is_stratified(self) -> bool:
        return self._STRATIFIED

    def _is_grouped(self) -> bool:
        return self._GROUPED

    def _n_parts(self) -> int:
        return self.n_splits

    def _validating(self) -> range:
        return range(self.n_splits)

    def _quotas(self, classes: Rows) -> Rows:
        return equal_quotas(classes, self.n_splits)

    def _asked(self) -> str:
        return f"`--folds {self.n_splits}`"

    def _remedy(self, *, or_drop_class: bool = False) -> str:
        return "Lower --folds or drop the class." if or_drop_class else "Lower --folds."


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

    def _is_stratified(self) -> bool:
        return self.stratify

    def _is_grouped(self) -> bool:
        return self.keep_groups

    def _n_parts(self) -> int:
        return 2

    def _validating(self) -> range:
        return range(1)

    def _quotas(self, classes: Rows) -> Rows:
        return share_quotas(classes, share_of(self.test_size, len(classes)))

    def _asked(self) -> str:
        return f"A hold-out of {self.test_size:g}"

    def _remedy(self, *, or_drop_class: bool = False) -> str:
        return "Drop the class." if or_drop_class else "Use more rows."


def _sides(validates: NDArray[np.bool_]) -> Sides:
    if not validates.any() or validates.all():
        raise FoldError(
            "A fold has no rows on one of its sides, because groups or exact copies of rows are "
            'too large. Lower --folds, or pass duplicates="ignore".'
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
