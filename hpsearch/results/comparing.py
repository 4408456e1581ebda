"""Comparisons: two trials on the same folds, of one run or of two, tested as such.

Owns the rule what may be compared: scores of the same metric on the same folds of the same rows.
The tests themselves belong to ``stats.comparison``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pandas as pd

from hpsearch.errors import InputError
from hpsearch.metrics import METRICS, direction_said
from hpsearch.results import layout
from hpsearch.results.contents import require_columns
from hpsearch.results.run import Run, open_run
from hpsearch.stats import (
    Comparison,
    PairedTest,
    check_rope,
    corrected_t_test,
    correlated_bayes_test,
)
from hpsearch.task import Direction

ROPE_OF_SHARES: Final = 0.01
"""Differences up to this are practically none for metrics that end at 1, such as accuracy."""

ROPE_OF_LOSSES: Final = 0.01
"""For losses and errors: differences up to this share of the mean of both scores."""

_SETTINGS_OF_FOLDS: Final = {
    "split": "--split",
    "seed": "--seed",
    "folds": "--folds",
    "gap": "--gap",
    "duplicates": "--duplicates",
    "test_size": "--test-size",
}


@dataclass(frozen=True)
class Contender:
    """One side of a comparison.

    Attributes
    ----------
    run : the run's folder; trial : the trial in it.
    score : mean of the metric over the folds that are compared.
    """

    run: str
    trial: int
    score: float


@dataclass(frozen=True)
class TrialComparison:
    """Two trials on the same folds.

    Attributes
    ----------
    a, b : the sides; metric, direction : what is compared, and what is good.
    n_folds, n_repeats : scores of each side that were compared, and the repeats they are of.
    test : the corrected paired t-test of A's scores less B's.
    probability : that A is better than B, practically equal, or worse.
    rope : the difference up to which they count as equal, in the metric's units.
    p_holm : the p-value corrected by Holm (1979) for all the comparisons made with it.
    notes : what a reader must know of it.
    """

    a: Contender
    b: Contender
    metric: str
    direction: Direction
    n_folds: int
    n_repeats: int
    test: PairedTest
    probability: Comparison
    rope: float
    p_holm: float
    notes: tuple[str, ...] = ()


def compare(
    run_a: str | os.PathLike[str] | Run,
    run_b: str | os.PathLike[str] | Run,
    *,
    trial_a: int | None = None,
    trial_b: int | None = None,
    rope: float | None = None,
) -> TrialComparison:
    """Compare two trials fold by fold: corrected t-test and Bayesian correlated t-test.

    The t-test is that of Nadeau & Bengio (2003), the probabilities those of Corani & Benavoli
    (2015); ``hpsearch.stats`` has both. Where one trial has more repeats, those that both have
    in full are compared.

    Parameters
    ----------
    run_a, run_b : folders of finished runs, or runs; both may be the same.
    trial_a, trial_b : trials in them, by default the selected ones.
    rope : the largest difference that does not matter, in the metric's units. Default: 0.01 for
        metrics that end at 1 (accuracy, roc_auc, f1, r2, ...), 1 % of the mean of both scores for
        losses, errors and metrics of your own.

    Raises
    ------
    InputError
        If the runs' metric, data, folds or weights in scores differ, or a trial is not there or
        has no scores.
    OptionError
        If ``rope`` is below 0.

    Examples
    --------
    >>> import hpsearch
    >>> said = hpsearch.compare("results/wide", "results/deep")  # doctest: +SKIP
    >>> said.probability.better  # doctest: +SKIP
    0.94
    """
    a, b = believed(run_a), believed(run_b)
    with a.reading(), b.reading():
        _check_same_folds(a, b)
        first = _selected(a) if trial_a is None else trial_a
        second = _selected(b) if trial_b is None else trial_b
        said = compared_trials(a, first, b, second, rope)
        averaged = (*_averaging_notes(a, first), *_averaging_notes(b, second))
        return replace(said, notes=(*said.notes, *averaged))


def compare_trials(
    run: str | os.PathLike[str] | Run,
    *,
    rope: float | None = None,
) -> tuple[TrialComparison, ...]:
    """Compare a run's selected trial with each other completed one, the best first.

    ``p_holm`` is corrected for all of them together. No correction makes up for the selected
    trial being the best of those that it is compared with: its lead is flattered.

    Parameters
    ----------
    run : the folder of a finished run, or a run; rope : as in ``compare``.

    Raises
    ------
    OptionError
        If ``rope`` is below 0.
    """
    if rope is not None:
        check_rope(rope)  # also where there is nothing to compare
    opened = believed(run)
    with opened.reading():
        selected = _selected(opened)
        ranked = opened.trials[opened.trials["rank"].notna()]
        others = [int(trial) for trial in ranked["trial"] if trial != selected]
        made = [compared_trials(opened, selected, opened, other, rope) for other in others]
    corrected = holm([one.test.p_value for one in made])
    return tuple(replace(one, p_holm=p) for one, p in zip(made, corrected, strict=True))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for being several, in the same order (Holm 1979, step-down Bonferroni).

    The i-th smallest of m is multiplied by m - i + 1; none becomes smaller than the one before,
    or larger than 1.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected = [0.0] * len(p_values)
    least = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = min(1.0, max(least, (len(p_values) - place) * p_values[index]))
        corrected[index] = least
    return corrected


def default_rope(metric: str, score_a: float, score_b: float) -> float:
    """The region of practical equivalence of a metric; see ``compare``.

    Examples
    --------
    >>> default_rope("accuracy", 0.9, 0.8)
    0.01
    >>> print(round(default_rope("mae", 3.0, 5.0), 6))
    0.04
    """
    known = METRICS.get(metric)
    if known is not None and known.direction == "max":
        return ROPE_OF_SHARES
    return ROPE_OF_LOSSES * (abs(score_a) + abs(score_b)) / 2


def compared_trials(
    a: Run, trial_a: int, b: Run, trial_b: int, rope: float | None
) -> TrialComparison:
    """Compare trials of two runs that are believed and have the same folds; see ``compare``."""
    if (a.path, trial_a) == (b.path, trial_b):
        raise InputError(
            f"Two different trials are compared; received trial {trial_a} of {str(a.path)!r} "
            "twice. Choose another trial or run."
        )
    metric = str(a.best["metric"])
    pairs, n_repeats, notes = _common_folds(_folds_of(a, trial_a), _folds_of(b, trial_b))
    first, second = (pairs[f"val_{metric}{side}"].to_numpy() for side in ("_a", "_b"))
    sizes = pairs["n_train_a"].to_numpy(), pairs["n_val_a"].to_numpy()
    contenders = (
        Contender(a.path.as_posix(), trial_a, float(first.mean())),
        Contender(b.path.as_posix(), trial_b, float(second.mean())),
    )
    width = default_rope(metric, *(side.score for side in contenders)) if rope is None else rope
    direction = direction_said(metric, a.best.get("direction"))
    test = corrected_t_test(first, second, *sizes)
    return TrialComparison(
        a=contenders[0],
        b=contenders[1],
        metric=metric,
        direction=direction,
        n_folds=len(pairs),
        n_repeats=n_repeats,
        test=test,
        probability=correlated_bayes_test(first, second, *sizes, rope=width, direction=direction),
        rope=width,
        p_holm=test.p_value,
        notes=(*notes, *_stop_notes(a, trial_a), *_stop_notes(b, trial_b)),
    )


def believed(run: str | os.PathLike[str] | Run) -> Run:
    """A run whose scores nobody has changed, and which has those that are compared."""
    opened = open_run(run)
    opened.require_unchanged(layout.BEST, layout.SETTINGS, layout.TRIALS, layout.FOLDS)
    if opened.best.get("metric") is None:
        raise InputError(
            f"Runs are compared by the metric that {layout.BEST} names; that of "
            f"{str(opened.path)!r} names none. Run the search again."
        )
    require_columns(opened, layout.TRIALS, ("rank", "epochs"))
    require_columns(opened, layout.FOLDS, (f"val_{opened.best['metric']}",))
    return opened


def folds_key(run: Run) -> tuple[Any, ...]:
    """What runs have in common whose scores by one metric can be compared.

    The rows, what deals them to folds, what they weigh in scores, and the metric's code where it is
    one's own.
    """
    data = run.settings.get("data") or {}
    metric = str(run.best["metric"])
    source = None if metric in METRICS else str(_source_of(run, metric))
    dealt = [str(run.settings.get(name)) for name in _SETTINGS_OF_FOLDS]
    roles = (data.get(name) for name in ("groups", "time", "score_weights"))
    return data.get("fingerprint"), *dealt, *roles, source


def _source_of(run: Run, metric: str) -> Any:
    """What the code of a metric of one's own is known by."""
    return (run.settings.get("own_metrics") or {}).get(metric)


