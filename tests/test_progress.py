"""A reading that takes long says what it is doing, to whoever listens."""

import pytest

from hpsearch import load, progress


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_OF_SILENCE", -1.0)


def test_columns_and_lines_are_counted_while_they_are_read(impatient, tmp_path):
    names = [f"c{i}" for i in range(200)]
    rows = [",".join(str((i * j) % 7) for i in range(200)) for j in range(70)]
    path = tmp_path / "wide.csv"
    path.write_text("\n".join([",".join(names), *rows]) + "\n")
    heard = []
    with progress.telling(heard.append):
        load(path, target="c1", task="multiclass")
    assert "Reading the data: 64 lines." in heard
    assert "Reading the data: 128 of 200 columns." in heard


def test_nobody_hears_outside_the_block(impatient):
    heard = []
    with progress.telling(heard.append):
        pass
    assert list(progress.followed(range(3), "rows")) == [0, 1, 2]
    assert heard == []


def test_what_is_quick_says_nothing():
    heard = []
    with progress.telling(heard.append):
        list(progress.followed(range(1000), "rows", 1000))
    assert heard == []
