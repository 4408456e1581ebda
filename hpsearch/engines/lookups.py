"""Lookups: which features a network takes as numbers of things, tokens, and looks up in a table.

Owns the rule: a feature that reaches an Embedding (or another layer that takes whole numbers)
is no quantity, and stays as it is; which ones do is seen by letting a network read made-up rows.
What is standardised otherwise belongs to ``hpsearch.preprocessing``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpsearch import keras_internals
from hpsearch.data.names import listed
from hpsearch.engines.failures import reason_of
from hpsearch.engines.input_form import InputForm
from hpsearch.errors import DataError, SpaceError
from hpsearch.preprocessing import Encoded, Inputs, Layout
from hpsearch.preprocessing.inputs import Source, input_rows, require_source
from hpsearch.preprocessing.ranges import Position, RawRange, positions_of

if TYPE_CHECKING:
    from hpsearch.engines.fit_data import FitData

LARGEST_TOKEN = 2**24 - 1
"""Rows reach a network as float32, which holds whole numbers up to here."""

_ROWS_AT_ONCE = 256

Bounds = tuple[int, int]
Tokens = tuple[tuple[int, ...], tuple[int, ...]]  # of ``Layout``: numbers, channels


@dataclass(frozen=True)
class Lookups:
    """The features that a network looks up, and the smallest and largest number of each it takes.

    Attributes
    ----------
    numbers : by position in ``Layout.numbers``; channels : by channel of all arrays; prepared : by
        feature of a flat prepared row, which is as it is with or without them.
    """

    numbers: Mapping[int, Bounds] = field(default_factory=dict)
    channels: Mapping[int, Bounds] = field(default_factory=dict)
    prepared: Mapping[int, Bounds] = field(default_factory=dict)

    @classmethod
    def joined(cls, several: Sequence[Lookups]) -> Lookups:
        """What all of some networks take."""
        kinds = (f.name for f in fields(cls))
        return cls(*(_common(getattr(each, kind) for each in several) for kind in kinds))

    def has(self, position: Position) -> bool:
        """Whether a position of a network's input is looked up."""
        return position.index in self._of(position)  # -1, which others have, is in neither

    def _of(self, position: Position) -> Mapping[int, Bounds]:
        return {"number": self.numbers, "prepared": self.prepared}.get(position.kind, self.channels)

    def _bounds(self, position: Position) -> Bounds:
        return self._of(position)[position.index]

    @property
    def tokens(self) -> Tokens:
        """Which features they are."""
        return tuple(sorted(self.numbers)), tuple(sorted(self.channels))

    def marked(self, layout: Layout) -> Layout:
        """The layout whose tokens these are."""
        numbers, channels = self.tokens
        return replace(layout, token_numbers=numbers, token_channels=channels)

    def to_json(self, layout: Layout) -> list[dict[str, Any]]:
        """A dictionary for each feature, for JSON; ``from_json`` is its inverse."""
        return [
            {"name": p.name, "kind": p.kind, "index": p.index, "least": least, "most": most}
            for p in dict.fromkeys(positions_of(layout))
            if self.has(p)
            for least, most in [self._bounds(p)]
        ]

    @classmethod
    def from_json(cls, value: Sequence[Mapping[str, Any]]) -> Lookups:
        """The inverse of ``to_json``."""
        found = (
            {int(f["index"]): (int(f["least"]), int(f["most"])) for f in value if f["kind"] == kind}
            for kind in ("number", "channel", "prepared")
        )
        return cls(*found)

    def check_rows(self, encoded: Encoded, layout: Layout) -> None:
        """Raise ``DataError`` unless rows hold tokens that the network takes, and all of them."""
        columns: dict[str, Sequence[NDArray[Any]]] = {
            "number": list(encoded.numbers.T),
            "channel": _channels(encoded),
        }
        if encoded.prepared is not None:
            columns["prepared"] = list(encoded.prepared.reshape(encoded.n_rows, -1).T)
        for position in filter(self.has, dict.fromkeys(positions_of(layout))):
            if position.kind in columns:
                values = columns[position.kind][position.index]
                _check_tokens(values, self._bounds(position), position)


def looks_up(model: Any) -> bool:
    """Whether a network asks for whole numbers somewhere."""
    return bool(_tables(model)) or _takes_integers(model)


