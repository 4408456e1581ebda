"""Named inputs: what a network gets whose inputs bear names, and how it is made of encoded rows.

Owns the names: those of columns and of kinds, each perhaps with a view behind a point
(``age.quantile``). How a network is called with them belongs to ``hpsearch.engines.input_form``,
what a view computes to ``views``, the flat vector of a network without names to ``design``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.names import listed
from hpsearch.data.tokens import FIRST_WORD
from hpsearch.preprocessing.design import (
    category_slots_of,
    design_batch,
    multi_hot,
    standardised_arrays,
    words_in_order,
)
from hpsearch.preprocessing.encoding import Encoded, Layout
from hpsearch.preprocessing.statistics import Statistics
from hpsearch.preprocessing.views import (
    CATEGORY_VIEWS,
    NUMBER_VIEWS,
    filled_numbers,
    indicators_of,
)
from hpsearch.task import Input

KINDS = (
    *("numbers", "categories", "words", "tokens", "image", "video", "sequence", "prepared"),
    "flat",
)
"""Names that stand for all columns of a kind; of tokens, images and sequences where there is one.
What a transformer of one's own gives is ``prepared``, and the vector of a network without names
``flat``, where no bag of words is part of it."""


@dataclass(frozen=True)
class Source:
    """Where an input comes from.

    Attributes
    ----------
    kind : ``numbers``, ``categories``, ``words``, ``tokens``, ``array``, ``prepared`` or ``flat``.
    positions : of its features in ``Layout.numbers``, of its columns in ``Layout.categories``,
        ``Layout.words``, ``Layout.tokens`` or ``Layout.arrays``.
    view : in which form they are given; empty for the usual one.
    """

    kind: str
    positions: tuple[int, ...]
    view: str = ""


class Inputs(Mapping[str, Input]):
    """The inputs that a network may have by name, as ``problem.inputs`` gives them.

    Iterating gives the names of kinds and of columns; each of numbers and categories has its views
    too, which ``[...]`` knows.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def __getitem__(self, name: str) -> Input:
        source = source_of(self._layout, name)
        if source is None:
            names = listed(list(map(repr, self)), most=12)
            raise KeyError(f"{name!r} is none of the inputs that are known: {names}")
        return described(self._layout, source)

    def __contains__(self, name: object) -> bool:
        """Whether an input of that name is known."""
        return isinstance(name, str) and source_of(self._layout, name) is not None

    def __iter__(self) -> Iterator[str]:
        yield from (name for name in KINDS if source_of(self._layout, name) is not None)
        known = _columns(self._layout)
        yield from (name for name in known if name not in KINDS)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def tokens(self) -> tuple[str, ...]:
        """The columns of words in their order, which no flat vector holds."""
        return self._layout.tokens

    @property
    def only(self) -> str | None:
        """The name of the one input that there is, where the table is words in their order."""
        return self._layout.tokens[0] if self._layout.is_tokens else None


def source_of(layout: Layout, name: str) -> Source | None:
    """What an input's name stands for, or None where it stands for nothing.

    A kind goes before a column, so that a space for any table gets what it asks for. Keras allows
    no ``/`` in a name; a column's are written ``_``.

    Examples
    --------
    >>> layout = Layout(numbers=("age", "rent"), number_columns=("age", "rent"))
    >>> source_of(layout, "rent.robust")
    Source(kind='numbers', positions=(1,), view='robust')
    """
    base, _, view = name.rpartition(".")
    for found in (_of_kind, _of_column):
        source = found(layout, name) or (_viewed(found(layout, base), view) if base else None)
        if source is not None:
            return source
    return None


def _viewed(source: Source | None, view: str) -> Source | None:
    """A source in a form that its kind has."""
    if source is None:
        return None
    views = {"numbers": NUMBER_VIEWS, "categories": CATEGORY_VIEWS}.get(source.kind, {})
    return Source(source.kind, source.positions, view) if view in views else None


def described(layout: Layout, source: Source) -> Input:
    """The shape, dtype and codes of an input."""
    if source.kind == "words":
        return Input((sum(layout.word_slots[at] for at in source.positions),), is_bag=True)
    if source.kind == "tokens":
        [at] = source.positions
        n_codes = layout.token_slots[at] + FIRST_WORD
        return Input((layout.token_widths[at],), "int32", n_codes, is_tokens=True)
    if source.kind == "prepared":
        return Input(layout.prepared)
    if source.kind == "flat":
        return Input(layout.input_shape)
    if source.kind == "array":
        return Input(layout.array_shapes[source.positions[0]])
    if source.kind == "categories":
        return CATEGORY_VIEWS[source.view].described(layout, source.positions)
    return NUMBER_VIEWS[source.view].described(layout, source.positions)


