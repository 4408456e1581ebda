"""Where an export is written: whole or not at all, and never over something else."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from hpsearch.cli import main
from hpsearch.errors import InputError, OptionError, StorageError
from hpsearch.export.exporting import export_run
from hpsearch.export.formats import format_names, format_of
from hpsearch.export.formats.base import Format
from hpsearch.results import Run

RUN = SimpleNamespace(path=Path("results/iris"), require_unchanged=lambda *names: None)


def write_file(run, path):
    path.write_text(f"of {run.path}")
    return ["it is small"]


def write_folder(run, path):
    path.mkdir()
    (path / "index").write_text(f"of {run.path}")
    return []


def fails(run, path):
    write_folder(run, path)
    raise InputError("this run can't be held")


def a_format(write=write_file, **known):
    return Format("a text", ".txt", write, **known)


@pytest.fixture
def to(monkeypatch, tmp_path):
    """Exports to a format that stands for others."""
    monkeypatch.chdir(tmp_path)

    def export(chosen, out=None, run=RUN, **options):
        monkeypatch.setattr("hpsearch.export.exporting.format_of", lambda name: chosen)
        return export_run(run, "text", out, **options)

    return export


def test_an_export_has_the_runs_name_here_by_default(to):
    exported = to(a_format())
    assert exported.path == Path("iris.txt")
    assert exported.notes == ("it is small",)
    assert exported.path.read_text() == f"of {RUN.path}"
    assert os.listdir() == ["iris.txt"]


def test_a_folder_is_written_like_a_file(to):
    assert to(a_format(write_folder, inside="index"), "served").path == Path("served")
    assert os.listdir("served") == ["index"]


@pytest.mark.parametrize("chosen", [a_format(), a_format(write_folder, inside="index")])
def test_what_is_there_is_replaced_only_when_told(to, chosen):
    path = to(chosen).path
    before = path.stat().st_ino
    with pytest.raises(OptionError, match=r"is there already\. Choose another --out, or add"):
        to(chosen)
    assert path.stat().st_ino == before
    to(chosen, overwrite=True)
    assert path.stat().st_ino != before
    assert len(os.listdir()) == 1


def test_only_its_like_is_replaced(to, tmp_path):
    (tmp_path / "photos.txt").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "link.txt").symlink_to("notes.txt")
    folder = a_format(write_folder, inside="index")
    for chosen, out in ((a_format(), "photos.txt"), (folder, "photos.txt"), (folder, "notes.txt")):
        with pytest.raises(OptionError, match=r"is something else\. Choose another --out"):
            to(chosen, out, overwrite=True)
    with pytest.raises(OptionError, match="is something else"):
        to(a_format(), "link.txt", overwrite=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_nothing_is_left_of_an_export_that_fails(to):
    older = to(a_format(write_folder, inside="index"), "served").path
    with pytest.raises(InputError, match="can't be held"):
        to(a_format(fails, inside="index"), "served", overwrite=True)
    assert os.listdir() == ["served"]
    assert os.listdir(older) == ["index"]


def test_a_disk_that_can_not_be_written_is_said(to):
    def full(run, path):
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match=r"'iris.txt' is not \(No space left on device\)"):
        to(a_format(full))


def test_a_folder_that_can_not_be_written_is_said_before_the_work(to, tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(StorageError, match=r"'iris.txt' is not \(Permission denied\)"):
        to(a_format(lambda run, path: pytest.fail("it was written")))


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("model.doc", r"ends in \.txt; received --out 'model.doc'"),
        ("nowhere/model.txt", "'nowhere' is not"),
        ("x" * 5000 + ".txt", "not"),
    ],
)
def test_a_path_that_can_not_be_is_refused_before_anything_is_written(to, out, message):
    def refuse(run, path):
        raise AssertionError

    with pytest.raises(OptionError, match=message):
        to(a_format(refuse), out)


def test_a_run_that_somebody_changed_is_not_exported(to, tmp_path):
    def changed(*names):
        raise InputError("trials.csv is not as the run wrote it")

    run = SimpleNamespace(path=tmp_path, require_unchanged=changed)
    with pytest.raises(InputError, match="not as the run wrote it"):
        to(a_format(), run=run)


# -- the formats themselves


@pytest.mark.parametrize("name", format_names())
def test_each_format_says_what_it_writes(name, monkeypatch):
    monkeypatch.setattr("hpsearch.export.formats.find_spec", lambda package: True)
    found = format_of(name)
    assert found.what
    assert len(found.ending) > 1
    assert bool(found.packages) == bool(found.extra)


def test_a_format_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(
        OptionError, match=r"no format called 'onyx'. Use one of .*onnx, .*saved-model"
    ):
        format_of("onyx")


def test_a_format_whose_packages_are_missing_says_what_to_install(monkeypatch):
    text = SimpleNamespace(FORMAT=a_format(packages=("no_such_package",), extra="text"))
    monkeypatch.setattr("hpsearch.export.formats.format_names", lambda: ("text",))
    monkeypatch.setattr("hpsearch.export.formats.importlib.import_module", lambda name: text)
    with pytest.raises(OptionError, match=r"needs no_such_package, .*install 'hpsearch\[text\]'"):
        format_of("text")


def test_the_command_is_the_method_of_a_run(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    run = Run(Path("results/iris"))
    monkeypatch.setattr("hpsearch.results.run.Contents.require_unchanged", lambda self: None)
    monkeypatch.setattr("hpsearch.open_run", lambda path: run, raising=False)
    monkeypatch.setattr("hpsearch.export.exporting.format_of", lambda name: a_format())
    assert main(["export", "results/iris", "--to", "text"]) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("iris.txt\n", "note: it is small\n")
    assert run.export("text", "other.txt") == Path("other.txt")
