import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpsearch.errors import SpaceError
from hpsearch.space.hyperparameters import (
    Range,
    active_ranges,
    active_values,
    all_values,
    check_declared,
    combinations,
    describe,
    grid_values,
    narrow,
)


def declared():
    """An optimizer with two branches, one of them nested, and layers that depend on a depth."""
    from keras_tuner import HyperParameters

    hp = HyperParameters()
    hp.Choice("optimizer", ["sgd", "adam"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Boolean("use_momentum")
        with hp.conditional_scope("use_momentum", [True]):
            hp.Float("momentum", 0.1, 0.9)
    hp.Int("n_layers", 1, 3, default=2)
    with hp.conditional_scope("n_layers", [2, 3]):
        hp.Int("units", 8, 32, step=8)
    hp.Float("rate", 1e-4, 1e-1, sampling="log", default=1e-3)
    return hp


def names(hp):
    return [parameter.name for parameter in hp.space]


def test_inactive_hyperparameters_have_no_value():
    values = active_values(declared(), {"optimizer": "adam", "n_layers": 1, "units": 16})
    assert values == {"optimizer": "adam", "n_layers": 1, "rate": 1e-3}


def test_missing_active_hyperparameters_get_their_default():
    values = active_values(declared(), {"optimizer": "sgd", "use_momentum": True})
    assert values["momentum"] == 0.1
    assert values["units"] == 8


def test_undeclared_names_are_left_out():
    assert "depth" not in active_values(declared(), {"depth": 7})


def test_a_name_declared_in_two_branches_keeps_its_value_in_the_first():
    from keras_tuner import HyperParameters

    hp = HyperParameters()
    hp.Choice("optimizer", ["sgd", "adam"])
    for optimizer in ("sgd", "adam"):
        with hp.conditional_scope("optimizer", [optimizer]):
            hp.Choice("rate", [0.1, 0.2])
    assert active_values(hp, {"optimizer": "sgd", "rate": 0.2}) == {"optimizer": "sgd", "rate": 0.2}


@given(st.floats(1e-4, 1e-1))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_floats_keep_twelve_significant_digits_and_stay_in_range(rate):
    value = active_values(declared(), {"rate": rate})["rate"]
    assert 1e-4 <= value <= 1e-1
    assert value == float(f"{value:.12g}")


def test_combinations_cover_each_branch_once_with_the_last_turning_fastest():
    from keras_tuner import HyperParameters

    hp = HyperParameters()
    hp.Choice("optimizer", ["sgd", "adam"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Boolean("nesterov")
    hp.Choice("units", [8, 16])
    assert [tuple(values.values()) for values in combinations(hp, grid_values)] == [
        ("sgd", False, 8),
        ("sgd", False, 16),
        ("sgd", True, 8),
        ("sgd", True, 16),
        ("adam", 8),
        ("adam", 16),
    ]


def test_grid_values_begin_with_the_default():
    assert grid_values(declared().space[3]) == [2, 1, 3]


def test_grid_values_of_a_continuous_range_are_the_default_and_ten_more_in_order():
    default, *others = grid_values(declared().space[-1])
    assert default == 1e-3
    assert len(others) == 10
    assert others == sorted(others)


def test_integers_with_logarithmic_steps_are_integers():
    from keras_tuner.engine.hyperparameters import Int

    values = grid_values(Int("units", 2, 32, step=2, sampling="log"))
    assert values == [2, 4, 8, 16, 32]
    assert {type(value) for value in values} == {int}


def test_all_values_of_a_stepless_logarithmic_integer_are_the_whole_range():
    from keras_tuner.engine.hyperparameters import Int

    assert list(all_values(Int("units", 2, 6, sampling="log"))) == [2, 3, 4, 5, 6]


def test_a_continuous_range_has_no_list_of_all_values():
    assert all_values(declared().space[-1]) is None


def test_describe_tells_type_domain_default_and_condition():
    rows = {p.name: (p.type, p.domain, p.default, p.condition) for p in describe(declared())}
    assert rows == {
        "optimizer": ("choice", "sgd, adam", "sgd", ""),
        "use_momentum": ("boolean", "True, False", False, "optimizer is sgd"),
        "momentum": ("float", "0.1 to 0.9", 0.1, "optimizer is sgd and use_momentum is True"),
        "n_layers": ("int", "1 to 3", 2, ""),
        "units": ("int", "8 to 32, step 8", 8, "n_layers is 2 or 3"),
        "rate": ("float", "0.0001 to 0.1, log", 0.001, ""),
    }


@pytest.mark.parametrize(
    ("fixes", "value"),
    [
        ({"optimizer": "adam"}, "adam"),
        ({"n_layers": "3"}, 3),
        ({"n_layers": "3.0"}, 3),
        ({"n_layers": 3}, 3),
        ({"rate": "1e-2"}, 0.01),
        ({"use_momentum": "true"}, True),
        ({"use_momentum": "no"}, False),
        ({"units": "12"}, 12),
    ],
)
def test_a_fix_is_read_by_the_type_of_the_hyperparameter(fixes, value):
    (name,) = fixes
    (parameter,) = [p for p in narrow(declared(), fixes).space if p.name == name]
    assert list(parameter.values) == [value]
    assert type(parameter.default) is type(value)


def test_a_fix_removes_branches_that_cannot_become_active():
    narrowed = narrow(declared(), {"optimizer": "adam", "n_layers": 1})
    assert names(narrowed) == ["optimizer", "n_layers", "rate"]


def test_a_fixed_hyperparameter_keeps_its_conditions():
    narrowed = narrow(declared(), {"units": 16})
    assert "units" not in active_values(narrowed, {"n_layers": 1})
    assert active_values(narrowed, {"n_layers": 2})["units"] == 16


def test_narrowing_leaves_the_given_space_as_it_was():
    hp = declared()
    before = hp.get_config()
    narrow(hp, {"optimizer": "adam"})
    assert hp.get_config() == before


@pytest.mark.parametrize(
    ("fixes", "message"),
    [
        ({"optimiser": "adam"}, "no hyperparameter 'optimiser'. Did you mean 'optimizer'?"),
        ({"depth": 2}, "Declared: optimizer, use_momentum, momentum, n_layers, units, rate."),
        ({"optimizer": "adamw"}, "'optimizer' allows sgd, adam; received 'adamw'"),
        ({"n_layers": "4"}, "'n_layers' allows 1 to 3; received '4'"),
        ({"n_layers": "2.5"}, "'n_layers' allows 1 to 3; received '2.5'"),
        ({"n_layers": True}, "'n_layers' allows 1 to 3; received True"),
        ({"rate": "fast"}, "'rate' allows 0.0001 to 0.1, log; received 'fast'"),
        ({"rate": "nan"}, "received 'nan'"),
        ({"use_momentum": "maybe"}, "'use_momentum' allows True, False; received 'maybe'"),
    ],
)
def test_an_impossible_fix_is_refused_with_what_is_allowed(fixes, message):
    with pytest.raises(SpaceError) as caught:
        narrow(declared(), fixes)
    assert message in str(caught.value)


def test_a_fix_in_a_branch_that_another_fix_removes_is_refused():
    message = "'momentum' exists only where optimizer is sgd and use_momentum is True"
    with pytest.raises(SpaceError, match=message):
        narrow(declared(), {"optimizer": "adam", "momentum": 0.5})


def test_ranges_are_those_of_the_active_declarations_that_take_several_numbers():
    from keras_tuner import HyperParameters

    hp = HyperParameters()
    hp.Choice("optimizer", ["sgd", "adam"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Float("rate", 1e-3, 1e-1, sampling="log")
    with hp.conditional_scope("optimizer", ["adam"]):
        hp.Float("rate", 1e-5, 1e-2, sampling="log")
        hp.Float("beta", 0.5, 0.9, step=0.2)
    hp.Int("layers", 1, 4)
    hp.Int("wide", 1, 1000)
    hp.Float("drop", 0.0, 0.5, step=0.1)  # of which keras-tuner never proposes the last
    hp.Boolean("bias")
    hp.Fixed("fixed", 3)
    hp.Choice("one", [8])
    found = active_ranges(hp, {"optimizer": "adam", "rate": 1e-4})
    assert found == {
        "rate": Range(1e-5, 1e-2, is_log=True),
        "beta": Range(0.5, 0.9, values=(0.5, 0.7, 0.9)),
        "layers": Range(1.0, 4.0, values=(1.0, 2.0, 3.0, 4.0)),
        "wide": Range(1.0, 1000.0),
        "drop": Range(0.0, 0.4, values=(0.0, 0.1, 0.2, 0.3, 0.4)),
    }
    assert active_ranges(hp, {"optimizer": "sgd"})["rate"] == Range(1e-3, 1e-1, is_log=True)


def wide():
    from keras_tuner import HyperParameters

    hp = HyperParameters()
    hp.Int("units", 1, 10**9)
    hp.Int("blocks", 16, 10**9, step=16)
    hp.Float("rate", 0.0, 1e9, step=1e-3)
    return hp


def test_a_range_of_very_many_values_is_listed_without_writing_them_down():
    units, blocks, rate = wide().space
    assert all_values(units) == range(1, 10**9 + 1)
    assert all_values(blocks) == range(16, 10**9 + 1, 16)
    assert all_values(rate) is None


def test_a_grid_of_very_many_values_begins_at_once():
    grid = combinations(wide(), grid_values)
    first = [next(grid)["rate"] for _ in range(3)]
    assert first == pytest.approx([0.0, 0.001, 0.002])


# -- declarations that lead nowhere, or too far


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda hp: hp.Int("n", 1, 9, step=0), "step of hyperparameter 'n' must be above 0"),
        (lambda hp: hp.Float("x", 0.0, 1.0, step=-0.1), "must be above 0; received -0.1"),
        (lambda hp: hp.Float("x", 0.0, math.nan), "'x' needs two ends; received 0 to nan"),
        (lambda hp: hp.Float("x", 0.0, math.inf), "'x' needs two ends; received 0 to inf"),
        (lambda hp: hp.Int("", 1, 2), "A hyperparameter has a name; received ''"),
    ],
)
def test_a_declaration_that_has_no_value_to_give_is_refused(make, message):
    from keras_tuner import HyperParameters

    hp = HyperParameters()
    make(hp)
    with pytest.raises(SpaceError, match=message):
        check_declared(hp.space[0])


def of_true_and_false():
    from keras_tuner import HyperParameters

    hp = HyperParameters()
    hp.Choice("clip", [True, False])
    return hp


@pytest.mark.parametrize("text", ["False", "false", "0", False, 0])
def test_a_choice_of_true_and_false_takes_them_by_name(text):
    assert narrow(of_true_and_false(), {"clip": text}).values["clip"] == 0


def test_a_choice_of_true_and_false_takes_nothing_else():
    with pytest.raises(SpaceError, match="allows 1, 0; received '2'"):
        narrow(of_true_and_false(), {"clip": "2"})
