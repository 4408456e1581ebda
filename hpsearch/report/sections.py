"""The report's sections: for each what it says in words, its pictures, and the tables behind them.

Owns the words. What is drawn comes from ``figures``, ``predictions``, ``importance`` and
``estimates``; how the page looks belongs to ``page``. A section that has nothing to show is left
out, or says why.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from hpsearch import words
from hpsearch.report import figures
from hpsearch.report.command import command
from hpsearch.report.estimates import Estimate, estimates, promised
from hpsearch.report.figures import Axis, Spec
from hpsearch.report.importance import LEAST_TRIALS, Importance, importance
from hpsearch.report.material import Material, finite, label
from hpsearch.report.predictions import (
    Predicted,
    calibration,
    confusion,
    fitted,
    residuals,
    roc,
    spread,
)

_ROWS_AT_FIRST: Final = 12
_TARGETS_DRAWN: Final = 6
_CHART_ANCHORS: Final = {
    "curves": "curves",
    "folds": "folds",
    "predictions": "predictions",
    "trials": "slices",
}


@dataclass(frozen=True)
class Cell:
    """A table's cell: its text, what it is sorted by, and perhaps an interval drawn in it.

    ``bar`` has the interval's ends and its middle as shares of the column's width, ``badge`` a word
    that marks the row; a long text is shown in small print.
    """

    text: str
    sort: float | str | None = None
    bar: tuple[float, float, float] | None = None
    badge: str = ""
    is_long: bool = False


@dataclass(frozen=True)
class Table:
    """A table: ``numeric`` says per column whether it is aligned as numbers.

    ``n_first`` rows are shown before the reader asks for more; None shows all. ``is_open`` tables
    are part of the page, the others unfold.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numeric: tuple[bool, ...]
    is_open: bool = False
    is_sortable: bool = False
    n_first: int | None = None


@dataclass(frozen=True)
class Chart:
    """A picture: its specification, a caption that everyone sees, and its text for who can't."""

    name: str
    spec: Spec
    caption: str
    description: str
    width: str = "wide"


@dataclass(frozen=True)
class Finding:
    """A diagnosis or a warning, with a link to the section that shows it."""

    severity: str
    title: str
    text: str
    advice: str
    anchor: str
    where: str
    trial: int | None = None


@dataclass(frozen=True)
class Section:
    """One part of the page; ``lead`` says in plain words what it shows of this run."""

    anchor: str
    title: str
    lead: str
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    code: tuple[tuple[str, str], ...] = ()
    is_grid: bool = False


@dataclass(frozen=True)
class Fact:
    """One figure of the page's head."""

    name: str
    value: str
    about: str = ""


def sections(material: Material) -> list[Section]:
    """Every section that the run has something for, in the page's order."""
    shown = figures.axes(material.scored)
    ranks = _importance(material, shown)
    made = [
        estimates_section(material),
        findings_section(material),
        trials_section(material),
        curves_section(material),
        parallel_section(material, shown, ranks),
        slices_section(material, shown),
        importance_section(material, shown, ranks),
        progress_section(material),
        folds_section(material),
        predictions_section(material),
        again_section(material),
    ]
    made = [section for section in made if section is not None]
    there = {section.anchor for section in made}
    return [_with_links_to(section, there) for section in made]


def _with_links_to(section: Section, anchors: set[str]) -> Section:
    """The section without links to sections that this run doesn't have."""
    findings = tuple(
        f if f.anchor in anchors else replace(f, anchor="", where="") for f in section.findings
    )
    return replace(section, findings=findings)


# -- the head


def head(material: Material) -> list[Fact]:
    """The figures that come first: score, test score, data, trials, cost."""
    data, best = material.settings.get("data") or {}, material.best
    facts = [_score_fact(material)]
    test = (best.get("test") or {}).get(material.metric)
    if finite(test) is not None:
        n_rows = material.settings.get("test_rows")
        about = f"{n_rows:,} rows, scored once" if n_rows else "scored once"
        facts.append(Fact("on test rows", words.number(test), about))
    if data.get("n_rows"):
        target = ", ".join(map(str, data.get("target") or ()))
        about = f"{words.counted(data.get('n_columns') or 0, 'column')}, target {target}"
        facts.append(Fact("rows", f"{data['n_rows']:,}", about))
    facts.append(Fact("trials", f"{len(material.trials):,}", _statuses(material.trials)))
    facts.append(_cost_fact(material))
    return facts


