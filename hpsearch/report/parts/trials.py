"""Trials: by rank, in the order of the search, and fold by fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from hpsearch import words
from hpsearch.report import figures
from hpsearch.report.blocks import (
    Cell,
    Chart,
    Section,
    Table,
    number_cell,
    score_cell,
    seconds_of,
    table_of,
)
from hpsearch.report.figures import Spec
from hpsearch.report.material import Material, finite, records
from hpsearch.task import loss_sign

_ROWS_AT_FIRST: Final = 12


def trials_section(material: Material) -> Section:
    """Ranked trials with their corrected intervals, in a picture and a table."""
    scored = material.scored
    spec = figures.ranked(scored, metric=material.metric, direction=material.direction)
    charts: tuple[Chart, ...] = ()
    if spec is not None and len(scored) > 1:
        caption = "Each trial's mean over its folds, with its corrected 95 % interval."
        caption += material.cut_remark(
            row.get(end) for row in records(scored) for end in ("ci_low", "ci_high")
        )
        if spec["n_beyond"]:
            caption += f" {words.counted(spec['n_beyond'], 'trial')} far off at the edge."
        if (scored["status"] == "stopped").any():
            caption += " Hollow: stopped early, scored on what it did."
        about = f"{len(scored)} trials by rank; the table below has their scores."
        charts = (Chart("ranked", spec, caption, about),)
    return Section(
        "trials", "Ranked trials", _trials_lead(material), charts, (_trials_table(material, spec),)
    )


def _trials_lead(material: Material) -> str:
    completed = material.scored[material.scored["status"] == "completed"]
    n_failed = len(material.with_status("failed"))
    n_stopped = len(material.with_status("stopped"))
    text = ""
    if len(completed):
        best = completed.iloc[0]
        low, high = finite(best.get("ci_low")), finite(best.get("ci_high"))
        text = f"Trial {int(best['trial'])} ranks first of {len(completed)} completed"
        scores = completed["score"].to_numpy(float)[1:]
        if low is not None and high is not None and len(scores):
            n_near = int(((scores >= low) & (scores <= high)).sum())
            near = (
                "no other mean lies"
                if n_near == 0
                else f"the means of {words.counted(n_near, 'other')} lie"
                if n_near > 1
                else "the mean of one other lies"
            )
            text += f"; {near} within its 95 % interval, so "
            text += "it stands apart." if n_near == 0 else "they may well be as good."
        else:
            text += "."
    selected = material.selected
    if len(completed) and selected != int(completed.iloc[0]["trial"]):
        text += f" Trial {selected} was selected."
    if n_stopped:
        text += f" {words.counted(n_stopped, 'trial')} stopped early."
    if n_failed:
        text += f" {words.counted(n_failed, 'trial')} failed; the table says why."
    return text.strip() or "No trial has a score."


def _trials_table(material: Material, spec: Spec | None) -> Table:
    limits = tuple(map(float, spec["range"])) if spec else (0.0, 1.0)
    failed = material.with_status("failed")
    listed = pd.concat([material.scored, failed]) if len(material.scored) else material.trials
    others = [m for m in material.metrics if m != material.metric]
    others = [m for m in others if f"metric.{m}" in listed.columns]
    plan = _Columns(
        others=tuple(others),
        n_folds=int(max([0.0, *(finite(row.get("n_folds")) or 0.0 for row in records(listed))])),
        limits=(limits[0], limits[1]),
    )
    rows = [
        _trial_cells(row, place, material, plan)
        for place, row in enumerate(records(listed), start=1)
    ]
    columns = ("rank", "trial", f"{material.metric} ± se", "95 % interval", *others)
    columns += ("epoch", "configuration")
    numeric = tuple(name not in ("trial", "95 % interval", "configuration") for name in columns)
    return Table(
        "Trials by rank",
        columns,
        tuple(rows),
        numeric,
        is_open=True,
        is_sortable=True,
        n_first=_ROWS_AT_FIRST,
    )


@dataclass(frozen=True)
class _Columns:
    """What the table of trials shows: other metrics, most folds, drawn range."""

    others: tuple[str, ...]
    n_folds: int
    limits: tuple[float, float]


def _trial_cells(
    row: Mapping[str, Any], place: int, material: Material, plan: _Columns
) -> tuple[Cell, ...]:
    trial, status = int(row["trial"]), str(row["status"])
    score, rank = finite(row.get("score")), finite(row.get("rank"))
    mark = "selected" if trial == material.selected else status
    text = material.configurations[trial]
    if status == "failed":
        text = f"{words.error_line(row.get('error'))} [{text}]"
    elif (n_folds := int(finite(row.get("n_folds")) or 0)) < plan.n_folds:
        text = f"{n_folds} of {words.counted(plan.n_folds, 'fold')}; {text}"
    ends = (material.within_bounds(row.get(name)) for name in ("ci_low", "ci_high"))
    se = finite(row.get("score_se"))
    shown = material.score(score) + (f" ± {material.score(se)}" if se else "")
    return (
        Cell("-" if rank is None else f"{int(rank)}", sort=float(place)),
        Cell(str(trial), sort=float(trial), badge="" if mark == "completed" else mark),
        Cell(shown, sort=score),
        Cell(material.interval(*ends), sort=score, bar=_bar(row, *plan.limits)),
        *(_other_cell(row.get(f"metric.{name}")) for name in plan.others),
        number_cell(row.get("best_epoch")),
        Cell(text, is_long=True),
    )


def _other_cell(value: Any) -> Cell:
    """A metric whose error isn't known: four significant digits, zeros at the end included."""
    number = finite(value)
    return Cell(words.score(number), sort=number)


