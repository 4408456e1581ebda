"""The race that a search takes where none was asked for, and what is refused all the same."""

import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.errors import OptionError
from hpsearch.search.command import command
from hpsearch.search.options import Options
from hpsearch.search.plan import plan_search
from hpsearch.search.usual_budget import with_budget
from hpsearch.search.usual_race import settled

USUAL = ("corrected-t", 3)


@pytest.mark.parametrize(
    ("asked", "race", "rungs"),
    [
        ({}, *USUAL),
        ({"trials": 60}, *USUAL),
        ({"trials": 19}, *USUAL),  # 19, 7, 3
        ({"trials": 18}, "corrected-t", 2),  # 18, 6, and then 2
        ({"trials": 7}, "corrected-t", 2),
        ({"trials": 6}, "off", 1),
        ({"trials": 1}, "off", 1),
        ({"trials": 60, "bracket": 10}, "corrected-t", 2),
        ({"epochs": 27}, *USUAL),  # 3, 9, 27
        ({"epochs": 26}, "corrected-t", 2),
        ({"epochs": 8}, "corrected-t", 1),
        ({"epochs": 1}, "corrected-t", 1),
        ({"repeats": 1}, "off", 3),
        ({"patience": 5}, "off", 1),
        ({"oracle": "grid"}, *USUAL),
        ({"oracle": "hyperband"}, "corrected-t", 1),
        ({"oracle": "bayesian"}, "corrected-t", 1),
        ({"race": "off"}, "off", 3),
        ({"rungs": 1}, "corrected-t", 1),
        ({"race": "forgiving", "rungs": 2}, "forgiving", 2),
        ({"race": "off", "rungs": 1}, "off", 1),
        ({"until_decided": True}, *USUAL),
        ({"nested": 3}, *USUAL),
    ],
)
def test_what_a_search_takes(asked, race, rungs):
    options, note = settled(with_budget(Options(**asked), 150), n_repeats=3)
    assert (options.race, options.rungs) == (race, rungs)
    is_open = not {"race", "rungs"} <= asked.keys()
    assert bool(note) == is_open
    if is_open:
        assert note.startswith("No race: " if (race, rungs) == ("off", 1) else "Race: ")


def test_it_is_settled_once():
    options, _ = settled(with_budget(Options(), 150), n_repeats=3)
    assert settled(options, n_repeats=1) == (options, "")


def test_a_split_without_repeats_leaves_the_rungs_and_is_no_error():
    table = pd.DataFrame({"x": np.arange(60.0), "y": np.arange(60) % 2})
    data = hpsearch.load(table.assign(day=np.arange(60)), target="y", time="day")
    planned = plan_search(Options(), data)
    assert (planned.options.race, planned.options.rungs) == ("off", 3)
    with pytest.raises(OptionError, match="This split has one repeat"):
        plan_search(Options(race="corrected-t"), data)


def test_the_command_of_a_run_names_what_it_took():
    data = hpsearch.load("sklearn:iris")
    assert "--race corrected-t --rungs 3 " in command(plan_search(Options(), data))
    assert "--race off --rungs 1 " in command(plan_search(Options(trials=2), data))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"race": "corrected-t", "patience": 3}, "which --race would take apart"),
        ({"rungs": 3, "patience": 3}, "which --rungs would take apart"),
        ({"race": "corrected-t", "repeats": 1}, "there is one; received --race corrected-t"),
        ({"rungs": 3, "oracle": "hyperband"}, "sets the rungs itself"),
        ({"rungs": 3, "epochs": 2}, "allow at most 2"),
        ({"bracket": 0}, "`bracket` must be a whole number of at least 1"),
    ],
)
def test_what_was_asked_for_and_cannot_be_is_still_refused(asked, said):
    with pytest.raises(OptionError, match=said):
        Options(**asked)
