"""The defaults that the Python API and the command line share, and nothing else.

Light on purpose: the command line reads it to print its help, before anything heavy is imported.
"""

from __future__ import annotations

from typing import Final

SPACE: Final = "mlp"
TRIALS: Final = 20
FOLDS: Final = 4
REPEATS: Final = 3
MAX_REPEATS: Final = 10
EPOCHS: Final = 100
BATCH_SIZE: Final = 32
SEED: Final = 0
MAX_LEVELS: Final = 64
MAX_WORDS: Final = 10_000
RESULTS_ROOT: Final = "results"