def _bar(row: Mapping[str, Any], low: float, high: float) -> tuple[float, float, float] | None:
    """An interval and its middle as shares of the drawn range, cut at its ends."""
    ends = [finite(row.get(name)) for name in ("ci_low", "score", "ci_high")]
    if ends[1] is None or high <= low:
        return None
    placed = [ends[1] if end is None else end for end in ends]
    shares = [min(1.0, max(0.0, (float(end or 0.0) - low) / (high - low))) for end in placed]
    return round(shares[0], 4), round(shares[1], 4), round(shares[2], 4)


def progress_section(material: Material) -> Section | None:
    """Scores in the order of the trials."""
    spec = figures.progress(
        material.trials, material.timings, metric=material.metric, direction=material.direction
    )
    if spec is None or len(spec["points"]) < 2:
        return None
    points = spec["points"]
    caption = "Dots are trials in their order, the line is the best completed one so far."
    steps = [p for p, q in zip(points, [None, *points[:-1]], strict=True) if _is_step(p, q)]
    table = table_of(
        "Improvements in the order of the trials",
        ("trial", f"best {material.metric} so far", "training seconds until then"),
        [
            (number_cell(p["trial"]), score_cell(material, p["best"]), number_cell(p["seconds"]))
            for p in steps
        ],
    )
    chart = Chart(
        "progress",
        spec,
        caption,
        f"Scores of {len(points)} trials in their order; the table below has the improvements.",
    )
    lead = _progress_lead(material, points, steps)
    return Section("search", "Search over time", lead, (chart,), (table,))


def _is_step(point: Spec, before: Spec | None) -> bool:
    return point["best"] is not None and (before is None or point["best"] != before["best"])


def _progress_lead(material: Material, points: Sequence[Spec], steps: Sequence[Spec]) -> str:
    if not steps:
        return "No trial completed."
    last = steps[-1]
    position = points.index(last) + 1
    text = f"The best score came with trial {last['trial']}, number {position} of {len(points)}"
    gained = steps[0]["best"], last["best"]
    if len(steps) > 1 and steps[0]["trial"] == points[0]["trial"]:
        text += (
            f"; the first configuration, the space's default, scores "
            f"{material.score(gained[0])} and the best {material.score(gained[1])}"
        )
    elif len(steps) == 1 and position == 1:
        text += ", the space's default"
    seconds = seconds_of(material.timings)
    text += "."
    if seconds:
        text += (
            f" Training took {words.duration(seconds)}, summed over processes, "
            f"{seconds / len(points):.1f} s a trial."
        )
    return text


def folds_section(material: Material) -> Section | None:
    """Every fold's score of every trial."""
    metric = material.metric
    spec = figures.heat_map(
        material.folds, material.scored, metric=metric, direction=material.direction
    )
    if spec is None or len(spec["cells"]) < 2:
        return None
    values: dict[int, list[float]] = {}
    for _, fold, value in spec["cells"]:
        if value is not None:
            values.setdefault(fold, []).append(value)
    medians = {fold: float(np.median(found)) for fold, found in values.items()}
    table = table_of(
        "Folds",
        ("fold", f"median {metric} over trials", "trials"),
        [
            (spec["folds"][fold], score_cell(material, median), number_cell(len(values[fold])))
            for fold, median in sorted(medians.items())
        ],
    )
    chart = Chart(
        "folds",
        spec,
        "Columns are trials by rank, the best on the left; rows are folds. A row of one colour is "
        "a fold that is easy, or hard, for every network.",
        f"Scores of {len(spec['folds'])} folds and {len(spec['trials'])} trials; the table below "
        "has the median of each fold.",
    )
    return Section("folds", "Folds", _folds_lead(material, spec, medians), (chart,), (table,))


def _folds_lead(material: Material, spec: Spec, medians: Mapping[int, float]) -> str:
    sign = loss_sign(material.direction)
    if len(medians) < 2:
        return f"Every trial was scored on one fold, {spec['folds'][0]}."
    easy = min(medians, key=lambda fold: sign * medians[fold])
    hard = max(medians, key=lambda fold: sign * medians[fold])
    return (
        f"The hardest fold is {spec['folds'][hard]} (median {material.metric} over trials "
        f"{material.score(medians[hard])}), the easiest {spec['folds'][easy]} "
        f"({material.score(medians[easy])}): which rows validate matters that much."
    )
