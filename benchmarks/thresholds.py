"""What a chosen threshold scored, what the correction makes of it, and what is true.

    python benchmarks/thresholds.py            # the summary, and the files in docs/; half a minute
    python benchmarks/thresholds.py --seeds 5 --out /tmp   # a first look

Two worlds, a new data set of 400 rows for each seed, 40 of them positive: labels that have nothing
to do with the features, and labels that a few features decide in part. The candidates are those of
``selection_bias.py``, linear classifiers on random features with random penalties. The winner by
the log loss gets the threshold with the largest F1 of its out-of-fold predictions, and is trained
on all rows; 20,000 new rows say what F1 it really has there. Beside it: the F1 on the rows that
chose the threshold, the one that is corrected in the selection's bootstrap, as a run's ledger has
it, and the one corrected for the choice of the threshold alone.

Needs the extra: ``pip install '.[bench]'``.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from selection_bias import (
    DOCS,
    EFFECTS,
    FOLDS,
    N_FEATURES,
    REPEATS,
    Array,
    Labels,
    World,
    linear_candidates,
)

from hpsearch import IteratedStratifiedKFold
from hpsearch.decisions.rules import ThresholdRule
from hpsearch.decisions.threshold import ThresholdSamples, decide_threshold, figures_at
from hpsearch.stats import bias_corrected_cv
from hpsearch.task import Target

RULE = ThresholdRule.of("f1")
TARGET = Target(("label",), "binary", ("no", "yes"))
WORLDS = ("noise", "signal")
N_ROWS, N_TEST, POSITIVE = 400, 20_000, 0.1
CANDIDATES = 60
POINTS = 2.0
"""So near the truth a figure has to be on average in pure noise, in points of F1. With signal the
folds' networks know three quarters of the rows, so that each figure of them is low."""

COLOURS = {"naive": "#cc3311", "alone": "#aa8800", "corrected": "#4477aa", "true": "black"}
MARKERS = {"naive": "x", "corrected": "o", "true": "_"}
TITLES = {
    "noise": "Labels independent of the features, 10 % positive",
    "signal": "Labels that some features decide in part, 10 % positive",
}


@dataclass(frozen=True)
class Outcome:
    """One seed: the F1 at the threshold by each estimate, and what is true.

    ``alone`` is corrected for the choice of the threshold and not for that of the candidate;
    ``half`` is the true F1 at 0.5.
    """

    world: str
    seed: int
    threshold: float
    naive: float
    alone: float
    corrected: float
    low: float
    high: float
    half: float
    true: float


def make_world(name: str, seed: int) -> World:
    """Standard normal features; one label in ten positive, by a coin or by a logistic model."""
    rng = np.random.default_rng([seed, 4])
    rows = _rows(name, N_ROWS, rng)
    return World(*rows, *_rows(name, N_TEST, rng))


def _rows(name: str, n: int, rng: np.random.Generator) -> tuple[Array, Labels]:
    """The first rows of each label, as many as there must be, of many that are drawn."""
    x = rng.standard_normal((4 * n, N_FEATURES))
    log_odds = 2 * x[:, : len(EFFECTS)] @ EFFECTS if name == "signal" else np.zeros(len(x))
    y = (rng.random(len(x)) < 1 / (1 + np.exp(2.2 - log_odds))).astype(np.int64)
    n_positive = round(POSITIVE * n)
    found = [np.flatnonzero(y == label)[:k] for label, k in ((0, n - n_positive), (1, n_positive))]
    assert [len(each) for each in found] == [n - n_positive, n_positive]
    rows = np.sort(np.concatenate(found))
    return x[rows], y[rows]


