"""The selected trial's out-of-fold quantiles: the share of rows below each, and their width."""

from __future__ import annotations

from hpsearch import words
from hpsearch.metrics.quantiles import pinball_losses
from hpsearch.report.blocks import Cell, Chart, Section, Table, number_cell, table_of
from hpsearch.report.figures import Spec
from hpsearch.report.predictions import Predicted
from hpsearch.report.quantiles import coverage, fan
from hpsearch.task import Quantiles


def quantiles_section(predicted: Predicted) -> Section | None:
    """Coverage by level, and the fan."""
    covered, drawn = coverage(predicted), fan(predicted)
    if covered is None or drawn is None:
        return None
    caption = (
        "Coverage: for each level the share of rows whose truth is at or below its quantile. On "
        "the diagonal, levels mean what they say; bars are 95 % intervals."
    )
    about = "Coverage by level; the table below has it."
    charts = [Chart("coverage", covered, caption, about, width="half")]
    caption = "The predicted quantiles, rows in the order of the middle one, and what was true."
    if drawn["n_left_out"]:
        caption += f" {len(drawn['points']):,} rows are drawn."
    charts.append(Chart("fan", drawn, caption, "Predicted quantiles of single rows.", width="half"))
    return Section(
        "predictions",
        "Out-of-fold predictions",
        _lead(predicted, covered),
        tuple(charts),
        (_table(predicted, covered),),
        is_grid=True,
    )


def _table(predicted: Predicted, covered: Spec) -> Table:
    kind = Quantiles.of(predicted.levels)
    losses = pinball_losses(kind, predicted.truth, predicted.predicted)
    rows = [
        (
            name,
            Cell(f"{share:.1%}"),
            words.interval(low, high),
            number_cell(predicted.mean(losses[:, column])),
            number_cell(predicted.mean(predicted.predicted[:, column])),
        )
        for column, (name, (_, share, low, high, _)) in enumerate(
            zip(predicted.names, covered["points"], strict=True)
        )
    ]
    heads = ("quantile", "rows at or below", "95 % interval", "pinball loss", "mean prediction")
    return table_of("Predicted quantiles", heads, rows)


def _lead(predicted: Predicted, covered: Spec) -> str:
    text = "From networks that had not seen the row."
    first, last = predicted.predicted[:, 0], predicted.predicted[:, -1]
    if len(predicted.levels) > 1:
        truth = predicted.truth[:, 0]
        inside = predicted.mean((truth >= first) & (truth <= last))
        asked = predicted.levels[-1] - predicted.levels[0]
        width = words.number(predicted.mean(last - first), digits=3)
        text += (
            f" Between {predicted.names[0]} and {predicted.names[-1]} lie {inside:.1%} of the "
            f"rows, where the levels say {asked:.1%}; the distance is {width} on average."
        )
    off = [p for p in covered["points"] if not p[2] <= p[0] <= p[3]]
    if not off:
        return text + " Levels mean what they say, as far as the intervals tell."
    worst = max(off, key=lambda p: abs(p[1] - p[0]))
    side = "high" if worst[1] > worst[0] else "low"
    return text + (
        f" The quantile of level {worst[0]:g} is too {side}: {worst[1]:.1%} of the rows are at or "
        f"below it ({len(off)} of {len(covered['points'])} levels are off by more than chance)."
    )
