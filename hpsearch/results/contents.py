"""The files of a finished run, read back.

Owns reading tables and documents, the errors where one is missing or damaged, and the seal:
``best.json`` holds the SHA-256 of the files beside it, so that one that somebody changed is known.
What they may hold belongs to ``forms``, what follows from them to ``run``; their names are in
``layout``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hpsearch.engines import with_present_names
from hpsearch.errors import HpsearchError, InputError
from hpsearch.paths import found_at
from hpsearch.results import layout
from hpsearch.results.files import file_digest, read_json, to_json_text
from hpsearch.results.forms import DOCUMENTS, TABLES
from hpsearch.results.journal import read_settings

if TYPE_CHECKING:
    import pandas as pd

    from hpsearch.diagnoses import Tables
    from hpsearch.ledger import Ledger


@dataclass(frozen=True)
class Contents:
    """What a run's folder holds; each file is read when it is first asked for.

    Attributes
    ----------
    path : the run's folder.

    Raises
    ------
    InputError
        A table or document is missing or damaged.
    """

    path: Path

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per trial, the best first."""
        return self._table(layout.TRIALS)

    @cached_property
    def folds(self) -> pd.DataFrame:
        """One row per trial, repeat and fold."""
        return self._table(layout.FOLDS)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """One row per trial and epoch."""
        return self._table(layout.CURVES)

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """One row per row and repeat, for the selected trial."""
        return self._table(layout.PREDICTIONS)

    @cached_property
    def timings(self) -> pd.DataFrame:
        """Seconds spent on each trial."""
        return self._table(layout.TIMINGS)

    @cached_property
    def baselines(self) -> pd.DataFrame | None:
        """One row per baseline, repeat and fold; None where they were switched off."""
        return self._table(layout.BASELINES) if self._has(layout.BASELINES) else None

    @cached_property
    def nested(self) -> pd.DataFrame | None:
        """One row per outer fold; None where the search was not nested."""
        return self._table(layout.NESTED_TABLE) if self._has(layout.NESTED_TABLE) else None

    @cached_property
    def importance(self) -> pd.DataFrame | None:
        """One row per column, what matters most first; None where it was not asked for."""
        return self._table(layout.IMPORTANCE) if self._has(layout.IMPORTANCE) else None

    @cached_property
    def predicting(self) -> pd.DataFrame | None:
        """Seconds that an ensemble and one network of it take; None where one is exported."""
        return self._table(layout.PREDICTING) if self._has(layout.PREDICTING) else None

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What was asked, the data's fingerprint, versions and seed."""
        return with_present_names(read_document(self.path / layout.SETTINGS))

    @cached_property
    def best(self) -> dict[str, Any]:
        """The selected configuration and its estimates."""
        return read_document(self.path / layout.BEST)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """Label order, column schema and the checks that the model passed."""
        return read_document(self.path / layout.MANIFEST)

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
                f"{layout.BEST} of a run holds its ledger; the one in {str(self.path)!r} is "
                f"damaged ({error}). Run it again."
            ) from error

    @property
    def model_path(self) -> Path:
        """The retrained model."""
        return self.path / layout.MODEL

    @property
    def tables(self) -> Tables:
        """What diagnoses read."""
        from hpsearch.diagnoses import Tables

        if (self.settings.get("data") or {}).get("task") is None or not self.best.get("metric"):
            raise InputError(
                f"{layout.SETTINGS} of a run says its task, and {layout.BEST} its metric; those of "
                f"{str(self.path)!r} don't. `hpsearch resume {self.path}` makes them again."
            )
        metric = self.best["metric"]
        for name in (layout.FOLDS, layout.CURVES):
            require_columns(self, name, (f"val_{metric}", f"train_{metric}"))
        require_columns(self, layout.TRIALS, ("rank", "error"))
        target = (self.manifest.get("schema") or {}).get("target") or {}
        return Tables(
            trials=self.trials,
            folds=self.folds,
            curves=self.curves,
            predictions=self.predictions,
            settings=self.settings,
            best=self.best,
            labels=target.get("labels") or (),
        )

    # -- whether it is as the run wrote it

    def changed(self, *names: str) -> list[str]:
        """Files that are there and are not as the run wrote them.

        Nothing is known of files of older runs, of measured times and of the texts for people.

        Parameters
        ----------
        names : those to look at; by default all that ``best.json`` knows.
        """
        known = self.best.get("sha256") or {}
        looked_at = [name for name in names or sorted(known) if name in known and self._has(name)]
        return [name for name in looked_at if known[name] != self._digest(name)]

    def require_unchanged(self, *names: str) -> None:
        """Raise ``InputError`` where one of the files is not as the run wrote it."""
        changed = self.changed(*names)
        if changed:
            raise InputError(
                f"Numbers of a run are believed as it wrote them; {', '.join(changed)} of "
                f"{str(self.path)!r} {'is' if len(changed) == 1 else 'are'} not as the run wrote "
                f"{'it' if len(changed) == 1 else 'them'}. Restore what was changed, or "
                f"`hpsearch resume {self.path}` makes it again."
            )

    @property
    def is_as_written(self) -> bool:
        """Whether all that is there is known to be as the run wrote it, measured times apart."""
        known = self.best.get("sha256") or {}
        sealed = (layout.BEST, *_SEALED)
        return all(name in known for name in sealed if self._has(name)) and not self.changed()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """What goes wrong with files that nobody vouches for is their damage, and said so."""
        try:
            yield
        except HpsearchError:
            raise
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            if self.is_as_written:
                raise  # a bug
            raise InputError(
                f"Files of a run fit each other as it wrote them; those of {str(self.path)!r} do "
                f"not, or are damaged ({type(error).__name__}: {error}). "
                f"`hpsearch resume {self.path}` makes them again."
            ) from error

    def seal(self, best: Mapping[str, Any]) -> dict[str, Any]:
        """``best.json`` with the digests of the files beside it, and of itself."""
        there = {name: file_digest(self.path / name) for name in _SEALED if self._has(name)}
        return {**best, "sha256": {**there, layout.BEST: _own_digest(best)}}

    @property
    def has_another_journal(self) -> bool:
        """Whether the journal that is there is of another run, as far as both can be read."""
        asked = read_settings(self.path / layout.JOURNAL)
        try:
            return bool(asked) and _identity_of_journal(asked) != _identity_of_run(self.settings)
        except (InputError, LookupError, TypeError, AttributeError):
            return False  # nothing to hold it against

    def _digest(self, name: str) -> str:
        if name == layout.BEST:
            return _own_digest(self.best)
        return file_digest(self.path / name)

    def _has(self, name: str) -> bool:
        return (self.path / name).is_file()

    def _table(self, name: str) -> pd.DataFrame:
        from hpsearch.results.tables import read_table

        path = self.path / name
        if not self._has(name):
            raise InputError(_missing(path))
        try:
            table = read_table(path)
            TABLES[name].check(table)
        except (ValueError, LookupError, ArithmeticError, MemoryError, TypeError) as error:
            raise InputError(
                f"{name} of a run is the table that hpsearch wrote; {str(path)!r} is not: {error}. "
                f"`hpsearch resume {self.path}` makes it again."
            ) from error
        return table


