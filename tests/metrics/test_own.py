"""Metrics of one's own: how they are read, what they are called with, and what is refused."""

import functools
import pickle
import subprocess
import sys
import time

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import metrics as sk
from sklearn.metrics import make_scorer

from hpsearch.errors import MetricError, OptionError
from hpsearch.metrics import Metric, resolve_metric, score, weighted_score
from hpsearch.metrics.own import OwnMetric, check_own
from hpsearch.space.guards import time_limit
from hpsearch.task import Target

TARGETS = {
    "binary": Target(("y",), "binary", ("bad", "good")),
    "multiclass": Target(("y",), "multiclass", (3, 5, 9)),
    "multilabel": Target(("a", "b"), "multilabel", ("a", "b")),
    "regression": Target(("y",), "regression"),
    "two values": Target(("y", "z"), "regression"),
    "share": Target(("y",), "share"),
}
TRUTHS = {
    "binary": np.array([0, 1, 1, 0]),
    "multiclass": np.array([0, 2, 1, 2]),
    "multilabel": np.array([[0, 1], [1, 1], [1, 0], [0, 0]]),
    "regression": np.array([[1.0], [2.0], [4.0], [8.0]]),
    "two values": np.array([[1.0, 0.0], [2.0, 1.0], [4.0, 3.0], [8.0, 2.0]]),
    "share": np.array([[0.1], [0.2], [0.4], [0.8]]),
}
PREDICTIONS = {
    "binary": np.array([0.1, 0.9, 0.3, 0.6]),
    "multiclass": np.eye(3)[[0, 1, 1, 2]] * 0.7 + 0.1,
    "multilabel": np.array([[0.1, 0.9], [0.9, 0.4], [0.7, 0.2], [0.5, 0.1]]),
    "regression": np.array([[1.5], [2.5], [3.0], [9.0]]),
    "two values": np.array([[1.5, 0.0], [2.5, 1.0], [3.0, 2.0], [9.0, 2.0]]),
    "share": np.array([[0.15], [0.2], [0.3], [0.9]]),
}


def good(function, *, better=True, **attributes):
    """A function that says that large values are good."""
    for name, value in {"greater_is_better": better, **attributes}.items():
        setattr(function, name, value)
    return function


def own(spec, problem="binary"):
    return OwnMetric.load(spec).of_target(TARGETS[problem])


def scored(metric, problem="binary"):
    y, p = TRUTHS[problem], PREDICTIONS[problem]
    return score(metric, y, p, kind=TARGETS[problem].kind, strict=True)


def seen_by(problem, **attributes):
    """What a function gets of a problem's truth and predictions."""
    seen = []

    def watch(y_true, y_pred):
        seen.append((y_true, y_pred))
        return 0.5

    metric = own(good(watch, **attributes), problem)
    # what is pickled is a copy; the calls are watched in this one
    from hpsearch.metrics import own as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_called", lambda own: module.Called.of(watch))
        scored(metric, problem)
    return seen[0]


# -- what it is called with


@pytest.mark.parametrize("problem", ["binary", "multiclass", "multilabel"])
def test_a_function_gets_codes_and_probabilities(problem):
    y_true, y_pred = seen_by(problem)
    assert_array_equal(y_true, TRUTHS[problem])
    assert_array_equal(y_pred, PREDICTIONS[problem])


@pytest.mark.parametrize(
    ("problem", "truth", "said"),
    [
        ("binary", ["bad", "good", "good", "bad"], ["bad", "good", "bad", "good"]),
        ("multiclass", [3, 9, 5, 9], [3, 5, 5, 9]),
        ("multilabel", TRUTHS["multilabel"], [[0, 1], [1, 0], [1, 0], [1, 0]]),
    ],
)
def test_a_function_that_asks_for_labels_gets_labels(problem, truth, said):
    y_true, y_pred = seen_by(problem, response_method="predict")
    assert_array_equal(y_true, truth)
    assert_array_equal(y_pred, said)


@pytest.mark.parametrize("problem", ["regression", "share"])
def test_one_value_comes_in_one_dimension(problem):
    y_true, y_pred = seen_by(problem)
    assert_array_equal(y_true, TRUTHS[problem][:, 0])
    assert_array_equal(y_pred, PREDICTIONS[problem][:, 0])


def test_several_values_come_in_two_dimensions():
    y_true, y_pred = seen_by("two values")
    assert_array_equal(y_true, TRUTHS["two values"])
    assert_array_equal(y_pred, PREDICTIONS["two values"])


def test_a_function_may_change_what_it_gets():
    def careless(y_true, y_pred):
        y_pred[y_pred < 0.5] = 0
        y_true[:] = 1
        return y_pred.mean()

    y, p = TRUTHS["binary"].copy(), PREDICTIONS["binary"].copy()
    score(own(good(careless)), y, p, kind="binary")
    assert_array_equal(y, TRUTHS["binary"])
    assert_array_equal(p, PREDICTIONS["binary"])


