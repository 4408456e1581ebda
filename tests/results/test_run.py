"""A finished run, read back from its folder."""

import shutil

import pandas as pd
import pytest

from hpsearch.errors import InputError
from hpsearch.results import Run, RunFolder, open_run

TRIALS = {"trial": [1, 0], "status": ["completed", "completed"], "score": [1 / 3, 0.5]}


def test_tables_read_back_what_was_written(finished):
    expected = pd.DataFrame({"trial": [1, 0], "score": [0.333333333333, 0.5]})
    read = open_run(finished).trials[["trial", "score"]]
    pd.testing.assert_frame_equal(read, expected, check_exact=True)


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


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("{", "Expecting"),
        ("[]", r"an object; received \[\]"),
        ("[" * 100_000, "nested too deep"),
        ('{"trial": NaN}', "NaN is no number"),
        ('{"trial": 1, "space": "\\ud800"}', "surrogates not allowed"),
        ("{}", "trial is there; received None"),
        (f'{{"trial": 1, "later": {10**309}}}', "a whole number has 310 digits"),
        ('{"trial": "1"}', "trial is a whole number from 0; received '1'"),
        ('{"trial": 1, "metrics": {"mae": []}}', r"metrics\.mae is a finite number; received \[\]"),
        ('{"trial": 1, "metric": "taste"}', "metric is one of .*; received 'taste'"),
        ('{"trial": 1, "hyperparameters": {"a": [1]}}', r"hyperparameters\.a is one value"),
        ('{"trial": 1, "modes": {"n_rows": 1}}', r"modes\.n_steps is there"),
    ],
)
def test_a_damaged_document_is_named(finished, content, found):
    (finished / "best.json").write_text(content)
    with pytest.raises(InputError, match=rf"best\.json' is damaged: .*{found}"):
        _ = open_run(finished).best


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", "No columns"),
        ("trial,status\n0,completed\n", "it has no column 'score'"),
        ("trial,status,score\n0,completed,good\n", "'score' holds other than numbers"),
        ("trial,status,score\n0,fine,1\n", "'status' holds other than completed"),
        ("trial,status,score\n-1,failed,\n", "'trial' holds other than whole numbers"),
        ("trial,status,score\n0.5,failed,1\n", "'trial' holds other than whole numbers"),
        ("trial,status,score\n,failed,1\n", "'trial' holds other than whole numbers"),
        ("trial,status,score\n0,failed,\n0,failed,\n", "two of its rows have the same trial"),
        ("trial,status,score,rank\n0,failed,1,inf\n", "'rank' holds other than whole numbers"),
        ("trial,status,score,metric.mae\n0,failed,1,x\n", "'metric.mae' holds other"),
        ("trial,status,score\n1,2,3,4,5\n", "'status' holds other"),
        ('trial,status,score\n"', "EOF"),
        (b"\xff\xfe\x00", "decode"),
        (b"trial\x00,status", "no column"),
    ],
)
def test_a_damaged_table_is_named(finished, content, found):
    content = content.encode() if isinstance(content, str) else content
    (finished / "trials.csv").write_bytes(content)
    with pytest.raises(InputError, match=rf"trials\.csv' is not: .*{found}"):
        _ = open_run(finished).trials


def test_predictions_without_predictions_are_damaged(finished):
    (finished / "predictions.csv").write_text("row,repeat,fold,y_true\n0,0,0,1\n")
    with pytest.raises(InputError, match=r"predictions\.csv' is not: it has no column 'y_pred'"):
        _ = open_run(finished).predictions


def test_what_files_that_nobody_vouches_for_lead_to_is_their_damage(finished):
    run = open_run(finished)
    damaged = pytest.raises(InputError, match=r"do not, or are damaged \(KeyError: 'taste'\)")
    with damaged, run.reading():
        run.trials["taste"]


# -- whether it is as the run wrote it


@pytest.fixture
def sealed(finished):
    """The folder of a run whose best.json knows the files beside it."""
    with RunFolder.reopen(finished) as folder:
        folder.write_json("model.json", {"format": "hpsearch model 1"})
        folder.finish(open_run(finished).best)
    return finished


