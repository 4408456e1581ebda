"""Arrays: whether an array a row is an image, a video, a sequence or so many numbers.

Owns that decision, what is said of it, and the shape that a network sees. Which of its values share
a mean belongs to ``hpsearch.preprocessing``; reading the arrays belongs to ``tables``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hpsearch.data.dataset import ArrayKind, Column
from hpsearch.data.images import ImageForm
from hpsearch.data.names import check_known
from hpsearch.data.sequences import (
    check_steps,
    described_steps,
    has_gaps,
    marked,
    with_gaps,
)
from hpsearch.data.understood import Places
from hpsearch.errors import DataError, OptionError
from hpsearch.words import counted

_SMALLEST_IMAGE = 8
_LARGEST_BYTE = 255
_ROWS_AT_ONCE = 1024
_CHANNELS = (1, 2, 3, 4)
_AXES = {
    "sequence": ((2,), "A sequence has two axes a row, steps and features"),
    "image": ((2, 3), "An image has two axes a row, height and width, or three with channels"),
    "video": ((3, 4), "A video has frames, height and width a row, or four axes with channels"),
}
"""Of each kind that has a rule, its numbers of axes a row, and the rule."""


@dataclass(frozen=True)
class ArrayColumn:
    """An array column after the decision, its values, and what to say about it."""

    column: Column
    array: NDArray[Any] | sparse.csr_array
    notes: tuple[str, ...] = ()


def array_column(
    array: NDArray[Any] | sparse.csr_array,
    name: str,
    asked: ArrayKind | None = None,
    padding: float | None = None,
    form: ImageForm | None = None,
) -> ArrayColumn:
    """Decide what an array a row is, or a word matrix.

    With three axes a row it is an image and with four a video, whose last axis holds channels. With
    two it is a grey image where it holds bytes (uint8), or where it is a square of 8 x 8 or more of
    numbers from 0 to 1 or of whole numbers from 0 to 255; else it is a sequence of steps of
    features.

    Parameters
    ----------
    array : (n_rows, ...), numbers, NaN where one is missing, which only a sequence may have; or a
        word matrix (n_rows, n_words).
    name : the column's name.
    asked : what it is, where the user says so.
    padding : what padded steps of a sequence hold in all features.
    form : how its image files were read, where it comes of some.

    Raises
    ------
    OptionError
        A kind was asked for that has another number of axes.
    DataError
        Values are missing in an array of another kind, or a sequence has no step with a value.
    """
    shape = tuple(int(n) for n in array.shape[1:])
    if sparse.issparse(array):
        words = Column(name, "words", "which words occur in each row", shape=shape)
        return ArrayColumn(words, array)
    if asked in _AXES and len(shape) not in _AXES[asked][0]:
        raise OptionError(
            f"{_AXES[asked][1]}; the array {name!r} has rows of shape {shape}. Leave it out of "
            "`kinds`, or reshape it."
        )
    kind = asked or _kind_of(array)
    if kind == "sequence":
        array = with_gaps(array, padding)
        check_steps(array, name)
    else:
        check_complete(array, name)
    source = "from files" + (", resized" if form.resizes else "") if form else str(array.dtype)
    reason = f"{_described(kind, shape, array)}, {source}" + (", as asked" if asked else "")
    read_as = form.text if form else ""
    column = Column(name, "array", reason, shape=shape, array_kind=kind, image_form=read_as)
    if kind == "sequence":
        column = marked(column, array, padding)
    notes = () if asked or form else tuple(_other_readings(column, array, name))
    return ArrayColumn(column, array, notes)


def _other_readings(column: Column, array: NDArray[Any], name: str) -> Iterator[str]:
    """What else the array may be, where its shape alone does not tell."""
    shape = column.shape
    taken = f"Array {name!r} was taken for {_described(column.array_kind, shape)}."
    asking = f"--array {'' if name == 'x' else f'{name}='}"
    if len(shape) == 2 and not (array.dtype == np.uint8 or column.has_missing):
        other: ArrayKind = "image" if column.array_kind == "sequence" else "sequence"
        yield (
            f"{taken} {asking}{other} takes it for {_described(other, shape)}; in Python, "
            f"load(..., kinds={{{name!r}: {other!r}}})."
        )
    if column.array_kind not in ("image", "video") or shape[-1] in _CHANNELS or len(shape) < 3:
        return
    if shape[len(shape) - 3] in _CHANNELS:
        yield (
            f"{taken} If its {shape[len(shape) - 3]} channels come first, put them last: "
            f"numpy.moveaxis({name}, {len(shape) - 2}, -1)."
        )
    elif len(shape) == 3:
        yield (
            f"{taken} {asking}video takes it for {_described('video', shape)}; in Python, "
            f"load(..., kinds={{{name!r}: 'video'}})."
        )


def check_kinds(kinds: Mapping[str, ArrayKind], arrays: Mapping[str, Any]) -> None:
    """Raise ``OptionError`` unless each name is that of a dense array, and each kind is one."""
    dense = [name for name, array in arrays.items() if not sparse.issparse(array)]
    if kinds and not dense:
        raise OptionError(
            f"`kinds` says what the arrays of a table are, and this one has none; received "
            f"{dict(kinds)!r}. Leave it out."
        )
    check_known(kinds, dense, "`kinds`")
    for name, kind in kinds.items():
        if kind not in get_args(ArrayKind):
            raise OptionError(
                f"An array is one of {', '.join(get_args(ArrayKind))}; `kinds` says {kind!r} of "
                f"{name!r}."
            )


def check_complete(array: NDArray[Any], name: str) -> None:
    """Raise ``DataError`` where values are missing in an array that is no sequence."""
    if has_gaps(array):
        rows = np.isnan(array).any(axis=tuple(range(1, array.ndim)))
        raise DataError(
            f"Array column {name!r} must be finite and within float32's range; it is not in "
            f"{Places()(rows)}. Replace or drop these rows; only sequences of steps may have "
            "missing values."
        )


def check_padding_has_use(padding: float | None, columns: Iterable[Column]) -> None:
    """Raise ``OptionError`` where a value stands for padding and no column holds sequences."""
    columns = list(columns)
    arrays = [column for column in columns if column.kind == "array"]
    pads = any(c.array_kind == "sequence" or (c.kind == "words" and c.width) for c in columns)
    if padding is None or pads:
        return
    found = (
        f"{arrays[0].name!r} was taken for {arrays[0].reason}. Say --array sequence if it is one"
        if arrays
        else "this table has no arrays. Leave it out"
    )
    raise OptionError(f"`padding` belongs to sequences; {found}.")


def network_shape(column: Column) -> tuple[int, ...]:
    """The shape of an array's row as a network sees it; values of one last index share a mean.

    Examples
    --------
    >>> network_shape(Column("x", "array", shape=(28, 28), array_kind="image"))
    (28, 28, 1)
    >>> network_shape(Column("x", "array", shape=(16, 28, 28), array_kind="video"))
    (16, 28, 28, 1)
    >>> network_shape(Column("x", "array", shape=(20, 8), array_kind="sequence"))
    (20, 8)
    """
    if column.array_kind == "numbers":
        return (int(np.prod(column.shape)),)
    is_grey = (column.array_kind, len(column.shape)) in (("image", 2), ("video", 3))
    return (*column.shape, 1) if is_grey else column.shape


def settled(
    array: NDArray[Any] | sparse.csr_array, column: Column
) -> NDArray[Any] | sparse.csr_array:
    """The array as a dataset holds it: float64 only where an offset is to be taken off it."""
    wide = isinstance(array, np.ndarray) and array.dtype == np.float64
    return array.astype(np.float32) if wide and not column.offset else array


def _kind_of(array: NDArray[Any]) -> ArrayKind:
    shape = array.shape[1:]
    if len(shape) != 2:
        return {1: "numbers", 4: "video"}.get(len(shape), "image")  # type: ignore[return-value]
    if array.dtype == np.uint8 and array.max(initial=0) > 1:  # else it may have been true or false
        return "image"
    is_square = shape[0] == shape[1] >= _SMALLEST_IMAGE
    return "image" if is_square and _is_brightness(array) else "sequence"


def _is_brightness(array: NDArray[Any]) -> bool:
    """Whether all values lie between 0 and 1, or are whole and lie between 0 and 255."""
    lowest, highest = array.min(initial=0), array.max(initial=0)
    if lowest < 0 or highest > _LARGEST_BYTE:
        return False
    blocks = (array[at : at + _ROWS_AT_ONCE] for at in range(0, len(array), _ROWS_AT_ONCE))
    return bool(highest <= 1) or all((block == np.floor(block)).all() for block in blocks)


def _described(kind: ArrayKind, shape: tuple[int, ...], array: NDArray[Any] | None = None) -> str:
    size = " x ".join(map(str, shape))
    if kind == "numbers":
        return f"{counted(int(np.prod(shape)), 'number')} a row, each with a mean of its own"
    if kind == "sequence":
        steps = counted(shape[0], "step") if array is None else described_steps(array)
        features = counted(shape[1], "feature")
        return f"sequences of {steps} of {features}, each with a mean of its own"
    if kind == "video":
        grey = len(shape) == 3 or shape[3] == 1
        frames = f"{counted(shape[0], 'frame')} of {shape[1]} x {shape[2]}"
        return f"{'grey ' * grey}videos of {frames}" + (
            "" if grey else f" with {counted(shape[3], 'channel')}"
        )
    if len(shape) == 2 or (len(shape) == 3 and shape[2] == 1):
        return f"grey images of {shape[0]} x {shape[1]}"
    if len(shape) == 3:
        return f"images of {shape[0]} x {shape[1]} with {counted(shape[2], 'channel')}"
    return f"arrays of {size}, the last axis of which are channels"
