"""The file of a fitted transformer: which form it has, and what is not loaded from it."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.feature_selection import SelectKBest
from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer, SplineTransformer

import hpsearch
from hpsearch.errors import ModelFileError, OptionError, TransformerError
from hpsearch.export.transformer import Kept, kept
from hpsearch.transformers import OwnTransformer, RawRows, fit_rows

FRAME = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 3)), columns=list("abc"))


def kept_of(transformer):
    raw = RawRows.of(hpsearch.load(FRAME.assign(y=np.arange(30) % 2), target="y"))
    own = OwnTransformer.load(transformer)
    fitted = fit_rows(own, raw, np.arange(30), seed=0, where="all rows")
    return kept(own, fitted, raw.frame)


@pytest.fixture(scope="module")
def of_splines():
    return kept_of(SplineTransformer(3))


@pytest.mark.parametrize(
    ("transformer", "form"),
    [
        (SelectKBest(k=1), "skops"),
        (KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf"), "skops"),
        (FunctionTransformer(np.tanh), "skops"),
        (FunctionTransformer(lambda X: X * 2), "joblib"),
    ],
)
def test_what_holds_data_alone_is_kept_in_the_form_that_runs_no_code(transformer, form):
    found = kept_of(transformer)
    assert (found.form, found.file) == (form, f"transformer.{form}")
    again = pickle.loads(pickle.dumps(found))
    again.check()
    if form == "joblib":
        with pytest.raises(OptionError, match="runs code when it is loaded"):
            again.prepared(FRAME, "new rows", trusts=False)


def test_a_transformer_comes_back_from_its_file_and_the_manifest(of_splines):
    said = of_splines.to_json()
    again = Kept.of_manifest(said, of_splines.content)
    rows = again.prepared(FRAME.iloc[:3], "new rows", trusts=False)
    assert_array_equal(rows, of_splines.prepared(FRAME, "new rows", trusts=False)[:3])
    assert said["features"] == [f"{name}_sp_{i}" for name in "abc" for i in range(5)]


@pytest.mark.parametrize("key", ["text", "modules"])
def test_code_that_a_manifest_adds_to_a_file_of_data_does_not_run(of_splines, tmp_path, key):
    code = f"open({str(tmp_path / 'ran')!r}, 'w')"
    module = {"name": "sklearn.preprocessing._polynomial", "path": "parts.py", "text": code}
    source = {"name": "prep.py", "path": "prep.py", "text": "", "modules": [], "is_object": False}
    source |= {"text": code} if key == "text" else {"modules": [module]}
    again = Kept.of_manifest({**of_splines.to_json(), "source": source}, of_splines.content)
    again.prepared(FRAME, "new rows", trusts=False)
    assert not list(tmp_path.iterdir())


def test_rows_are_filled_with_zeros_up_to_the_width_of_the_network(of_splines):
    wider = replace(of_splines, shape=(17,))
    wider.check()
    assert_array_equal(wider.prepared(FRAME, "new rows", trusts=False)[:, 15:], 0.0)


def test_other_rows_of_another_width_are_refused(of_splines):
    narrower = replace(of_splines, shape=(14,))
    with pytest.raises(TransformerError, match=r"in new rows it gave \(15,\), and \(14,\) when"):
        narrower.prepared(FRAME, "new rows", trusts=False)


@pytest.mark.parametrize("form", ["skops", "joblib"])
def test_what_cannot_be_read_is_one_line_with_the_versions(of_splines, form):
    damaged = replace(of_splines, content=b"no file", form=form)
    with pytest.raises(ModelFileError, match=r"cannot be loaded here: .* Install scikit-learn"):
        damaged.prepared(FRAME, "new rows", trusts=True)


def test_types_that_could_run_code_are_not_loaded_from_a_file_that_says_it_holds_data(of_splines):
    from skops import io as skops_io

    content = skops_io.dumps(FunctionTransformer(eval))
    with pytest.raises(ModelFileError, match="cannot be loaded here: UntrustedTypesFound"):
        replace(of_splines, content=content).prepared(FRAME, "new rows", trusts=False)