def _selected(run: Run) -> int:
    return int(run.best["trial"])


def _check_same_folds(a: Run, b: Run) -> None:
    """Refuse runs whose scores are of another metric, other rows or other folds."""
    if a.path == b.path:
        return
    if a.best["metric"] != b.best["metric"]:
        raise InputError(
            f"Runs are compared by one metric; {str(a.path)!r} has {a.best['metric']}, "
            f"{str(b.path)!r} {b.best['metric']}. Run one again with the other's --metric."
        )
    metric = str(a.best["metric"])
    if metric not in METRICS and _source_of(a, metric) != _source_of(b, metric):
        raise InputError(
            f"Runs are compared by one metric; the code of {metric} in {str(a.path)!r} and in "
            f"{str(b.path)!r} differs. Run one again with the other's."
        )
    rows_a, rows_b = (run.settings.get("data") or {} for run in (a, b))
    if rows_a.get("fingerprint") != rows_b.get("fingerprint"):
        raise InputError(
            f"Runs are compared on the same data; the fingerprints of {rows_a.get('name')!r} in "
            f"{str(a.path)!r} and of {rows_b.get('name')!r} in {str(b.path)!r} differ. Run one "
            "again on the other's table, columns and target."
        )
    if rows_a.get("score_weights") != rows_b.get("score_weights"):
        said_a, said_b = map(_weighing, (rows_a, rows_b))
        said_b = "by other weights" if said_a == said_b else said_b
        raise InputError(
            f"Runs are compared by scores that weigh rows alike; they weigh {said_a} in "
            f"{str(a.path)!r}, {said_b} in {str(b.path)!r}. Run one again with the other's "
            "--weights, or both with --no-weigh-scores."
        )
    for name, option in _SETTINGS_OF_FOLDS.items():
        _check_equal(option, a, a.settings.get(name), b, b.settings.get(name))
    for name in ("groups", "time"):
        _check_equal(f"--{name}", a, rows_a.get(name), b, rows_b.get(name))


