"""The benchmark of what searches select: its figures follow from its table by hand."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

FILE = Path(__file__).parents[1] / "benchmarks/search_quality.py"


@pytest.fixture(scope="module")
def quality():
    spec = importlib.util.spec_from_file_location("search_quality", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["search_quality"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["search_quality"]


@pytest.fixture
def row(quality):
    def row(table, seed, strategy, fresh, steps, metric="log_loss", spread=0.5, **others):
        numbers = {"score_cv": fresh, "score_full": fresh, "se_cv": 0.1, "se_fresh": 0.1, **others}
        counts = {"n_trials": 20, "n_stopped": 0, "best_epoch": 3}
        return quality.Row(
            table=table,
            seed=seed,
            strategy=strategy,
            metric=metric,
            score_fresh=fresh,
            spread=spread,
            replica_steps=steps,
            seconds=1.0,
            selected="{}",
            **numbers,
            **counts,
        )

    return row


def frame(rows):
    return pd.DataFrame([vars(row) for row in rows])


def test_regret_is_in_spreads_of_the_full_search(quality, row):
    rows = [row("iris", 0, "random", 0.3, 1000), row("iris", 0, "tpe", 0.2, 400, spread=9.0)]
    judged = quality.judged(frame(rows)).set_index("strategy")
    assert judged.regret.to_dict() == pytest.approx({"random": 0.2, "tpe": 0.0})
    assert judged["share"].to_dict() == pytest.approx({"random": 1.0, "tpe": 0.4})
    assert judged["rank"].to_dict() == {"random": 2.0, "tpe": 1.0}


def test_a_high_score_is_good_where_the_metric_says_so(quality, row):
    rows = [
        row("iris", 0, name, score, 1, "accuracy")
        for name, score in (("random", 0.9), ("tpe", 0.8))
    ]
    judged = quality.judged(frame(rows)).set_index("strategy")
    assert judged.regret.to_dict() == pytest.approx({"random": 0.0, "tpe": 0.2})


def test_tables_and_seeds_without_every_strategy_are_left_out(quality, row):
    rows = [row("iris", 0, "random", 0.3, 1), row("iris", 0, "tpe", 0.2, 1)]
    judged = quality.judged(frame([*rows, row("wine", 0, "random", 0.3, 1)]))
    assert set(judged.table) == {"iris"}


def test_errors_are_over_tables(quality, row):
    rows = [row("iris", seed, "random", 0.2, 1) for seed in range(2)]
    rows += [row("wine", seed, "random", 0.6, 1) for seed in range(2)]
    mean, se = quality.mean_and_se(frame(rows), "score_fresh")
    assert (mean, se) == pytest.approx((0.4, 0.2))


def test_an_early_end_is_compared_with_the_full_search_of_the_same_oracle(quality, row):
    rows = []
    for seed, full_score in enumerate((0.35, 0.45, 0.25)):  # one standard error is 0.1
        rows.append(row("iris", seed, "tpe", 0.3, 1))
        rows.append(row("iris", seed, "tpe, forgiving", 0.3, 1, score_full=full_score))
    table = frame(rows)
    assert quality.agreements(table, "tpe, forgiving") == (2, 3, 2)
    assert quality.agreements(table, "tpe") is None


def test_a_rung_takes_its_best_epoch_and_costs_its_own_epochs(quality):
    curve = [5.0, 1.0, 4.0, 3.0, *[6.0] * (quality.EPOCHS - 4)]
    trial = SimpleNamespace(
        score=1.0, seconds=float(quality.EPOCHS), curves=[{"val_mae": value} for value in curve]
    )
    arena = SimpleNamespace(
        sign=1.0,
        metric="mae",
        held_out=(0,),
        score=lambda candidates, positions: [trial] * len(candidates),
        steps=lambda trial, asked: 10 * quality.EPOCHS,
    )
    rungs = [quality.Rung(0, {}, 0, 2), quality.Rung(0, {}, 2, 6)]
    first, second = quality.train_rungs(arena, rungs)
    assert (first.epoch, first.score, first.steps) == (2, 1.0, 20)
    assert (second.epoch, second.score, second.steps) == (4, 3.0, 40)
    assert (first.seconds, second.seconds) == pytest.approx((2.0, 4.0))


def test_steps_are_those_of_the_folds_and_a_failed_trial_counts_whole(quality):
    arena = quality.Arena.__new__(quality.Arena)
    folds = [SimpleNamespace(train=range(n)) for n in (64, 65)]
    arena.session = SimpleNamespace(data=SimpleNamespace(folds=folds))
    rows = [{"epochs": 10, "n_train": 64}, {"epochs": 20, "n_train": 65}]
    assert arena.steps(SimpleNamespace(score=0.5, folds=rows), (0, 1)) == 10 * 2 + 20 * 3
    assert arena.steps(SimpleNamespace(score=None, folds=()), (0, 1)) == quality.EPOCHS * (2 + 3)


def test_a_promoted_trial_keeps_its_number(quality):
    def asked(name, parent=None):
        tuner = {"tuner/initial_epoch": 0, "tuner/epochs": 2, "tuner/round": 0}
        values = {"rate": 0.1, **tuner, **({"tuner/trial_id": parent} if parent else {})}
        return SimpleNamespace(trial_id=name, hyperparameters=SimpleNamespace(values=values))

    numbers = {}
    trials = [asked("a"), asked("b"), asked("c", parent="b"), asked("d", parent="c")]
    rungs = [quality.rung_of(trial, numbers) for trial in trials]
    assert [rung.number for rung in rungs] == [0, 1, 1, 1]
    assert rungs[0].values == {"rate": 0.1}


def test_what_the_table_holds_is_not_run_again(quality, row, tmp_path, monkeypatch):
    asked = []

    def run_arena(table, seed, chosen):
        asked.append((table, seed, [one.name for one in chosen]))
        return [row(table, seed, one.name, 0.1 + 0.2, 1) for one in chosen]

    monkeypatch.setattr(quality, "run_arena", run_arena)
    path = tmp_path / "quality.csv"
    random, one_trial = quality.Search("random"), quality.Search("random", trials=1)
    quality.run_missing(path, ["iris"], range(1), [random])
    quality.run_missing(path, ["iris"], range(2), [random, one_trial])
    assert asked == [
        ("iris", 0, ["random"]),
        ("iris", 0, ["defaults"]),
        ("iris", 1, ["random", "defaults"]),
    ]
    table = quality.read(path)
    assert len(table) == 4
    assert set(table.score_fresh) == {0.3}
