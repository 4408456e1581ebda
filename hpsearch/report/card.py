"""The model's card: one Markdown page of what a person must know who uses the model.

It follows the headings of Mitchell et al. (2019), Model cards for model reporting, as far as a run
knows them. The same run gives the same bytes: no times, no paths, no digest of the model's file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from hpsearch import words
from hpsearch.decisions.calibration import Calibration
from hpsearch.decisions.ensembles import Ensemble
from hpsearch.decisions.intervals import Intervals
from hpsearch.decisions.threshold import Threshold
from hpsearch.ledger import Ledger
from hpsearch.report.estimates import baseline_verdict, estimates, promised

_LEVELS_SHOWN: Final = 20
_KINDS: Final = {
    "number": "number",
    "category": "category",
    "text": "free text",
    "date": "date",
    "words": "word numbers",
}


def model_card_text(
    settings: Mapping[str, Any],
    best: Mapping[str, Any],
    manifest: Mapping[str, Any],
    ledger: Ledger | None = None,
) -> str:
    """The card of an exported model.

    Parameters
    ----------
    settings, best, manifest : ``run.json``, ``best.json`` and ``model.json``; what they lack is
        left out.
    ledger : what the score is worth, the one in ``best.json`` as it was read.
    """
    data = settings.get("data") or {}
    title = f"# Model card: {_text(data.get('name') or 'model')}"
    parts = (
        ("Model", _model(settings, best, manifest)),
        ("Data and task", _data(settings, manifest)),
        ("Estimates", _estimates(best, ledger)),
        ("Decisions", _decisions(ledger)),
        ("Limits", _limits(manifest)),
        ("Inputs", _inputs(manifest)),
        ("Hyperparameters", _hyperparameters(best)),
        ("Loading and predicting", _use(manifest)),
        ("Checks passed", (f"- {_text(check)}" for check in manifest.get("checks") or ())),
        ("Versions", _versions(settings)),
    )
    blocks = [title]
    for heading, lines in parts:
        body = list(lines)
        if body:
            blocks.append("\n".join([f"## {heading}", "", *body]))
    return "\n\n".join(blocks) + "\n"


def _model(
    settings: Mapping[str, Any], best: Mapping[str, Any], manifest: Mapping[str, Any]
) -> Iterator[str]:
    trained = manifest.get("trained_on") or best.get("refit") or {}
    own = manifest.get("preprocess")
    takes = f"raw cells, with {'a' if own else 'its'} preprocessing {'before' if own else 'inside'}"
    takes += " it" if own else ""
    if manifest.get("ensemble"):
        yield (
            f"A Keras model that takes {takes}: the mean of the "
            f"networks that stand under Decisions, of {best.get('n_trials')} trials that hpsearch "
            f"tried. They have {_count(manifest.get('n_params'))} parameters."
        )
        return
    yield (
        f"A Keras network that takes {takes}: trial "
        f"{best.get('trial')} of {best.get('n_trials', settings.get('trials'))} that hpsearch "
        f"tried, trained on {_count(trained.get('n_rows'))} rows for "
        f"{_count(trained.get('n_steps'))} optimizer steps. "
        f"It has {_count(manifest.get('n_params', best.get('n_params')))} parameters."
    )
    n_trainings = (best.get("refit") or {}).get("n_trainings", 1)
    if n_trainings > 1:
        yield (
            f"It was trained {n_trainings} times, under other seeds, and the best training kept: "
            "by the score on the training rows the first ended far behind those of the folds."
        )


def _data(settings: Mapping[str, Any], manifest: Mapping[str, Any]) -> Iterator[str]:
    data = settings.get("data") or {}
    target = (manifest.get("schema") or {}).get("target") or {}
    names = data.get("target") or target.get("names") or ()
    yield f"- Table: {_text(data.get('name'))}, {_count(data.get('n_rows'))} rows, " + (
        f"{_count(data.get('n_columns'))} feature columns"
    )
    yield f"- Fingerprint (SHA-256 of what training sees): `{data.get('fingerprint')}`"
    yield f"- Task: {data.get('task') or target.get('kind')}; target: " + _text(_listed(names))
    labels = target.get("labels") or ()
    if labels and target.get("kind") == "binary":
        yield f"- Positive class: {_text(labels[-1])}; the other: {_text(labels[0])}"
    elif labels:
        yield f"- Classes or labels, in the order of the outputs: {_text(_listed(labels))}"
    if data.get("weights"):
        yield f"- Weights of the rows: {_text(words.weights(data))}"
    if settings.get("split_reason"):
        yield f"- Validation: {_text(settings['split_reason'])}"
    for warning in settings.get("warnings") or ():
        yield f"- Warning: {_text(warning)}"


def _estimates(best: Mapping[str, Any], ledger: Ledger | None) -> Iterator[str]:
    metric = str(best.get("metric"))
    better = "lower" if best.get("direction", "min") == "min" else "higher"
    expected = promised(best, ledger)
    if expected is not None:
        bounds = expected.interval
        yield (
            f"Expect a {_text(metric)} of about {expected.shown} on new rows of the "
            f"same kind{f' (95 % interval {bounds})' if bounds else ''}; {better} is better."
        )
        if best.get("scores_weigh_by"):
            yield (
                f"Scores weigh rows by {_text(best['scores_weigh_by'])}: they are those of rows "
                "that come as often as these weigh."
            )
        yield ""
    found = estimates(best, ledger)
    rows = [[e.label, e.shown, e.interval, e.about] for e in found]
    yield from _table([f"{metric}", "value", "95 % interval", "what it is"], rows)
    if ledger is not None and (said := baseline_verdict(ledger, found[0].decimals)):
        yield ""
        yield _text(said)
    others = {name: value for name, value in (best.get("metrics") or {}).items() if name != metric}
    if others:
        test = best.get("test") or {}
        head = ["other metric", "mean over the folds", *(["test rows"] if test else [])]
        body = [
            [name, words.number(value), *([words.number(test.get(name))] if test else [])]
            for name, value in sorted(others.items())
        ]
        yield ""
        yield from _table(head, body)


def _decisions(ledger: Ledger | None) -> Iterator[str]:
    """What was decided after the selection, with what it is worth."""
    if ledger is None:
        return
    decided = ledger.decided
    parts = [
        list(_ensemble(decided.ensemble)) if decided.ensemble else [],
        list(_calibration(decided.calibration)) if decided.calibration else [],
        list(_threshold(decided.threshold)) if decided.threshold else [],
        list(_intervals(decided.intervals)) if decided.intervals else [],
    ]
    spaced = [line for part in parts if part for line in ("", *part)]
    yield from spaced[1:]


def _ensemble(ensemble: Ensemble) -> Iterator[str]:
    yield f"Ensemble: the model is {_text(ensemble.words)}."
    if ensemble.value is not None:
        yield ""
        bounds = words.interval(ensemble.low, ensemble.high)
        both = (
            ("the mean", ensemble.value, bounds, ensemble.naive),
            ("one network", ensemble.single, "", ensemble.single_naive),
        )
        rows = [
            [name, words.number(value), within, words.number(naive)]
            for name, value, within, naive in both
        ]
        yield from _table(["what scores", "corrected", "95 % interval", "naive"], rows)
    yield ""
    yield _text(" ".join(ensemble.remarks()))


def _intervals(found: Intervals) -> Iterator[str]:
    if not found.reached:
        return
    what = "ranges" if found.form == "range" else "sets of classes"
    yield (
        f"Intervals: `hpsearch predict --interval 0.9` gives {what} that hold what comes as often "
        "as was asked, on average over rows like the training rows; up to "
        f"{found.highest_shown} can be asked for."
    )
    yield ""
    has_test = any(each.test is not None for each in found.reached)
    named = found.form == "range"
    head = [*(["target"] if named else []), "asked", "held out of fold", found.size_name]
    rows = [
        [
            *([each.name] if named else []),
            f"{each.level:g}",
            words.score(each.share, each.se),
            words.number(each.size),
            *([words.number(each.test, digits=3)] if has_test else []),
        ]
        for each in found.reached
    ]
    yield from _table([*head, *(["test rows"] if has_test else [])], rows)
    yield ""
    yield _text(" ".join(found.remarks()))


def _calibration(calibration: Calibration) -> Iterator[str]:
    yield f"Calibration: {_text(calibration.verdict)}"
    yield ""
    yield _text(" ".join(calibration.remarks()))


def _threshold(threshold: Threshold) -> Iterator[str]:
    chosen = f"{threshold.predicts}, {threshold.why}"
    yield f"Threshold: it predicts {_text(chosen)}."
    yield ""
    has_test = any(figure.test is not None for figure in threshold.figures)
    head = ["at the threshold", "corrected", "95 % interval", "naive", "at 0.5, corrected"]
    rows = [
        [
            figure.name,
            words.number(figure.value),
            words.interval(figure.low, figure.high),
            words.number(figure.naive),
            words.number(figure.at_half),
            *([words.number(figure.test)] if has_test else []),
        ]
        for figure in threshold.figures
    ]
    yield from _table([*head, *(["test rows"] if has_test else [])], rows)
    yield ""
    yield _text(" ".join(threshold.remarks()))


def _limits(manifest: Mapping[str, Any]) -> Iterator[str]:
    if not manifest:
        return
    yield (
        "- Rows unlike the training rows are predicted without a warning: compare new cells with "
        "the ranges and levels under Inputs."
    )
    limits = manifest.get("limits") or {}
    columns = (manifest.get("schema") or {}).get("columns") or ()
    kinds = {column.get("kind") for column in columns}
    own = manifest.get("preprocess")
    if own:
        yield (
            f"- Cells that are missing, unseen levels and numbers out of range are the matter of "
            f"the transformer {_text(own['name'])}."
        )
        kinds = kinds & {"array"}
    if "category" in kinds:
        yield (
            f"- At most {_count(limits.get('max_levels'))} levels of a category are told apart; "
            "rarer and unseen ones count as unknown."
        )
    of_words = [column for column in columns if column.get("kind") in ("text", "words")]
    in_order = [column for column in of_words if column.get("width")]
    if of_words:
        others = (
            "others count as unknown" if len(in_order) == len(of_words) else "others are ignored"
        )
        yield (
            f"- At most {_count(limits.get('max_words'))} words of a text column are known; "
            f"{others}."
        )
    for column in in_order:
        yield (
            f"- Of {_text(column['name'])} the first {_count(column['width'])} words of a row are "
            "read, in their order; as far as the longest training row reaches."
        )
    looked_up: dict[tuple[int, int], dict[str, None]] = {}
    for one in manifest.get("lookups") or ():
        looked_up.setdefault((one["least"], one["most"]), {})[one["name"]] = None
    for (least, most), names in looked_up.items():
        yield (
            f"- Whole numbers from {least:,} to {most:,} are looked up in "
            f"{_text(_listed(list(names)))}; rows with others are refused."
        )
    target = (manifest.get("schema") or {}).get("target") or {}
    transform = target.get("transform")
    if transform and target.get("kind") != "quantile":
        yield (
            f"- Networks learnt the target's {transform}, so that what is predicted is nearer to "
            "its median than to its mean: sums of predictions may be too small."
        )
    missing = [column["name"] for column in columns if column.get("has_missing")]
    if missing:
        filled = "" if own else " Training values fill them."
        yield f"- Cells were missing in: {_text(_listed(missing))}.{filled}"
    where = "the other columns" if missing else "any column"
    if len(missing) < len(columns) and kinds - {"words", "array"}:
        yield f"- In training no cell was missing in {where}."


def _inputs(manifest: Mapping[str, Any]) -> Iterator[str]:
    columns = (manifest.get("schema") or {}).get("columns") or ()
    ranges = manifest.get("ranges") or {}
    rows = [[c["name"], _kind(c), _seen(c, ranges)] for c in columns]
    if rows:
        yield from _table(["column", "kind", "seen in training"], rows)


def _kind(column: Mapping[str, Any]) -> str:
    if column["kind"] == "array":
        return str(column.get("array_kind", "image"))
    kind = str(_KINDS.get(column["kind"], column["kind"]))
    kind += " in order" if column.get("width") else ""
    written = column.get("number_format") or column.get("date_format")
    return f"{kind}, written like {written}" if written else kind


def _seen(column: Mapping[str, Any], ranges: Mapping[str, Sequence[Any]]) -> str:
    """The values of a column that the training rows had."""
    if column["name"] in ranges:
        low, high = ranges[column["name"]]
        if low is None:
            return "no value"
        return f"{words.number(low, digits=6)} to {words.number(high, digits=6)}"
    levels = column.get("levels") or ()
    if column["kind"] == "category":
        return _listed(levels, most=_LEVELS_SHOWN)
    if column["kind"] in ("text", "words") and levels:
        return f"{len(levels):,} words"
    if column["kind"] == "words" and column.get("width"):
        return f"word numbers up to {column['shape'][0] - 1:,}"
    if column.get("shape"):
        return " x ".join(map(str, column["shape"]))
    return ""


def _hyperparameters(best: Mapping[str, Any]) -> Iterator[str]:
    values = sorted((best.get("hyperparameters") or {}).items())
    if values:
        yield from _table(["name", "value"], [[n, words.number(v, digits=6)] for n, v in values])


def _use(manifest: Mapping[str, Any]) -> Iterator[str]:
    yield from (
        "```python",
        "import hpsearch",
        "",
        'predictions = hpsearch.predict("RUN", "NEW_ROWS.csv")  # RUN is the folder of this card',
        "```",
        "",
        "or, from a shell, `hpsearch predict RUN NEW_ROWS.csv`. Columns may come in any order, and "
        "cells may be missing.",
        "",
        'Without hpsearch, `keras.models.load_model("model.keras")` loads it in safe mode',
        f"(backend {manifest.get('backend')}); its inputs are encoded cells, by the names that the "
        "file gives them. `inputs` of `model.json` says what stands where in each:",
        "",
    )
    rows = [
        (given["name"], given["dtype"], len(given["features"]), _shape(given["shape"]))
        for given in manifest.get("inputs") or ()
    ]
    yield from _table(("input", "dtype", "described entries", "shape of a row"), rows)
    yield ""
    if own := manifest.get("preprocess"):
        yield from _transformer(own)
    code = manifest.get("code")
    if code:
        yield (
            f"It holds {_listed([_text(name) for name in code['objects']])} of the space's own: "
            f"import `{code['import']}` first, with its folder among those of `sys.path`. "
            "`hpsearch predict` executes that file, as the run kept it."
        )
        yield ""
    yield from _codes(manifest)
    yield from _thresholds(manifest)
    schema = manifest.get("schema") or {}
    target = schema.get("target") or {}
    moved = [(column["name"], column.get("offset")) for column in schema.get("columns") or ()]
    inputs = [f"{_text(name)} less {_offset(offset)}" for name, offset in moved if offset]
    if inputs:
        yield f"It takes, so that float32 keeps their digits, {_listed(inputs)}."
    if target.get("offset"):
        pairs = zip(target["names"], target["offset"], strict=True)
        outputs = [f"{_text(name)} less {_offset([offset])}" for name, offset in pairs if offset]
        yield f"It gives {_listed(outputs)}; `hpsearch predict` adds that in float64."


def _transformer(own: Mapping[str, Any]) -> Iterator[str]:
    """The preprocessing of one's own that stands before the model, and what loading it means."""
    versions = _listed([f"{name} {number}" for name, number in own["versions"].items()])
    runs_code = own["form"] == "joblib"
    yield (
        f"`prepared` is what the transformer {_text(own['name'])} gives, which was fitted on all "
        f"rows with {versions} and is kept in `{own['file']}` (SHA-256 `{own['sha256']}`). It is "
        "no part of the network. "
        + (
            "**Loading it runs code**, which hpsearch does only with `--trust`, or `trust=True`, "
            "and only if it is this very file."
            if runs_code
            else "It is loaded only if it is this very file, and only from types that hold data."
        )
    )
    yield ""


