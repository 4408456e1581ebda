"""Buckets: batches of sequences of like length, for networks that take any length.

Sequences of different length are padded to the longest, and most steps of a batch may be padding.
So where a network's inputs leave the number of steps open (``keras.Input((None, features))``), the
batches of an epoch hold rows of like length, and are cut to it. Everything follows from the plan:

- A row's bucket follows from its own length: 32 steps, 64, 128 and so on.
- The training rows of a fold are shuffled under the replica's seed and sorted by bucket, so that
  few batches hold rows of two; these are as long as the longer one. There are as many batches as
  without buckets; the one that is not full holds the shortest rows, and comes last.
- The order of the others, by bucket, follows from the run's seed and the epoch alone. So replicas
  that train side by side have batches of one length at the same time (``Slots``), and each has the
  batches that it has alone.

Owns which rows come together when. Cutting arrays belongs to the engines.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.sequences import lengths
from hpsearch.engines.input_form import InputForm
from hpsearch.engines.plan import batch_order
from hpsearch.preprocessing import Encoded, Layout
from hpsearch.preprocessing.inputs import require_source

SHORTEST: Final = 32
"""Steps of the smallest bucket: below, a program for each length costs more than it saves."""

MOST: Final = 6
"""Buckets at most, the longest ones: each length is compiled."""


def open_inputs(model: Any, form: InputForm, layout: Layout) -> tuple[int, ...]:
    """Which of a network's inputs are sequences of any length; none where one has a fixed length.

    Parameters
    ----------
    form : how the network takes rows of the layout.
    """
    found = []
    for at, tensor in enumerate(model.inputs):
        if not _is_sequence(form, layout, at):
            continue
        if tensor.shape[1] is not None:
            return ()
        found.append(at)
    return tuple(found)


def _is_sequence(form: InputForm, layout: Layout, at: int) -> bool:
    if not form.names:
        return layout.keeps_shape and bool(layout.sequences)
    source = require_source(layout, form.names[at])
    return source.kind == "array" and source.positions[0] in layout.sequences


@dataclass(frozen=True, eq=False)
class Buckets:
    """Which rows are of like length.

    Attributes
    ----------
    of_row : int32 (n_rows,) number of each row's bucket.
    steps : of each bucket, ascending; the last is the most that a row has.
    """

    of_row: NDArray[np.int32]
    steps: tuple[int, ...]

    @classmethod
    def of(cls, encoded: Encoded, layout: Layout) -> Buckets | None:
        """The buckets of rows, or None where all are in one.

        Examples
        --------
        >>> steps = np.full((3, 100, 1), np.nan)
        >>> steps[0, :7], steps[1, :40], steps[2] = 0.0, 0.0, 0.0
        >>> layout = Layout(arrays=("x",), array_shapes=((100, 1),), array_kinds=("sequence",))
        >>> empty = np.empty((3, 0), np.float32), np.empty((3, 0), np.int32)
        >>> found = Buckets.of(Encoded(*empty, None, (steps,)), layout)
        >>> found.of_row.tolist(), found.steps
        ([0, 1, 2], (32, 64, 100))
        """
        if not layout.sequences or not encoded.arrays:
            return None
        longest = max(layout.array_shapes[at][0] for at in layout.sequences)
        steps = sizes_of(longest)
        if len(steps) == 1:
            return None
        each = [lengths(np.asarray(encoded.arrays[at])) for at in layout.sequences]
        of_row = np.searchsorted(steps, np.max(each, axis=0)).astype(np.int32)
        return cls(of_row, steps) if len(np.unique(of_row)) > 1 else None


def sizes_of(longest: int) -> tuple[int, ...]:
    """Steps of the buckets of sequences of up to so many steps.

    Examples
    --------
    >>> sizes_of(20), sizes_of(200), sizes_of(4096)
    ((20,), (32, 64, 128, 200), (128, 256, 512, 1024, 2048, 4096))
    """
    sizes = [SHORTEST]
    while sizes[-1] < longest:
        sizes.append(2 * sizes[-1])
    return tuple([*sizes[:-1], longest][-MOST:])


@dataclass(frozen=True, eq=False)
class Epoch:
    """The batches of one epoch, in their order.

    Attributes
    ----------
    batches : the rows of each.
    buckets : (n_batches,) of each, the longest that a row of it has.
    places : (n_batches,) of each, which one of its bucket's it is; -1 for the one that is not full.
    """

    batches: list[NDArray[Any]]
    buckets: NDArray[np.int32]
    places: NDArray[np.int64]

    @property
    def order(self) -> NDArray[Any]:
        """The rows, one batch after the other."""
        return np.concatenate(self.batches)


@dataclass(frozen=True, eq=False)
class Batching:
    """How the rows of a search come together.

    Attributes
    ----------
    buckets : of the rows.
    batch_size : rows of a batch.
    seed : of the run.
    """

    buckets: Buckets
    batch_size: int
    seed: int

    def epoch(self, seed: int, epoch: int, rows: NDArray[np.integer[Any]]) -> Epoch:
        """The batches of training rows in an epoch of a replica.

        Parameters
        ----------
        seed : the replica's.
        """
        shuffled = rows[np.random.default_rng([seed, epoch]).permutation(len(rows))]
        of_rows = self.buckets.of_row[shuffled]
        by_length = shuffled[np.argsort(of_rows, kind="stable")]
        n_left = len(rows) % self.batch_size
        left, full = by_length[:n_left], by_length[n_left:].reshape(-1, self.batch_size)
        buckets = self.buckets.of_row[full[:, -1]] if len(full) else np.empty(0, np.int32)
        places = _counted_within(buckets)
        order = np.argsort(self._keys(epoch, buckets, places), kind="stable")
        batches, buckets, places = list(full[order]), buckets[order], places[order]
        if n_left:
            batches.append(left)
            buckets = np.append(buckets, self.buckets.of_row[left[-1]])
            places = np.append(places, -1)
        return Epoch(batches, buckets.astype(np.int32), places)

    def _keys(
        self, epoch: int, buckets: NDArray[Any], places: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """A number for each place of each bucket, by which batches are ordered."""
        keys = np.empty(len(buckets))
        for bucket in np.unique(buckets):
            chosen = buckets == bucket
            generator = np.random.default_rng([self.seed, epoch, int(bucket)])
            keys[chosen] = generator.random(int(places[chosen].max()) + 1)[places[chosen]]
        return keys

    def slots(self, sets_of_rows: Iterable[NDArray[np.integer[Any]]]) -> Slots:
        """Steps that hold the batches of any of some sets of training rows."""
        counts = np.zeros(len(self.buckets.steps), np.int64)
        tails: set[int] = set()
        for rows in sets_of_rows:
            epoch = self.epoch(0, 0, rows)  # of each bucket there are as many in any epoch
            is_full = epoch.places >= 0
            of_full = np.bincount(epoch.buckets[is_full], minlength=len(counts))
            counts = np.maximum(counts, of_full)
            tails |= set(epoch.buckets[~is_full].tolist())
        return Slots(self, tuple(counts.tolist()), tuple(sorted(tails)))


@dataclass(frozen=True, eq=False)
class Slots:
    """The steps of an epoch in which replicas train side by side, some of which idle in some.

    Attributes
    ----------
    counts : full batches of each bucket, the most that one of the replicas has.
    tails : buckets of the batches that are not full.
    """

    batching: Batching
    counts: tuple[int, ...]
    tails: tuple[int, ...]

    @cached_property
    def n_steps(self) -> int:
        """Steps of an epoch."""
        return sum(self.counts) + len(self.tails)

    def buckets(self, epoch: int) -> NDArray[np.int32]:
        """The bucket of each step (n_steps,)."""
        return np.append(self._full(epoch)[0], self.tails).astype(np.int32)

    def steps_of(self, epoch: int, of_replica: Epoch) -> NDArray[np.int64]:
        """In which step of an epoch each of a replica's batches comes (n_batches,), ascending."""
        buckets, places = self._full(epoch)
        steps = {pair: step for step, pair in enumerate(zip(buckets, places, strict=True))}
        steps |= {(bucket, -1): len(buckets) + at for at, bucket in enumerate(self.tails)}
        pairs: Sequence[Any] = list(zip(of_replica.buckets, of_replica.places, strict=True))
        return np.array([steps[pair] for pair in pairs], np.int64)

    def _full(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        buckets = np.repeat(np.arange(len(self.counts)), self.counts)
        places = _counted_within(buckets)
        order = np.argsort(self.batching._keys(epoch, buckets, places), kind="stable")
        return buckets[order], places[order]


def epoch_order(
    batching: Batching | None, seed: int, epoch: int, n_rows: int
) -> NDArray[np.integer[Any]]:
    """The order in which an epoch of a training on all rows visits them."""
    if batching is None:
        return batch_order(seed, epoch, n_rows)
    return batching.epoch(seed, epoch, np.arange(n_rows)).order


def _counted_within(buckets: NDArray[Any]) -> NDArray[np.int64]:
    """How many of its kind came before each."""
    places = np.zeros(len(buckets), np.int64)
    for bucket in np.unique(buckets):
        chosen = buckets == bucket
        places[chosen] = np.arange(int(chosen.sum()))
    return places
