"""What a search begins with: what was given, the defaults, the space's portfolio, the oracle's."""

import pytest

import hpsearch
from hpsearch.errors import InputError
from hpsearch.oracles import oracle_names
from hpsearch.scoring.observer import SilentObserver
from tests.search.lines import SPACE as WITHOUT
from tests.search.lines import configurations, searching

SPACE = f"""{WITHOUT}

def portfolio(problem):
    return [{{"units": 6, "rate": 0.3}}, {{}}, {{"units": 4}}, {{"units": 6, "rate": 0.3}}]
"""
DEFAULTS, PORTFOLIO = (2, 0.1), [(6, 0.3), (4, 0.1)]


@pytest.fixture
def search(tmp_path, pretend_here):
    return searching(tmp_path, pretend_here, SPACE, trials=5, baselines=False)


@pytest.mark.parametrize("oracle", [name for name in oracle_names() if name != "gp"])
def test_the_portfolio_comes_after_the_defaults_whoever_proposes(search, oracle):
    found = configurations(search("run", oracle=oracle, epochs=9))
    assert found[:3] == [DEFAULTS, *PORTFOLIO]
    assert len(set(found)) == 5


def test_what_was_given_comes_before_all_of_it(search):
    found = configurations(search("run", tried=[{"units": 4}, {"units": 3}]))
    assert found[:4] == [(4, 0.1), (3, 0.1), DEFAULTS, PORTFOLIO[0]]


def test_one_trial_is_the_defaults(search):
    assert configurations(search("run", trials=1)) == [DEFAULTS]


def test_what_is_fixed_keeps_its_value(search):
    found = configurations(search("run", fix={"units": 3}))
    assert found[:2] == [(3, 0.1), (3, 0.3)]
    assert {units for units, _ in found} == {3}


@pytest.mark.parametrize("oracle", ["random", "bayesian"])
def test_a_run_that_grows_proposes_what_a_larger_one_does(search, oracle):
    whole = search("whole", oracle=oracle, trials=10)
    search("grown", oracle=oracle, trials=2)
    grown = search("grown", go_on={"trials": 10})
    for name in ("trials.csv", "folds.csv", "run.json"):
        assert (grown.path / name).read_bytes() == (whole.path / name).read_bytes()


def test_searches_in_outer_folds_begin_with_it(search, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "hpsearch.search.nesting.make_oracle",
        lambda *asked: seen.append(asked[2].first) or hpsearch.oracles.make_oracle(*asked),
    )
    search("run", nested=2, trials=3)
    values = [{"units": units, "rate": rate} for units, rate in (PORTFOLIO[0], DEFAULTS)]
    assert [first[:3] for first in seen] == [({}, *values)] * 2


@pytest.mark.parametrize("returned", ["[{'unit': 4}]", "[{'units': 7}]", "{'units': 4}"])
def test_what_the_space_does_not_have_is_one_line_before_any_training(search, returned, tmp_path):
    text = SPACE[: SPACE.index("    return")] + f"    return {returned}\n"
    with pytest.raises(InputError, match=r"^portfolio of 'space\.py'"):
        search("run", text=text)
    assert not (tmp_path / "run" / "journal.sqlite").exists()


@pytest.mark.parametrize(
    ("trials", "said"),
    [
        (5, ["After the defaults come 2 configurations of the space's portfolio."]),
        (
            2,
            [
                "After the defaults comes 1 configuration of the space's portfolio of 2, and "
                "--trials is no more."
            ],
        ),
        (1, []),
    ],
)
def test_what_comes_first_is_said(search, trials, said):
    notes = []

    class Listener(SilentObserver):
        def note(self, text):
            notes.append(text)

    search("run", trials=trials, observer=Listener())
    assert [text for text in notes if "portfolio" in text] == said


def test_an_oracle_with_less_than_it_would_learn_from_says_so(search):
    notes = []

    class Listener(SilentObserver):
        def note(self, text):
            notes.append(text)

    many = "[{'rate': 0.01 * n} for n in range(1, 13)]"
    text = SPACE[: SPACE.index("    return")] + f"    return {many}\n"
    search("run", text=text, trials=9, oracle="bayesian", observer=Listener())
    assert any("it learns from 12 on" in text for text in notes)
