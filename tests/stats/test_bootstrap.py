"""Bootstraps of rows: against loops that draw the rows, and against scipy."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats as scipy_stats
from sklearn import metrics as sk

from hpsearch.errors import OptionError
from hpsearch.metrics import METRICS, score
from hpsearch.stats import (
    bias_corrected_cv,
    bias_corrected_cv_of_epochs,
    bootstrap,
    bootstrap_interval,
)

NAN = float("nan")


def noise(seed, n_trials=8, n_repeats=2, n=60):
    """Truth, and predictions that know a little of it."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    skill = rng.uniform(0, 0.3, (n_trials, 1, 1))
    return y, skill * y + (1 - skill) * rng.random((n_trials, n_repeats, n))


def row_by_row(metric, y, predictions, blocks=None, n_bootstraps=1000, seed=0, kind=None):
    """BBC-CV as the paper writes it: draw rows, select, score what is left. Slow and plain."""
    blocks = np.arange(len(y)) if blocks is None else blocks
    rows_of = [np.flatnonzero(blocks == block) for block in np.unique(blocks)]
    sign = 1 if METRICS[metric].direction == "max" else -1
    rng, outside = np.random.default_rng(seed), []
    for drawn in rng.integers(0, len(rows_of), (n_bootstraps, len(rows_of))):
        inside = np.concatenate([rows_of[block] for block in drawn])
        left = np.setdiff1d(np.arange(len(y)), inside)
        if not len(left):
            continue
        mean_scores = score(metric, y[inside], predictions[:, :, inside], kind=kind).mean(axis=1)
        if np.isnan(mean_scores).any():
            continue
        best = np.argmax(sign * mean_scores)
        outside.append(score(metric, y[left], predictions[best][:, left], kind=kind).mean())
    outside = np.array(outside)
    return outside[np.isfinite(outside)]


@pytest.mark.parametrize("metric", ["accuracy", "log_loss", "brier", "f1", "roc_auc"])
def test_the_correction_is_the_papers_algorithm(metric):
    y, p = noise(1)
    said = bias_corrected_cv(metric, y, p, n_bootstraps=200)
    expected = row_by_row(metric, y, p, n_bootstraps=200)
    limits = np.quantile(expected, [0.025, 0.975])
    assert_allclose([said.estimate, said.low, said.high], [expected.mean(), *limits], rtol=1e-9)
    on_all = score(metric, y, p).mean(axis=1)
    sign = 1 if METRICS[metric].direction == "max" else -1
    assert said.trial == np.argmax(sign * on_all)
    assert_allclose(said.naive, on_all[said.trial])
    assert (said.n_bootstraps, said.n_skipped, said.epoch) == (200, 0, None)


@pytest.mark.parametrize("metric", ["mae", "rmse", "r2"])
def test_a_regression_is_corrected_alike(metric):
    rng = np.random.default_rng(4)
    y = rng.normal(size=50)
    p = y + rng.normal(size=(5, 2, 50))
    said = bias_corrected_cv(metric, y, p, n_bootstraps=150)
    expected = row_by_row(metric, y, p, n_bootstraps=150, kind="regression")
    assert_allclose(said.estimate, expected.mean(), rtol=1e-9)


def test_predictions_of_several_classes_are_corrected():
    rng = np.random.default_rng(5)
    y, p = rng.integers(0, 3, 80), rng.dirichlet(np.ones(3), (6, 2, 80))
    said = bias_corrected_cv("accuracy", y, p, n_bootstraps=300)
    assert said.naive == score("accuracy", y, p).mean(axis=1).max()
    assert said.estimate < said.naive


def test_a_function_is_a_metric_too():
    y, p = noise(1, n_trials=3)
    named = bias_corrected_cv("brier", y, p, n_bootstraps=60)
    given = bias_corrected_cv(
        lambda truth, said: np.mean((said - truth) ** 2), y, p, direction="min", n_bootstraps=60
    )
    assert_allclose([given.estimate, given.low], [named.estimate, named.low], rtol=1e-9)
    assert given.trial == named.trial


