"""Named sets: ``sklearn:NAME``, bundled with scikit-learn, and ``keras:NAME``, read by Keras.

Owns the catalogue and the way from a name to raw columns. scikit-learn and Keras are imported only
when one of their sets is read. Keras's sets come through Keras's own loaders, which shuffle and cut
as its documentation says; only where a file is looked for is decided here.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import os
import pickle
import socket
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from hpsearch import keras_internals
from hpsearch.data.tables import Table
from hpsearch.data.word_rows import multi_hot
from hpsearch.errors import DataError, OptionError
from hpsearch.keras_settings import check_keras_json, keras_settings
from hpsearch.paths import found_at, shown
from hpsearch.task import ProblemKind

N_WORDS = 10_000
"""Words kept of ``keras:imdb`` and ``keras:reuters``: the most frequent ones."""

_DOWNLOAD_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True)
class NamedSet:
    """One named set, for a list.

    Attributes
    ----------
    name : what ``load`` is given.
    n_rows : rows to train on; ``n_test_rows`` come apart from them.
    n_columns : features: columns, words, or pixels and channels.
    kind : the problem type.
    description : one line.
    available : whether it can be read without a network.
    where : where it lies, or where its file would be looked for.
    """

    name: str
    n_rows: int
    n_columns: int
    kind: ProblemKind
    description: str
    n_test_rows: int = 0
    available: bool = True
    where: str = "bundled with scikit-learn"


@dataclass(frozen=True)
class _KerasSet:
    """What Keras's loader of one set reads and gives.

    ``files`` are the names in Keras's cache; a set of several files has a folder of its own.
    ``restricted`` says that the file holds Python objects, which Keras reads with a restricted
    unpickler.
    """

    target: str
    files: tuple[str, ...]
    folder: str = ""
    columns: tuple[str, ...] = ()
    kind: str = "image"
    archive: str = ""
    restricted: bool = False


_SKLEARN_TARGETS = {
    "iris": "species",
    "wine": "cultivar",
    "breast_cancer": "diagnosis",
    "digits": "digit",
    "diabetes": "progression",
    "linnerud": "",
}
_BOSTON = (
    *("crim", "zn", "indus", "chas", "nox", "rm", "age"),
    *("dis", "rad", "tax", "ptratio", "black", "lstat"),
)
_CALIFORNIA = (
    *("longitude", "latitude", "housing_median_age", "total_rooms"),
    *("total_bedrooms", "population", "households", "median_income"),
)
_KERAS_SETS = {
    "boston_housing": _KerasSet("medv", ("boston_housing.npz",), "", _BOSTON, "table"),
    "california_housing": _KerasSet(
        "median_house_value", ("california_housing.npz",), "", _CALIFORNIA, "table"
    ),
    "imdb": _KerasSet("positive", ("imdb.npz",), kind="words", restricted=True),
    "reuters": _KerasSet("topic", ("reuters.npz",), kind="words", restricted=True),
    "mnist": _KerasSet("digit", ("mnist.npz",)),
    "fashion_mnist": _KerasSet(
        "article",
        (
            "train-labels-idx1-ubyte.gz",
            "train-images-idx3-ubyte.gz",
            "t10k-labels-idx1-ubyte.gz",
            "t10k-images-idx3-ubyte.gz",
        ),
        "fashion-mnist",
    ),
    "cifar10": _KerasSet(
        "class",
        ("cifar-10-batches-py-target_archive",),
        archive="cifar-10-batches-py",
        restricted=True,
    ),
    "cifar100": _KerasSet(
        "class", ("cifar-100-python-target_archive",), archive="cifar-100-python", restricted=True
    ),
}

_SETS = (
    NamedSet("sklearn:iris", 150, 4, "multiclass", "three species of iris by their flowers"),
    NamedSet("sklearn:wine", 178, 13, "multiclass", "three cultivars by a chemical analysis"),
    NamedSet("sklearn:breast_cancer", 569, 30, "binary", "malignant or benign tumours"),
    NamedSet("sklearn:digits", 1797, 64, "multiclass", "handwritten digits of 8 x 8 pixels"),
    NamedSet("sklearn:diabetes", 442, 10, "regression", "progression of diabetes in a year"),
    NamedSet("sklearn:linnerud", 20, 3, "regression", "three body measures by exercises"),
    NamedSet("keras:boston_housing", 404, 13, "regression", "house prices in Boston", 102),
    NamedSet(
        "keras:california_housing", 16512, 8, "regression", "house prices in California", 4128
    ),
    NamedSet("keras:imdb", 25000, N_WORDS, "binary", "film reviews, positive or not", 25000),
    NamedSet("keras:reuters", 8982, N_WORDS, "multiclass", "newswires by 46 topics", 2246),
    NamedSet("keras:mnist", 60000, 784, "multiclass", "handwritten digits, 28 x 28", 10000),
    NamedSet("keras:fashion_mnist", 60000, 784, "multiclass", "clothes, 28 x 28", 10000),
    NamedSet("keras:cifar10", 50000, 3072, "multiclass", "photos of 10 classes, 32 x 32", 10000),
    NamedSet("keras:cifar100", 50000, 3072, "multiclass", "photos of 100 classes, 32 x 32", 10000),
)


def catalogue() -> tuple[NamedSet, ...]:
    """All named sets, and whether each can be read without a network.

    Neither imports anything heavy nor uses the network.

    Examples
    --------
    >>> catalogue()[0].name
    'sklearn:iris'
    """
    return tuple(_located(record) for record in _SETS)


def is_named(source: str) -> bool:
    """Whether a source is the name of a set rather than a path."""
    return source.startswith(("sklearn:", "keras:"))


def read_named(source: str, path: str | Path | None = None) -> Table:
    """Raw columns of a named set, with its own test rows where it has some.

    Parameters
    ----------
    source : a name of ``catalogue``.
    path : for Keras's sets, the file as Keras downloads it (for several files, their folder).

    Raises
    ------
    DataError
        There is no such set, or its file is neither here nor can it be downloaded or read.
    """
    known = [record.name for record in _SETS]
    if source not in known:
        by_name = {name.split(":")[1]: name for name in known}
        nearest = difflib.get_close_matches(source.split(":", 1)[1], by_name, n=1)
        hint = f"Did you mean {by_name[nearest[0]]!r}?" if nearest else f"Sets: {', '.join(known)}."
        raise DataError(f"There is no named set {source!r}. {hint}")
    library, name = source.split(":")
    if library == "sklearn":
        if path is not None:
            raise OptionError(f"--path belongs to sets of Keras; {source!r} needs none.")
        return _read_sklearn(name)
    return _read_keras(name, None if path is None else Path(path))


def _read_sklearn(name: str) -> Table:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    frame = pd.DataFrame(bunch.data, columns=list(bunch.feature_names))
    if name == "linnerud":
        targets = list(bunch.target_names)
        frame[targets] = bunch.target
        return Table(name, frame, target=tuple(targets))
    values = bunch.target
    if name in ("iris", "wine", "breast_cancer"):
        values = pd.Series(np.asarray(bunch.target_names)[bunch.target], dtype="str")
    target = _SKLEARN_TARGETS[name]
    frame[target] = values
    return Table(name, frame, target=(target,))


# --- Keras --------------------------------------------------------------------------------------


def _cache() -> Path:
    home = os.environ.get("KERAS_HOME") or "~/.keras"
    return Path(home).expanduser() / "datasets"


def _located(record: NamedSet) -> NamedSet:
    library, name = record.name.split(":")
    if library == "sklearn":
        return record
    files = _cached_files(_KERAS_SETS[name])
    available = all(found_at(file) == "a file" for file in files)
    where = files[0].parent if len(files) > 1 else files[0]
    values = vars(record) | {"available": available, "where": str(where)}
    return NamedSet(**values)


def _cached_files(found: _KerasSet) -> list[Path]:
    return [_cache() / found.folder / file for file in found.files]


def _read_keras(name: str, path: Path | None) -> Table:
    found = _KERAS_SETS[name]
    train, test = _keras_arrays(name, found, path)
    notes: tuple[str, ...] = ()
    if found.kind == "words":
        notes = (f"The {N_WORDS:,} most frequent words were kept.",)
    return _keras_table(name, found, *train, notes, _keras_table(name, found, *test))


def _keras_table(
    name: str,
    found: _KerasSet,
    x: Any,
    y: NDArray[Any],
    notes: tuple[str, ...] = (),
    test: Table | None = None,
) -> Table:
    target = {found.target: np.asarray(y).reshape(len(y))}
    arrays: dict[str, NDArray[Any] | sparse.csr_array] = {}
    if found.kind == "table":
        columns = dict(zip(found.columns, np.asarray(x).T, strict=True))
    else:
        columns = {}
        arrays[found.kind] = multi_hot(x, N_WORDS) if found.kind == "words" else x
    lists = {found.kind: x.tolist()} if found.kind == "words" else {}
    frame = pd.DataFrame({**columns, **target})
    # 46 topics are numbered, and would be taken for amounts
    [kind] = [known.kind for known in _SETS if known.name == f"keras:{name}"]
    task = kind if kind == "multiclass" else None
    return Table(name, frame, arrays, tuple(target), task, notes=notes, test=test, word_lists=lists)


_Pair = tuple[NDArray[Any], NDArray[Any]]


def _keras_arrays(name: str, found: _KerasSet, path: Path | None) -> tuple[_Pair, _Pair]:
    """Training and test arrays from Keras's loader, which reads a given file, cache or network."""
    check_keras_json()
    load_data = import_module(f"keras.datasets.{name}").load_data
    options = {"num_words": N_WORDS} if found.kind == "words" else {}
    module = sys.modules[load_data.__module__]
    with contextlib.ExitStack() as stack:
        stack.enter_context(keras_settings())  # Keras turns images as keras.json says
        if path is not None:
            files = stack.enter_context(_given_files(name, found, path))
            _check_unpickling(name, found, module)
            stack.enter_context(_replaced(module, "get_file", files))
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(_socket_timeout(_DOWNLOAD_TIMEOUT_SECONDS))
        try:
            train, test = load_data(**options)
        except Exception as error:  # Keras raises a bare Exception where a download fails
            is_cached = isinstance(error, _UNREADABLE) and _located_in_cache(found)
            if path is None and not is_cached:
                raise _not_here(name, found, error) from error
            where = path if path is not None else _cached_files(found)[0]
            raise DataError(
                f"{shown(where)} is not the file that Keras publishes for keras:{name} "
                f"({type(error).__name__}: {error}). Download it again."
            ) from error
    return train, test