def _score_fact(material: Material) -> Fact:
    best = material.best
    bounds = words.interval(best.get("ci_low"), best.get("ci_high"))
    arrow = "lower is better" if material.direction == "min" else "higher is better"
    about = f"95 % interval {bounds}; {arrow}" if bounds else arrow
    return Fact(material.metric, words.score(best.get("score"), best.get("score_se")), about)


def _statuses(trials: pd.DataFrame) -> str:
    counts = trials["status"].value_counts()
    order = [name for name in ("completed", "stopped", "failed") if name in counts]
    return ", ".join(f"{counts[name]} {name}" for name in order)


def _cost_fact(material: Material) -> Fact:
    n_trainings = len(material.folds)
    seconds = _seconds(material.timings)
    about = f"{words.duration(seconds)} of training, summed over processes" if seconds else ""
    return Fact("trainings", f"{n_trainings:,}", about)


def _seconds(timings: pd.DataFrame) -> float:
    return float(timings["seconds"].sum()) if "seconds" in timings.columns else 0.0


def subtitle(material: Material) -> str:
    """What was searched, in one sentence."""
    settings = material.settings
    data = settings.get("data") or {}
    kind = {"share": "regression of a share"}.get(material.kind, material.kind)
    kind = f"{kind} problem" if kind in ("binary", "multiclass", "multilabel") else kind
    target = ", ".join(map(str, data.get("target") or ()))
    plan = " × ".join(
        words.counted(int(settings[name]), name.removesuffix("s"))
        for name in ("repeats", "folds")
        if settings.get(name)
    )
    parts = [
        kind + (f" of {target}" if target else ""),
        f"trial {material.selected} selected by {material.metric}",
        f"each trial scored on {plan}" if plan else "",
    ]
    text = "; ".join(part for part in parts if part)
    return text[:1].upper() + text[1:] + "."


# -- what the score is worth


def estimates_section(material: Material) -> Section | None:
    """All estimates of the selected trial's score in one picture."""
    found = estimates(material.best)
    if not found:
        return None
    metric, direction = material.metric, material.direction
    values = [e for est in found for e in (est.value, est.low, est.high) if e is not None]
    low, high = min(values), max(values)
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
    spec: Spec = {
        "kind": "forest",
        "metric": metric,
        "direction": direction,
        "rows": [
            {
                "key": estimate.key,
                "label": estimate.label,
                "value": figures.short(estimate.value),
                "low": figures.short(estimate.low),
                "high": figures.short(estimate.high),
                "text": _estimate_text(estimate),
                "about": estimate.about,
            }
            for estimate in found
        ],
        "range": [figures.short(low - margin), figures.short(high + margin)],
    }
    table = _table(
        f"Estimates of {metric}",
        ("estimate", metric, "95 % interval", "what it is"),
        [
            (e.label, Cell(_value_of(e)), words.interval(e.low, e.high) or "none", e.about)
            for e in found
        ],
    )
    chart = Chart(
        "estimates",
        spec,
        "Dots are estimates, bars their 95 % intervals; the further down, the less an estimate "
        "leaves out. Crossed out: an interval that is too narrow.",
        f"{len(found)} estimates of {metric} with their intervals; the table below has them.",
    )
    lead = _estimates_lead(material, found)
    return Section("estimates", "What the score is worth", lead, (chart,), (table,))


def _estimates_lead(material: Material, found: Sequence[Estimate]) -> str:
    expected = promised(material.best) or found[0]
    bounds = words.interval(expected.low, expected.high)
    text = f"On new rows of the same kind expect a {material.metric} of about {_value_of(expected)}"
    text += f", between {bounds.replace(' to ', ' and ')}." if bounds else "."
    by_key = {estimate.key: estimate for estimate in found}
    naive, corrected = by_key.get("naive"), by_key.get("corrected")
    ratio = _width(corrected) / _width(naive) if naive and corrected and _width(naive) else math.nan
    if ratio > 1.05:
        text += (
            f" Taking the folds for independent would claim an interval {ratio:.1f} times too "
            "narrow."
        )
    if test := by_key.get("test"):
        text += f" {_test_sentence(material, test, expected)}"
    baselines = [estimate for estimate in found if estimate.key == "baseline"]
    if baselines:
        sign = 1 if material.direction == "min" else -1
        strongest = min(baselines, key=lambda estimate: sign * estimate.value)
        is_better = sign * (strongest.value - expected.value) > 0
        name = strongest.label.removeprefix("Baseline: ")
        verb = "beats" if is_better else "does not beat"
        text += f" It {verb} the best baseline, {name}, with {_value_of(strongest)}."
    return text