def lookups_of(model: Any, raw: RawRange) -> Lookups:
    """What a network looks up, seen by feeding it rows in which one position at a time differs.

    Parameters
    ----------
    model : a built network with one input.
    raw : of all rows that it is trained on.

    Raises
    ------
    SpaceError
        A number is outside of a table, a slot of 0 and 1 is looked up, or the network cannot be
        watched.
    """
    whole = raw.positions if _takes_integers(model) else ()
    every = ((position, (0, LARGEST_TOKEN)) for position in whole)

    def shaped(rows: NDArray[np.float32]) -> NDArray[Any]:
        return rows.reshape(-1, *raw.low.shape).astype(model.inputs[0].dtype)

    among = np.arange(raw.low.size)
    return _collected(itertools.chain(every, _read(model, raw, among, shaped)))


def named_lookups_of(model: Any, form: InputForm, data: FitData) -> Lookups:
    """What a network with named inputs looks up of whole numbers that reach it as they are.

    These are ``raw`` numbers and prepared rows; codes are those of the fold's own levels.

    Raises
    ------
    SpaceError
        A number is outside of a table, or a column that is looked up has missing cells.
    """
    layout = data.layout
    plain = [_as_they_are(layout, require_source(layout, name)) for name in form.names]
    among = np.array(sorted(set().union(*plain)), int)
    if not _tables(model) or not among.size:
        return Lookups()
    fixed = [array[:1] for array in _extremes(form, data)]

    def given(rows: NDArray[np.float32]) -> Any:
        return form.given(
            [
                rows[:, list(at)].reshape(-1, *one.shape[1:])
                if at
                else np.repeat(one, len(rows), axis=0)
                for at, one in zip(plain, fixed, strict=True)
            ]
        )

    found = _collected(_read(model, data.raw_range, among, given))
    for at in sorted(found.numbers):
        if np.isnan(data.encoded.numbers[:, at]).any():
            raise _missing_cells(layout.numbers[at])
    return found


def _as_they_are(layout: Layout, source: Source) -> tuple[int, ...]:
    """Positions, among those of the raw range, of what an input holds as it is."""
    if source.kind == "numbers" and source.view == "raw":
        return source.positions
    is_prepared = source.kind == "prepared" or (source.kind == "flat" and not layout.arrays)
    return tuple(range(int(np.prod(layout.prepared)))) if layout.prepared and is_prepared else ()


def _missing_cells(name: str) -> SpaceError:
    return SpaceError(
        f"an Embedding looks up whole numbers; {name!r} has missing cells. Give them a number of "
        "their own, such as 0."
    )


def _collected(read: Iterable[tuple[Position, Bounds]]) -> Lookups:
    of_kinds: dict[str, dict[int, Bounds]] = {"number": {}, "channel": {}, "prepared": {}}
    for position, bounds in read:
        if position.kind == "missing":
            raise _missing_cells(position.name)
        if position.kind == "slot":
            raise SpaceError(
                f"an Embedding looks up whole numbers; {position.name!r} reaches the network as 0 "
                "or 1 for each level or word. Write its levels as whole numbers from 0, or leave "
                "the Embedding out."
            )
        found = of_kinds[position.kind]
        least, most = found.get(position.index, bounds)
        found[position.index] = max(least, bounds[0]), min(most, bounds[1])
    return Lookups(of_kinds["number"], of_kinds["channel"], of_kinds["prepared"])


def check_lookups(model: Any, data: FitData) -> None:
    """Raise ``SpaceError`` unless a candidate looks up what the default network does.

    Which features are left as they are is decided once for all candidates of a search.
    """
    tokens = data.layout.token_numbers, data.layout.token_channels
    asks = looks_up(model)
    if not asks and not any(tokens):
        return
    found = lookups_of(model, data.raw_range) if asks else Lookups()
    if found.tokens != tokens:
        raise SpaceError(
            "all networks of a space look up the same columns, since whole numbers stay as they "
            f"are for all of them; this one looks up {_names(found.tokens, data.layout)}, the "
            f"default one {_names(tokens, data.layout)}. Make two spaces of them."
        )


def check_named_lookups(model: Any, form: InputForm, data: FitData) -> None:
    """Raise ``SpaceError`` unless a network's tables know all codes that its inputs may hold.

    What is looked up must come from inputs of codes, or from whole numbers that stay as they are
    (``raw``); a network is fed with the smallest and the largest of each.
    """
    tables = _tables(model)
    if not tables:
        return
    named_lookups_of(model, form, data)
    for layer, size, asked in _seen(model, tables, form.given(_extremes(form, data))):
        values = asked[np.isfinite(asked)]
        if (values != np.floor(values)).any():
            raise SpaceError(
                f"the layer '{layer.name}' looks up whole numbers; what reaches it has fractions. "
                "Give it an input of codes, such as problem.inputs['categories']."
            )
        least, most = values.min(initial=0), values.max(initial=0)
        if least < 0 or most >= size:
            needed = f"Raise its input_dim to {int(most) + 1:,}" if least >= 0 else "Begin at 0"
            raise SpaceError(
                f"the layer '{layer.name}' looks up whole numbers from 0 to {size - 1:,}; it is "
                f"asked for {least:.10g} to {most:.10g}. {needed}: n_codes of problem.inputs says "
                "how many codes an input has."
            )


