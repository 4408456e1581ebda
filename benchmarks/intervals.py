"""How often ranges and sets hold new rows, beside what was asked and what a run says of it.

    python benchmarks/intervals.py                      # 40 data sets a kind, the files in docs/
    python benchmarks/intervals.py --seeds 3 --out /tmp # a first look

Each data set is searched by hpsearch itself (6 configurations of a small network, 2 x 4 folds) and
has 20,000 new rows of the same kind, of new groups where rows are in groups. What is recorded is in
the run's ledger: the share that was held out of fold, of rows that took no part in the quantile,
and the share of new rows. A level counts as reached where the mean over the data sets is within two
points of it. Each search's rows are in the table as soon as it has ended, and what is there is not
done again.

Needs the extra: ``pip install '.[bench]'``.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import hpsearch
from hpsearch.engines.workers.fork_server import staying

DOCS = Path(__file__).parent.parent / "docs"
N_ROWS, N_NEW, N_FEATURES, ROWS_OF_A_GROUP = 200, 20_000, 5, 5
EFFECTS = np.array([1.0, -0.8, 0.6, 0.0, 0.0])
LEVELS = (0.8, 0.9, 0.95)
WITHIN = 0.02
"""How far a mean share may be from its level."""

Table = tuple[pd.DataFrame, dict[str, Any]]
"""Rows with their target, and options of ``load`` and ``Search``."""


@dataclass(frozen=True)
class Outcome:
    """What ranges or sets of one search held at a level."""

    world: str
    seed: int
    level: float
    out_of_fold: float
    se: float
    new_rows: float
    size: float


def features(rng: np.random.Generator, n: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Five features, and what three of them say together, not all of it linear."""
    x = rng.normal(size=(n, N_FEATURES))
    signal = x @ EFFECTS + 0.5 * x[:, 0] * x[:, 1]
    return pd.DataFrame(x, columns=[f"x{i}" for i in range(N_FEATURES)]), signal


def numbers(rng: np.random.Generator, n: int) -> Table:
    """Noise that is wider where the first feature is larger."""
    frame, signal = features(rng, n)
    noise = rng.normal(size=n) * np.exp(0.3 * frame["x0"])
    return frame.assign(y=signal + noise), {}


def skewed(rng: np.random.Generator, n: int) -> Table:
    """Values over some powers of ten, of which networks learn the logarithm."""
    frame, signal = features(rng, n)
    return frame.assign(y=np.exp(signal + 0.5 * rng.standard_t(5, n))), {"transform": "log"}


def groups(rng: np.random.Generator, n: int) -> Table:
    """Rows in groups of five that have a deviation in common."""
    frame, signal = features(rng, n)
    group = np.arange(n) // ROWS_OF_A_GROUP
    shared = rng.normal(size=group[-1] + 1)[group]
    return frame.assign(g=group, y=signal + shared + 0.5 * rng.normal(size=n)), {"groups": "g"}


def counts(rng: np.random.Generator, n: int) -> Table:
    """Poisson counts of mean 3 or so."""
    frame, signal = features(rng, n)
    return frame.assign(y=rng.poisson(np.exp(1.0 + 0.4 * signal))), {"task": "count"}


def two_classes(rng: np.random.Generator, n: int) -> Table:
    """Labels that the features decide in part."""
    frame, signal = features(rng, n)
    is_one = rng.random(n) < 1.0 / (1.0 + np.exp(-1.5 * signal))
    return frame.assign(y=np.where(is_one, "yes", "no")), {}


def four_classes(rng: np.random.Generator, n: int) -> Table:
    """Four labels in an order, with noise between neighbours."""
    frame, signal = features(rng, n)
    level = np.digitize(signal + rng.logistic(0.0, 0.5, n), [-1.5, 0.0, 1.5])
    return frame.assign(y=np.array(list("abcd"))[level]), {}


def quantiles(rng: np.random.Generator, n: int) -> Table:
    """The numbers of the first kind, of which networks learn two quantiles and the median."""
    frame, _ = numbers(rng, n)
    return frame, {"task": "quantile", "levels": (0.05, 0.5, 0.95)}


WORLDS: dict[str, Callable[[np.random.Generator, int], Table]] = {
    "numbers": numbers,
    "numbers, log": skewed,
    "groups": groups,
    "counts": counts,
    "two classes": two_classes,
    "four classes": four_classes,
    "quantiles": quantiles,
}


def build(hp: Any, problem: Any) -> Any:
    """A small network; all candidates are of one structure, so that one program trains them."""
    import keras

    rate = hp.Float("rate", 0.003, 0.03, sampling="log")
    drop = hp.Float("dropout", 0.0, 0.3)
    layers = [
        keras.Input(problem.input_shape),
        keras.layers.Dense(16, "relu"),
        keras.layers.Dropout(drop),
        keras.layers.Dense(problem.n_outputs, activation=problem.output_activation),
    ]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Adam(rate), problem.loss)
    return model