LABELS = {"binary": np.array(["bad", "good"]), "multiclass": np.array([3, 5, 9])}
SCORERS = [
    ("binary", sk.f1_score, "predict", {"pos_label": "bad"}),
    ("binary", sk.brier_score_loss, "predict_proba", {"pos_label": "bad"}),
    ("binary", sk.roc_auc_score, ("decision_function", "predict_proba"), {}),
    ("multiclass", sk.f1_score, "predict", {"average": "macro"}),
    ("multiclass", sk.log_loss, "predict_proba", {"labels": [3, 5, 9]}),
    ("regression", sk.mean_pinball_loss, "predict", {"alpha": 0.2}),
    ("two values", sk.r2_score, "predict", {"multioutput": "variance_weighted"}),
]


@pytest.mark.parametrize(("problem", "function", "method", "more"), SCORERS)
@pytest.mark.parametrize("is_score", [True, False])
def test_a_scorer_scores_as_scikit_learn_does_without_its_sign(
    problem, function, method, more, is_score
):
    class Estimator:
        _estimator_type = "regressor" if problem in ("regression", "two values") else "classifier"
        classes_ = LABELS.get(problem)

        def predict(self, rows):
            if problem == "binary":
                return self.classes_[(rows >= 0.5).astype(int)]
            return self.classes_[rows.argmax(axis=1)] if problem == "multiclass" else rows

        def predict_proba(self, rows):
            return np.column_stack([1 - rows, rows]) if problem == "binary" else rows

        def __sklearn_tags__(self):
            from sklearn.utils import Tags, TargetTags

            return Tags(self._estimator_type, TargetTags(required=True))

        def fit(self, rows, y):
            return self

    named = functools.wraps(function)(lambda *a, **k: function(*a, **k))
    named.__name__ = "mine"
    scorer = make_scorer(named, response_method=method, greater_is_better=is_score, **more)
    metric = own(scorer, problem)
    y, p = TRUTHS[problem], PREDICTIONS[problem]
    truth = LABELS[problem][y] if problem in LABELS else y
    theirs = scorer(Estimator(), p, truth)
    assert metric.direction == ("max" if is_score else "min")
    assert_allclose(scored(metric, problem), theirs if is_score else -theirs, rtol=1e-12)


# -- many epochs, bootstrap samples, other processes


def cost(y_true, y_pred):
    said = y_pred >= 0.3
    return 5 * np.mean((y_true == 1) & ~said) + np.mean((y_true == 0) & said)


def weighted_cost(y_true, y_pred, sample_weight):
    said = y_pred >= 0.3
    wrong = 5.0 * ((y_true == 1) & ~said) + ((y_true == 0) & said)
    return np.average(wrong, weights=sample_weight)


@pytest.fixture(params=[cost, weighted_cost], ids=["rows", "weights"])
def either_cost(request):
    yield own(good(request.param, better=False))
    del request.param.greater_is_better


def test_epochs_are_scored_one_by_one(either_cost):
    p = np.random.default_rng(0).random((2, 5, 4))
    scores = score(either_cost, TRUTHS["binary"], p)
    for at in np.ndindex(2, 5):
        assert scores[at] == cost(TRUTHS["binary"], p[at])


def test_counted_rows_score_as_repeated_ones(either_cost):
    rng = np.random.default_rng(1)
    y, p, counts = rng.integers(0, 2, 20), rng.random((3, 20)), rng.integers(0, 4, (5, 20))
    expected = [[cost(*(np.repeat(a, times) for a in (y, one))) for one in p] for times in counts]
    assert_allclose(weighted_score(either_cost, y, p, counts), expected, rtol=1e-12)


def test_a_metric_with_sample_weight_gets_what_rows_weigh():
    rng = np.random.default_rng(2)
    y, p, counts = rng.integers(0, 2, 20), rng.random((3, 20)), rng.integers(0, 4, (5, 20))
    weights = rng.uniform(0.0, 3.0, 20) * (rng.random(20) > 0.2)
    metric = own(good(weighted_cost, better=False))
    expected = [weighted_cost(y, one, weights) for one in p]
    assert_allclose(score(metric, y, p, weights=weights), expected, rtol=1e-12)
    expected = [[weighted_cost(y, one, weights * times) for one in p] for times in counts]
    assert_allclose(weighted_score(metric, y, p, counts, weights=weights), expected, rtol=1e-12)
    del weighted_cost.greater_is_better


