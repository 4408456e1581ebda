"""The head of the page, the findings, and how to make the run again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pandas as pd

from hpsearch import words
from hpsearch.report.blocks import (
    Cell,
    Fact,
    Finding,
    Section,
    joined,
    seconds_of,
    table_of,
)
from hpsearch.report.estimates import promised
from hpsearch.report.material import Material, finite

_CHART_ANCHORS: Final = {
    "curves": "curves",
    "folds": "folds",
    "predictions": "predictions",
    "trials": "slices",
}


def head(material: Material) -> list[Fact]:
    """The figures that come first: score, test score, data, trials, cost."""
    data, best = material.settings.get("data") or {}, material.best
    facts = _score_facts(material)
    test = (best.get("test") or {}).get(material.metric)
    if finite(test) is not None:
        n_rows = material.settings.get("test_rows")
        about = f"{n_rows:,} rows, scored once" if n_rows else "scored once"
        facts.append(Fact("on test rows", material.score(test), about))
    if data.get("n_rows"):
        target = ", ".join(map(str, data.get("target") or ()))
        about = f"{words.counted(data.get('n_columns') or 0, 'column')}, target {target}"
        facts.append(Fact("rows", f"{data['n_rows']:,}", about))
    facts.append(Fact("trials", f"{len(material.trials):,}", _statuses(material.trials)))
    facts.append(_cost_fact(material))
    return facts


def _score_facts(material: Material) -> list[Fact]:
    """What to expect on new rows, and beside it the mean that the trial was selected by."""
    best = material.best
    arrow = "lower is better" if material.direction == "min" else "higher is better"
    mean = words.score(best.get("score"), best.get("score_se"))
    expected = promised(best, material.ledger)
    if expected is None or expected.key == "corrected":
        ends = map(material.within_bounds, (best.get("ci_low"), best.get("ci_high")))
        bounds = material.interval(*ends)
        about = f"95 % interval {bounds}; {arrow}" if bounds else arrow
        return [Fact(f"{material.metric}, mean of the folds", mean, about)]
    about = f"95 % interval {expected.interval}; {arrow}" if expected.interval else arrow
    return [
        Fact(f"{material.metric} to expect on new rows", expected.shown, about),
        Fact("mean of the folds", mean, "which having been selected flatters"),
    ]


def _statuses(trials: pd.DataFrame) -> str:
    counts = trials["status"].value_counts()
    order = [name for name in ("completed", "stopped", "failed") if name in counts]
    return ", ".join(f"{counts[name]} {name}" for name in order)


def _cost_fact(material: Material) -> Fact:
    n_trainings = len(material.folds)
    seconds = seconds_of(material.timings)
    about = f"{words.duration(seconds)} of training, summed over processes" if seconds else ""
    return Fact("trainings", f"{n_trainings:,}", about)


def configuration(material: Material) -> str:
    """The selected trial and its hyperparameters, in one line."""
    values = material.configurations.get(material.selected, "")
    return f"Trial {material.selected}: {values}" if values else ""


def subtitle(material: Material) -> str:
    """What was searched, in one sentence."""
    settings = material.settings
    data = settings.get("data") or {}
    kind = {
        "share": "regression of a share",
        "count": "regression of counts",
        "quantile": "regression of quantiles",
    }.get(material.kind, material.kind)
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
        f"scores weigh rows by {by}" if (by := material.best.get("scores_weigh_by")) else "",
    ]
    text = "; ".join(part for part in parts if part)
    return text[:1].upper() + text[1:] + "."


def findings_section(material: Material) -> Section | None:
    """Diagnoses of the training, and warnings of the ledger and of the run."""
    found = [*_diagnoses(material), *_warnings(material)]
    if not found:
        return None
    order = {"problem": 0, "warning": 1, "hint": 2, "note": 3}
    found.sort(key=lambda finding: order.get(finding.severity, 1))
    counts = {s: sum(f.severity == s for f in found) for s in order}
    said = [words.counted(n, name) for name, n in counts.items() if n]
    lead = f"{joined(said)} about this run, the gravest first."
    return Section("findings", "Diagnoses and warnings", lead, findings=tuple(found))


def _diagnoses(material: Material) -> Iterator[Finding]:
    for found in material.diagnoses:
        anchor = _CHART_ANCHORS[found.chart]
        yield Finding(
            severity=found.severity,
            title=found.title,
            text=found.evidence,
            advice=found.advice,
            anchor=anchor,
            where=anchor if found.trial is None else f"{anchor} of trial {found.trial}",
            trial=found.trial,
        )


def _warnings(material: Material) -> Iterator[Finding]:
    for warning in material.ledger.warnings if material.ledger else ():
        is_range = "range" in warning.code
        anchor = "slices" if is_range else "estimates"
        where = "hyperparameters" if is_range else "estimates"
        yield Finding("warning", warning.text, "", warning.remedy, anchor, where)
    for text in material.settings.get("warnings") or ():
        yield Finding("warning", str(text), "", "", "", "")


def _of_the_transformer(said: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    if not said:
        return []
    digest = str(said.get("sha256", "not recorded"))
    return [
        ("preprocessing", words.transformer(said)),
        ("source of the preprocessing (SHA-256)", digest),
    ]


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
        *_of_the_transformer(settings.get("preprocess")),
        ("engine", str(settings.get("engine", "not recorded"))),
        ("split", str(settings.get("split_reason", "not recorded"))),
        *((f"version of {name}", str(version)) for name, version in sorted(versions.items())),
    ]
    table = table_of("What the run rests on", ("what", "value"), rows, is_open=True)
    configuration = sorted((material.best.get("hyperparameters") or {}).items())
    tables = [table]
    if configuration:
        hyperparameters = [(str(name), words.number(value)) for name, value in configuration]
        caption = f"Configuration of trial {material.selected}"
        tables.insert(0, table_of(caption, ("hyperparameter", "value"), hyperparameters))
    text = str(settings.get("command", ""))
    code = [("Run the search again", text)] if text else []
    lead = (
        "With the same data, versions and kind of machine this command gives the same tables to "
        "the last byte, whatever the number of processes."
        if text
        else "The version that made this run did not record its command."
    )
    if "DATA" in text.split():
        lead += " DATA stands for the table, which was not read from a file that can be named."
    if "SPACE.py" in text.split():
        lead += " SPACE.py stands for the space, which was a Python object."
    if "PREPROCESS.py" in text.split():
        lead += " PREPROCESS.py stands for the transformer, which was a Python object."
    return Section("again", "Make this run again", lead, (), tuple(tables), code=tuple(code))
