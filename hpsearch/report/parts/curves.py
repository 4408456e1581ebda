"""Learning curves of the trials."""

from __future__ import annotations

from collections.abc import Sequence

from hpsearch import words
from hpsearch.report import figures
from hpsearch.report.blocks import (
    Chart,
    Section,
    Table,
    number_cell,
    score_cell,
    table_of,
)
from hpsearch.report.figures import Spec
from hpsearch.report.material import Material
from hpsearch.task import loss_sign


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
    if drawn.get("changes"):
        caption += " Upright lines mark where a phase ends and the next begins."
    description = f"Learning curves of trial {spec['selected']}; the table below has them."
    table = _curve_table(material, spec, drawn)
    notes: tuple[str, ...] = ()
    if spec["n_left_out"]:
        notes = (
            f"Curves of the {words.counted(spec['n_left_out'], 'trial')} ranked last are left "
            "out here; curves.csv has them.",
        )
    lead = _curves_lead(material, spec, drawn)
    charts = (Chart("curves", spec, caption, description, width="tall"),)
    return Section("curves", "Learning curves", lead, charts, (table,), notes)


def _curves_lead(material: Material, spec: Spec, drawn: Spec) -> str:
    metric, best = spec["metrics"][0], drawn["best"]
    series, epochs = drawn["series"][metric], drawn["epochs"]
    place = epochs.index(best) if best in epochs else len(epochs) - 1
    validation, train = series["val"][place], series["train"][place]
    text = (
        f"Trial {spec['selected']} is best after epoch {best} of {epochs[-1]}, where the mean "
        f"validation {metric} is {material.score(validation)}"
    )
    text += f" and the training rows' {material.score(train)}." if train is not None else "."
    last = series["val"][-1]
    sign = loss_sign(spec["direction"])
    if best == epochs[-1] and len(epochs) > 1:
        text += " That is the last epoch: longer training might give more."
    elif last is not None and validation is not None and sign * (last - validation) > 0:
        text += f" By the last epoch it is {material.score(last)}."
    return text


def _curve_table(material: Material, spec: Spec, drawn: Spec) -> Table:
    metric = spec["metrics"][0]
    series, epochs = drawn["series"][metric], drawn["epochs"]
    kept = figures.thinned(len(epochs), 12, also=_place(epochs, drawn["best"]))
    rows = [
        (
            number_cell(epochs[i]),
            score_cell(material, series["val"][i]),
            score_cell(material, series["se"][i]),
            score_cell(material, series["train"][i]),
        )
        for i in kept
    ]
    caption = f"Trial {spec['selected']}, {metric} at some epochs (best: {drawn['best']})"
    return table_of(caption, ("epoch", "validation", "corrected se", "training"), rows)


def _place(epochs: Sequence[int], epoch: int) -> int:
    return epochs.index(epoch) if epoch in epochs else 0
