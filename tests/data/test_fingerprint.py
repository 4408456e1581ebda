"""Fingerprints name the content of a dataset."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from hpsearch.data import load
from hpsearch.data.fingerprint import fingerprint

FRAME = pd.DataFrame(
    {
        "a": [1.0, None, 3.0],
        "b": ["x", "y", None],
        "d": pd.to_datetime(["2024-01-01", "2024-01-02", None]),
        "y": [0.5, 1.5, 2.5],
    }
)
SHARES = FRAME.assign(y=[0.5, 1.0, 0.25])
SCRIPT = """
import pandas as pd
from hpsearch.data import load
frame = pd.DataFrame({"a": [1.0, None, 3.0], "b": ["x", "y", None],
    "d": pd.to_datetime(["2024-01-01", "2024-01-02", None]), "y": [0.5, 1.5, 2.5]})
print(load(frame, target="y").fingerprint)
"""


@pytest.fixture(scope="module")
def data():
    return load(FRAME, target="y")


def test_it_is_a_sha_256(data):
    assert len(data.fingerprint) == 64
    assert data.fingerprint == fingerprint(data)


def test_another_process_finds_the_same(data):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == data.fingerprint


@pytest.mark.parametrize(
    "changed",
    [
        FRAME.assign(a=[1.0, None, 3.0000000001]),
        FRAME.assign(a=[1.0, 2.0, 3.0]),
        FRAME.assign(b=["x", "y", "x"]),
        FRAME.assign(b=["y", "x", None]),
        FRAME.assign(d=pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"])),
        FRAME.assign(y=[0.5, 1.5, 2.0]),
        FRAME.rename(columns={"a": "c"}),
        FRAME.iloc[::-1],
        FRAME[["b", "a", "d", "y"]],
    ],
)
def test_any_change_that_influences_training_changes_it(data, changed):
    assert load(changed, target="y").fingerprint != data.fingerprint


def test_groups_times_and_the_problem_type_change_it(data):
    others = [
        load(FRAME, target="y", groups=[0, 0, 1]).fingerprint,
        load(FRAME, target="y", time=[0, 0, 1]).fingerprint,
        load(SHARES, target="y").fingerprint,
        load(SHARES, target="y", task="share").fingerprint,
    ]
    assert len({data.fingerprint, *others}) == 5


def test_name_notes_and_index_play_no_part(data):
    other = load(FRAME.set_index(pd.Index([9, 8, 7])), target="y", name="else")
    assert other.fingerprint == data.fingerprint
    assert fingerprint(replace(data, notes=("x",), warnings=("y",))) == data.fingerprint


def test_images_and_words_change_it():
    images = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    y = [1.0, 2.0, 4.0]
    first = load(images, y).fingerprint
    assert load(images.copy(order="F"), y).fingerprint == first
    assert load(images + np.uint8(1), y).fingerprint != first
    words = sparse.csr_array(np.eye(3, dtype=np.float32))
    assert load(words, y).fingerprint == load(sparse.coo_array(np.eye(3)), y).fingerprint
    assert load(words[::-1], y).fingerprint != load(words, y).fingerprint