def test_a_scorer_passes_weights_on_where_its_function_takes_them():
    weights = np.array([0.5, 2.0, 1.0, 3.0])
    y, p = TRUTHS["binary"], PREDICTIONS["binary"]
    metric = own(make_scorer(sk.f1_score, pos_label="bad"))
    expected = sk.f1_score(y == 0, p < 0.5, sample_weight=weights)
    assert_allclose(score(metric, y, p, weights=weights), expected)
    counts = np.array([[1, 2, 0, 1]])
    expected = sk.f1_score(y == 0, p < 0.5, sample_weight=weights * counts[0])
    assert_allclose(weighted_score(metric, y, p, counts, weights=weights), [expected])


def test_a_metric_without_sample_weight_refuses_rows_that_weigh():
    metric = own(good(cost, better=False))
    with pytest.raises(OptionError, match="the metric cost doesn't take what they weigh"):
        score(metric, TRUTHS["binary"], PREDICTIONS["binary"], weights=[1, 2, 1, 1], strict=True)
    del cost.greater_is_better


def test_a_sample_that_it_raises_on_has_no_score_and_harms_no_other():
    def only_large(y_true, y_pred):
        if len(y_true) < 4:
            raise ValueError("too few")
        return 1.0

    counts = [[1, 1, 1, 1], [1, 1, 0, 0]]
    found = weighted_score(own(good(only_large)), TRUTHS["binary"], PREDICTIONS["binary"], counts)
    assert_array_equal(found, [1.0, np.nan])


def test_what_it_raises_is_told_with_its_line_and_the_epoch():
    def picky(y_true, y_pred):
        if y_pred[0] > 0.5:
            raise ZeroDivisionError("no such luck.")
        return 1.0

    metric, p = own(good(picky)), np.array([[0.1] * 4, [0.9] * 4])
    with pytest.raises(MetricError) as caught:
        score(metric, TRUTHS["binary"], p, strict=True)
    assert caught.value.number == 1
    assert "the metric picky raised ZeroDivisionError (" in str(caught.value)
    assert "test_own.py:" in str(caught.value)
    assert str(caught.value).endswith(": no such luck")
    assert np.isnan(score(metric, TRUTHS["binary"], p)).all()


def test_what_is_not_finite_is_nan():
    metric = own(good(lambda y_true, y_pred: float("inf"), __name__="infinite"))
    assert np.isnan(scored(metric))


def test_a_metric_of_a_file_is_the_same_one_in_another_process(tmp_path):
    (tmp_path / "prices.py").write_text("PRICE = 5\n")
    (tmp_path / "costs.py").write_text(
        "def cost(y_true, y_pred):\n"
        "    from prices import PRICE\n"
        "    return PRICE * abs(y_true - y_pred).mean()\n"
        "cost.greater_is_better = False\n"
    )
    metric = own(f"{tmp_path / 'costs.py'}:cost", "regression")
    (tmp_path / "metric.pickle").write_bytes(pickle.dumps(metric))
    (tmp_path / "prices.py").unlink()
    (tmp_path / "costs.py").unlink()
    code = (
        "import pickle, sys, numpy as np\n"
        "from hpsearch.metrics import score\n"
        "metric = pickle.load(open(sys.argv[1], 'rb'))\n"
        "print(metric, metric.direction, score(metric, np.zeros((2, 1)), np.ones((2, 1))))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "metric.pickle")]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert said.stdout == "cost min 5.0\n"


# -- what is known of it


def test_its_fingerprint_follows_its_text_and_what_a_scorer_is_given():
    def mine(y_true, y_pred, power=1):
        return float((np.abs(y_true - y_pred) ** power).mean())

    one, same, other = (make_scorer(mine, power=power) for power in (1, 1, 2))
    assert OwnMetric.load(one).sha256 == OwnMetric.load(same).sha256
    assert OwnMetric.load(one).sha256 != OwnMetric.load(other).sha256
    flipped = make_scorer(mine, power=1, greater_is_better=False)
    assert OwnMetric.load(one).sha256 != OwnMetric.load(flipped).sha256


def test_its_fingerprint_follows_the_modules_beside_its_file(tmp_path):
    (tmp_path / "own_costs.py").write_text("import own_prices\ndef cost(y, p): return 1.0\n")
    (tmp_path / "own_prices.py").write_text("PRICE = 5\n")
    spec = f"{tmp_path / 'own_costs.py'}:cost"
    before = OwnMetric.load(spec)
    assert before.sha256 == OwnMetric.load(spec).sha256
    (tmp_path / "own_prices.py").write_text("PRICE = 6\n")
    assert before.sha256 != OwnMetric.load(spec).sha256


def test_it_comes_first_where_it_selects_and_last_where_it_is_only_recorded():
    metric = own(good(lambda y_true, y_pred: 1.0, __name__="mine"))
    assert isinstance(metric, Metric)
    assert resolve_metric("binary", metric) == ("mine", "log_loss", "accuracy", "roc_auc")
    assert resolve_metric("binary", "f1", [metric, "f1"]) == (
        *("f1", "log_loss", "accuracy", "roc_auc", "mine"),
    )


def test_two_of_one_name_are_refused():
    one = own(good(lambda y_true, y_pred: 1.0, __name__="mine"))
    two = own(good(lambda y_true, y_pred: 2.0, __name__="mine"))
    with pytest.raises(OptionError, match="received two called 'mine'"):
        resolve_metric("binary", one, [two])


# -- what is refused


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("costs.py", "is FILE.py:NAME; received 'costs.py'"),
        ("nowhere.py:cost", "file 'nowhere.py' cannot be read: "),
        (7, "is a name or a function; received 7"),
        (good(lambda y, p: 1.0), "columns have it; received '<lambda>'. Give it a __name__"),
        (good(lambda y, p: 1.0, __name__="loss"), "received 'loss'"),
        (good(lambda y, p: 1.0, __name__="cost_se"), "received 'cost_se'"),
        (good(lambda y, p: 1.0, __name__="f1"), "a metric of hpsearch called 'f1'"),
        (good(lambda y, p: 1.0, __name__="f_beta_2"), "a metric of hpsearch called 'f_beta_2'"),
    ],
)
def test_what_is_no_metric_is_refused_in_one_line(spec, said):
    with pytest.raises(MetricError) as caught:
        OwnMetric.load(spec)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n", "has nothing called 'cost'. Give a function"),
        ("cost = 1\n", "has int called 'cost'"),
        ("import nonsense_that_nobody_has\n", "raised ModuleNotFoundError in its import"),
        ("def cost(:\n", "raised SyntaxError in its import"),
        ("def cost(y, p): return 1\n", "its greater_is_better is None. Set cost.greater"),
        (
            "def cost(y, p): return 1\ncost.greater_is_better = 'yes'\n",
            "greater_is_better is 'yes'",
        ),
        (
            "def cost(y, p): return 1\ncost.greater_is_better = True\n"
            "cost.response_method = 'decision_function'\n",
            "asks for decision_function, and a network of a binary problem gives predict or",
        ),
    ],
)
def test_a_file_without_a_metric_is_refused_in_one_line(tmp_path, text, said):
    (tmp_path / "costs.py").write_text(text)
    with pytest.raises(MetricError) as caught:
        own(f"{tmp_path / 'costs.py'}:cost")
    assert said in str(caught.value)


