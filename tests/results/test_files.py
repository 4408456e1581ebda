import math
from pathlib import Path

import numpy as np
import pytest

from hpsearch.results import files
from hpsearch.results.files import to_json_text, write_atomically


def test_writing_replaces_the_old_content_and_leaves_no_temporary_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    write_atomically(path, b"new")
    assert [item.read_bytes() for item in tmp_path.iterdir()] == [b"new"]


def test_a_failed_write_leaves_the_old_content_and_no_temporary_file(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert [item.read_bytes() for item in tmp_path.iterdir()] == [b"old"]


def test_json_has_sorted_keys_and_a_final_newline():
    assert to_json_text({"b": 1, "a": 0.1}) == '{\n  "a": 0.1,\n  "b": 1\n}\n'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, "null"),
        (-math.inf, "null"),
        (np.float64(0.5), "0.5"),
        (np.float32("nan"), "null"),
        (np.int64(3), "3"),
        (np.bool_(True), "true"),
        (None, "null"),
        ("é", '"é"'),
        (Path("a"), '"a"'),
        (np.array([1, 2]), "[\n  1,\n  2\n]"),
        ((1,), "[\n  1\n]"),
        ({"b", "a"}, '[\n  "a",\n  "b"\n]'),
        ({1: 2}, '{\n  "1": 2\n}'),
    ],
)
def test_values_have_one_json_form(value, text):
    assert to_json_text(value) == text + "\n"


def test_a_value_without_a_json_form_is_a_programming_error():
    with pytest.raises(TypeError, match="JSON holds no object"):
        to_json_text({"a": object()})
