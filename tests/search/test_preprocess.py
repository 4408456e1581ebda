"""A preprocessing of one's own in a search: by command line and in Python, kept, and gone on with.

What is trained is pretended here; engines are proved on rows of each fold in ``tests/engines``.
"""

import json
import shutil
import sys

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler, TargetEncoder

import hpsearch
from hpsearch.errors import InputError, ModelFileError, OptionError, TransformerError
from tests.machines_here import MachinesHere
from tests.pretended import pretend

cloudpickle.register_pickle_by_value(sys.modules[__name__])

SPACE = """
def declare(hp, problem):
    hp.Choice("rate", [0.02, 0.03, 0.05, 0.06, 0.1, 0.2])


def build(hp, problem):
    raise NotImplementedError
"""
FILE = """
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer, TargetEncoder

from parts import Clipped


def make():
    numbers = make_pipeline(SimpleImputer(), SplineTransformer(4), Clipped(1.0))
    return make_column_transformer((numbers, ["age", "size"]), (TargetEncoder(), ["town"]))
"""
PARTS = """
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin


class Clipped(TransformerMixin, BaseEstimator):
    def __init__(self, most):
        self.most = most

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return np.minimum(X, self.most)
"""
BUDGET = {"trials": 2, "folds": 3, "repeats": 1, "epochs": 3, "batch_size": 12, "jobs": 1}


def people(n_rows=48, seed=0):
    """Rows of a few people; those of other seeds lie within the first one's range."""
    rng = np.random.default_rng(seed)
    low, high = (0, 1) if seed == 0 else (0.1, 0.9)
    age = np.quantile(rng.normal(50, 10, 999), rng.uniform(low, high, n_rows)).round(1)
    size = rng.uniform(2 * low - 1, 2 * high - 1, n_rows).round(2)
    town = rng.choice(list("abc"), n_rows)
    ill = np.where(age + 8 * size + 5 * (town == "a") + rng.normal(0, 3, n_rows) > 52, "yes", "no")
    age[3] = np.nan
    return pd.DataFrame({"age": age, "size": size, "town": town, "ill": ill})


def encoder(*, splits=()):
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    levels = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_column_transformer((numbers, ["age", "size"]), (levels, ["town"]))


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """Tasks run in this process."""
    monkeypatch.setattr("hpsearch.scoring.crew.machines", MachinesHere)
    with pretend():
        yield


@pytest.fixture
def folder(tmp_path):
    people().to_csv(tmp_path / "people.csv", index=False)
    (tmp_path / "space.py").write_text(SPACE)
    (tmp_path / "prep.py").write_text(FILE)
    (tmp_path / "parts.py").write_text(PARTS)
    return tmp_path


def searched(folder, preprocess, name="run", data=None, **options):
    search = hpsearch.Search(
        folder / "space.py",
        **{**BUDGET, **options},
        engine="pretended",
        preprocess=preprocess,
        out=folder / name,
        quiet=True,
        reports=False,
    )
    return search.run(hpsearch.load(people(), target="ill") if data is None else data)


def test_what_scikit_learn_alone_holds_is_loaded_as_the_model_is(folder):
    run = searched(folder, encoder())
    kept = run.manifest["preprocess"]
    assert (kept["file"], kept["form"], kept["shape"]) == ("transformer.skops", "skops", [5])
    assert kept["features"][:2] == ["pipeline__age", "pipeline__size"]
    assert set(kept["versions"]) >= {"scikit-learn", "numpy", "pandas", "skops"}
    assert run.settings["preprocess"]["shape"] == [5]
    [given] = run.manifest["inputs"]
    assert (given["name"], given["shape"]) == ("prepared", [5])
    new = people(seed=1).drop(columns="ill")
    said = hpsearch.predict(run, new)
    assert_array_equal(said, hpsearch.predict(run, new.iloc[:, ::-1]))
    assert len(said) == 48


def test_the_same_search_writes_the_same_bytes(folder):
    one, other = (searched(folder, encoder(), name) for name in ("one", "other"))
    for file in ("transformer.skops", "trials.csv", "predictions.csv", "model.json"):
        assert (one.path / file).read_bytes() == (other.path / file).read_bytes()


def test_own_classes_are_loaded_where_they_are_trusted_without_their_file(folder):
    run = searched(
        folder, folder / "prep.py", data=hpsearch.load(folder / "people.csv", target="ill")
    )
    for name in ("prep.py", "parts.py"):
        (folder / name).unlink()
    assert run.manifest["preprocess"]["file"] == "transformer.joblib"
    new = people(seed=1).drop(columns="ill")
    with pytest.raises(OptionError, match=r"'prep.py' is kept in transformer.joblib, which runs"):
        hpsearch.predict(run, new)
    said = hpsearch.predict(run, new, trust=True)
    assert said["probability.yes"].between(0, 1).all()


