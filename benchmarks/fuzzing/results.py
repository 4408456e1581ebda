"""Finished runs whose files are damaged, edited, exchanged or gone, and who looks at them."""

from __future__ import annotations

import contextlib
import os
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.fuzzing.base import Attempt, one_of
from benchmarks.fuzzing.mutations import HOSTILE_CELLS, damaged
from benchmarks.fuzzing.runs import (
    DOCUMENTS,
    TABLES,
    changed_json,
    command,
    copied,
    finished_run,
    rewritten,
    unseal,
)

Rng = np.random.Generator

COMMANDS = (
    ("show", "{run}"),
    ("show", "{run}", "--compare"),
    ("show", "{run}", "--compare", "0", "1"),
    ("compare", "{run}", "{other}"),
    ("report", "{run}"),
)


def attempt(rng: Rng, folder: Path) -> Attempt:
    """A run with one to three damages, and a command that reads it."""
    run = copied(folder)
    if rng.random() < 0.8:
        unseal(run)
    said = [one_of(rng, (_bytes, _entry, _entry, _cell, _cell, _columns, _place))(rng, run)
            for _ in range(int(rng.integers(1, 4)))]  # fmt: skip
    words = one_of(rng, COMMANDS)
    words = [word.format(run=run, other=finished_run()) for word in words]
    what = f"{'; '.join(said)}; {' '.join(words[:1] + words[2:])}"
    return Attempt(what, partial(command, *words))


def _bytes(rng: Rng, run: Path) -> str:
    path = run / one_of(rng, (*TABLES, *DOCUMENTS, "journal.sqlite", "timings.csv"))
    if not path.is_file():
        return "nothing"
    content, said = damaged(rng, path.read_bytes())
    path.write_bytes(content)
    return f"{path.name}: {said}"


def _entry(rng: Rng, run: Path) -> str:
    path = run / one_of(rng, DOCUMENTS)
    try:
        return rewritten(path, partial(changed_json, rng)) if path.is_file() else "nothing"
    except ValueError:
        return "nothing"


def _table(rng: Rng, run: Path) -> tuple[Path, pd.DataFrame]:
    path, table = run / one_of(rng, TABLES), pd.DataFrame()
    if path.is_file():
        with contextlib.suppress(ValueError):
            table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return path, table


def _cell(rng: Rng, run: Path) -> str:
    """One to five cells of a table become others."""
    path, table = _table(rng, run)
    if table.empty:
        return "nothing"
    for _ in range(int(rng.integers(1, 6))):
        row, column = int(rng.integers(len(table))), int(rng.integers(table.shape[1]))
        table.iloc[row, column] = one_of(rng, (*HOSTILE_CELLS, "-1", "0", "1", "99", "completed"))
    table.to_csv(path, index=False)
    return f"{path.name}: {table.columns[column]} of row {row}, and others"


def _columns(rng: Rng, run: Path) -> str:
    """Columns or rows are lost, doubled, renamed or put in another order."""
    path, table = _table(rng, run)
    if table.empty:
        return "nothing"
    column = str(one_of(rng, table.columns))
    what = one_of(rng, ("lose", "rename", "double", "no rows", "one row", "twice", "shuffle"))
    if what == "lose":
        table = table.drop(columns=column)
    elif what == "rename":
        table = table.rename(columns={column: str(one_of(rng, ("trial", "x", "", "val_")))})
    elif what == "double":
        table = pd.concat([table, table[column]], axis=1)
    elif what == "twice":
        table = pd.concat([table, table])
    elif what == "shuffle":
        table = table.sample(frac=1.0, random_state=int(rng.integers(2**31)))
    else:
        table = table.head(0 if what == "no rows" else 1)
    table.to_csv(path, index=False)
    return f"{path.name}: {what} ({column})"


def _place(rng: Rng, run: Path) -> str:
    """A file is gone, or something else stands in its place."""
    name = one_of(rng, (*TABLES, *DOCUMENTS, "journal.sqlite", "timings.csv", "report.html"))
    path = run / name
    if path.is_file() or path.is_symlink():
        path.unlink()
    elif path.exists():
        return "nothing"
    what = one_of(rng, ("gone", "empty", "a folder", "a link", "a pipe", "another's"))
    if what == "empty":
        path.touch()
    elif what == "a folder":
        path.mkdir()
    elif what == "a link":
        path.symlink_to(one_of(rng, ("nowhere", "run.json", name, "/dev/zero")))
    elif what == "a pipe":
        os.mkfifo(path)
    elif what == "another's":
        other = finished_run() / one_of(rng, (*TABLES, *DOCUMENTS))
        path.write_bytes(other.read_bytes())
    return f"{name} is {what}"