def judge(name: str, seed: int) -> Outcome:
    """Search in one world, choose the threshold, and put the estimates beside the truth."""
    world = make_world(name, seed)
    candidates = linear_candidates(CANDIDATES, seed)
    predictions = np.empty((CANDIDATES, REPEATS, N_ROWS))
    splits = IteratedStratifiedKFold(FOLDS, REPEATS, random_state=seed).split(world.x, world.y)
    for position, (train, validation) in enumerate(splits):
        for number, candidate in enumerate(candidates):
            said = candidate(world.x[train], world.y[train], world.x[validation])
            predictions[number, position // FOLDS, validation] = said
    samples = ThresholdSamples(RULE, world.y, predictions)
    winner = bias_corrected_cv("log_loss", world.y, predictions, seed=seed, heard=samples).trial
    own = predictions[winner, np.newaxis]
    alone = ThresholdSamples(RULE, world.y, own)
    bias_corrected_cv("log_loss", world.y, own, seed=seed, heard=alone)
    made = decide_threshold(RULE, TARGET, world.y, own[0], samples, is_of_search=True)
    of_test = candidates[winner](world.x, world.y, world.x_test)
    f1 = made.figures[0]
    return Outcome(
        name,
        seed,
        threshold=made.values[0],
        naive=f1.naive,
        alone=float(np.nanmean(alone.scores[:, 0, 0])),
        corrected=f1.value,
        low=f1.low,
        high=f1.high,
        half=figures_at(RULE, (0.5,), world.y_test, of_test)["f1"],
        true=figures_at(RULE, made.values, world.y_test, of_test)["f1"],
    )


def error(outcomes: Sequence[Outcome], estimate: str) -> float:
    """Mean error of an estimate, in points."""
    return 100 * float(np.mean([getattr(o, estimate) - o.true for o in outcomes]))


def covered(outcomes: Sequence[Outcome]) -> float:
    """How often the corrected interval holds the truth."""
    return float(np.mean([o.low <= o.true <= o.high for o in outcomes]))


def of_world(outcomes: Sequence[Outcome], name: str) -> list[Outcome]:
    return [o for o in outcomes if o.world == name]


def summary(outcomes: Sequence[Outcome]) -> str:
    """What was found in each world, and whether what is promised holds."""
    lines = []
    for name in WORLDS:
        here = of_world(outcomes, name)
        true, half = (100 * np.mean([getattr(o, of) for o in here]) for of in ("true", "half"))
        lines.append(f"{name}: true F1 {true:.1f} % on average, {half:.1f} % at 0.5")
        for estimate in ("naive", "alone", "corrected"):
            off = 100 * np.array([getattr(o, estimate) - o.true for o in here])
            lines.append(
                f"  {estimate:<10} mean error {off.mean():+5.1f} +- "
                f"{off.std() / np.sqrt(len(off)):.1f} points, "
                f"mean absolute error {np.abs(off).mean():4.1f}"
            )
        lines.append(f"  the interval holds the truth on {covered(here):.0%}")
    lines += [f"{'holds' if met else 'FAILS'}: {text}" for text, met in promises(outcomes)]
    return "\n".join(lines)


def promises(outcomes: Sequence[Outcome]) -> list[tuple[str, bool]]:
    noise, signal = (of_world(outcomes, name) for name in WORLDS)
    naive, left = error(noise, "naive"), error(noise, "corrected")
    of_signal = error(signal, "corrected")
    return [
        (
            f"noise: the corrected F1 is within 2 points of the truth ({left:+.1f})",
            abs(left) < POINTS,
        ),
        (f"noise: the naive one is not ({naive:+.1f})", abs(naive) > POINTS),
        (
            f"signal: the corrected F1 does not flatter ({of_signal:+.1f})",
            -POINTS * 2 < of_signal < 1,
        ),
        *(
            (f"{name}: the interval holds the truth on 9 of 10 ({covered(here):.0%})", met)
            for name, here in (("noise", noise), ("signal", signal))
            for met in [covered(here) >= 0.9]
        ),
    ]


def write_table(outcomes: Sequence[Outcome], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = [
            {k: round(v, 6) if isinstance(v, float) else v for k, v in asdict(o).items()}
            for o in outcomes
        ]
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def draw(outcomes: Sequence[Outcome], path: Path) -> None:
    """A panel a world: each seed's estimates beside the truth, and the means on the right."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    for axis, name in zip(axes, WORLDS, strict=True):
        here = sorted(of_world(outcomes, name), key=lambda o: o.naive)
        n, at = len(here), np.arange(len(here))
        limits = 100 * np.array([[o.low, o.high] for o in here]).T
        axis.vlines(at, *limits, color=COLOURS["corrected"], alpha=0.25, linewidth=160 / n)
        for what, marker in MARKERS.items():
            values = [100 * getattr(o, what) for o in here]
            mean = float(np.mean(values))
            label = f"{what}, {mean:.1f} on average"
            axis.plot(at, values, marker, color=COLOURS[what], markersize=6, label=label)
            axis.hlines(mean, 1.02 * n, 1.1 * n, color=COLOURS[what], linewidth=2)
        axis.set_title(TITLES[name], fontsize=10)
        axis.set_xlim(-1, 1.12 * n)
        axis.set_xticks([0, n - 1], ["seed with the\nlowest naive F1", "highest"])
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(loc="upper left", frameon=False, fontsize=9)
    axes[0].set_ylabel("F1 at the chosen threshold, %; means on the right")
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--out", type=Path, default=DOCS, help="folder of table and picture")
    args = parser.parse_args()
    start = time.perf_counter()
    outcomes = [judge(name, seed) for name in WORLDS for seed in range(args.seeds)]
    print(f"{args.seeds} seeds, {N_ROWS} rows, {CANDIDATES} candidates, {REPEATS} x {FOLDS} folds")
    print(summary(outcomes))
    print(f"{time.perf_counter() - start:.0f} s", file=sys.stderr)
    write_table(outcomes, args.out / "thresholds.csv")
    draw(outcomes, args.out / "thresholds.png")
    if not all(met for _, met in promises(outcomes)):
        sys.exit(1)


if __name__ == "__main__":
    main()
