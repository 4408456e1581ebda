"""Views: a run, the named sets and a space, laid out for a terminal.

Each function takes what is to be shown and returns something that Rich prints at any width.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hpsearch import words
from hpsearch.console.curves import curves_view
from hpsearch.console.findings import findings_line, findings_view
from hpsearch.console.importance import importance_view
from hpsearch.console.ledger import LedgerView
from hpsearch.search.budget import Budget

if TYPE_CHECKING:
    from hpsearch.data.named import NamedSet
    from hpsearch.results import Run
    from hpsearch.space.hyperparameters import Parameter
    from hpsearch.space.space import Candidate

_FILES: Final = {
    "report.html": "all of it in pictures, for a browser",
    "trials.csv": "every trial, the best first",
    "folds.csv": "every fold's scores",
    "curves.csv": "every epoch's mean scores",
    "predictions.csv": "the selected trial's held-out predictions",
    "baselines.csv": "models that need no search, on the same folds",
    "importance.csv": "what the networks lose without each column",
    "predicting.csv": "seconds that predicting takes",
    "nested.csv": "the search inside each outer fold, scored outside",
    "timings.csv": "seconds spent",
    "run.json": "what was asked",
    "best.json": "the selected configuration",
    "model.keras": "the model, trained on all rows",
    "transformer.skops": "your preprocessing, fitted on all rows",
    "transformer.joblib": "your preprocessing, fitted on all rows; loading it runs code",
    "model.json": "what the model expects and gives",
    "model_card.md": "the model's card, for people",
    "journal.sqlite": "all that was done, for `hpsearch resume`",
}
_FAILURES_SHOWN: Final = 3
_WIDEST_DOOR: Final = 36


def run_view(run: Run, *, n_trials: int = 10) -> RenderableType:
    """A finished run: settings, trials, the selected one, its curves, diagnoses and files."""
    parts = (
        _settings(run),
        _ranking(run, n_trials),
        _failures(run),
        _selected(run),
        _ledger(run) or _estimates(run),
        _curves(run),
        _predicting(run),
        _importance(run),
        _findings(run),
        _files(run),
    )
    return _spaced(part for part in parts if part is not None)


def answer_view(run: Run) -> RenderableType:
    """What a search found, at its end: the answer first, and where the rest is."""
    ledger = run.ledger
    shown = None if ledger is None else LedgerView(ledger, run.best.get("metrics") or {})
    parts = (
        _failures(run),
        _selected(run),
        _estimates(run) if shown is None else shown.answer(),
        _findings(run, in_short=True),
        _time(run),
        _where(run),
    )
    return _spaced(part for part in parts if part is not None)


def one_line_result(run: Run) -> str:
    """The folder, the selected trial and its score, in one line."""
    best = run.best
    score = words.score(best.get("score"), best.get("score_se"))
    return f"{run.path}: trial {best.get('trial')}, {best.get('metric', 'score')} {score}"


def catalogue_view(sets: Sequence[NamedSet]) -> RenderableType:
    """The named sets: what they are, and where the file of one that is not here would lie."""
    table = _table()
    for name, justify in (("name", "left"), ("rows", "right"), ("columns", "right")):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    table.add_column("problem", no_wrap=True)
    table.add_column("here", no_wrap=True)
    table.add_column("what it is")
    for record in sets:
        here = Text("yes", style="green") if record.available else Text("no", style="yellow")
        size = (f"{record.n_rows}", f"{record.n_columns}")
        table.add_row(record.name, *size, record.kind, here, record.description)
    absent = [record for record in sets if not record.available]
    if not absent:
        return table
    folder = os.path.commonpath([record.where for record in absent])
    remark = (
        "Sets that are not here are downloaded by Keras when they are first used. Without a "
        f"network, put their files into {folder}, or give one with `hpsearch run NAME --path FILE`."
    )
    return _spaced([table, Text(remark, style="dim")])


def names_view(names: Sequence[str]) -> RenderableType:
    """The shipped spaces' names."""
    lines = [f"  {name}" for name in names]
    hint = Text("`hpsearch space NAME` lists what one searches.", style="dim")
    return Group(Text("shipped spaces", style="bold"), Text("\n".join(lines)), hint)