def test_a_run_as_it_was_written_has_nothing_to_remark(sealed):
    run = open_run(sealed)
    assert sorted(run.best["sha256"]) == ["best.json", "model.json", "run.json", "trials.csv"]
    assert run.changed() == []
    assert run.remarks == []
    run.require_unchanged()


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("trials.csv", "0.5", "0.4"),
        ("run.json", "178", "179"),
        ("model.json", "model 1", "model 2"),
        ("best.json", "0.12345678", "0.02345678"),
    ],
)
def test_a_file_that_somebody_changed_is_named(sealed, name, old, new):
    text = (sealed / name).read_text()
    assert old in text
    (sealed / name).write_text(text.replace(old, new))
    run = open_run(sealed)
    assert run.changed() == [name]
    [remark] = run.remarks
    assert remark.startswith(f"{name} is not as the run wrote it")
    with pytest.raises(InputError, match=rf"{name} of .* is not as the run wrote it"):
        run.require_unchanged()
    with RunFolder.reopen(sealed) as folder:
        assert not folder.is_finished


def test_what_sealed_files_lead_to_is_a_bug(sealed):
    run = open_run(sealed)
    assert run.is_as_written
    with pytest.raises(KeyError), run.reading():
        run.trials["taste"]


def test_of_a_run_without_digests_nothing_is_known(finished):
    assert open_run(finished).changed() == []


def test_two_runs_that_say_the_same_have_the_same_digests(sealed, tmp_path):
    shutil.copytree(sealed, tmp_path / "copy")
    with RunFolder.reopen(tmp_path / "copy") as folder:
        folder.finish({n: v for n, v in open_run(sealed).best.items() if n != "sha256"})
    assert (tmp_path / "copy/best.json").read_bytes() == (sealed / "best.json").read_bytes()


ASKED = {
    "data": {"fingerprint": "f"},
    "space": {"sha256": "s"},
    "options": {"seed": 1, "trials": 2, "fix": {}},
}
RECORDED = {"data": {"fingerprint": "f"}, "space_sha256": "s", "options": ASKED["options"]}


@pytest.mark.parametrize(
    ("change", "is_another"),
    [
        ({}, False),
        ({"options": {**ASKED["options"], "trials": 9}}, False),  # it was given more
        ({"options": {**ASKED["options"], "seed": 2}}, True),
        ({"data": {"fingerprint": "g"}}, True),
        ({"space": {"sha256": "t"}}, True),
    ],
)
def test_the_journal_of_another_run_is_named_and_never_resumed(tmp_path, change, is_another):
    with RunFolder.create(tmp_path / "run") as folder:
        folder.begin({**ASKED, **change}).close()
        folder.write_settings(RECORDED)
        folder.write_tables(trials=pd.DataFrame(TRIALS))
        folder.finish({"trial": 1})
    run = open_run(tmp_path / "run")
    assert run.has_another_journal == is_another
    assert any("is of another run" in text for text in run.remarks) == is_another
    with RunFolder.reopen(run.path) as folder:
        if is_another:
            with pytest.raises(InputError, match=r"of another run than run\.json"):
                folder.journal()
        else:
            folder.journal().close()


def test_an_edited_run_json_does_not_keep_its_own_journal_from_being_resumed(tmp_path):
    with RunFolder.create(tmp_path / "run") as folder:
        folder.begin(ASKED).close()
        folder.write_settings(RECORDED)
        folder.finish({"trial": 1})
        text = (folder.path / "run.json").read_text()
        (folder.path / "run.json").write_text(text.replace('"seed": 1', '"seed": 7'))
        with folder.journal() as journal:
            assert journal.settings["options"] == ASKED["options"]


def test_a_run_that_is_to_be_replaced_says_so(sealed):
    with RunFolder.create(sealed, overwrite=True) as folder:
        folder.begin({}).close()
    [remark] = open_run(sealed).remarks
    assert "An unfinished run is to replace this one" in remark


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
