"""A preprocessing of one's own in a search: by command line and in Python, kept, and gone on with.

What is trained is pretended here; engines are proved on rows of each fold in ``tests/engines``.
"""

import pickle
import shutil
import sys
from dataclasses import replace
from pathlib import Path

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
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

import hpsearch
from hpsearch.errors import InputError, ModelFileError, OptionError, TransformerError
from hpsearch.export.bundle import Bundle
from hpsearch.export.formats._child import written
from hpsearch.report.parts.summary import again_section
from hpsearch.results.reporting import material_of

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


def encoder():
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    levels = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_column_transformer((numbers, ["age", "size"]), (levels, ["town"]))


@pytest.fixture(scope="module", autouse=True)
def here(pretend_here):
    """A quick engine, whose tasks run in this process."""
    with pretend_here():
        yield


def filled(folder):
    people().to_csv(folder / "people.csv", index=False)
    (folder / "space.py").write_text(SPACE)
    (folder / "prep.py").write_text(FILE)
    (folder / "parts.py").write_text(PARTS)
    return folder


@pytest.fixture
def folder(tmp_path):
    return filled(tmp_path)


@pytest.fixture(scope="module")
def of_object(tmp_path_factory):
    """A run behind a transformer that scikit-learn alone makes."""
    return searched(filled(tmp_path_factory.mktemp("object")), encoder(), test_data=people(seed=1))


@pytest.fixture(scope="module")
def of_file(tmp_path_factory):
    """A run behind classes of one's own, whose files are gone."""
    folder = filled(tmp_path_factory.mktemp("file"))
    data = hpsearch.load(folder / "people.csv", target="ill")
    run = searched(folder, folder / "prep.py", data=data)
    for name in ("prep.py", "parts.py"):
        (folder / name).unlink()
    return run


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


def test_what_scikit_learn_alone_holds_is_loaded_as_the_model_is(of_object):
    kept = of_object.manifest["preprocess"]
    assert (kept["file"], kept["form"], kept["shape"]) == ("transformer.skops", "skops", [5])
    assert kept["features"][:2] == ["pipeline__age", "pipeline__size"]
    assert set(kept["versions"]) >= {"scikit-learn", "numpy", "pandas", "skops"}
    assert of_object.settings["preprocess"]["shape"] == [5]
    assert "scikit-learn" in of_object.settings["versions"]
    [given] = of_object.manifest["inputs"]
    assert (given["name"], given["shape"]) == ("prepared", [5])
    new = people(seed=1).drop(columns="ill")
    said = hpsearch.predict(of_object, new)
    assert_array_equal(said, hpsearch.predict(of_object, new.iloc[:, ::-1]))
    right = (said["prediction"] == people(seed=1)["ill"]).mean()
    assert_allclose(of_object.best["test"]["accuracy"], right)


def test_the_same_search_writes_the_same_bytes_and_an_ensemble_has_the_same_transformer(
    of_object, folder
):
    same = searched(folder, encoder(), test_data=people(seed=1), ensemble=2)
    for file in ("transformer.skops", "trials.csv", "predictions.csv"):
        assert (same.path / file).read_bytes() == (of_object.path / file).read_bytes()
    assert len(hpsearch.predict(same, people())) == 48


def test_the_networks_of_folds_have_no_transformer_in_common(folder):
    with pytest.raises(OptionError, match="`--ensemble folds` puts the networks of all folds"):
        searched(folder, encoder(), ensemble="folds")


def test_own_classes_are_loaded_where_they_are_trusted_without_their_file(of_file):
    assert of_file.manifest["preprocess"]["file"] == "transformer.joblib"
    new = people(seed=1).drop(columns="ill")
    with pytest.raises(OptionError, match=r"'prep.py' is kept in transformer.joblib, which runs"):
        hpsearch.predict(of_file, new)
    said = hpsearch.predict(of_file, new, trust=True)
    assert said["probability.yes"].between(0, 1).all()
    fitted = hpsearch.load_transformer(of_file, trust=True)
    assert fitted.transform(new[["age", "size", "town"]]).shape == (48, 13)


def test_another_file_than_the_run_wrote_is_not_loaded(of_file, tmp_path):
    path = shutil.copytree(of_file.path, tmp_path / "run")
    (path / "transformer.joblib").write_bytes(b"another one")
    with pytest.raises(ModelFileError, match=r"transformer.joblib must be the file that the run"):
        hpsearch.predict(path, people(), trust=True)
    (path / "transformer.joblib").unlink()
    with pytest.raises(ModelFileError, match=r"needs its transformer, the file transformer.joblib"):
        hpsearch.predict(path, people(), trust=True)


def test_other_versions_than_it_was_fitted_with_are_told(of_file):
    kept = Bundle.of(of_file, trusts=True).transformer
    assert kept.differs == ""
    older = replace(kept, versions={**kept.versions, "scikit-learn": "0.1"})
    assert older.differs.startswith("The transformer was fitted with scikit-learn 0.1 (here ")


