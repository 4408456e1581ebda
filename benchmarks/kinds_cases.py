"""What ``kinds.py`` measures: for each kind of data the rows, the network and the candidates.

The rows are made up, but for the two small tables, so that nothing is downloaded; their shapes are
those of the sets that textbooks use. Each network is a space, which both sides build.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kinds_dense
import kinds_images
import numpy as np

NETWORKS = str(Path(__file__).with_name("networks.py"))
RATES = [10 ** (-3.5 + 0.25 * i) for i in range(20)]


@dataclass(frozen=True)
class Kind:
    """A kind of data, and what is trained on it.

    Attributes
    ----------
    name, about : for people; about says rows, network and batches.
    rows : makes x for the product, what makes x for the loop, and the target's codes, from 0.
    space : the network, as hpsearch takes it and as both sides build it.
    values : the candidates; None for as many as ``n_random`` draws from the space.
    folds, repeats, epochs, batch : of every candidate.
    sample : of the loop, the epochs of a short and a long training on one fold.
    n_sampled : of the loop, the candidates that are trained: some that differ, or the first one.
    transformer : makes what is fitted on each fold in place of our preprocessing; the loop
        has its rows as they are when it is fitted once.
    options : of ``hpsearch.load``.
    """

    name: str
    about: str
    rows: Callable[[], tuple[Any, Callable[[], Any], np.ndarray]]
    space: Any
    values: Sequence[dict[str, Any]] | None
    folds: int = 4
    repeats: int = 1
    epochs: int = 20
    batch: int = 32
    sample: tuple[int, int] = (2, 6)
    n_sampled: int = 1
    n_random: int = 20
    transformer: Callable[[], Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


# -- rows


def breast_cancer():
    """569 rows of 30 numbers, standardised once for the loop."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.preprocessing import StandardScaler

    x, y = load_breast_cancer(return_X_y=True)
    return x, lambda: StandardScaler().fit_transform(x).astype("float32"), y


