"""Tables: files and frames of any type, some damaged, some odd, read as `load` and `predict` do.

A table must be refused in one line, or become a ``Dataset`` that can be encoded and described; and
the rows of the table must be read under the schema that came of it.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import warnings
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import hpsearch
from benchmarks.fuzzing.base import Attempt, WrongError, one_of
from benchmarks.fuzzing.mutations import HOSTILE_CELLS, HOSTILE_NAMES, Rng, damaged
from hpsearch.data import read_rows
from hpsearch.data.tables import read_table
from hpsearch.errors import InputError
from hpsearch.preprocessing import encode
from hpsearch.task import TASKS

_N_ROWS = (0, 1, 2, *(5, 12, 12, 12, 40, 40, 40) * 3)
_SHARE_DAMAGED = 0.4


def attempt(rng: Rng, folder: Path) -> Attempt:
    """A table of some type with some options."""
    name, make = one_of(rng, _TYPES.items())
    source, what = make(rng, folder)
    options = _options(rng)
    asked = ", ".join(f"{name}={value!r}" for name, value in options.items())
    what = f"{name}: {what}; load(..., {asked})"
    return Attempt(what, lambda: _load(source, options, rng, folder))


def _load(source: Any, options: dict[str, Any], rng: Rng, folder: Path) -> str:
    data = hpsearch.load(source, **options)
    if len(data.frame) != data.n_rows or not data.fingerprint or not data.describe():
        raise WrongError("a Dataset that contradicts itself")
    lines = data.describe()
    broken = [line for line in lines if "\n" in line]
    if broken:
        raise WrongError(f"a note of several lines: {broken[0][:200]!r}")
    encoded = encode(data.schema, data.frame, data.arrays, data.n_rows)
    if np.isinf(encoded.numbers).any():
        raise WrongError("infinite numbers after encoding")
    if len(data.schema.columns) * data.n_rows < 10_000:
        _read_alone(source, data, rng, folder)
        return f"{data.n_rows} rows, {_read_again(source, data, rng)}"
    return f"{data.n_rows} rows"


def _read_alone(source: Any, data: Any, rng: Rng, folder: Path) -> None:
    """A row of the table, as a frame and as a file of its own, reads as among the others."""
    table = read_table(source[0] if isinstance(source, tuple) else source)
    if data.arrays:
        return
    number = int(rng.integers(data.n_rows))
    alone = {"a frame": table.frame.iloc[[number]]}
    if table.places.lines is not None:
        path = folder / "alone.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter=one_of(rng, ",;\t"), quoting=csv.QUOTE_ALL)
            writer.writerows([table.names, table.frame.iloc[number]])
        alone["a file"] = path
    expected = data.frame.iloc[[number]].reset_index(drop=True)
    for form, row in alone.items():
        read = read_rows(row, data.schema).frame
        for name in expected:
            if not read[name].equals(expected[name]):
                was, now = expected[name].iloc[0], read[name].iloc[0]
                raise WrongError(
                    f"column {name!r} reads otherwise alone in {form}: {was!r:.60} is {now!r:.60}"
                )


def _read_again(source: Any, data: Any, rng: Rng) -> str:
    """New rows under the schema: the table's own, and a row of hostile cells."""
    y = source[1] if isinstance(source, tuple) else None
    rows = read_rows(source[0] if isinstance(source, tuple) else source, data.schema, y=y)
    for name in data.frame:
        if not rows.frame[name].equals(data.frame[name]):
            raise WrongError(f"column {name!r} reads otherwise under its own schema")
    scalar = [column.name for column in data.schema.columns if column.name in data.frame]
    if len(scalar) < len(data.schema.columns) or not scalar:
        return "read again"
    row = pd.DataFrame({name: [one_of(rng, _ODD_CELLS)] for name in scalar}, dtype=object)
    try:
        read = read_rows(row, data.schema)
    except InputError:
        return "read again, odd row refused"
    if len(encode(data.schema, read.frame, read.arrays, 1).numbers) != 1:
        raise WrongError("an odd row that is not one row")
    return "read again, odd row read"


