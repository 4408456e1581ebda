import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from keras_tuner import HyperParameters

import hpsearch
from hpsearch.errors import OptionError, SpaceError
from hpsearch.space.network_checks import check_saves, is_of_keras
from hpsearch.space.space import (
    FitSettings,
    Space,
    check_steering,
    fit_settings,
    shipped_spaces,
)
from hpsearch.task import TASKS, Problem


def problem_of(kind="regression", n_outputs=1, input_shape=(3,)):
    task = TASKS[kind]
    return Problem(kind, input_shape, n_outputs, task.output_activation, task.loss, 60, 10)


PROBLEM = problem_of()


def network(problem=PROBLEM, units=2, compiled=True, activation="relu", **compile_arguments):
    import keras

    model = keras.Sequential(
        [
            keras.Input(problem.input_shape),
            keras.layers.Dense(units, activation=activation),
            keras.layers.Dense(problem.n_outputs, activation=problem.output_activation),
        ]
    )
    if compiled:
        model.compile(**({"optimizer": "sgd", "loss": problem.loss} | compile_arguments))
    return model


def build_small(hp, problem):
    return network(problem, units=hp.Choice("units", [2, 4]))


def build_with_branches(hp):
    optimizer = hp.Choice("optimizer", ["sgd", "adam"])
    with hp.conditional_scope("optimizer", ["adam"]):
        hp.Float("beta", 0.8, 0.9)
    return network(optimizer=optimizer)


def build_with_python_if(hp):
    for layer in range(hp.Int("n_layers", 1, 3)):
        hp.Int(f"units_{layer}", 2, 4)
    if hp.Choice("optimizer", ["sgd", "adam"]) == "adam":
        hp.Float("beta", 0.8, 0.9)
    return network()


