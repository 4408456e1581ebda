"""How long networks train, and on how many rows a step, where neither was asked for.

Both follow from the number of rows alone: many rows teach as much in fewer passes, and a step is as
well directed by more of them. What other numbers of epochs cost is told by
``benchmarks/ablation.py`` (506 to 9,857 rows) and ``benchmarks/epochs.py`` (4,331 to 53,940); the
last number bounds the time of larger tables, and no table was asked. What became of them is
recorded as if it had been asked for, so that a run which goes on trains as it began.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, TypeVar

from hpsearch.search.options import Options
from hpsearch.space.hyperparameters import Values
from hpsearch.space.space import FitSettings, fit_settings

EPOCHS: Final = ((2_000, 100), (20_000, 60), (100_000, 30))
"""Up to so many rows, so many epochs."""

EPOCHS_OF_MORE: Final = 15

BATCH_SIZES: Final = ((5_000, 32), (20_000, 64))
"""Up to so many rows, so many of them a step."""

BATCH_SIZE_OF_MORE: Final = 128

_Options = TypeVar("_Options", bound=Options)


def usual_epochs(n_rows: int) -> int:
    """Epochs of a table of so many rows.

    Examples
    --------
    >>> [usual_epochs(n) for n in (150, 2_000, 10_000, 50_000, 200_000)]
    [100, 100, 60, 30, 15]
    """
    return next((epochs for most, epochs in EPOCHS if n_rows <= most), EPOCHS_OF_MORE)


def usual_batch_size(n_rows: int) -> int:
    """Rows a step, of a table of so many rows.

    Examples
    --------
    >>> [usual_batch_size(n) for n in (150, 10_000, 50_000)]
    [32, 64, 128]
    """
    return next((size for most, size in BATCH_SIZES if n_rows <= most), BATCH_SIZE_OF_MORE)


def with_budget(options: _Options, n_rows: int) -> _Options:
    """The options with epochs and a batch size, those that were asked for or the usual ones.

    Parameters
    ----------
    n_rows : rows of the table that is searched on.

    Examples
    --------
    >>> options = with_budget(Options(batch_size=16), 10_000)
    >>> options.epochs, options.batch_size
    (60, 16)
    """
    epochs, size = options.epochs, options.batch_size
    return replace(
        options,
        epochs=usual_epochs(n_rows) if epochs is None else epochs,
        batch_size=usual_batch_size(n_rows) if size is None else size,
    )


def budget_note(options: Options, n_rows: int) -> str:
    """What became of the epochs where nobody asked, a sentence; of small tables there is none.

    Examples
    --------
    >>> print(budget_note(with_budget(Options(), 3_000), 3_000))
    60 epochs, as 3,000 rows ask for; --epochs sets them.
    """
    epochs = budget_of(options).epochs
    if epochs == EPOCHS[0][1]:
        return ""
    return f"{epochs} epochs, as {n_rows:,} rows ask for; --epochs sets them."


def budget_of(options: Options) -> FitSettings:
    """Batch size and epochs of options that have both: those of ``with_budget``."""
    if options.batch_size is None or options.epochs is None:
        raise ValueError("These options have no budget yet. Call with_budget first.")
    return FitSettings(options.batch_size, options.epochs)


def settings_of(options: Options, values: Values) -> FitSettings:
    """Batch size and epochs of a configuration: its own, else the budget's."""
    usual = budget_of(options)
    return fit_settings(values, usual.batch_size, usual.epochs)
