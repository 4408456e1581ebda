"""What the winner of a race scored, what the corrections make of it, and what is true.

    python benchmarks/race_bias.py            # 100 data sets of each kind, about four minutes
    python benchmarks/race_bias.py --seeds 5  # a first look

The data sets are those of ``selection_bias.py``. Candidates train epoch by epoch: networks of one
hidden layer, of which gradient descent trains the last one from random weights, which has a closed
form, so that 60 candidates on 3 x 4 folds take a second. The race is the one that searches run, in
brackets of 20, with three rungs and the corrected paired t-test; beside it stands the search
that trains every candidate to its end. Each is corrected as the ledger of a run is: the race for
every step of it, and for its last choice alone, which leaves out who ended early.

Needs the extra: ``pip install '.[bench]'``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from selection_bias import FOLDS, N_FEATURES, REPEATS, WORLDS, Array, World, accuracy, make_world

from hpsearch import IteratedStratifiedKFold
from hpsearch.folds import Fold
from hpsearch.results.journal import NoJournal
from hpsearch.scoring.observer import SilentObserver
from hpsearch.scoring.stages import Stage
from hpsearch.scoring.trials import TrialResult
from hpsearch.search.options import default
from hpsearch.search.racing import Racing
from hpsearch.search.usual_race import RUNGS
from hpsearch.space.space import Candidate
from hpsearch.stats import RaceStep, bias_corrected_cv_of_epochs, bias_corrected_race

TRIALS, EPOCHS, BRACKET = 60, 100, default("bracket")
SEARCHES = ("every trial to the end", "race", "race, last choice alone")


@dataclass(frozen=True, eq=False)
class Network:
    """One hidden layer, and how its last layer is trained."""

    weights: Array
    biases: Array
    rate: float
    initial: float
    penalty: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Network:
        units, scale = int(rng.integers(4, 33)), 10 ** rng.uniform(-1, 0.5)
        return cls(
            scale * rng.standard_normal((N_FEATURES, units)) / np.sqrt(N_FEATURES),
            rng.standard_normal(units),
            rate=10 ** rng.uniform(-2, 0),
            initial=10 ** rng.uniform(-2, -0.5),
            penalty=10 ** rng.uniform(-4, -1),
        )

    def curves(self, x: Array, y: NDArray[Any], x_new: Array, rng: np.random.Generator) -> Array:
        """(E, n_new) probabilities of the second label after every epoch of gradient descent."""
        layer, share = np.tanh(x @ self.weights + self.biases), y.mean()
        centre = layer.mean(axis=0)
        design, new = layer - centre, np.tanh(x_new @ self.weights + self.biases) - centre
        values, vectors = np.linalg.eigh(design.T @ design / len(y))
        values = np.maximum(values, 0.0) + self.penalty
        best = vectors.T @ (design.T @ (y - share)) / len(y) / values
        start = self.initial * rng.standard_normal(len(best))
        left = (1.0 - self.rate * values / values.max()) ** np.arange(1, EPOCHS + 1)[:, np.newaxis]
        return np.clip((best + left * (start - best)) @ (new @ vectors).T + share, 0.0, 1.0)


class Scored:
    """Stands for a session: every candidate was trained, and a stage is looked up."""

    def __init__(self, predictions: Array, y: NDArray[Any], folds: Sequence[Fold]) -> None:
        self.data = SimpleNamespace(folds=tuple(folds))
        self.plan = SimpleNamespace(options=SimpleNamespace(metrics=("accuracy",)))
        hits = (predictions >= 0.5) == y
        self.scores = np.stack(
            [hits[:, :, fold.repeat, fold.validation].mean(axis=-1) for fold in folds], axis=-1
        )

    def score(
        self, candidates: Sequence[Candidate], journal: Any, observer: Any, stage: Stage
    ) -> Iterator[TrialResult]:
        for candidate in candidates:
            scores = self.scores[candidate.trial, : stage.span(EPOCHS).end(EPOCHS), stage.folds]
            mean = scores.mean(axis=0)
            of_best = scores[:, int(mean.argmax())]
            row = {"trial": candidate.trial, "status": "completed", "score": float(mean.max())}
            yield TrialResult(
                candidate,
                row,
                tuple({"val_accuracy": score} for score in of_best),
                asked=candidate,
                positions=tuple(stage.folds),
            )

    def finish(self, trial: TrialResult, stage: Stage, journal: Any) -> None:
        """Nothing is kept of a stage."""


def train(world: World, seed: int) -> tuple[Array, Array, list[Fold]]:
    """(T, E, P, n) out-of-fold predictions, (T, E) true accuracies, and the folds."""
    rng = np.random.default_rng([seed, 3])
    networks = [Network.drawn(rng) for _ in range(TRIALS)]
    splits = IteratedStratifiedKFold(FOLDS, REPEATS, random_state=seed).split(world.x, world.y)
    folds = [Fold(*divmod(at, FOLDS), *sides) for at, sides in enumerate(splits)]
    predictions = np.empty((TRIALS, EPOCHS, REPEATS, len(world.y)))
    true = np.empty((TRIALS, EPOCHS))
    for trial, network in enumerate(networks):
        for fold in folds:
            said = network.curves(
                world.x[fold.train], world.y[fold.train], world.x[fold.validation], rng
            )
            predictions[trial, :, fold.repeat, fold.validation] = said.T
        of_test = network.curves(world.x, world.y, world.x_test, rng)
        true[trial] = [accuracy(world.y_test, said) for said in of_test]
    return predictions, true, folds


def race(session: Scored, n_repeats: int) -> tuple[list[TrialResult], list[list[int]]]:
    """All trials of the race as they ended, and the brackets."""
    racing = Racing(session, NoJournal(), SilentObserver(), "corrected-t", n_repeats)
    brackets = [list(range(s, min(s + BRACKET, TRIALS))) for s in range(0, TRIALS, BRACKET)]
    ended: list[TrialResult] = []
    for bracket in brackets:
        ended += racing.score([Candidate(trial, {}) for trial in bracket], RUNGS, tuple(ended))
    return sorted(ended, key=lambda trial: trial.candidate.trial), brackets


def steps_of(predictions: Array, ended: list[TrialResult], stages: list[Stage]) -> list[RaceStep]:
    """The steps at which trials ended."""
    steps = []
    for number, stage in enumerate(stages[:-1]):
        there = [t for t in ended if t.stopped_after is None or t.stopped_after >= number]
        went_on = np.array([t.stopped_after != number for t in there])
        if went_on.all():
            continue
        trials = np.array([t.candidate.trial for t in there])
        end, repeats = stage.span(EPOCHS).end(EPOCHS), len(stage.folds) // FOLDS
        steps.append(
            RaceStep(trials, predictions[trials, :end, :repeats], went_on, trials // BRACKET)
        )
    return steps


def judge(name: str, seed: int) -> dict[str, tuple[float, float, float, float, float]]:
    """Naive score, corrected one with its interval, and the truth, of each search in one world."""
    world = make_world(name, seed)
    predictions, true, folds = train(world, seed)
    session = Scored(predictions, world.y, folds)
    ended, _ = race(session, REPEATS)
    finals = [trial.candidate.trial for trial in ended if trial.stopped_after is None]
    racing = Racing(session, NoJournal(), SilentObserver(), "corrected-t", REPEATS)
    steps = steps_of(predictions, ended, racing.stages(RUNGS))
    whole = bias_corrected_cv_of_epochs("accuracy", world.y, predictions, n_bootstraps=300)
    last = bias_corrected_cv_of_epochs("accuracy", world.y, predictions[finals], n_bootstraps=300)
    raced = bias_corrected_race(
        "accuracy", world.y, predictions[finals], finals, steps, n_bootstraps=300
    )
    found = {}
    for search, said, trials in zip(
        SEARCHES, (whole, raced, last), (range(TRIALS), finals, finals), strict=True
    ):
        truth = 0.5 if name == "noise" else true[trials[said.trial], said.epoch]
        found[search] = (said.naive, said.estimate, said.low, said.high, float(truth))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=100)
    args = parser.parse_args()
    for name in WORLDS:
        found = []
        for seed in range(args.seeds):
            found.append(judge(name, seed))
            print(".", end="", flush=True, file=sys.stderr)
        print(file=sys.stderr)
        print(f"{name}, {args.seeds} data sets")
        for search in SEARCHES:
            naive, corrected, low, high, true = np.array([each[search] for each in found]).T
            off = 100 * (corrected - true)
            print(
                f"  {search:<24} true {true.mean():.1%}, naive {100 * (naive - true).mean():+.1f}, "
                f"corrected {off.mean():+.1f} +- {off.std() / np.sqrt(len(off)):.1f}, interval "
                f"holds the truth on {((low <= true) & (true <= high)).sum()} of {len(off)}"
            )


if __name__ == "__main__":
    main()
