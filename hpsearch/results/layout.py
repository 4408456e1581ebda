"""The names of what a run leaves in its folder, and whether a folder holds a run.

``run.json`` says what was asked and under which conditions. These keys are read where they are
there: ``data`` (``name``, ``n_rows``, ``n_columns``, ``fingerprint``, ``task``, ``target``),
``space``, ``oracle``, ``engine``, ``metric``, ``direction`` (``min`` or ``max``), ``trials``,
``folds``, ``repeats``, ``epochs``, ``split``, ``split_reason``, ``fix``, ``seed``.
``best.json`` holds the selected trial: ``trial``, ``metric``, ``direction``, ``score``,
``score_se``, ``ci_low``, ``ci_high``, ``n_folds``, ``best_epoch``, ``hyperparameters`` (name to
value), ``metrics`` (metric to mean), ``selected_by`` (``rule``, ``reason``), ``ledger`` (the form
of ``hpsearch.ledger.Ledger``), ``modes`` and ``learning_rate`` of the retrained network, and where
test rows were given ``test`` (metric to value). It is written last: a run without it did not
finish.
``model.json``, the manifest, says what the model expects and gives; ``model_card.md`` tells people.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from hpsearch.errors import InputError
from hpsearch.paths import found_at, shown
from hpsearch.results.files import read_json

RUN_FORMAT: Final = "hpsearch run 1"

TRIALS: Final = "trials.csv"
FOLDS: Final = "folds.csv"
CURVES: Final = "curves.csv"
PREDICTIONS: Final = "predictions.csv"
TIMINGS: Final = "timings.csv"
BASELINES: Final = "baselines.csv"
NESTED_TABLE: Final = "nested.csv"
IMPORTANCE: Final = "importance.csv"
PREDICTING: Final = "predicting.csv"
TABLES: Final = (TRIALS, FOLDS, CURVES, PREDICTIONS, TIMINGS)
TABLES_ASKED_FOR: Final = (BASELINES, NESTED_TABLE, IMPORTANCE, PREDICTING)

MEASURED: Final = (TIMINGS, PREDICTING)
"""What another run of the same search has in another form."""

SETTINGS: Final = "run.json"
BEST: Final = "best.json"
MODEL: Final = "model.keras"
MANIFEST: Final = "model.json"
TRANSFORMERS: Final = ("transformer.skops", "transformer.joblib")
"""The transformer of one's own that was fitted on all rows, in one of two forms."""

OUTCOME: Final = (BEST, MODEL, MANIFEST)

MODEL_CARD: Final = "model_card.md"
REPORT: Final = "report.html"
TEXTS: Final = (REPORT, MODEL_CARD)

CODE: Final = "code"
"""The folder of what the model needs of the space's code, where it needs any."""

JOURNAL: Final = "journal.sqlite"
APPLICATION: Final = 0x68707372
"""SQLite's application id of a journal: ``hpsr``."""

COMPANIONS: Final = tuple(f"{JOURNAL}-{end}" for end in ("journal", "wal", "shm"))
NESTED: Final = "nested"
"""The folder of the outer folds' journals."""

LOGGED: Final = "logs.json"
"""Under which numbers logs elsewhere keep the run."""

TENSORBOARD: Final = "tensorboard"
"""The folder of TensorBoard's events, and of one folder for each trial."""

EVENTS: Final = "events.out.tfevents.hpsearch."
"""What the names of our files there begin with."""

NEXT: Final = ".next"
"""Inside a run's folder, the folder of the run that is to replace it."""

DONE: Final = ".done"
"""The same once that run has ended, while its files move to their places."""


_LONGEST_NAME: Final = 60
"""Characters; file systems allow 255 bytes, of which a letter may take four."""


def free_name(root: str | os.PathLike[str], name: str) -> Path:
    """The first of ``root/NAME``, ``root/NAME-2``, ``root/NAME-3``, ... that is not there yet.

    Characters of ``name`` that do not belong in a file name on every system become ``-``.

    Examples
    --------
    >>> free_name("no-such-folder", "sklearn:wine").as_posix()
    'no-such-folder/sklearn-wine'
    """
    stem = re.sub(r"[^\w.-]+", "-", name)[:_LONGEST_NAME].strip("-.") or "run"
    path = Path(root) / stem
    number = 1
    while path.exists():
        number += 1
        path = Path(root) / f"{stem}-{number}"
    return path


def is_run(folder: Path) -> bool:
    """Whether hpsearch wrote the folder's journal, which comes first, or its ``run.json``."""
    if is_journal(folder / JOURNAL):
        return True
    try:
        settings = read_json(folder / SETTINGS)
    except (OSError, ValueError):
        return False
    return isinstance(settings, dict) and settings.get("format") == RUN_FORMAT


def is_journal(path: Path) -> bool:
    """Whether a file says that it is a journal; damaged or not."""
    if not path.is_file():
        return False
    try:
        with open(path, "rb") as stream:
            head = stream.read(72)
    except OSError:
        return False
    return head[:15] == b"SQLite format 3" and head[68:72] == APPLICATION.to_bytes(4, "big")


def require_run(folder: Path) -> None:
    """Raise ``InputError`` unless the folder holds a run, finished or not."""
    found = found_at(folder)
    if found != "a folder":
        raise InputError(
            f"A run is the folder that `hpsearch run` wrote; {shown(folder)} is "
            f"{found or 'not there'}. "
            "Check the path."
        )
    if not is_run(folder):
        raise InputError(
            f"A run's folder holds a {SETTINGS} written by hpsearch; {str(folder)!r} has none. "
            "Give the folder that `hpsearch run` printed at its end."
        )