def test_the_card_and_the_command_say_what_stands_before_the_model(of_object, of_file):
    card = (of_object.path / "model_card.md").read_text()
    assert "kept in `transformer.skops`" in card
    assert "Loading it runs code" not in card
    assert "**Loading it runs code**" in (of_file.path / "model_card.md").read_text()
    assert "prep.py" in of_file.settings["command"].split("--preprocess ")[1].split()[0]
    assert "--preprocess PREPROCESS.py" in of_object.settings["command"]
    section = again_section(material_of(of_object))
    assert "PREPROCESS.py stands for the transformer, which was a Python object" in section.lead
    assert "ColumnTransformer, fitted fold by fold: 5 features" in repr(section.tables)


def test_other_formats_say_that_they_hold_no_transformer(of_object, tmp_path):
    with pytest.raises(OptionError, match="No other format holds a transformer of one's own"):
        written("onnx", Bundle.of(of_object), tmp_path / "model.onnx")


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


def test_widths_of_folds_may_differ_and_it_is_said(folder):
    frame = people()
    frame.loc[0, "town"] = "z"  # of one fold's validation rows alone
    rare = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["town"]),
        (make_pipeline(SimpleImputer(), StandardScaler()), ["age"]),
    )
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


def test_a_run_goes_on_with_its_transformer_and_no_other(of_file):
    grown = hpsearch.resume(of_file.path, trials=3, quiet=True)  # as the journal remembers it
    assert len(grown.trials) == 3
    with pytest.raises(InputError, match="the source of the transformer"):
        hpsearch.resume(of_file.path, preprocess=encoder(), trials=4, quiet=True)
    Path(of_file.path.parent / "prep.py").write_text(FILE)
    Path(of_file.path.parent / "parts.py").write_text(f"{PARTS}# changed\n")
    with pytest.raises(InputError, match=r"parts.py, imported by the transformer 'prep.py'"):
        hpsearch.resume(of_file.path, trials=4, quiet=True)


def test_a_transformer_of_python_must_be_given_again(folder):
    data = hpsearch.load(folder / "people.csv", target="ill")
    run = searched(folder, encoder(), data=data)
    with pytest.raises(OptionError, match=r"given as a Python object.*preprocess="):
        hpsearch.resume(run.path, trials=3, quiet=True)
    other = encoder().set_params(pipeline__standardscaler__with_mean=False)
    with pytest.raises(InputError, match="the source of the transformer 'ColumnTransformer'"):
        hpsearch.resume(run.path, preprocess=other, trials=3, quiet=True)
    assert len(hpsearch.resume(run.path, preprocess=encoder(), trials=3, quiet=True).trials) == 3


def test_one_network_and_an_estimator_take_it_too(folder):
    data = hpsearch.load(people(), target="ill")
    how = {"preprocess": encoder(), "engine": "pretended", "epochs": 2}
    found = hpsearch.cross_validate(folder / "space.py", data, cv=2, quiet=True, **how)
    assert len(found.predictions) == 48
    X, y = people().drop(columns="ill"), people()["ill"]
    values = {"rate": 0.1}
    network = hpsearch.KerasClassifier(folder / "space.py", values=values, **how).fit(X, y)
    again = pickle.loads(pickle.dumps(network))
    assert_array_equal(again.predict_proba(X), network.predict_proba(X))


class Uneven(Shifted):
    """Gives as many columns as the sum of the ages that it was fitted on has it."""

    def transform(self, X):
        width = 1 + round(self.mean_[0] * 1e4) % int(self.by)
        return np.ones((len(X), width))


@pytest.mark.parametrize(("most", "nested"), [(51, None), (50, 2)])
def test_more_repeats_that_would_widen_the_rows_are_refused(most, nested, folder):
    data = hpsearch.load(folder / "people.csv", target="ill")
    run = searched(folder, Uneven(most), data=data, nested=nested)
    with pytest.raises(InputError, match=r"prepared|of the shape that it began with"):
        hpsearch.resume(run.path, preprocess=Uneven(most), repeats=2, quiet=True)


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
    with pytest.raises(TransformerError, match="the table has none, but arrays"):
        searched(folder, PCA(2), data=images)


def test_importance_shuffles_raw_cells_and_arrays_stay_beside(folder):
    frame = people(60)
    frame["ill"] = np.where(frame["town"] == "a", "yes", "no")
    frame["trace"] = [*np.random.default_rng(0).normal(size=(60, 2, 2))]
    data = hpsearch.load(frame, target="ill")
    run = searched(folder, encoder(), data=data, importance=True, epochs=30)
    assert [given["name"] for given in run.manifest["inputs"]] == ["array_0", "prepared"]
    table = run.importance.set_index("column")["importance"]
    assert table.idxmax() == "town"
    assert table["town"] > 2 * table.drop("town").abs().max()
    assert set(table.index) == {"age", "size", "town", "trace"}
