"""A finished run: opened, told in a few lines, diagnosed and reported.

Owns ``Run`` and what a folder must be to be opened as one. Reading its files belongs to
``contents``, writing them to ``folder``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hpsearch import snippets, words
from hpsearch.errors import InputError
from hpsearch.results.contents import Contents
from hpsearch.results.layout import BEST, JOURNAL, NEXT, REPORT, is_journal, require_run
from hpsearch.results.lock import is_locked, locked_text

if TYPE_CHECKING:
    from hpsearch.diagnoses import Diagnosis


@dataclass(frozen=True)
class Run(Contents):
    """A finished run, read from its folder; tables and documents are read when first asked for.

    Attributes
    ----------
    path : the run's folder.
    trials, folds, curves, predictions, timings : the CSV tables as frames.
    baselines, nested, importance, predicting : those of these names, or None where they were not
        asked for.
    settings, best, manifest : ``run.json``, ``best.json`` and ``model.json`` as dictionaries.
    ledger : what the winner's score is worth (``hpsearch.ledger.Ledger``), out of ``best.json``.
    model_path : the retrained model, ``model.keras``.
    diagnoses : what the tables say about the training.

    Raises
    ------
    InputError
        A table or document is missing or damaged.
    """

    @cached_property
    def diagnoses(self) -> tuple[Diagnosis, ...]:
        """What is found about the selected trial and the search, what matters most first."""
        from hpsearch.diagnoses import diagnose

        with self.reading():
            return diagnose(self.tables)

    def diagnoses_of(self, trial: int) -> tuple[Diagnosis, ...]:
        """What the learning curves of any trial say; nothing where it has none."""
        from hpsearch.diagnoses import diagnose_trial

        with self.reading():
            return diagnose_trial(self.tables, trial)

    @property
    def remarks(self) -> list[str]:
        """What a reader of the run must know of its folder, a sentence each."""
        again = f"`hpsearch resume {self.path}` makes it again."
        said = [
            f"{name} is not as the run wrote it, so what is shown of it may be wrong; {again}"
            for name in self.changed()
        ]
        if self.has_another_journal:
            said.append(f"{JOURNAL} is of another run, so this one can't be resumed.")
        if is_journal(self.path / NEXT / JOURNAL):
            said.append(
                "An unfinished run is to replace this one; "
                f"`hpsearch resume {self.path}` goes on with it."
            )
        return said

    def report(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the report, one HTML file that needs no network, and return its path.

        Parameters
        ----------
        path : the file; by default ``report.html`` in the run's folder. What is there is replaced.

        Raises
        ------
        InputError
            The run's trials can't be read, or the path can't be a file.
        StorageError
            The file can't be written.

        Examples
        --------
        >>> import hpsearch
        >>> hpsearch.open_run("results/iris").report("iris.html")  # doctest: +SKIP
        """
        from hpsearch.results.reporting import write_report

        with self.reading():
            return write_report(self, path)

    def export(
        self, to: str, out: str | os.PathLike[str] | None = None, *, overwrite: bool = False
    ) -> Path:
        """Write the run, or its model, in another program's format, and return the path.

        Parameters
        ----------
        to : the format's name; ``hpsearch export --help`` lists them.
        out : the file or folder; by default the name of the run's folder with the format's ending,
            in the current folder.
        overwrite : whether to replace what an earlier export left there.

        Raises
        ------
        InputError
            There is no such format, it needs a package that isn't installed, it can't hold what
            the run has, or the path is taken.
        StorageError
            It can't be written.

        Examples
        --------
        >>> import hpsearch
        >>> hpsearch.open_run("results/iris").export("onnx")  # doctest: +SKIP
        PosixPath('iris.onnx')
        """
        from hpsearch.export.exporting import export_run

        return export_run(self, to, out, overwrite=overwrite).path

    @property
    def warnings(self) -> list[str]:
        """What deserves attention, a sentence each: of the data, the network, and the ledger."""
        said = [str(text) for text in self.settings.get("warnings") or ()]
        ledger = self.ledger
        return said + ([] if ledger is None else [warning.text for warning in ledger.warnings])

    def _repr_html_(self) -> str:
        """The run in short, as a notebook shows it."""
        told = {name: text for name, text in _summary(self).items() if name != "with"}
        parts: list[str] = []
        with suppress(InputError), self.reading():
            parts += [
                snippets.facts({**told, "new rows": _expected(self)}),
                snippets.table("The best trials", _TRIALS_SHOWN, _trials_shown(self)),
                snippets.listed("warnings", self.warnings),
                snippets.listed("diagnoses", [found.title for found in self.diagnoses]),
            ]
        report = self.path / REPORT
        if parts and report.is_file():
            parts.append(snippets.link(report.as_posix(), f"the report: {report.as_posix()}"))
        return snippets.shown(f"Run {self.path.as_posix()}", *(parts or [snippets.facts(told)]))

    def __repr__(self) -> str:
        facts = [f"  {label:<7}{text}" for label, text in _summary(self).items()]
        lines = [f"Run({self.path.as_posix()!r})", *facts]
        return "\n".join(lines)


