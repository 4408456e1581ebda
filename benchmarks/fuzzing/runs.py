"""Runs that are made once in a process, to be copied and damaged; and commands that read them."""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib.util
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

import hpsearch
import hpsearch.cli
from benchmarks.fuzzing.base import WrongError, one_of
from hpsearch.data import Dataset
from hpsearch.errors import InputError
from tests.machines_here import MachinesHere

Rng = np.random.Generator
PRETENDED = Path(__file__).resolve().parents[2] / "tests" / "pretended.py"

os.environ.setdefault("KERAS_BACKEND", "numpy")  # nothing is compiled

SPACE = """
def declare(hp, problem):
    hp.Float("rate", 0.0, 1.0)

def build(hp, problem):
    raise NotImplementedError
"""
OPTIONS: dict[str, Any] = {
    "trials": 4,
    "folds": 3,
    "repeats": 2,
    "epochs": 3,
    "batch_size": 9,
    "jobs": 1,
    "test_size": 0.2,
    "nested": 2,
}
TABLES = ("trials.csv", "folds.csv", "curves.csv", "predictions.csv", "nested.csv")
DOCUMENTS = ("run.json", "best.json", "model.json")


@functools.cache
def _pretended() -> Any:
    """The engine that stands for Keras in the tests."""
    spec = importlib.util.spec_from_file_location("pretended_to_fuzz", PRETENDED)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def pretending() -> Iterator[str]:
    """Searches train in this process, and quickly; the engine's name."""
    with (
        mock.patch("hpsearch.scoring.crew.machines", MachinesHere),
        mock.patch("hpsearch.results.journal._SYNCHRONOUS", "OFF"),
        _pretended().pretend() as engine,
    ):
        yield engine


def loaded(root: Path) -> Dataset:
    """The table of the finished run."""
    return hpsearch.load(root / "table.csv", target="kind", text=["note"])


@functools.cache
def finished_run() -> Path:
    """The folder of a finished run of a classification, beside its table and its space."""
    root = Path(tempfile.mkdtemp(prefix="fuzz-run-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(60, 2)).round(3), columns=["a", "b"])
    table["city"] = rng.choice(["Lima", "Oslo", "Rome"], 60)
    table["note"] = rng.choice(["all is well", "not so well", "bad, bad"], 60)
    table["day"] = pd.date_range("2024-01-01", periods=60).strftime("%Y-%m-%d")
    table["kind"] = rng.choice(["yes", "=no"], 60)
    table.to_csv(root / "table.csv", index=False)
    (root / "space.py").write_text(SPACE)
    data = loaded(root)
    with pretending() as engine:
        search = hpsearch.Search(root / "space.py", **OPTIONS, engine=engine, out=root / "run")
        return search.run(data).path


def copied(folder: Path) -> Path:
    """A copy of the finished run."""
    return Path(shutil.copytree(finished_run(), folder / "run"))


def command(*words: Any) -> str:
    """Run a command of hpsearch in this process; an ``InputError`` where it refuses.

    Raises
    ------
    WrongError
        It ends with another exit code than 0 or 2, or says more or less than one line.
    """
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = hpsearch.cli.main([str(word) for word in words])
    errors = [line for line in err.getvalue().splitlines() if line.startswith("error: ")]
    if code == 2 and len(errors) == 1:
        raise InputError(errors[0].removeprefix("error: "))
    if code != 0 or errors:
        raise WrongError(f"exit code {code}: {err.getvalue()[-300:]}")
    return f"{words[0]} ends well"


def unseal(run: Path) -> None:
    """Take the digests away, so that what is read is what must be right."""
    best = json.loads((run / "best.json").read_text())
    del best["sha256"]
    (run / "best.json").write_text(json.dumps(best))


HOSTILE_VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 7, 0.5, -0.0, 1e308, 10**19, 10**400, 2**53 + 1),
    *("", "x", "1", "nan", "x" * 1000, "\x1b[2J", "\u202e", "a\nb", "../..", "log_loss", "min"),
    *([], {}, [[]], [None], {"": None}, {"a": {"b": []}}, ["a", 1], [1, 2, 3]),
)


def changed_json(rng: Rng, value: Any) -> tuple[Any, str]:
    """A document with one or two entries changed, lost or added; and which."""
    said = []
    for _ in range(int(rng.integers(1, 3))):
        places = [*_places(value)]
        if not places:
            return one_of(rng, HOSTILE_VALUES), "all of it"
        holder, key = places[int(rng.integers(len(places)))]
        what = one_of(rng, ("change", "change", "lose", "add"))
        said.append(f"{what} {key!r}")
        if what == "lose":
            del holder[key]
        elif what == "change":
            holder[key] = one_of(rng, HOSTILE_VALUES)
        elif isinstance(holder, list):
            holder.insert(key, one_of(rng, HOSTILE_VALUES))
        else:
            holder[f"{key}2"] = one_of(rng, HOSTILE_VALUES)
    return value, ", ".join(said)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every entry of a document: what holds it, and its key."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    for key, item in items:
        yield value, key
        yield from _places(item)


def rewritten(path: Path, change: Callable[[Any], tuple[Any, str]]) -> str:
    """Change a JSON document in its place; what was changed."""
    value, said = change(json.loads(path.read_text()))
    path.write_text(json.dumps(value))
    return f"{path.name}: {said}"
