"""The ledger of the winner: what a finished search's score is worth.

``record`` holds the frozen records and their JSON form. The modules beside it compute them, pure
functions of scores, predictions and settings. Where those come from belongs to the search; how a
ledger looks to ``hpsearch.console``.
"""

from hpsearch.ledger.record import (
    Baseline,
    BiasCorrection,
    Choice,
    FoldMean,
    Foldwise,
    Ledger,
    LedgerWarning,
    More,
    Nested,
    NestedFold,
    Promise,
    Spread,
    TestScore,
    Variance,
)

__all__ = [
    "Baseline",
    "BiasCorrection",
    "Choice",
    "FoldMean",
    "Foldwise",
    "Ledger",
    "LedgerWarning",
    "More",
    "Nested",
    "NestedFold",
    "Promise",
    "Spread",
    "TestScore",
    "Variance",
]