def test_rows_of_a_block_are_drawn_together():
    y, p = noise(2, n=40)
    blocks = np.array([f"patient {row // 4}" for row in range(40)])
    said = bias_corrected_cv("accuracy", y, p, blocks=blocks, n_bootstraps=200)
    expected = row_by_row("accuracy", y, p, blocks=np.arange(40) // 4, n_bootstraps=200)
    assert_allclose(said.estimate, expected.mean(), rtol=1e-9)
    assert said.n_bootstraps == len(expected)


def test_copied_rows_that_are_a_block_weigh_as_much_as_once():
    y, p = noise(3, n=50)
    once = bias_corrected_cv("accuracy", y, p, n_bootstraps=100)
    twice = bias_corrected_cv(
        "accuracy", np.tile(y, 2), np.tile(p, 2), blocks=np.tile(np.arange(50), 2), n_bootstraps=100
    )
    assert_allclose(
        [twice.estimate, twice.low, twice.high], [once.estimate, once.low, once.high], rtol=1e-12
    )


@pytest.mark.parametrize("metric", ["accuracy", "log_loss", "f1", "roc_auc"])
def test_a_row_of_weight_k_is_a_block_of_k_copies(metric):
    y, p = noise(3, n=50)
    times = np.random.default_rng(0).integers(1, 4, 50)
    weighted = bias_corrected_cv(metric, y, p, weights=times, n_bootstraps=100)
    copies = [np.repeat(array, times, axis=-1) for array in (y, p, np.arange(50))]
    copied = bias_corrected_cv(metric, *copies[:2], blocks=copies[2], n_bootstraps=100)
    for name in ("estimate", "low", "high", "naive"):
        assert_allclose(getattr(weighted, name), getattr(copied, name), rtol=1e-10)
    assert weighted.trial == copied.trial
    of_test = bootstrap_interval(metric, y, p[0, 0], weights=times, n_bootstraps=100)
    of_copies = bootstrap_interval(
        metric, copies[0], copies[1][0, 0], blocks=copies[2], n_bootstraps=100
    )
    assert_allclose([of_test.score, of_test.low], [of_copies.score, of_copies.low], rtol=1e-10)


def test_equal_weights_change_no_bit():
    y, p = noise(1)
    for metric in ("log_loss", "roc_auc"):
        plain = bias_corrected_cv(metric, y, p, n_bootstraps=50)
        equal = bias_corrected_cv(metric, y, p, weights=np.full(60, 0.1), n_bootstraps=50)
        assert (equal.estimate, equal.low, equal.naive) == (plain.estimate, plain.low, plain.naive)


def test_guesses_of_rows_that_weigh_are_corrected_to_chance():
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        y, p, weights = rng.integers(0, 2, 150), rng.random((20, 1, 150)), rng.exponential(size=150)
        said = bias_corrected_cv("accuracy", y, p, weights=weights, n_bootstraps=100)
        found.append((said.naive, said.estimate))
    naive, corrected = np.mean(found, axis=0)
    assert naive > 0.58
    assert abs(corrected - 0.5) < 0.02


def test_a_function_gets_what_rows_weigh():
    y, p = noise(1, n_trials=3)
    weights = np.random.default_rng(0).uniform(0.0, 3.0, 60)

    def brier(truth, said, sample_weight):
        return sk.brier_score_loss(truth, said, sample_weight=sample_weight)

    options = {"weights": weights, "n_bootstraps": 40}
    given = bias_corrected_cv(brier, y, p, direction="min", **options)
    named = bias_corrected_cv("brier", y, p, **options)
    assert_allclose([given.estimate, given.naive], [named.estimate, named.naive], rtol=1e-9)


def test_epochs_are_selected_as_candidates_of_their_own():
    rng = np.random.default_rng(6)
    y, p = rng.integers(0, 2, 60), rng.random((3, 5, 2, 60))
    said = bias_corrected_cv_of_epochs("log_loss", y, p, n_bootstraps=100)
    flat = bias_corrected_cv("log_loss", y, p.reshape(15, 2, 60), n_bootstraps=100)
    assert_allclose([said.estimate, said.naive], [flat.estimate, flat.naive])
    assert (said.trial, said.epoch) == divmod(flat.trial, 5)
    assert_allclose(said.shares, flat.shares.reshape(3, 5).sum(axis=1))


def test_epochs_that_a_trial_did_not_train_are_never_selected():
    rng = np.random.default_rng(6)
    y, p = rng.integers(0, 2, 60), rng.random((2, 4, 1, 60))
    p[1] = y + 0.3 * (0.5 - y)
    p[1, 2:] = NAN
    said = bias_corrected_cv_of_epochs("log_loss", y, p, n_bootstraps=50)
    assert (said.trial, said.epoch) == (1, 0)
    assert_array_equal(said.shares, [0, 1])


def test_selecting_the_epoch_too_takes_more_off():
    rng = np.random.default_rng(7)
    y, p = rng.integers(0, 2, 200), rng.random((20, 30, 1, 200))
    last = bias_corrected_cv("accuracy", y, p[:, -1])
    every = bias_corrected_cv_of_epochs("accuracy", y, p)
    assert every.naive > last.naive
    assert every.naive - every.estimate > last.naive - last.estimate


def test_the_best_of_many_guesses_is_corrected_to_a_guess():
    rng = np.random.default_rng(8)
    naive, corrected, covered = [], [], 0
    for seed in range(10):
        y, p = rng.integers(0, 2, 200), rng.random((60, 1, 200))
        said = bias_corrected_cv("accuracy", y, p, n_bootstraps=500, seed=seed)
        naive.append(said.naive)
        corrected.append(said.estimate)
        covered += said.low <= 0.5 <= said.high
    assert np.mean(naive) > 0.56
    assert abs(np.mean(corrected) - 0.5) < 0.02
    assert covered >= 9


def test_who_listens_hears_of_every_sample_and_what_it_selects():
    rng = np.random.default_rng(2)
    y, guesses = rng.integers(0, 2, 60), rng.random((5, 3, 1, 60))
    heard = []
    said = bias_corrected_cv_of_epochs(
        "accuracy", y, guesses, n_bootstraps=50, heard=lambda *sample: heard.append(sample)
    )
    counts, selected = (np.concatenate(parts) for parts in zip(*heard, strict=True))
    assert counts.shape == (50, 60)
    assert (counts.sum(axis=1) == 60).all()
    shares = np.bincount(selected // 3, minlength=5) / 50
    np.testing.assert_allclose(shares, said.shares)
    right = (guesses.reshape(15, 60)[selected] >= 0.5) == y
    outside = [r[c == 0].mean() for r, c in zip(right, counts, strict=True)]
    assert np.mean(outside) == pytest.approx(said.estimate)


def test_a_sample_that_selects_nothing_is_told_so():
    y, guesses = np.array([1, 1, 0, 0]), np.array([[[0.9, 0.4, 0.2, 0.5]]])
    heard = []
    bias_corrected_cv(
        "roc_auc", y, guesses, n_bootstraps=60, heard=lambda *sample: heard.append(sample)
    )
    counts, selected = (np.concatenate(parts) for parts in zip(*heard, strict=True))
    one_class = np.isin(counts[:, :2].sum(axis=1), [0, 4])
    assert one_class.any()
    assert (selected[one_class] == -1).all()
    assert (selected[~one_class] == 0).all()


def test_one_trial_needs_no_correction():
    y, p = noise(9, n_trials=1, n=2000)
    said = bias_corrected_cv("accuracy", y, p)
    assert_allclose(said.estimate, said.naive, atol=0.002)
    assert_array_equal(said.shares, [1.0])


def test_a_trial_with_a_prediction_that_is_not_finite_is_never_selected():
    y, p = noise(1)
    p[0] = y
    p[0, 1, 7] = NAN
    said = bias_corrected_cv("accuracy", y, p, n_bootstraps=50)
    alone = bias_corrected_cv("accuracy", y, p[1:], n_bootstraps=50)
    assert said.trial == alone.trial + 1
    assert said.estimate == alone.estimate
    assert said.shares[0] == 0


def test_a_sample_without_a_class_on_one_side_is_skipped_and_counted():
    y, p = noise(1, n=30)
    y[:] = 0
    y[:2] = 1
    said = bias_corrected_cv("roc_auc", y, p, n_bootstraps=400)
    expected = row_by_row("roc_auc", y, p, n_bootstraps=400)
    assert said.n_bootstraps == len(expected)
    assert said.n_skipped == 400 - len(expected) > 100
    assert_allclose(said.estimate, expected.mean())


def test_the_seed_decides_and_memory_does_not(monkeypatch):
    y, p = noise(1)
    first = bias_corrected_cv("roc_auc", y, p, n_bootstraps=50, seed=3)
    assert bias_corrected_cv("roc_auc", y, p, n_bootstraps=50, seed=4).estimate != first.estimate
    monkeypatch.setattr(bootstrap, "CHUNK_BYTES", 8 * 60 * 7)
    again = bias_corrected_cv("roc_auc", y, p, n_bootstraps=50, seed=3)
    assert (again.estimate, again.low, again.high) == (first.estimate, first.low, first.high)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"level": 1.0}, OptionError, "`level` is above 0 and below 1; received 1.0"),
        ({"n_bootstraps": 0}, OptionError, "`n_bootstraps` must be at least 1; received 0"),
        ({"metric": "gini"}, OptionError, "received 'gini'"),
        ({"metric": "rmse", "kind": "binary"}, OptionError, "must suit a binary problem"),
        ({"metric": lambda y, p: 0.0}, OptionError, "needs `direction`"),
        ({"y_pred": np.zeros((3, 60))}, ValueError, r"\(trials, repeats, rows, ...\)"),
        ({"y_pred": np.zeros((3, 1, 59))}, ValueError, "must have 60 rows.*received 59"),
        ({"y_pred": np.full((3, 1, 60), NAN)}, ValueError, "finite predictions"),
        ({"blocks": np.zeros(59)}, ValueError, "received 60 rows and 59 entries"),
        ({"blocks": np.zeros(60)}, ValueError, "on any of 20 bootstrap samples"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(changes, error, message):
    y, p = noise(0)
    options = {"metric": "accuracy", "y_true": y, "y_pred": p, "n_bootstraps": 20, **changes}
    with pytest.raises(error, match=message) as caught:
        bias_corrected_cv(**options)
    assert "\n" not in str(caught.value)


def test_epochs_need_an_axis():
    y, p = noise(0)
    with pytest.raises(ValueError, match=r"\(trials, epochs, repeats, rows, ...\)"):
        bias_corrected_cv_of_epochs("accuracy", y, p)


def one(seed=0, n=80):
    """Truth and one array of predictions."""
    y, p = noise(seed, 1, 1, n)
    return y, p[0, 0]


THEIRS = {
    "brier": lambda y, p: np.mean((p - y) ** 2),
    "accuracy": lambda y, p: np.mean((p >= 0.5) == y),
    "roc_auc": sk.roc_auc_score,
    "f1": lambda y, p: sk.f1_score(y, p >= 0.5),
}


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize("metric", THEIRS)
def test_the_interval_is_scipys(metric, method):
    y, p = one(1)
    said = bootstrap_interval(metric, y, p, method=method, n_bootstraps=300, seed=5)
    theirs = scipy_stats.bootstrap(
        (y, p),
        THEIRS[metric],
        paired=True,
        vectorized=False,
        method={"bca": "BCa", "percentile": "percentile"}[method],
        n_resamples=300,
        rng=np.random.default_rng(5),
    )
    assert_allclose(said.score, THEIRS[metric](y, p), rtol=1e-12)
    assert_allclose(said.se, theirs.standard_error, rtol=0.2)
    # Other samples: limits agree within a few errors of simulation.
    assert_allclose([said.low, said.high], theirs.confidence_interval, atol=0.4 * said.se)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_the_interval_of_the_same_samples_is_exactly_scipys(method):
    y, p = one(2)
    drawn = np.random.default_rng(5).integers(0, 80, (300, 80))
    scores = np.array([THEIRS["brier"](y[rows], p[rows]) for rows in drawn])
    said = bootstrap_interval("brier", y, p, method=method, n_bootstraps=300, seed=5)
    assert_allclose(said.se, scores.std(ddof=1))
    if method == "percentile":
        assert_allclose([said.low, said.high], np.quantile(scores, [0.025, 0.975]))
    else:
        assert_allclose([said.low, said.high], bca_by_hand(y, p, scores), rtol=1e-9)


def bca_by_hand(y, p, scores):
    """Efron (1987), equations 2.3 and 6.6: bias by the share below, acceleration by jackknife."""
    norm = scipy_stats.norm
    losses = (p - y) ** 2
    without = (losses.sum() - losses) / (len(y) - 1)
    lean = without.mean() - without
    acceleration = (lean**3).sum() / (6 * (lean**2).sum() ** 1.5)
    score = losses.mean()
    below = (np.mean(scores < score) + np.mean(scores <= score)) / 2
    z0 = norm.ppf(below)
    z = z0 + norm.ppf([0.025, 0.975])
    return np.quantile(scores, norm.cdf(z0 + z / (1 - acceleration * z)))


def test_the_interval_of_blocks_is_that_of_their_sums():
    rng = np.random.default_rng(3)
    y = np.repeat(rng.normal(size=40), 5)
    p = np.zeros(200)
    by_row = bootstrap_interval("mse", y, p)
    by_block = bootstrap_interval("mse", y, p, blocks=np.repeat(np.arange(40), 5))
    alone = bootstrap_interval("mse", y[::5], p[::5])
    assert_allclose([by_block.low, by_block.high], [alone.low, alone.high])
    # Five copies of each row halve the width and more, if taken for rows of their own.
    assert_allclose(by_block.se / by_row.se, math.sqrt(5), rtol=0.1)


def test_a_perfect_score_has_no_width():
    y, _ = one()
    said = bootstrap_interval("accuracy", y, y.astype(float), method="bca")
    assert (said.low, said.score, said.high, said.se) == (1, 1, 1, 0)


def test_samples_of_one_class_are_skipped_and_counted():
    y, p = np.array([1] + [0] * 19), np.linspace(0, 1, 20)
    said = bootstrap_interval("roc_auc", y, p, n_bootstraps=500)
    assert 100 < said.n_skipped < 250  # (1 - 1 / 20)^20 is 36 %
    assert said.n_bootstraps == 500 - said.n_skipped


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"method": "bootstrap-t"}, OptionError, "'percentile' or 'bca'; received 'bootstrap-t'"),
        ({"level": 0}, OptionError, "above 0 and below 1"),
        ({"y_pred": np.full(80, NAN)}, ValueError, "not defined on these rows"),
        ({"y_true": [1] + [0] * 79, "method": "bca"}, ValueError, "Take 'percentile'"),
    ],
)
def test_an_interval_that_makes_no_sense_is_refused(changes, error, message):
    y, p = one()
    options = {"metric": "roc_auc", "y_true": y, "y_pred": p, **changes}
    with pytest.raises(error, match=message):
        bootstrap_interval(**options)
