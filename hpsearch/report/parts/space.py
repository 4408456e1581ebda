"""Hyperparameters: all together, one by one, and which of them matter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from hpsearch import words
from hpsearch.report import figures
from hpsearch.report.blocks import (
    Cell,
    Chart,
    Section,
    joined,
    table_of,
)
from hpsearch.report.figures import Axis, Spec
from hpsearch.report.importance import LEAST_TRIALS, Importance, importance
from hpsearch.report.material import Material, short
from hpsearch.task import loss_sign

_IMPORTANCES_DRAWN: Final = 15


def parallel_section(
    material: Material, shown: Sequence[Axis], ranks: Importance | None
) -> Section | None:
    """Parallel coordinates of all scored trials, the most important hyperparameters first."""
    if ranks is not None and ranks.is_telling:
        position = {name: place for place, name in enumerate(ranks.names)}
        shown = sorted(shown, key=lambda axis: position[axis.name])
    spec = figures.parallel(
        material.scored, shown, metric=material.metric, direction=material.direction
    )
    if spec is None:
        return None
    good = max(2, math.ceil(len(material.scored) / 10))
    caption = (
        "A line is a trial, its colour the score; the thick one is the trial chosen under Learning "
        "curves. Drag along an axis to keep the trials within a range, click it to let them go. A "
        "line passes by axes that its trial doesn't use."
    )
    description = f"{len(material.scored)} trials over {len(spec['axes'])} hyperparameters."
    lead = _common_lead(material, shown, good)
    chart = Chart("parallel", spec, caption, description, width="tall")
    return Section("parallel", "Configurations", lead, (chart,))


def _common_lead(material: Material, shown: Sequence[Axis], good: int) -> str:
    """What the best trials have in common and the others mostly don't."""
    n = len(material.scored)
    said = []
    for axis in shown:
        if axis.scale != "levels" or n < 8:
            continue
        top = [axis.values[i] for i in range(good)]
        value = max(set(top), key=lambda v: (top.count(v), str(v)))
        share = axis.values.count(value) / n
        if value is not None and top.count(value) == good and share <= 0.6:
            said.append(f"{axis.name} = {axis.levels[int(value)]}")
    text = f"{len(shown)} hyperparameters differ between the {n} scored trials."
    if said:
        text += f" The best {good} trials have in common: {joined(said[:4])}."
    elif n >= 8:
        text += f" The best {good} trials have no setting in common that is rare among the others."
    return text


def slices_section(material: Material, shown: Sequence[Axis]) -> Section | None:
    """The score against every hyperparameter by itself."""
    specs = figures.slices(
        material.scored, shown, metric=material.metric, direction=material.direction
    )
    if not specs or len(material.scored) < 2:
        return None
    drawn = {spec["name"] for spec in specs}
    there = [axis for axis in shown if axis.name in drawn]
    charts = tuple(
        Chart(
            f"slice-{i}",
            spec,
            spec["name"],
            f"{material.metric} of {words.counted(len(spec['points']), 'trial')} against "
            f"{spec['name']}. {_slice_text(material, axis)}",
            width="small",
        )
        for i, (axis, spec) in enumerate(zip(there, specs, strict=True))
    )
    rows = [(axis.name, _slice_text(material, axis)) for axis in there]
    table = table_of("Scores by hyperparameter", ("hyperparameter", "what the trials show"), rows)
    notes = []
    if constant := _constants(material):
        notes.append(f"The same in all trials: {constant}.")
    if single := ", ".join(axis.name for axis in shown if axis.name not in drawn):
        notes.append(f"With one value wherever it is active: {single}.")
    lead = (
        f"Each picture has one hyperparameter; a dot is a trial, the ring trial "
        f"{material.selected}. Other hyperparameters differ too, so look for shapes, "
        "not for single dots."
    )
    strongest = _strongest_slice(material, shown)
    if strongest:
        lead = f"{strongest} {lead}"
    return Section(
        "slices", "Each hyperparameter", lead, charts, (table,), tuple(notes), is_grid=True
    )


def _constants(material: Material) -> str:
    names = [str(c) for c in material.scored.columns if str(c).startswith("hp.")]
    return ", ".join(
        f"{name.removeprefix('hp.')} = {words.number(material.scored[name].iloc[0])}"
        for name in names
        if material.scored[name].notna().all() and len(set(material.scored[name])) == 1
    )


