"""Prediction of raw rows by a finished run's exported model."""

from __future__ import annotations

import os
import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpsearch.data import read_rows
from hpsearch.data.unseen import beyond_ranges
from hpsearch.decisions.intervals import check_form
from hpsearch.errors import DataWarning
from hpsearch.export.bundle import Bundle
from hpsearch.results import Run, open_run
from hpsearch.results.layout import CODE, MANIFEST, OUTCOME, TRANSFORMERS
from hpsearch.task import OF_VALUES, Target

MODELS_KEPT: Final = 4
"""Models that a process keeps open, those used last."""

_opened: dict[Hashable, Bundle] = {}


def predict(
    run: str | os.PathLike[str] | Run,
    data: Any,
    *,
    interval: float | None = None,
    trust: bool = False,
) -> pd.DataFrame:
    """Predict raw rows: labels and probabilities, or values in the target's own units.

    A row is read as the run's schema says, whatever the other rows hold and whatever form it comes
    in: ``True`` may be ``1`` or ``yes``, a number text, a date a string.

    Parameters
    ----------
    run : a finished run or its folder.
    data : a file, a DataFrame or arrays with the columns that the model was trained on, in any
        order; cells may be missing, levels unseen, further columns are ignored. For a model of
        images, a folder of them, with or without folders in it.
    interval : the share of what comes that ranges of numbers, or sets of classes, are to hold, for
        example 0.9; ``docs/decisions.md`` says what is promised. By default there are none.
    trust : whether a transformer of one's own may be loaded that is kept in a form which runs code
        (``transformer.joblib``).

    Returns
    -------
    One row per given row; of a long table one per sequence, or for a forecast one per series,
    predicted from its last window, with what names them in front. For classes ``prediction`` and
    ``probability.<label>`` for each label; for several labels a row, a 0/1 column and a
    ``probability.<label>`` each; for regression a column per target; for quantiles a column per
    level, such as ``q0.1``. A label is predicted from the run's threshold on, 0.5 where it chose
    none. The paths of images come first, under their column's name. With ``interval``:
    ``low.<target>`` and ``high.<target>`` for each number, in its own units; ``set`` for classes,
    those that it holds with `` | `` between them.

    Warns
    -----
    DataWarning
        The rows hold what the training rows did not: levels, words, missing cells, numbers or dates
        outside their range. They are predicted all the same.

    Raises
    ------
    InputError
        If the folder holds no finished run, or the rows lack a column or hold unusable cells; if
        ``interval`` is not between 0 and 1, needs more rows than the run had, or has no meaning
        for several labels a row; if the model needs a transformer whose file runs code, and
        ``trust`` is not given.
    ModelFileError
        If the exported model is missing, damaged or not the one that the run wrote.
    """
    predicted = predict_rows(run, data, interval, trust=trust)
    for text in predicted.unseen:
        warnings.warn(text, DataWarning, stacklevel=2)
    return predicted.frame


@dataclass(frozen=True, eq=False)
class Predicted:
    """Predictions as ``predict`` returns them, and what was noticed while reading the rows.

    Attributes
    ----------
    frame : a row per given row.
    notes : what was executed, ignored or read in another form, a sentence each.
    unseen : what the rows hold that the training rows did not, a sentence each.
    """

    frame: pd.DataFrame
    notes: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()


def predict_rows(
    run: str | os.PathLike[str] | Run,
    data: Any,
    interval: float | None = None,
    *,
    trust: bool = False,
) -> Predicted:
    """``predict``, with what there is to say about the rows instead of warnings."""
    bundle = _kept(open_run(run), trusts=trust)
    if interval is not None:
        bundle.conformity.quantiles(interval)  # refused before the rows are read
    with bundle.reading():
        rows = read_rows(data, bundle.schema)
        predictions = bundle.predict(bundle.encoded(rows.frame, rows.arrays))
        frame = prediction_frame(bundle.schema.target, predictions, bundle.thresholds)
        if interval is not None:
            frame = with_intervals(frame, bundle, predictions, interval)
        if rows.labels is not None:
            frame = pd.concat([rows.labels, frame], axis=1)
        for name, paths in reversed(rows.paths.items()):
            frame.insert(0, name if name not in frame else f"{name} (path)", paths.to_numpy())
        beyond = beyond_ranges(rows.frame, bundle.manifest.get("ranges") or {})
        executed = () if bundle.code is None else (bundle.code.words,)
        differs = "" if bundle.transformer is None else bundle.transformer.differs
        unseen = (*([differs] if differs else []), *rows.unseen, *beyond)
        return Predicted(frame, (*executed, *rows.notes), unseen)