@pytest.fixture
def write(tmp_path):
    def write(text, name="my_space.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text))
        return path

    return write


# -- loading


def test_the_shipped_spaces_are_found_by_name():
    assert shipped_spaces() == (
        "boston_housing",
        "finetune",
        "image",
        "imdb",
        "mlp",
        "mnist",
        "reuters",
        "sequence",
        "tabular",
        "text",
    )
    assert {Space.load(name).name for name in shipped_spaces()} == set(shipped_spaces())


def test_a_loaded_space_loads_as_itself():
    space = Space.load("mlp")
    assert Space.load(space) is space


def test_an_unknown_name_is_refused_with_the_nearest_and_all_names():
    with pytest.raises(SpaceError, match=r"'mpl'. Did you mean 'mlp'.*boston_housing, .*imdb, mlp"):
        Space.load("mpl")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(SpaceError, match=r"cannot be read.*No such file"):
        Space.load(tmp_path / "none.py")


def test_a_file_that_raises_is_refused_with_its_line(write):
    path = write("x = 1\ny = x / 0\n")
    with pytest.raises(SpaceError, match=r"ZeroDivisionError in its import \(.*my_space.py:2\)"):
        Space.load(path)


def test_a_file_with_a_syntax_error_is_refused_with_its_line(write):
    with pytest.raises(SpaceError, match=r"SyntaxError in its import \(.*my_space.py:2\)"):
        Space.load(write("x = 1\ndef build(hp:\n"))


def test_a_file_that_exits_is_refused(write):
    with pytest.raises(SpaceError, match="SystemExit"):
        Space.load(write("raise SystemExit(3)"))


def test_a_file_without_build_is_refused(write):
    with pytest.raises(SpaceError, match="defines no build and 0 HyperModels"):
        Space.load(write("x = 1"))


@pytest.mark.parametrize("parameters", ["", "a, b, c"])
def test_a_build_of_another_signature_is_refused(write, parameters):
    with pytest.raises(SpaceError, match=r"must be a function build\(hp, problem\) or build\(hp\)"):
        Space.load(write(f"def build({parameters}): pass"))


def test_a_declare_of_another_signature_is_refused(write):
    with pytest.raises(SpaceError, match=r"must be a function declare\(hp, problem\)"):
        Space.load(write("def build(hp): pass\ndef declare(hp): pass"))


def test_something_that_is_no_space_is_refused():
    with pytest.raises(SpaceError, match="received int"):
        Space.load(3)


def test_a_function_that_cannot_be_pickled_is_refused():
    import threading

    lock = threading.Lock()

    def build(hp):
        return lock

    with pytest.raises(SpaceError, match="'build' cannot be sent to workers"):
        Space.load(build)


@pytest.mark.parametrize(
    ("signature", "received"),
    [
        ("hp, problem", True),
        ("hp, problem=None", True),
        ("hp, other", True),
        ("hp", False),
        ("hp, other=None", False),
        ("hp, *others", False),
        ("hp, **others", False),
    ],
)
def test_build_receives_the_problem_where_its_second_argument_is_one(write, signature, received):
    text = f"""
        def build({signature}):
            raise KeyError(sorted(repr(value)[:8] for value in locals().values()))
        """
    with pytest.raises(SpaceError) as caught:
        Space.load(write(text)).build({}, PROBLEM)
    assert ("'Problem(" in str(caught.value)) == received


HYPERMODEL = """
    import keras_tuner

    class MySpace(keras_tuner.HyperModel):
        def build(self, hp, problem):
            hp.Choice("units", [1, 2])
            raise KeyError(problem.kind)
    """


@pytest.mark.parametrize("more", ["", "my_space = MySpace()"])
def test_a_file_may_define_one_hypermodel_class_or_instance(write, more):
    import keras_tuner  # noqa: F401

    space = Space.load(write(textwrap.dedent(HYPERMODEL) + more))
    with pytest.raises(SpaceError, match=r"KeyError in its build.*regression"):
        space.build({}, PROBLEM)


def test_a_file_with_two_hypermodels_is_refused(write):
    second = "class Other(keras_tuner.HyperModel): pass"
    with pytest.raises(SpaceError, match="2 HyperModels"):
        Space.load(write(textwrap.dedent(HYPERMODEL) + second))


def test_a_file_that_forgets_its_own_name_is_refused(write):
    with pytest.raises(SpaceError, match="no build and 0 HyperModels"):
        Space.load(write("del __name__\n" + textwrap.dedent(HYPERMODEL)))


def test_a_hypermodel_instance_serves_as_a_space():
    import keras_tuner

    class Small(keras_tuner.HyperModel):
        def build(self, hp):
            return network(units=hp.Choice("units", [2, 4]))

    space = Space.load(Small())
    assert space.name == "Small"
    assert space.build({"units": 4}, PROBLEM).layers[0].units == 4


def test_a_hypermodel_with_its_own_fit_is_refused():
    import keras_tuner

    class Fits(keras_tuner.HyperModel):
        def build(self, hp):
            return network()

        def fit(self, hp, model, *args, **kwargs):
            return model.fit(*args, **kwargs)

    with pytest.raises(SpaceError, match="overrides fit"):
        Space.load(Fits)


def test_a_file_may_define_dataclasses(write):
    text = """
        from __future__ import annotations
        import dataclasses

        @dataclasses.dataclass
        class Settings:
            units: int = 3

        def declare(hp, problem):
            hp.Choice("units", [Settings().units])

        def build(hp, problem): ...
        """
    assert Space.load(write(text)).declared(PROBLEM).values == {"units": 3}


def test_a_file_runs_without_future_features_that_it_did_not_ask_for(write):
    text = """
        def build(hp: int): ...
        assert build.__annotations__ == {"hp": int}
        """
    assert Space.load(write(text)).name == "my_space.py"


# -- sending to workers


@pytest.mark.parametrize("spec", ["mlp", build_small])
def test_a_space_survives_bytes_and_pickle(spec):
    space = Space.load(spec)
    assert Space.from_bytes(space.to_bytes()) == space
    assert pickle.loads(pickle.dumps(space)) == space


def test_a_file_changed_after_loading_does_not_change_the_space(write):
    text = "def declare(hp, problem): hp.Int('old', 1, 2)\ndef build(hp): ..."
    path = write(text)
    data = Space.load(path).to_bytes()
    path.write_text(text.replace("old", "new"))
    assert Space.from_bytes(data).declared(PROBLEM).values == {"old": 1}


def test_the_fingerprint_is_that_of_the_source(write):
    import hashlib

    path = write("def build(hp): ...")
    assert Space.load(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


# -- declaring and discovering


def test_a_space_with_declare_is_listed_without_building(write):
    text = """
        def declare(hp, problem):
            hp.Int("n_layers", 1, problem.n_outputs)

        def build(hp, problem):
            raise AssertionError("built")
        """
    space = Space.load(write(text))
    assert space.declares
    assert space.declared(problem_of("multilabel", 4)).space[0].max_value == 4


def test_listing_a_shipped_space_does_not_load_tensorflow():
    code = f"""
        import sys
        from hpsearch.space.space import Space
        from hpsearch.oracles import sample
        from hpsearch.task import Problem
        hp = Space.load("mlp").declared({PROBLEM!r})
        assert len(sample(hp, 3, seed=0)) == 3
        assert "tensorflow" not in sys.modules
        """
    root = str(Path(hpsearch.__file__).parents[1])
    environment = {**os.environ, "KERAS_BACKEND": "numpy", "PYTHONPATH": root}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    subprocess.run(command, check=True, env=environment)


def test_a_declare_that_raises_is_refused_with_its_line(write):
    text = "def build(hp): ...\ndef declare(hp, problem):\n    hp.Choice('units', [])\n"
    with pytest.raises(SpaceError, match=r"in its declare \(.*my_space.py:3\).*must be provided"):
        Space.load(write(text)).declared(PROBLEM)


def test_a_declare_that_raises_in_a_branch_is_refused(write):
    text = """
        def build(hp): ...

        def declare(hp, problem):
            if hp.Choice("optimizer", ["sgd", "adam"]) == "adam":
                raise KeyError("no adam")
        """
    with pytest.raises(SpaceError, match="no adam"):
        Space.load(write(text)).declared(PROBLEM)


def test_fixes_narrow_what_is_declared():
    hp = Space.load("boston_housing").declared(PROBLEM, {"n_layers": "1"})
    assert "units_2" not in [parameter.name for parameter in hp.space]


def test_discovery_activates_every_conditional_scope():
    discovery = Space.load(build_with_branches).discover(PROBLEM)
    assert [parameter.name for parameter in discovery.hyperparameters.space] == [
        "optimizer",
        "beta",
    ]
    assert discovery.under_if == ()
    assert discovery.complete


def test_discovery_finds_and_names_what_is_declared_under_a_python_if():
    discovery = Space.load(build_with_python_if).discover(PROBLEM)
    names = {parameter.name for parameter in discovery.hyperparameters.space}
    assert names == {"n_layers", "units_0", "units_1", "units_2", "optimizer", "beta"}
    assert set(discovery.under_if) == {"units_1", "units_2", "beta"}


def test_discovery_stops_after_twenty_builds():
    n_builds = []

    def declare_many(hp):
        n_builds.append(1)
        hp.Int("units", 1, 30)

    from hpsearch.space.discovery import explore

    assert not explore(declare_many, limit=20).complete
    assert len(n_builds) == 20


def test_discovery_collects_what_only_some_builds_raise():
    def build(hp):
        if hp.Choice("optimizer", ["sgd", "broken"]) == "broken":
            raise ValueError("no such optimizer")
        return network()

    (failure,) = Space.load(build).discover(PROBLEM).failures
    assert "no such optimizer" in failure


@pytest.mark.parametrize(
    "spoil", [lambda hp: hp.values.clear(), lambda hp: vars(hp).update(values=None)]
)
def test_discovery_survives_a_build_that_spoils_its_values(spoil):
    def build(hp):
        if hp.Boolean("spoiled"):
            hp.Int("units", 1, 2)
            spoil(hp)
            raise ValueError("no values")
        return network()

    (failure,) = Space.load(build).discover(PROBLEM).failures
    assert "no values" in failure


def test_discovery_raises_what_the_defaults_raise():
    def build(hp):
        raise ValueError("never works")

    with pytest.raises(SpaceError, match=r"ValueError in its build.*test_space.py:.*never works"):
        Space.load(build).discover(PROBLEM)


def test_what_a_hypermodel_raises_is_reported_with_its_file_and_line():
    import keras_tuner

    class Broken(keras_tuner.HyperModel):
        def build(self, hp):
            raise KeyError("never works")

    with pytest.raises(SpaceError, match=r"KeyError in its build.*test_space.py:[0-9]+"):
        Space.load(Broken()).discover(PROBLEM)


# -- building


def test_build_uses_the_values_of_the_candidate():
    model = Space.load(build_small).build({"units": 4}, PROBLEM)
    assert model.layers[0].units == 4


def test_values_that_the_candidate_lacks_get_defaults_and_are_reported():
    built = Space.load(build_small).construct({}, PROBLEM)
    assert built.values == built.added == {"units": 2}


def test_values_that_the_build_never_asks_for_are_reported():
    built = Space.load(build_small).construct({"units": 4, "depth": 3}, PROBLEM)
    assert built.unused == ("depth",)
    assert built.added == {}


def test_what_steers_the_fit_must_be_declared():
    def build(hp, problem):
        hp.Choice("batch_size", [8, 16])
        return build_small(hp, problem)

    space = Space.load(build)
    assert space.construct({"units": 4, "batch_size": 8}, PROBLEM).added == {}
    with pytest.raises(
        SpaceError, match=r"'batch_size' steers.*Call hp.Choice\('batch_size', ...\) at"
    ):
        space.construct({"units": 4}, PROBLEM)


def build_with_epochs_under_if(hp, problem):
    if hp.Boolean("deep"):
        hp.Int("epochs", 5, 9)
    return network(problem)


def test_what_this_build_does_not_ask_for_steers_nothing():
    space = Space.load(build_with_epochs_under_if)
    assert space.settled({"deep": False, "epochs": 7}, PROBLEM) == {"deep": False}
    assert space.settled({"deep": True, "epochs": 7}, PROBLEM) == {"deep": True, "epochs": 7}


def test_what_declare_lists_is_used_whether_or_not_the_build_asks_again(write):
    text = """
        def declare(hp, problem):
            hp.Int("epochs", 5, 9)
            hp.Choice("units", [2, 4])

        def build(hp, problem):
            import keras
            model = keras.Sequential([keras.layers.Dense(hp.get("units")), keras.layers.Dense(1)])
            model.compile("sgd", "mse")
            return model
    """
    space = Space.load(write(text))
    values = {"epochs": 7, "units": 4}
    assert space.settled(values, PROBLEM) == values
    assert space.construct(values, PROBLEM).values == values


def test_a_fix_does_not_hide_what_steers_the_fit(write):
    text = """
        def declare(hp, problem):
            hp.Choice("optimizer", ["adam", "sgd"])
            with hp.conditional_scope("optimizer", ["sgd"]):
                hp.Choice("batch_size", [8, 16])

        def build(hp, problem):
            hp.Choice("optimizer", ["adam", "sgd"])
            hp.Choice("batch_size", [8, 16])
    """
    space = Space.load(write(text))
    with pytest.raises(SpaceError, match=r"Write hp.Choice\('batch_size', ...\) in its `declare`"):
        space.construct({"optimizer": "adam"}, PROBLEM, {"batch_size": "16"})


def test_a_fix_holds_in_build_where_the_candidate_lacks_the_name():
    built = Space.load(build_small).construct({}, PROBLEM, {"units": "4"})
    assert built.values == {"units": 4}


def test_a_fix_of_an_inactive_hyperparameter_changes_nothing():
    built = Space.load(build_with_branches).construct(
        {"optimizer": "sgd"}, PROBLEM, {"beta": "0.9"}
    )
    assert built.values == {"optimizer": "sgd"}


def test_a_fix_holds_in_the_branch_that_another_fix_opens():
    fixes = {"beta": "0.85", "optimizer": "adam"}
    built = Space.load(build_with_branches).construct({}, PROBLEM, fixes)
    assert built.values == {"optimizer": "adam", "beta": 0.85}


def test_a_network_that_cannot_take_the_problems_rows_is_refused():
    def build(hp):
        import keras

        model = keras.Sequential([keras.layers.Reshape((5,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    with pytest.raises(SpaceError, match=r"ValueError in its build"):
        Space.load(build).build({}, PROBLEM)


def test_a_network_without_an_input_layer_is_built_for_the_problem():
    def build(hp):
        import keras

        model = keras.Sequential([keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    assert Space.load(build).build({}, PROBLEM).input_shape == (None, 3)


def test_what_build_raises_is_reported_with_its_line_and_chained():
    def build(hp):
        raise KeyError("units")

    with pytest.raises(
        SpaceError, match=r"'build' raised KeyError in its build.*py:[0-9]+"
    ) as info:
        Space.load(build).build({}, PROBLEM)
    assert isinstance(info.value.__cause__, KeyError)


def _lambda_layer():
    import keras

    return keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: x)])


def _own_layer():
    import keras

    class OwnDense(keras.layers.Dense):
        pass

    return keras.Sequential([keras.Input((3,)), OwnDense(1)])


def _own_model():
    import keras

    class OwnModel(keras.Model):
        pass

    return OwnModel()


def _with_activation(activation):
    import keras

    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation=activation)])


def relu(x):
    """An own function under a name that Keras knows, and would read back as its own."""
    return 2 * x


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: None, "must return a compiled keras.Model; it returned NoneType"),
        (lambda: network(compiled=False), "must compile its network"),
        (lambda: network(loss=None), "must compile its network with an optimizer and a loss"),
    ],
)
def test_what_is_no_compiled_network_is_refused(make, message):
    def build(hp):
        return make()

    with pytest.raises(SpaceError, match=message):
        Space.load(build).build({}, PROBLEM)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (_lambda_layer, "a lambda"),
        (lambda: _with_activation(lambda x: x), "a lambda"),
        (lambda: _with_activation(relu), "'relu'"),
        (_own_layer, "'OwnDense'"),
        (_own_model, "'OwnModel'"),
    ],
)
def test_a_network_that_only_its_own_code_can_load_is_refused_for_saving(make, name):
    with pytest.raises(SpaceError, match=f"'mine' contains {name} and a saved model"):
        check_saves("mine", make())