def _options(rng: Rng) -> dict[str, Any]:
    """Options of ``load``, most of them sensible."""
    options: dict[str, Any] = {"target": one_of(rng, (*("y",) * 16, "c", "b", None, "none"))}
    for name, values in (
        ("task", (*TASKS, "none", "")),
        ("drop", ("a", ["b", "c"], "none", [])),
        ("text", ("t", "c", ["t", "y"], "b")),
        ("groups", ("g", "c", "none", np.arange(12))),
        ("time", ("d", "b", "none")),
        ("name", ("x" * 5_000, "a/b", "")),
    ):
        if rng.random() < 0.08:
            options[name] = one_of(rng, values)
    return options


# --- columns ------------------------------------------------------------------------------------


def _texts(rng: Rng, n: int) -> dict[str, list[str]]:
    """Columns as a CSV file has them."""
    words = ["red", "blue", "green", "New York", "é"]
    columns = {
        "a": [f"{value:.3g}" for value in rng.normal(size=n) * 10.0 ** rng.integers(-6, 7)],
        "b": [str(value) for value in rng.integers(-3, 100, n)],
        "c": [str(one_of(rng, words)) for _ in range(n)],
        "d": [str(np.datetime64("2020-01-01") + int(day)) for day in rng.integers(0, 900, n)],
        "t": [" ".join(one_of(rng, words) for _ in range(6)) for _ in range(n)],
        "g": [f"g{value}" for value in rng.integers(0, 5, n)],
        "f": [one_of(rng, ("True", "False")) for _ in range(n)],
        "y": [str(value) for value in _target(rng, n)],
    }
    kept = [name for name in columns if name == "y" or rng.random() < 0.7]
    columns = {name: columns[name] for name in kept}
    for _ in range(int(rng.integers(0, 4)) if n else 0):
        name = one_of(rng, columns)
        for _ in range(int(rng.integers(1, n + 1))):
            columns[name][int(rng.integers(n))] = one_of(rng, HOSTILE_CELLS)
    if rng.random() < 0.2:
        columns[one_of(rng, HOSTILE_NAMES)] = columns[one_of(rng, columns)]
    return columns


def _target(rng: Rng, n: int) -> Any:
    return one_of(
        rng,
        (
            rng.integers(0, 2, n),
            rng.integers(0, 4, n),
            rng.normal(size=n).round(3),
            [one_of(rng, ("yes", "no", "perhaps")) for _ in range(n)],
            rng.random(n).round(2),
        ),
    )


_ODD_CELLS: tuple[Any, ...] = (
    *HOSTILE_CELLS,
    *(None, np.nan, pd.NA, pd.NaT, True, False, np.bool_(True), 0, -1, 2**53 + 1, 2**70, -(2**70)),
    *(1.5, -0.0, np.inf, 1e300, np.float32(0.1), np.int8(3), Decimal("1.50"), Decimal("NaN")),
    *(Decimal("1e400"), dt.date(1, 1, 1), dt.date(9999, 12, 31), dt.datetime(2024, 1, 31, 12, 30)),
    *(dt.datetime(2024, 1, 31, tzinfo=dt.timezone(dt.timedelta(hours=14))), dt.time(12, 30)),
    *(
        pd.Timestamp("2024-01-31", tz="Asia/Tokyo"),
        np.datetime64("NaT"),
        np.datetime64("2024-01-31"),
    ),
    *(pd.Timedelta("1h"), dt.timedelta(days=3), b"bytes", 1j, [1, 2], {}, (), object(), "\ud800"),
)


