"""The command line as a person uses it: one small search, then everything that follows it."""

import io
import json

import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.cli import main
from tests.command_line import hpsearch_command

BUDGET = (
    *("--trials", 2, "--folds", 2, "--repeats", 1, "--epochs", 2, "--jobs", 1),
    *("--fix", "n_layers=1", "--quiet"),
)


def visits(n):
    """A table with numbers, categories, missing cells and a text target."""
    random = np.random.default_rng(0)
    age = random.normal(50, 10, n).round(1)
    city = random.choice(["Rome", "Oslo"], n)
    ill = np.where(age + 8 * (city == "Oslo") + random.normal(0, 3, n) > 54, "yes", "no")
    age[::9] = np.nan
    return pd.DataFrame({"age": age, "city": city, "ill": ill})


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A folder with a table and the run of a search on it, and what the search printed."""
    folder = tmp_path_factory.mktemp("search")
    visits(60).to_csv(folder / "visits.csv", index=False)
    visits(60).drop(columns="ill").head(5).to_csv(folder / "new.csv", index=False)
    done = hpsearch_command("run", "visits.csv", "--target", "ill", *BUDGET, folder=folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_a_quiet_search_prints_its_result_in_one_line(searched):
    _, done = searched
    assert done.stdout.startswith("results/visits: trial ")
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_a_search_leaves_every_file_it_names(searched):
    folder, _ = searched
    tables = {f"{name}.csv" for name in ("trials", "folds", "curves", "predictions", "timings")}
    documents = {"run.json", "best.json", "model.json", "model.keras", "journal.sqlite", ".lock"}
    documents |= {"report.html", "model_card.md", "baselines.csv"}
    assert {path.name for path in (folder / "results/visits").iterdir()} == tables | documents


def test_the_tables_agree_with_each_other(searched):
    folder, _ = searched
    run = hpsearch.open_run(folder / "results/visits")
    assert run.trials["trial"].tolist()[0] == run.best["trial"]
    means = run.folds.groupby("trial")["val_log_loss"].mean()
    scores = run.trials.set_index("trial")["score"]
    assert means.to_dict() == pytest.approx(scores.to_dict(), rel=1e-9)
    assert sorted(run.predictions["row"]) == list(range(60))


def test_tables_read_plainly_are_the_tables_of_the_run(searched):
    folder, _ = searched
    plain = pd.read_csv(folder / "results/visits/trials.csv")
    run = hpsearch.open_run(folder / "results/visits")
    pd.testing.assert_frame_equal(plain, run.trials, check_exact=True)


@pytest.fixture(scope="module")
def shown(searched):
    """What ``hpsearch show`` prints."""
    folder, _ = searched
    return hpsearch_command("show", "results/visits", folder=folder).stdout


def test_show_prints_the_run(searched, shown):
    folder, _ = searched
    best = json.loads((folder / "results/visits/best.json").read_text(encoding="utf-8"))
    assert f"selected: trial {best['trial']}" in shown
    assert "visits, binary, 60 rows, 2 columns" in shown


def test_show_prints_the_ledger_with_the_naive_error_struck(shown):
    assert "on new rows expect log_loss" in shown
    [naive] = [line for line in shown.splitlines() if "folds were independent" in line]
    assert naive.count("~~") == 4
    for line in ("corrected for choosing", "class frequencies", "logistic regression", "variance"):
        assert line in shown


def test_the_ledger_is_in_python_as_it_is_in_the_file(searched):
    folder, _ = searched
    run = hpsearch.open_run(folder / "results/visits")
    ledger = run.ledger
    assert ledger.to_json() == run.best["ledger"]
    assert ledger.mean.value == run.best["score"]
    assert ledger.mean.corrected.se == run.best["score_se"]
    assert len(run.baselines) == 4 * 2
    names = [baseline.name for baseline in ledger.baselines]
    assert names == ["constant", "linear", "trees", "small_trees"]
    assert ledger.bias_corrected.of_epochs
    assert run.nested is None


def test_predict_reads_raw_rows_and_prints_labels(searched):
    folder, _ = searched
    done = hpsearch_command("predict", "results/visits", "new.csv", "-o", "out.csv", folder=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    predicted = pd.read_csv(folder / "out.csv")
    assert predicted.columns.tolist() == ["prediction", "probability.no", "probability.yes"]
    chosen = np.where(predicted["probability.yes"] >= 0.5, "yes", "no")
    assert predicted["prediction"].tolist() == chosen.tolist()


def test_predict_names_a_column_that_is_missing(searched):
    folder, _ = searched
    visits(3)[["age"]].to_csv(folder / "narrow.csv", index=False)
    done = hpsearch_command("predict", "results/visits", "narrow.csv", folder=folder)
    assert done.returncode == 2
    assert "city" in one_line(done)


TWO_HEADS = """
def build(hp, problem):
    import keras

    rows = keras.Input(problem.input_shape)
    hidden = keras.layers.Dense(hp.Choice("units", [4, 8]), "tanh")(rows)
    heads = [keras.layers.Dense(1, name=name)(hidden) for name in ("rent", "size")]
    model = keras.Model(rows, heads)
    model.compile("adam", loss={"rent": "mae", "size": "mse"}, loss_weights=[1.0, 0.5])
    return model