def load_transformer(run: str | os.PathLike[str] | Run, *, trust: bool = False) -> Any:
    """The transformer of one's own that stands before a run's model, fitted on all of its rows.

    Parameters
    ----------
    run : a finished run or its folder; trust : as in ``predict``.

    Returns
    -------
    The object of scikit-learn's kind; it takes a DataFrame of the run's raw columns. The model
    takes what it gives as the input ``prepared``. None where the run has no such transformer.

    Raises
    ------
    InputError
        Its file runs code, and is not trusted.
    ModelFileError
        It is not the file that the run wrote, or cannot be loaded here.
    """
    own = _bundle_of(open_run(run)).transformer
    return None if own is None else own.opened(trusts=trust)


def load_model(run: str | os.PathLike[str] | Run) -> Any:
    """The run's exported ``keras.Model``, preprocessing included, checked against its SHA-256.

    A transformer of one's own is no part of it; see ``load_transformer``.
    Where it holds layers of the space's own, the code that the run kept is executed.
    """
    return _bundle_of(open_run(run)).model


def _bundle_of(run: Run, *, trusts: bool = False) -> Bundle:
    run.require_unchanged(MANIFEST)
    is_sealed = MANIFEST in (run.best.get("sha256") or {})
    return Bundle.of(run, is_sealed=is_sealed, trusts=trusts)


def _kept(run: Run, *, trusts: bool = False) -> Bundle:
    """The bundle of a run whose files are those that were opened before, if any.

    Its model is loaded, and its program compiled. Models are few, so only the last ones are kept.
    """
    names = (*OUTCOME, *TRANSFORMERS)
    files = [*(run.path / name for name in names), *sorted((run.path / CODE).rglob("*.py"))]
    key = (trusts, *map(_state, files))
    found = _opened.pop(key, None) or _bundle_of(open_run(run.path), trusts=trusts)
    _opened[key] = found
    while len(_opened) > MODELS_KEPT:
        del _opened[next(iter(_opened))]
    return found


def _state(path: Path) -> tuple[str, int, int, int]:
    """What changes when a file is written or replaced: its inode, its size, its time."""
    try:
        found = path.stat()
    except OSError:
        return str(path.absolute()), 0, 0, 0  # which opening it tells
    return str(path.absolute()), found.st_ino, found.st_size, found.st_mtime_ns


def with_intervals(
    frame: pd.DataFrame, bundle: Bundle, predictions: NDArray[Any], level: float
) -> pd.DataFrame:
    """Predictions as people read them, with their ranges or sets.

    Parameters
    ----------
    frame : of ``prediction_frame``; predictions : canonical.
    level : what ranges or sets are to hold of what comes.
    """
    target, conformity = bundle.schema.target, bundle.conformity
    if check_form(target) == "range":
        ends = conformity.ranges(target, predictions, level)
        columns = {
            f"{side}.{name}": values[:, number]
            for number, name in enumerate(target.names)
            for side, values in zip(("low", "high"), ends, strict=True)
        }
        return frame.assign(**columns)
    members = conformity.sets(target, predictions, level)
    labels = np.array([str(label) for label in target.labels], dtype=object)
    sets = [" | ".join(labels[row]) for row in members]
    frame.insert(1, "set", sets)
    return frame


def prediction_frame(
    target: Target, predictions: NDArray[Any], thresholds: Sequence[float] = ()
) -> pd.DataFrame:
    """Canonical predictions as people read them.

    Parameters
    ----------
    thresholds : from which probability on a label is predicted, as ``Target.decode`` takes them.

    Examples
    --------
    >>> target = Target(("ill",), "binary", ("no", "yes"))
    >>> prediction_frame(target, np.array([0.25, 0.75]))["prediction"].tolist()
    ['no', 'yes']
    """
    decoded = target.decode(predictions, thresholds)
    if target.kind in OF_VALUES:
        columns = target.quantiles or target.names
        return pd.DataFrame(predictions.reshape(len(predictions), -1), columns=list(columns))
    parts: dict[str, Any] = {}
    if target.kind == "multilabel":
        parts |= {str(name): decoded[:, i] for i, name in enumerate(target.labels)}
    else:
        parts["prediction"] = decoded
    if target.kind == "binary":
        predictions = np.stack([1.0 - predictions, predictions], axis=1)
    for i, label in enumerate(target.labels):
        parts[f"probability.{label}"] = predictions[:, i]
    return pd.DataFrame(parts)
