"""The refit: whatever goes wrong once all folds are trained is told in one line."""

import pytest

from hpsearch.errors import BundleError, SpaceError
from hpsearch.export.refit import _told_in_one_line
from hpsearch.space.space import Candidate


@pytest.mark.parametrize("error", [ValueError("no such layer\nand more"), KeyError("units")])
def test_what_a_space_or_keras_raises_becomes_an_error_of_the_export(error):
    with (
        pytest.raises(BundleError, match=r"^Trial 3 .* final model could not be made: \w+Error: "),
        _told_in_one_line([Candidate(3, {})]),
    ):
        raise error


def test_several_networks_are_named_by_their_trials():
    candidates = [Candidate(3, {}), Candidate(3, {}), Candidate(5, {})]
    with (
        pytest.raises(BundleError, match=r"^Trials 3, 5 trained on their folds, but the final"),
        _told_in_one_line(candidates),
    ):
        raise ValueError("no such layer")


def test_memory_that_runs_out_is_tried_again():
    with pytest.raises(MemoryError), _told_in_one_line([Candidate(3, {})]):
        raise RuntimeError("RESOURCE_EXHAUSTED: out of memory")


def test_an_error_that_tells_enough_stays_as_it_is():
    with pytest.raises(SpaceError, match=r"^no units$"), _told_in_one_line([Candidate(3, {})]):
        raise SpaceError("no units")