_SEALED: Final = (
    *(n for n in (*layout.TABLES, *layout.TABLES_ASKED_FOR) if n not in layout.MEASURED),
    *(layout.SETTINGS, layout.MANIFEST, layout.MODEL, *layout.TRANSFORMERS),
)
"""Files that one seed makes to the last byte, so that their digests are the same as well."""

_NEVER_CHANGE: Final = ("seed", "folds", "epochs", "batch_size", "oracle", "metric", "split", "fix")
"""Options that a run keeps, whatever it is given more of."""


def _own_digest(best: Mapping[str, Any]) -> str:
    """Of what ``best.json`` says beside the digests."""
    content = to_json_text({name: item for name, item in best.items() if name != "sha256"})
    return hashlib.sha256(content.encode("utf-8")).hexdigest()


def _identity_of_journal(asked: Mapping[str, Any]) -> tuple[Any, ...]:
    options = {name: asked["options"].get(name) for name in _NEVER_CHANGE}
    return asked["data"]["fingerprint"], asked["space"]["sha256"], options


def _identity_of_run(settings: Mapping[str, Any]) -> tuple[Any, ...]:
    asked = settings["options"]
    options = {name: asked.get(name) for name in _NEVER_CHANGE}
    return settings["data"]["fingerprint"], settings["space_sha256"], options


def require_columns(run: Contents, name: str, columns: Iterable[str]) -> None:
    """Raise ``InputError`` unless a table of a run has the columns, whose names others decide."""
    table = {
        layout.TRIALS: lambda: run.trials,
        layout.FOLDS: lambda: run.folds,
        layout.CURVES: lambda: run.curves,
    }[name]()
    for column in columns:
        if column not in table.columns:
            raise InputError(
                f"{name} of a run has a column {column!r}; that of {str(run.path)!r} has none. "
                f"`hpsearch resume {run.path}` makes it again."
            )


def read_document(path: Path) -> dict[str, Any]:
    """A document of a run.

    Raises
    ------
    InputError
        It is missing, or has not the form that hpsearch writes.
    """
    if found_at(path) is None:
        raise InputError(_missing(path))
    try:
        value = read_json(path)
        DOCUMENTS[path.name](value, "")
    except InputError:
        raise
    except ValueError as error:
        raise InputError(
            f"{path.name} of a run is the document that hpsearch wrote; {str(path)!r} is damaged: "
            f"{error}. `hpsearch resume {path.parent}` makes it again."
        ) from error
    found: dict[str, Any] = value
    return found


def _missing(path: Path) -> str:
    return (
        f"A finished run has a {path.name}; {str(path.parent)!r} has none. "
        "Restore the file, or run it again."
    )
