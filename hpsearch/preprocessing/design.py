"""The rows a network sees: encoded rows with a fold's statistics applied.

One function serves NumPy, TensorFlow, JAX and Keras's symbolic tensors (the exported model), so
training, prediction and export cannot drift apart. It makes one batch, or one fold's matrix;
nothing here is of size folds x rows x features.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hpsearch.data.tokens import FIRST_WORD
from hpsearch.preprocessing.encoding import Encoded, Layout
from hpsearch.preprocessing.statistics import ABSENT, Statistics

OFF_ZERO: Final = np.float32(2.0**-13)
"""What a step of zeros becomes: far below a standard deviation, and no less in half precision."""


def design_batch(
    xp: ModuleType,
    layout: Layout,
    statistics: Statistics,
    *,
    numbers: Any = None,
    codes: Any = None,
    words: Any = None,
    arrays: tuple[Any, ...] = (),
    prepared: Any = None,
    may_miss: bool = True,
) -> Any:
    """Preprocessed rows (n, *layout.input_shape) of float32.

    Parameters
    ----------
    xp : ``numpy``, ``jax.numpy`` or ``keras.ops``.
    layout, statistics : as fitted; statistics may be traced arrays.
    numbers, codes, arrays : as in ``Encoded``; None or empty where the layout has none.
    words : float32 (n, sum of ``word_slots``) multi-hot, already in slots.
    prepared : float32 (n, *``Layout.prepared``), which reach a network as they are.
    may_miss : False where no number can be missing, which saves looking.
    """
    parts: list[Any] = []
    if layout.numbers:
        missing = xp.isnan(numbers)
        filled = xp.where(missing, statistics.fill, numbers) if may_miss else numbers
        parts.append((filled - statistics.centre) / statistics.scale)
        if layout.indicators:
            columns = np.array(layout.indicators, np.int32)
            parts.append(indicator(xp, xp.take(missing, columns, axis=1)))
    if layout.categories:
        slots = category_slots_of(xp, layout, statistics.category_slots, codes)
        parts += one_hot(xp, slots, layout.category_slots)
    if layout.words:
        parts.append(words)
    if layout.prepared:
        if not layout.arrays:
            return prepared
        parts.append(xp.reshape(prepared, (-1, int(np.prod(layout.prepared)))))
    if layout.arrays:
        images = standardised_arrays(xp, layout, statistics, arrays)
        if layout.keeps_shape:
            return images[0]
        sizes = (int(np.prod(shape)) for shape in layout.array_shapes)
        parts += [xp.reshape(a, (-1, size)) for a, size in zip(images, sizes, strict=True)]
    return xp.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]


def design_rows(encoded: Encoded, layout: Layout, statistics: Statistics) -> NDArray[np.float32]:
    """The preprocessed rows of ``encoded`` as one NumPy array (n_rows, *input_shape).

    Examples
    --------
    >>> import numpy as np
    >>> from hpsearch.preprocessing import Encoded, Layout, design_rows, fit_statistics
    >>> layout = Layout(numbers=("x",))
    >>> x = np.array([[1.0], [3.0], [5.0]], np.float32)
    >>> rows = Encoded(x, np.empty((3, 0), np.int32), None, ())
    >>> stats = fit_statistics(rows, np.zeros((3, 1)), np.arange(2), layout, scale_target=False)
    >>> design_rows(rows, layout, stats).ravel().tolist()
    [-1.0, 1.0, 3.0]
    """
    words = encoded.words
    rows: NDArray[np.float32] = design_batch(
        np,
        layout,
        statistics,
        numbers=encoded.numbers,
        codes=encoded.codes,
        words=None if words is None else multi_hot(words, layout, statistics.word_slots),
        arrays=encoded.arrays,
        prepared=encoded.prepared,
    )
    return rows


def multi_hot(
    words: sparse.csr_array, layout: Layout, slot_of_word: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Dense slots (n_rows, sum of ``word_slots``) of sparse words; for a batch, not for a table.

    ``slot_of_word`` is ``Statistics.word_slots``.
    """
    dense = np.zeros((words.shape[0], sum(layout.word_slots)), np.float32)
    slots = slot_of_word[words.indices]
    rows = np.repeat(np.arange(words.shape[0]), np.diff(words.indptr))
    known = slots != ABSENT
    dense[rows[known], slots[known]] = 1.0
    return dense


