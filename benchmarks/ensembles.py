"""What an ensemble scored on the rows that chose it, what is promised of it, and what is true.

    python benchmarks/ensembles.py            # 40 data sets of each kind, the files in docs/
    python benchmarks/ensembles.py --seeds 3 --out /tmp   # a first look

The data sets are those of ``selection_bias.py``, the candidates networks that learn epoch by epoch
as in ``race_bias.py``: 60 trials, 3 x 4 folds, 100 epochs, one search that trains every trial to
its end and one that races. From each search come the single network and the ensembles that
``--ensemble`` exports: of the winner's folds, of seeds, of the best 5 and the best 20 trials. All
go through what the ledger of a run goes through: trial, epoch and ensemble are chosen again in each
bootstrap sample, on the rows drawn, and scored on those left out. The truth is 50 % where labels
are independent of the features, else the accuracy on 20,000 new rows of the networks as they are
exported.

Needs the extra: ``pip install '.[bench]'``.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from race_bias import BRACKET, EPOCHS, RUNGS, TRIALS, Network, Scored, race, steps_of
from selection_bias import DOCS, FOLDS, REPEATS, WORLDS, Array, World, accuracy, make_world

from hpsearch import IteratedStratifiedKFold
from hpsearch.decisions.ensembles import Library, Repeats, Samples, affordable
from hpsearch.folds import Fold
from hpsearch.results.journal import NoJournal
from hpsearch.scoring.observer import SilentObserver
from hpsearch.search.racing import Racing
from hpsearch.stats import bias_corrected_cv_of_epochs, bias_corrected_race
from hpsearch.stats.bootstrap import Rows

SEARCHES = ("to the end", "race")
ENSEMBLES = ("single", "folds", "seeds", "5", "20")
N_BOOTSTRAPS = 300
MOST_SHARE = 1 / 3
"""Of the naive score's mean error that may be left in the promised one's."""


@dataclass(frozen=True)
class Outcome:
    """An ensemble of one search: its score by each estimate, and what is true.

    Attributes
    ----------
    gain, true_gain : by how much it is better than the single network, as it is said and in truth.
    """

    world: str
    seed: int
    search: str
    ensemble: str
    n_networks: int
    naive: float
    corrected: float
    low: float
    high: float
    true: float
    gain: float
    true_gain: float


@dataclass(frozen=True, eq=False)
class Trained:
    """A world's networks: what they predict out of fold, and of new rows.

    Attributes
    ----------
    predictions : (T, E, P, n).
    """

    world: World
    seed: int
    networks: list[Network]
    folds: list[Fold]
    predictions: Array

    @classmethod
    def of(cls, name: str, seed: int) -> Trained:
        world, rng = make_world(name, seed), np.random.default_rng([seed, 3])
        splits = IteratedStratifiedKFold(FOLDS, REPEATS, random_state=seed).split(world.x, world.y)
        folds = [Fold(*divmod(at, FOLDS), *sides) for at, sides in enumerate(splits)]
        networks = [Network.drawn(rng) for _ in range(TRIALS)]
        made = cls(world, seed, networks, folds, np.empty((TRIALS, EPOCHS, REPEATS, len(world.y))))
        for trial in range(TRIALS):
            for place, fold in enumerate(folds):
                said = made._curves(trial, place, fold.train, world.x[fold.validation])
                made.predictions[trial, :, fold.repeat, fold.validation] = said.T
        return made

    def of_fold(self, trial: int, epoch: int, place: int) -> Array:
        """What the network of a fold says of the new rows."""
        rows = self.folds[place].train
        return np.asarray(self._curves(trial, place, rows, self.world.x_test)[epoch])

    def on_all_rows(self, trial: int, epoch: int, number: int = 0) -> Array:
        """What a network that was trained on all rows says of the new rows."""
        every_row = np.arange(len(self.world.y))
        return np.asarray(self._curves(trial, -1 - number, every_row, self.world.x_test)[epoch])

    def _curves(self, trial: int, place: int, rows: NDArray[Any], x_new: Array) -> Array:
        """Each network begins at weights of its own."""
        rng = np.random.default_rng([self.seed, trial, place % 1000])
        x, y = self.world.x[rows], self.world.y[rows]
        return self.networks[trial].curves(x, y, x_new, rng)


def judge(name: str, seed: int) -> Iterator[Outcome]:
    """All ensembles of both searches in one world."""
    trained = Trained.of(name, seed)
    for search in SEARCHES:
        yield from _judged(name, trained, search)


def _judged(name: str, trained: Trained, search: str) -> Iterator[Outcome]:
    trials, steps = np.arange(TRIALS), []
    if search == "race":
        session = Scored(trained.predictions, trained.world.y, trained.folds)
        ended, _ = race(session, REPEATS)
        trials = np.array([t.candidate.trial for t in ended if t.stopped_after is None])
        racing = Racing(session, NoJournal(), SilentObserver(), "corrected-t", REPEATS)
        steps = steps_of(trained.predictions, ended, racing.stages(RUNGS))
    predictions = trained.predictions[trials]
    candidates = predictions.reshape(-1, *predictions.shape[2:])
    rows = Rows("accuracy", trained.world.y, "binary", None)
    heard: dict[str, Samples] = {"folds": Samples(rows, candidates, Repeats(candidates))}
    for size in (5, 20):
        library = Library(rows, predictions, "max", min(size, len(trials)))
        most, _ = affordable(size, rows.n_rows, REPEATS, "sums")
        heard[str(size)] = Samples(rows, candidates, library, most)

    def hear(counts: NDArray[np.int64], selected: NDArray[np.int64]) -> None:
        for samples in heard.values():
            samples(counts, selected)

    asked: dict[str, Any] = {"n_bootstraps": N_BOOTSTRAPS, "seed": trained.seed, "heard": hear}
    y = trained.world.y
    if steps:
        said = bias_corrected_race("accuracy", y, predictions, trials, steps, **asked)
    else:
        said = bias_corrected_cv_of_epochs("accuracy", y, predictions, **asked)
    assert said.epoch is not None
    winner, epoch = int(trials[said.trial]), said.epoch
    means = {
        "single": [(1.0, trained.on_all_rows(winner, epoch))],
        "folds": [(1.0, trained.of_fold(winner, epoch, p)) for p in range(len(trained.folds))],
        "seeds": [(1.0, trained.on_all_rows(winner, epoch, n)) for n in range(REPEATS)],
        **{size: _members(trained, trials, int(size)) for size in ("5", "20")},
    }
    true = {what: _true(name, trained.world, parts) for what, parts in means.items()}
    for what in ENSEMBLES:
        found = {
            "naive": said.naive, "value": said.estimate, "low": said.low, "high": said.high,
            "gain": 0.0,
        }  # fmt: skip
        if what != "single":
            samples = heard["folds" if what == "seeds" else what]
            found = samples.gain(said.trial * EPOCHS + epoch).estimate(said.estimate, "max")
        yield Outcome(
            name,
            trained.seed,
            search,
            what,
            n_networks=len(means[what]),
            naive=found["naive"],
            corrected=found["value"],
            low=found["low"],
            high=found["high"],
            true=true[what],
            gain=found["gain"],
            true_gain=true[what] - true["single"],
        )


def _members(trained: Trained, trials: NDArray[Any], size: int) -> list[tuple[float, Array]]:
    """The best trials at their best epochs, weighted on all rows, as they are exported."""
    rows = Rows("accuracy", trained.world.y, "binary", None)
    once = np.ones((1, rows.n_rows), dtype=np.int64)
    library = Library(rows, trained.predictions[trials], "max", min(size, len(trials)))
    members, times = library.chosen(once)
    return [
        (float(n), trained.on_all_rows(int(trials[member // EPOCHS]), int(member % EPOCHS)))
        for member, n in zip(members[0], times[0], strict=True)
        if n
    ]


def _true(name: str, world: World, parts: Sequence[tuple[float, Array]]) -> float:
    if name == "noise":
        return 0.5
    weights, predictions = zip(*parts, strict=True)
    return accuracy(world.y_test, np.average(predictions, axis=0, weights=weights))


def promises(outcomes: Sequence[Outcome]) -> list[tuple[str, bool]]:
    """Whether the promised score's mean error is below a third of the naive one's."""
    found = []
    for search in SEARCHES:
        for what in ENSEMBLES[1:]:
            for world in WORLDS:
                here = _of(outcomes, world, search, what)
                naive, corrected = (_error(here, each) for each in ("naive", "corrected"))
                share = abs(corrected / naive)
                text = f"{search}, {what}, {world}: {share:.2f} of the naive score's error is left"
                found.append((text, share < MOST_SHARE))
    return found


def _of(outcomes: Sequence[Outcome], world: str, search: str, what: str) -> list[Outcome]:
    return [o for o in outcomes if (o.world, o.search, o.ensemble) == (world, search, what)]


def _error(outcomes: Sequence[Outcome], estimate: str) -> float:
    return float(np.mean([getattr(o, estimate) - o.true for o in outcomes]))


def summary(outcomes: Sequence[Outcome]) -> str:
    """A line for each ensemble of each search in each world."""
    lines = []
    for world in WORLDS:
        for search in SEARCHES:
            lines.append(f"{world}, {search}")
            for what in ENSEMBLES:
                here = _of(outcomes, world, search, what)
                off = 100 * np.array([o.corrected - o.true for o in here])
                held = sum(o.low <= o.true <= o.high for o in here)
                said, truly = (
                    100 * np.mean([o.gain for o in here]),
                    100 * np.mean([o.true_gain for o in here]),
                )
                lines.append(
                    f"  {what:<7} true {np.mean([o.true for o in here]):.1%}, "
                    f"naive {100 * _error(here, 'naive'):+.1f}, "
                    f"promised {off.mean():+.1f} +- {off.std() / np.sqrt(len(off)):.1f}, interval "
                    f"holds on {held} of {len(off)}; gain said {said:+.1f}, true {truly:+.1f}, "
                    f"{np.mean([o.n_networks for o in here]):.1f} networks"
                )
    lines += [f"{'holds' if met else 'FAILS'}: {text}" for text, met in promises(outcomes)]
    return "\n".join(lines)


def write_table(outcomes: Sequence[Outcome], path: Path) -> None:
    """A row for each outcome."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = [
            {k: round(v, 6) if isinstance(v, float) else v for k, v in asdict(o).items()}
            for o in outcomes
        ]
        writer = csv.DictWriter(file, [each.name for each in fields(Outcome)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def draw(outcomes: Sequence[Outcome], path: Path) -> None:
    """A panel a world: of each ensemble, the mean errors of its naive and its promised score."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 4), sharey=True, layout="constrained")
    for axis, world in zip(axes, WORLDS, strict=True):
        at, ticks = 0, []
        for search in SEARCHES:
            for what in ENSEMBLES:
                here = _of(outcomes, world, search, what)
                for estimate, colour in (("naive", "#cc3311"), ("corrected", "#4477aa")):
                    off = 100 * np.array([getattr(o, estimate) - o.true for o in here])
                    error = 2 * off.std() / np.sqrt(len(off))
                    axis.errorbar(at, off.mean(), error, fmt="o", color=colour, capsize=3)
                ticks.append((at, what))
                at += 1
            at += 1
        axis.axhline(0, color="black", linewidth=0.8)
        axis.set_xticks(*zip(*ticks, strict=True))
        axis.set_title(f"{world}: every trial to the end (left), race (right)", fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel(
        "mean error, points of accuracy\n(red: naive, blue: promised; 2 standard errors)"
    )
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--out", type=Path, default=DOCS, help="folder of table and picture")
    args = parser.parse_args()
    start, outcomes = time.perf_counter(), []
    for name in WORLDS:
        for seed in range(args.first, args.first + args.seeds):
            outcomes += judge(name, seed)
            print(".", end="", flush=True, file=sys.stderr)
    print(file=sys.stderr)
    print(f"{args.seeds} data sets of each kind, {TRIALS} trials in brackets of {BRACKET}")
    print(summary(outcomes))
    print(f"{time.perf_counter() - start:.0f} s", file=sys.stderr)
    write_table(outcomes, args.out / "ensembles.csv")
    draw(outcomes, args.out / "ensembles.png")
    if not all(met for _, met in promises(outcomes)):
        sys.exit(1)


if __name__ == "__main__":
    main()
