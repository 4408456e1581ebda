"""How long an oracle takes to propose, and what it finds: ``python benchmarks/oracles.py``.

For each oracle: CPU seconds (it computes with one thread) for the first candidate of a batch and
for a whole batch of 8, when so many trials have been told; the smallest distance between two
candidates of that batch; and the best cost found on the way. The space is the shipped ``mlp``, the
cost a noisy quadratic of its unit box in which few hyperparameters matter. Nothing is trained.
"""

from __future__ import annotations

import argparse
import os
import time

os.environ["KERAS_BACKEND"] = "numpy"

import numpy as np
from scipy.spatial.distance import pdist

from hpsearch.oracles import make_oracle, oracle_names
from hpsearch.oracles._unit import UnitSpace
from hpsearch.oracles.base import OraclePlan, Outcome
from hpsearch.space.space import Space
from hpsearch.task import Problem

PROBLEM = Problem("binary", (10,), 1, "sigmoid", "binary_crossentropy", 1000, 100)


def measure(name: str, n_told: int, seed: int) -> dict[str, float]:
    """CPU seconds, the batch's smallest distance, and the best cost without its noise."""
    hp = Space.load("mlp").declared(PROBLEM, {})
    space, rng = UnitSpace(hp), np.random.default_rng(seed)
    weights, centre = rng.random(len(space.axes)) ** 4, rng.random(len(space.axes))

    def cost(values) -> float:
        return float((weights * (space.point(values) - centre) ** 2).sum())

    plan = OraclePlan(seed=seed, max_trials=n_told + 8, epochs=100, direction="min")
    oracle, costs = make_oracle(name, hp, plan), []
    while len(costs) < n_told:
        asked = oracle.ask(min(8, n_told - len(costs)))
        new = [cost(candidate.values) for candidate in asked]
        costs += new
        oracle.tell(
            [
                Outcome(candidate.trial, value + rng.normal(0.0, 0.02), "completed")
                for candidate, value in zip(asked, new, strict=True)
            ]
        )
    begin = time.process_time()
    batch = oracle.ask(1)
    first = time.process_time() - begin
    while len(batch) < 8:
        batch += oracle.ask(8 - len(batch))
    seconds = time.process_time() - begin
    points = space.features(np.stack([space.point(candidate.values) for candidate in batch]))
    return {"first": first, "batch": seconds, "apart": pdist(points).min(), "best": min(costs)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--oracles", nargs="+", default=oracle_names(), choices=oracle_names())
    parser.add_argument("--told", nargs="+", type=int, default=[24, 100, 300])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"{'oracle':10} {'told':>5} {'first s':>8} {'batch s':>8} {'apart':>7} {'best':>7}")
    for name in options.oracles:
        for n_told in options.told:
            found = measure(name, n_told, options.seed)
            print(
                f"{name:10} {n_told:5} {found['first']:8.3f} {found['batch']:8.3f} "
                f"{found['apart']:7.3f} {found['best']:7.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
