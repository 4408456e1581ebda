"""What the best of many candidates scored, what the corrections make of it, and what is true.

    python benchmarks/selection_bias.py                # the summary, and the files in docs/
    python benchmarks/selection_bias.py --seeds 5 --out /tmp   # a first look

Two worlds, a new data set for each seed: labels that have nothing to do with the features, where
every score but 50 % is chance, and labels that a few features decide in part, where a large test
set says what the selected candidate is worth. Labels are balanced exactly: else guessing the more
frequent one scores above 50 % in every fold, which no correction of the selection can see.

The candidates are fast ones, linear classifiers on random features with random penalties, so that
the whole selection can be nested as well. Other candidates are another ``Source``: a function from
rows to out-of-fold predictions of all candidates, and to predictions of new rows. The real thing,
``hpsearch run`` as it is by default, racing, choosing trial and epoch, is ``--source search``;
``--source full-search`` trains every trial to its end. They take an hour on two cores and aren't
nested. Each search's row is in the table as soon as it has ended, and what is there is not done
again:

    python benchmarks/selection_bias.py --source search --seeds 40 --at-once 2

Needs the extra: ``pip install '.[bench]'``.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import hpsearch
from hpsearch import IteratedStratifiedKFold
from hpsearch.search.options import default
from hpsearch.stats import bias_corrected_cv, corrected_se, t_interval, tibshirani_correction

FOLDS, REPEATS = default("folds"), default("repeats")
DOCS = Path(__file__).parent.parent / "docs"
N_ROWS, N_FEATURES, N_TEST = 200, 20, 20_000
EFFECTS = 0.5 * np.array([1.0, 0.8, 0.6, 0.4, 0.2])  # of the first features on the log odds
WORLDS = ("noise", "signal")
ESTIMATES = ("naive", "tibshirani", "corrected", "nested")
COLOURS = {
    "naive": "#cc3311",
    "tibshirani": "#aa8800",
    "corrected": "#4477aa",
    "nested": "#228833",
    "true": "black",
}
MARKERS = {"naive": "x", "corrected": "o", "true": "_"}
TITLES = {
    "noise": "Labels independent of the features",
    "signal": "Labels that some features decide in part",
}
Array = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class World:
    """A data set, and the rows that tell what a candidate is worth."""

    x: Array
    y: Labels
    x_test: Array
    y_test: Labels


@dataclass(frozen=True, eq=False)
class Scored:
    """What a search leaves behind.

    Attributes
    ----------
    y : (n,) labels of the rows.
    out_of_fold : (T, P, n) probabilities of the second label, by trainings without the row.
    fold_scores : (T, P K) accuracies, in the order of repeats and folds.
    n_validation : rows of the validation sides, in the same order.
    """

    y: Labels
    out_of_fold: Array
    fold_scores: Array
    n_validation: list[int]

    @property
    def winner(self) -> int:
        """The best mean over the folds."""
        return int(self.fold_scores.mean(axis=1).argmax())


Candidate = Callable[[Array, Labels, Array], Array]
"""Training rows, their labels and new rows to the new rows' probabilities of the second label."""
Source = Callable[[int, int], list[Candidate]]
"""How many candidates and a seed to candidates."""


@dataclass(frozen=True)
class Outcome:
    """One seed: the winner's score by each estimate, and what is true."""

    world: str
    seed: int
    naive: float
    naive_low: float
    naive_high: float
    tibshirani: float
    corrected: float
    low: float
    high: float
    nested: float | None
    true: float


def make_world(name: str, seed: int) -> World:
    """Standard normal features; balanced labels, by a coin or by a logistic model of the first."""
    rng = np.random.default_rng([seed, 0])
    rows = _balanced_rows(name, N_ROWS, rng)
    return World(*rows, *_balanced_rows(name, N_TEST, rng))


