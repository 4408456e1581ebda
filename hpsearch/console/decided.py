"""What was decided after the selection, on a terminal: a block for each decision, in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hpsearch import words

if TYPE_CHECKING:
    from hpsearch.decisions.calibration import Calibration
    from hpsearch.decisions.decided import Decided
    from hpsearch.decisions.ensembles import Ensemble
    from hpsearch.decisions.intervals import Intervals
    from hpsearch.decisions.threshold import Threshold, ThresholdFigure


def decided_view(decided: Decided) -> RenderableType | None:
    """All that was decided, with what it is worth; None where nothing was."""
    blocks: list[RenderableType] = []
    if decided.ensemble is not None:
        blocks.append(_ensemble(decided.ensemble))
    if decided.calibration is not None:
        blocks.append(_calibration(decided.calibration))
    if decided.threshold is not None:
        blocks.append(_threshold(decided.threshold))
    if decided.intervals is not None and decided.intervals.reached:
        blocks.append(_intervals(decided.intervals))
    spaced = [part for block in blocks for part in ("", block)]
    return Group(*spaced[1:]) if blocks else None


def decided_lines(decided: Decided) -> Iterator[Text]:
    """What was decided, a line for each decision."""
    if decided.ensemble is not None:
        yield _ensemble_line(decided.ensemble)
    if decided.calibration is not None:
        yield Text(decided.calibration.verdict)
    if decided.threshold is not None:
        yield _threshold_line(decided.threshold)


# -- the ensemble


def _ensemble_line(ensemble: Ensemble) -> Text:
    return Text.assemble(
        f"exports {ensemble.words}",
        (f" (one network: {_score(ensemble, ensemble.single)})", "dim") if ensemble.single else "",
    )


def _ensemble(ensemble: Ensemble) -> RenderableType:
    head = Text.assemble(("ensemble", "bold"), f"  {ensemble.words}")
    remarks = [Text(line, "dim") for line in ensemble.remarks()]
    if ensemble.value is None:
        return Group(head, *remarks)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.show_header, table.header_style = True, "bold"
    for name in ("", "corrected", "95 % interval", "naive"):
        table.add_column(name, overflow="fold")
    bounds = words.interval(ensemble.low, ensemble.high)
    both = (
        ("the mean", ensemble.value, bounds, ensemble.naive),
        ("one network", ensemble.single, "", ensemble.single_naive),
    )
    for name, value, within, naive in both:
        table.add_row(name, _score(ensemble, value), within, _score(ensemble, naive))
    return Group(head, table, *remarks)


def _score(ensemble: Ensemble, value: float | None) -> str:
    """A score to the second digit of what may lie between both."""
    low, high = ensemble.gain_low, ensemble.gain_high
    return words.within(value, None if low is None or high is None else high - low)


# -- calibration


def _calibration(calibration: Calibration) -> RenderableType:
    head = Text.assemble(("calibration", "bold"), f"  {calibration.verdict}")
    return Group(head, *(Text(line, "dim") for line in calibration.remarks()))


# -- the threshold


def _threshold_line(threshold: Threshold) -> Text:
    own = threshold.figures[0]
    return Text.assemble(
        f"predicts {threshold.predicts}",
        f", {threshold.why}: expect {own.name} {_shown(own, own.value)}",
        f", {bounds}" if (bounds := words.interval(own.low, own.high)) else "",
        (f" (at 0.5: {_shown(own, own.at_half)})", "dim"),
    )


def _threshold(threshold: Threshold) -> RenderableType:
    head = Text.assemble(("threshold", "bold"), f"  {threshold.predicts}: {threshold.why}")
    has_test = any(figure.test is not None for figure in threshold.figures)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.show_header, table.header_style = True, "bold"
    names = ("at the threshold", "corrected", "95 % interval", "naive", "at 0.5")
    for name in (*names, *(("test rows",) if has_test else ())):
        table.add_column(name, overflow="fold")
    for figure in threshold.figures:
        cells = [
            figure.name,
            _shown(figure, figure.value),
            words.interval(figure.low, figure.high),
            _shown(figure, figure.naive),
            _shown(figure, figure.at_half),
        ]
        table.add_row(*cells, *((_shown(figure, figure.test),) if has_test else ()))
    return Group(head, table, *(Text(line, "dim") for line in threshold.remarks()))


# -- ranges and sets


def _intervals(found: Intervals) -> RenderableType:
    what = "ranges of numbers" if found.form == "range" else "sets of classes"
    head = Text.assemble(
        ("intervals", "bold"), f"  {what} that hold what comes, by `hpsearch predict --interval`"
    )
    has_test = any(reached.test is not None for reached in found.reached)
    several = len({reached.name for reached in found.reached}) > 1
    table = Table.grid(padding=(0, 2, 0, 0))
    table.show_header, table.header_style = True, "bold"
    names = (*(("target",) if several else ()), "asked", "held out of fold", found.size_name)
    for name in (*names, *(("test rows",) if has_test else ())):
        table.add_column(name, overflow="fold")
    for reached in found.reached:
        table.add_row(
            *((words.one_line(reached.name),) if several else ()),
            f"{reached.level:g}",
            words.score(reached.share, reached.se),
            words.number(reached.size),
            *((words.number(reached.test, digits=3),) if has_test else ()),
        )
    return Group(head, table, *(Text(line, "dim") for line in found.remarks()))


# -- the threshold's figures


def _shown(figure: ThresholdFigure, value: float | None) -> str:
    """A figure to the second digit of its interval's width."""
    width = None if figure.low is None or figure.high is None else figure.high - figure.low
    return words.within(value, width)