def _thresholds(manifest: Mapping[str, Any]) -> Iterator[str]:
    """From which outputs on labels are predicted, where that is not 0.5."""
    decided = (manifest.get("decisions") or {}).get("threshold")
    if decided:
        pairs = zip(decided["labels"], decided["values"], strict=True)
        said = [f"{_text(label)} from {value:.12g} on" for label, value in pairs]
        yield f"Of the probabilities that it gives, `hpsearch predict` says {_listed(said)}."


def _codes(manifest: Mapping[str, Any]) -> Iterator[str]:
    """The code of each level of each category, as far as a page has room for them."""
    rows = []
    for given in manifest.get("inputs") or ():
        for feature in given["features"]:
            if "codes" in feature:
                levels = sorted(feature["codes"], key=feature["codes"].get)
                codes = [f"{level} = {feature['codes'][level]}" for level in levels]
                others = (feature["unknown"], feature["missing"])
                rows.append((feature["column"], _listed(codes), *others))
    if rows:
        yield "Levels go in as codes; `inputs` of `model.json` has all of them."
        yield ""
        yield from _table(("category", "codes", "unknown", "missing"), rows)
        yield ""


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _offset(offset: Sequence[float]) -> str:
    return ", ".join(f"{number:.15g}" for number in offset)


def _versions(settings: Mapping[str, Any]) -> Iterator[str]:
    for package, version in sorted((settings.get("versions") or {}).items()):
        yield f"- {_text(package)} {_text(version)}"
    if settings.get("seed") is not None:
        yield f"- seed {settings['seed']}, engine {settings.get('engine')}"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    yield "| " + " | ".join(_text(cell) for cell in head) + " |"
    yield "|" + " --- |" * len(head)
    for row in rows:
        yield "| " + " | ".join(_text(cell) for cell in row) + " |"


def _listed(values: Sequence[Any], most: int = _LEVELS_SHOWN) -> str:
    shown = ", ".join(str(value) for value in values[:most])
    return shown + (f" and {len(values) - most} more" if len(values) > most else "")


def _count(number: Any) -> str:
    return "?" if number is None else f"{number:,}"


def _text(value: Any) -> str:
    r"""Text in which nothing is Markdown or HTML.

    Examples
    --------
    >>> print(_text("a|b <script> *x* _y_"))
    a\|b &lt;script&gt; \*x\* \_y\_
    """
    text = words.one_line(str(value)).replace("&", "&amp;").replace("<", "&lt;")
    text = text.replace(">", "&gt;").replace("\\", "\\\\")
    for mark in "|*_`[]#":
        text = text.replace(mark, f"\\{mark}")
    return text
