"""The folder of one run: made, filled and opened again.

Owns the names of the files under ``results/NAME``, the refusal to write over what is there, and
``Run``, the reading side. What stands in the tables belongs to ``tables``, what the run did and was
asked to ``journal``, who works on the folder to ``lock``; the search fills them.

``run.json`` says what was asked and under which conditions. ``Run`` and the command line read
these keys where they are there: ``data`` (``name``, ``n_rows``, ``n_columns``, ``fingerprint``,
``task``, ``target``), ``space``, ``oracle``, ``engine``, ``metric``, ``direction`` (``min`` or
``max``), ``trials``, ``folds``, ``repeats``, ``epochs``, ``split``, ``split_reason``, ``fix``,
``seed``.
``best.json`` holds the selected trial: ``trial``, ``metric``, ``direction``, ``score``,
``score_se``, ``ci_low``, ``ci_high``, ``n_folds``, ``best_epoch``, ``hyperparameters`` (name to
value), ``metrics`` (metric to mean), ``selected_by`` (``rule``, ``reason``), ``ledger`` (the form
of ``hpsearch.ledger.Ledger``), ``modes`` and ``learning_rate`` of the retrained network, and where
test rows were given ``test`` (metric to value). It is written last: a run without it did not
finish.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from hpsearch.errors import HpsearchError, InputError, RunExistsError, StorageError
from hpsearch.results.lock import HOLDER, LOCK, FolderLock, is_locked, locked_text

if TYPE_CHECKING:
    import pandas as pd

    from hpsearch.diagnoses import Diagnosis, Tables
    from hpsearch.ledger import Ledger
    from hpsearch.results.journal import Journal

RUN_FORMAT: Final = "hpsearch run 1"
TABLES: Final = ("trials.csv", "folds.csv", "curves.csv", "predictions.csv", "timings.csv")
BASELINES: Final = "baselines.csv"
NESTED_TABLE: Final = "nested.csv"
NESTED: Final = "nested"
"""The folder of the outer folds' journals."""

SETTINGS: Final = "run.json"
BEST: Final = "best.json"
MODEL: Final = "model.keras"
MODEL_CARD: Final = "model.json"
MODEL_CARD_TEXT: Final = "model_card.md"
REPORT: Final = "report.html"
JOURNAL: Final = "journal.sqlite"
# In the order in which an old run is removed: first what says that it is finished, last what
# says that it is a run, so that an interrupted removal leaves an unfinished run.
_OUTCOME: Final = (BEST, MODEL, MODEL_CARD)
_TEXTS: Final = (REPORT, MODEL_CARD_TEXT)
_COMPANIONS: Final = tuple(f"{JOURNAL}-{end}" for end in ("journal", "wal", "shm"))
_WHERE_ASKED_FOR: Final = (BASELINES, NESTED_TABLE)
RUN_FILES: Final = (
    *(*_OUTCOME, *_TEXTS, *TABLES, *_WHERE_ASKED_FOR, *_COMPANIONS),
    *(JOURNAL, SETTINGS),
)
_TEMPORARY: Final = re.compile(
    r"\.(" + "|".join(map(re.escape, (*RUN_FILES, HOLDER))) + r")\.\d+\.tmp(-journal)?"
)


def free_name(root: str | os.PathLike[str], name: str) -> Path:
    """The first of ``root/NAME``, ``root/NAME-2``, ``root/NAME-3``, ... that is not there yet.

    Characters of ``name`` that do not belong in a file name on every system become ``-``.

    Examples
    --------
    >>> free_name("no-such-folder", "sklearn:wine").as_posix()
    'no-such-folder/sklearn-wine'
    """
    stem = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"
    path = Path(root) / stem
    number = 1
    while path.exists():
        number += 1
        path = Path(root) / f"{stem}-{number}"
    return path