def design_inputs(
    xp: ModuleType,
    layout: Layout,
    statistics: Statistics,
    names: Sequence[str],
    *,
    numbers: Any = None,
    codes: Any = None,
    words: Any = None,
    arrays: tuple[Any, ...] = (),
    prepared: Any = None,
    tokens: Any = None,
    may_miss: bool = True,
) -> tuple[Any, ...]:
    """What a network gets: an array for each name, or the flat vector alone where there are none.

    Parameters
    ----------
    names : of the network's inputs, in its order.
    words : float32 (n, sum of ``word_slots``) multi-hot; where it is None, so is each input of
        words, which stand for themselves then (``fused.bags``).
    tokens : as in ``Encoded``.
    xp, layout, statistics, numbers, codes, arrays, prepared, may_miss : as in ``design_batch``.
    """

    def flat() -> Any:
        return design_batch(
            xp,
            layout,
            statistics,
            numbers=numbers,
            codes=codes,
            words=words,
            arrays=arrays,
            prepared=prepared,
            may_miss=may_miss,
        )

    if not names:
        return (flat(),)

    def made(source: Source) -> Any:
        if source.kind == "words":
            return None if words is None else _columns_of_words(xp, layout, words, source)
        if source.kind == "tokens":
            return words_in_order(xp, layout, statistics, tokens, source.positions[0])
        if source.kind == "prepared":
            return prepared
        if source.kind == "flat":
            return flat()
        if source.kind == "array":
            return standardised_arrays(xp, layout, statistics, arrays)[source.positions[0]]
        at = np.array(source.positions, np.int32)
        if source.kind == "categories":
            slots = category_slots_of(xp, layout, statistics.category_slots, codes)
            of_levels = CATEGORY_VIEWS[source.view]
            chosen = xp.take(slots, at, axis=1)
            return of_levels.made(xp, layout, statistics, chosen, source.positions)
        filled = filled_numbers(xp, statistics, numbers, may_miss=may_miss)
        missing = indicators_of(xp, layout, numbers, source.positions)
        view = NUMBER_VIEWS[source.view]
        return view.made(xp, statistics, xp.take(filled, at, axis=1), missing, source.positions)

    return tuple(made(require_source(layout, name)) for name in names)


def input_rows(
    encoded: Encoded, layout: Layout, statistics: Statistics, names: Sequence[str]
) -> tuple[NDArray[Any], ...]:
    """What a network gets of encoded rows, as NumPy arrays; see ``design_inputs``."""
    words = encoded.words
    return design_inputs(
        np,
        layout,
        statistics,
        names,
        numbers=encoded.numbers,
        codes=encoded.codes,
        words=None if words is None else multi_hot(words, layout, statistics.word_slots),
        arrays=encoded.arrays,
        prepared=encoded.prepared,
        tokens=encoded.tokens,
    )


def require_source(layout: Layout, name: str) -> Source:
    """What a name stands for that a network's inputs are known to bear."""
    source = source_of(layout, name)
    if source is None:
        raise KeyError(name)
    return source


def views_needed(layout: Layout, names: Sequence[str]) -> tuple[str, ...]:
    """The views whose statistics a network of these inputs needs, sorted."""
    found = (require_source(layout, name) for name in names)
    return tuple(sorted({f"{source.kind}.{source.view}" for source in found if source.view}))


def words_at(layout: Layout, names: Sequence[str]) -> tuple[int, ...]:
    """Which of a network's arrays hold words."""
    if not names:
        return (0,) if layout.words else ()
    sources = [require_source(layout, name) for name in names]
    return tuple(at for at, source in enumerate(sources) if source.kind == "words")


def reads_words(layout: Layout, names: Sequence[str]) -> bool:
    """Whether a network of these inputs reads words."""
    return bool(words_at(layout, names))


def _of_column(layout: Layout, name: str) -> Source | None:
    columns = _columns(layout)
    if name in columns:
        return columns[name]
    written = [source for column, source in columns.items() if column.replace("/", "_") == name]
    return written[0] if len(written) == 1 else None


def _of_kind(layout: Layout, name: str) -> Source | None:
    counts = {
        "numbers": len(layout.numbers),
        "categories": len(layout.categories),
        "words": len(layout.words),
    }
    if counts.get(name):
        return Source(name, tuple(range(counts[name])))
    if name == "tokens" and len(layout.tokens) == 1:
        return Source("tokens", (0,))
    if (name == "prepared" and layout.prepared) or (name == "flat" and layout.has_flat):
        return Source(name, ())
    of_kind = [at for at, kind in enumerate(layout.array_kinds) if kind == name]
    return Source("array", (of_kind[0],)) if len(of_kind) == 1 else None


def _columns(layout: Layout) -> dict[str, Source]:
    """What each column's name stands for, in the layout's order."""
    numbers: dict[str, list[int]] = {}
    for at, name in enumerate(layout.number_columns or layout.numbers):
        numbers.setdefault(name, []).append(at)
    found = {name: Source("numbers", tuple(positions)) for name, positions in numbers.items()}
    for kind, names in (
        ("categories", layout.categories),
        ("words", layout.words),
        ("tokens", layout.tokens),
        ("array", layout.arrays),
    ):
        found |= {name: Source(kind, (at,)) for at, name in enumerate(names)}
    return found


def _columns_of_words(xp: ModuleType, layout: Layout, words: Any, source: Source) -> Any:
    """The slots of some columns of words; all of them in their order."""
    if len(source.positions) == len(layout.words):
        return words
    ends = np.cumsum([0, *layout.word_slots])
    [at] = source.positions
    return words[:, int(ends[at]) : int(ends[at + 1])]
