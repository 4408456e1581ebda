"""TensorBoard's event files, read back: they hold what the tables hold."""

import numpy as np
import pytest

from hpsearch.logs._records import records_of
from hpsearch.results import layout

pytest.importorskip("tensorboard")


def events_in(folder):
    """Every event of the only event file of a folder."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.tensorflow_stub.errors import OutOfRangeError
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New

    [path] = folder.glob("events.out.tfevents.*")
    reader = PyRecordReader_New(str(path))
    events = []
    while True:
        try:
            reader.GetNext()
        except OutOfRangeError:
            return events
        events.append(Event.FromString(reader.record()))


def read(folder):
    """Scalars by name as (step, value), texts by name, and the plugins' data of hyperparameters."""
    from tensorboard.util import tensor_util

    scalars, texts, hparams = {}, {}, []
    for event in events_in(folder):
        for value in event.summary.value:
            plugin = value.metadata.plugin_data.plugin_name
            if plugin == "scalars":
                number = float(tensor_util.make_ndarray(value.tensor))
                scalars.setdefault(value.tag, []).append((event.step, number))
            elif plugin == "text":
                texts[value.tag] = tensor_util.make_ndarray(value.tensor).item().decode()
            elif plugin == "hparams":
                hparams.append(value.metadata.plugin_data.content)
    return scalars, texts, hparams


def single(values):
    """Numbers in single precision, which TensorBoard keeps."""
    return [(step, float(np.float32(value))) for step, value in values]


def assert_holds(run):
    folder = run.path / layout.TENSORBOARD
    records = records_of(run)
    assert {path.name for path in folder.glob("trial-*")} == {f"trial-{r.trial}" for r in records}
    for record in records:
        scalars, texts, hparams = read(folder / f"trial-{record.trial}")
        for name, value in record.scores.items():
            assert scalars[name] == single([(0, value)])
        for name in record.curves[0] if record.curves else ():
            if name not in ("epoch", "n_folds"):
                assert scalars[name] == single((row["epoch"], row[name]) for row in record.curves)
        if record.folds:
            expected = single((i, row["val_log_loss"]) for i, row in enumerate(record.folds))
            assert scalars["folds/val_log_loss"] == expected
        assert len(hparams) == 1
        assert ("failed" in texts.get("status", "")) == (record.status == "failed")
    scalars, texts, _ = read(folder)
    assert scalars["selected/score"] == single([(0, run.best["score"])])
    assert texts["tables/trials.csv"].count("\n") == len(records) + 1
    assert texts["model card"] == (run.path / "model_card.md").read_text()


def hyperparameters_in(content):
    from tensorboard.plugins.hparams import plugin_data_pb2

    return plugin_data_pb2.HParamsPluginData.FromString(content)


@pytest.fixture(scope="module")
def logged(search_in, tmp_path_factory):
    return search_in(tmp_path_factory.mktemp("logs") / "run", log="tensorboard", trials=4)


def test_events_hold_what_the_tables_hold(logged):
    assert_holds(logged)


def test_each_trial_is_a_row_of_hyperparameters(logged):
    for record in records_of(logged):
        _, _, [content] = read(logged.path / layout.TENSORBOARD / f"trial-{record.trial}")
        started = hyperparameters_in(content).session_start_info
        assert started.group_name == f"run trial {record.trial}", "those of another run"
        assert {n: v.number_value for n, v in started.hparams.items()} == record.hyperparameters
    _, _, [content] = read(logged.path / layout.TENSORBOARD)
    experiment = hyperparameters_in(content).experiment
    assert [info.name for info in experiment.hparam_infos] == ["rate", "units"]
    assert experiment.metric_infos[0].name.tag == "score"


def test_a_run_that_grows_writes_what_is_new_alone(search_in, resume_in, tmp_path):
    first = search_in(tmp_path / "run", log="tensorboard")
    files = {p: p.stat().st_mtime_ns for p in (first.path / layout.TENSORBOARD).glob("trial-*/*")}
    grown = resume_in(tmp_path / "run", trials=5)
    assert_holds(grown)
    assert {p: p.stat().st_mtime_ns for p in files} == files
    repeated = resume_in(tmp_path / "run", repeats=3)
    assert_holds(repeated)


def test_a_run_in_the_place_of_another_takes_its_events_away(search_in, tmp_path):
    search_in(tmp_path / "run", log="tensorboard", trials=5)
    note = tmp_path / "run" / layout.TENSORBOARD / "trial-4" / "mine.txt"
    note.write_text("not hpsearch's")
    run = search_in(tmp_path / "run", log="tensorboard", trials=2, seed=1, overwrite=True)
    assert list(note.parent.iterdir()) == [note]
    note.unlink()
    note.parent.rmdir()
    assert_holds(run)


def test_a_run_without_a_log_in_the_place_of_one_leaves_no_events(search_in, tmp_path):
    search_in(tmp_path / "run", log="tensorboard")
    search_in(tmp_path / "run", seed=1, overwrite=True)
    assert not (tmp_path / "run" / layout.TENSORBOARD).exists()


def test_a_log_that_was_interrupted_leaves_whole_files(logged):
    for path in (logged.path / layout.TENSORBOARD).rglob("*"):
        assert path.is_dir() or path.name.startswith(layout.EVENTS)
