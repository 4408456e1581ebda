"""What was decided after the selection: each decision in words, pictures and tables, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hpsearch import words
from hpsearch.decisions.calibration import Calibration, Reliability
from hpsearch.decisions.ensembles import Ensemble, time_of_predicting
from hpsearch.decisions.intervals import Intervals
from hpsearch.decisions.rules import TRADED_FOR, ThresholdRule
from hpsearch.decisions.threshold import Cut, Threshold, ThresholdFigure
from hpsearch.report.blocks import Cell, Chart, Section, Table, number_cell, score_cell, table_of
from hpsearch.report.figures import Spec
from hpsearch.report.material import Material, records, short
from hpsearch.report.predictions import jeffreys

_LABELS_DRAWN: Final = 6


@dataclass(frozen=True)
class Shown:
    """One decision on the page."""

    lead: str
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()


def decided_section(material: Material) -> Section | None:
    """All that was decided, with what it is worth."""
    if material.ledger is None:
        return None
    shown = list(_shown(material))
    if not shown:
        return None
    return Section(
        "decided",
        "What was decided with it",
        " ".join(each.lead for each in shown),
        tuple(chart for each in shown for chart in each.charts),
        tuple(table for each in shown for table in each.tables),
        tuple(note for each in shown for note in each.notes),
        is_grid=True,
    )


def _shown(material: Material) -> Iterator[Shown]:
    assert material.ledger is not None
    decided = material.ledger.decided
    if decided.ensemble is not None:
        yield _ensemble(decided.ensemble, material)
    if decided.calibration is not None:
        yield _calibration(decided.calibration)
    if decided.threshold is not None:
        yield _threshold(decided.threshold, material)
    if decided.intervals is not None and decided.intervals.reached:
        yield _intervals(decided.intervals)


# -- the ensemble


def _ensemble(ensemble: Ensemble, material: Material) -> Shown:
    lead = f"The model is {ensemble.words}. {ensemble.gained}".rstrip()
    took = time_of_predicting(records(material.predicting))
    notes = [note for note in (*ensemble.remarks(), took) if note not in ("", ensemble.gained)]
    if ensemble.value is None:
        return Shown(lead, notes=notes)
    scores = (
        ("the mean", ensemble.value, (ensemble.low, ensemble.high), ensemble.naive),
        ("one network", ensemble.single, (None, None), ensemble.single_naive),
    )
    rows = [
        (
            name,
            score_cell(material, value),
            material.interval(*bounds) or "",
            score_cell(material, naive),
        )
        for name, value, bounds, naive in scores
    ]
    figures = table_of(
        "What averaging scores",
        (f"{material.metric} of", "corrected", "95 % interval", "naive"),
        rows,
        is_open=True,
    )
    members = table_of(
        "Members",
        ("trial", "share", "networks", "epoch"),
        [
            (str(m.trial), number_cell(m.weight), str(m.n_networks), str(m.epoch))
            for m in ensemble.members
        ],
        is_open=len(ensemble.members) > 1,
    )
    return Shown(lead, (), [figures, members], notes)


# -- calibration


def _calibration(calibration: Calibration) -> Shown:
    pictures = [
        _reliability(name, found)
        for name, found in (("as they are", calibration.before), ("calibrated", calibration.after))
        if found is not None
    ]
    charts, tables = zip(*pictures, strict=True) if pictures else ((), ())
    return Shown(f"{calibration.verdict} {calibration.reason}", charts, tables)


def _reliability(name: str, found: Reliability) -> tuple[Chart, Table]:
    """Out-of-fold probabilities in groups, and what came true in each."""
    groups = zip(found.predicted, found.came_true, found.n_rows, strict=True)
    points = [(p, share, *jeffreys(share * n, n), n) for p, share, n in groups]
    spec: Spec = {
        "kind": "calibration",
        "x": "mean predicted probability",
        "y": "share that came true",
        "points": [[short(value) for value in point] for point in points],
        "range": [0, 1],
    }
    caption = (
        f"Out-of-fold probabilities {name}: off by {found.error:.2g} on average, log loss "
        f"{found.log_loss:.4g}."
    )
    if name == "calibrated":
        caption += " Each fold's rows are calibrated by the others."
    anchor = f"reliability-{name.replace(' ', '-')}"
    rows = [
        (number_cell(p), number_cell(share), words.interval(low, high), number_cell(round(n)))
        for p, share, low, high, n in points
    ]
    heads = ("mean probability", "share that came true", "95 % interval", "rows")
    return (
        Chart(anchor, spec, caption, f"Calibration of probabilities {name}.", width="half"),
        table_of(f"Probabilities {name}", heads, rows),
    )


# -- the threshold


def _threshold(threshold: Threshold, material: Material) -> Shown:
    own = threshold.figures[0]
    bounds = words.interval(own.low, own.high).replace(" to ", " and ")
    lead = (
        f"The model predicts {threshold.predicts}: {threshold.why}. On new rows "
        f"expect {_article(own.name)} {own.name} of about {_figure(own, own.value)}"
        + (f", between {bounds}" if bounds else "")
        + f"; {_figure(own, own.naive)} on the very rows that {_chose(threshold)}, "
        f"{_figure(own, own.at_half)} at 0.5."
    )
    drawn = threshold.cuts[:_LABELS_DRAWN]
    charts = [
        chart
        for number, cut in enumerate(drawn)
        for chart in _pictures(threshold, cut, number, material)
    ]
    return Shown(lead, charts, [_table(threshold)], tuple(threshold.remarks()))


def _chose(threshold: Threshold) -> str:
    """What the naive figure's rows did."""
    return "chose it" if threshold.is_chosen else "selected the trial"


