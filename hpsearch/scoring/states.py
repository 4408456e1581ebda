"""Where unfinished trainings stand: files of a session, so that they take no memory."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.engines.contract import UnitResult


class States:
    """Where the unfinished trainings of a session stand, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._epochs: dict[tuple[int, int], int] = {}

    def kept(self, result: UnitResult) -> UnitResult:
        """Keep the states of a result; the result without them."""
        for fold in result.folds:
            if fold.state is not None:
                key = result.unit.candidate.trial, fold.position
                self._path(*key).write_bytes(pickle.dumps(fold.state, pickle.HIGHEST_PROTOCOL))
                self._epochs[key] = fold.until
        return replace(result, folds=tuple(replace(fold, state=None) for fold in result.folds))

    def has(self, trial: int, position: int, epoch: int) -> bool:
        """Whether a fold's state after so many epochs is here."""
        return self._epochs.get((trial, position)) == epoch

    def read(self, trial: int, positions: Sequence[int]) -> dict[int, Any]:
        """Each fold's state."""
        return {p: pickle.loads(self._path(trial, p).read_bytes()) for p in positions}

    def forget(self, trial: int) -> None:
        """Let go of a trial's states."""
        for key in [key for key in self._epochs if key[0] == trial]:
            self._path(*key).unlink()
            del self._epochs[key]

    def _path(self, trial: int, position: int) -> Path:
        return self._folder / f"state-{trial}-{position}.pickle"
