"""Ensembles: chosen by the rows drawn alone, as Caruana does, and scored on the others."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from hpsearch.decisions.ensembles import (
    Ensemble,
    EnsembleMember,
    Gain,
    Library,
    Repeats,
    Samples,
    affordable,
)
from hpsearch.ledger.estimates import promise
from hpsearch.ledger.record import BiasCorrection, FoldMean, Spread
from hpsearch.metrics import score
from hpsearch.stats.bootstrap import Rows

N_ROWS, N_TRIALS, N_EPOCHS, N_REPEATS = 40, 6, 3, 2


@pytest.fixture(scope="module")
def y():
    return np.random.default_rng(0).integers(0, 2, N_ROWS)


@pytest.fixture(scope="module")
def predictions(y):
    rng = np.random.default_rng(1)
    said = rng.random((N_TRIALS, N_EPOCHS, N_REPEATS, N_ROWS))
    return (0.7 * said + 0.3 * y).astype(np.float32)


@pytest.fixture(scope="module")
def counts(y):
    drawn = np.random.default_rng(2).integers(0, N_ROWS, (12, N_ROWS))
    return np.stack([np.bincount(rows, minlength=N_ROWS) for rows in drawn])


def by_hand(y, predictions, counts, metric, n_members, steps):
    """Caruana's selection in one sample, each row as often as it was drawn."""
    rows = np.repeat(np.arange(len(y)), counts)
    sign = -1.0 if metric in ("accuracy", "roc_auc") else 1.0

    def loss(array):
        return sign * np.mean([score(metric, y[rows], of[rows], kind="binary") for of in array])

    alone = [[loss(epoch) for epoch in trial] for trial in predictions]
    epochs = [int(np.argmin(losses)) for losses in alone]
    best = np.argsort([min(losses) for losses in alone], kind="stable")[:n_members]
    library = [predictions[trial, epochs[trial]] for trial in best]
    times, kept, kept_loss = np.zeros(n_members, int), None, np.inf
    for step in range(steps):
        found = [
            loss((sum(t * p for t, p in zip(times, library, strict=True)) + one) / (step + 1))
            for one in library
        ]
        times[int(np.argmin(found))] += 1
        if min(found) < kept_loss - 1e-12:
            kept, kept_loss = times.copy(), min(found)
    return [t * N_EPOCHS + epochs[t] for t in best], kept, kept_loss


@pytest.mark.parametrize(("metric", "direction"), [("log_loss", "min"), ("roc_auc", "max")])
def test_every_sample_chooses_as_caruana_does_on_the_rows_drawn(
    metric, direction, y, predictions, counts
):
    library = Library(Rows(metric, y, "binary", None), predictions, direction, 4, steps=7)
    members, times = library.chosen(counts)
    for number, count in enumerate(counts):
        expected, kept, _ = by_hand(y, predictions, count, metric, 4, 7)
        assert members[number].tolist() == expected
        assert times[number].tolist() == kept.tolist()
    assert (times.sum(axis=1) > 1).any()


def test_rows_left_out_have_no_say(y, predictions, counts):
    rows = Rows("log_loss", y, "binary", None)
    chosen = Library(rows, predictions, "min", 4, steps=5).chosen(counts[:1])
    left_out = counts[0] == 0
    other = np.where(left_out, 1.0 - predictions, predictions)
    changed = Rows("log_loss", np.where(left_out, 1 - y, y), "binary", None)
    again = Library(changed, other, "min", 4, steps=5).chosen(counts[:1])
    for mine, theirs in zip(chosen, again, strict=True):
        assert_array_equal(mine, theirs)


def test_the_score_is_that_of_the_mean_on_the_rows_left_out(y, predictions, counts):
    rows = Rows("log_loss", y, "binary", None)
    library = Library(rows, predictions, "min", 4, steps=5)
    samples = Samples(rows, library.candidates, library)
    samples(counts, np.zeros(len(counts), int))
    found = samples.gain(0).scores
    members, times = library.chosen(counts)
    for number in range(3):
        out = counts[number] == 0
        mean = np.average(library.candidates[members[number]], axis=0, weights=times[number])
        expected = np.mean([score("log_loss", y[out], of[out], kind="binary") for of in mean])
        assert_allclose(found[number], expected, rtol=1e-5)


