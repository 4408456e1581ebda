"""What every test shares: the backend of this process, small tables, and a browser."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import datetime as dt
import gc
import importlib.util
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from hpsearch.data import Column, Schema
from hpsearch.task import Target
from tests.machines_here import MachinesHere

IMAGE_SHAPE = (2, 3)
N_WORDS = 4
# Of any size, but that one over another fits into float32, as a standardised number must.
NUMBERS = st.floats(-1e30, 1e30).map(lambda x: 0.0 if abs(x) < 1e-6 else x) | st.just(np.nan)
DATES = st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2069, 12, 31)) | st.none()
CELLS = {
    "age": NUMBERS,
    "size": NUMBERS,
    "colour": st.sampled_from(["blue", "green", "red", "an unseen one", None]),
    "town": st.sampled_from([*"abcdef", "an unseen one", None]),
    "note": st.sampled_from(["good", "Bad, so bad", "unseen words so far", "", None]),
    "day": DATES,
}
DTYPES = {"age": "float64", "size": "float64", "day": "datetime64[us]"}


@pytest.fixture(autouse=True)
def keras_on_tensorflow(monkeypatch):
    """The backend that processes of a test find named; the command line names another one."""
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")


@pytest.fixture(scope="session")
def mixed_schema():
    """A schema with a column of every kind, and a regression target."""
    columns = (
        Column("age", "number", has_missing=True),
        Column("size", "number"),
        Column("colour", "category", levels=("blue", "green", "red"), has_missing=True),
        Column("town", "category", levels=tuple("abcdef")),
        Column("note", "text", levels=("bad", "good", "so"), has_missing=True),
        Column("day", "date", has_missing=True, has_clock=True),
        Column("image", "array", shape=IMAGE_SHAPE),
        Column("tokens", "words", shape=(N_WORDS,)),
    )
    return Schema(columns, Target(("y",), "regression"))


@pytest.fixture(scope="session")
def any_rows():
    """A strategy of ``n`` rows under ``mixed_schema``: the frame, and the arrays.

    Any row may hold missing cells, levels and words that the schema does not know, and numbers
    of any size.
    """

    @st.composite
    def rows(draw, n):
        frame = {
            name: pd.Series(
                draw(st.lists(cells, min_size=n, max_size=n)), dtype=DTYPES.get(name, "str")
            )
            for name, cells in CELLS.items()
        }
        tokens = draw(hnp.arrays(np.float32, (n, N_WORDS), elements=st.sampled_from([0.0, 1.0])))
        arrays = {
            "image": draw(hnp.arrays(np.uint8, (n, *IMAGE_SHAPE))),
            "tokens": sparse.csr_array(tokens),
        }
        return pd.DataFrame(frame), arrays

    return rows


@pytest.fixture(scope="session")
def mixed_rows():
    """Forty ordinary rows under ``mixed_schema``: the frame, and the arrays."""
    rng = np.random.default_rng(0)
    n = 40
    frame = pd.DataFrame(
        {
            "age": np.where(rng.random(n) < 0.3, np.nan, rng.normal(50, 20, n).round(1)),
            "size": rng.lognormal(size=n),
            "colour": pd.Series(rng.choice(["blue", "green", "red", None], n), dtype="str"),
            "town": pd.Series(rng.choice(list("abcdef"), n), dtype="str"),
            "note": pd.Series(rng.choice(["good", "so bad", ""], n), dtype="str"),
            "day": np.datetime64("2020-01-01T05:00", "us") + rng.integers(0, 10**14, n),
        }
    )
    frame.loc[::7, "day"] = pd.NaT
    arrays = {
        "image": rng.integers(0, 255, (n, *IMAGE_SHAPE), dtype=np.uint8),
        "tokens": sparse.csr_array(rng.integers(0, 2, (n, N_WORDS)).astype(np.float32)),
    }
    return frame, arrays


@contextmanager
def _here():
    """Searches run in this process, and wait for no disk, which loses nothing before the power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hpsearch.scoring.crew.machines", MachinesHere)
        patch.setattr("hpsearch.results.journal._SYNCHRONOUS", "OFF")
        patch.setattr("os.fsync", lambda descriptor: None)
        yield patch


@pytest.fixture(scope="session")
def train_here():
    """A context in which searches with the reference engine, whose name it gives, train here."""

    @contextmanager
    def train_here():
        with _here():
            gc.freeze()  # as in a worker
            yield "reference"

    return train_here


@pytest.fixture(scope="session")
def pretended():
    """The module of that name."""
    path = Path(__file__).with_name("pretended.py")
    spec = importlib.util.spec_from_file_location("pretended", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def pretend_here(pretended):
    """A context with a quick engine, whose name it gives: for tests of the search around it."""

    @contextmanager
    def pretend_here():
        with _here(), pretended.pretend() as name:
            yield name

    return pretend_here


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium. In CI it must be there; elsewhere its tests are skipped without it."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs Chromium to look at pages: apt-get install chromium")
        pytest.skip("pages are looked at in Chromium, and no `chromium` is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
