"""Two trials on the same folds: what is computed, what is refused, and how it is shown."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from statsmodels.stats.multitest import multipletests

import hpsearch
from hpsearch.console.comparison import pair_view, selected_view
from hpsearch.errors import InputError, OptionError
from hpsearch.results import RunFolder, open_run
from hpsearch.results.comparing import compare, compare_trials, default_rope, holm
from hpsearch.results.tables import folds_table, trials_table
from hpsearch.stats import corrected_t_test, correlated_bayes_test

N_FOLDS = 4
SETTINGS = {
    "data": {"name": "visits", "fingerprint": "abc", "groups": None, "time": None},
    "split": "auto",
    "seed": 0,
    "folds": N_FOLDS,
    "gap": 0,
    "duplicates": "together",
    "test_size": None,
}


def scores(mean, n=2 * N_FOLDS, seed=0):
    return np.round(mean + 0.02 * np.random.default_rng(seed).normal(size=n), 4)


def trial_row(trial, values, direction, status):
    score = None if status == "failed" else float(np.mean(values))
    return {
        "trial": trial,
        "status": status,
        "score": score,
        "n_folds": len(values),
        "epochs": 20,
        "error": "ValueError: no" if status == "failed" else None,
    }


def fold_rows(trial, values, metric, n_train):
    for number, value in enumerate(values):
        yield {
            "trial": trial,
            "repeat": number // N_FOLDS,
            "fold": number % N_FOLDS,
            "n_train": n_train,
            "n_val": 10,
            f"val_{metric}": value,
        }


@pytest.fixture
def make_run(tmp_path):
    """Makes a finished run out of fold scores by trial."""

    def make_run(
        name, by_trial, *, metric="mae", direction="min", n_train=30, status=None, settings=None
    ):
        folder = RunFolder.create(tmp_path / name)
        folder.write_settings(SETTINGS | (settings or {}))
        status = dict.fromkeys(by_trial, "completed") | (status or {})
        rows = [trial_row(t, v, direction, status[t]) for t, v in by_trial.items()]
        folds = [row for t, v in by_trial.items() for row in fold_rows(t, v, metric, n_train)]
        trials = trials_table(rows, metrics=(), direction=direction)
        folder.write_tables(trials=trials, folds=folds_table(folds, metrics=(metric,)))
        best = {"trial": int(trials["trial"][0]), "metric": metric}
        folder.write_json("best.json", best)
        folder.release()
        return open_run(folder.path)

    return make_run


# -- what is computed


def test_the_selected_trials_of_two_runs_are_compared_on_all_folds(make_run):
    a, b = make_run("a", {3: scores(0.30)}), make_run("b", {7: scores(0.35, seed=1)})
    said = compare(a.path, b.path)
    assert (said.a.trial, said.b.trial) == (3, 7)
    assert (said.n_folds, said.n_repeats, said.notes) == (8, 2, ())
    assert said.test == corrected_t_test(scores(0.30), scores(0.35, seed=1), 30, 10)
    assert said.rope == pytest.approx(0.01 * (said.a.score + said.b.score) / 2)
    assert said.probability == correlated_bayes_test(
        scores(0.30), scores(0.35, seed=1), 30, 10, rope=said.rope, direction="min"
    )
    assert said.probability.better > 0.5 > said.probability.worse


def test_a_score_that_is_to_be_large_is_better_where_it_is_larger(make_run):
    options = {"metric": "accuracy", "direction": "max"}
    a, b = make_run("a", {0: scores(0.9)}, **options), make_run("b", {0: scores(0.8)}, **options)
    said = compare(a, b)
    assert said.rope == 0.01
    assert said.probability.better > 0.95
    assert compare(b, a).probability.worse == pytest.approx(said.probability.better)


def test_the_rope_may_be_given(make_run):
    a, b = make_run("a", {0: scores(0.30)}), make_run("b", {0: scores(0.31, seed=1)})
    assert compare(a, b, rope=0.5).probability.equal == pytest.approx(1.0)
    assert compare(a, b, rope=0.0).probability.equal == 0.0
    with pytest.raises(OptionError, match="`rope` must be 0 or above"):
        compare(a, b, rope=-1)
    with pytest.raises(OptionError, match="`rope` must be 0 or above; received nan"):
        compare_trials(a, rope=float("nan"))


def test_only_repeats_that_both_have_in_full_are_compared(make_run):
    a = make_run("a", {0: scores(0.30, n=3 * N_FOLDS)})
    b = make_run("b", {0: scores(0.31, n=N_FOLDS + 2)})
    said = compare(a, b)
    assert (said.n_folds, said.n_repeats) == (N_FOLDS, 1)
    assert said.test == corrected_t_test(
        scores(0.30, n=3 * N_FOLDS)[:4], scores(0.31, n=N_FOLDS + 2)[:4], 30, 10
    )
    assert said.notes == ("Only repeats that both have in full are compared: 1 of 3 and 2.",)


def test_two_trials_of_one_run_are_compared(make_run):
    run = make_run("a", {0: scores(0.3), 1: scores(0.2, seed=1), 2: scores(0.4, seed=2)})
    said = compare(run, run, trial_a=0, trial_b=2)
    assert (said.a.trial, said.b.trial) == (0, 2)


def test_a_stopped_trial_is_compared_on_the_folds_that_it_has_and_it_is_said(make_run):
    by_trial = {0: scores(0.3), 1: scores(0.4, n=N_FOLDS)}
    run = make_run("a", by_trial, status={1: "stopped"})
    said = compare(run, run, trial_a=0, trial_b=1)
    assert said.n_folds == N_FOLDS
    assert any(
        "Trial 1" in note and "stopped early, after 20 epochs" in note for note in said.notes
    )


def test_the_selected_trial_is_compared_with_each_other_completed_one(make_run):
    by_trial = {
        0: scores(0.4),
        1: scores(0.3, seed=1),
        2: scores(0.35, seed=2),
        3: [],
        4: [0.1, 0.2],
    }
    run = make_run("a", by_trial, status={3: "failed", 4: "stopped"})
    made = compare_trials(run)
    assert [(one.a.trial, one.b.trial) for one in made] == [(1, 2), (1, 0)]
    assert [one.p_holm for one in made] == holm([one.test.p_value for one in made])


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_corrects_as_statsmodels_does(p_values):
    np.testing.assert_allclose(holm(p_values), multipletests(p_values, method="holm")[1])


def test_no_comparison_is_corrected_to_nothing():
    assert holm([]) == []


def test_a_rope_belongs_to_the_metric():
    assert default_rope("roc_auc", 0.9, 0.7) == 0.01
    assert default_rope("log_loss", 0.2, 0.4) == pytest.approx(0.003)


# -- what is refused


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"data": SETTINGS["data"] | {"fingerprint": "abd"}}, "fingerprints of 'visits'"),
        ({"data": SETTINGS["data"] | {"groups": "patient"}}, "--groups None"),
        ({"split": "kfold"}, "--split auto"),
        ({"seed": 1}, "--seed 0"),
        ({"folds": 5}, "--folds 4"),
        ({"gap": 2}, "--gap 0"),
        ({"duplicates": "ignore"}, "--duplicates together"),
        ({"test_size": 0.2}, "--test-size None"),
    ],
)
def test_runs_of_other_folds_are_refused_in_one_line(changed, names, make_run):
    a, b = make_run("a", {0: scores(0.3)}), make_run("b", {0: scores(0.3)}, settings=changed)
    with pytest.raises(InputError, match=names) as refused:
        compare(a, b)
    assert "\n" not in str(refused.value)


def test_runs_of_another_metric_are_refused(make_run):
    a, b = make_run("a", {0: scores(0.3)}), make_run("b", {0: scores(0.3)}, metric="rmse")
    with pytest.raises(InputError, match="compared by one metric"):
        compare(a, b)


def test_folds_of_other_sizes_are_refused(make_run):
    a, b = make_run("a", {0: scores(0.3)}), make_run("b", {0: scores(0.3)}, n_train=31)
    with pytest.raises(InputError, match="other numbers of rows"):
        compare(a, b)


def test_trials_without_scores_are_refused(make_run):
    run = make_run("a", {0: scores(0.3), 1: []}, status={1: "failed"})
    with pytest.raises(InputError, match=r"trial 1 of .* failed"):
        compare(run, run, trial_b=1)
    with pytest.raises(InputError, match="has no trial 9"):
        compare(run, run, trial_b=9)


def test_a_trial_is_not_compared_with_itself(make_run):
    run = make_run("a", {0: scores(0.3)})
    with pytest.raises(InputError, match="Two different trials"):
        compare(run, run)


def test_a_single_fold_is_no_comparison(make_run):
    a, b = make_run("a", {0: [0.3]}), make_run("b", {0: [0.4]})
    with pytest.raises(InputError, match="at least two folds"):
        compare(a, b)


# -- how it is shown


def shown(view, width=80):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(view)
    return console.file.getvalue()


def test_a_pair_is_shown_with_both_tests(make_run):
    a, b = make_run("first", {3: scores(0.3)}), make_run("second", {7: scores(0.35, seed=1)})
    text = shown(pair_view(compare(a, b)))
    assert "first" in text
    assert "second" in text
    assert "8 folds of 2 repeats" in text
    assert "7 degrees of freedom" in text
    assert "mae (lower is better)" in text
    assert text.count(" %") >= 3


def test_the_others_are_listed_the_best_first_with_what_was_corrected(make_run):
    by_trial = {trial: scores(0.3 + trial / 50, seed=trial) for trial in range(5)}
    made = compare_trials(make_run("a", by_trial))
    text = shown(selected_view(made, n_trials=3))
    assert "and 1 more trial" in text
    assert "corrected for 4 comparisons (Holm)" in text
    assert "selected for its score" in text


def test_a_run_of_one_trial_has_nothing_to_compare(make_run):
    text = shown(selected_view(compare_trials(make_run("a", {0: scores(0.3)})), n_trials=10))
    assert "no other completed trial" in text


@pytest.mark.parametrize("width", [40, 80])
def test_comparisons_fit_the_terminal(width, make_run):
    by_trial = {trial: scores(0.3 + trial / 50, seed=trial) for trial in range(5)}
    run = make_run("a-run-with-a-long-name-" * 4, by_trial)
    views = [
        pair_view(compare(run, run, trial_b=4)),
        selected_view(compare_trials(run), n_trials=9),
    ]
    lines = [line for view in views for line in shown(view, width).splitlines()]
    assert max(map(len, lines)) <= width


# -- for real


def build(hp, problem):
    import keras

    layers = [
        keras.Input(problem.input_shape),
        keras.layers.Dense(hp.Choice("units", [1, 8]), "tanh"),
        keras.layers.Dense(problem.n_outputs, activation=problem.output_activation),
    ]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.SGD(0.05), problem.loss, run_eagerly=True)
    return model


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_two_searches_on_one_table_are_compared_by_the_public_api(train_here, tmp_path):
    rng = np.random.default_rng(0)
    data = hpsearch.load(rng.normal(size=(40, 2)), rng.normal(size=40))
    options = {"trials": 1, "folds": 2, "epochs": 2, "engine": "reference", "jobs": 1}
    with train_here():
        runs = [
            hpsearch.Search(
                build, **options, repeats=repeats, fix={"units": units}, out=tmp_path / f"{units}"
            ).run(data)
            for units, repeats in ((1, 1), (8, 2))
        ]
    said = hpsearch.compare(*runs)
    assert said.n_folds == 2
    assert said.a.score == pytest.approx(runs[0].best["score"])
    assert "1 of 1 and 2" in said.notes[0]