def splines():
    """What both sides put before the network: six splines a column, standardised."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import SplineTransformer, StandardScaler

    return make_pipeline(StandardScaler(), SplineTransformer(4), StandardScaler())


def breast_cancer_splines():
    """The same 569 rows; for the loop as splines, fitted once."""
    x, _, y = breast_cancer()
    return x, lambda: splines().fit_transform(x).astype("float32"), y


def numbers(n_rows, n_columns):
    """Rows of numbers of one scale, and two classes."""

    def make():
        rng = np.random.default_rng(0)
        x = rng.standard_normal((n_rows, n_columns), dtype=np.float32)
        y = (x[:, :10].sum(axis=1) + rng.standard_normal(n_rows) > 0).astype(int)
        return x, lambda: x, y

    return make


def words(n_rows, n_words, per_row, n_classes):
    """Which of the words occur in each row: sparse for the product, 0 and 1 for the loop.

    Words are as frequent as their rank inverted, as in texts; ``per_row`` different ones on
    average.
    """

    def make():
        from scipy import sparse

        rng = np.random.default_rng(0)
        frequency = 1.0 / np.arange(10, n_words + 10)
        frequency /= frequency.sum()
        n_drawn = np.searchsorted(
            [(1 - (1 - frequency) ** n).sum() for n in range(4 * per_row)], per_row
        )
        drawn = rng.choice(n_words, (n_rows, n_drawn), p=frequency)
        cells = np.unique(np.repeat(np.arange(n_rows), n_drawn) * n_words + drawn.ravel())
        ones = np.ones(len(cells), dtype=np.float32)
        places = cells // n_words, cells % n_words
        x = sparse.csr_array((ones, places), shape=(n_rows, n_words))
        scores = x @ rng.standard_normal((n_words, n_classes))
        scores += 3.0 * rng.standard_normal(scores.shape)
        return x, x.toarray, scores.argmax(axis=1)

    return make


def tokens(n_rows, n_words, longest):
    """Words in their order, of which two neighbours decide: lists, or numbers that are padded."""

    def make():
        rng = np.random.default_rng(0)
        frequency = 1.0 / np.arange(10, n_words + 10)
        drawn = rng.choice(n_words, (n_rows, longest), p=frequency / frequency.sum())
        lengths = rng.integers(longest // 3, longest + 1, n_rows)
        there = np.arange(longest) < lengths[:, None]
        y = ((drawn[:, :-1] < drawn[:, 1:]) & there[:, 1:]).sum(axis=1) * 2 > lengths
        lists = [row[:n].tolist() for row, n in zip(drawn, lengths, strict=True)]
        padded = np.where(there, drawn + 2, 0).astype("int32")
        return lists, lambda: padded, y.astype(int)

    return make


def images(n_rows, side, n_classes=10):
    """Square images of one channel: a blurred pattern of each class, and noise."""

    def make():
        rng = np.random.default_rng(0)
        y = rng.integers(0, n_classes, n_rows)
        patterns = rng.standard_normal((n_classes, side, side, 1), dtype=np.float32)
        x = patterns[y] + 2.0 * rng.standard_normal((n_rows, side, side, 1), dtype=np.float32)
        return x, lambda: x, y

    return make


def sequences(n_rows, n_steps, n_features):
    """Sequences whose class is the sign of a sum over time."""

    def make():
        rng = np.random.default_rng(0)
        x = rng.standard_normal((n_rows, n_steps, n_features), dtype=np.float32)
        y = (x[:, -8:, 0].sum(axis=1) > 0).astype(int)
        return x, lambda: x, y

    return make


def uneven_sequences(n_rows, longest, n_features):
    """Sequences of 5 steps to the longest, a quarter of it on average; the loop has them padded."""

    def make():
        rng = np.random.default_rng(0)
        ends = np.clip(np.exp(rng.normal(np.log(longest / 5), 0.7, n_rows)).astype(int), 5, longest)
        ends[0] = longest
        rows = [rng.standard_normal((end, n_features), dtype=np.float32) for end in ends]
        y = np.array([row[-4:, 0].sum() > 0 for row in rows]).astype(int)
        padded = np.zeros((n_rows, longest, n_features), np.float32)
        for place, row in zip(padded, rows, strict=True):
            place[: len(row)] = row
        return rows, lambda: padded, y

    return make


# -- candidates


def rates(n, **held):
    """So many candidates that differ in their learning rate alone."""
    return [{"rate": rate, **held} for rate in RATES[:n]]


KINDS = {
    "small": Kind(
        "small table",
        "569 rows x 30, two Dense(64), 8 candidates",
        breast_cancer, NETWORKS, rates(8, width=64), repeats=2, epochs=50, sample=(3, 20),
    ),
    "large": Kind(
        "large table",
        "50,000 rows x 20, two Dense(64), 4 candidates",
        numbers(50_000, 20), NETWORKS, rates(4, width=64), epochs=5, sample=(1, 2),
    ),
    "prepared": Kind(
        "table behind a transformer",
        "569 rows x 30 as 180 splines, fitted on each fold, two Dense(64), 8 candidates",
        breast_cancer_splines, NETWORKS, rates(8, width=64), repeats=2, epochs=50, sample=(3, 20),
        transformer=splines,
    ),
    "words": Kind(
        "words, two classes",
        "25,000 rows, 10,000 words, 133 a row, two Dense(16), RMSprop, batches of 512",
        words(25_000, 10_000, 133, 2), kinds_dense.of_words, rates(4, width=16),
        epochs=8, batch=512, sample=(1, 4),
    ),
    "topics": Kind(
        "words, 46 classes",
        "8,982 rows, 10,000 words, 78 a row, two Dense(64), RMSprop, batches of 512",
        words(8_982, 10_000, 78, 46), kinds_dense.of_words, rates(4, width=64),
        epochs=16, batch=512, sample=(1, 9),
    ),
    "tokens": Kind(
        "words in their order",
        "5,000 rows of 20 to 60 of 2,000 words, Embedding(32), mean, Dense(32), 4 candidates",
        tokens(5_000, 2_000, 60), kinds_dense.of_tokens, rates(4), epochs=8, sample=(1, 4),
        options={"words_as": "tokens"},
    ),
    "wide": Kind(
        "784 inputs",
        "6,000 rows x 784, two Dense(512), batches of 128, 4 candidates",
        numbers(6_000, 784), NETWORKS, rates(4, width=512), epochs=5, batch=128, sample=(1, 4),
    ),
    "small-images": Kind(
        "images of 8 x 8",
        "1,797 rows, two convolutions of 16 and 32 filters, 4 candidates",
        images(1_797, 8), kinds_images.of_small_images, rates(4), epochs=10, sample=(2, 6),
    ),
    "changed-images": Kind(
        "images, augmented",
        "1,797 rows of 8 x 8, shifted and turned, convolutions of 16 and 32, 4 candidates",
        images(1_797, 8), kinds_images.of_changed_images, rates(4), epochs=10, sample=(2, 6),
    ),
    "images": Kind(
        "images of 28 x 28",
        "2,000 rows, convolutions of 32, 64 and 64 filters, batches of 64, 2 candidates",
        images(2_000, 28), kinds_images.of_images, rates(2), epochs=6, batch=64, sample=(1, 2),
    ),
    "sequences": Kind(
        "sequences of 20 x 8",
        "2,000 rows, LSTM(32), 4 candidates",
        sequences(2_000, 20, 8), kinds_dense.of_sequences, rates(4), epochs=10, sample=(2, 6),
    ),
    "uneven": Kind(
        "sequences of 5 to 200 steps",
        "1,000 rows of 4 features, 48 steps on average, masked GRU(32), 4 candidates",
        uneven_sequences(1_000, 200, 4), kinds_dense.of_uneven_sequences, rates(4),
        epochs=8, sample=(1, 3),
    ),
    "one": Kind(
        "one candidate alone",
        "569 rows x 30, two Dense(64)",
        breast_cancer, NETWORKS, rates(1, width=64), epochs=50, sample=(3, 20),
    ),
    "structures": Kind(
        "twenty structures",
        "569 rows x 30, twenty random candidates of the space mlp",
        breast_cancer, "mlp", None, epochs=20, sample=(1, 3), n_sampled=5,
    ),
}  # fmt: skip