def words_in_order(
    xp: ModuleType, layout: Layout, statistics: Statistics, tokens: Any, position: int
) -> Any:
    """The words of one column as a network gets them, int32 (n, width).

    Parameters
    ----------
    tokens : as in ``Encoded``; position : in ``Layout.tokens``.
    """
    offset = sum(n + FIRST_WORD for n in layout.n_token_words[:position])
    first = sum(layout.token_widths[:position])
    places = slice(first, first + layout.token_widths[position])
    slots = xp.take(statistics.token_slots, tokens[:, places] + np.int32(offset))
    return slots * statistics.token_reach[places]


def bag_of_tokens(
    tokens: NDArray[np.int32], layout: Layout, statistics: Statistics
) -> sparse.csr_array:
    """Which words that are known occur in each row (n, sum of ``token_slots``), sparse."""
    parts = []
    for position, n_slots in enumerate(layout.token_slots):
        words = words_in_order(np, layout, statistics, tokens, position) - FIRST_WORD
        rows, places = np.nonzero(words >= 0)
        cells = np.unique(rows * n_slots + words[rows, places])
        ones = np.ones(len(cells), np.float32)
        shape = (len(tokens), n_slots)
        parts.append(sparse.csr_array((ones, (cells // n_slots, cells % n_slots)), shape=shape))
    return sparse.csr_array(sparse.hstack(parts, format="csr"))


def indicator(xp: ModuleType, condition: Any) -> Any:
    """1 where a condition holds, else 0."""
    return xp.where(condition, np.float32(1.0), np.float32(0.0))


def category_slots_of(xp: ModuleType, layout: Layout, table: Any, codes: Any) -> Any:
    """The slot of each category's cell (n, n_categories), ``ABSENT`` where it has none."""
    offsets = np.cumsum([0, *(n + 2 for n in layout.n_levels)])[:-1].astype(np.int32)
    return xp.take(table, codes + offsets)


def one_hot(xp: ModuleType, slots: Any, n_slots: Sequence[int]) -> list[Any]:
    """For each column of slots (n, d) 0 or 1 for each slot that it has, (n, its number)."""
    return [
        indicator(xp, xp.equal(slots[:, j : j + 1], np.arange(n, dtype=np.int32)))
        for j, n in enumerate(n_slots)
    ]


def standardised_arrays(
    xp: ModuleType, layout: Layout, statistics: Statistics, arrays: tuple[Any, ...]
) -> list[Any]:
    """Arrays less the mean of each channel, by its standard deviation."""
    images, first = [], 0
    for position, array in enumerate(arrays):
        channels = slice(first, first + array.shape[-1])
        values = as_float(xp, array)
        standard = (values - statistics.array_centre[channels]) / statistics.array_scale[channels]
        if position in layout.sequences:
            has_tokens = any(channels.start <= c < channels.stop for c in layout.token_channels)
            standard = _steps(xp, values, standard, has_tokens=has_tokens)
        images.append(standard)
        first = channels.stop
    return images


def _steps(xp: ModuleType, values: Any, standard: Any, *, has_tokens: bool) -> Any:
    """Standardised steps (n, steps, features): 0 where a value is missing, in padding everywhere.

    A step of zeros is what Keras's ``Masking`` hides, so that one that is there, and happens to be
    at the mean in every feature, is moved off it; not where networks look its numbers up.
    """
    missing = xp.isnan(values)
    filled = xp.where(missing, np.float32(0.0), standard)
    if has_tokens:
        return filled
    is_zero = xp.all(xp.equal(filled, np.float32(0.0)), axis=-1, keepdims=True)
    is_there = xp.logical_not(xp.all(missing, axis=-1, keepdims=True))
    return xp.where(xp.logical_and(is_zero, is_there), OFF_ZERO, filled)


def as_float(xp: ModuleType, array: Any) -> Any:
    """An array in float32."""
    return xp.cast(array, "float32") if hasattr(xp, "cast") else array.astype("float32")
