"""The selected trial's out-of-fold predictions, as its problem type has them."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

import numpy as np

from hpsearch import words
from hpsearch.report.blocks import (
    Cell,
    Chart,
    Section,
    Table,
    number_cell,
    table_of,
)
from hpsearch.report.counts import dispersion, frequencies
from hpsearch.report.figures import Spec
from hpsearch.report.material import Material
from hpsearch.report.parts.quantiles import quantiles_section
from hpsearch.report.predictions import (
    Predicted,
    calibration,
    confusion,
    digits_of_offset,
    fitted,
    residuals,
    roc,
    spread,
)
from hpsearch.task import OF_NUMBERS

_TARGETS_DRAWN: Final = 6


def predictions_section(material: Material) -> Section | None:
    """Out-of-fold predictions of the selected trial, as its problem type has them."""
    predicted = Predicted.of(material.predictions, material.kind, material.target)
    if predicted is None:
        return None
    if material.kind in OF_NUMBERS:
        return _values_section(material, predicted)
    if material.kind == "quantile":
        return quantiles_section(predicted)
    return _classes_section(material, predicted)


Pictured = tuple[Chart, Table]


def _classes_section(material: Material, predicted: Predicted) -> Section | None:
    matrix, bins = confusion(predicted), calibration(predicted)
    decided = None if material.ledger is None else material.ledger.decided
    has_threshold = decided is not None and decided.threshold is not None
    calibrated = decided is not None and decided.for_predicting.get("calibration") is not None
    pictures = [
        _confusion_matrix(predicted, matrix, at_half=has_threshold),
        _roc_curves(predicted),
        _calibration(bins, before=calibrated),
        _probabilities(predicted),
    ]
    shown = [picture for picture in pictures if picture is not None]
    if not shown:
        return None
    charts, tables = zip(*shown, strict=True)
    lead = " ".join([_classes_lead(predicted, matrix), _calibration_text(bins)]).strip()
    return Section("predictions", "Out-of-fold predictions", lead, charts, tables, is_grid=True)


def _confusion_matrix(
    predicted: Predicted, matrix: Spec | None, *, at_half: bool
) -> Pictured | None:
    if matrix is None:
        return None
    caption = (
        "Confusion matrix: rows are true classes, columns predicted ones; the darker a "
        "cell, the larger its share of the true class."
    )
    if at_half:
        caption += " At a threshold of 0.5, not at the one that was chosen."
    about = "Confusion matrix; the table below has it."
    counted = "rows of the table" if predicted.weights is None else "weights of the rows"
    table = _confusion_table(matrix, counted)
    return Chart("confusion", matrix, caption, about, width="half"), table


def _roc_curves(predicted: Predicted) -> Pictured | None:
    curve = roc(predicted)
    if curve is None:
        return None
    per = {"binary": "repeat", "multiclass": "class"}.get(predicted.kind, "label")
    caption = f"ROC curve of each {per}: over all thresholds, rows found against false alarms."
    if curve["n_left_out"]:
        caption += f" The first {len(curve['series'])} are drawn."
    areas = [(line["name"], Cell(f"{line['auc']:.4f}")) for line in curve["series"]]
    return (
        Chart("roc", curve, caption, "ROC curves.", width="half"),
        table_of("Area under the ROC curve", ("curve", "area"), areas),
    )


def _calibration(bins: Spec | None, *, before: bool) -> Pictured | None:
    if bins is None:
        return None
    caption = (
        "Calibration: ten groups of predictions by their probability. On the diagonal, "
        "probabilities mean what they say; bars are 95 % intervals."
    )
    if before:
        caption += " As networks gave them, before the model calibrates them."
    about = "Calibration; the table below has it."
    heads = ("mean probability", "share that came true", "95 % interval", "rows")
    rows = [
        (number_cell(p), number_cell(s), words.interval(low, high), number_cell(round(n)))
        for p, s, low, high, n in bins["points"]
    ]
    return (
        Chart("calibration", bins, caption, about, width="half"),
        table_of("Calibration", heads, rows),
    )


def _probabilities(predicted: Predicted) -> Pictured | None:
    probabilities = spread(predicted)
    if probabilities is None:
        return None
    caption = f"Predicted probability of {probabilities['of']}: how its rows are spread over it."
    about = "A histogram of predicted probabilities."
    return (
        Chart("probabilities", probabilities, caption, about, width="half"),
        _probability_table(probabilities),
    )


def _confusion_table(matrix: Spec, counted: str) -> Table:
    names = matrix["names"]
    rows = [
        (name, *(Cell(f"{count:.1f}") for count in counts))
        for name, counts in zip(names, matrix["counts"], strict=True)
    ]
    return table_of(
        f"Confusion matrix ({counted}, mean over repeats)",
        ("true \\ predicted", *names),
        rows,
    )


def _probability_table(spec: Spec) -> Table:
    edges = spec["edges"]
    rows: list[tuple[str | Cell, ...]] = [
        (f"{low:.2f} to {high:.2f}", *(Cell(f"{line['shares'][i]:.1%}") for line in spec["series"]))
        for i, (low, high) in enumerate(pairwise(edges))
    ]
    columns = ("predicted probability", *(line["name"] for line in spec["series"]))
    return table_of(f"Predicted probability of {spec['of']}", columns, rows)


def _classes_lead(predicted: Predicted, matrix: Spec | None) -> str:
    if matrix is None:
        return (
            f"{len(predicted.names)} labels, each predicted by networks that hadn't seen the row."
        )
    counts, names = np.array(matrix["counts"], float), matrix["names"]
    right, total = float(np.trace(counts)), float(counts.sum())
    text = (
        f"Networks that had not seen a row put {right:.0f} of {total:.0f} into the right class "
        "(mean over repeats)."
    )
    unit = "rows"
    if predicted.weights is not None:
        unit = "of the weight"
        text = (
            f"Networks that had not seen a row put rows with {right / total:.1%} of all weight "
            "into the right class (mean over repeats)."
        )
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    if wrong.max() > 0:
        true, guess = np.unravel_index(int(wrong.argmax()), wrong.shape)
        text += (
            f" The commonest mistake: {names[true]} taken for {names[guess]}, "
            f"{wrong.max():.1f} of {counts[true].sum():.0f} {unit}."
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
        caption += _beyond_text(spread)
        charts.append(Chart(f"residuals-{column}", spread, caption, about, width="half"))
        digits = 4 + digits_of_offset(predicted.truth[:, column])
        tables += [_bias_table(points, name, digits), _residual_table(predicted, column, name)]
        counted = frequencies(predicted, column)
        if counted is not None:
            charts.append(_counts_chart(counted, column, name))
            tables.append(_counts_table(counted, name))
    notes: tuple[str, ...] = ()
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


def _counts_chart(spec: Spec, column: int, name: str) -> Chart:
    caption = (
        f"How often each count{name} occurs, and how often it would by Poisson's distribution "
        "around each prediction; the last bar has all larger ones."
    )
    about = f"Frequencies of counts{name}; the table below has them."
    return Chart(f"counts-{column}", spec, caption, about, width="half")


def _counts_table(spec: Spec, name: str) -> Table:
    ends = [(math.ceil(low), math.floor(high)) for low, high in pairwise(spec["edges"])]
    texts = [f"{low}" if low == high else f"{low} to {high}" for low, high in ends]
    texts[-1] = f"{ends[-1][0]} or more"
    parts = zip(texts, *(line["shares"] for line in spec["series"]), strict=True)
    rows = [(text, *(Cell(f"{share:.1%}") for share in shares)) for text, *shares in parts]
    return table_of(f"How often each count{name} occurs", ("count", "observed", "expected"), rows)


def _dispersion_text(predicted: Predicted, column: int) -> str:
    times = dispersion(predicted, column)
    if not np.isfinite(times) or 0.8 < times < 1.25:
        return ""
    side = "more" if times > 1 else "less"
    return f", and varies {side} than Poisson's distribution has it ({times:.2g} times as much)"


def _beyond_text(spread: Spec) -> str:
    """What the bars at the ends of the axis hold, where that is more than their width."""
    low, high = spread["edges"][0], spread["edges"][-1]
    sides = [
        f"{words.number(n)} below {words.number(low)}"
        if side == "below"
        else f"{words.number(n)} above {words.number(high)}"
        for side, n in (("below", spread["below"]), ("above", spread["above"]))
        if n
    ]
    return f" The bars at the ends hold all beyond them: {' and '.join(sides)}." if sides else ""


def _bias_table(points: Spec, name: str, digits: int) -> Table:
    rows = [
        (number_cell(guess, digits), number_cell(truth, digits), number_cell(n))
        for guess, truth, n in points["bias"]
    ]
    columns = ("mean prediction", "mean true value", "predictions")
    return table_of(f"Predictions in ten groups{name}", columns, rows)


def _residual_table(predicted: Predicted, column: int, name: str) -> Table:
    errors = predicted.predicted[:, column] - predicted.truth[:, column]
    shares = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
    rows = [
        (f"{share:.0%}", number_cell(float(predicted.quantiles(errors, share)))) for share in shares
    ]
    return table_of(f"Quantiles of the residuals{name}", ("share of rows below", "residual"), rows)


def _values_lead(predicted: Predicted) -> str:
    said = []
    for column, name in enumerate(predicted.names[:3]):
        errors = predicted.predicted[:, column] - predicted.truth[:, column]
        half = float(predicted.quantiles(np.abs(errors), 0.5))
        bias = predicted.mean(errors)
        deviation = math.sqrt(predicted.mean((errors - bias) ** 2))
        se = deviation / math.sqrt(max(1.0, predicted.n_rows()))
        side = "too high" if bias > 0 else "too low"
        lean = (
            f"on average {words.number(abs(bias), digits=3)} {side}"
            if se and abs(bias) > 2 * se
            else "neither too high nor too low on average"
        )
        said.append(
            f"{name}: half of the predictions are within {words.number(half, digits=3)} of the "
            f"true value, {lean}"
            + (_dispersion_text(predicted, column) if predicted.kind == "count" else "")
        )
    return f"From networks that had not seen the row. {'; '.join(said)}."