def _pictures(threshold: Threshold, cut: Cut, number: int, material: Material) -> Iterator[Chart]:
    of, is_chosen = f" of {cut.label}" if len(threshold.cuts) > 1 else "", threshold.is_chosen
    yield Chart(
        f"threshold-{number}",
        _curve(threshold, cut),
        f"{threshold.metric}{of} over all thresholds, on the out-of-fold predictions. The marked "
        + (
            "one was chosen; choosing on this curve flatters it."
            if is_chosen
            else "one was asked for."
        ),
        f"{threshold.metric}{of} over all thresholds; {cut.value:g} is marked.",
        width="half",
    )
    yield Chart(
        f"threshold-confusion-{number}",
        _matrix(cut, material),
        f"Confusion matrix{of} at {cut.value:g}: rows are true, columns predicted ones; "
        + ("sums of weights, " if material.best.get("scores_weigh_by") else "")
        + "means over the repeats.",
        f"Confusion matrix{of} at the threshold.",
        width="half",
    )


def _curve(threshold: Threshold, cut: Cut) -> Spec:
    rule = ThresholdRule.of(threshold.rule)
    series = [(threshold.metric, cut.figures)]
    if cut.traded:
        series.append((TRADED_FOR[rule.name], cut.traded))
    return {
        "kind": "thresholds",
        "x": f"probability of {cut.label} from which on it is predicted",
        "y": " and ".join(name for name, _ in series),
        "series": [
            {
                "name": name,
                "points": [[short(x, 4), short(y, 4)] for x, y in zip(cut.at, values, strict=True)],
            }
            for name, values in series
        ],
        "mark": short(cut.value),
        "interval": [short(cut.low), short(cut.high)],
        "bound": rule.bound,
    }


def _matrix(cut: Cut, material: Material) -> Spec:
    names = [str(label) for label in material.target.get("labels") or ()]
    if material.kind != "binary" or len(names) != 2:
        names = [f"not {cut.label}", cut.label]
    counts = [cut.confusion[:2], cut.confusion[2:]]
    return {
        "kind": "matrix",
        "names": names,
        "counts": [[short(count, 4) for count in row] for row in counts],
        "shares": [[short(count / (sum(row) or 1.0), 4) for count in row] for row in counts],
    }


def _table(threshold: Threshold) -> Table:
    has_test = any(figure.test is not None for figure in threshold.figures)
    heads = ("figure", "corrected", "95 % interval", "naive", "at 0.5, corrected")
    rows = [
        (
            figure.name,
            number_cell(figure.value),
            words.interval(figure.low, figure.high) or "none",
            number_cell(figure.naive),
            number_cell(figure.at_half),
            *((number_cell(figure.test),) if has_test else ()),
        )
        for figure in threshold.figures
    ]
    return table_of(
        "At the threshold", (*heads, *(("test rows",) if has_test else ())), rows, is_open=True
    )


# -- ranges and sets


def _intervals(found: Intervals) -> Shown:
    what = "ranges of numbers" if found.form == "range" else "sets of classes"
    lead = (
        f"With --interval it predicts {what} that hold what comes as often as was asked; how often "
        "they did is measured."
    )
    has_test = any(reached.test is not None for reached in found.reached)
    several = len({reached.name for reached in found.reached}) > 1
    rows = [
        (
            *((reached.name,) if several else ()),
            number_cell(reached.level),
            Cell(words.score(reached.share, reached.se), sort=reached.share),
            number_cell(reached.size),
            *((number_cell(reached.test, digits=3),) if has_test else ()),
        )
        for reached in found.reached
    ]
    heads = (*(("target",) if several else ()), "asked", "held out of fold", found.size_name)
    table = table_of(
        f"How often {what} held what came",
        (*heads, *(("test rows",) if has_test else ())),
        rows,
        is_open=True,
    )
    return Shown(lead, (), [table], found.remarks())


def _figure(figure: ThresholdFigure, value: float | None) -> str:
    width = None if figure.low is None or figure.high is None else figure.high - figure.low
    return words.within(value, width)


def _article(name: str) -> str:
    return "an" if name[0] in "aef" and name != "false" else "a"
