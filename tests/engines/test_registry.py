"""Engines by name: found by their folders, registered from elsewhere, spelt as they are now."""

from dataclasses import replace

import pytest

import hpsearch
from hpsearch import engines
from hpsearch.engines import checked_option, engine_kind, engine_names, registered
from hpsearch.engines.choose import FIRST, Choice, first_choice, second_choice
from hpsearch.engines.probe import Probe
from hpsearch.errors import OptionError
from hpsearch.preprocessing import Layout
from hpsearch.space.space import Space

SPACE = """
def declare(hp, problem):
    hp.Float("rate", 0.0, 0.5, default=0.1)

def build(hp, problem):
    raise NotImplementedError
"""


@pytest.fixture
def space(tmp_path):
    (tmp_path / "space.py").write_text(SPACE)
    return tmp_path / "space.py"


@pytest.mark.parametrize("name", engine_names())
def test_an_engine_says_its_name_and_falls_back_on_another_one(name):
    kind = engine_kind(name)
    assert kind.name == name
    assert kind.keras_backend in ("jax", "tensorflow", "torch")
    assert kind.fallback in {None, *engine_names()} - {name}


def test_where_engines_fall_back_one_trains_anything():
    name, seen = FIRST, []
    while name is not None:
        assert name not in seen
        seen.append(name)
        name = engine_kind(name).fallback


def test_a_registered_engine_trains_a_search_as_those_of_the_package_do(
    pretend_here, table, space, tmp_path
):
    assert "pretended" not in engine_names()
    options = {"trials": 1, "folds": 2, "repeats": 1, "epochs": 2, "baselines": False}
    with pretend_here() as engine:
        assert engine in engine_names()
        search = hpsearch.Search(space, **options, engine=engine, out=tmp_path / "run")
        run = search.run(table("regression"))
    assert run.settings["engine"] == engine
    assert len(run.folds) == 2
    assert "pretended" not in engine_names()


def test_an_engine_may_not_take_the_place_of_another_one(pretended):
    with (
        pytest.raises(ValueError, match="'fused'"),
        registered(replace(pretended.ENGINE, name=FIRST)),
    ):
        pass


def test_what_an_engine_cannot_train_goes_to_its_fallback_or_is_refused(pretended, table, space):
    layout, space = Layout.of(table("binary").schema), Space.load(space)
    kind = replace(
        pretended.ENGINE,
        data_obstacle=lambda layout, space: "the rows are odd",
        network_obstacle=lambda probe: probe.untraceable,
        fallback="reference",
    )
    probe = Probe(None, (), True, untraceable="its layers are odd")
    with registered(kind):
        with pytest.raises(OptionError, match="pretended` cannot train this: the rows are odd"):
            first_choice(kind.name, layout, space)
        first = Choice(kind.name, "as asked")
        with pytest.raises(OptionError, match="cannot train this network: its layers are odd"):
            second_choice(kind.name, first, probe)
        second = second_choice("auto", first, probe)
        assert second.engine == "reference"
        assert second.reason == "the pretended engine cannot train this: its layers are odd"


def test_an_unknown_engine_is_refused_with_those_that_there_are():
    with pytest.raises(OptionError, match=r"one of auto, fused, reference; received 'pytorch'"):
        hpsearch.Search(engine="pytorch")
    with pytest.raises(OptionError, match="received None"):
        checked_option(None)


def test_the_older_name_of_the_reference_engine_is_understood():
    assert hpsearch.Search(engine="keras").engine == "reference"


def test_a_hyperparameter_called_engine_keeps_its_value():
    record = {
        "engine": "keras",
        "fix": {"engine": "keras"},
        "options": {"fix": {"engine": "keras"}},
    }
    read = engines.with_present_names(record)
    assert read == {**record, "engine": "reference"}
