"""What the oracles that learn make of scores."""

import importlib
import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.distance import pdist

from hpsearch.oracles import make_oracle, sample
from hpsearch.oracles._learning import LearningOracle, Lesson, Proposal, normal_scores
from hpsearch.oracles._unit import UnitSpace
from hpsearch.oracles.base import OraclePlan, Outcome

NEEDS_TORCH = pytest.mark.skipif(not find_spec("torch"), reason="needs hpsearch[gp]")
LEARNING = ["bayesian", "tpe", pytest.param("gp", marks=NEEDS_TORCH)]
N = 64


def declared():
    from keras_tuner import HyperParameters

    hp = HyperParameters()
    hp.Float("a", 0.0, 1.0)
    hp.Float("b", 1e-3, 1.0, sampling="log")
    hp.Choice("kind", ["x", "y", "z"])
    with hp.conditional_scope("kind", ["y"]):
        hp.Int("n", 1, 9)
    return hp


def learning(name, seed=0, hp=None):
    plan = OraclePlan(seed=seed, max_trials=N, epochs=100, direction="min")
    return make_oracle(name, hp or declared(), plan)


def cost_of(values):
    """Lowest at a = 0.3, b = 0.03, kind y and n = 4."""
    off = (values["a"] - 0.3) ** 2 + (np.log10(values["b"] / 0.03) / 3) ** 2
    return off + (0.3 if values["kind"] != "y" else ((values["n"] - 4) / 8) ** 2)


def tell(oracle, candidates, cost_of=cost_of, status="completed"):
    costs = [cost_of(candidate.values) for candidate in candidates]
    oracle.tell(
        [
            Outcome(candidate.trial, cost, "failed" if cost is None else status)
            for candidate, cost in zip(candidates, costs, strict=True)
        ]
    )


def after(oracle, n, **options):
    """The oracle, when it was told so many trials, a batch at a time."""
    for _ in range(n // 8):
        tell(oracle, oracle.ask(8), **options)
    return oracle


@pytest.mark.parametrize("name", LEARNING)
def test_the_first_batch_is_a_random_searchs(name):
    assert learning(name).ask(8) == sample(declared(), 8, seed=0)


@pytest.mark.parametrize("status", ["completed", "stopped"])
@pytest.mark.parametrize("name", LEARNING)
def test_it_finds_in_forty_trials_what_one_draw_of_two_hundred_finds(name, status):
    """Forty draws find it once in five times; trials that were stopped teach as well."""
    told = []

    def noted(values):
        told.append(cost_of(values))
        return told[-1]

    after(learning(name), 40, cost_of=noted, status=status)
    drawn = [cost_of(candidate.values) for candidate in sample(declared(), 2000, seed=0)]
    assert min(told) < np.quantile(drawn, 0.005)


@pytest.mark.parametrize("name", LEARNING)
def test_a_batch_keeps_apart_where_pending_candidates_would_not_count(name, monkeypatch):
    """keras-tuner's Bayesian oracle proposes eight candidates within 5 % of the range."""
    space = UnitSpace(declared())

    def batch(seed):
        asked = after(learning(name, seed), 24).ask(8)
        return space.features(np.stack([space.point(c.values) for c in asked]))

    seeds = range(1 if name == "gp" else 3)
    apart = np.mean([pdist(batch(seed)).min() for seed in seeds])
    monkeypatch.setattr(LearningOracle, "_pending", lambda self: [])
    naive = np.mean([pdist(batch(seed)).min() for seed in seeds])
    assert apart > 2 * naive
    assert apart > 0.05


@pytest.mark.parametrize("name", LEARNING)
def test_it_leaves_where_trials_fail(name):
    def fails_above(values):
        return None if values["a"] > 0.5 else cost_of(values)

    oracle = after(learning(name), 24, cost_of=fails_above)
    assert sum(candidate.values["a"] > 0.5 for candidate in oracle.ask(8)) <= 2


@pytest.mark.parametrize("name", ["bayesian", pytest.param("gp", marks=NEEDS_TORCH)])
def test_the_scale_of_the_scores_and_outliers_change_nothing(name):
    def diverged(values):
        return 1e30 if cost_of(values) > 0.5 else 1000 + 1e-6 * cost_of(values)

    def capped(values):
        return min(cost_of(values), 0.5)

    told = after(learning(name), 16, cost_of=diverged)
    assert told.ask(2) == after(learning(name), 16, cost_of=capped).ask(2)


@pytest.mark.parametrize("name", LEARNING)
def test_models_think_with_one_thread(name, monkeypatch):
    from threadpoolctl import threadpool_info

    module = importlib.import_module("hpsearch.oracles.bayesian")
    home = (module._Process, "lower_bound") if name == "bayesian" else (UnitSpace, "picked")
    threads, work = [], getattr(*home)

    def watched(*arguments):
        threads.extend(pool["num_threads"] for pool in threadpool_info())
        return work(*arguments)

    oracle = after(learning(name), 8)
    monkeypatch.setattr(*home, watched)
    oracle.ask(1)
    assert threads
    assert set(threads) == {1}


PROPOSALS = """
import json, sys
from keras_tuner import HyperParameters
from hpsearch.oracles import make_oracle
from hpsearch.oracles.base import OraclePlan, Outcome
hp = HyperParameters()
for name in ("a", "b", "c", "d"):
    hp.Choice(name, ["x", "y"])
    with hp.conditional_scope(name, ["y"]):
        hp.Float(f"{name} y", 0.0, 1.0)
oracle = make_oracle("tpe", hp, OraclePlan(seed=0, max_trials=99, epochs=9, direction="min"))
for _ in range(2):
    asked = oracle.ask(8)
    oracle.tell([Outcome(c.trial, float(c.trial % 5), "completed") for c in asked])
print(json.dumps([c.values for c in oracle.ask(4)]))
"""


def test_proposals_do_not_depend_on_how_python_hashes_names(capsys):
    """Optuna groups hyperparameters by sets of names."""
    seed = "1" if os.environ.get("PYTHONHASHSEED") == "0" else "0"
    other = subprocess.run(
        [sys.executable, "-c", PROPOSALS],
        env={**os.environ, "PYTHONHASHSEED": seed, "KERAS_BACKEND": "numpy"},
        capture_output=True,
        text=True,
        check=True,
    )
    exec(PROPOSALS, {})
    assert capsys.readouterr().out == other.stdout != ""


# -- what a Gaussian process sees


def lessons(*told):
    return [Lesson(Proposal({}), cost, status) for cost, status in told]


def test_scores_become_normal_by_their_ranks():
    scores = normal_scores(lessons(*((cost, "completed") for cost in (5.0, 1e9, -3.0))))
    assert_allclose(scores, [0.0, 0.967422, -0.967422], atol=1e-6)


def test_equal_scores_are_equal():
    scores = normal_scores(lessons(*[(0.5, "completed")] * 4))
    assert_allclose(scores, 0.0, atol=1e-12)


def test_failed_trials_rank_last_and_are_finite():
    scores = normal_scores(lessons((None, "failed"), (2.0, "completed"), (None, "failed")))
    assert scores[0] == scores[2] > scores[1]
    assert np.isfinite(scores).all()


def test_a_stopped_trial_has_its_score_but_never_leads():
    told = [(1.0, "completed"), (0.5, "stopped"), (1.5, "stopped"), (2.0, "completed")]
    best, lucky, other, worst = normal_scores(lessons(*told))
    assert best == lucky < other < worst


def test_a_stopped_trial_without_a_score_ranks_last():
    stopped, completed = normal_scores(lessons((None, "stopped"), (1.0, "completed")))
    assert stopped > completed