class RunFolder:
    """A folder that this process fills with one run; no other process may meanwhile.

    A context manager: at its end the folder is given back, and taken away again where ``create``
    made it and nothing was written to it.

    Attributes
    ----------
    path : the folder.
    is_new : whether ``create`` made it.
    """

    def __init__(self, path: Path, *, is_new: bool = False) -> None:
        self.path = path
        self.is_new = is_new
        self._lock = FolderLock(path)
        self._lock.acquire()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    @classmethod
    def create(cls, path: str | os.PathLike[str], *, overwrite: bool = False) -> RunFolder:
        """Make the folder and its parents, or take it over where that is safe.

        An empty folder is taken as it is. A folder with a run is taken with ``overwrite``; the
        old run stays until ``begin`` makes place for the new one.

        Raises
        ------
        RunLockedError
            Another process works on the folder.
        RunExistsError
            The folder holds a run (without ``overwrite``) or something that is no run, is a
            file, or cannot be made or written.
        """
        path = Path(path)
        try:
            _refuse_foreign(path)
            is_new = not path.is_dir()
            path.mkdir(parents=True, exist_ok=True)
            folder = cls(path, is_new=is_new)
            try:
                _refuse_used(path, overwrite=overwrite)
                _try_writing(path)
            except BaseException:
                folder.release()
                raise
        except OSError as error:
            if isinstance(error, RunExistsError):
                raise
            raise RunExistsError(_unwritable(path, error)) from error
        return folder

    @classmethod
    def reopen(cls, path: str | os.PathLike[str]) -> RunFolder:
        """Take the folder of a run in order to go on with it.

        Raises
        ------
        RunLockedError
            Another process works on the folder.
        InputError
            There is no such folder, it holds no run, or it cannot be written.
        """
        path = Path(path)
        _require_run(path)
        try:
            return cls(path)
        except OSError as error:
            if isinstance(error, RunExistsError):
                raise
            raise RunExistsError(_unwritable(path, error)) from error

    def release(self) -> None:
        """Give the folder back; safe to call twice."""
        if self.is_new:
            self.is_new = False
            with suppress(OSError):
                if {item.name for item in self.path.iterdir()} <= {LOCK, HOLDER}:
                    (self.path / HOLDER).unlink(missing_ok=True)
                    (self.path / LOCK).unlink()
                    self.path.rmdir()
        self._lock.release()

    @property
    def is_finished(self) -> bool:
        """Whether the run that is there has ended, and nothing of it is gone."""
        return all((self.path / name).is_file() for name in (*_OUTCOME, *TABLES, SETTINGS))

    def begin(self, asked: Mapping[str, Any]) -> Journal:
        """Begin the run: remove what an old one left, and make the journal.

        The journal marks the folder as a run. Files that hpsearch did not write are kept.

        Parameters
        ----------
        asked : what the run is resumed by; it is kept in the journal.
        """
        from hpsearch.results.journal import Journal

        with self._writing():
            _remove_run(self.path)
            return Journal.create(self.path / JOURNAL, asked)

    def nested_journal(self, fold: int, n_folds: int, asked: Mapping[str, Any]) -> Journal:
        """The journal of one outer fold's search, new where there is none.

        Parameters
        ----------
        fold, n_folds : which of how many.
        asked : what a new one is to keep.

        Raises
        ------
        InputError
            The one that is there is damaged beyond use.
        """
        from hpsearch.results.journal import Journal

        path = self.path / NESTED / f"outer-{fold}-of-{n_folds}.sqlite"
        if path.is_file():
            return Journal.open(path)
        with self._writing():
            path.parent.mkdir(exist_ok=True)
        return Journal.create(path, asked)

    def journal(self) -> Journal:
        """The journal of the run that is there.

        Raises
        ------
        InputError
            There is none, or it is damaged beyond use.
        """
        from hpsearch.results.journal import Journal

        return Journal.open(self.path / JOURNAL)

    def begin_again(self) -> None:
        """Take away what says that the run is finished."""
        with self._writing():
            for name in (*_OUTCOME, *_TEXTS, *_WHERE_ASKED_FOR, "predictions.csv"):
                (self.path / name).unlink(missing_ok=True)

    def write_settings(self, settings: Mapping[str, Any]) -> None:
        """Write ``run.json``."""
        self.write_json(SETTINGS, {**settings, "format": RUN_FORMAT})

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Write a document in canonical JSON (``files.to_json_text``), whole or not at all."""
        from hpsearch.results.files import to_json_text

        self.write_file(name, to_json_text(value).encode("utf-8"))

    def write_file(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all.

        Raises
        ------
        StorageError
            It cannot be written.
        """
        from hpsearch.results.files import write_atomically

        with self._writing():
            write_atomically(self.path / name, content)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, HpsearchError):
                raise
            raise StorageError(
                f"The results folder must stay writable; {str(self.path)!r} is not any more "
                f"({error.strerror or error}). Free some space or mend the disk; then "
                f"`hpsearch resume {self.path}` goes on from its journal."
            ) from error

    def write_tables(
        self,
        *,
        trials: pd.DataFrame | None = None,
        folds: pd.DataFrame | None = None,
        curves: pd.DataFrame | None = None,
        predictions: pd.DataFrame | None = None,
        timings: pd.DataFrame | None = None,
        baselines: pd.DataFrame | None = None,
        nested: pd.DataFrame | None = None,
    ) -> None:
        """Write the tables that are given, each whole or not at all."""
        from hpsearch.results.tables import write_table

        given = {
            "trials.csv": trials,
            "folds.csv": folds,
            "curves.csv": curves,
            "predictions.csv": predictions,
            "timings.csv": timings,
            BASELINES: baselines,
            NESTED_TABLE: nested,
        }
        with self._writing():
            for name, table in given.items():
                if table is not None:
                    write_table(self.path / name, table)