def _value_of(estimate: Estimate) -> str:
    """An estimate's value to the digits that its interval has."""
    return words.within(estimate.value, _width(estimate) or None)


def _estimate_text(estimate: Estimate) -> str:
    bounds = words.interval(estimate.low, estimate.high)
    return _value_of(estimate) + (f"  ({bounds})" if bounds else "")


def _test_sentence(material: Material, test: Estimate, expected: Estimate) -> str:
    value = words.within(test.value, _width(expected) or None)
    score = f"The final model scores {value} on the test rows"
    if expected.low is None or expected.high is None or expected.key == "test":
        return f"{score}."
    if expected.low <= test.value <= expected.high:
        return f"{score}, within that interval."
    is_better = (test.value < expected.low) == (material.direction == "min")
    return f"{score}, {'better' if is_better else 'worse'} than that interval."


def _width(estimate: Estimate | None) -> float:
    if estimate is None or estimate.low is None or estimate.high is None:
        return 0.0
    return estimate.high - estimate.low


# -- diagnoses and warnings


def findings_section(material: Material) -> Section | None:
    """Diagnoses of the training, and warnings of the ledger and of the run."""
    found = [*_diagnoses(material), *_warnings(material)]
    if not found:
        return None
    order = {"problem": 0, "warning": 1, "hint": 2, "note": 3}
    found.sort(key=lambda finding: order.get(finding.severity, 1))
    counts = {s: sum(f.severity == s for f in found) for s in order}
    said = [words.counted(n, name) for name, n in counts.items() if n]
    lead = f"{_joined(said)} about this run, the gravest first."
    return Section("findings", "Diagnoses and warnings", lead, findings=tuple(found))


def _diagnoses(material: Material) -> Iterator[Finding]:
    for entry in material.diagnoses:
        anchor = _CHART_ANCHORS.get(str(entry.get("chart")), "")
        trial = entry.get("trial")
        where = f"{anchor} of trial {trial}" if trial is not None and anchor else anchor
        yield Finding(
            severity=str(entry.get("severity", "note")),
            title=str(entry.get("title", entry.get("code", ""))),
            text=str(entry.get("evidence", "")),
            advice=str(entry.get("advice", "")),
            anchor=anchor,
            where=where,
            trial=None if trial is None else int(trial),
        )


def _warnings(material: Material) -> Iterator[Finding]:
    ledger = material.best.get("ledger")
    for entry in (ledger.get("warnings") or ()) if isinstance(ledger, Mapping) else ():
        text, remedy = str(entry.get("text", "")), str(entry.get("remedy", ""))
        is_range = "range" in str(entry.get("code"))
        anchor = "slices" if is_range else "estimates"
        where = "hyperparameters" if is_range else "estimates"
        yield Finding("warning", text, "", remedy, anchor, where)
    for text in material.settings.get("warnings") or ():
        yield Finding("warning", str(text), "", "", "", "")


# -- trials


def trials_section(material: Material) -> Section:
    """Ranked trials with their corrected intervals, in a picture and a table."""
    scored = material.scored
    spec = figures.ranked(scored, metric=material.metric, direction=material.direction)
    charts: tuple[Chart, ...] = ()
    if spec is not None and len(scored) > 1:
        caption = "Each trial's mean over its folds, with its corrected 95 % interval."
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
    table = pd.concat([material.scored, failed]) if len(material.scored) else material.trials
    others = [m for m in material.metrics if m != material.metric]
    others = [m for m in others if f"metric.{m}" in table.columns]
    plan = _Columns(
        others=tuple(others),
        with_folds=table["n_folds"].nunique() > 1 if "n_folds" in table.columns else False,
        width=_usual_width(material.scored),
        limits=(limits[0], limits[1]),
    )
    rows = [
        _trial_cells(row, place, material, plan)
        for place, row in enumerate(table.to_dict("records"), start=1)
    ]
    columns = ("rank", "trial", f"{material.metric} ± se", "95 % interval", *others)
    columns += (*(("folds",) if plan.with_folds else ()), "epoch", "configuration")
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
    """What the table of trials shows: other metrics, numbers of folds, digits, drawn range."""

    others: tuple[str, ...]
    with_folds: bool
    width: float | None
    limits: tuple[float, float]