def test_a_transformer_of_a_script_is_kept_with_its_class(folder):
    run = searched(folder, Shifted(1.0))
    with pytest.raises(OptionError, match="Add --trust"):
        hpsearch.predict(run, people())
    assert len(hpsearch.predict(run, people(), trust=True)) == 48


class Shifted(TransformerMixin, BaseEstimator):
    def __init__(self, by):
        self.by = by

    def fit(self, X, y=None):
        self.mean_ = X[["age", "size"]].mean().to_numpy()
        return self

    def transform(self, X):
        return np.nan_to_num((X[["age", "size"]].to_numpy() - self.mean_) / 10) + self.by


def test_another_file_than_the_run_wrote_is_not_loaded(folder):
    run = searched(folder, folder / "prep.py")
    (run.path / "transformer.joblib").write_bytes(b"another one")
    with pytest.raises(ModelFileError, match=r"transformer.joblib must be the file that the run"):
        hpsearch.predict(hpsearch.open_run(run.path), people(), trust=True)
    (run.path / "transformer.joblib").unlink()
    with pytest.raises(ModelFileError, match=r"needs its transformer, the file transformer.joblib"):
        hpsearch.predict(hpsearch.open_run(run.path), people(), trust=True)


def test_statistics_of_a_fold_are_learnt_from_its_training_rows_alone(folder):
    data = hpsearch.load(people(), target="ill")
    how = {"preprocess": encoder(), "engine": "pretended", "quiet": True, "epochs": 2}
    found = hpsearch.cross_validate(folder / "space.py", data, cv=3, **how)
    same = hpsearch.cross_validate(folder / "space.py", data, cv=3, **{**how, "jobs": 2})
    assert_array_equal(found.predictions, same.predictions)


def test_widths_of_folds_may_differ_and_it_is_said(folder):
    rare = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["town"]),
        (make_pipeline(SimpleImputer(), StandardScaler()), ["age"]),
    )
    frame = people()
    frame.loc[0, "town"] = "z"  # of one fold's validation rows alone
    notes = []

    class Noted(hpsearch.Observer):
        def note(self, text):
            notes.append(text)

    search = hpsearch.Search(
        folder / "space.py",
        **BUDGET,
        engine="pretended",
        preprocess=rare,
        out=folder / "run",
        observer=Noted(),
        reports=False,
    )
    run = search.run(hpsearch.load(frame, target="ill"))
    assert run.settings["preprocess"]["shape"] == [5]
    assert "It gives 4 to 5 features, as the fold has it; narrower rows end in zeros." in notes
    assert any("in place of all columns but arrays" in note for note in notes)


def test_a_run_goes_on_with_its_transformer_and_no_other(folder):
    data = hpsearch.load(folder / "people.csv", target="ill")
    run = searched(folder, folder / "prep.py", data=data)
    whole = searched(folder, folder / "prep.py", "whole", data=data, trials=4)
    grown = hpsearch.resume(run.path, trials=4, quiet=True)
    assert_array_equal(grown.predictions, whole.predictions)
    assert_array_equal(
        (grown.path / "model.json").read_bytes(), (whole.path / "model.json").read_bytes()
    )
    (folder / "parts.py").write_text(f"{PARTS}# changed\n")
    with pytest.raises(InputError, match=r"parts.py, imported by the transformer 'prep.py'"):
        hpsearch.resume(run.path, trials=5, quiet=True)
    with pytest.raises(InputError, match="changed: "):
        hpsearch.resume(run.path, preprocess=encoder(), trials=5, quiet=True)
    (folder / "prep.py").unlink()  # then what the journal remembers goes on
    assert len(hpsearch.resume(run.path, trials=5, quiet=True).trials) == 5


def test_a_transformer_of_python_must_be_given_again(folder):
    run = searched(folder, encoder(), data=hpsearch.load(folder / "people.csv", target="ill"))
    with pytest.raises(OptionError, match=r"given as a Python object.*preprocess="):
        hpsearch.resume(run.path, trials=3, quiet=True)
    assert len(hpsearch.resume(run.path, preprocess=encoder(), trials=3, quiet=True).trials) == 3
    other = encoder().set_params(pipeline__standardscaler__with_mean=False)
    with pytest.raises(InputError, match="the source of the transformer 'ColumnTransformer'"):
        hpsearch.resume(run.path, preprocess=other, trials=4, quiet=True)