def space_view(parameters: Sequence[Parameter], n_first: int = 1) -> RenderableType:
    """What a space declares: values, default, and when a hyperparameter is active.

    Parameters
    ----------
    n_first : configurations that a search begins with, the defaults among them.
    """
    table = _table()
    table.add_column("hyperparameter", no_wrap=True, overflow="ellipsis", max_width=28)
    table.add_column("values", overflow="fold")
    table.add_column("default", overflow="fold")
    table.add_column("only where", overflow="fold")
    for parameter in parameters:
        cells = (parameter.domain, words.number(parameter.default), parameter.condition)
        name = words.one_line(parameter.name)
        table.add_row(name, *(words.one_line(cell) for cell in cells))
    if n_first == 1:
        return table
    remark = (
        f"A search begins with the defaults and {words.counted(n_first - 1, 'configuration')} of "
        f"the space's portfolio: --sample {n_first} lists them."
    )
    return _spaced([table, Text(remark, style="dim")])


def candidates_view(candidates: Sequence[Candidate]) -> RenderableType:
    """Configurations, one after the other, in full."""
    table = _table()
    table.add_column("trial", justify="right")
    table.add_column("configuration", overflow="fold")
    for candidate in candidates:
        values = [f"{name}={words.number(v)}" for name, v in sorted(candidate.values.items())]
        table.add_row(str(candidate.trial), words.one_line(" ".join(values)))
    return table