def _usual_width(scored: pd.DataFrame) -> float | None:
    """The median width of the intervals, which decides how many digits all of them get."""
    if not {"ci_low", "ci_high"} <= set(scored.columns):
        return None
    return finite((scored["ci_high"] - scored["ci_low"]).median())


def _trial_cells(
    row: Mapping[str, Any], place: int, material: Material, plan: _Columns
) -> tuple[Cell, ...]:
    trial, status = int(row["trial"]), str(row["status"])
    score, rank = finite(row.get("score")), finite(row.get("rank"))
    mark = "selected" if trial == material.selected else status
    text = material.configurations[trial]
    if status == "failed":
        text = f"{words.error_line(row.get('error'))} [{text}]"
    ends = [finite(row.get(name)) for name in ("ci_low", "ci_high")]
    bounds = "" if None in ends else " to ".join(words.within(end, plan.width) for end in ends)
    return (
        Cell("-" if rank is None else f"{int(rank)}", sort=float(place)),
        Cell(str(trial), sort=float(trial), badge="" if mark == "completed" else mark),
        Cell(words.score(score, row.get("score_se")), sort=score),
        Cell(bounds, sort=score, bar=_bar(row, *plan.limits)),
        *(_number(row.get(f"metric.{name}")) for name in plan.others),
        *((_number(row.get("n_folds")),) if plan.with_folds else ()),
        _number(row.get("best_epoch")),
        Cell(text, is_long=True),
    )


def _bar(row: Mapping[str, Any], low: float, high: float) -> tuple[float, float, float] | None:
    """An interval and its middle as shares of the drawn range, cut at its ends."""
    ends = [finite(row.get(name)) for name in ("ci_low", "score", "ci_high")]
    if ends[1] is None or high <= low:
        return None
    placed = [ends[1] if end is None else end for end in ends]
    shares = [min(1.0, max(0.0, (float(end or 0.0) - low) / (high - low))) for end in placed]
    return round(shares[0], 4), round(shares[1], 4), round(shares[2], 4)


# -- learning curves


def curves_section(material: Material) -> Section | None:
    """Mean learning curves of the trials, the selected one first."""
    spec = figures.learning_curves(
        material.curves,
        material.scored,
        material.fold_curves,
        metrics=material.metrics,
        direction=material.direction,
        selected=material.selected,
    )
    if spec is None:
        return None
    spec["labels"] = {t: material.configurations[int(t)] for t in spec["order"]}
    drawn = spec["trials"][spec["selected"]]
    caption = (
        "Mean over the folds after every epoch, both sides without dropout. The band is the "
        "corrected standard error of the validation mean; the dot marks the best epoch."
    )
    if any("folds" in entry for entry in spec["trials"].values()):
        caption += " Thin lines are single folds."
    description = f"Learning curves of trial {spec['selected']}; the table below has them."
    table = _curve_table(spec, drawn)
    notes = ()
    if spec["n_left_out"]:
        notes = (
            f"Curves of the {words.counted(spec['n_left_out'], 'trial')} ranked last are left "
            "out here; curves.csv has them.",
        )
    lead = _curves_lead(spec, drawn)
    charts = (Chart("curves", spec, caption, description, width="tall"),)
    return Section("curves", "Learning curves", lead, charts, (table,), notes)


def _curves_lead(spec: Spec, drawn: Spec) -> str:
    metric, best = spec["metrics"][0], drawn["best"]
    series, epochs = drawn["series"][metric], drawn["epochs"]
    place = epochs.index(best) if best in epochs else len(epochs) - 1
    validation, train = series["val"][place], (series["train"] or [None])[place]
    text = (
        f"Trial {spec['selected']} is best after epoch {best} of {epochs[-1]}, where the mean "
        f"validation {metric} is {words.number(validation, digits=3)}"
    )
    text += f" and the training rows' {words.number(train, digits=3)}." if train is not None else "."
    last = series["val"][-1]
    sign = 1 if spec["direction"] == "min" else -1
    if best == epochs[-1] and len(epochs) > 1:
        text += " That is the last epoch: longer training might give more."
    elif last is not None and validation is not None and sign * (last - validation) > 0:
        text += f" By the last epoch it is {words.number(last, digits=3)}."
    return text


