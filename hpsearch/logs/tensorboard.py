"""TensorBoard: event files in the run's folder, through TensorBoard's own writer.

``tensorboard/`` there has what belongs to the search (a row for each trial in HPARAMS, tables and
the model's card in TEXT), ``tensorboard/trial-3/`` the curves, folds and scores of a trial. The
folder is the run's, so ``tensorboard --logdir results`` shows every run below it. A file is written
whole and named by its content; where that changes, another takes its place.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from hpsearch import words
from hpsearch.logs._records import TrialRecord, plain
from hpsearch.logs.base import LogKind, RunLog, Say
from hpsearch.results import layout
from hpsearch.results.files import write_atomically

if TYPE_CHECKING:
    import pandas as pd

    from hpsearch.results import Run

_MOST_ROWS: Final = 1000
"""Rows of a table that is shown as text."""

_VERSION: Final = "brain.Event:2"
_EMPTY_CELL: Final = ""

Summaries = list[tuple[int, Any]]
"""Steps and TensorBoard's summaries."""


class TensorboardLog(RunLog):
    """Keeps a search in event files."""

    name = "TensorBoard"

    def __init__(self, say: Say) -> None:
        self._say = say
        self._folder, self._run = Path(), ""

    def __enter__(self) -> Self:
        from tensorboard.plugins.hparams import summary_v2  # noqa: F401 - what it imports is here

        return self

    def run_started(self, path: Path, settings: Mapping[str, Any]) -> None:
        """Take the folder."""
        self._folder = path / layout.TENSORBOARD
        whole = path.resolve()
        self._run = whole.parent.name if whole.name == layout.NEXT else whole.name
        self._say(f"TensorBoard: {self._folder}; `tensorboard --logdir` shows it.")

    def keep(self, record: TrialRecord) -> None:
        """Write a trial's events, unless they are there."""
        folder = self._folder / f"trial-{record.trial}"
        _write(folder, record.digest, lambda: _events_of(record, self._run))

    def finish(self, run: Run, records: list[TrialRecord]) -> None:
        """Write what belongs to the search as a whole."""
        self._folder = run.path / layout.TENSORBOARD  # a run that replaces another has moved
        there = {f"trial-{record.trial}" for record in records}
        for folder in self._folder.glob("trial-*"):
            if folder.name not in there:
                remove_events(folder)
        digest = str((run.best.get("sha256") or {}).get(layout.BEST))
        _write(self._folder, digest, lambda: _events_of_the_search(run, records))


def _write(folder: Path, digest: str, summaries: Any) -> None:
    """Write a file of events in the place of those that are there, unless it is there itself.

    Its digits are of what it holds; TensorBoard reads a folder's files in the order of their names.
    """
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    target = folder / f"{layout.EVENTS}{digest[:16]}"
    if target.is_file():
        return
    now, stream = time.time(), io.BytesIO()
    writer = RecordWriter(stream)
    writer.write(Event(wall_time=now, file_version=_VERSION).SerializeToString())
    for step, summary in summaries():
        event = Event(wall_time=now, step=step, summary=summary)
        writer.write(event.SerializeToString())
    folder.mkdir(parents=True, exist_ok=True)
    before = [path for path in folder.glob(f"{layout.EVENTS}*") if path.is_file()]
    write_atomically(target, stream.getvalue())
    for path in before:
        path.unlink(missing_ok=True)


def _events_of(record: TrialRecord, run: str) -> Iterator[tuple[int, Any]]:
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb

    values = {name: plain(value) for name, value in record.hyperparameters.items()}
    name = f"{run} trial {record.trial}"  # rows of one name are one to TensorBoard
    yield 0, hparams_pb(values or {"trial": record.trial}, trial_id=name)
    yield from _scalars("", [(0, record.scores)])
    curves = [
        (int(row["epoch"]), {n: v for n, v in row.items() if n not in ("epoch", "n_folds")})
        for row in record.curves
    ]
    yield from _scalars("", curves)
    folds = [
        (place, {n: v for n, v in row.items() if n.startswith(("val_", "train_"))})
        for place, row in enumerate(record.folds)
    ]
    yield from _scalars("folds/", folds)
    if record.status != "completed":
        yield 0, _text("status", f"{record.status} {record.error}".strip())


