"""What the comparison of two states of hpsearch tells apart, and what its searches are."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
TABLE = "trial,fold,val_mae,error\n0,0,1.5,\n0,1,2.5,\n1,0,0.125,it is too wide\n"
BEST = {
    "score": 1.5,
    "n_folds": 3,
    "hyperparameters": {"optimizer": "adam"},
    "warnings": [{"code": "few", "text": "Too few trials.", "evidence": {"trials": 3}}],
}


def module(name):
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    sys.modules[name] = found
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def differences():
    yield module("differences")
    del sys.modules["differences"]


@pytest.fixture(scope="module")
def small_runs():
    yield module("small_runs")
    del sys.modules["small_runs"]


@pytest.fixture
def tables(differences):
    def tables(after, before=TABLE):
        return list(map(str, differences.compare_tables("folds.csv", before, after)))

    return tables


@pytest.fixture
def documents(differences):
    def documents(**changes):
        texts = (json.dumps(document) for document in (BEST, {**BEST, **changes}))
        return list(map(str, differences.compare_documents("best.json", *texts)))

    return documents


def test_same_bytes_are_no_difference(differences):
    files = {"folds.csv": TABLE.encode(), "best.json": json.dumps(BEST).encode()}
    assert differences.compare(files, dict(files)) == []


def test_a_file_that_is_gone_is_a_change_and_a_new_one_an_addition(differences):
    found = differences.compare({"a.csv": b"x\n1\n"}, {"b.csv": b"x\n1\n"})
    assert [(d.kind, d.file) for d in found] == [("changed", "a.csv"), ("added", "b.csv")]


def test_each_file_is_compared_by_its_kind(differences):
    before = {"folds.csv": b"x\n1\n", "best.json": b'{"x": 1}'}
    after = {"folds.csv": b"x\n2\n", "best.json": b'{"x": 3}'}
    found = [d.text for d in differences.compare(before, after)]
    assert found == [
        "key x: 1 -> 3",
        "column x: 1 of 1 cells, first in line 2: 1 -> 2; by at most 1",
    ]


def test_a_new_column_is_told_from_a_changed_number(tables):
    after = "trial,fold,weight,val_mae,error\n0,0,9,1.5,\n0,1,9,2.75,\n1,0,9,0.25,it is too wide\n"
    assert tables(after) == [
        "added: folds.csv, column weight",
        "changed: folds.csv, column val_mae: 2 of 3 cells, first in line 3 (trial 0, fold 1): "
        "2.5 -> 2.75; by at most 0.25",
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("1.5", "", "changed: folds.csv, column val_mae: 1 of 3 cells, first in line 2 (trial 0, "
         "fold 0): 1.5 -> nothing"),
        ("too wide", "wide", "reworded: folds.csv, column error: 1 of 3 cells, first in line 4 "
         "(trial 1, fold 0): it is too wide -> it is wide"),
        ("val_mae", "mae", "added: folds.csv, column mae; changed: folds.csv, column val_mae is "
         "gone"),
        ("0,1,2.5,\n", "", "changed: folds.csv, 3 rows -> 2 rows"),
        ("\n", "\r\n", "changed: folds.csv, the form of its cells: quotes or line ends"),
    ],
)  # fmt: skip
def test_what_else_may_happen_to_a_table(tables, old, new, said):
    assert "; ".join(tables(TABLE.replace(old, new))) == said


def test_columns_in_another_order_are_a_change(tables):
    assert tables("a,b\n1,2\n", "b,a\n2,1\n") == ["changed: folds.csv, the order of the columns"]


def test_a_new_key_is_told_from_a_changed_number(documents):
    assert documents(score=1.25, seconds=3.0) == [
        "changed: best.json, key score: 1.5 -> 1.25",
        "added: best.json, key seconds",
    ]


def test_a_word_is_a_value_and_a_sentence_is_not(documents):
    warning = {**BEST["warnings"][0], "text": "Three trials are too few."}
    found = documents(hyperparameters={"optimizer": "sgd"}, warnings=[warning])
    assert [line.split(": ")[0] for line in found] == ["changed", "reworded"]
    assert found[0].endswith("key hyperparameters.optimizer: adam -> sgd")


def test_a_further_warning_leaves_the_others_where_they_are(documents):
    new = {"code": "edge", "text": "At the edge."}
    assert documents(warnings=[new, new, *BEST["warnings"]]) == [
        "added: best.json, key warnings[edge]",
        "added: best.json, key warnings[edge#2]",
    ]


def test_what_is_gone_is_one_difference_however_much_is_in_it(documents):
    assert documents(warnings=[], hyperparameters=None) == [
        'changed: best.json, key hyperparameters: {"optimizer": "adam"} -> null',
        "changed: best.json, key warnings[few] is gone",
    ]


def test_the_hash_of_a_file_is_no_number(differences):
    before, after = (json.dumps({"sha256": {"trials.csv": c * 64}}) for c in "ab")
    [found] = differences.compare_documents("best.json", before, after)
    assert found.kind == "reworded"


def test_a_number_of_another_type_and_a_lost_one_are_changes(documents):
    assert documents(n_folds=3.0, score=None) == [
        "changed: best.json, key score: 1.5 -> null",
        "changed: best.json, key n_folds: 3 -> 3.0",
    ]


def test_another_order_of_keys_is_a_change_of_form(differences):
    found = differences.compare_documents("best.json", '{"a": 1, "b": 2}', '{"b": 2, "a": 1}')
    assert [d.text for d in found] == ["its form: the order of keys, or spaces"]


def test_long_texts_are_shown_where_they_begin_to_differ(differences):
    before, after = "a" * 100 + "b", "a" * 100 + "c"
    assert differences.arrow(before, after) == f"{'a' * 20}b -> {'a' * 20}c"


def test_each_search_has_a_name_of_its_own_and_is_compared_with_one_that_is_there(small_runs):
    runs = small_runs.small_runs()
    names = [run.name for run in runs]
    assert len(set(names)) == len(names)
    assert {run.same_as for run in runs} - {None} <= set(names)


def test_searches_that_must_be_the_same_ask_the_same_in_the_end(small_runs):
    runs = {run.name: run for run in small_runs.small_runs()}
    for run in runs.values():
        if run.same_as:
            assert {**run.options, **run.grown} == runs[run.same_as].options


def test_another_input_is_another_search(small_runs, tmp_path):
    run = small_runs.SmallRun("any", "rows.csv", options={"target": "y"})
    prints = set()
    for rows in ("x,y\n1,2\n", "x,y\n1,3\n"):
        (tmp_path / "rows.csv").write_text(rows)
        prints.add(small_runs.fingerprint(run, tmp_path))
    assert len(prints) == 2


def test_options_are_given_as_the_command_line_takes_them(small_runs):
    options = {"max_words": 9, "until_decided": True, "baselines": False}
    words = ["--max-words", "9", "--until-decided", "--no-baselines"]
    assert small_runs.option_words(options) == words
