"""Folds: who trains and who validates, decided once, before any training.

``splitters`` and ``time_order`` hold the splitters, which follow scikit-learn's contract; ``plan``
chooses one for a dataset and writes its folds down as records; ``blocks`` finds the rows that must
stay together and ``deal`` deals them out; ``weighing`` refuses rows that weigh nothing. What a
fold's training rows teach belongs to ``hpsearch.preprocessing``, training to ``hpsearch.engines``.
"""

from hpsearch.folds.blocks import dataset_duplicates, duplicate_ids
from hpsearch.folds.plan import SPLITS, choose_splitter, hold_back, make_folds
from hpsearch.folds.record import Fold
from hpsearch.folds.splitters import (
    HoldOut,
    IteratedGroupKFold,
    IteratedKFold,
    IteratedStratifiedGroupKFold,
    IteratedStratifiedKFold,
    Splitter,
)
from hpsearch.folds.time_order import TimeOrderedSplit

__all__ = [
    "SPLITS",
    "Fold",
    "HoldOut",
    "IteratedGroupKFold",
    "IteratedKFold",
    "IteratedStratifiedGroupKFold",
    "IteratedStratifiedKFold",
    "Splitter",
    "TimeOrderedSplit",
    "choose_splitter",
    "dataset_duplicates",
    "duplicate_ids",
    "hold_back",
    "make_folds",
]
