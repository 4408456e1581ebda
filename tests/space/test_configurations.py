"""Configurations that people write down, as a space has them."""

import pytest
from keras_tuner import HyperParameters

from hpsearch.errors import SpaceError
from hpsearch.space.configurations import configured
from hpsearch.space.hyperparameters import narrow


@pytest.fixture
def hp():
    hp = HyperParameters()
    hp.Choice("optimizer", ["adam", "sgd"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Float("momentum", 0.0, 0.9, default=0.5)
    hp.Int("units", 8, 64, step=8, default=32)
    hp.Boolean("bias")
    return hp


def test_values_get_their_types_whatever_they_were_written_as(hp):
    given = {"optimizer": "sgd", "momentum": "0.25", "units": "16", "bias": "True"}
    expected = {"optimizer": "sgd", "momentum": 0.25, "units": 16, "bias": True}
    assert configured(hp, given).values == expected
    assert configured(hp, {"units": 16.0}).values["units"] == 16


def test_what_is_left_out_has_its_default_and_is_named(hp):
    found = configured(hp, {"optimizer": "sgd", "units": 8})
    assert found.values == {"optimizer": "sgd", "momentum": 0.5, "units": 8, "bias": False}
    assert found.by_default == ("momentum", "bias")


def test_what_is_not_active_counts_for_nothing_and_is_named(hp):
    found = configured(hp, {"optimizer": "adam", "momentum": 0.9})
    assert "momentum" not in found.values
    assert found.idle == ("momentum",)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"unit": 8}, r"declares no hyperparameter 'unit'. Did you mean 'units'\?"),
        ({"units": 65}, "'units' allows 8 to 64, step 8; received 65"),
        ({"units": 8.5}, "'units' allows"),
        ({"optimizer": "rmsprop"}, "'optimizer' allows adam, sgd; received 'rmsprop'"),
        ({"bias": 3}, "'bias' allows"),
    ],
)
def test_what_the_space_does_not_have_is_refused(hp, given, said):
    with pytest.raises(SpaceError, match=said):
        configured(hp, given)


def test_a_fixed_value_is_not_overruled(hp):
    fixed = narrow(hp, {"units": 16})
    assert configured(fixed, {"units": 16}).values["units"] == 16
    with pytest.raises(SpaceError, match="cannot be changed from 16; received 24"):
        configured(fixed, {"units": 24})


def test_a_text_that_a_space_fixes_may_be_another_one():
    hp = HyperParameters()
    hp.Fixed("base", "base.keras")
    hp.Fixed("size", 3)
    assert narrow(hp, {"base": "/data/other.keras"}).values["base"] == "/data/other.keras"
    with pytest.raises(SpaceError, match="'size' cannot be changed from 3; received '4'"):
        narrow(hp, {"size": "4"})