@dataclass(frozen=True)
class Run:
    """A finished run, read from its folder; tables and documents are read when first asked for.

    Attributes
    ----------
    path : the run's folder.
    trials, folds, curves, predictions, timings : the CSV tables as frames.
    baselines, nested : those of these names, or None where they were not asked for.
    settings, best, model_card : ``run.json``, ``best.json`` and ``model.json`` as dictionaries.
    ledger : what the winner's score is worth (``hpsearch.ledger.Ledger``), out of ``best.json``.
    model_path : the retrained model, ``model.keras``.
    diagnoses : what the tables say about the training.

    Raises
    ------
    InputError
        A table or document is missing or damaged.
    """

    path: Path

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per trial, the best first."""
        return self._table("trials.csv")

    @cached_property
    def folds(self) -> pd.DataFrame:
        """One row per trial, repeat and fold."""
        return self._table("folds.csv")

    @cached_property
    def curves(self) -> pd.DataFrame:
        """One row per trial and epoch."""
        return self._table("curves.csv")

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """One row per row and repeat, for the selected trial."""
        return self._table("predictions.csv")

    @cached_property
    def timings(self) -> pd.DataFrame:
        """Seconds spent on each trial."""
        return self._table("timings.csv")

    @cached_property
    def baselines(self) -> pd.DataFrame | None:
        """One row per baseline, repeat and fold; None where they were switched off."""
        return self._table(BASELINES) if (self.path / BASELINES).is_file() else None

    @cached_property
    def nested(self) -> pd.DataFrame | None:
        """One row per outer fold; None where the search was not nested."""
        return self._table(NESTED_TABLE) if (self.path / NESTED_TABLE).is_file() else None

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What was asked, the data's fingerprint, versions and seed."""
        return _read_json(self.path / SETTINGS)

    @cached_property
    def best(self) -> dict[str, Any]:
        """The selected configuration and its estimates."""
        return _read_json(self.path / BEST)

    @cached_property
    def model_card(self) -> dict[str, Any]:
        """Label order, column schema and the checks that the model passed."""
        return _read_json(self.path / MODEL_CARD)

    @cached_property
    def ledger(self) -> Ledger | None:
        """What the winner's score is worth; None where an older version wrote the run."""
        from hpsearch.ledger import Ledger

        value = self.best.get("ledger")
        if value is None:
            return None
        try:
            return Ledger.from_json(value)
        except ValueError as error:
            raise InputError(
                f"{BEST} of a run holds its ledger; the one in {str(self.path)!r} is damaged "
                f"({error}). Run it again."
            ) from error

    @property
    def model_path(self) -> Path:
        """The retrained model."""
        return self.path / MODEL

    @cached_property
    def diagnoses(self) -> tuple[Diagnosis, ...]:
        """What is found about the selected trial and the search, what matters most first."""
        from hpsearch.diagnoses import diagnose

        return diagnose(self._tables)

    def diagnoses_of(self, trial: int) -> tuple[Diagnosis, ...]:
        """What the learning curves of any trial say; nothing where it has none."""
        from hpsearch.diagnoses import diagnose_trial

        return diagnose_trial(self._tables, trial)

    @property
    def _tables(self) -> Tables:
        from hpsearch.diagnoses import Tables

        return Tables(
            trials=self.trials,
            folds=self.folds,
            curves=self.curves,
            predictions=self.predictions,
            settings=self.settings,
            best=self.best,
            labels=self.model_card["schema"]["target"]["labels"],
        )

    def report(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the report, one HTML file that needs no network, and return its path.

        Parameters
        ----------
        path : the file; by default ``report.html`` in the run's folder. What is there is replaced.

        Raises
        ------
        InputError
            The run's trials can't be read, or the path can't be a file.
        StorageError
            The file can't be written.

        Examples
        --------
        >>> import hpsearch
        >>> hpsearch.open_run("results/iris").report("iris.html")  # doctest: +SKIP
        """
        from hpsearch.results.reporting import write_report

        return write_report(self, path)

    def _table(self, name: str) -> pd.DataFrame:
        from hpsearch.results.tables import read_table

        if not (self.path / name).is_file():
            raise InputError(_missing(self.path / name))
        return read_table(self.path / name)

    def __repr__(self) -> str:
        lines = [f"Run({self.path.as_posix()!r})", *(f"  {line}" for line in _summary(self))]
        return "\n".join(lines)


def open_run(path: str | os.PathLike[str] | Run) -> Run:
    """Open the folder of a finished run.

    Parameters
    ----------
    path : the folder that ``hpsearch run`` or ``Search.run`` wrote; a ``Run`` comes back as it is.

    Raises
    ------
    InputError
        There is no such folder, it holds no run, or the run did not finish.
    """
    if isinstance(path, Run):
        return path
    folder = Path(path)
    _require_run(folder)
    if not (folder / BEST).is_file():
        raise InputError(
            f"Only a finished run can be opened; {str(folder)!r} has no {BEST}: "
            + _unfinished(folder)
        )
    return Run(folder)


def _require_run(folder: Path) -> None:
    if not folder.is_dir():
        found = "a file" if folder.exists() else "not there"
        raise InputError(
            f"A run is the folder that `hpsearch run` wrote; {str(folder)!r} is {found}. "
            "Check the path."
        )
    if not _is_run(folder):
        raise InputError(
            f"A run's folder holds a {SETTINGS} written by hpsearch; {str(folder)!r} has none. "
            "Give the folder that `hpsearch run` printed at its end."
        )


def _unfinished(folder: Path) -> str:
    """Why a run has no end, as far as can be told, and what to do."""
    if is_locked(folder):
        return f"it is still going on. {locked_text(folder)}"
    if (folder / JOURNAL).is_file():
        return (
            "it was interrupted, or all its trials failed. "
            f"`hpsearch resume {folder}` goes on from its journal."
        )
    return (
        "it was interrupted, is still going on, or all its trials failed. "
        "Wait for it, or run it again with --overwrite."
    )


def _refuse_foreign(path: Path) -> None:
    """Refuse a place that is neither free nor a run."""
    if path.exists() and not path.is_dir():
        raise RunExistsError(
            f"A run is written into a folder of its own; {str(path)!r} is a file. "
            "Choose another --out."
        )
    if not path.is_dir() or _is_run(path):
        return
    others = {item.name for item in path.iterdir()} - {LOCK, HOLDER}
    if others:
        raise RunExistsError(
            f"A run is written into a new or empty folder; {str(path)!r} holds other files, "
            f"such as {min(others)!r}. Choose another --out."
        )


def _refuse_used(path: Path, *, overwrite: bool) -> None:
    """Refuse to replace a run without being told to."""
    if overwrite or not _is_run(path):
        return
    raise RunExistsError(
        f"A run never replaces another one by itself; {str(path)!r} already holds a run. "
        f"Choose another --out, go on with it by `hpsearch resume {path}`, or add --overwrite "
        "to replace it."
    )


def _is_run(path: Path) -> bool:
    """Whether hpsearch wrote the folder's ``run.json``, or its journal, which comes before it."""
    from hpsearch.results.journal import is_journal

    try:
        settings = json.loads((path / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return is_journal(path / JOURNAL)
    return isinstance(settings, dict) and settings.get("format") == RUN_FORMAT


def _try_writing(path: Path) -> None:
    """Write and remove a small file: permissions alone do not tell on every file system."""
    probe = path / f".hpsearch-{os.getpid()}.tmp"
    try:
        probe.write_bytes(b"hpsearch")
    finally:
        probe.unlink(missing_ok=True)


def _remove_run(path: Path) -> None:
    for name in RUN_FILES:
        (path / name).unlink(missing_ok=True)
    for item in path.glob(f"{NESTED}/*outer-*.sqlite*"):
        item.unlink(missing_ok=True)
    with suppress(OSError):  # it isn't there, or holds what hpsearch did not write
        (path / NESTED).rmdir()
    for item in path.iterdir():
        if _TEMPORARY.fullmatch(item.name):
            item.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> str:
    reason = error.strerror or str(error)
    return (
        f"The results folder must be writable; {str(path)!r} is not ({reason}). "
        "Choose another --out, or free the place."
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(_missing(path)) from None
    except ValueError as error:
        raise InputError(
            f"{path.name} of a run is JSON; {str(path)!r} is damaged ({error}). Run it again."
        ) from error
    if not isinstance(value, dict):
        raise InputError(
            f"{path.name} of a run is a JSON object; {str(path)!r} holds "
            f"{type(value).__name__}. Run it again."
        )
    return value


def _missing(path: Path) -> str:
    return (
        f"A finished run has a {path.name}; {str(path.parent)!r} has none. "
        "Restore the file, or run it again."
    )


def _summary(run: Run) -> list[str]:
    """What the run was and found, a line each; nothing where its documents cannot be read."""
    try:
        settings, best = run.settings, run.best
    except InputError as error:
        return [str(error)]
    data = settings.get("data") or {}
    facts = [data.get("name"), data.get("task"), _count(data.get("n_rows"), "rows")]
    budget = [
        _count(settings.get("trials"), "trials"),
        _count(settings.get("folds"), "folds"),
        _count(settings.get("repeats"), "repeats"),
        _count(settings.get("epochs"), "epochs"),
    ]
    hyperparameters = best.get("hyperparameters") or {}
    values = ", ".join(f"{name}={value}" for name, value in sorted(hyperparameters.items()))
    lines = {
        "data": ", ".join(str(fact) for fact in facts if fact),
        "budget": ", ".join(part for part in budget if part),
        "best": _score_line(best),
        "with": values,
    }
    return [f"{label:<7}{text}" for label, text in lines.items() if text]


def _count(number: Any, noun: str) -> str:
    return "" if number is None else f"{number} {noun}"


def _score_line(best: Mapping[str, Any]) -> str:
    score = best.get("score")
    if score is None:
        return f"trial {best.get('trial')}"
    line = f"trial {best.get('trial')}: {best.get('metric', 'score')} {score:.4g}"
    if best.get("score_se") is not None:
        line += f" ± {best['score_se']:.2g}"
    if best.get("ci_low") is not None and best.get("ci_high") is not None:
        line += f" (95 % interval {best['ci_low']:.4g} to {best['ci_high']:.4g})"
    if best.get("best_epoch") is not None:
        line += f" at epoch {best['best_epoch']}"
    return line
