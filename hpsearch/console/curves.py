"""A trial's mean curves as a small picture of characters, with the best epoch marked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from hpsearch import words

if TYPE_CHECKING:
    import pandas as pd

N_ROWS: Final = 7
MAX_COLUMNS: Final = 60
COLUMNS_AN_EPOCH: Final = 3
"""Columns that an epoch takes at most, where there are few."""

FEWEST_EPOCHS: Final = 3
"""Fewer epochs are no curve."""

FIRST_EPOCHS: Final = 0.05
"""Share of the epochs, one at least, that the scale leaves out: the fall from initial weights would
press all that follows into one row. They are drawn at the edge."""


@dataclass(frozen=True)
class Glyphs:
    """The characters of a picture."""

    validation: str
    training: str
    best: str
    side: str
    corner: str
    floor: str
    change: str


UNICODE: Final = Glyphs("●", "○", "▲", "│", "└", "─", "┴")
ASCII: Final = Glyphs("o", ".", "^", "|", "+", "-", "!")


def curves_view(curves: pd.DataFrame, best: Mapping[str, Any]) -> RenderableType | None:
    """The selected trial's mean validation and training curve, or None where it has none.

    Parameters
    ----------
    curves : ``curves.csv``; best : ``best.json``.
    """
    from hpsearch.stats.curves import changes_of_phase  # SciPy comes with its package

    trial, metric = best.get("trial"), best.get("metric")
    own = curves[curves["trial"] == trial]
    if len(own) < FEWEST_EPOCHS or not {f"val_{metric}", f"train_{metric}"} <= {*own.columns}:
        return None
    return CurvePicture(
        title=f"{metric} of trial {trial}",
        validation=own[f"val_{metric}"].to_numpy(np.float64),
        training=own[f"train_{metric}"].to_numpy(np.float64),
        best_epoch=int(best.get("best_epoch") or 1),
        changes=changes_of_phase(own["phase"]) if "phase" in own else (),
    )


@dataclass(frozen=True, eq=False)
class CurvePicture:
    """Two curves over the epochs; Rich draws it, in plain ASCII where the encoding needs it.

    Attributes
    ----------
    title : what the curves are of.
    validation, training : (E,) one value per epoch; what is not finite is left out.
    best_epoch : the epoch that is marked, from 1.
    changes : the last epoch of each phase but the last, from 1; marked on the floor.
    """

    title: str
    validation: NDArray[np.float64]
    training: NDArray[np.float64]
    best_epoch: int
    changes: tuple[int, ...] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The picture at the console's width."""
        yield from self.lines(options.max_width, ASCII if options.ascii_only else UNICODE)

    def lines(self, width: int, glyphs: Glyphs) -> Iterable[Text]:
        """The picture's lines, none wider than ``width``."""
        low, high = self._bounds()
        labels = {N_ROWS // 2: low} if low == high else {0: high, N_ROWS - 1: low}
        said = {row: words.number(value, digits=3) for row, value in labels.items()}
        margin = max(map(len, said.values())) + 1
        places = self._places(max(1, min(MAX_COLUMNS, width - margin - 6)))
        cells = self._cells(places, low, high)
        yield Text.assemble(
            (self.title, "bold"),
            f" by epoch: {glyphs.validation} validation, {glyphs.training} training",
            f", {glyphs.change} a phase ends" if self.changes else "",
            no_wrap=True,
            overflow="ellipsis",
        )
        for row in range(N_ROWS):
            drawn = "".join(_glyph(cell, glyphs) for cell in cells[row])
            yield Text(f"{said.get(row, ''):>{margin}}{glyphs.side}{drawn}".rstrip(), no_wrap=True)
        floor = list(glyphs.floor * cells.shape[1])
        for epoch in self.changes:
            floor[int(places[epoch - 1])] = glyphs.change
        drawn = glyphs.corner + "".join(floor)
        yield Text(f"{'':{margin}}{drawn} {len(self.validation)}", no_wrap=True)
        yield Text(
            " " * (margin + 1) + self._mark(places, width - margin - 1, glyphs), no_wrap=True
        )

    def _bounds(self) -> tuple[float, float]:
        """The scale's ends."""
        skipped = max(1, round(FIRST_EPOCHS * len(self.validation)))
        late = np.concatenate([self.validation[skipped:], self.training[skipped:]])
        finite = late[np.isfinite(late)]
        if not len(finite):
            return 0.0, 1.0
        return float(finite.min()), float(finite.max())

    def _places(self, n_columns: int) -> NDArray[np.int64]:
        """The column of each epoch."""
        n_epochs = len(self.validation)
        if n_epochs <= n_columns:
            return np.arange(n_epochs) * min(COLUMNS_AN_EPOCH, n_columns // n_epochs)
        return np.arange(n_epochs) * n_columns // n_epochs

    def _cells(self, places: NDArray[np.int64], low: float, high: float) -> NDArray[np.int8]:
        """Rows and columns: 0 empty, 1 training, 2 validation, which hides training."""
        cells = np.zeros((N_ROWS, int(places[-1]) + 1), np.int8)
        for mark, curve in ((1, self.training), (2, self.validation)):
            for column in np.unique(places):
                values = curve[places == column]
                values = values[np.isfinite(values)]
                if len(values):
                    height = (np.median(values) - low) / (high - low) if high > low else 0.5
                    row = round((N_ROWS - 1) * (1.0 - float(np.clip(height, 0.0, 1.0))))
                    cells[row, column] = mark
        return cells

    def _mark(self, places: NDArray[np.int64], room: int, glyphs: Glyphs) -> str:
        """The best epoch below its column, its number on the side that has the room."""
        at, said = int(places[self.best_epoch - 1]), f"best epoch {self.best_epoch}"
        if at > len(said):
            return f"{said:>{at - 1}} {glyphs.best}"
        beside = " " * at + f"{glyphs.best} {said}"
        return beside if len(beside) <= room else " " * at + f"{glyphs.best} {self.best_epoch}"


def _glyph(cell: int, glyphs: Glyphs) -> str:
    return (" ", glyphs.training, glyphs.validation)[cell]