def test_the_command_that_makes_a_run_again_has_the_transformer(folder):
    run = searched(
        folder, folder / "prep.py", data=hpsearch.load(folder / "people.csv", target="ill")
    )
    assert f"--preprocess {folder / 'prep.py'}" in run.settings["command"]


def test_test_rows_are_prepared_as_the_model_prepares_them(folder):
    run = searched(folder, encoder(), test_data=people(seed=1))
    said = hpsearch.predict(run, people(seed=1))
    right = (said["prediction"] == people(seed=1)["ill"]).mean()
    assert_allclose(run.best["test"]["accuracy"], right)


def test_a_nested_search_prepares_its_outer_rows(folder):
    run = searched(folder, encoder(), nested=2)
    assert run.nested["outer_score"].notna().all()


def test_an_ensemble_of_seeds_or_trials_has_one_transformer_and_one_of_folds_is_refused(folder):
    run = searched(folder, encoder(), ensemble=2)
    assert len(hpsearch.predict(run, people())) == 48
    with pytest.raises(OptionError, match="`--ensemble folds` puts the networks of all folds"):
        searched(folder, encoder(), "other", ensemble="folds")


def test_arrays_stay_beside_what_a_transformer_gives(folder):
    frame = people()
    frame["trace"] = [*np.random.default_rng(0).normal(size=(48, 4, 2))]
    data = hpsearch.load(frame, target="ill")
    run = searched(folder, encoder(), data=data)
    assert [given["name"] for given in run.manifest["inputs"]] == ["array_0", "prepared"]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda X: X[["size"]].iloc[: len(X) - (len(X) == 32)], "fold 0 of repeat 0 it gave 31"),
        (lambda X: X[["size"]] / (len(X) != 48), "in all rows, 48 are not, such as"),
        (lambda X: X["height"], "raised KeyError in its fit on fold 0 of repeat 0"),
        (lambda X: np.ones((len(X), 1 + (len(X) == 48), 2)), r"in fold 0 of repeat 0 they have"),
    ],
)
def test_a_transformer_that_fails_on_a_fold_ends_the_search_before_any_training(
    function, said, folder
):
    with pytest.raises(TransformerError, match=said) as refusal:
        searched(folder, FunctionTransformer(function))
    assert "\n" not in str(refusal.value)
    assert not (folder / "run" / "journal.sqlite").exists()


def test_what_nothing_but_chance_decides_is_refused(folder):
    def noisy(X):
        return np.random.default_rng().normal(size=(len(X), 2))

    with pytest.raises(TransformerError, match="must give the same when it is fitted on the same"):
        searched(folder, FunctionTransformer(noisy))


def test_what_cannot_be_saved_is_refused_before_any_training(folder):
    class Locked(Shifted):
        def fit(self, X, y=None):
            import threading

            self.lock_ = threading.Lock()
            return super().fit(X, y)

    with pytest.raises(TransformerError, match="is saved beside the model, and cannot be"):
        searched(folder, Locked(1.0))


@pytest.mark.parametrize("given", [3, "prep", [PCA()]])
def test_what_is_no_transformer_is_refused(given, folder):
    with pytest.raises(InputError, match=r"`preprocess` is a .py file with a function make\(\)"):
        searched(folder, given)


def test_a_table_of_arrays_alone_is_refused(folder):
    images = hpsearch.load(np.random.default_rng(0).random((24, 4, 4)), np.arange(24) % 2)
    with pytest.raises(TransformerError, match="the table has none, but arrays alone"):
        searched(folder, PCA(2), data=images)


def test_other_formats_say_that_they_hold_no_transformer(folder):
    from hpsearch.export.bundle import Bundle
    from hpsearch.export.formats._child import written

    run = searched(folder, encoder())
    with pytest.raises(OptionError, match="No other format holds a transformer of one's own"):
        written("onnx", Bundle.of(run), folder / "model.onnx")


def test_the_card_and_the_view_say_what_stands_before_the_model(folder):
    run = searched(folder, encoder())
    card = (run.path / "model_card.md").read_text()
    assert "transformer.skops" in card
    assert json.loads((run.path / "model.json").read_text())["preprocess"]["code_sha256"]
    shutil.rmtree(run.path)


def test_encoders_that_read_the_target_leave_it_to_other_rows(folder):
    frame = people(60)
    frame["town"] = [f"t{number % 20}" for number in range(60)]  # three rows of each
    targets = make_column_transformer((TargetEncoder(), ["town"]))
    run = searched(folder, targets, data=hpsearch.load(frame, target="ill"))
    assert run.manifest["preprocess"]["shape"] == [1]
