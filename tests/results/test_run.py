"""A finished run, read back from its folder."""

import pandas as pd
import pytest

from hpsearch.errors import InputError
from hpsearch.results import Run, RunFolder, open_run


def test_tables_read_back_what_was_written(finished):
    expected = pd.DataFrame({"trial": [1, 0], "score": [0.333333333333, 0.5]})
    pd.testing.assert_frame_equal(open_run(finished).trials, expected, check_exact=True)


def test_tables_are_read_once(finished):
    run = open_run(finished)
    first = run.trials
    (finished / "trials.csv").unlink()
    assert run.trials is first


def test_documents_come_back_as_dictionaries(finished):
    run = open_run(finished)
    assert run.best["hyperparameters"] == {"units": 64, "activation": "relu"}
    assert run.settings["format"] == "hpsearch run 1"
    assert run.settings["data"] == {"name": "wine", "n_rows": 178, "task": "multiclass"}


def test_an_open_run_comes_back_as_it_is(finished):
    run = open_run(finished)
    assert open_run(run) is run


def test_a_folder_that_is_not_there_is_no_run(tmp_path):
    with pytest.raises(InputError, match=r"'.*gone' is not there\. Check the path"):
        open_run(tmp_path / "gone")


def test_a_file_is_no_run(finished):
    with pytest.raises(InputError, match="is a file"):
        open_run(finished / "trials.csv")


@pytest.mark.parametrize("content", [None, "{", "[]", "{}"])
def test_a_folder_without_our_settings_is_no_run(tmp_path, content):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(InputError, match=r"run\.json written by hpsearch"):
        open_run(tmp_path)


def test_an_interrupted_run_is_not_opened(finished):
    (finished / "best.json").unlink()
    with pytest.raises(InputError, match=r"has no best\.json: it was interrupted.*--overwrite"):
        open_run(finished)


def test_a_missing_table_is_named(finished):
    with pytest.raises(InputError, match=r"A finished run has a folds\.csv"):
        _ = open_run(finished).folds


def test_a_missing_document_is_named(finished):
    with pytest.raises(InputError, match=r"A finished run has a model\.json"):
        _ = open_run(finished).manifest


@pytest.mark.parametrize(("content", "found"), [("{", "is damaged"), ("[]", "holds list")])
def test_a_damaged_document_is_named(finished, content, found):
    (finished / "best.json").write_text(content)
    with pytest.raises(InputError, match=rf"best\.json of a run is .*{found}"):
        _ = open_run(finished).best


def test_the_representation_tells_what_was_found(finished):
    assert repr(open_run(finished)) == (
        f"Run('{finished.as_posix()}')\n"
        "  data   wine, multiclass, 178 rows\n"
        "  budget 2 trials, 4 folds, 2 repeats, 50 epochs\n"
        "  best   trial 1: log_loss 0.1235 ± 0.012 (95 % interval 0.1 to 0.15) at epoch 17\n"
        "  with   activation=relu, units=64"
    )


def test_the_representation_of_a_damaged_run_does_not_raise(finished):
    (finished / "best.json").write_text("{")
    assert "is damaged" in repr(Run(finished))


def test_the_representation_of_a_run_with_sparse_documents_does_not_raise(tmp_path):
    folder = RunFolder.create(tmp_path)
    folder.write_settings({})
    folder.write_json("best.json", {"trial": 0})
    assert repr(open_run(tmp_path)).endswith("best   trial 0")