def _scalars(
    prefix: str, rows: Sequence[tuple[int, Mapping[str, float]]]
) -> Iterator[tuple[int, Any]]:
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb

    for step, row in rows:
        for name, value in row.items():
            yield step, scalar_pb(f"{prefix}{name}", float(value))


def _events_of_the_search(run: Run, records: list[TrialRecord]) -> Iterator[tuple[int, Any]]:
    yield 0, _columns(records)
    for record in sorted(records, key=lambda record: record.trial):
        if "score" in record.scores:
            yield from _scalars("trials/", [(record.trial, {"score": record.scores["score"]})])
    metrics = (run.best.get("metrics") or {}).items()
    selected = {"score": run.best.get("score"), **{f"metric.{name}": v for name, v in metrics}}
    ledger = run.ledger
    if ledger is not None:
        ends = (ledger.promise.value, ledger.promise.low, ledger.promise.high)
        selected |= dict(zip(("expected", "expected_low", "expected_high"), ends, strict=True))
    there = {name: v for name, v in selected.items() if not words.is_missing(v)}
    yield from _scalars("selected/", [(0, there)])
    for name in (layout.TRIALS, layout.FOLDS, layout.BASELINES, layout.NESTED_TABLE):
        table = getattr(run, name.removesuffix(".csv"))
        if table is not None:
            yield 0, _text(f"tables/{name}", _markdown(table))
    card = run.path / layout.MODEL_CARD
    if card.is_file():
        yield 0, _text("model card", card.read_text(encoding="utf-8"))
    settings = (run.path / layout.SETTINGS).read_text(encoding="utf-8")
    yield 0, _text(layout.SETTINGS, "\n".join(f"    {line}" for line in settings.splitlines()))


def _columns(records: list[TrialRecord]) -> Any:
    """The columns of HPARAMS: hyperparameters with the values that were tried, then scores."""
    from tensorboard.plugins.hparams.summary_v2 import Discrete, HParam, Metric, hparams_config_pb

    tried: dict[str, set[Any]] = {}
    for record in records:
        for name, value in record.hyperparameters.items():
            tried.setdefault(name, set()).add(plain(value))
    names = dict.fromkeys(name for record in records for name in record.scores)
    scores = [name for name in names if name == "score" or name.startswith("metric.")]
    return hparams_config_pb(
        hparams=[HParam(name, _domain(values, Discrete)) for name, values in sorted(tried.items())],
        metrics=[Metric(name) for name in (*scores, "score_se", "best_epoch", "n_params")],
    )


def _domain(values: set[Any], discrete: Any) -> Any:
    """The values as a domain, whose values TensorBoard wants to be of one type."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return discrete(sorted(map(float, values)), dtype=float)
    if all(isinstance(value, bool) for value in values):
        return discrete(sorted(values), dtype=bool)
    return discrete(sorted(map(str, values)), dtype=str)


def _text(tag: str, text: str) -> Any:
    from tensorboard.plugins.text.summary_v2 import text_pb

    return text_pb(tag, text)


def _markdown(table: pd.DataFrame) -> str:
    """A table in Markdown."""
    shown = table.head(_MOST_ROWS)
    rows = [[_cell(cell) for cell in row] for row in shown.itertuples(index=False)]
    head = [_cell(str(name)) for name in table.columns]
    lines = [head, ["---"] * len(head), *rows]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    hidden = len(table) - len(shown)
    return f"{text}\n\nand {words.counted(hidden, 'more row')}" if hidden else text


def _cell(value: Any) -> str:
    if words.is_missing(value):
        return _EMPTY_CELL
    return words.one_line(str(plain(value))).replace("|", "\\|")


def remove_events(folder: Path) -> None:
    """Remove a trial's events, and its folder where nothing else is in it."""
    for path in folder.glob(f"{layout.EVENTS}*"):
        path.unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


LOG: Final = LogKind(packages=("tensorboard",), make=TensorboardLog)
