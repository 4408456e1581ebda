"""The search from a table to its files: what they hold, and what is refused before any training."""

from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import hpsearch
from hpsearch.errors import InputError, OptionError, RunExistsError, SearchFailedError, SpaceError
from hpsearch.keras_settings import keras_settings
from hpsearch.metrics import score
from hpsearch.oracles import make_oracle, sample
from hpsearch.oracles.base import OraclePlan
from hpsearch.scoring.observer import SilentObserver
from hpsearch.search.loop import select
from hpsearch.stats import corrected_se

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

BUDGET = {"trials": 3, "folds": 2, "repeats": 1, "epochs": 2, "batch_size": 12, "jobs": 1}
TABLES = ("trials.csv", "folds.csv", "curves.csv", "predictions.csv", "timings.csv")
DOCUMENTS = ("run.json", "best.json", "model.json", "model.keras")
TEXTS = ("model_card.md", "report.html")


def build(hp, problem):
    """A network that is traced by nobody, so that it trains at once."""
    import keras

    layers = [
        keras.Input(problem.input_shape),
        keras.layers.Dense(hp.Choice("units", [2, 3, 4]), "tanh"),
        keras.layers.Dense(problem.n_outputs, activation=problem.output_activation),
    ]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.SGD(0.05), problem.loss, run_eagerly=True)
    return model