def _frame(rng: Rng, n: int) -> pd.DataFrame:
    """A DataFrame of odd types."""
    makers: dict[str, Callable[[], Any]] = {
        "float": lambda: rng.normal(size=n) * 10.0 ** rng.integers(-300, 300),
        "half": lambda: rng.normal(size=n).astype(np.float16),
        "whole": lambda: rng.integers(-(2**62), 2**62, n),
        "small": lambda: rng.integers(0, 3, n).astype(np.int8),
        "unsigned": lambda: rng.integers(0, 2**63, n).astype(np.uint64) * 2,
        "nullable": lambda: pd.array([one_of(rng, (1, 2, None)) for _ in range(n)], dtype="Int64"),
        "flags": lambda: pd.array([one_of(rng, (True, None)) for _ in range(n)], dtype="boolean"),
        "text": lambda: pd.Series([one_of(rng, ("u", "v", None)) for _ in range(n)], dtype="str"),
        "level": lambda: pd.Categorical([one_of(rng, (1, 2.5, "u", None)) for _ in range(n)]),
        "dates": lambda: rng.integers(-(2**36), 2**36, n).astype("datetime64[s]"),
        "far dates": lambda: rng.integers(-(2**40), 2**40, n).astype("datetime64[s]"),
        "zone": lambda: pd.date_range("2024-01-01", periods=n, tz="Europe/Rome"),
        "period": lambda: pd.period_range("2024-01", periods=n, freq="M"),
        "interval": lambda: pd.cut(np.arange(n, dtype=float), 3) if n else [],
        "delta": lambda: rng.integers(0, 10**9, n).astype("timedelta64[s]"),
        "sparse": lambda: pd.arrays.SparseArray(rng.integers(0, 2, n)),
        "arrow": lambda: pd.array([one_of(rng, (1.5, None)) for _ in range(n)], "double[pyarrow]"),
        "mixed": lambda: pd.Series([one_of(rng, _ODD_CELLS) for _ in range(n)], dtype=object),
        "strings": lambda: pd.Series([one_of(rng, HOSTILE_CELLS) for _ in range(n)], dtype=object),
        "complex": lambda: rng.normal(size=n) * 1j,
        "gone": lambda: [None] * n,
    }
    chosen = [one_of(rng, makers) for _ in range(int(rng.integers(1, 6)))]
    columns = [pd.Series(makers[name]()).reset_index(drop=True) for name in chosen]
    names = list("abcdgt")[: len(chosen)]
    if rng.random() < 0.3:
        names[0] = one_of(rng, (3, 1.5, None, ("u", "v"), "b", " a", "y", pd.Timestamp("2024")))
    frame = pd.concat([*columns, pd.Series(_target(rng, n))], axis=1)
    frame.columns = pd.Index([*names, "y"], dtype=object)
    if rng.random() < 0.3:
        frame.index = pd.Index(rng.permutation(n), name=one_of(rng, (None, "id")))
    return frame


# --- sources ------------------------------------------------------------------------------------


def _csv(rng: Rng, folder: Path, ending: str = "csv") -> tuple[Path, str]:
    columns = _texts(rng, one_of(rng, _N_ROWS))
    separator = "\t" if ending.startswith("tsv") else one_of(rng, (",", ",", ";", "\t"))
    lines = [list(columns), *map(list, zip(*columns.values(), strict=True))]
    quoting = rng.random() < 0.95

    def cell(text: str) -> str:
        special = any(mark in text for mark in (separator, '"', "\n", "\r"))
        return '"' + text.replace('"', '""') + '"' if quoting and special else text

    end = one_of(rng, ("\n", "\n", "\r\n", "\r"))
    text = end.join(separator.join(map(cell, line)) for line in lines) + end
    encoding = one_of(rng, ("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"))
    raw = text.encode(encoding, errors="replace")
    what = f"{len(lines) - 1} rows in {encoding}"
    if ending.endswith(".gz"):
        raw = gzip.compress(raw, mtime=0)
    return _written(rng, folder, f"table.{ending}", raw, what)


def _parquet(rng: Rng, folder: Path) -> tuple[Path, str]:
    n = one_of(rng, _N_ROWS)
    arrays = {
        "a": pa.array(rng.normal(size=n)),
        "b": pa.array(rng.integers(0, 9, n), type=one_of(rng, (pa.int64(), pa.uint8()))),
        "c": pa.array([one_of(rng, ("u", "v", "é", None)) for _ in range(n)]),
        "d": pa.array(rng.integers(0, one_of(rng, (2**40, 2**61)), n)).cast(
            one_of(rng, _TIMESTAMPS)
        ),
        "f": pa.array([one_of(rng, (True, False, None)) for _ in range(n)], pa.bool_()),
        "g": pa.array([one_of(rng, ("u", "v")) for _ in range(n)]).dictionary_encode(),
        "t": pa.array([[1, 2]] * n, pa.list_(pa.int64())),
        "z": pa.array([b"\xff\xfe"] * n, one_of(rng, (pa.binary(), pa.binary(2)))),
        "y": pa.array(list(map(str, _target(rng, n)))),
    }
    kept = {name: arrays[name] for name in arrays if name == "y" or rng.random() < 0.6}
    kept = {name: kept[name] for name in kept if name not in "tz" or rng.random() < 0.1}
    buffer = io.BytesIO()
    compression = one_of(rng, ("snappy", "none", "gzip", "zstd"))
    pq.write_table(pa.table(kept), buffer, compression=compression, version="2.6")
    return _written(rng, folder, "table.parquet", buffer.getvalue(), f"{n} rows, {compression}")


