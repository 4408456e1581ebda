"""Races that are run again on bootstrap samples: against a loop that does it row by row."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hpsearch.errors import OptionError
from hpsearch.metrics import METRICS, score
from hpsearch.stats import RaceStep, bias_corrected_cv_of_epochs, bias_corrected_race

N_EPOCHS, N_REPEATS = 6, 2
STEPS = ((2, 1), (4, 1), (6, 1))  # epochs and repeats: two rungs, and a repeat
N_KEPT = {12: (5, 3, 2), 27: (9, 5, 3)}
NAN = float("nan")


def curves(seed, n_trials=12, n=60, shared=0.5):
    """Truth, and predictions (T, E, P, n) that know a little more after each epoch.

    ``shared`` is how much of what a trial says by chance it says in every epoch and repeat.
    """
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    skill = np.linspace(0.2, 1, N_EPOCHS)[:, None, None] * rng.uniform(0, 0.3, (n_trials, 1, 1, 1))
    same = rng.random((n_trials, 1, 1, n))
    chance = rng.random((n_trials, N_EPOCHS, N_REPEATS, n))
    chance = np.where(rng.random(chance.shape) < shared, same, chance)
    return y, skill * y + (1 - skill) * chance


def sign_of(metric):
    return 1 if METRICS[metric].direction == "min" else -1


def raced(metric, y, p, n_kept=None):
    """The trials that are there before each step of a race on all rows, and after the last one."""
    n_kept = n_kept or N_KEPT[len(p)]
    running = [list(range(len(p)))]
    for (epochs, repeats), n in zip(STEPS, n_kept, strict=True):
        of_now = p[running[-1], :epochs, :repeats]
        losses = (sign_of(metric) * score(metric, y, of_now).mean(axis=2)).min(axis=1)
        best = np.argsort(losses, kind="stable")[:n]
        running.append(sorted(running[-1][i] for i in best))
    return running


def steps_of(p, running, bracket=0):
    """What each step holds."""
    return [
        RaceStep(
            np.array(now),
            p[now][:, :epochs, :repeats],
            np.isin(now, after),
            np.full(len(now), bracket),
        )
        for (epochs, repeats), now, after in zip(STEPS, running[:-1], running[1:], strict=True)
    ]


def corrected(metric, y, p, running, **options):
    finals = p[running[-1]]
    return bias_corrected_race(metric, y, finals, running[-1], steps_of(p, running), **options)


def row_by_row(metric, y, p, running, n_bootstraps):
    """The same in plain loops over samples that are made; out-of-bag scores."""
    sign, n = sign_of(metric), len(y)
    samples = np.random.default_rng(0).integers(0, n, (n_bootstraps, n))
    shapes = [*STEPS, (N_EPOCHS, N_REPEATS)]

    def scores(predictions, rows):
        return score(metric, y[rows], predictions[..., rows]).mean(axis=-1)

    def at_best(predictions):
        on_all = scores(predictions, np.arange(n))
        best, every = (sign * on_all).argmin(axis=1), np.arange(len(on_all))
        return predictions[every, best], on_all[every, best]

    slopes = []
    for (here, there), both in zip(itertools.pairwise(shapes), running[1:], strict=True):
        x, z = [], []
        for drawn in samples[:200]:
            for found, (epochs, repeats) in ((x, here), (z, there)):
                of_best, on_all = at_best(p[both][:, :epochs, :repeats])
                deviations = scores(of_best, drawn) - on_all
                found.extend(deviations - deviations.mean())
        slopes.append(max(0.0, np.dot(x, z) / np.dot(x, x)))

    outside = []
    for drawn in samples:
        left = np.setdiff1d(np.arange(n), drawn)
        moved = dict.fromkeys(range(len(p)), (0.0, 0.0))
        for (epochs, repeats), slope, now, after in zip(
            STEPS, slopes, running[:-1], running[1:], strict=True
        ):
            own, here = {}, {}
            for trial in now:
                of_now = p[trial, :epochs, :repeats]
                best = (sign * scores(of_now, drawn)).argmin()
                own[trial] = scores(of_now[best], drawn), scores(of_now[best], left)
                here[trial] = tuple(a + b for a, b in zip(own[trial], moved[trial], strict=True))
            chosen = sorted(now, key=lambda t: (sign * here[t][0], t))[: len(after)]
            new = [trial for trial in now if trial in chosen and trial not in after]
            gone = [trial for trial in now if trial in after and trial not in chosen]
            owner = dict(zip(gone, new, strict=True))
            moved = {
                trial: tuple(
                    slope * (a - b)
                    for a, b in zip(here[owner.get(trial, trial)], own[trial], strict=True)
                )
                for trial in after
            }
        finals = sign * (
            scores(p[running[-1]], drawn) + np.array([[moved[t][0]] for t in running[-1]])
        )
        at, epoch = np.unravel_index(finals.argmin(), finals.shape)
        winner = running[-1][at]
        outside.append(scores(p[winner, epoch], left) + moved[winner][1])
    return np.array(outside)


@pytest.mark.parametrize("metric", ["accuracy", "log_loss", "roc_auc"])
def test_every_sample_runs_every_step_again(metric):
    y, p = curves(1)
    running = raced(metric, y, p)
    said = corrected(metric, y, p, running, n_bootstraps=150)
    expected = row_by_row(metric, y, p, running, 150)
    limits = np.quantile(expected, [0.025, 0.975])
    assert_allclose([said.estimate, said.low, said.high], [expected.mean(), *limits], rtol=1e-9)
    last_choice = bias_corrected_cv_of_epochs(metric, y, p[running[-1]], n_bootstraps=150)
    assert (said.trial, said.epoch, said.naive) == (
        last_choice.trial,
        last_choice.epoch,
        last_choice.naive,
    )
    assert sign_of(metric) * (said.estimate - last_choice.estimate) > 0


def test_where_nobody_ended_early_it_is_the_usual_correction():
    y, p = curves(3)
    said = bias_corrected_race("log_loss", y, p, range(12), [], n_bootstraps=100)
    usual = bias_corrected_cv_of_epochs("log_loss", y, p, n_bootstraps=100)
    assert (said.estimate, said.low, said.high) == (usual.estimate, usual.low, usual.high)
    everyone = [list(range(12))] * 4
    again = corrected("log_loss", y, p, everyone, n_bootstraps=100)
    assert (again.estimate, again.low) == (usual.estimate, usual.low)
    assert_allclose(again.shares, usual.shares)


@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_of_trials_that_guess_little_is_left_however_alike_their_predictions_are(shared):
    left, of_last_choice = [], []
    for seed in range(30):
        y, p = curves(seed, n_trials=27, n=200, shared=shared)
        y = np.random.default_rng(1000 + seed).permutation(np.arange(200) % 2)
        running, options = raced("accuracy", y, p), {"n_bootstraps": 60}
        left.append(corrected("accuracy", y, p, running, **options).estimate - 0.5)
        of_last_choice.append(
            bias_corrected_cv_of_epochs("accuracy", y, p[running[-1]], **options).estimate - 0.5
        )
    assert abs(np.mean(left)) < 0.01
    assert np.mean(of_last_choice) > 0.012 + np.mean(left)


def test_where_later_predictions_are_those_of_before_it_is_as_if_nobody_had_been_stopped():
    """Who would have gone on is scored by what it predicted: nothing is lost."""
    found = []
    for seed in range(20):
        y, p = curves(seed, n_trials=27, n=100, shared=1.0)
        p = np.repeat(np.repeat(p[:, :1, :1], N_EPOCHS, axis=1), N_REPEATS, axis=2)
        running, options = raced("brier", y, p), {"n_bootstraps": 80}
        said = corrected("brier", y, p, running, **options)
        whole = bias_corrected_cv_of_epochs("brier", y, p, **options)
        found.append((said.estimate, said.low, said.high, whole.estimate, whole.low, whole.high))
    *ours, estimate, low, high = np.array(found).T
    for mine, theirs in zip(ours, (estimate, low, high), strict=True):
        assert_allclose(mine, theirs, rtol=1e-9)


def test_brackets_have_survivors_of_their_own():
    y, p = curves(4, n_trials=24)
    first = raced("brier", y, p[:12], (5, 3, 2))
    second = [[12 + trial for trial in now] for now in raced("brier", y, p[12:], (12, 12, 2))]
    steps = [
        RaceStep(
            np.concatenate([one.trials, other.trials]),
            np.concatenate([one.predictions, other.predictions]),
            np.concatenate([one.went_on, other.went_on]),
            np.concatenate([one.brackets, other.brackets]),
        )
        for one, other in zip(steps_of(p, first, 0), steps_of(p, second, 1), strict=True)
    ]
    finals = [*first[-1], *second[-1]]
    for at, is_touched in ((0, True), (2, False)):  # nobody of the second ended at the first rung

        def always(losses, at=at):
            return np.full(len(losses), at * N_EPOCHS)

        plain, of_rung = (
            bias_corrected_race("brier", y, p[finals], finals, of, rule=always, n_bootstraps=40)
            for of in ([], steps[:1])
        )
        assert (plain.estimate != of_rung.estimate) == is_touched


def test_repeats_may_validate_other_rows_as_hold_outs_do():
    """Rungs are in the first hold-out: its rows come first."""
    y, p = curves(5, n=80)
    best = np.sort(np.argsort(score("brier", y[:50], p[:, 0, 0, :50]), kind="stable")[:4])
    every = np.arange(12)
    step = RaceStep(every, p[:, :1, :1, :50], np.isin(every, best), np.zeros(12, dtype=np.int64))
    said, usual = (
        bias_corrected_race("brier", y, p[best][:, :, :1], best, steps, n_bootstraps=60)
        for steps in ([step], [])
    )
    assert said.estimate > usual.estimate


def test_one_finalist_is_corrected_too():
    y, p = curves(6)
    running = raced("accuracy", y, p, (5, 3, 1))
    said = corrected("accuracy", y, p, running, n_bootstraps=60)
    usual = bias_corrected_cv_of_epochs("accuracy", y, p[running[-1]], n_bootstraps=60)
    assert said.estimate < usual.estimate


def test_epochs_that_a_trial_did_not_train_are_never_its_best():
    y, p = curves(7)
    running = raced("log_loss", y, p)
    padded = [
        RaceStep(
            step.trials,
            np.concatenate([step.predictions, np.full_like(step.predictions[:, :1], NAN)], axis=1),
            step.went_on,
            step.brackets,
        )
        for step in steps_of(p, running)
    ]
    said = corrected("log_loss", y, p, running, n_bootstraps=40)
    again = bias_corrected_race("log_loss", y, p[running[-1]], running[-1], padded, n_bootstraps=40)
    assert said.estimate == again.estimate


def test_samples_on_which_the_metric_is_not_defined_are_counted():
    y, p = np.array([0] * 18 + [1] * 2), curves(8, n=20)[1]
    said = corrected("roc_auc", y, p, raced("accuracy", y, p), n_bootstraps=50)
    assert 0 < said.n_skipped < 50
    assert np.isfinite(said.estimate)


def test_options_without_a_meaning_are_refused():
    y, p = curves(9)
    with pytest.raises(OptionError, match="`n_bootstraps` must be at least 1"):
        bias_corrected_race("accuracy", y, p, range(12), [], n_bootstraps=0)
    with pytest.raises(ValueError, match="`y_pred` must be"):
        bias_corrected_race("accuracy", y, p[:, 0], range(12), [])


def test_a_row_of_weight_k_is_a_block_of_k_copies():
    y, p = curves(3)
    times = np.random.default_rng(0).integers(1, 4, len(y))
    running = raced("log_loss", y, p)
    copied_y, copied_p, rows = (
        np.repeat(array, times, axis=-1) for array in (y, p, np.arange(len(y)))
    )
    weighted = corrected("log_loss", y, p, running, weights=times, n_bootstraps=60)
    copied = corrected("log_loss", copied_y, copied_p, running, blocks=rows, n_bootstraps=60)
    assert_allclose(
        [weighted.estimate, weighted.low, weighted.naive],
        [copied.estimate, copied.low, copied.naive],
        rtol=1e-9,
    )
