"""``import hpsearch`` and its help are light, and the public names are all there."""

import importlib
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import hpsearch

HEAVY = ("tensorflow", "jax", "keras", "keras_tuner", "sklearn", "pandas", "scipy", "joblib")
ROOT = Path(__file__).parent.parent


def heavy_modules_after(code):
    """Which heavy libraries a fresh process has imported after running some code."""
    report = f"import sys; print('loaded', *sorted(sys.modules.keys() & set({HEAVY})))"
    program = f"try:\n    {code}\nfinally:\n    {report}"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1].split()[1:]


@pytest.mark.parametrize(
    "code",
    [
        "import hpsearch",
        "import hpsearch; hpsearch.InputError",
        "import hpsearch; hpsearch.open_run",
        "import hpsearch.cli; hpsearch.cli.main(['--help'])",
        "import hpsearch.cli; hpsearch.cli.main(['run', '--help'])",
        "import hpsearch.cli; hpsearch.cli.main(['show', 'no-such-run'])",
    ],
)
def test_no_heavy_library_is_imported(code):
    assert heavy_modules_after(code) == []


PLANNING = """
import os
os.environ['KERAS_BACKEND'] = 'numpy'
from hpsearch.engines.backend import import_keras_tuner, spare
spare('sklearn')
import_keras_tuner()
"""
COMPUTING = """
import keras, numpy, sys
layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3), keras.layers.Conv2DTranspose(2, 3)]
rows = numpy.ones((2, 8, 8, 3), 'float32')
shape = keras.Sequential(layers).predict(rows, verbose=0).shape
assert shape == keras.ops.fft((rows, rows))[0].shape[:3] + (2,)
"""


@pytest.mark.parametrize(("code", "has_jax"), [(PLANNING, False), (PLANNING + COMPUTING, True)])
def test_keras_on_numpy_imports_jax_where_a_network_computes_by_it(code, has_jax):
    found = heavy_modules_after("\n    ".join(code.splitlines()))
    assert {"keras", "keras_tuner"} <= set(found)
    assert ("jax" in found) == has_jax
    assert "sklearn" not in found


def test_the_check_sees_what_is_imported():
    assert heavy_modules_after("import joblib") == ["joblib"]


@pytest.mark.parametrize("name", hpsearch.__all__)
def test_every_public_name_is_there(name):
    assert getattr(hpsearch, name) is not None
    assert name in dir(hpsearch)


def test_no_public_name_is_also_a_module():
    """Importing such a module would put it in the place of the public name."""
    modules = {module.name for module in pkgutil.iter_modules(hpsearch.__path__)}
    assert modules
    assert not modules & set(hpsearch.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'serach'"):
        _ = hpsearch.serach


def test_the_version_is_the_projects():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert hpsearch.__version__ == project["version"]


def test_the_names_for_type_checkers_are_the_names_at_run_time():
    source = Path(hpsearch.__file__).read_text(encoding="utf-8")
    for home, names in hpsearch._HOMES.items():
        module = importlib.import_module(home)
        assert f"from {home} import" in source
        assert all(hasattr(module, name) for name in names)
