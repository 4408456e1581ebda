"""The files of a finished run, read back.

Owns reading tables and documents, and the errors where one is missing or damaged. What follows from
them belongs to ``run``; their names are in ``layout``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.engines import with_present_names
from hpsearch.errors import InputError
from hpsearch.paths import found_at
from hpsearch.results import layout
from hpsearch.results.files import read_json

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

        return Tables(
            trials=self.trials,
            folds=self.folds,
            curves=self.curves,
            predictions=self.predictions,
            settings=self.settings,
            best=self.best,
            labels=self.manifest["schema"]["target"]["labels"],
        )

    def _has(self, name: str) -> bool:
        return (self.path / name).is_file()

    def _table(self, name: str) -> pd.DataFrame:
        from hpsearch.results.tables import read_table

        if not self._has(name):
            raise InputError(_missing(self.path / name))
        return read_table(self.path / name)


def read_document(path: Path) -> dict[str, Any]:
    """A document of a run.

    Raises
    ------
    InputError
        It is missing, or holds no JSON object.
    """
    if found_at(path) is None:
        raise InputError(_missing(path))
    try:
        value = read_json(path)
    except InputError:
        raise
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