_UNREADABLE = (
    *(KeyError, ValueError, OSError, EOFError, IndexError, TypeError),
    *(BadZipFile, pickle.UnpicklingError, tarfile.TarError, zlib.error),
)


def _located_in_cache(found: _KerasSet) -> bool:
    return all(found_at(file) == "a file" for file in _cached_files(found))


def _not_here(name: str, found: _KerasSet, error: Exception) -> DataError:
    files = _cached_files(found)
    where = files[0].parent if len(files) > 1 else files[0]
    what = "a folder with " + ", ".join(found.files) if len(files) > 1 else f"{found.files[0]!r}"
    return DataError(
        f"keras:{name} is not on this machine and cannot be downloaded ({error}). Put its file at "
        f"{str(where)!r}, or give {what} as Keras downloads it with --path."
    )


def _check_unpickling(name: str, found: _KerasSet, module: Any) -> None:
    """Refuse Python objects from a file of one's own where this Keras would run their code."""
    guarded = hasattr(module, "npz_utils") or keras_internals.restricts_pickles(module)
    if found.restricted and not guarded:
        raise DataError(
            f"This version of Keras reads keras:{name} without checking it for code, so a file is "
            "taken from its cache only. Install Keras 3.15 or newer, or leave out --path."
        )


@contextlib.contextmanager
def _given_files(name: str, found: _KerasSet, path: Path) -> Iterator[Any]:
    """What stands in for Keras's ``get_file``: the path of each file it asks for."""
    kind = found_at(path, DataError)
    if kind not in ("a file", "a folder"):
        raise DataError(
            f"There is no file {shown(path)} for keras:{name}"
            f"{f', which is {kind}' if kind else ''}. Check --path."
        )
    if found.archive:
        with _extracted(found.archive, path) as folder:
            yield lambda *args, **kwargs: str(folder)
        return
    if len(found.files) == 1 and kind == "a file":
        yield lambda *args, **kwargs: str(path)
        return
    absent = [file for file in found.files if found_at(path / file, DataError) != "a file"]
    if absent:
        raise DataError(
            f"--path of keras:{name} names "
            f"{'a folder with ' if len(found.files) > 1 else ''}{', '.join(found.files)}; "
            f"{str(path)!r} has no {absent[0]}. Check it."
        )
    yield lambda fname=None, *args, **kwargs: str(path / Path(str(fname)).name)


@contextlib.contextmanager
def _extracted(archive: str, path: Path) -> Iterator[Path]:
    """The folder that holds an archive's folder, from that folder, its parent or the archive."""
    if path.is_dir():
        yield path.parent if path.name == archive else path
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            with tarfile.open(path) as tar:
                tar.extractall(folder, filter="data")
        except (tarfile.TarError, OSError, EOFError) as error:
            raise DataError(
                f"{str(path)!r} is no archive with the folder {archive!r} ({error}). "
                "Download it again."
            ) from error
        yield Path(folder)


@contextlib.contextmanager
def _replaced(module: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


@contextlib.contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