def test_a_function_that_no_worker_could_get_is_refused(tmp_path):
    with (tmp_path / "file").open("w") as file:

        def cost(y_true, y_pred):
            file.write("x")
            return 1.0

        with pytest.raises(MetricError, match="The metric 'cost' cannot be sent to workers"):
            OwnMetric.load(good(cost))


def test_probabilities_of_numbers_are_refused():
    scorer = make_scorer(weighted_cost, response_method="predict_proba")
    with pytest.raises(MetricError, match="a network of a regression problem gives predict"):
        own(scorer, "regression")


def checked(function, problem="binary"):
    metric, target = own(good(function), problem), TARGETS[problem]
    check_own(metric, target, np.resize(TRUTHS[problem], (40, *TRUTHS[problem].shape[1:])))


@pytest.mark.parametrize("problem", TARGETS)
def test_a_metric_is_tried_on_predictions_that_are_made_up(problem):
    def error(y_true, y_pred):
        assert len(y_true) == len(y_pred) == 40
        return float(np.mean(y_pred))

    checked(error, problem)


def raising(y_true, y_pred):
    return y_true["no such column"]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (raising, "The metric raising raised IndexError ("),
        (
            raising,
            "on made-up predictions of a binary problem, y_true int64 (40,) and y_pred float",
        ),
        (lambda y_true: 1.0, "raised TypeError"),
        (lambda y_true, y_pred: y_true == y_pred, "gave ndarray of shape (40,) in place of one"),
        (lambda y_true, y_pred: None, "gave NoneType in place of one number"),
        (lambda y_true, y_pred: "0.5", "gave str in place of one number"),
        (lambda y_true, y_pred: 1j, "gave complex in place of one number"),
        (lambda y_true, y_pred: np.nan, "gave nan for 40 rows with made-up predictions, and nan"),
        (lambda y_true, y_pred: sys.exit(3), "raised SystemExit"),
    ],
)
def test_a_metric_that_does_not_do_is_refused_before_any_training(function, said):
    function.__name__ = "raising" if function is raising else "bad"
    with pytest.raises(MetricError) as caught:
        checked(function)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.timeout(30, method="thread")  # an alarm is taken elsewhere
def test_a_metric_that_never_ends_is_stopped():
    def endless(y_true, y_pred):
        while True:
            time.sleep(0.01)

    with (
        time_limit(0.2),
        pytest.raises(MetricError, match=r"The check of the metric 'endless' must end within 0.2"),
    ):
        checked(endless)
