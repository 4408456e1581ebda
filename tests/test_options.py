"""Options that are declared once, and what follows from the declaration."""

import inspect
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import hpsearch
from hpsearch import options as rules
from hpsearch.data.options import TABLE_OPTIONS
from hpsearch.errors import OptionError
from hpsearch.options import Resumed, count, declared, one_of, option, or_none
from hpsearch.search.options import FOR_ONE_NETWORK, OPTIONS, RESUMABLE, Options

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Made:
    """Some options."""

    n: int = option(3, "How many; with {on_top} more.", count(most=10), resumed=Resumed.GROWS)
    on_top: bool = option(False, "Whether more.", rules.switch)
    kind: str = option("a", "Which.", one_of(("a", "b")), resumed=Resumed.ANEW)
    seconds: float | None = option(None, "How long.", or_none(rules.seconds))

    def __post_init__(self):
        rules.check_each(self)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n": 0}, "`n` must be a whole number of at least 1; received 0"),
        ({"n": 2.0}, "`n` must be a whole number"),
        ({"n": True}, "`n` must be a whole number"),
        ({"n": 11}, "`n` is at most 10; received 11"),
        ({"on_top": "yes"}, "`on_top` is True or False; received 'yes'"),
        ({"kind": "c"}, "`kind` is a or b; received 'c'"),
        ({"seconds": 0}, "`seconds` is a number of seconds above 0; received 0"),
        ({"seconds": float("inf")}, "`seconds` is a number of seconds"),
    ],
)
def test_each_option_is_held_against_its_rule(given, message):
    with pytest.raises(OptionError, match=message.replace("`", ".")):
        Made(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"trials": 10**12}, "`trials` is at most 1,000,000; received 1,000,000,000,000"),
        ({"folds": 10**6}, "`folds` is at most 10,000"),
        ({"repeats": 10**6}, "`repeats` is at most 1,000"),
        ({"folds": 11, "repeats": 1000}, "`folds` times `repeats` is at most 10,000; received 11"),
        ({"folds": 99, "until_decided": True, "max_repeats": 999}, "`folds` times `max_repeats`"),
        ({"max_repeats": 10**6}, "`max_repeats` is at most 1,000"),
        ({"nested": 10**6}, "`nested` is at most 10,000"),
        ({"epochs": 10**9}, "`epochs` is at most 100,000"),
        ({"batch_size": 10**10}, "`batch_size` is at most 1,000,000,000"),
        ({"jobs": 10**10}, "`jobs` is at most 1,000,000,000"),
        ({"gap": 10**10}, "`gap` is at most"),
        ({"max_words": 10**10}, "`max_words` is at most"),
        ({"patience": 10**5000}, "`patience` is at most 1,000,000,000; received more"),
    ],
)
def test_what_would_work_on_in_silence_is_refused(given, message):
    with pytest.raises(OptionError, match=message.replace("`", ".")):
        hpsearch.Search(**given)


def test_a_seed_may_be_large():
    assert hpsearch.Search(seed=2**80).seed == 2**80


def test_numpys_values_are_kept_as_pythons():
    made = Made(n=np.int64(4), on_top=np.bool_(True))
    assert type(made.n) is int
    assert type(made.on_top) is bool


def test_what_is_given_anew_is_not_recorded():
    assert rules.recorded(Made(n=5)) == {"n": 5, "on_top": False, "seconds": None}


def test_words_name_other_options_as_the_reader_writes_them():
    n = declared(Made)[0]
    assert n.in_python() == "How many; with ``on_top`` more."
    assert n.on_command_line() == "How many; with --on-top more."


def test_a_function_says_in_its_signature_and_docstring_what_it_takes():
    @rules.taking(declared(Made))
    def do(x, **options):
        """Do it.

        Parameters
        ----------
        x : a thing.

        Returns
        -------
        Nothing.
        """

    assert str(inspect.signature(do)) == "(x, *, n=3, on_top=False, kind='a', seconds=None)"
    assert "x : a thing.\nn : How many; with ``on_top`` more.\non_top :" in do.__doc__
    assert "Returns\n-------\nNothing." in do.__doc__


def test_an_unknown_option_is_refused_with_the_nearest():
    with pytest.raises(OptionError, match=r"do has no option 'kinds'\. Did you mean kind"):
        rules.check_options("do", ["kinds"], declared(Made))


def test_an_option_that_was_replaced_is_refused_with_the_new_one():
    with pytest.raises(OptionError, match=r"`backend` is no option any more; `cluster` took"):
        rules.check_options("do", ["backend"], OPTIONS)


def test_the_docs_table_is_made_of_the_declarations():
    page = (ROOT / "docs/options.md").read_text(encoding="utf-8")
    assert rules.table((*TABLE_OPTIONS, *OPTIONS)) in page, (
        "make docs/options.md again: python -m hpsearch.search.options"
    )


def test_python_has_the_same_options_as_the_declarations():
    names = {each.name for each in OPTIONS}
    own = {"observer", "quiet", "began", "reports"}
    assert set(inspect.signature(hpsearch.Search).parameters) == names | own
    assert {each.name for each in RESUMABLE} <= set(inspect.signature(hpsearch.resume).parameters)
    one = set(inspect.signature(hpsearch.cross_validate).parameters)
    assert {each.name for each in FOR_ONE_NETWORK} <= one
    assert {each.name for each in TABLE_OPTIONS} <= set(inspect.signature(hpsearch.load).parameters)


@pytest.mark.parametrize("each", OPTIONS, ids=lambda each: each.name)
def test_every_option_is_in_the_docstring_of_search(each):
    assert f"\n{each.name} : " in hpsearch.Search.__doc__


def test_cross_validate_refuses_what_only_a_search_has():
    with pytest.raises(OptionError, match="cross_validate has no option 'trials'"):
        hpsearch.cross_validate("mlp", [[1.0]], [1.0], trials=3)


@pytest.mark.parametrize("given", [{"repeats": 10**9}, {"max_repeats": 10**6}, {"trials": 10**12}])
def test_what_would_never_end_is_refused(given):
    with pytest.raises(OptionError, match="is at most"):
        Options(**given)


def test_an_array_is_no_word():
    for name in ("split", "race", "oracle", "select", "engine", "metric", "scale_target"):
        with pytest.raises(OptionError):
            Options(**{name: np.array([1, 2])})