def test_a_network_of_keras_own_parts_is_taken_for_saving():
    import keras

    rows = keras.Input((4, 4, 1))
    x = keras.layers.Rescaling(1 / 255)(rows)
    x = keras.layers.Conv2D(2, 3, activation=keras.activations.gelu, kernel_regularizer="l2")(x)
    x = keras.layers.Flatten()(keras.layers.LeakyReLU()(x) + 1)
    nested = keras.Sequential([keras.layers.Dense(2, activation="swish")])
    assert check_saves("mine", keras.Model(rows, nested(x))) is None


def test_what_a_network_is_trained_with_need_not_be_saved():
    import keras

    def own(y, predicted):
        return keras.ops.mean(y - predicted, axis=-1)

    for loss in (own, lambda y, p: own(y, p), keras.saving.register_keras_serializable()(own)):
        model = network(loss=loss, metrics=[own])
        assert check_saves("mine", keras.Sequential([keras.Input((3,)), model])) is None
        assert check_saves("mine", model) is None


def test_a_layer_around_other_code_cannot_be_saved():
    import keras

    assert not is_of_keras(object.__new__(keras.layers.TFSMLayer))
    assert is_of_keras(keras.layers.Dense(1))


def test_building_does_not_refuse_what_cannot_be_saved():
    def build(hp):
        model = _own_layer()
        model.compile("sgd", "mse")
        return model

    assert Space.load(build).build({}, PROBLEM).built