def test_a_trial_without_finite_predictions_is_never_chosen(y, predictions, counts):
    broken = predictions.copy()
    broken[2] = np.nan
    library = Library(Rows("log_loss", y, "binary", None), broken, "min", N_TRIALS, steps=4)
    members, times = library.chosen(counts)
    assert times[members // N_EPOCHS == 2].sum() == 0
    assert (times.sum(axis=1) > 0).all()


def test_nothing_is_chosen_where_nothing_has_a_score(y, predictions, counts):
    rows = Rows("log_loss", y, "binary", None)
    library = Library(rows, np.full_like(predictions, np.nan), "min", 3)
    assert not list(library.means(counts, np.zeros(len(counts), int)))
    assert library.chosen(counts)[1].sum() == 0


def test_repeats_are_averaged_before_they_are_scored(y, predictions, counts):
    candidates = predictions.reshape(-1, N_REPEATS, N_ROWS)
    found = list(Repeats(candidates).means(counts[:3], np.array([5, 3, 5])))
    assert [here.tolist() for _, here in found] == [[1], [0, 2]]
    for (mean, _), number in zip(found, (3, 5), strict=True):
        assert_allclose(mean, candidates[number].mean(axis=0)[np.newaxis], rtol=1e-6)


def test_decisions_that_follow_hear_of_each_ensemble_in_its_samples(y, predictions, counts):
    rows = Rows("log_loss", y, "binary", None)
    library = Library(rows, predictions, "min", 4, steps=5)
    samples, heard = Samples(rows, library.candidates, library), []

    def other(drawn, selected):
        assert not selected.any()
        heard.extend((count, samples.means[0].copy()) for count in drawn)

    samples.others = [other]
    samples(counts, np.zeros(len(counts), int))
    samples.gain(0)  # what all rows decide is no sample
    assert len(heard) == len(counts)
    for count, mean in heard:
        [(expected, _)] = library.means(count[np.newaxis], np.zeros(1, int))
        assert_allclose(mean, expected)


def test_samples_that_select_nothing_are_left_out(y, predictions, counts):
    rows = Rows("log_loss", y, "binary", None)
    candidates = predictions.reshape(-1, N_REPEATS, N_ROWS)
    samples = Samples(rows, candidates, Repeats(candidates), most=5)
    samples(counts[:2], np.array([4, -1]))
    samples(counts[2:], np.full(10, 4))
    gain = samples.gain(4)
    assert len(gain.scores) == 4  # one of the first two, and three up to the fifth
    single = np.mean([score("log_loss", y, of, kind="binary") for of in candidates[4]])
    assert_allclose(gain.single_naive, single)
    assert gain.naive < single  # the mean of two predictions has the smaller log loss


def test_some_rows_can_tell_for_all(y, predictions, counts):
    places = np.arange(0, N_ROWS, 2)
    rows = Rows("log_loss", y[places], "binary", None)
    some = predictions.reshape(-1, N_REPEATS, N_ROWS)[:, :, places]
    samples = Samples(rows, some, Repeats(some), places=places)
    samples(counts, np.full(len(counts), 1))
    out = (counts[0] == 0)[places]
    mean = some[1].mean(axis=0)[out]
    assert_allclose(samples.gain(1).scores[0], score("log_loss", y[places][out], mean))


def test_the_estimate_is_the_single_networks_and_what_averaging_adds():
    gain = Gain(0.2, 0.3, np.array([0.25, 0.35, 0.3]), np.array([-0.1, -0.02, -0.03]))
    said = gain.estimate(0.4, "min")
    assert_allclose(said["value"], 0.35)
    assert_allclose(said["gain"], 0.05)
    assert_allclose([said["low"], said["high"]], [0.3025, 0.3975])
    assert_allclose([said["gain_low"], said["gain_high"]], [0.0205, 0.0965])
    assert said["n_bootstraps"] == 3
    assert gain.estimate(0.4, "max")["gain"] == pytest.approx(-0.05)


def test_without_a_sample_there_is_no_estimate():
    assert "not defined" in Gain(0.2, 0.3, np.zeros(0), np.zeros(0)).estimate(0.4, "min")["missing"]


def test_what_is_promised_is_the_ensembles_score():
    nothing = Spread(None, None, None)
    mean = FoldMean(0.3, 1, 3, 3, nothing, nothing)
    corrected = BiasCorrection(value=0.4, low=0.3, high=0.5)
    ensemble = Ensemble("seeds", (), 3, value=0.35, low=0.25, high=0.45)
    assert promise(mean, corrected, None, ensemble).value == 0.35
    unmeasured = Ensemble("seeds", (), 3, missing="one repeat")
    assert promise(mean, corrected, None, unmeasured).value == 0.4


def test_a_metric_that_walks_the_rows_can_afford_less():
    assert affordable(10, 3000, 3, "sums") == (300, 3000)
    assert affordable(10, 500, 3, "ordered") == (250, 500)
    assert affordable(10, 3000, 3, "ordered") == (50, 2500)
    assert affordable(100, 10**6, 3, "ordered") == (50, 1000)


@pytest.mark.parametrize(
    ("ensemble", "words"),
    [
        (Ensemble("folds", (EnsembleMember(3, 9, 1.0, 12),), 12), "of trial 3's 12 folds"),
        (Ensemble("trials", (EnsembleMember(3, 9, 1.0, 1),), 1), "the network of trial 3 alone"),
    ],
)
def test_what_is_exported_is_said(ensemble, words):
    assert words in ensemble.words


@pytest.mark.parametrize(
    ("gain", "low", "high", "said"),
    [
        (0.05, 0.02, 0.08, "scores 0.050 better than the single network (0.020 to 0.080)."),
        (-0.01, -0.03, 0.01, "worse than the single network (-0.030 to 0.010), which may be"),
        (None, None, None, ""),
    ],
)
def test_what_averaging_brings_is_said_with_its_interval(gain, low, high, said):
    members = (EnsembleMember(3, 9, 1.0, 2),)
    ensemble = Ensemble("seeds", members, 2, gain=gain, gain_low=low, gain_high=high)
    assert said in ensemble.gained
    assert bool(ensemble.gained) == bool(said)


def test_a_reason_and_the_notes_are_remarks():
    members = (EnsembleMember(3, 9, 1.0, 3),)
    ensemble = Ensemble("seeds", members, 3, notes=("One.",), missing="None.", n_bytes=2_500_000)
    assert [*ensemble.remarks()] == [
        *("None.", "One.", "The file has 3 networks with 0 parameters; 2.50 MB."),
    ]