_TIMESTAMPS = (
    pa.timestamp("ms"),
    pa.timestamp("us"),
    pa.timestamp("ns"),
    pa.timestamp("us", "UTC"),
)


def _npz(rng: Rng, folder: Path) -> tuple[Path, str]:
    n = one_of(rng, _N_ROWS)
    x = one_of(
        rng,
        (
            rng.normal(size=(n, 3)),
            rng.normal(size=n),
            rng.integers(0, 255, (n, 4, 4)).astype(np.uint8),
            rng.normal(size=(n, 2, 3, 1)) * 1e200,
            np.array([one_of(rng, ("u", "v")) for _ in range(n)], dtype="U1"),
            np.zeros((n, 0)),
            np.zeros((n, 0, 3)),
            np.zeros(n, dtype=[("u", "f8"), ("v", "i4")]),
            np.zeros((n, 2), dtype=[("u", "f8", 3)]),
            rng.integers(-(2**40), 2**60, n).astype("datetime64[s]"),
            np.zeros(n, "S3"),
            np.zeros(n, "c16"),
        ),
    )
    keys = one_of(rng, (("x", "y"), ("a", "y"), ("x_train", "y_train", "x_test", "y_test"), ("x",)))
    parts = {key: x if key.startswith(("x", "a")) else np.asarray(_target(rng, n)) for key in keys}
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", one_of(rng, (0, 8))) as archive:
        warnings.simplefilter("ignore")  # of a name that comes twice
        for key, array in parts.items():
            archive.writestr(f"{key}.npy", _member(rng, array))
        if rng.random() < 0.1:
            archive.writestr(one_of(rng, ("x.npy", "readme.txt", "../z.npy", "/z.npy")), b"hello")
    return _written(rng, folder, "table.npz", buffer.getvalue(), f"{', '.join(keys)} {x.dtype}")


def _member(rng: Rng, array: np.ndarray) -> bytes:
    """An array's file; its header or body damaged here gets a checksum that is right."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    raw = buffer.getvalue()
    if rng.random() < 0.3:
        shape = one_of(rng, _SHAPES).encode()
        begin = raw.index(b"'shape': ") + 9
        end = raw.index(b"), }", begin) + 1
        head = raw[:begin] + shape + raw[end:128].rstrip() + b"\n"
        raw = head[:8] + (len(head) - 10).to_bytes(2, "little") + head[10:] + raw[128:]
    return damaged(rng, raw)[0] if rng.random() < 0.3 else raw


_SHAPES = (
    *("()", "(1,)", "(3, 1)", "(-1,)", "(0, 4)", "(4, 0)", "(True,)", "(1.5,)", "('a',)", "None"),
    *("(1099511627776,)", "(4611686018427387904, 4)", "(9223372036854775807,)", "(2, 2, 2, 2)"),
    *("(" + "1, " * 70 + ")", "(" * 200 + ")" * 200, "[3]", "(3,", "__import__('os')"),
)


def _frame_source(rng: Rng, folder: Path) -> tuple[Any, str]:
    frame = _frame(rng, one_of(rng, _N_ROWS))
    what = " ".join(map(str, frame.dtypes))
    if rng.random() < 0.2:
        return (frame.drop(columns="y"), frame["y"].sample(frac=1, random_state=0)), f"pair {what}"
    return frame, what


def _written(rng: Rng, folder: Path, name: str, raw: bytes, what: str) -> tuple[Path, str]:
    if rng.random() < _SHARE_DAMAGED:
        raw, how = damaged(rng, raw)
        what += f", {how}"
    path = folder / name
    path.write_bytes(raw)
    return path, what


_TYPES: dict[str, Callable[[Rng, Path], tuple[Any, str]]] = {
    "csv": _csv,
    "tsv": lambda rng, folder: _csv(rng, folder, "tsv"),
    "csv.gz": lambda rng, folder: _csv(rng, folder, "csv.gz"),
    "parquet": _parquet,
    "npz": _npz,
    "frame": _frame_source,
}