"""


def test_a_network_with_two_outputs_is_searched_exported_and_reloaded(tmp_path):
    rng = np.random.default_rng(5)
    rooms, age = rng.normal(size=(2, 40))
    flats = pd.DataFrame({"rooms": rooms, "age": age, "rent": 900 + 300 * rooms, "size": 3 - age})
    flats.to_csv(tmp_path / "flats.csv", index=False)
    (tmp_path / "two_heads.py").write_text(TWO_HEADS)
    done = hpsearch_command(
        *("run", "flats.csv", "--target", "rent", "--target", "size", "--space", "two_heads.py"),
        *("--engine", "fused", "--trials", 2, "--folds", 2, "--repeats", 1, "--epochs", 3),
        *("--jobs", 1, "--quiet"),
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    run = hpsearch.open_run(tmp_path / "results/flats")
    assert (run.trials["status"] == "completed").all()
    model = hpsearch.load_model(run)
    numbers = flats[["rooms", "age"]].to_numpy(np.float32)
    outputs = np.asarray(model.predict_on_batch({"numbers": numbers}))
    assert list(hpsearch.predict(run, flats)) == ["rent", "size"]
    np.testing.assert_allclose(hpsearch.predict(run, flats).to_numpy(), outputs, rtol=1e-6)


PREPARING = """
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, TargetEncoder


class Clipped(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return np.clip(X, -2, 2)


def make():
    ages = make_pipeline(SimpleImputer(), StandardScaler(), Clipped())
    return make_column_transformer((ages, ["age"]), (TargetEncoder(), ["city"]))
"""
BY_NAME = """
def build(hp, problem):
    import keras

    rows = keras.Input(problem.inputs["prepared"].shape, name="prepared")
    hidden = keras.layers.Dense(hp.Choice("units", [4, 8]), "tanh")(rows)
    model = keras.Model(rows, keras.layers.Dense(1, problem.output_activation)(hidden))
    model.compile("adam", loss=problem.loss)
    return model
"""


def test_a_preprocessing_of_ones_own_is_searched_kept_and_predicts(tmp_path, capsys):
    visits(60).to_csv(tmp_path / "visits.csv", index=False)
    visits(60).drop(columns="ill").head(5).to_csv(tmp_path / "new.csv", index=False)
    (tmp_path / "prep.py").write_text(PREPARING)
    (tmp_path / "by_name.py").write_text(BY_NAME)
    done = hpsearch_command(
        *("run", "visits.csv", "--target", "ill", "--preprocess", "prep.py"),
        *("--space", "by_name.py", *BUDGET[:-3], "--no-baselines", "--quiet"),
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    (tmp_path / "prep.py").unlink()
    assert main(["show", str(tmp_path / "results/visits")]) == 0
    assert "prep.py, fitted fold by fold: 2 features" in capsys.readouterr().out
    done = hpsearch_command("predict", "results/visits", "new.csv", "--trust", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    here = hpsearch.predict(tmp_path / "results/visits", tmp_path / "new.csv", trust=True)
    there = pd.read_csv(io.StringIO(done.stdout))
    pd.testing.assert_frame_equal(here, there, check_exact=False, rtol=1e-5, check_dtype=False)


def test_a_used_folder_is_refused_before_any_training(searched):
    folder, _ = searched
    out = ["--out", "results/visits"]
    done = hpsearch_command("run", "visits.csv", "--target", "ill", *BUDGET, *out, folder=folder)
    assert done.returncode == 2
    assert "already holds a run" in one_line(done)


def test_a_value_that_the_space_has_not_is_one_line_and_exit_code_2(searched):
    folder, _ = searched
    options = ("--target", "ill", "--fix", "n_layers=900")
    done = hpsearch_command("run", "visits.csv", *options, folder=folder)
    assert done.returncode == 2
    assert "n_layers" in one_line(done)


def one_line(done):
    """The one line on standard error that says what is wrong."""
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")
