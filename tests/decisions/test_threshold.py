"""The threshold's record: chosen on all rows, corrected on rows that did not choose."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hpsearch.decisions.decided import Decided
from hpsearch.decisions.rules import ThresholdRule
from hpsearch.decisions.threshold import ThresholdSamples, decide_threshold, figures_at
from hpsearch.metrics import score
from hpsearch.stats import bias_corrected_cv
from hpsearch.task import Target

F1 = ThresholdRule.of("f1")
BINARY = Target(("ill",), "binary", ("no", "yes"))


def rows(seed, n=240, n_trials=4, n_repeats=2):
    """Labels, 10 % positives, and predictions that know a little."""
    rng = np.random.default_rng(seed)
    y = (rng.permutation(n) < n // 10).astype(int)
    logits = rng.normal(size=(n_trials, n_repeats, n)) + 1.5 * y - 2
    return y, (1 / (1 + np.exp(-logits))).astype(np.float32)


def decided(y, p, rule=F1, weights=None, **options):
    samples = ThresholdSamples(rule, y, p, weights)
    said = bias_corrected_cv("log_loss", y, p, heard=samples, n_bootstraps=200, **options)
    made = decide_threshold(
        rule, BINARY, y, p[said.trial], samples, weights=weights, is_of_search=True
    )
    return made, samples, said.trial


def test_figures_are_the_metrics_at_that_threshold():
    y, p = rows(0)
    found = figures_at(F1, [0.3], y, p[0, 0])
    moved = np.where(p[0, 0] >= 0.3, 1.0, 0.0)
    for name in ("f1", "precision", "recall", "balanced_accuracy", "accuracy"):
        assert_allclose(found[name], score(name, y, moved))


def test_each_sample_is_scored_on_rows_that_did_not_choose_its_threshold():
    """By hand: a threshold from the rows drawn alone, F1 of the rows left out alone."""
    y, p = rows(1)
    heard = []
    samples = ThresholdSamples(F1, y, p)

    def hear(counts, selected):
        heard.append((counts.copy(), selected.copy()))
        samples(counts, selected)

    bias_corrected_cv("log_loss", y, p, heard=hear, n_bootstraps=5)
    counts, selected = (np.concatenate(parts) for parts in zip(*heard, strict=True))
    for number in range(5):
        drawn, left_out = counts[number] > 0, counts[number] == 0
        of_trial = p[selected[number]].astype(float)
        places = np.unique(of_trial[:, drawn])
        middles = np.append((places[1:] + places[:-1]) / 2, places[0] / 2)
        times = counts[number][drawn]
        f1s = [figures_at(F1, [m], y[drawn], of_trial[:, drawn], times)["f1"] for m in middles]
        assert_allclose(max(f1s), f1s[np.argmin(abs(middles - samples.thresholds[number, 0]))])
        outside = figures_at(F1, samples.thresholds[number], y[left_out], of_trial[:, left_out])
        assert_allclose(samples.scores[number, 0, 0], outside["f1"])


def test_labels_of_rows_left_out_choose_nothing():
    y, p = rows(2)
    counts = np.random.default_rng(0).multinomial(len(y), np.full(len(y), 1 / len(y)), size=1)
    spoiled = np.where(counts[0] == 0, 1 - y, y)
    found = []
    for labels in (y, spoiled):
        samples = ThresholdSamples(F1, labels, p)
        samples(counts, np.zeros(1, dtype=np.int64))
        found.append(samples.thresholds[0, 0])
    assert found[0] == found[1]


def test_on_noise_the_naive_figure_flatters_and_the_corrected_one_does_not():
    """Nothing is to be known, so that on new rows a threshold finds what a coin does."""
    off = {"naive": [], "value": []}
    for seed in range(12):
        rng = np.random.default_rng(seed)
        y = (rng.permutation(300) < 30).astype(int)
        p = rng.random((10, 1, 300))
        made, _, _ = decided(y, p, seed=seed)
        said = 1 - made.values[0]  # the share of new rows that is said to be positive
        truth = 2 * 0.1 * said / (0.1 + said)
        for name in off:
            off[name].append(getattr(made.figures[0], name) - truth)
    assert np.mean(off["naive"]) > 0.02
    assert abs(np.mean(off["value"])) < 0.02


def test_the_chosen_one_is_the_best_of_all_rows_and_its_naive_figure_is_theirs():
    y, p = rows(3)
    made, _, trial = decided(y, p)
    [cut] = made.cuts
    f1s = [figures_at(F1, [at], y, p[trial])["f1"] for at in np.linspace(0, 1, 201)]
    assert made.figures[0].naive >= max(f1s) - 1e-12
    assert_allclose(made.figures[0].naive, figures_at(F1, [cut.value], y, p[trial])["f1"])
    assert cut.label == "yes"
    assert cut.low <= cut.value <= cut.high
    assert_allclose(sum(cut.confusion), len(y))
    _, fp, fn, tp = cut.confusion
    assert_allclose(2 * tp / (2 * tp + fp + fn), made.figures[0].naive)


def test_samples_that_select_nothing_or_lack_a_class_do_not_count():
    y, p = rows(4)
    samples = ThresholdSamples(F1, y, p)
    without = np.where(y == 1, 0, 1)
    counts = np.stack([np.ones_like(y), without, (np.arange(len(y)) % 2) * 2])
    samples(counts, np.array([-1, 0, 0]))
    assert np.isfinite(samples.scores).all(axis=(1, 2)).tolist() == [False, False, True]
    made = decide_threshold(F1, BINARY, y, p[0], samples)
    assert (made.n_bootstraps, made.n_skipped) == (1, 2)


def test_rows_that_weigh_twice_count_as_two():
    y, p = rows(5, n=60)
    twice = np.where(np.arange(60) < 20, 2.0, 1.0)
    weighed = decide_threshold(F1, BINARY, y, p[0], None, weights=twice)
    again = np.repeat(np.arange(60), twice.astype(int))
    repeated = decide_threshold(F1, BINARY, y[again], p[0][:, again], None)
    assert weighed.values == repeated.values
    assert weighed.figures == repeated.figures


def test_each_of_several_labels_has_a_threshold_and_figures_are_their_means():
    y1, p1 = rows(6)
    y2, p2 = rows(7)
    target = Target(("a", "b"), "multilabel", ("a", "b"))
    both = decide_threshold(F1, target, np.stack([y1, y2], 1), np.stack([p1[0], p2[0]], -1), None)
    alone = [decide_threshold(F1, BINARY, y, p[0], None) for y, p in ((y1, p1), (y2, p2))]
    assert both.values == (alone[0].values[0], alone[1].values[0])
    assert_allclose(both.figures[0].naive, np.mean([each.figures[0].naive for each in alone]))
    assert [cut.label for cut in both.cuts] == ["a", "b"]
    assert both.why == "each the one that has the largest f1"


def test_a_number_is_kept_and_scored():
    y, p = rows(8)
    made, samples, _ = decided(y, p, ThresholdRule.of(0.2))
    assert made.values == (0.2,)
    assert (samples.thresholds == 0.2).all()
    assert made.figures[0].value is not None


@pytest.mark.parametrize(("number", "is_compared"), [(0.5, False), (0.2, True)])
def test_of_a_number_nothing_is_said_to_be_chosen(number, is_compared):
    y, p = rows(8)
    made, _, _ = decided(y, p, ThresholdRule.of(number))
    said = " ".join(made.remarks())
    assert made.why == "as was asked"
    assert "Corrected for choosing trial and epoch: " in said
    assert "choose thresholds" not in said
    assert ("than at 0.5" in said) == is_compared


def test_a_confusion_counts_each_row_once_however_many_hold_outs_it_is_in():
    y, p = rows(8, n=60, n_repeats=1)
    part = np.concatenate([np.arange(60), np.arange(30)])
    made = decide_threshold(F1, BINARY, y[part], p[0][:, part], None, n_each=1.5)
    assert_allclose(sum(made.cuts[0].confusion), 60)


def test_a_bound_that_nothing_reaches_stands_in_the_notes():
    y, p = rows(9)
    made = decide_threshold(ThresholdRule.of("precision>=1"), BINARY, y, 1 - p[0], None)
    assert not made.cuts[0].keeps_bound
    assert "No threshold has a precision of 1 out of fold" in made.notes[0]


def test_test_rows_are_scored_at_the_threshold():
    y, p = rows(10)
    made, _, _ = decided(y, p)
    new_y, new_p = rows(11)
    found = made.with_test(new_y, new_p[0, 0]).figures[0]
    assert_allclose(found.test, figures_at(F1, made.values, new_y, new_p[0, 0])["f1"])


def test_figures_that_test_rows_of_one_label_do_not_have_are_none():
    y, p = rows(10)
    made, _, _ = decided(y, p)
    found = made.with_test(np.zeros(20, int), p[0, 0, :20])
    assert {figure.test for figure in found.figures} == {None}


@pytest.mark.parametrize("values", [(0.3,), ()])
def test_labels_are_predicted_from_the_threshold_on(values):
    p = np.array([0.25, 0.3, 0.4, 0.6], dtype=np.float64)
    least = values[0] if values else 0.5
    said = BINARY.decode(p, values)
    assert said.tolist() == ["yes" if each >= least else "no" for each in p]


def test_what_predicting_needs_is_plain():
    y, p = rows(12)
    made, _, _ = decided(y, p)
    said = Decided(threshold=made).for_predicting
    assert said == {"threshold": {"rule": "f1", "labels": ["yes"], "values": list(made.values)}}
    assert Decided().for_predicting == {}


def test_as_many_samples_are_heard_as_there_is_time_for(monkeypatch):
    monkeypatch.setattr("hpsearch.decisions.threshold.MAX_WORK", 1)
    monkeypatch.setattr("hpsearch.decisions.threshold._FEWEST_SAMPLES", 30)
    y, p = rows(13)
    made, samples, _ = decided(y, p)
    assert len(samples.scores) == made.n_bootstraps + made.n_skipped == 30