def _balanced_rows(name: str, n: int, rng: np.random.Generator) -> tuple[Array, Labels]:
    """The first n / 2 rows of each label, of many that are drawn."""
    x = rng.standard_normal((2 * n, N_FEATURES))
    log_odds = x[:, : len(EFFECTS)] @ EFFECTS if name == "signal" else np.zeros(len(x))
    y = (rng.random(len(x)) < 1 / (1 + np.exp(-log_odds))).astype(np.int64)
    rows = np.sort(np.concatenate([np.flatnonzero(y == label)[: n // 2] for label in (0, 1)]))
    return x[rows], y[rows]


def linear_candidates(n: int, seed: int) -> list[Candidate]:
    """Linear classifiers, each on some of the features and with a penalty of its own."""
    rng = np.random.default_rng([seed, 1])

    def candidate() -> Candidate:
        features = rng.choice(N_FEATURES, rng.integers(1, N_FEATURES + 1), replace=False)
        return _least_squares(lambda x: x[:, features], penalty=10 ** rng.uniform(-1, 3))

    return [candidate() for _ in range(n)]


def network_candidates(n: int, seed: int) -> list[Candidate]:
    """Networks of one hidden layer on all features; only the last layer is trained."""
    rng = np.random.default_rng([seed, 2])

    def candidate() -> Candidate:
        units, scale = rng.integers(4, 65), 10 ** rng.uniform(-1, 0.5)
        weights = scale * rng.standard_normal((N_FEATURES, units)) / np.sqrt(N_FEATURES)
        biases = rng.standard_normal(units)
        penalty = 10 ** rng.uniform(-1, 3)
        return _least_squares(lambda x: np.tanh(x @ weights + biases), penalty)

    return [candidate() for _ in range(n)]


def _least_squares(layer: Callable[[Array], Array], penalty: float) -> Candidate:
    """Least squares with a penalty on what a layer makes of the rows."""

    def fit_and_predict(x: Array, y: Labels, x_new: Array) -> Array:
        design, share = layer(x), y.mean()
        centre = design.mean(axis=0)
        design = design - centre
        gram = design.T @ design + penalty * np.eye(design.shape[1])
        weights = np.linalg.solve(gram, design.T @ (y - share))
        return np.clip((layer(x_new) - centre) @ weights + share, 0.0, 1.0)

    return fit_and_predict


SEARCHES = {"search": {}, "full-search": {"race": "off", "rungs": 1}}
"""Options of real searches."""

N_DRAWS = {"search": 4}
"""Some real searches have candidates of so many draws, so that compiled programs serve again."""

SOURCES: dict[str, Source] = {"linear": linear_candidates, "networks": network_candidates}


def search(candidates: list[Candidate], x: Array, y: Labels, seed: int) -> Scored:
    """Score all candidates by iterated K-fold."""
    folds = list(IteratedStratifiedKFold(FOLDS, REPEATS, random_state=seed).split(x, y))
    out_of_fold = np.empty((len(candidates), REPEATS, len(y)))
    fold_scores = np.empty((len(candidates), len(folds)))
    for number, candidate in enumerate(candidates):
        for position, (train, validation) in enumerate(folds):
            said = candidate(x[train], y[train], x[validation])
            out_of_fold[number, position // FOLDS, validation] = said
            fold_scores[number, position] = accuracy(y[validation], said)
    return Scored(y, out_of_fold, fold_scores, [len(validation) for _, validation in folds])


def nested(candidates: list[Candidate], x: Array, y: Labels, seed: int) -> float:
    """The whole search inside each of K outer folds, its winner scored on the outer rows."""
    scores = []
    for train, outer in IteratedStratifiedKFold(FOLDS, 1, random_state=seed).split(x, y):
        winner = candidates[search(candidates, x[train], y[train], seed).winner]
        scores.append(accuracy(y[outer], winner(x[train], y[train], x[outer])))
    return float(np.mean(scores))


def accuracy(y: Labels, probability: Array) -> float:
    return float(((probability >= 0.5) == y).mean())


def judge(name: str, seed: int, source: Source, n_candidates: int) -> Outcome:
    """Search in one world, and put the estimates beside the truth."""
    world = make_world(name, seed)
    candidates = source(n_candidates, seed)
    scored = search(candidates, world.x, world.y, seed)
    scores = scored.fold_scores[scored.winner]
    n_train = [len(scored.y) - n for n in scored.n_validation]
    se = corrected_se(scores, n_train, scored.n_validation)
    naive_low, naive_high = t_interval(scores.mean(), se, len(scores) - 1)
    said = bias_corrected_cv("accuracy", scored.y, scored.out_of_fold, seed=seed)
    of_test = candidates[scored.winner](world.x, world.y, world.x_test)
    return Outcome(
        name,
        seed,
        naive=float(scores.mean()),
        naive_low=float(naive_low),
        naive_high=float(naive_high),
        tibshirani=tibshirani_correction(scored.fold_scores, "max").estimate,
        corrected=said.estimate,
        low=said.low,
        high=said.high,
        nested=nested(candidates, world.x, world.y, seed),
        true=0.5 if name == "noise" else accuracy(world.y_test, of_test),
    )


def judge_search(
    source: str, name: str, seed: int, n_candidates: int, jobs: int, runs: Path | None
) -> Outcome:
    """``hpsearch run`` in one world, and what its ledger says beside the truth."""
    world = make_world(name, seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if runs is None else runs / f"{name}-{seed}"
        run = hpsearch.Search(
            "mlp",
            trials=n_candidates,
            metric="accuracy",
            seed=seed % N_DRAWS.get(source, seed + 1),
            test_data=_table(world.x_test, world.y_test) if name == "signal" else None,
            baselines=False,
            jobs=jobs,
            out=folder / "run",
            overwrite=True,
            **SEARCHES[source],
        ).run(hpsearch.load(_table(world.x, world.y), target="label"))
        ledger = run.ledger
    corrected = ledger.bias_corrected
    assert corrected.of_epochs, "trial and epoch are corrected for"
    return Outcome(
        name,
        seed,
        naive=ledger.mean.value,
        naive_low=ledger.mean.corrected.low,
        naive_high=ledger.mean.corrected.high,
        tibshirani=ledger.foldwise.value,
        corrected=corrected.value,
        low=corrected.low,
        high=corrected.high,
        nested=None,
        true=0.5 if name == "noise" else ledger.test.value,
    )


def _table(x: Array, y: Labels) -> pd.DataFrame:
    return pd.DataFrame(x).add_prefix("feature ").assign(label=y)


def simulate(
    source: str, n_seeds: int, n_candidates: int, at_once: int, table: Path, runs: Path | None
) -> list[Outcome]:
    """All outcomes; those of searches are read from the table, and written there as they end."""
    asked = [(name, seed) for name in WORLDS for seed in range(n_seeds)]
    if source not in SEARCHES:
        return [judge(*each, SOURCES[source], n_candidates) for each in asked]
    done = {(o.world, o.seed): o for o in read_table(table)}
    missing = sorted((each for each in asked if each not in done), key=lambda each: each[1])
    for outcome in _searched(source, missing, n_candidates, at_once, runs):
        done[outcome.world, outcome.seed] = outcome
        write_table(sorted(done.values(), key=lambda o: (WORLDS.index(o.world), o.seed)), table)
        print(f"{outcome.world} {outcome.seed}", end=" ", flush=True, file=sys.stderr)
    print(file=sys.stderr)
    return [done[each] for each in asked]


def _searched(
    source: str,
    asked: list[tuple[str, int]],
    n_candidates: int,
    at_once: int,
    runs: Path | None,
) -> Iterator[Outcome]:
    """The outcomes of searches, as they end."""
    jobs = max(1, (os.cpu_count() or 1) // at_once)
    with ProcessPoolExecutor(at_once, get_context("spawn")) as pool:
        waiting = [
            pool.submit(judge_search, source, *each, n_candidates, jobs, runs) for each in asked
        ]
        for future in as_completed(waiting):
            yield future.result()


def read_table(path: Path) -> list[Outcome]:
    """The outcomes that are there already."""
    if not path.exists():
        return []
    kinds = {"world": str, "seed": int}
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Outcome(
                **{
                    each.name: kinds.get(each.name, float)(row[each.name])
                    if row[each.name]
                    else None
                    for each in fields(Outcome)
                }
            )
            for row in csv.DictReader(file)
        ]


def estimates_of(outcomes: list[Outcome]) -> list[str]:
    """The estimates that were made: a real search isn't nested."""
    return [name for name in ESTIMATES if getattr(outcomes[0], name) is not None]


def mean_error(outcomes: list[Outcome], estimate: str) -> float:
    return float(np.mean([getattr(o, estimate) - o.true for o in outcomes]))


def covered(outcomes: list[Outcome], low: str, high: str) -> int:
    return sum(getattr(o, low) <= o.true <= getattr(o, high) for o in outcomes)


def summary(outcomes: list[Outcome]) -> str:
    """A table for each world, and whether what is promised holds."""
    lines = []
    for name in WORLDS:
        here = [o for o in outcomes if o.world == name]
        lines.append(f"{name}: true accuracy {np.mean([o.true for o in here]):.1%} on average")
        for estimate in estimates_of(here):
            values = np.array([getattr(o, estimate) for o in here])
            off = 100 * (values - [o.true for o in here])
            lines.append(
                f"  {estimate:<10} {values.mean():6.1%}  mean error {off.mean():+5.1f} points, "
                f"mean absolute error {np.abs(off).mean():4.1f}"
            )
        t_interval_of = covered(here, "naive_low", "naive_high")
        lines += [
            f"  the truth is in the naive score's t interval on {t_interval_of} of {len(here)}",
            f"  and in the bias-corrected one on {covered(here, 'low', 'high')} of {len(here)}",
        ]
    lines += [f"{'holds' if met else 'FAILS'}: {text}" for text, met in promises(outcomes)]
    return "\n".join(lines)


def promises(outcomes: list[Outcome]) -> list[tuple[str, bool]]:
    noise, signal = ([o for o in outcomes if o.world == name] for name in WORLDS)
    left = 100 * abs(mean_error(noise, "corrected"))
    ratio = abs(mean_error(signal, "corrected") / mean_error(signal, "naive"))
    in_noise, in_signal = (covered(part, "low", "high") / len(part) for part in (noise, signal))
    return [
        (f"noise: corrected within 2 points of 50 % on average ({left:.1f})", left < 2),
        (f"noise: 95 % interval contains 50 % on 18 of 20 ({in_noise:.0%})", in_noise >= 0.9),
        (f"signal: mean error below a third of the naive one's ({ratio:.2f})", ratio < 1 / 3),
        (f"signal: 95 % interval covers on 17 of 20 ({in_signal:.0%})", in_signal >= 0.85),
    ]


def write_table(outcomes: list[Outcome], path: Path) -> None:
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        rows = [
            {k: round(v, 6) if isinstance(v, float) else v for k, v in asdict(o).items()}
            for o in outcomes
        ]
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    part.replace(path)


def draw(outcomes: list[Outcome], path: Path) -> None:
    """A panel a world: each seed's estimates beside the truth, and all means on the right."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(12, 5), sharey=True, layout="constrained")
    for axis, name in zip(axes, WORLDS, strict=True):
        here = sorted((o for o in outcomes if o.world == name), key=lambda o: o.naive)
        n, at = len(here), np.arange(len(here))
        shown = [*estimates_of(here), "true"]
        values = {what: [100 * getattr(o, what) for o in here] for what in shown}
        limits = 100 * np.array([[o.low, o.high] for o in here]).T
        axis.vlines(at, *limits, color=COLOURS["corrected"], alpha=0.25, linewidth=200 / n)
        for what, marker in MARKERS.items():
            axis.plot(at, values[what], marker, color=COLOURS[what], markersize=5, label=what)
        ends = 1.03 * n, 1.10 * n
        means = {what: float(np.mean(of)) for what, of in values.items()}
        for what, height in _apart(means, 1.3).items():
            axis.hlines(means[what], *ends, color=COLOURS[what], linewidth=2)
            text = f"{means[what]:.1f} {what}"
            axis.text(1.12 * n, height, text, color=COLOURS[what], va="center", fontsize=9)
        held = covered(here, "low", "high")
        promise = f"the bias-corrected 95 % interval holds the truth on {held} of {n} seeds"
        axis.set_title(f"{TITLES[name]}\n{promise}", fontsize=10)
        axis.set_xlim(-1, 1.4 * n)
        axis.set_xticks([0, n - 1], ["seed with the\nlowest naive score", "highest"])
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("accuracy of the winner, %; means on the right")
    axes[0].legend(loc="upper left", frameon=False, fontsize=9)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def _apart(heights: dict[str, float], gap: float) -> dict[str, float]:
    """Heights of labels: those that would touch push each other away."""
    names = sorted(heights, key=lambda name: heights[name])
    placed = dict(heights)
    for _ in range(200):
        for low, high in pairwise(names):
            overlap = max(0.0, gap - (placed[high] - placed[low]))
            placed[low] -= overlap / 2
            placed[high] += overlap / 2
    return placed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--candidates", type=int, default=60)
    parser.add_argument("--out", type=Path, default=DOCS, help="folder of table and picture")
    parser.add_argument(
        "--source", choices=[*SOURCES, *SEARCHES], default="linear", help="what is searched"
    )
    parser.add_argument("--at-once", type=int, default=1, help="searches at the same time")
    parser.add_argument("--runs", type=Path, help="folder that keeps the searches' results")
    args = parser.parse_args()
    start = time.perf_counter()
    name = "selection_bias" if args.source == "linear" else f"selection_bias_{args.source}"
    table = args.out / f"{name.replace('-', '_')}.csv"
    outcomes = simulate(args.source, args.seeds, args.candidates, args.at_once, table, args.runs)
    print(
        f"{args.seeds} seeds, {args.candidates} {args.source} candidates, {REPEATS} x {FOLDS} folds"
    )
    print(summary(outcomes))
    print(f"{time.perf_counter() - start:.0f} s", file=sys.stderr)
    write_table(outcomes, table)
    draw(outcomes, table.with_suffix(".png"))
    if not all(met for _, met in promises(outcomes)):
        sys.exit(1)


if __name__ == "__main__":
    main()