def _table() -> Table:
    """A plain table: a bold head, two spaces between columns, no markup in its cells."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.show_header, table.header_style = True, "bold"
    return table


def _settings(run: Run) -> RenderableType:
    settings = run.settings
    data = settings.get("data") or {}
    size = [_counted(data, "n_rows", "row"), _counted(data, "n_columns", "column")]
    budget = [
        _counted(settings, "trials", "trial"),
        _counted(settings, "folds", "fold"),
        _counted(settings, "repeats", "repeat"),
        _counted(settings, "epochs", "epoch"),
    ]
    named = [
        f"{name} {words.one_line(str(settings[name]))}"
        for name in ("space", "oracle", "engine", "seed")
        if not words.is_missing(settings.get(name))
    ]
    fixed = words.configuration(settings.get("fix") or {})
    split = settings.get("split_reason") or settings.get("split")
    facts = {
        "data": ", ".join(filter(None, [data.get("name"), data.get("task"), *size])),
        "weights": words.one_line(words.weights(data)),
        "preprocessing": words.one_line(words.transformer(settings.get("preprocess"))),
        "budget": ", ".join(filter(None, budget)),
        "time": _done_in_time(run),
        "split": words.one_line(str(split or "")),
        "search": ", ".join(named),
        "fixed": fixed,
    }
    title = Text(str(run.path), style="bold")
    return Group(title, _pairs({label: text for label, text in facts.items() if text}))


def _time(run: Run) -> RenderableType | None:
    """What was done in its time, where that had a limit."""
    done = _done_in_time(run)
    return Text(done) if done else None


def _done_in_time(run: Run) -> str:
    budget = Budget.from_json(run.settings.get("budget"))
    return "" if budget is None else budget.done


def _counted(values: Mapping[str, Any], key: str, noun: str) -> str:
    count = values.get(key)
    return "" if words.is_missing(count) else words.counted(int(count or 0), noun)


def _ranking(run: Run, n_trials: int) -> RenderableType:
    rows = _records(run)
    ranked = [row for row in rows if not words.is_missing(row.get("rank"))]
    shown = ranked[:n_trials]
    varied = _varied(ranked)
    metric = str(run.best.get("metric", "score"))
    others = [name for name in _metrics(rows) if name != metric][:1]

    table = _table()
    table.expand = True
    table.add_column("rank", justify="right", min_width=4)
    table.add_column("trial", justify="right", min_width=5)
    table.add_column(f"{metric} ± se", no_wrap=True, min_width=17)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("epoch", justify="right", min_width=5)
    table.add_column("configuration", no_wrap=True, overflow="ellipsis", ratio=1)
    for row in shown:
        configuration = {
            name: value for name, value in words.hyperparameters(row).items() if name in varied
        }
        table.add_row(
            words.number(row["rank"]),
            words.number(row["trial"]),
            words.score(row.get("score"), row.get("score_se")),
            *(words.score(row.get(f"metric.{name}")) for name in others),
            words.number(row.get("best_epoch")),
            Text(words.configuration(configuration), no_wrap=True, overflow="ellipsis"),
            style="bold green" if row["trial"] == run.best.get("trial") else "",
        )
    hidden = len(ranked) - len(shown)
    n_stopped = sum(row.get("status") == "stopped" for row in rows)
    lines = [f"and {words.counted(hidden, 'more trial')}"] if hidden else []
    lines += [f"{words.counted(n_stopped, 'trial')} ended early"] if n_stopped else []
    return Group(table, *(Text(line, style="dim") for line in lines)) if lines else table


def _records(run: Run) -> list[dict[str, Any]]:
    return [
        {str(key): value for key, value in row.items()} for row in run.trials.to_dict("records")
    ]


def _metrics(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    names = (name for row in rows for name in row if name.startswith("metric."))
    return [name.removeprefix("metric.") for name in dict.fromkeys(names)]


def _varied(rows: list[dict[str, Any]]) -> set[str]:
    """Hyperparameters that are not the same in all trials: the only ones worth a comparison."""
    configurations = [words.hyperparameters(row) for row in rows]
    names = {name for configuration in configurations for name in configuration}
    return {
        name
        for name in names
        if len(configurations) == 1 or len({str(c.get(name)) for c in configurations}) > 1
    }


def _failures(run: Run) -> RenderableType | None:
    failed = [row for row in _records(run) if row["status"] == "failed"]
    if not failed:
        return None
    head = f"{len(failed)} of {words.counted(len(run.trials), 'trial')} failed"
    lines = [
        f"  trial {row['trial']}: {words.error_line(row.get('error'))}"
        for row in failed[:_FAILURES_SHOWN]
    ]
    hidden = len(failed) - len(lines)
    if hidden:
        lines.append(f"  and {hidden} more")
    return Text("\n".join([head, *lines]), style="red")


def _selected(run: Run) -> RenderableType:
    best = run.best
    epoch = best.get("best_epoch")
    head = f"selected: trial {best.get('trial')}"
    head += "" if words.is_missing(epoch) else f", {words.counted(int(epoch or 0), 'epoch')}"
    values = {
        words.one_line(str(name)): words.number(value)
        for name, value in sorted((best.get("hyperparameters") or {}).items())
    }
    return Group(Text(head, style="bold"), Padding(_pairs(values), (0, 0, 0, 2)))


def _ledger(run: Run) -> RenderableType | None:
    """What the score is worth, where the run has a ledger."""
    ledger = run.ledger
    return None if ledger is None else LedgerView(ledger, run.best.get("metrics") or {})


def _estimates(run: Run) -> RenderableType | None:
    best = run.best
    test = best.get("test") or {}
    table = _table()
    for name in (
        "estimate",
        "mean",
        "corrected se",
        "95 % interval",
        *([_counted_test_rows(run)] * bool(test)),
    ):
        table.add_column(name)
    for metric, score, se, interval in _scores(run):
        mean, _, error = words.score(score, se).partition(" ± ")
        cells = [metric, mean, error, interval]
        table.add_row(*cells, *([words.score(test.get(metric))] if test else []))
    return table if table.row_count else None


def _counted_test_rows(run: Run) -> str:
    return words.counted(int(run.settings.get("test_rows") or 0), "test row")


def _scores(run: Run) -> Iterable[tuple[str, Any, Any, str]]:
    """Metric, mean, standard error and interval: the selecting one first."""
    best = run.best
    selecting = str(best.get("metric", "score"))
    bounds = words.interval(best.get("ci_low"), best.get("ci_high"))
    yield selecting, best.get("score"), best.get("score_se"), bounds
    for name, value in (best.get("metrics") or {}).items():
        if name != selecting:
            yield name, value, None, ""


def _curves(run: Run) -> RenderableType | None:
    if not (run.path / "curves.csv").is_file():
        return None
    return curves_view(run.curves, run.best)


def _predicting(run: Run) -> RenderableType | None:
    """How long an ensemble takes beside one network."""
    from hpsearch.decisions.ensembles import time_of_predicting  # which imports SciPy

    table = run.predicting
    took = "" if table is None else time_of_predicting(row for _, row in table.iterrows())
    return Text(took) if took else None


def _importance(run: Run) -> RenderableType | None:
    table = run.importance
    return None if table is None else importance_view(table, str(run.best.get("metric", "score")))


def _findings(run: Run, *, in_short: bool = False) -> RenderableType | None:
    """The diagnoses, where every file that they read is there."""
    read = ("folds.csv", "curves.csv", "predictions.csv", "model.json")
    if not all((run.path / name).is_file() for name in read):
        return None
    return findings_line(run.diagnoses) if in_short else findings_view(run.diagnoses)


def _files(run: Run) -> RenderableType:
    there = {name: about for name, about in _FILES.items() if (run.path / name).is_file()}
    lines: list[RenderableType] = [
        Text(f"written to {run.path}", style="bold"),
        Padding(_pairs(there), (0, 0, 0, 2)),
    ]
    if "model.keras" in there:
        command = f"hpsearch predict {shlex.quote(str(run.path))} NEW_ROWS.csv"
        command += " --trust" if "transformer.joblib" in there else ""
        lines.append(Text(f"`{command}` predicts new rows.", style="dim"))
    return Group(*lines)


def _where(run: Run) -> RenderableType:
    """The folder, and what is in it for whom."""
    folder = shlex.quote(str(run.path))
    trust = " --trust" if (run.path / "transformer.joblib").is_file() else ""
    predict = f"hpsearch predict {folder} NEW_ROWS.csv{trust}"
    doors = {
        f"hpsearch show {folder}": "ranking, estimates, curves and diagnoses",
        str(run.path / "report.html"): "all of it in pictures, for a browser",
        predict: "predicts new rows",
        f"hpsearch resume {folder} --trials N": "gives it more trials",
    }
    if run.settings.get("budget"):
        doors[f"hpsearch resume {folder} --minutes M"] = "gives it more time"
    if not (run.path / "report.html").is_file():
        del doors[str(run.path / "report.html")]
    if not (run.path / "model.keras").is_file():
        del doors[predict]
    width = max(map(len, doors))
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(min_width=width, overflow="fold")
    table.add_column(style="dim")
    for door, about in doors.items():
        table.add_row(Text(door), Text(about))
    lines: list[RenderableType] = [Padding(table, (0, 0, 0, 2))]
    if width > _WIDEST_DOOR:  # a command that is folded can't be copied
        each = ((Text(f"  {door}"), Text(f"    {about}", "dim")) for door, about in doors.items())
        lines = [line for pair in each for line in pair]
    return Group(Text(f"written to {run.path}", style="bold"), *lines)


def _pairs(values: Mapping[str, str]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True, overflow="ellipsis", max_width=28)
    table.add_column(overflow="fold")
    for label, text in values.items():
        table.add_row(Text(label), Text(text))
    return table


def _spaced(parts: Iterable[RenderableType]) -> Group:
    """The parts with an empty line between them."""
    lines: list[RenderableType] = []
    for part in parts:
        lines += [part, ""]
    return Group(*lines[:-1])
