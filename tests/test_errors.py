"""A message is one line that people can read, whatever it quotes."""

import pickle

import pytest

from hpsearch import errors
from hpsearch.errors import DataError, HpsearchError

CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, HpsearchError)
]


def test_line_ends_become_spaces():
    assert str(DataError("a\n  b\r\n\nc\u2028d")) == "a b c d"


def test_a_long_quotation_loses_its_middle():
    said = str(DataError(f"The cell {'x' * 5000!r} is no number. Correct it."))
    assert said.startswith("The cell 'xxx")
    assert said.endswith("x' is no number. Correct it.")
    assert len(said) < 300


def test_a_long_message_loses_its_middle():
    said = str(DataError(f"The cell {'word ' * 5000!r} is no number. Correct it."))
    assert said.endswith("' is no number. Correct it.")
    assert len(said) < 1_600


def test_messages_of_usual_length_stay_as_they_are():
    said = "Rule; received 'x  y'. " * 30
    assert str(DataError(said)) == said.strip()


@pytest.mark.parametrize("error", CLASSES)
def test_errors_survive_the_way_between_processes(error):
    made = error("a\nb")
    again = pickle.loads(pickle.dumps(made))
    assert (type(again), str(again)) == (error, "a b")