# -- reserved names


def test_reserved_names_steer_the_fit():
    assert fit_settings({"batch_size": 8, "epochs": 5}, 32, 100) == FitSettings(8, 5)


def test_without_reserved_names_the_defaults_hold():
    assert fit_settings({"units": 8}, 32, 100) == FitSettings(32, 100)


@pytest.mark.parametrize("value", [0, -1, 2.5, True, "16", 10**10])
def test_a_batch_size_that_is_no_positive_whole_number_is_refused(value):
    with pytest.raises(OptionError, match="'batch_size' steers the fit"):
        fit_settings({"batch_size": value}, 32, 100)


@pytest.mark.parametrize(
    "declare",
    [
        lambda hp: hp.Int("epochs", 1, 10**9),
        lambda hp: hp.Int("epochs", 0, 9),
        lambda hp: hp.Choice("batch_size", [16, 10**10]),
        lambda hp: hp.Fixed("epochs", 10**6),
        lambda hp: hp.Float("batch_size", 1.0, 9.0),
    ],
)
def test_a_space_that_may_steer_a_fit_beyond_its_limits_is_refused(declare):
    hp = HyperParameters()
    declare(hp)
    with pytest.raises(OptionError, match="steers the fit and must be a whole number from 1 to"):
        check_steering(hp)


def test_a_space_may_steer_a_fit_within_its_limits():
    hp = HyperParameters()
    hp.Int("epochs", 1, 100_000)
    hp.Choice("batch_size", [16, 32])
    hp.Float("epochs_of_warmth", 0.0, 1e12)
    assert check_steering(hp) is None
