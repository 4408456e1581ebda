"""The files that stand in for Keras's are read by Keras's own loaders, row by row as they were."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import hpsearch

PATH = Path(__file__).parent.parent / "benchmarks" / "textbook.py"


@pytest.fixture(scope="module")
def textbook():
    spec = importlib.util.spec_from_file_location("textbook", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def loaded(name, arrays, folder):
    np.savez(folder / f"{name}.npz", **arrays)
    return hpsearch.load(f"keras:{name}", path=folder / f"{name}.npz")


def test_newswires_have_one_frequent_topic_each(textbook, tmp_path):
    wires = [{"body": f"wheat ships {n}", "topics": ["grain"]} for n in range(20)]
    wires += [{"body": f"the bank rate {n}", "topics": ["money"]} for n in range(20)]
    wires += [{"body": "both", "topics": ["grain", "money"]}, {"body": "rare", "topics": ["tin"]}]
    (tmp_path / "reuters-000.json").write_text(json.dumps(wires), encoding="utf-8")
    arrays = textbook.newswires(tmp_path)
    assert len(arrays["x"]) == 40
    assert arrays["x"][0][:2] == [1, 2]
    data = loaded("reuters", arrays, tmp_path)
    assert data.target.labels == (0, 1)
    assert data.n_rows + data.test.n_rows == 40


def test_digits_are_bytes_and_keep_their_labels(textbook, tmp_path):
    folder = tmp_path / "package" / "src" / "digits"
    folder.mkdir(parents=True)
    for digit in range(10):
        pixels = [digit / 10] * (5 * 784)
        (folder / f"{digit}.json").write_text(json.dumps({"data": pixels}), encoding="utf-8")
    data = loaded("mnist", textbook.digits(tmp_path), tmp_path)
    assert (data.n_rows, data.test.n_rows) == (40, 10)
    assert data.arrays["image"].dtype == np.uint8
    assert data.arrays["image"][:, 3, 3].tolist() == np.rint(data.y * 25.5).tolist()


def test_reviews_are_praise_where_their_readers_found_it(textbook, tmp_path):
    lines = [
        f"{n}\t{mark}\t{text}" for n in range(4) for mark, text in ((2.5, "fine"), (-1, "dull"))
    ]
    (tmp_path / "reviews.txt").write_text("\n".join(lines), encoding="latin-1")
    arrays = textbook.reviews(tmp_path / "reviews.txt")
    words = [row[0] for row in (*arrays["x_train"], *arrays["x_test"])]
    marks = [*arrays["y_train"], *arrays["y_test"]]
    assert {(word, mark) for word, mark in zip(words, marks, strict=True)} == {(1, 1), (2, 0)}