def _slice_text(material: Material, axis: Axis) -> str:
    """The best level and the worst by their medians, or the rank correlation."""
    scores = material.scored["score"].to_numpy(float)
    active = np.array([value is not None for value in axis.values])
    values = [value for value in axis.values if value is not None]
    if axis.scale == "levels":
        medians = {
            place: float(np.median(scores[[v == place for v in axis.values]]))
            for place in sorted({int(v) for v in values})
        }
        sign = loss_sign(material.direction)
        ordered = sorted(medians, key=lambda place: sign * medians[place])
        first = f"best median {material.score(medians[ordered[0]])} with {axis.levels[ordered[0]]}"
        last = ordered[-1]
        return f"{first}, worst {material.score(medians[last])} with {axis.levels[last]}"
    correlation = _rank_correlation(np.array(values, float), scores[active])
    if correlation is None:
        return "too few different values"
    return f"rank correlation with {material.metric} {correlation:+.2f}"


def _rank_correlation(x: Any, y: Any) -> float | None:
    """Spearman's, or None where one side doesn't vary or there are fewer than 3 pairs."""
    if len(x) < 3 or len(np.unique(x)) < 2 or len(np.unique(y)) < 2:
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(x, y).statistic)


def _strongest_slice(material: Material, shown: Sequence[Axis]) -> str:
    scores = material.scored["score"].to_numpy(float)
    strongest, name = 0.0, ""
    for axis in shown:
        active = np.array([value is not None for value in axis.values])
        if axis.scale == "levels" or active.sum() < 10:
            continue
        values = np.array([value for value in axis.values if value is not None], float)
        correlation = _rank_correlation(values, scores[active])
        if correlation is not None and abs(correlation) > abs(strongest):
            strongest, name = correlation, axis.name
    if abs(strongest) < 0.4:
        return ""
    is_good = (strongest < 0) == (material.direction == "min")
    side = "large" if is_good else "small"
    return f"Among the numbers, {name} goes most with the score: {side} values do better."


def importance_section(
    material: Material, shown: Sequence[Axis], found: Importance | None
) -> Section | None:
    """Which hyperparameters the score rests on."""
    n = len(material.scored)
    title = "Importance of hyperparameters"
    if not shown or n < 2:
        return None
    if found is None:
        lead = (
            f"{n} trials with a score are too few to say which hyperparameters matter; it takes at "
            f"least {LEAST_TRIALS}, better fifty."
        )
        return Section("importance", title, lead)
    if not found.is_telling:
        lead = (
            f"A random forest fitted on {found.n_trials} trials tells nothing about the rank of "
            f"trials that it has not seen (R² {found.r2:.2f}), so which hyperparameters matter "
            "can't be said. More trials may change that."
        )
        return Section("importance", title, lead)
    rows: list[Spec] = [
        {
            "key": "importance",
            "label": name,
            "value": short(drop, 4),
            "low": short(low, 4),
            "high": short(high, 4),
            "about": "",
        }
        for name, drop, low, high in zip(
            found.names, found.drops, found.lows, found.highs, strict=True
        )
    ]
    drawn = rows[:_IMPORTANCES_DRAWN]
    lows = min(0.0, *(row["low"] for row in drawn))
    highs = max(0.05, *(row["high"] for row in drawn))
    spec: Spec = {
        "kind": "bars",
        "x": "loss of R² when its values are shuffled",
        "of": "loss of R²",
        "rows": drawn,
        "range": [short(max(lows, -0.5), 3), short(min(highs, 2.0), 3)],
    }
    chart = Chart(
        "importance",
        spec,
        "Permutation importance on a random forest, on trials that it was not fitted on; bars of "
        "the error are 95 % intervals, corrected for shared trials.",
        f"The importance of the first {len(drawn)} hyperparameters; the table below has all.",
    )
    table = table_of(
        "Importance: loss of R² when shuffled",
        ("hyperparameter", "loss of R²", "95 % interval"),
        [
            (row["label"], Cell(f"{row['value']:.3f}"), words.interval(row["low"], row["high"]))
            for row in rows
        ],
    )
    return Section("importance", title, _importance_lead(found), (chart,), (table,))


def _importance_lead(found: Importance) -> str:
    clear = [name for name, low in zip(found.names, found.lows, strict=True) if low > 0]
    text = (
        f"A random forest fitted on {found.n_trials} trials explains {found.r2:.0%} of the "
        "variance in rank among trials that it has not seen. "
    )
    if clear:
        if len(clear) == 1:
            return text + f"Only {clear[0]} matters beyond its error."
        return text + f"Beyond their errors, {joined(clear[:4])} matter, in this order."
    return text + f"{found.names[0]} comes first, but no interval is clear of zero."


def importance_of(material: Material, shown: Sequence[Axis]) -> Importance | None:
    """The importance for the rank of trials; those that ended early rank by how far they got."""
    scored = material.scored
    if (scored["status"] == "stopped").any():
        return importance(shown, np.arange(len(scored), dtype=np.float64), "min")
    return importance(shown, scored["score"].to_numpy(float), material.direction)
