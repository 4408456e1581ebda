"""Layers and functions of one's own: those that a space's file registers may be in a network."""

import sys

import pytest

from hpsearch.errors import SpaceError
from hpsearch.space.network_checks import check_saves
from hpsearch.space.registered import known
from hpsearch.space.source import objects_of, read_text
from hpsearch.space.space import Space
from hpsearch.task import Problem

PROBLEM = Problem("regression", (3,), 1, "linear", "mse", n_train=30, epochs=2)
HEAD = """
import keras

register = keras.saving.register_keras_serializable


def network(*layers):
    model = keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model

"""
SCALE = """
{decorator}
class Scale(keras.layers.Layer):
    def __init__(self, factor=2.0, **options):
        super().__init__(**options)
        self.factor = factor

    def call(self, x):
        return x * self.factor
{config}

def build(hp, problem):
    return network(Scale(3.0))
"""
CONFIG = """
    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
"""
FORGETS = CONFIG.replace(', "factor": self.factor', "")
REGISTERED = {"decorator": '@register("mine")', "config": CONFIG}


@pytest.fixture
def checked(tmp_path):
    """Build a space of some source and check that its network can be saved."""

    def checked(source):
        (tmp_path / "mine.py").write_text(HEAD + source)
        space = Space.load(tmp_path / "mine.py")
        model = space.build({}, PROBLEM)
        check_saves(space.name, model, space.registered)
        return model

    return checked


def test_a_registered_layer_may_be_in_a_network(checked):
    assert type(checked(SCALE.format(**REGISTERED)).layers[0]).__name__ == "Scale"


def test_without_registration_the_line_to_write_is_named(checked):
    with pytest.raises(SpaceError, match=r"contains 'Scale'.*Write @keras\.saving\.register_"):
        checked(SCALE.format(decorator="", config=CONFIG))


def test_a_layer_that_only_build_registers_is_refused(checked):
    source = """
def build(hp, problem):
    @register("mine")
    class Inside(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    return network(Inside())
"""
    with pytest.raises(SpaceError, match="define it at the top level of the space's file"):
        checked(source)


def test_a_layer_of_a_script_belongs_into_a_file(monkeypatch):
    import keras

    main = sys.modules["__main__"]

    @keras.saving.register_keras_serializable("script")
    class Doubling(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    monkeypatch.setattr(Doubling, "__module__", main.__name__)
    model = keras.Sequential([keras.Input((3,)), Doubling(), keras.layers.Dense(1)])
    with pytest.raises(SpaceError, match=r"in a script or a notebook.*put it.*into a \.py file"):
        check_saves("build", model)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (FORGETS, "layer 'scale.*' then lacks its 'factor', 3.0"),
        (CONFIG.replace('"factor"', '"size"'), "it cannot be made again: .*size"),
    ],
)
def test_a_layer_whose_configuration_does_not_make_it_again_is_refused(checked, config, message):
    with pytest.raises(SpaceError, match=message):
        checked(SCALE.format(decorator='@register("mine")', config=config))


def test_a_registered_activation_under_a_name_of_kerass_own_is_refused(checked):
    source = """
@register("mine")
def relu(x):
    return 2 * x


def build(hp, problem):
    return network(keras.layers.Dense(2, activation=relu))
"""
    with pytest.raises(SpaceError, match="its own of that name in its place: rename yours"):
        checked(source)


def test_two_spaces_may_use_one_name_in_one_process(tmp_path):
    import keras

    made = []
    for name, factor in (("one", "2"), ("other", "5")):
        (tmp_path / f"{name}.py").write_text(
            HEAD + SCALE.format(**REGISTERED).replace("x * self", f"{factor} * x * self")
        )
        made.append(objects_of(read_text(tmp_path / f"{name}.py")))
    config = {"class_name": "Scale", "module": "", "registered_name": "mine>Scale"}
    for objects in made:
        with known(objects):
            layer = keras.saving.deserialize_keras_object({**config, "config": {"factor": 1.0}})
        assert type(layer) is objects["mine>Scale"]
    assert made[0]["mine>Scale"] is not made[1]["mine>Scale"]