def _curve_table(spec: Spec, drawn: Spec) -> Table:
    metric = spec["metrics"][0]
    series, epochs = drawn["series"][metric], drawn["epochs"]
    kept = figures.thinned(len(epochs), 12, also=_place(epochs, drawn["best"]))
    rows = [
        (
            _number(epochs[i]),
            _number(series["val"][i]),
            _number(series["se"][i] if series["se"] else None),
            _number(series["train"][i] if series["train"] else None),
        )
        for i in kept
    ]
    caption = f"Trial {spec['selected']}, {metric} at some epochs (best: {drawn['best']})"
    return _table(caption, ("epoch", "validation", "corrected se", "training"), rows)


def _place(epochs: Sequence[int], epoch: int) -> int:
    return epochs.index(epoch) if epoch in epochs else 0


# -- hyperparameters


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
        text += f" The best {good} trials have in common: {_joined(said[:4])}."
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
    charts = tuple(
        Chart(
            f"slice-{i}",
            {**spec, "selected": material.selected},
            spec["name"],
            f"{material.metric} of {words.counted(len(spec['points']), 'trial')} against "
            f"{spec['name']}. {_slice_text(material, axis)}",
            width="small",
        )
        for i, (axis, spec) in enumerate(zip(shown, specs, strict=True))
    )
    rows = [(axis.name, _slice_text(material, axis)) for axis in shown]
    table = _table("Scores by hyperparameter", ("hyperparameter", "what the trials show"), rows)
    constant = _constants(material)
    notes = (f"The same in all trials: {constant}.",) if constant else ()
    lead = (
        f"Each picture has one hyperparameter; a dot is a trial, the ring trial "
        f"{material.selected}. Other hyperparameters differ too, so look for shapes, "
        "not for single dots."
    )
    strongest = _strongest_slice(material, shown)
    if strongest:
        lead = f"{strongest} {lead}"
    return Section("slices", "Each hyperparameter", lead, charts, (table,), notes, is_grid=True)


