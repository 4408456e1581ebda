"""Metrics of one's own in a search: curves, ledger, nesting, report, and going on."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss, make_scorer

import hpsearch
from hpsearch.errors import InputError, MetricError, OptionError, SearchFailedError
from hpsearch.results.journal import Journal

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

BUDGET = {"trials": 3, "folds": 2, "repeats": 1, "epochs": 3, "batch_size": 12, "jobs": 1}
SPACE = """
def declare(hp, problem):
    hp.Choice("rate", [0.1, 0.2, 0.5, 0.8])


def build(hp, problem):
    raise NotImplementedError
"""
COSTS = """
from prices import PRICE


def cost(y_true, y_pred):
    said = y_pred >= 0.3
    return PRICE * ((y_true == 1) & ~said).mean() + ((y_true == 0) & said).mean()


cost.greater_is_better = False


def hits(y_true, y_pred):
    return (y_true == y_pred).mean()


hits.greater_is_better = True
hits.response_method = "predict"
"""


def cost(y_true, y_pred):
    said = y_pred >= 0.3
    return 5 * ((y_true == 1) & ~said).mean() + ((y_true == 0) & said).mean()


cost.greater_is_better = False


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    age, size = rng.normal(50, 10, 40).round(1), rng.normal(0, 1, 40).round(2)
    ill = np.where(age + 8 * size + rng.normal(0, 3, 40) > 50, "yes", "no")
    pd.DataFrame({"age": age, "size": size, "ill": ill}).to_csv(tmp_path / "v.csv", index=False)
    (tmp_path / "space.py").write_text(SPACE)
    (tmp_path / "costs.py").write_text(COSTS)
    (tmp_path / "prices.py").write_text("PRICE = 5\n")
    return tmp_path


@pytest.fixture
def search(folder, pretend_here):
    def search(name, **options):
        data = hpsearch.load(folder / "v.csv", target="ill")
        with pretend_here() as engine:
            fixed = {"engine": engine, "out": folder / name, "baselines": False}
            options = BUDGET | fixed | options
            return hpsearch.Search(folder / "space.py", **options).run(data)

    return search


@pytest.fixture
def resume(folder, pretend_here):
    def resume(name, **options):
        with pretend_here():
            return hpsearch.resume(folder / name, **options)

    return resume


def in_file(folder, name):
    return f"{folder / 'costs.py'}:{name}"


def test_a_metric_of_a_file_selects_and_others_are_recorded(search, folder):
    run = search("run", metric=in_file(folder, "cost"), also=["matthews", in_file(folder, "hits")])
    names = ["cost", "log_loss", "accuracy", "roc_auc", "matthews", "hits"]
    assert run.best["metric"] == "cost"
    assert run.best["direction"] == "min"
    assert list(run.settings["metrics"]) == names
    assert run.best["score"] == pytest.approx(run.trials["score"].min())
    assert np.array_equal(run.trials["metric.hits"], run.trials["metric.accuracy"])
    fold = run.predictions.query("repeat == 0 and fold == 0")
    scored = cost((fold["y_true"] == "yes").to_numpy(), fold["y_pred"].to_numpy())
    row = run.folds.query(f"trial == {run.best['trial']} and repeat == 0 and fold == 0")
    assert row["val_cost"].item() == pytest.approx(scored)


def test_the_ledger_corrects_and_compares_by_it(search, folder):
    run = search("run", metric=cost, baselines=True)
    ledger = run.ledger
    assert ledger.metric == "cost"
    assert ledger.bias_corrected.value is not None
    assert [baseline.missing for baseline in ledger.baselines] == [""] * 4
    assert all(baseline.p_value is not None for baseline in ledger.baselines)
    assert "cost" in (run.path / "report.html").read_text(encoding="utf-8")
    assert hpsearch.compare_trials(run)[0].metric == "cost"


def test_it_scores_the_winners_of_outer_folds(search, folder):
    run = search("run", metric=cost, nested=2, trials=2)
    assert all(np.isfinite(fold.outer_score) for fold in run.ledger.nested.folds)


def test_a_run_goes_on_by_its_file(search, resume, folder):
    whole = search("whole", metric=in_file(folder, "cost"), also=[in_file(folder, "hits")])
    search("run", metric=in_file(folder, "cost"), also=[in_file(folder, "hits")], trials=1)
    run = resume("run", trials=3)
    assert run.trials.equals(whole.trials)
    command = json.loads((run.path / "run.json").read_text())["command"]
    assert f"--metric {in_file(folder, 'cost')} --also {in_file(folder, 'hits')}" in command


def test_a_run_goes_on_by_what_it_remembers_where_the_file_is_gone(search, resume, folder):
    search("run", metric=in_file(folder, "cost"), trials=1)
    (folder / "costs.py").unlink()
    (folder / "prices.py").unlink()
    assert len(resume("run", trials=2).trials) == 2


@pytest.mark.parametrize(
    ("file", "was", "now", "said"),
    [
        ("costs.py", "0.3", "0.4", "the source of the metric 'cost', from line 6 on"),
        ("prices.py", "5", "6", "prices.py, imported by the metric 'cost', from line 1 on"),
    ],
)
def test_a_file_that_changed_is_refused_by_name(search, resume, folder, file, was, now, said):
    search("run", metric=in_file(folder, "cost"), trials=1)
    path = folder / file
    path.write_text(path.read_text().replace(was, now))
    with pytest.raises(InputError) as caught:
        resume("run", trials=2)
    assert f"changed: {said}" in str(caught.value)


def test_a_function_is_given_again(search, resume, folder):
    search("run", metric=cost, trials=1)
    with pytest.raises(OptionError, match=r"'cost' of this run was given as a Python object"):
        resume("run", trials=2)
    assert len(resume("run", trials=2, metric=cost).trials) == 2


def test_another_metric_is_refused_where_a_run_goes_on(search, resume, folder):
    search("run", metric=cost, trials=1)
    with pytest.raises(InputError, match=r"option metric \(cost; now log_loss\)"):
        resume("run", trials=2, metric="log_loss")


def test_a_function_of_another_text_is_refused_where_a_run_goes_on(search, resume, folder):
    def other(y_true, y_pred):
        return float(np.abs(y_true - y_pred).mean())

    other.greater_is_better, other.__name__ = False, "cost"
    search("run", metric=cost, trials=1)
    with pytest.raises(InputError, match=r"changed: the source of the metric 'cost'"):
        resume("run", trials=2, metric=other)


def test_a_journal_from_before_there_were_any_goes_on(search, resume, folder):
    search("run", metric="brier", trials=1)
    with Journal.open(folder / "run" / "journal.sqlite") as journal:
        was = journal.settings
        del was["own_metrics"], was["options"]["also"]
        journal.update(was)
    assert len(resume("run", trials=2).trials) == 2


def test_a_metric_that_raises_on_predictions_is_refused_before_there_is_a_folder(search, folder):
    def broken(y_true, y_pred):
        return y_true["x"]

    broken.greater_is_better = True
    with pytest.raises(MetricError, match="on made-up predictions of a binary problem"):
        search("run", metric="brier", also=[broken])
    assert not (folder / "run").exists()


@pytest.mark.parametrize("metric", [7, ["f1"], {"f1"}])
def test_what_is_no_metric_is_refused(metric):
    with pytest.raises(OptionError, match=r"`metric` is a name, FILE\.py:NAME or a function"):
        hpsearch.Search(metric=metric)


def test_an_unknown_name_beside_the_metric_is_refused(search):
    with pytest.raises(OptionError, match=r"`--also` must suit a binary problem: .*'mae'"):
        search("run", also=["mae"])


def test_runs_of_metrics_of_one_name_and_two_texts_are_not_compared(search, folder):
    one = search("one", metric=in_file(folder, "cost"))
    (folder / "prices.py").write_text("PRICE = 6\n")
    two = search("two", metric=in_file(folder, "cost"))
    with pytest.raises(InputError, match=r"by one metric; the code of cost in .* differs"):
        hpsearch.compare(one, two)


def logistic():
    import keras

    model = keras.Sequential([keras.layers.Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    return model


RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(40, 2)), RNG.integers(0, 2, 40)
VALIDATION = {"cv": 2, "epochs": 2}


def test_cross_validation_scores_by_it_and_by_scorers_too(train_here):
    brier = make_scorer(brier_score_loss, response_method="predict_proba", greater_is_better=False)
    with train_here() as engine:
        found = hpsearch.cross_validate(
            logistic, *TABLE, engine=engine, metric=cost, also=["brier", brier], **VALIDATION
        )
    assert (found.metric, found.direction) == ("cost", "min")
    fold = found.predictions.query("fold == 0")
    expected = cost(fold["y_true"].to_numpy(), fold["y_pred"].to_numpy())
    assert found.folds["val_cost"][0] == pytest.approx(expected)
    curves = found.curves[
        ["val_brier", "val_brier_score_loss", "train_brier_score_loss"]
    ].to_numpy()
    np.testing.assert_allclose(curves[:, 1], curves[:, 0], rtol=1e-9)
    assert np.isfinite(curves).all()


def only_40_or_more(y_true, y_pred):
    if len(y_true) < 40:
        raise ValueError("these are too few")
    return float(np.mean(y_pred))


only_40_or_more.greater_is_better = True


def test_one_that_raises_on_a_fold_fails_its_trial_with_the_reason(train_here):
    said = (
        r"failed: the metric only_40_or_more raised ValueError \(.*py:\d+\): these are too few, in "
    )
    with (
        train_here() as engine,
        pytest.raises(SearchFailedError, match=said + "epoch 1 of repeat 0, fold 0"),
    ):
        hpsearch.cross_validate(
            logistic, *TABLE, engine=engine, metric=only_40_or_more, **VALIDATION
        )


def test_one_that_raises_on_a_fold_without_selecting_has_no_value_there(train_here):
    with train_here() as engine:
        found = hpsearch.cross_validate(
            logistic, *TABLE, engine=engine, also=[only_40_or_more], **VALIDATION
        )
    assert np.isfinite(found.score)
    assert found.folds["val_only_40_or_more"].isna().all()
