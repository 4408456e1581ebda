"""Transformers of one's own: files and objects, what they are told apart by, and their seeds."""

import functools
import pickle

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestRegressor
from sklearn.manifold import TSNE
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer, StandardScaler

from hpsearch.errors import TransformerError
from hpsearch.transformers import OwnTransformer
from hpsearch.transformers.described import described

FILE = """
from sklearn.decomposition import PCA


def make():
    return PCA(n_components=SIZE)
"""


def written(folder, text, name="prep.py"):
    path = folder / name
    path.write_text(text)
    return path


def test_a_file_is_what_its_text_and_the_modules_beside_it_say(tmp_path):
    path = written(tmp_path, f"from sizes import SIZE\n{FILE}")
    written(tmp_path, "SIZE = 2\n", "sizes.py")
    own = OwnTransformer.load(path)
    assert (own.name, str(own)) == ("prep.py", str(path))
    assert own.made(0).n_components == 2
    assert OwnTransformer.load(str(path)).sha256 == own.sha256
    written(tmp_path, "SIZE = 3\n", "sizes.py")
    assert OwnTransformer.load(path).sha256 != own.sha256
    assert pickle.loads(pickle.dumps(own)).made(0).n_components == 2  # what was read, travels


def test_an_object_is_what_its_type_and_its_parameters_say():
    one, same, other = (
        OwnTransformer.load(make_pipeline(StandardScaler(), PCA(n))) for n in (2, 2, 3)
    )
    assert one.sha256 == same.sha256 != other.sha256
    assert "n_components: 2" in one.source.text
    assert "class Pipeline" not in one.source.text
    assert OwnTransformer.load(one) is one
    assert str(one) == "PREPROCESS.py"


def test_functions_arrays_and_partials_tell_objects_apart():
    def described_as(**keywords):
        return described(FunctionTransformer(**keywords))

    assert "numpy.log1p" in described_as(func=np.log1p)
    assert described_as(func=np.log1p) != described_as(func=np.log)
    partials = [functools.partial(np.clip, a_min=low) for low in (0, 1)]
    assert described_as(func=partials[0]) != described_as(func=partials[1])
    arrays = [{"table": np.arange(3) + shift} for shift in (0, 1)]
    assert described_as(kw_args=arrays[0]) != described_as(kw_args=arrays[1])
    assert " at 0x" not in described_as(kw_args={"x": object()})


def test_an_unset_random_state_is_the_seed_and_a_set_one_stays():
    own = OwnTransformer.load(
        ColumnTransformer(
            [
                ("free", PCA(2), ["a"]),
                ("held", PCA(2, random_state=7), ["a"]),
                ("bins", make_pipeline(KBinsDiscretizer(3)), ["a"]),
            ]
        )
    )
    found = own.made(2**33 + 5).get_params()
    assert found["free__random_state"] == 5
    assert found["held__random_state"] == 7
    assert found["bins__kbinsdiscretizer__random_state"] == 5


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (PCA, r"received the class PCA\. Give PCA\(\)\."),
        (RandomForestRegressor(), "received RandomForestRegressor, which has no transform"),
        (TSNE(), "received TSNE, which has no transform"),
        ("no/such/file.py", "'no/such/file.py' is not there"),
        ("table.csv", "'table.csv' is not there"),
    ],
)
def test_what_is_no_transformer_is_refused_in_one_line(spec, said):
    with pytest.raises(TransformerError, match=said):
        OwnTransformer.load(spec)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n", r"'prep.py' defines no make\(\)"),
        ("make = 3\n", r"'prep.py' defines int in place of a function make\(\)"),
        ("def make():\n    return 3\n", "received int, which has no fit"),
        ("def make():\n    raise KeyError('size')\n", r"raised KeyError in its creation \(.*:2\)"),
        ("import no_such_module\n", r"raised ModuleNotFoundError in its import \(.*:1\)"),
        ("def make(:\n", "raised SyntaxError in its import"),
    ],
)
def test_a_file_that_makes_no_transformer_is_refused_in_one_line(text, said, tmp_path):
    own = OwnTransformer.load(written(tmp_path, text))
    with pytest.raises(TransformerError, match=said):
        own.made(0)