def _constants(material: Material) -> str:
    names = [str(c) for c in material.scored.columns if str(c).startswith("hp.")]
    return ", ".join(
        f"{name.removeprefix('hp.')} = {words.number(material.scored[name].iloc[0])}"
        for name in names
        if material.scored[name].notna().all() and material.scored[name].nunique() == 1
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
        sign = 1 if material.direction == "min" else -1
        ordered = sorted(medians, key=lambda place: sign * medians[place])
        first = f"best median {words.number(medians[ordered[0]])} with {axis.levels[ordered[0]]}"
        if len(ordered) == 1:
            return f"{first}, the only value where it is active"
        last = ordered[-1]
        return f"{first}, worst {words.number(medians[last])} with {axis.levels[last]}"
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
    n = int((material.scored["status"] == "completed").sum())
    title = "Importance of hyperparameters"
    if not shown or n < 2:
        return None
    if found is None:
        lead = (
            f"{n} completed trials are too few to say which hyperparameters matter; it takes at "
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
    rows = [
        {
            "key": "importance",
            "label": name,
            "value": figures.short(drop, 4),
            "low": figures.short(low, 4),
            "high": figures.short(high, 4),
            "about": "",
        }
        for name, drop, low, high in zip(
            found.names, found.drops, found.lows, found.highs, strict=True
        )
    ]
    lows, highs = min(0.0, *found.lows), max(*found.highs, 0.05)
    spec: Spec = {
        "kind": "bars",
        "x": "loss of R² when its values are shuffled",
        "rows": rows,
        "range": [figures.short(max(lows, -0.5), 3), figures.short(min(highs, 2.0), 3)],
    }
    chart = Chart(
        "importance",
        spec,
        "Permutation importance on a random forest, on trials that it was not fitted on; bars of "
        "the error are 95 % intervals, corrected for shared trials.",
        f"The importance of {len(rows)} hyperparameters; the table below has it.",
    )
    table = _table(
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
        verb = "matters" if len(clear) == 1 else "matter"
        return text + f"Beyond its error, {_joined(clear[:4])} {verb}, in this order."
    return text + f"{found.names[0]} comes first, but no interval is clear of zero."


def _importance(material: Material, shown: Sequence[Axis]) -> Importance | None:
    """The importance over completed trials."""
    keep = [i for i, s in enumerate(material.scored["status"]) if s == "completed"]
    kept = [replace(axis, values=tuple(axis.values[i] for i in keep)) for axis in shown]
    scores = material.scored["score"].to_numpy(float)[keep]
    return importance(kept, scores, material.direction)


# -- the search as a whole


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
    table = _table(
        "Improvements in the order of the trials",
        ("trial", f"best {material.metric} so far", "training seconds until then"),
        [
            (_number(p["trial"]), _number(p["best"]), _number(p["seconds"]))
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
    text = (
        f"The best score came with trial {last['trial']}, number {position} of {len(points)}"
    )
    gained = steps[0]["best"], last["best"]
    if len(steps) > 1 and steps[0]["trial"] == points[0]["trial"]:
        text += (
            f"; the first configuration, the space's default, scores "
            f"{words.number(gained[0], digits=3)} and the best {words.number(gained[1], digits=3)}"
        )
    elif len(steps) == 1 and position == 1:
        text += ", the space's default"
    seconds = _seconds(material.timings)
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
    table = _table(
        "Folds",
        ("fold", f"median {metric} over trials", "trials"),
        [
            (spec["folds"][fold], _number(median), _number(len(values[fold])))
            for fold, median in sorted(medians.items())
        ],
    )
    chart = Chart(
        "folds",
        spec,
        "Columns are trials by rank, the best on the left; rows are folds. A row of one colour is a "
        "fold that is easy, or hard, for every network.",
        f"Scores of {len(spec['folds'])} folds and {len(spec['trials'])} trials; the table below "
        "has the median of each fold.",
    )
    return Section("folds", "Folds", _folds_lead(material, spec, medians), (chart,), (table,))


def _folds_lead(material: Material, spec: Spec, medians: Mapping[int, float]) -> str:
    sign = 1 if material.direction == "min" else -1
    if len(medians) < 2:
        return f"Every trial was scored on one fold, {spec['folds'][0]}."
    easy = min(medians, key=lambda fold: sign * medians[fold])
    hard = max(medians, key=lambda fold: sign * medians[fold])
    return (
        f"The hardest fold is {spec['folds'][hard]} (median {material.metric} over trials "
        f"{words.number(medians[hard], digits=3)}), the easiest {spec['folds'][easy]} "
        f"({words.number(medians[easy], digits=3)}): which rows validate matters that much."
    )


# -- predictions


def predictions_section(material: Material) -> Section | None:
    """Out-of-fold predictions of the selected trial, as its problem type has them."""
    predicted = Predicted.of(material.predictions, material.kind, material.target)
    if predicted is None:
        return None
    if material.kind in ("regression", "share"):
        return _values_section(material, predicted)
    return _classes_section(material, predicted)


def _classes_section(material: Material, predicted: Predicted) -> Section | None:
    charts, tables = [], []
    matrix = confusion(predicted)
    if matrix is not None:
        charts.append(
            Chart(
                "confusion",
                matrix,
                "Confusion matrix: rows are true classes, columns predicted ones; the share is of "
                "the true class.",
                "Confusion matrix; the table below has it.",
                width="half",
            )
        )
        tables.append(_confusion_table(matrix))
    curve = roc(predicted)
    if curve is not None:
        per = "repeat" if predicted.kind == "binary" else "class"
        caption = f"ROC curve of each {per}: over all thresholds, rows found against false alarms."
        if curve["n_left_out"]:
            caption += f" The first {len(curve['series'])} are drawn."
        charts.append(Chart("roc", curve, caption, "ROC curves.", width="half"))
        tables.append(
            _table(
                "Area under the ROC curve",
                ("curve", "area"),
                [(line["name"], Cell(f"{line['auc']:.4f}")) for line in curve["series"]],
            )
        )
    bins = calibration(predicted)
    if bins is not None:
        charts.append(
            Chart(
                "calibration",
                bins,
                "Calibration: ten groups of predictions by their probability. On the diagonal, "
                "probabilities mean what they say; bars are 95 % intervals.",
                "Calibration; the table below has it.",
                width="half",
            )
        )
        tables.append(
            _table(
                "Calibration",
                ("mean probability", "share that came true", "95 % interval", "rows"),
                [
                    (_number(p), _number(s), words.interval(low, high), _number(round(n)))
                    for p, s, low, high, n in bins["points"]
                ],
            )
        )
    probabilities = spread(predicted)
    if probabilities is not None:
        caption = f"Predicted probability of {probabilities['of']}: how its rows are spread over it."
        about = "A histogram of predicted probabilities."
        charts.append(Chart("probabilities", probabilities, caption, about, width="half"))
        tables.append(_probability_table(probabilities))
    if not charts:
        return None
    lead = " ".join([_classes_lead(predicted, matrix), _calibration_text(bins)]).strip()
    return Section(
        "predictions", "Out-of-fold predictions", lead, tuple(charts), tuple(tables), is_grid=True
    )


def _confusion_table(matrix: Spec) -> Table:
    names = matrix["names"]
    rows = [
        (name, *(Cell(f"{count:.1f}") for count in counts))
        for name, counts in zip(names, matrix["counts"], strict=True)
    ]
    return _table(
        "Confusion matrix (rows of the table, mean over repeats)",
        ("true \\ predicted", *names),
        rows,
    )


def _probability_table(spec: Spec) -> Table:
    edges = spec["edges"]
    rows = [
        (f"{low:.2f} to {high:.2f}", *(Cell(f"{line['shares'][i]:.1%}") for line in spec["series"]))
        for i, (low, high) in enumerate(zip(edges, edges[1:], strict=False))
    ]
    columns = ("predicted probability", *(line["name"] for line in spec["series"]))
    return _table(f"Predicted probability of {spec['of']}", columns, rows)


def _classes_lead(predicted: Predicted, matrix: Spec | None) -> str:
    if matrix is None:
        return f"{len(predicted.names)} labels, each predicted by networks that hadn't seen the row."
    counts, names = np.array(matrix["counts"], float), matrix["names"]
    right, total = float(np.trace(counts)), float(counts.sum())
    text = (
        f"Networks that had not seen a row put {right:.0f} of {total:.0f} into the right class "
        "(mean over repeats)."
    )
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    if wrong.max() > 0:
        true, guess = np.unravel_index(int(wrong.argmax()), wrong.shape)
        text += (
            f" The commonest mistake: {names[true]} taken for {names[guess]}, "
            f"{wrong.max():.1f} of {counts[true].sum():.0f} rows."
        )
    return text


def _calibration_text(bins: Spec | None) -> str:
    if bins is None:
        return ""
    off = [p for p in bins["points"] if not p[2] <= p[0] <= p[3]]
    if not off:
        return "Probabilities mean what they say, as far as the intervals tell."
    worst = max(off, key=lambda p: abs(p[1] - p[0]))
    side = "too high" if worst[0] > worst[1] else "too low"
    return (
        f"Probabilities around {worst[0]:.2f} are {side}: {worst[1]:.0%} came true "
        f"({len(off)} of {len(bins['points'])} groups are off by more than chance)."
    )


def _values_section(material: Material, predicted: Predicted) -> Section:
    charts, tables = [], []
    n_targets = len(predicted.names)
    for column in range(min(n_targets, _TARGETS_DRAWN)):
        name = f" of {predicted.names[column]}" if n_targets > 1 else ""
        points, spread = fitted(predicted, column), residuals(predicted, column)
        if points is None or spread is None:
            continue
        caption = f"Predicted against true values{name}; on the diagonal they agree."
        if points["n_left_out"]:
            caption += f" {len(points['points']):,} rows are drawn."
        about = f"Predicted against true values{name}; the table below has means of ten groups."
        charts.append(Chart(f"fitted-{column}", points, caption, about, width="half"))
        about = f"A histogram of the residuals{name}; the table below has quantiles."
        caption = f"Residuals{name}: rows a repeat by how far they are predicted too high."
        charts.append(Chart(f"residuals-{column}", spread, caption, about, width="half"))
        tables += [_bias_table(points, name), _residual_table(predicted, column, name)]
    notes = ()
    if n_targets > _TARGETS_DRAWN:
        notes = (f"The first {_TARGETS_DRAWN} of {n_targets} targets are drawn.",)
    lead = _values_lead(predicted)
    return Section(
        "predictions",
        "Out-of-fold predictions",
        lead,
        tuple(charts),
        tuple(tables),
        notes,
        is_grid=True,
    )


def _bias_table(points: Spec, name: str) -> Table:
    rows = [(_number(guess), _number(truth), _number(n)) for guess, truth, n in points["bias"]]
    columns = ("mean prediction", "mean true value", "predictions")
    return _table(f"Predictions in ten groups{name}", columns, rows)


def _residual_table(predicted: Predicted, column: int, name: str) -> Table:
    errors = predicted.predicted[:, column] - predicted.truth[:, column]
    shares = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
    rows = [(f"{share:.0%}", _number(float(np.quantile(errors, share)))) for share in shares]
    return _table(f"Quantiles of the residuals{name}", ("share of rows below", "residual"), rows)


def _values_lead(predicted: Predicted) -> str:
    said = []
    for column, name in enumerate(predicted.names[:3]):
        errors = predicted.predicted[:, column] - predicted.truth[:, column]
        half = float(np.median(np.abs(errors)))
        bias = float(errors.mean())
        se = float(errors.std()) / math.sqrt(max(1, len(errors) / predicted.n_repeats))
        side = "too high" if bias > 0 else "too low"
        lean = (
            f"on average {words.number(abs(bias), digits=3)} {side}"
            if se and abs(bias) > 2 * se
            else "neither too high nor too low on average"
        )
        said.append(
            f"{name}: half of the predictions are within {words.number(half, digits=3)} of the "
            f"true value, {lean}"
        )
    return (
        f"From networks that had not seen the row. {'; '.join(said)}."
    )


# -- how to make it again


def again_section(material: Material) -> Section:
    """The command, the seed, the versions and the fingerprint."""
    settings = material.settings
    data = settings.get("data") or {}
    versions = settings.get("versions") or {}
    rows: list[tuple[str | Cell, ...]] = [
        ("seed", str(settings.get("seed", "not recorded"))),
        ("data", str(data.get("name", "not recorded"))),
        ("fingerprint of the data (SHA-256)", str(data.get("fingerprint", "not recorded"))),
        ("space", str(settings.get("space", "not recorded"))),
        ("source of the space (SHA-256)", str(settings.get("space_sha256", "not recorded"))),
        ("engine", str(settings.get("engine", "not recorded"))),
        ("split", str(settings.get("split_reason", "not recorded"))),
        *((f"version of {name}", str(version)) for name, version in sorted(versions.items())),
    ]
    table = _table("What the run rests on", ("what", "value"), rows, is_open=True)
    configuration = sorted((material.best.get("hyperparameters") or {}).items())
    tables = [table]
    if configuration:
        hyperparameters = [(str(name), words.number(value)) for name, value in configuration]
        caption = f"Configuration of trial {material.selected}"
        tables.insert(0, _table(caption, ("hyperparameter", "value"), hyperparameters))
    text = command(settings)
    code = [("Run the search again", text)]
    lead = (
        "With the same data, versions and kind of machine this command gives the same tables to "
        "the last byte, whatever the number of processes."
    )
    if "DATA" in text.split():
        lead += " DATA stands for the table, which was not read from a file that can be named."
    return Section("again", "Make this run again", lead, (), tuple(tables), code=tuple(code))


# -- small things


def _table(
    caption: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str | Cell]],
    *,
    is_open: bool = False,
) -> Table:
    """A table whose columns of ``Cell`` are numbers and whose other columns are text."""
    cells = tuple(tuple(c if isinstance(c, Cell) else Cell(c) for c in row) for row in rows)
    first = rows[0] if rows else ()
    numeric = tuple(isinstance(cell, Cell) for cell in first) or tuple(False for _ in columns)
    return Table(caption, tuple(map(label, columns)), cells, numeric, is_open=is_open)


def _number(value: Any) -> Cell:
    number = finite(value)
    return Cell("-" if number is None else words.number(number), sort=number)


def _joined(parts: Sequence[str]) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
