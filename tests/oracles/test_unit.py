import numpy as np
import pytest
from numpy.testing import assert_allclose

from hpsearch.oracles._unit import UnitSpace
from hpsearch.space.hyperparameters import active_values, all_values, combinations, values_key


def declared():
    from keras_tuner import HyperParameters

    return HyperParameters()


def every_type():
    hp = declared()
    hp.Choice("sizes", [64, 16, 32])
    hp.Choice("names", ["b", "a", "c"])
    hp.Boolean("flag")
    hp.Int("count", 1, 9, step=2)
    hp.Int("width", 8, 128, step=2, sampling="log")
    hp.Int("free", 1, 1000, sampling="log")
    hp.Float("share", 0.0, 0.5, step=0.1)
    hp.Float("rate", 1e-5, 1.0, sampling="log")
    hp.Float("late", 0.1, 10.0, sampling="reverse_log")
    hp.Float("backwards", 1.0, 16.0, step=2, sampling="reverse_log")
    hp.Fixed("loss", "mse")
    hp.Float("single", 2.0, 2.0)
    return hp


def two_branches():
    hp = declared()
    hp.Choice("optimizer", ["sgd", "adam"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Float("rate", 0.0, 1.0, default=0.25)
        hp.Int("power", 1, 4, default=4)
    with hp.conditional_scope("optimizer", ["adam"]):
        hp.Float("rate", 10.0, 20.0, default=15.0)
    return hp


@pytest.mark.parametrize("make", [every_type, two_branches])
def test_a_configuration_comes_back_from_its_point(make):
    space, rng = UnitSpace(make()), np.random.default_rng(0)
    for _ in range(200):
        values = space.values(rng.random(len(space.axes)))
        back = space.values(space.point(values))
        assert back.keys() == values.keys()
        for name, value in values.items():
            if isinstance(value, float):
                assert_allclose(back[name], value, rtol=1e-9)
            else:
                assert back[name] == value


def test_values_are_active_and_as_the_tables_write_them():
    hp, rng = two_branches(), np.random.default_rng(0)
    space = UnitSpace(hp)
    for _ in range(50):
        values = space.values(rng.random(len(space.axes)))
        assert values == active_values(hp, values)


def test_every_value_of_a_finite_axis_has_a_point_of_its_own():
    """keras-tuner's value_to_prob puts 0.3 of 0, 0.1, 0.2, 0.3 where 0.2 is."""
    hp = declared()
    hp.Float("share", 0.0, 1.0, step=0.1)
    hp.Choice("sizes", [3, 1, 2])
    hp.Int("width", 8, 64, step=2, sampling="log")
    space = UnitSpace(hp)
    whole = list(combinations(hp, lambda parameter: all_values(parameter)))
    points = {tuple(space.point(values)) for values in whole}
    assert len(points) == len(whole)
    assert {values_key(space.values(point)) for point in points} == set(map(values_key, whole))


def test_steps_and_logarithms_are_evenly_spaced():
    hp = declared()
    hp.Int("width", 8, 64, step=2, sampling="log")
    hp.Float("rate", 1e-4, 1.0, sampling="log")
    space = UnitSpace(hp)
    widths = [space.point({"width": width, "rate": 1e-4})[0] for width in (8, 16, 32, 64)]
    assert_allclose(widths, [0.125, 0.375, 0.625, 0.875])
    rates = [space.point({"width": 8, "rate": rate})[1] for rate in (1e-4, 1e-2, 1.0)]
    assert_allclose(rates, [0.0, 0.5, 1.0])


def test_choices_with_an_order_lie_in_that_order_however_they_are_listed():
    hp = declared()
    hp.Choice("sizes", [64, 16, 32])
    places = [UnitSpace(hp).point({"sizes": size})[0] for size in (16, 32, 64)]
    assert places == sorted(places)


def test_an_inactive_hyperparameter_stands_at_its_default():
    space = UnitSpace(two_branches())
    sgd, adam = {"optimizer": "sgd", "rate": 0.5, "power": 1}, {"optimizer": "adam", "rate": 12.0}
    assert_allclose(space.point(sgd), [0.25, 0.5, 0.125, 0.5])
    assert_allclose(space.point(adam), [0.75, 0.25, 0.875, 0.2])
    assert space.active(sgd) == [0, 1, 2]
    assert space.active(adam) == [0, 3]


def test_categories_are_as_far_from_each_other_as_any_two():
    hp = declared()
    hp.Choice("names", ["a", "b", "c"])
    space = UnitSpace(hp)
    vectors = space.features(np.stack([space.point({"names": name}) for name in "abc"]))
    distances = np.linalg.norm(vectors[:, None] - vectors, axis=-1)
    assert_allclose(distances, 0.5 * (1 - np.eye(3)))


def test_a_default_or_a_value_off_the_steps_lies_within_the_box():
    hp = declared()
    hp.Int("count", 0, 10, step=4, default=10)
    point = UnitSpace(hp).point({"count": 10})
    assert 0.0 <= point[0] <= 1.0


def test_what_has_one_value_is_no_axis():
    space = UnitSpace(every_type())
    assert [axis.name for axis in space.axes] == [
        *("sizes", "names", "flag", "count", "width", "free", "share", "rate", "late"),
        "backwards",
    ]
    assert space.values(np.zeros(10))["loss"] == "mse"
    assert space.values(np.zeros(10))["single"] == 2.0


def test_a_range_of_very_many_steps_is_counted_without_writing_them_down():
    hp = declared()
    hp.Int("units", 1, 10**9)
    hp.Int("blocks", 16, 10**9, step=16)
    hp.Float("rate", 0.0, 1.0, step=0.1)
    assert [axis.n for axis in UnitSpace(hp).axes] == [
        10**9,
        len(range(16, 10**9 + 1, 16)),
        len(tuple(hp.space[-1].values)),
    ]
