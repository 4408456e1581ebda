"""Bags of words in a program: the first layers' products without the multi-hot matrix.

Owns what a batch of rows with words is while a network is traced. Such a network gets a stand-in,
zeros of the shape of its rows, which the layers that may see it, ``Dense`` and ``Dropout``, know by
its identity: they compute with the words' numbers, and whatever the stand-in holds is never made.
That nothing else reads it, ``obstacles`` sees to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from hpsearch.engines.input_form import InputForm
from hpsearch.preprocessing import Bags, Layout
from hpsearch.preprocessing.inputs import reads_words
from hpsearch.preprocessing.statistics import ABSENT


@dataclass(frozen=True, eq=False)
class Columns:
    """Where a row's parts lie among the ``n`` columns of a network's input.

    Attributes
    ----------
    first_word, n_words : the words' columns; the others' lie before and behind.
    """

    n: int
    first_word: int
    n_words: int

    @classmethod
    def of(cls, layout: Layout, form: InputForm) -> Columns | None:
        """The columns of what a network gets that holds words; None where it gets none."""
        if form.names:
            n_words = sum(layout.word_slots)
            return cls(n_words, 0, n_words) if reads_words(layout, form.names) else None
        if not layout.words:
            return None
        before = len(layout.numbers) + len(layout.indicators) + sum(layout.category_slots)
        return cls(layout.input_shape[0], before, sum(layout.word_slots))

    @property
    def others(self) -> NDArray[np.int32]:
        """The columns that hold no words."""
        behind = self.first_word + self.n_words
        columns = np.arange(self.n, dtype=np.int32)
        return np.concatenate([columns[: self.first_word], columns[behind:]])


def places_of(bags: Bags, columns: Columns, slots: NDArray[np.int32]) -> Any:
    """Where the words of each piece stand for one replica, on the device.

    Parameters
    ----------
    slots : the slot of each word, ``Statistics.word_slots`` of the replica's fold.

    Returns
    -------
    int32 (1, n_pieces + 1, n): columns of a network's input, ``Columns.n`` where there is no word.
    """
    known = np.where(slots == ABSENT, columns.n, slots + columns.first_word)
    column_of = np.append(known, columns.n).astype(np.int32)
    stays = np.array_equal(column_of, np.arange(len(column_of)))  # then all workers share the file
    places = bags.pieces if stays else column_of[bags.pieces]
    return jax.device_put(places[np.newaxis])


def alone(function: Callable[..., Any], in_axes: tuple[Any, ...]) -> Callable[..., Any]:
    """``jax.vmap`` for one replica: XLA gathers and scatters faster without an axis of length 1."""

    def first(axis: int | None, part: Any) -> Any:
        return part if axis is None else jax.tree.map(lambda values: values[0], part)

    def call(*arguments: Any) -> Any:
        given = jax.tree.map(first, in_axes, arguments, is_leaf=lambda axis: axis is None)
        return jax.tree.map(lambda values: values[None], function(*given))

    return call


@dataclass(frozen=True, eq=False)
class BagRows:
    """A batch of preprocessed rows (n_rows, columns.n), its words by their numbers.

    Attributes
    ----------
    others : float32 (n_rows, len(columns.others)), or None where there are none.
    places : int32 (n_pieces, n): the column of each word; ``columns.n`` where there is none.
    row_of : int32 (n_pieces,): each piece's row, in their order.
    values : float32 (n_pieces, n): what stands there, where that isn't 1.
    """

    columns: Columns
    n_rows: int
    others: Any
    places: Any
    row_of: Any
    values: Any = None

    def times(self, kernel: Any) -> Any:
        """The matrix product with a kernel (columns.n, n_units)."""
        product = _bag_product(kernel, self.values, self.places, self.row_of, self.n_rows)
        if self.others is None:
            return product
        first, behind = self.columns.first_word, self.columns.first_word + self.columns.n_words
        if first:
            product = product + jnp.matmul(self.others[:, :first], kernel[:first])
        if behind < self.columns.n:
            product = product + jnp.matmul(self.others[:, first:], kernel[behind:])
        return product

    def scaled(self, factors_at: Callable[[Any, Any], Any]) -> BagRows:
        """The rows with every cell times a factor, given by a function of rows and columns."""
        values = factors_at(self.row_of[:, None], self.places)
        values = values if self.values is None else self.values * values
        if self.others is None:
            return replace(self, values=values)
        rows = np.arange(self.n_rows, dtype=np.int32)[:, None]
        others = self.others * factors_at(rows, self.columns.others[None, :])
        return replace(self, values=values, others=others)


class StandIns:
    """Which tensors stand for which rows, for as long as one network is traced."""

    def __init__(self) -> None:
        self._known: list[tuple[Any, BagRows]] = []

    def of(self, rows: BagRows) -> Any:
        """A tensor that stands for rows."""
        tensor = jnp.zeros((rows.n_rows, rows.columns.n), jnp.float32)
        self._known.append((tensor, rows))
        return tensor

    def rows(self, tensor: Any) -> BagRows | None:
        """The rows that a tensor stands for, or None."""
        return next((rows for known, rows in self._known if known is tensor), None)


def dense(layer: Any, kernel_product: Callable[[Any], Any]) -> Any:
    """What ``keras.layers.Dense`` gives, its product computed by a function of its kernel."""
    import keras

    output = kernel_product(keras.ops.convert_to_tensor(layer.kernel))
    if layer.bias is not None:
        output = keras.ops.add(output, layer.bias)
    return output if layer.activation is None else layer.activation(output)


@partial(jax.custom_vjp, nondiff_argnums=(4,))
def _bag_product(kernel: Any, values: Any, places: Any, row_of: Any, n_rows: int) -> Any:
    """Sums of kernel rows (n_rows, n_units): of each row's words, each times its value."""
    total = 0.0
    for number in range(places.shape[1]):
        chosen = kernel.at[places[:, number]].get(
            mode="fill", fill_value=0.0, wrap_negative_indices=False
        )
        total = total + (chosen if values is None else chosen * values[:, number, None])
    return jax.ops.segment_sum(total, row_of, n_rows, indices_are_sorted=True)


def _bag_forward(kernel: Any, values: Any, places: Any, row_of: Any, n_rows: int) -> Any:
    product = _bag_product(kernel, values, places, row_of, n_rows)
    return product, (jnp.zeros_like(kernel), values, places, row_of)


def _bag_backward(n_rows: int, kept: Any, gradient: Any) -> Any:
    """The kernel's gradient: what each row of the product got, added at its words' places."""
    total, values, places, row_of = kept
    made_once: Any = jax.lax.optimization_barrier  # not for each scatter again
    part = made_once(gradient[row_of])
    for number in range(places.shape[1]):
        added = part if values is None else part * values[:, number, None]
        total = total.at[places[:, number]].add(added, mode="drop", wrap_negative_indices=False)
    return total, None, None, None


_bag_product.defvjp(_bag_forward, _bag_backward)
