"""Keras's settings: what a space's own code sets counts, what keras.json says doesn't."""

import json
import textwrap

import pytest

from hpsearch.errors import OptionError
from hpsearch.keras_settings import (
    DEFAULT_SETTINGS,
    KerasSettings,
    check_keras_json,
    keras_settings,
)
from hpsearch.space.space import Space
from hpsearch.task import TASKS, Problem

TASK = TASKS["regression"]
PROBLEM = Problem("regression", (3,), 1, TASK.output_activation, TASK.loss, 60, 10)


@pytest.fixture(autouse=True)
def settings_stay():
    with keras_settings():
        yield


@pytest.fixture
def write(tmp_path):
    def write(head, before_layers="pass"):
        text = f"""
            import keras
            {head}

            def build(hp):
                {before_layers}
                model = keras.Sequential([keras.layers.Dense(1)])
                model.compile("sgd", "mse")
                return model
            """
        path = tmp_path / "my_space.py"
        path.write_text(textwrap.dedent(text))
        return Space.load(path)

    return write


@pytest.fixture
def keras_json(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    def keras_json(**content):
        (tmp_path / "keras.json").write_text(json.dumps(content))

    return keras_json


def policy_of(space, **values):
    return space.build(values, PROBLEM).layers[0].dtype_policy.name


def test_a_policy_that_a_space_sets_holds_in_each_of_its_networks(write):
    import keras

    space = write('keras.config.set_dtype_policy("mixed_float16")')
    assert policy_of(space) == "mixed_float16"
    keras.backend.clear_session()  # which forgets the policy
    assert policy_of(space) == "mixed_float16"


def test_a_floatx_that_a_space_sets_is_the_precision_of_its_layers(write):
    import keras

    keras.config.dtype_policy()  # which Keras would keep from now on
    assert policy_of(write('keras.config.set_floatx("float64")')) == "float64"


def test_loading_a_space_leaves_the_settings_of_the_process(write):
    write('keras.config.set_dtype_policy("mixed_float16"); keras.config.set_epsilon(0.1)')
    assert KerasSettings.present() == DEFAULT_SETTINGS


def test_what_one_build_sets_does_not_reach_the_next(write):
    sets = 'hp.Boolean("half") and keras.config.set_dtype_policy("float16")'
    space = write("", before_layers=sets)
    assert [policy_of(space, half=half) for half in (True, False, True)] == [
        *("float16", "float32", "float16")
    ]


def test_settings_of_the_process_that_gives_a_function_go_with_it():
    import keras

    def build(hp):
        model = keras.Sequential([keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    plain = Space.load(build)
    with keras_settings(KerasSettings(dtype_policy="mixed_bfloat16")):
        space = Space.load(build)
    assert policy_of(Space.from_bytes(space.to_bytes())) == "mixed_bfloat16"
    assert policy_of(plain) == "float32"
    assert space.sha256 != plain.sha256


def test_what_keras_json_says_is_not_what_code_set(keras_json):
    keras_json(floatx="float16", epsilon=0.1, backend="torch")
    with keras_settings(KerasSettings("float16", 0.1)):
        assert KerasSettings.by_code() == DEFAULT_SETTINGS
    with keras_settings(KerasSettings("float64", 0.1)):
        assert KerasSettings.by_code() == KerasSettings("float64")


def test_settings_are_named_where_they_are_not_the_default_ones():
    assert DEFAULT_SETTINGS.words == ""
    assert KerasSettings("float64", epsilon=1e-3).words == "floatx float64, epsilon 0.001"


@pytest.mark.parametrize(
    "content", [{"floatx": "float8"}, {"epsilon": 1}, {"image_data_format": "rows"}]
)
def test_a_keras_json_that_keras_cannot_read_is_refused_in_one_line(content, keras_json):
    check_keras_json()
    keras_json(**content)
    with pytest.raises(OptionError, match=rf"keras.json' says {next(iter(content))}.*Correct"):
        check_keras_json()