def judge(world: str, seed: int) -> Iterator[Outcome]:
    """Search a data set, and read what its ranges or sets held."""
    rng = np.random.default_rng([list(WORLDS).index(world), seed])
    frame, options = WORLDS[world](rng, N_ROWS)
    new, _ = WORLDS[world](rng, N_NEW)
    reading = {name: options.pop(name) for name in ("groups", "task", "levels") if name in options}
    if "groups" in reading:
        new["g"] += frame["g"].max() + 1
    data = hpsearch.load(frame, target="y", **reading)
    with tempfile.TemporaryDirectory() as folder:
        search = hpsearch.Search(
            build,
            trials=6,
            repeats=2,
            folds=4,
            epochs=60,
            race="off",
            baselines=False,
            reports=False,
            quiet=True,
            seed=seed,
            test_data=new,
            out=Path(folder) / "run",
            **options,
        )
        run = search.run(data)
        found = run.ledger.decided.intervals
    for level in LEVELS:
        [at] = found.at(level)
        yield Outcome(world, seed, level, at.share, at.se, at.test, at.size)


def simulate(n_seeds: int, path: Path) -> list[Outcome]:
    """All outcomes; those that the table holds are read from there."""
    found = read_table(path)
    done = {(each.world, each.seed) for each in found}
    with staying():
        for seed in range(n_seeds):
            for world in WORLDS:
                if (world, seed) not in done:
                    found += judge(world, seed)
                    write_table(found, path)
                    print(f"{world} {seed}", file=sys.stderr, flush=True)
    return [each for each in found if each.seed < n_seeds]


def summary(outcomes: list[Outcome]) -> tuple[str, bool]:
    """A Markdown table of means, and whether all are within two points."""
    lines = [
        "| data | asked | new rows held | standard error | a run says | size |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    is_reached = True
    for world in WORLDS:
        for level in LEVELS:
            here = [o for o in outcomes if o.world == world and o.level == level]
            held = np.array([o.new_rows for o in here])
            se = held.std(ddof=1) / np.sqrt(len(held)) if len(held) > 1 else np.nan
            said = np.mean([o.out_of_fold for o in here])
            size = np.mean([o.size for o in here])
            is_reached &= abs(held.mean() - level) <= WITHIN
            shown = (f"{level:.0%}", f"{held.mean():.1%}", f"{se:.1%}", f"{said:.1%}")
            lines.append(f"| {world} | {' | '.join(shown)} | {size:.2f} |")
    return "\n".join(lines), bool(is_reached)


def write_table(outcomes: list[Outcome], path: Path) -> None:
    """The outcomes as CSV."""
    ordered = sorted(outcomes, key=lambda o: (list(WORLDS).index(o.world), o.seed, o.level))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Outcome)], lineterminator="\n")
        writer.writeheader()
        for outcome in ordered:
            row = asdict(outcome)
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})


def read_table(path: Path) -> list[Outcome]:
    """The outcomes that a table holds; none where there is none."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Outcome(row.pop("world"), int(row.pop("seed")), **{k: float(v) for k, v in row.items()})
            for row in csv.DictReader(file)
        ]


def draw(outcomes: list[Outcome], path: Path) -> None:
    """New rows held by each search's ranges or sets, level by level."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, len(WORLDS), figsize=(14, 4.2), sharey=True, layout="constrained"
    )
    for axis, world in zip(axes, WORLDS, strict=True):
        for at, level in enumerate(LEVELS):
            held = np.array([o.new_rows for o in outcomes if (o.world, o.level) == (world, level)])
            places = at + np.linspace(-0.25, 0.25, len(held))
            axis.hlines(level, at - 0.4, at + 0.4, color="black", linewidth=1)
            axis.plot(places, np.sort(held), "o", color="#4477aa", markersize=3, alpha=0.7)
            axis.plot(at, held.mean(), "D", color="#cc3311", markersize=6)
        axis.set_title(world, fontsize=10)
        axis.set_xticks(range(len(LEVELS)), [f"{level:.0%}" for level in LEVELS])
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("share of 20,000 new rows that was held")
    figure.supxlabel("asked (lines); each search (dots) and their mean (diamonds)", fontsize=10)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--out", type=Path, default=DOCS, help="folder of table and picture")
    asked = parser.parse_args()
    start = time.perf_counter()
    outcomes = simulate(asked.seeds, asked.out / "intervals.csv")
    said, is_reached = summary(outcomes)
    print(said)
    print(f"all within {WITHIN:.0%} of what was asked: {'yes' if is_reached else 'NO'}")
    print(f"{time.perf_counter() - start:.0f} s", file=sys.stderr)
    draw(outcomes, asked.out / "intervals.png")
    sys.exit(0 if is_reached else 1)


if __name__ == "__main__":
    main()