def _weighing(rows: Mapping[str, Any]) -> str:
    """By what the rows of a run weigh in its scores."""
    if rows.get("score_weights") is None:
        return "all rows the same"
    return f"rows by {rows.get('weights')!r}"


def _check_equal(option: str, a: Run, value_a: Any, b: Run, value_b: Any) -> None:
    if value_a == value_b:
        return
    raise InputError(
        f"Runs are compared on the same folds; {str(a.path)!r} has {option} {value_a}, "
        f"{str(b.path)!r} {value_b}. Run one again with the other's {option}."
    )


def _folds_of(run: Run, trial: int) -> pd.DataFrame:
    """The trial's rows of ``folds.csv``, those without a score left out."""
    if trial not in run.trials["trial"].to_numpy():
        raise InputError(
            f"A trial is compared by its number; {str(run.path)!r} has no trial {trial}. "
            "`hpsearch show` lists them."
        )
    own = run.folds[run.folds["trial"] == trial]
    own = own[own[f"val_{run.best['metric']}"].notna()]
    if own.empty:
        raise InputError(
            f"Only a trial with scores can be compared; trial {trial} of {str(run.path)!r} failed. "
            "Choose another."
        )
    return own


def _common_folds(a: pd.DataFrame, b: pd.DataFrame) -> tuple[pd.DataFrame, int, tuple[str, ...]]:
    """The folds that both have in full repeats, side by side, their repeats, and what to say."""
    pairs = a.merge(b, on=["repeat", "fold"], suffixes=("_a", "_b"))
    n_folds = max(int(side.groupby("repeat").size().max()) for side in (a, b))
    whole = pairs.groupby("repeat")["fold"].transform("size") == n_folds
    pairs = pairs[whole].sort_values(["repeat", "fold"], ignore_index=True)
    if len(pairs) < 2:
        raise InputError(
            "A comparison needs at least two folds that both trials were scored on, in whole "
            f"repeats; received {len(pairs)}. Give the runs more --folds or --repeats."
        )
    if any((pairs[f"{side}_a"] != pairs[f"{side}_b"]).any() for side in ("n_train", "n_val")):
        raise InputError(
            "Trials are compared on the same folds; those of the two have other numbers of rows. "
            "Give both runs the same options and version."
        )
    n_repeats = int(pairs["repeat"].nunique())
    had = [int(side["repeat"].nunique()) for side in (a, b)]
    if had == [n_repeats, n_repeats]:
        return pairs, n_repeats, ()
    note = (
        f"Only repeats that both have in full are compared: {n_repeats} of {had[0]} and {had[1]}."
    )
    return pairs, n_repeats, (note,)


def _stop_notes(run: Run, trial: int) -> tuple[str, ...]:
    """That a trial was ended early, so that its scores are of fewer epochs than it was given."""
    row = run.trials[run.trials["trial"] == trial].iloc[0]
    if row["status"] != "stopped":
        return ()
    return (f"Trial {trial} of {run.path} was stopped early, after {int(row['epochs'])} epochs.",)


def _averaging_notes(run: Run, trial: int) -> tuple[str, ...]:
    """That a run exports something else than the trial that is compared."""
    ensemble = None if run.ledger is None else run.ledger.decided.ensemble
    if ensemble is None:
        return ()
    return (
        f"{run.path} exports {ensemble.words}; what is compared is one network of trial {trial}.",
    )