def _extremes(form: InputForm, data: FitData) -> list[NDArray[Any]]:
    """Two rows for each input: the least and the most that it may hold, where it holds codes.

    Of others the rows of the table in which a value is smallest and largest.
    """
    names, inputs = form.names, Inputs(data.layout)
    at = [0, data.encoded.n_rows - 1]
    if data.encoded.numbers.size:
        filled = np.nan_to_num(data.encoded.numbers)
        at = [*np.argmin(filled, axis=0), *np.argmax(filled, axis=0)][: 2 * _ROWS_AT_ONCE]
    rows = data.encoded_in(None).take(np.array(at))
    found = input_rows(rows, data.layout, data.statistics_of(None, names), names)
    extremes: list[NDArray[Any]] = []
    for name, values in zip(names, found, strict=True):
        codes = inputs[name].n_codes
        ends = np.zeros_like(values) if codes else values.copy()
        if codes:
            ends[1::2] = codes - 1
        extremes.append(ends)
    return extremes


def told(lookups: Lookups, layout: Layout) -> str:
    """What is done for a network that looks up, a sentence for people."""
    names = _names(lookups.tokens, layout)
    if lookups.prepared:
        features = listed([str(feature) for feature in sorted(lookups.prepared)], most=5)
        names = f"the features {features} of prepared rows"
    return (
        f"The network looks up {names} in an Embedding: these whole "
        "numbers reach it as they are, neither standardised nor filled in."
    )


def _names(tokens: Tokens, layout: Layout) -> str:
    channels = {p.index: p.name for p in positions_of(layout) if p.kind == "channel"}
    names = [repr(layout.numbers[i]) for i in tokens[0]]
    names += [f"feature {_within(i, layout)} of {channels[i]!r}" for i in tokens[1]]
    return listed(names, most=5) if names else "none"


def _within(channel: int, layout: Layout) -> int:
    """A channel's number within its own array."""
    for shape in layout.array_shapes:
        if channel < shape[-1]:
            break
        channel -= shape[-1]
    return channel


def _common(several: Iterable[Mapping[int, Bounds]]) -> dict[int, Bounds]:
    """Bounds that lie within all."""
    found: dict[int, Bounds] = {}
    for bounds in several:
        for at, (least, most) in bounds.items():
            low, high = found.get(at, (least, most))
            found[at] = max(least, low), min(most, high)
    return found


# -- rows


def _channels(encoded: Encoded) -> list[NDArray[Any]]:
    return [array[..., c] for array in encoded.arrays for c in range(array.shape[-1])]


def _check_tokens(values: NDArray[Any], bounds: Bounds, position: Position) -> None:
    least, most = bounds
    known = values[~np.isnan(values)]
    rule = f"The network looks up {position.name!r} in an Embedding, which takes whole numbers"
    if known.size < values.size:
        raise DataError(
            f"{rule}; {values.size - known.size:,} of its cells are missing. Give them a number "
            "that the Embedding has."
        )
    wrong = known[(known != np.floor(known)) | (known < least) | (known > most)]
    if wrong.size:
        raise DataError(
            f"{rule} from {least:,} to {most:,}; received {float(wrong.flat[0]):.10g}. Correct "
            "such cells."
        )


# -- watching a network


def _tables(model: Any) -> list[tuple[Any, int]]:
    """Layers that take whole numbers, and how many numbers each knows."""
    import keras

    kinds = (
        (keras.layers.Embedding, "input_dim"),
        (keras.layers.CategoryEncoding, "num_tokens"),
        (keras.layers.IntegerLookup, ""),
        (keras.layers.Hashing, ""),
    )
    found = []
    for layer in keras_internals.layers_of(model):
        for kind, size in kinds:
            if isinstance(layer, kind):
                known = getattr(layer, size, None) if size else None
                found.append((layer, LARGEST_TOKEN + 1 if known is None else int(known)))
    return found


def _takes_integers(model: Any) -> bool:
    return "int" in str(model.inputs[0].dtype)