def open_run(path: str | os.PathLike[str] | Run) -> Run:
    """Open the folder of a finished run.

    Parameters
    ----------
    path : the folder that ``hpsearch run`` or ``Search.run`` wrote; a ``Run`` comes back as it is.

    Raises
    ------
    InputError
        There is no such folder, it holds no run, or the run did not finish.
    """
    if isinstance(path, Run):
        return path
    folder = Path(path)
    require_run(folder)
    if not (folder / BEST).is_file():
        raise InputError(
            f"Only a finished run can be opened; {str(folder)!r} has no {BEST}: "
            + _unfinished(folder)
        )
    return Run(folder)


def _unfinished(folder: Path) -> str:
    """Why a run has no end, as far as can be told, and what to do."""
    if is_locked(folder):
        return f"it is still going on. {locked_text(folder)}"
    if (folder / JOURNAL).is_file():
        return (
            "it was interrupted, or all its trials failed. "
            f"`hpsearch resume {folder}` goes on from its journal."
        )
    return (
        "it was interrupted, is still going on, or all its trials failed. "
        "Wait for it, or run it again with --overwrite."
    )


def _expected(run: Run) -> str:
    """What to expect on new rows, in words; nothing where the run's ledger doesn't say."""
    ledger = run.ledger
    if ledger is None:
        return ""
    promise, width = ledger.promise, None
    ends = words.interval(promise.low, promise.high)
    if promise.low is not None and promise.high is not None:
        width = promise.high - promise.low
    value = words.within(promise.value, width)
    return f"expect {ledger.metric} {value}" + (f", {ends}" if ends else "")


_TRIALS_SHOWN: Final = ("rank", "trial", "score ± se", "epoch", "configuration")
_MOST_TRIALS_SHOWN: Final = 5


def _trials_shown(run: Run) -> list[tuple[str, ...]]:
    """The best trials, a row each."""
    from hpsearch.report.material import records

    return [
        (
            words.number(row["rank"]),
            str(row["trial"]),
            words.score(row.get("score"), row.get("score_se")),
            words.number(row.get("best_epoch")),
            words.configuration(words.hyperparameters(row)),
        )
        for row in records(run.trials.head(_MOST_TRIALS_SHOWN))
        if not words.is_missing(row.get("rank"))
    ]


def _summary(run: Run) -> dict[str, str]:
    """What the run was and found, by name; or why its documents can't be read."""
    try:
        settings, best = run.settings, run.best
    except InputError as error:
        return {"damaged": str(error)}
    data = settings.get("data") or {}
    facts = [data.get("name"), data.get("task"), _count(data.get("n_rows"), "rows")]
    budget = [
        _count(settings.get("trials"), "trials"),
        _count(settings.get("folds"), "folds"),
        _count(settings.get("repeats"), "repeats"),
        _count(settings.get("epochs"), "epochs"),
    ]
    hyperparameters = best.get("hyperparameters") or {}
    values = ", ".join(f"{name}={value}" for name, value in sorted(hyperparameters.items()))
    lines = {
        "data": ", ".join(str(fact) for fact in facts if fact),
        "budget": ", ".join(part for part in budget if part),
        "best": _score_line(best),
        "with": values,
    }
    return {label: text for label, text in lines.items() if text}


def _count(number: Any, noun: str) -> str:
    return "" if number is None else f"{number} {noun}"


def _score_line(best: Mapping[str, Any]) -> str:
    score = best.get("score")
    if score is None:
        return f"trial {best.get('trial')}"
    line = f"trial {best.get('trial')}: {best.get('metric', 'score')} {score:.4g}"
    if best.get("score_se") is not None:
        line += f" ± {best['score_se']:.2g}"
    if best.get("ci_low") is not None and best.get("ci_high") is not None:
        line += f" (95 % interval {best['ci_low']:.4g} to {best['ci_high']:.4g})"
    if best.get("best_epoch") is not None:
        line += f" at epoch {best['best_epoch']}"
    return line