def visits(n=40):
    """A table with numbers, a category, missing cells and a text target."""
    rng = np.random.default_rng(0)
    age, city = rng.normal(50, 10, n).round(1), rng.choice(["Lima", "Oslo", "Rome"], n)
    ill = np.where(age + 8 * (city == "Oslo") + rng.normal(0, 3, n) > 54, "yes", "no")
    age[::9] = np.nan
    return pd.DataFrame({"age": age, "city": city, "group": np.arange(n) // 4, "ill": ill})


class Recorder(SilentObserver):
    """Keeps what it hears."""

    def __init__(self):
        self.events = []

    def __getattribute__(self, name):
        if name in ("note", "warn", "folds_done", "trial_done", "stage", "search_ended"):
            return lambda *heard: self.events.append((name, *heard))
        return super().__getattribute__(name)

    def search_started(self, **heard):
        self.events.append(("search_started", heard))

    def heard(self, name):
        return [event[1:] for event in self.events if event[0] == name]


@pytest.fixture
def search_here(train_here, tmp_path):
    """Search in this process; the results go to ``run`` in the test's folder."""

    def search_here(data, space=build, **options):
        options = BUDGET | {"out": tmp_path / "run", "engine": "reference"} | options
        with train_here():
            return hpsearch.Search(space, **options).run(data)

    return search_here


# -- what a run leaves


@pytest.fixture(scope="module")
def searched(train_here, tmp_path_factory):
    """A run, the data it saw, and what the observer heard."""
    recorder = Recorder()
    data = hpsearch.load(visits(), target="ill", drop="group", name="visits")
    options = BUDGET | {"repeats": 2, "test_size": 0.2, "seed": 4}
    out = tmp_path_factory.mktemp("search") / "run"
    with train_here():
        run = hpsearch.Search(build, **options, out=out, engine="reference", observer=recorder).run(
            data
        )
    return run, data, recorder


METRICS = ["log_loss", "accuracy", "roc_auc"]


def test_a_run_leaves_every_file_and_nothing_else(searched):
    run, _, _ = searched
    names = {path.name for path in run.path.iterdir()}
    assert names == {*TABLES, *DOCUMENTS, *TEXTS, "baselines.csv", "journal.sqlite", ".lock"}


def test_the_tables_have_the_columns_that_are_promised(searched):
    run, _, _ = searched
    assert list(run.trials) == [
        *("trial", "status", "rank", "score", "score_std", "score_se", "ci_low", "ci_high"),
        *("n_folds", "best_epoch", "epochs", "n_params", "error"),
        *(f"metric.{name}" for name in METRICS),
        "hp.units",
    ]
    assert list(run.folds) == [
        *("trial", "repeat", "fold", "seed", "n_train", "n_val", "epochs"),
        *(f"{side}_{name}" for side in ("val", "train") for name in METRICS),
    ]
    assert list(run.curves) == [
        *("trial", "epoch", "n_folds"),
        *(f"val_{name}{end}" for name in METRICS for end in ("", "_se")),
        *(f"train_{name}" for name in METRICS),
        "train_loss",
    ]
    assert list(run.predictions) == ["row", "repeat", "fold", "y_true", "y_pred"]
    assert list(run.timings) == ["trial", "seconds"]


def test_every_trial_repeat_fold_and_epoch_has_its_row(searched):
    run, _, _ = searched
    assert sorted(run.trials["trial"]) == [0, 1, 2]
    assert run.folds[["trial", "repeat", "fold"]].to_numpy().tolist() == [
        [trial, repeat, fold] for trial in range(3) for repeat in range(2) for fold in range(2)
    ]
    assert run.curves[["trial", "epoch"]].to_numpy().tolist() == [
        [trial, epoch] for trial in range(3) for epoch in (1, 2)
    ]


def test_a_score_is_the_mean_over_folds_and_the_best_of_its_curve(searched):
    run, _, _ = searched
    trials = run.trials.set_index("trial").sort_index()
    means = run.folds.groupby("trial")["val_log_loss"].mean()
    assert_allclose(trials["score"], means, rtol=1e-11)
    assert_allclose(trials["score"], run.curves.groupby("trial")["val_log_loss"].min(), rtol=1e-11)
    assert_array_equal(trials["metric.log_loss"], trials["score"])
    best = run.curves.set_index("trial").loc[lambda c: c["epoch"] == trials["best_epoch"][c.index]]
    assert_array_equal(best["val_log_loss"], trials["score"])
    assert_array_equal(best["val_log_loss_se"], trials["score_se"])


def test_standard_errors_are_corrected_ones(searched):
    run, _, _ = searched
    for trial, folds in run.folds.groupby("trial"):
        se = corrected_se(folds["val_log_loss"], folds["n_train"], folds["n_val"])
        recorded = run.trials.set_index("trial").loc[trial, "score_se"]
        assert_allclose(recorded, se, rtol=1e-9)


def test_trials_are_ranked_best_first(searched):
    run, _, _ = searched
    assert run.trials["rank"].tolist() == [1, 2, 3]
    assert run.trials["score"].is_monotonic_increasing
    assert run.trials["trial"][0] == run.best["trial"]


def test_every_row_that_was_searched_on_is_predicted_once_a_repeat(searched):
    run, data, _ = searched
    rows = run.predictions.groupby("repeat")["row"].apply(sorted)
    assert rows[0] == rows[1]
    assert len(set(rows[0])) == len(rows[0]) == data.n_rows - run.settings["test_rows"]
    truth = np.array(data.target.labels)[data.y]
    assert (run.predictions["y_true"] == truth[run.predictions["row"]]).all()


def test_classes_are_shared_out_over_the_folds(searched):
    run, _, _ = searched
    ill = run.predictions.groupby(["repeat", "fold"])["y_true"].apply(lambda y: (y == "yes").sum())
    assert ill.max() - ill.min() <= 1


def test_predictions_give_the_scores_of_their_folds(searched):
    run, data, _ = searched
    folds = run.folds.set_index(["trial", "repeat", "fold"])
    for (repeat, fold), part in run.predictions.groupby(["repeat", "fold"]):
        recorded = folds.loc[(run.best["trial"], repeat, fold)]
        y = data.y[part["row"]]
        for name in METRICS:
            found = score(name, y, part["y_pred"].to_numpy(), kind="binary")
            assert_allclose(recorded[f"val_{name}"], found, rtol=1e-6)


def test_a_search_holds_the_predictions_of_no_trial_in_memory(search_here, monkeypatch):
    held = []

    def selecting(plan, log):
        held.extend(array for trial in log.results for array in trial.predictions)
        return select(plan, log)

    monkeypatch.setattr("hpsearch.search.execution.select", selecting)
    run = search_here(hpsearch.load(visits(), target="ill", drop="group"), trials=2)
    assert held == [None] * 2 * run.settings["folds"] * run.settings["repeats"]
    assert len(run.predictions) == 40 * run.settings["repeats"]


def test_the_documents_say_what_was_asked_and_what_was_found(searched):
    run, data, _ = searched
    settings = run.settings
    assert settings["data"]["fingerprint"] == data.fingerprint
    assert settings["data"]["n_rows"] == 40
    assert (settings["seed"], settings["trials"], settings["repeats"]) == (4, 3, 2)
    row = run.trials.iloc[0]
    assert_allclose(run.best["score"], row["score"], rtol=1e-11)
    assert run.best["best_epoch"] == row["best_epoch"]
    assert run.best["hyperparameters"] == {"units": row["hp.units"]}
    assert run.best["refit"]["n_rows"] == data.n_rows - settings["test_rows"]
    assert run.manifest["trial"] == run.best["trial"]


@pytest.mark.filterwarnings("ignore::hpsearch.DataWarning")
def test_test_rows_are_scored_once_with_the_exported_model(searched):
    run, data, _ = searched
    unseen = np.setdiff1d(np.arange(data.n_rows), run.predictions["row"])
    assert len(unseen) == run.settings["test_rows"] == 8
    predicted = hpsearch.predict(run, visits().drop(columns="ill").iloc[unseen])
    found = score(
        "log_loss", data.y[unseen], predicted["probability.yes"].to_numpy(), kind="binary"
    )
    assert_allclose(run.best["test"]["log_loss"], found, rtol=1e-5)
    assert set(run.best["test"]) == set(METRICS)


def test_the_observer_hears_of_every_fold_trial_and_stage(searched):
    run, _, recorder = searched
    [[started]] = recorder.heard("search_started")
    assert (started["n_trials"], started["n_folds"], started["metric"]) == (3, 4, "log_loss")
    folds = dict.fromkeys(range(3), 0)
    for trial, n in recorder.heard("folds_done"):
        folds[trial] += n
    assert folds == {0: 4, 1: 4, 2: 4}
    assert sorted(row["trial"] for [row] in recorder.heard("trial_done")) == [0, 1, 2]
    assert [name for [name] in recorder.heard("stage")] == [
        "check",
        "baselines",
        "refit",
        "reload check",
    ]
    assert [ended.path for [ended] in recorder.heard("search_ended")] == [run.path]


def test_what_was_understood_is_said_before_the_search_starts(searched):
    _, _, recorder = searched
    names = [name for name, *_ in recorder.events]
    notes = " ".join(text for [text] in recorder.heard("note"))
    assert names.index("note") < names.index("search_started")
    for words in ("visits: 40 rows", "category (1): city", "Split: ", "Test: 8 rows", "Engine: "):
        assert words in notes


# -- kinds of problems and splits


@pytest.mark.parametrize(
    ("target", "columns"),
    [
        ("regression", ["y_true", "y_pred"]),
        ("multiclass", ["y_true", "y_pred.a", "y_pred.b", "y_pred.c"]),
        ("multilabel", ["y_true.p", "y_true.q", "y_pred.p", "y_pred.q"]),
        ("two values", ["y_true.p", "y_true.q", "y_pred.p", "y_pred.q"]),
    ],
)
def test_predictions_hold_a_column_for_each_value_or_label(target, columns, search_here):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(30, 2))
    y = {
        "regression": 100 + x[:, 0],
        "multiclass": np.tile(["a", "b", "c"], 10),
        "multilabel": pd.DataFrame({"p": (x[:, 0] > 0) * 1, "q": (x[:, 1] > 0) * 1}),
        "two values": pd.DataFrame({"p": x[:, 0], "q": 100 + x[:, 1]}),
    }[target]
    data = hpsearch.load(x, y)
    run = search_here(data, trials=1)
    assert list(run.predictions)[3:] == columns
    in_row_order = run.predictions.sort_values("row")
    truth = in_row_order[[c for c in columns if c.startswith("y_true")]].to_numpy()
    expected = np.array(data.target.labels)[data.y] if target == "multiclass" else data.y
    if target == "multiclass":
        assert_array_equal(truth[:, 0], expected)
    else:
        assert_allclose(truth, expected, rtol=1e-11)


def test_groups_stay_on_one_side_of_every_fold(search_here):
    run = search_here(hpsearch.load(visits(), target="ill", groups="group"), trials=1, folds=3)
    groups = visits()["group"][run.predictions["row"]].to_numpy()
    folds_of_a_group = run.predictions.groupby(groups)["fold"].nunique()
    assert (folds_of_a_group == 1).all()


def test_time_order_validates_on_later_rows_only(search_here):
    table = visits().assign(day=np.arange(40)[::-1])
    run = search_here(
        hpsearch.load(table, target="ill", drop="group", time="day"), trials=1, folds=3
    )
    days = table["day"][run.predictions["row"]].to_numpy()
    ranges = run.predictions.groupby("fold")["row"].agg(["min", "max"])
    assert ranges["max"].is_monotonic_decreasing  # later days come first in this table
    assert days.min() > 0  # the first days only train
    assert run.settings["repeats"] == 1


def test_a_hold_out_validates_one_share_of_the_rows(search_here):
    data = hpsearch.load(visits(), target="ill", drop="group")
    run = search_here(data, trials=2, folds=1, test_size=0.3)
    assert len(run.predictions) == run.folds["n_val"][0] == 12
    assert run.trials["n_folds"].tolist() == [1, 1]
    assert run.trials["score_se"].isna().all()
    assert run.best["score_se"] is None
    assert run.best["test"] is None


@pytest.mark.parametrize("form", ["frame", "file", "dataset"])
def test_test_data_may_be_a_table_a_file_or_a_dataset(form, search_here, tmp_path):
    data = hpsearch.load(visits(), target="ill", drop="group")
    rows = visits().tail(15)
    rows.to_csv(tmp_path / "test.csv", index=False)
    test_data = {
        "frame": rows,
        "file": tmp_path / "test.csv",
        "dataset": hpsearch.load(rows, schema=data.schema),
    }[form]
    run = search_here(data, trials=1, test_data=test_data)
    assert run.settings["test_rows"] == 15
    assert len(run.predictions) == 40
    predicted = hpsearch.predict(run, rows)["probability.yes"].to_numpy()
    found = score("accuracy", data.y[-15:], predicted, kind="binary")
    assert_allclose(run.best["test"]["accuracy"], found)


def test_test_data_of_another_schema_is_refused(search_here):
    data = hpsearch.load(visits(), target="ill", drop="group")
    other = hpsearch.load(visits(), target="ill")
    with pytest.raises(OptionError, match=r"schema of the data.*schema=data\.schema"):
        search_here(data, test_data=other)


def test_patience_ends_a_trial_early(search_here):
    data = hpsearch.load(visits(), target="ill", drop="group")
    run = search_here(data, build_at_rest, trials=1, epochs=9, patience=2)
    assert run.trials["epochs"].tolist() == [3]
    assert run.folds["epochs"].tolist() == [3, 3]
    assert len(run.curves) == 3


def build_at_rest(hp, problem):
    """A network that learns nothing, so that no epoch is better than the first."""
    import keras

    model = keras.Sequential([keras.Input(problem.input_shape), keras.layers.Dense(1, "sigmoid")])
    model.compile(keras.optimizers.SGD(0.0), problem.loss, run_eagerly=True)
    return model


# -- the loop


def test_a_space_that_is_used_up_ends_the_search_with_a_note(search_here):
    recorder = Recorder()
    data = hpsearch.load(visits(), target="ill", drop="group")
    run = search_here(data, oracle="grid", trials=9, observer=recorder)
    assert sorted(run.trials["hp.units"]) == [2, 3, 4]
    assert any("no more than 3 different" in text for [text] in recorder.heard("note"))
    assert run.best["n_trials"] == 3


def build_with_a_rate(hp, problem):
    """Two structures, and a continuous range that an oracle can learn about."""
    import keras

    layers = [
        keras.Input(problem.input_shape),
        keras.layers.Dense(hp.Choice("units", [2, 3]), "tanh"),
        keras.layers.Dense(problem.n_outputs, activation=problem.output_activation),
    ]
    model = keras.Sequential(layers)
    rate = hp.Float("rate", 1e-3, 1.0, sampling="log", default=0.05)
    model.compile(keras.optimizers.SGD(rate), problem.loss, run_eagerly=True)
    return model


def drawn_rates(n):
    """The first learning rates of a random search."""
    from keras_tuner import HyperParameters

    hp = HyperParameters()
    hp.Choice("units", [2, 3])
    hp.Float("rate", 1e-3, 1.0, sampling="log", default=0.05)
    return [candidate.values["rate"] for candidate in sample(hp, n, seed=0)]


@pytest.mark.parametrize("oracle", ["bayesian", "tpe"])
def test_an_oracle_that_learns_draws_a_batch_and_then_proposes(search_here, oracle):
    data = hpsearch.load(visits(), target="ill", drop="group")
    run = search_here(data, build_with_a_rate, oracle=oracle, trials=10)
    rates = run.trials.set_index("trial")["hp.rate"].sort_index().tolist()
    assert rates[:8] == drawn_rates(8)
    assert not set(rates[8:]) & set(drawn_rates(10))
    assert run.settings["oracle"] == oracle
    package = {"bayesian": "scikit-learn", "tpe": "optuna"}[oracle]
    assert package in run.settings["versions"]


@pytest.mark.skipif(not find_spec("torch"), reason="needs hpsearch[gp]")
def test_the_oracle_on_pytorch_is_told_scores_as_well(search_here):
    data = hpsearch.load(visits(), target="ill", drop="group")
    run = search_here(data, build_with_a_rate, oracle="gp", trials=9)
    [proposed] = run.trials.loc[run.trials["trial"] == 8, "hp.rate"]
    assert proposed not in drawn_rates(9)
    assert {"optuna", "torch"} <= run.settings["versions"].keys()


def test_hyperband_scores_brackets_of_a_random_search(search_here):
    data = hpsearch.load(visits(), target="ill", drop="group")
    run = search_here(data, build_with_a_rate, oracle="hyperband", trials=5, epochs=9)
    trials = run.trials.set_index("trial").sort_index()
    assert trials["hp.rate"].tolist() == drawn_rates(5)
    assert trials.loc[run.best["trial"], "epochs"] == 9


def test_a_high_score_is_good_to_an_oracle_where_it_is_to_the_metric(search_here, monkeypatch):
    plans = []

    def noted(name, hp, plan):
        plans.append(plan)
        return make_oracle(name, hp, plan)

    monkeypatch.setattr("hpsearch.search.execution.make_oracle", noted)
    data = hpsearch.load(visits(), target="ill", drop="group")
    search_here(data, trials=1, metric="accuracy", epochs=2, seed=3)
    assert plans == [OraclePlan(seed=3, max_trials=1, epochs=2, direction="max", first=({},))]


def build_that_may_fail(hp, problem):
    """Of four configurations two fail, though not the default one."""
    units = hp.Choice("units", [2, 3, 4, 5])
    if units == 3:
        raise RuntimeError("this configuration cannot be built")
    model = build(hp, problem)
    model.optimizer.learning_rate = 1e30 if units == 4 else 0.01
    return model


def test_failed_trials_are_recorded_with_their_reasons_and_the_others_go_on(search_here):
    run = search_here(regression(), build_that_may_fail, oracle="grid", trials=4)
    failed = run.trials.set_index("hp.units").loc[[3, 4]]
    assert (failed["status"] == "failed").all()
    assert "this configuration cannot be built" in failed["error"][3]
    assert "diverged" in failed["error"][4]
    assert failed["rank"].isna().all()
    assert run.trials["status"].tolist() == ["completed", "completed", "failed", "failed"]
    assert set(run.folds["trial"]) == set(run.trials["trial"][:2])


def build_that_may_not_be_savable(hp, problem):
    import keras

    model = build(hp, problem)
    if hp.Boolean("doubled"):
        rows = keras.layers.Lambda(lambda x: 2 * x)(model.inputs[0])
        model = keras.Model(model.inputs, keras.layers.Dense(problem.n_outputs)(rows))
        model.compile("sgd", problem.loss, run_eagerly=True)
    return model


def test_a_trial_that_could_not_be_saved_fails_before_it_trains(search_here):
    space, fix = build_that_may_not_be_savable, {"units": 2}
    run = search_here(regression(), space, oracle="grid", trials=2, fix=fix)
    assert run.best["hyperparameters"]["doubled"] is False
    [failed] = run.trials[run.trials["status"] == "failed"].to_dict("records")
    assert failed["hp.doubled"]
    assert "contains a lambda and a saved model with it cannot be loaded" in failed["error"]
    assert set(run.folds["trial"]) == {run.best["trial"]}


def build_with_a_training_of_ones_own(hp, problem):
    import keras

    class Careful(keras.optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            super().update_step(keras.ops.clip(gradient, -0.5, 0.5), variable, learning_rate)

    class Bias(keras.metrics.Mean):
        def update_state(self, y, predicted, sample_weight=None):
            return super().update_state(predicted - y)

    def fourth_power(y, predicted):
        return keras.ops.mean((y - predicted) ** 4, axis=-1)

    losses = {"function": fourth_power, "lambda": lambda y, p: fourth_power(y, p)}
    model = build(hp, problem)
    loss = losses[hp.Choice("loss", list(losses))]
    metrics = [Bias(), lambda y, predicted: keras.ops.abs(y - predicted)]
    model.compile(Careful(0.1), loss, metrics=metrics, run_eagerly=True)
    return model


def test_losses_metrics_and_optimizers_of_ones_own_train_and_are_not_exported(search_here):
    space, fix = build_with_a_training_of_ones_own, {"units": 2}
    run = search_here(regression(), space, oracle="grid", trials=2, fix=fix, scale_target=True)
    assert run.trials["status"].tolist() == ["completed", "completed"]
    model = hpsearch.load_model(run)
    assert not model.compiled
    assert np.isfinite(hpsearch.predict(run, regression().frame).to_numpy()).all()


def regression():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(30, 2))
    return hpsearch.load(x, 100 + x @ [3.0, -1.0], name="line")


def build_with_two_outputs(hp, problem):
    """Two outputs for two values: their losses have names, and one counts more."""
    import keras

    rows = keras.Input(problem.input_shape)
    hidden = keras.layers.Dense(hp.Choice("units", [2, 3, 4]), "tanh")(rows)
    outputs = [keras.layers.Dense(1, name=name)(hidden) for name in ("rent", "size")]
    model = keras.Model(rows, outputs)
    loss, weights = {"rent": "mae", "size": "mse"}, {"rent": 0.5, "size": 2.0}
    model.compile(keras.optimizers.SGD(0.2), loss, weights, run_eagerly=True)
    return model


def flats():
    """A table with two targets of very different size."""
    rng = np.random.default_rng(5)
    rooms, age = rng.normal(size=(2, 36))
    return pd.DataFrame({"rooms": rooms, "age": age, "rent": 900 + 300 * rooms, "size": 3 - age})


def build_with_epochs_under_if(hp, problem):
    if hp.Boolean("deep"):
        hp.Int("epochs", 4, 5)
    return build(hp, problem)


def test_epochs_that_a_trial_did_not_declare_do_not_steer_it(search_here):
    data = hpsearch.load(visits(), target="ill")
    run = search_here(data, build_with_epochs_under_if, trials=4, oracle="grid", fix={"units": 2})
    declared = run.trials["hp.deep"].astype(bool)
    assert set(run.trials["epochs"][~declared]) == {BUDGET["epochs"]}
    assert (run.trials["epochs"] == run.trials["hp.epochs"])[declared].all()
    assert 0 < declared.sum() < len(declared)


HALF_PRECISION = """
import keras

keras.config.set_dtype_policy("mixed_float16")


def build(hp, problem):
    layers = [keras.Input(problem.input_shape), keras.layers.Dense(3, "tanh")]
    model = keras.Sequential([*layers, keras.layers.Dense(problem.n_outputs)])
    model.compile(keras.optimizers.SGD(0.1), problem.loss, run_eagerly=True)
    return model
"""


def test_a_search_in_half_precision_exports_a_model_that_needs_no_setting(search_here, tmp_path):
    (tmp_path / "half.py").write_text(HALF_PRECISION)
    with keras_settings():
        run = search_here(regression(), tmp_path / "half.py", trials=1)
    model = hpsearch.load_model(run)
    [network] = (layer for layer in model.layers if hasattr(layer, "layers"))
    assert {layer.dtype_policy.name for layer in network.layers[-2:]} == {"mixed_float16"}
    assert model.output.dtype == "float32"
    predicted = hpsearch.predict(run, regression().frame).iloc[:, 0]
    assert np.isfinite(predicted).all()
    assert abs(predicted.mean() - 100) < 5


def test_a_search_with_several_outputs_exports_a_model_that_gives_every_target(search_here):
    data = hpsearch.load(flats(), target=["rent", "size"])
    run = search_here(data, build_with_two_outputs, epochs=6)
    assert (run.trials["status"] == "completed").all()
    assert list(run.predictions)[3:] == ["y_true.rent", "y_true.size", "y_pred.rent", "y_pred.size"]
    errors = [
        run.predictions[f"y_pred.{n}"] - run.predictions[f"y_true.{n}"] for n in data.target.names
    ]
    of_folds = pd.concat(errors, axis=1).abs().groupby(run.predictions["fold"]).mean()
    assert_allclose(of_folds.to_numpy().mean(), run.trials["score"][0], rtol=1e-6)
    predicted = hpsearch.predict(run, flats())
    assert list(predicted) == ["rent", "size"]
    # Both are learnt, each in its own units.
    assert np.corrcoef(predicted["rent"], flats()["rent"])[0, 1] > 0.5
    assert np.corrcoef(predicted["size"], flats()["size"])[0, 1] > 0.5


def build_that_diverges(hp, problem):
    import keras

    hp.Choice("units", [1, 2])
    model = keras.Sequential([keras.Input(problem.input_shape), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1e30), problem.loss, run_eagerly=True)
    return model


def test_a_search_without_a_completed_trial_fails_and_keeps_its_tables(search_here, tmp_path):
    recorder = Recorder()
    with pytest.raises(SearchFailedError, match=r"All 2 trials failed.*diverged.*trials\.csv"):
        search_here(regression(), build_that_diverges, observer=recorder)
    trials = pd.read_csv(tmp_path / "run" / "trials.csv")
    assert trials["status"].tolist() == ["failed", "failed"]
    assert (tmp_path / "run" / "run.json").is_file()
    assert recorder.heard("search_ended") == [(None,)]
    with pytest.raises(InputError, match="all its trials failed"):
        hpsearch.open_run(tmp_path / "run")


def tables_of(run):
    return {name: (run.path / name).read_bytes() for name in TABLES if name != "timings.csv"}


def test_another_seed_gives_other_tables_and_the_same_seed_the_same(search_here, tmp_path):
    first, again, other = (
        tables_of(search_here(regression(), trials=2, seed=seed, out=tmp_path / name))
        for name, seed in (("first", 0), ("again", 0), ("other", 1))
    )
    assert first == again
    assert all(first[name] != other[name] for name in first)


def test_a_metric_to_maximise_selects_the_largest_score(search_here):
    data = hpsearch.load(visits(), target="ill", drop="group")
    run = search_here(data, metric="roc_auc")
    assert run.trials["score"].is_monotonic_decreasing
    assert run.best["metric"] == "roc_auc"
    assert run.best["direction"] == "max"


def test_results_go_to_a_folder_named_after_the_data(train_here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with train_here():
        run = hpsearch.Search(build, **BUDGET | {"trials": 1}, engine="reference").run(regression())
    assert run.path.as_posix() == "results/line"


# -- refused before any training


def build_nothing(hp, problem):
    return None


def build_that_raises(hp, problem):
    raise KeyError("no_such_column")


def build_uncompiled(hp, problem):
    import keras

    return keras.Sequential([keras.Input(problem.input_shape), keras.layers.Dense(1)])


def build_with_a_lambda(hp, problem):
    import keras

    layers = [keras.Input(problem.input_shape), keras.layers.Lambda(lambda x: x)]
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def build_for_another_input(hp, problem):
    import keras

    model = keras.Sequential([keras.Input((77,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize(
    ("space", "reason"),
    [
        (build_nothing, "returned NoneType"),
        (build_that_raises, "no_such_column"),
        (build_uncompiled, "must compile its network"),
        (build_with_a_lambda, "a lambda"),
        (build_for_another_input, "77"),
    ],
)
def test_a_space_that_cannot_work_is_refused_and_leaves_no_folder(
    space, reason, search_here, tmp_path
):
    recorder = Recorder()
    with pytest.raises(SpaceError, match=reason):
        search_here(regression(), space, observer=recorder)
    assert recorder.heard("search_started") == []
    assert list(tmp_path.iterdir()) == []


def test_a_fix_that_the_space_does_not_know_is_refused(search_here, tmp_path):
    with pytest.raises(SpaceError, match="no hyperparameter 'unitz'"):
        search_here(regression(), fix={"unitz": 3})
    assert list(tmp_path.iterdir()) == []


def test_a_used_folder_is_refused_and_overwritten_on_request_only(search_here):
    run = search_here(regression(), trials=1)
    before = tables_of(run)
    with pytest.raises(RunExistsError, match="already holds a run"):
        search_here(regression(), trials=2)
    assert tables_of(run) == before
    assert len(search_here(regression(), trials=2, overwrite=True).trials) == 2


def test_a_run_is_not_overwritten_by_a_search_that_cannot_start(search_here):
    run = search_here(regression(), trials=1)
    before = tables_of(run)
    with pytest.raises(SpaceError):
        search_here(regression(), build_nothing, overwrite=True)
    assert tables_of(run) == before
    assert hpsearch.open_run(run.path).best["trial"] == 0


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"trials": 0}, "`trials` must be a whole number of at least 1"),
        ({"epochs": 2.5}, "`epochs` must be a whole number"),
        ({"folds": True}, "`folds` must be a whole number"),
        ({"seed": -1}, "`seed` must be a whole number of at least 0"),
        ({"jobs": 0}, "`jobs` must be"),
        ({"patience": 0}, "`patience` must be"),
        ({"trial_timeout": 0}, "`trial_timeout` is a number of seconds above 0"),
        ({"trial_timeout": float("nan")}, "`trial_timeout` is a number of seconds above 0"),
        ({"oracle": "oracle"}, "no oracle called 'oracle'"),
        ({"oracle": "hyperband", "epochs": 8}, "needs at least 9 epochs; received --epochs 8"),
        ({"engine": "steam"}, "`engine` is one of"),
        ({"test_data": "a.csv", "test_size": 0.2}, "received both"),
    ],
)
def test_options_without_a_meaning_are_refused_at_once(options, rule):
    with pytest.raises(OptionError, match=rule):
        hpsearch.Search(**options)


def test_a_metric_that_does_not_suit_the_problem_is_refused(search_here, tmp_path):
    with pytest.raises(OptionError, match="must suit a regression problem"):
        search_here(regression(), metric="accuracy")
    assert list(tmp_path.iterdir()) == []


# -- in worker processes

SPACE = """
def build(hp, problem):
    import keras

    layers = [
        keras.Input(problem.input_shape),
        keras.layers.Dense(3, "relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(problem.n_outputs, problem.output_activation),
    ]
    model = keras.Sequential(layers)
    rate = hp.Float("rate", 1e-3, 1e-1, sampling="log")
    model.compile(keras.optimizers.Adam(rate), problem.loss)
    return model
"""


def test_the_tables_and_the_ledger_do_not_depend_on_the_number_of_processes(tmp_path):
    (tmp_path / "space.py").write_text(SPACE)
    data = hpsearch.load(visits(), target="ill", drop="group")
    options = BUDGET | {"nested": 2, "test_size": 0.2}
    one, two = (
        hpsearch.Search(
            tmp_path / "space.py", **options | {"jobs": jobs}, out=tmp_path / f"{jobs} jobs"
        ).run(data)
        for jobs in (1, 2)
    )
    for table in ("nested.csv", "baselines.csv"):
        assert (one.path / table).read_bytes() == (two.path / table).read_bytes()
    assert tables_of(one) == tables_of(two)
    assert one.best == two.best
    assert one.model_path.read_bytes() == two.model_path.read_bytes()


# --- the report and the model card


def test_a_search_leaves_a_report_and_a_model_card(search_here):
    run = search_here(hpsearch.load(visits(), target="ill"), test_size=0.2)
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert all(f'<section id="{name}"' in page for name in ("estimates", "curves", "predictions"))
    card = (run.path / "model_card.md").read_text(encoding="utf-8")
    known = run.manifest["ranges"]["age"]
    assert f"| age | number | {known[0]} to {known[1]} |" in card
    assert "| city | category | Lima, Oslo, Rome |" in card


def test_one_seed_gives_one_model_card(search_here, tmp_path):
    cards = [
        (
            search_here(hpsearch.load(visits(), target="ill"), out=tmp_path / name).path
            / "model_card.md"
        ).read_bytes()
        for name in ("a", "b")
    ]
    assert cards[0] == cards[1]


def test_a_report_that_fails_costs_a_warning_and_nothing_else(search_here, monkeypatch):
    def fail(run, path=None):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("hpsearch.results.reporting.write_report", fail)
    observer = Recorder()
    run = search_here(hpsearch.load(visits(), target="ill"), observer=observer)
    [[warning]] = [w for w in observer.heard("warn") if "report" in w[0]]
    assert "ZeroDivisionError: a bug" in warning
    assert f"`hpsearch report {run.path}` tries again" in warning
    assert not (run.path / "report.html").exists()
    assert observer.heard("search_ended") == [(run,)]
    assert all((run.path / name).is_file() for name in (*TABLES, *DOCUMENTS))


def test_the_report_says_how_to_read_the_table_again(search_here, tmp_path):
    visits().to_csv(tmp_path / "visits.csv", index=False)
    data = hpsearch.load(tmp_path / "visits.csv", target="ill", drop=["group"])
    page = (search_here(data).path / "report.html").read_text(encoding="utf-8")
    said = f"hpsearch run {tmp_path / 'visits.csv'} --target ill --drop group --space SPACE.py"
    assert said in page
    assert "which was a Python object" in page
