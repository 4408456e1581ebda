"""Options: random sets of them, up to the moment at which the first network would be built.

Drawn from the options' own declarations, so that a new option is tried without a line here. Half
of the sets go through the command line, which must end with 2 and one line on standard error; the
other half through ``Search`` in Python, with values that only Python has.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import hpsearch
from benchmarks.fuzzing.base import Attempt, WrongError, one_of
from benchmarks.fuzzing.mutations import Rng
from hpsearch import cli
from hpsearch.data.options import TABLE_OPTIONS
from hpsearch.options import Option, declared
from hpsearch.search.options import Options

_SEARCH_OPTIONS = tuple(option for option in declared(Options) if option.name != "out")
_WHERE_TRAINING_BEGINS = "hpsearch.search.execution.Session"
_WORD = re.compile(r"[\w.-]+")

_WORDS = (
    *("", " ", "x", "-1", "0", "1", "2", "3", "5", "1.5", "1e3", "nan", "inf", "-0", "0x10", "é"),
    *("99999999999999999999", "1" * 5000, "x" * 5000, "None", "true", "auto", "a,b", '"a', "a\nb"),
    *(
        "a=b",
        "=",
        "n_layers=1",
        "n_layers=99",
        "optimizer=adam",
        "lr=nan",
        "--",
        "-k",
        "*",
        "a\x1b",
    ),
    *(
        "table.csv",
        "none.csv",
        "pipe.csv",
        "zeros.csv",
        "folder",
        ".",
        "/",
        "/dev/null",
        "~nobody/x",
    ),
    *(
        "y",
        "c",
        "z",
        "i",
        "a",
        "b",
        "d",
        "t",
        "g",
        "space.py",
        "pipe.py",
        "sklearn:iris",
        "keras:x",
    ),
)
_SIZES = (1, 1, 2, 2, 3, 3, 4, 5, 8, 12, 29, 30, 31, 60, 100)
_ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, 2, 3, -1, 0.5, 1.5, 10**6, 10**12, 2**63, -(2**63), float("nan")),
    *(float("inf"), np.int64(3), np.float64(0.25), np.bool_(True), Decimal(2), 1j, "", "x", b"3"),
    *((), [], {}, [1], {"n_layers": 1}, {"n_layers": [1]}, {1: 2}, {"optimizer": "adam"}, set()),
    *(np.array([1, 2]), np.array(3), object(), len, int, Path("none.csv"), range(3)),
)


class Begun(BaseException):
    """Everything was accepted; training would begin now."""


def attempt(rng: Rng, folder: Path) -> Attempt:
    """A set of options, for the command line or for Python."""
    _make_files(folder)
    return _by_command_line(rng, folder) if rng.random() < 0.5 else _in_python(rng, folder)


def _make_files(folder: Path) -> None:
    """A small table with a column of each kind, and things that are no tables."""
    rows = ["a,b,c,d,t,g,i,y,z"]
    for i in range(60):
        day, text = f"2024-01-{i % 28 + 1:02d}", f"word{i % 7} and more words {i % 3}"
        cells = (
            i * 37 % 101 / 7,
            i % 5,
            "uvw"[i % 3],
            day,
            text,
            f"g{i % 12}",
            i % 2,
            i % 4,
            i / 60,
        )
        rows.append(",".join(map(str, cells)))
    (folder / "table.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "space.py").write_text("def build(hp, problem):\n    return None\n", encoding="utf-8")
    (folder / "folder").mkdir()
    for name in ("pipe.csv", "pipe.py"):
        os.mkfifo(folder / name)
    (folder / "zeros.csv").symlink_to("/dev/zero")


# --- the command line ---------------------------------------------------------------------------


def _by_command_line(rng: Rng, folder: Path) -> Attempt:
    data = "table.csv" if rng.random() < 0.9 else one_of(rng, _WORDS)
    words = ["run", data]
    if rng.random() < 0.9:
        words += ["--target", one_of(rng, ("y", "i", "z", "i,y", "c", "g"))]
    if rng.random() < 0.3:
        words += ["--out", one_of(rng, _WORDS)]
    options = [o for o in (*TABLE_OPTIONS, *_SEARCH_OPTIONS) if o.panel is not None]
    for _ in range(int(rng.integers(0, 7))):
        words += _words_of(one_of(rng, options), rng)
    return Attempt(shlex.join(["hpsearch", *words])[:500], lambda: _run_command(words, folder))


def _words_of(option: Option, rng: Rng) -> list[str]:
    """An option and a value on the command line, sensible in most cases."""
    if option.is_switch:
        return [one_of(rng, (option.flag, f"--no-{option.flag[2:]}"))]
    if rng.random() < 0.25:
        return [option.flag, one_of(rng, _WORDS)]
    if option.given is int:
        return [option.flag, str(one_of(rng, (*_SIZES, 0, -1, 10**6, 10**9, 10**12)))]
    if option.given is float:
        return [option.flag, str(one_of(rng, (0.1, 0.25, 0.5, 0.9, 1, 0, 2, 1e-9, 1e9)))]
    return [option.flag, one_of(rng, (*_WORD.findall(option.words), *_WORDS))]


def _run_command(words: list[str], folder: Path) -> str:
    out, err = io.StringIO(), io.StringIO()
    with _inside(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli.main(words)
        except Begun:
            return "begun"
        except SystemExit as end:
            raise WrongError(f"SystemExit({end.code!r})") from end
    lines = err.getvalue().splitlines()
    said = [line for line in lines if not line.startswith(("note: ", "warning: "))]
    if code != 2:
        raise WrongError(f"exit code {code}: {' '.join(lines)[:200]}")
    if len(said) != 1 or not said[0].startswith("error: "):
        raise WrongError(f"no single line of error: {lines[:5]!r}")
    return f"refused: {said[0]}"


# --- Python -------------------------------------------------------------------------------------


def _in_python(rng: Rng, folder: Path) -> Attempt:
    how = {"target": one_of(rng, ("y", "i", "z", ["i", "y"], "c"))}
    chosen = [one_of(rng, _SEARCH_OPTIONS) for _ in range(int(rng.integers(1, 6)))]
    options = {option.name: _value_of(option, rng) for option in chosen}
    for option in TABLE_OPTIONS:
        if rng.random() < 0.1:
            how[option.name] = _value_of(option, rng)
    what = f"load(..., {_shown(how)}); Search({_shown(options)})"
    return Attempt(what, lambda: _search(how, options, folder))


def _shown(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r:.60}" for name, value in values.items())


def _value_of(option: Option, rng: Rng) -> Any:
    if rng.random() < 0.5:
        return one_of(rng, (*_ODD_VALUES, *_WORDS))
    if option.given is int:
        return one_of(rng, _SIZES)
    return one_of(rng, (option.default, *_WORD.findall(option.words)))


def _search(how: dict[str, Any], options: dict[str, Any], folder: Path) -> str:
    with _inside(folder):
        try:
            data = hpsearch.load("table.csv", **how)
            hpsearch.Search(**options, out="run").run(data)
        except Begun:
            return "begun"
    raise WrongError("a search that ended without training")


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Work in a folder; where workers would start, ``Begun`` is raised instead."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        with mock.patch(_WHERE_TRAINING_BEGINS, side_effect=Begun):
            yield
    finally:
        os.chdir(before)