def _read(
    model: Any,
    raw: RawRange,
    among: NDArray[np.integer[Any]],
    given: Callable[[NDArray[np.float32]], Any],
) -> Iterator[tuple[Position, Bounds]]:
    """Each position among some that is looked up, and the numbers that it may hold there.

    Parameters
    ----------
    given : flat raw rows as the network is called with them.
    """
    tables = _tables(model)
    low, high = raw.low.ravel(), raw.high.ravel()
    other = np.where(high > low, high, low + 1)
    for first in range(0, len(among), _ROWS_AT_ONCE):
        chosen = among[first : first + _ROWS_AT_ONCE]
        rows = np.tile(low, (1 + len(chosen), 1))
        rows[1 + np.arange(len(chosen)), chosen] = other[chosen]
        for layer, size, seen in _seen(model, tables, given(rows)):
            before, after = seen[:1], seen[1:]
            for row in np.flatnonzero((after != before).any(axis=1)):
                at = int(chosen[row])
                moved = after[row] != before[0]
                ends = before[0][moved], after[row][moved]
                if _is_made_of(ends, low[at], other[at]):
                    continue
                is_constant = high[at] == low[at]
                _check_table(layer, size, ends, (low[at], high[at]), raw.positions[at], is_constant)
                yield raw.positions[at], _bounds(size, ends, low[at], other[at], high[at])


def _is_made_of(ends: tuple[NDArray[Any], NDArray[Any]], low: float, other: float) -> bool:
    """Whether a network makes the numbers it looks up of a quantity: signs or bins, for instance.

    A quantity that has fractions, and what is asked for does not move as far as it does.
    """
    is_whole = float(low).is_integer() and float(other).is_integer()
    return not is_whole and bool((np.abs((ends[1] - ends[0]) - (other - low)) > 1).all())


def _check_table(
    layer: Any,
    size: int,
    ends: tuple[NDArray[Any], NDArray[Any]],
    held: tuple[float, float],
    position: Position,
    is_constant: bool,
) -> None:
    """Refuse numbers that a table does not have; a constant position's other number is made up."""
    least = float(min(ends[0].min(), np.inf if is_constant else ends[1].min()))
    most = float(max(ends[0].max(), -np.inf if is_constant else ends[1].max()))
    if least >= 0 and most < size:
        return
    needed = f"Raise its input_dim to {int(most) + 1:,}" if least >= 0 else "Number from 0"
    raise SpaceError(
        f"the layer '{layer.name}' looks up whole numbers from 0 to {size - 1:,}; "
        f"{position.name!r} holds {held[0]:.10g} to {held[1]:.10g}. {needed}."
    )


def _bounds(
    size: int, ends: tuple[NDArray[Any], NDArray[Any]], low: float, other: float, high: float
) -> Bounds:
    """The numbers a position may hold: the table's, where they are looked up as they are."""
    shift = ends[0] - low
    if (ends[1] - other == shift).all() and (shift == shift[0]).all():
        return int(-shift[0]), int(size - 1 - shift[0])
    return int(low), int(high)


def _seen(
    model: Any, tables: list[tuple[Any, int]], rows: Any
) -> Iterator[tuple[Any, int, NDArray[Any]]]:
    """What each table was asked for, (n_rows, ...) flattened, once for each time it was."""
    if not tables:
        return
    asked: list[tuple[int, NDArray[Any]]] = []
    with _watched([layer for layer, _ in tables], asked):
        try:
            model(rows, training=False)
        except _UnseenError:
            raise
        except Exception as error:
            raise SpaceError(
                "which columns a network looks up in an Embedding is seen by letting it read "
                f"rows, which failed: {reason_of(error).rstrip('.')}. Put the Embedding directly "
                "behind the input."
            ) from error
    for number, values in asked:
        layer, size = tables[number]
        yield layer, size, values.reshape(len(values), -1)


class _UnseenError(SpaceError):
    """What a table was asked for cannot be read."""


@contextmanager
def _watched(layers: list[Any], asked: list[tuple[int, NDArray[Any]]]) -> Iterator[None]:
    """Note what layers are called with, and let them go on with zeros, which every table has."""
    import keras

    def watch(number: int, layer: Any) -> None:
        original = layer.call

        def call(inputs: Any, *arguments: Any, **options: Any) -> Any:
            try:
                asked.append((number, np.asarray(keras.ops.convert_to_numpy(inputs), np.float64)))
            except Exception as error:
                raise _UnseenError(
                    f"the layer '{layer.name}' is inside of another one, where it cannot be seen "
                    "which columns it looks up. Put it directly behind the input."
                ) from error
            return original(keras.ops.zeros_like(inputs), *arguments, **options)

        layer.call = call

    for number, layer in enumerate(layers):
        watch(number, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.call
