"""Random hostile input ends in a result or in one line: a little of ``benchmarks/fuzz.py``."""

import os
import signal
import sys

import pytest

from benchmarks.fuzzing import KINDS
from benchmarks.fuzzing.base import judged

N_BLOCKS = 4
ATTEMPTS = {"tables": 100, "options": 20, "results": 15, "journals": 3, "models": 15, "spaces": 10}
"""Of each block."""
MOST_SECONDS = 10.0


@pytest.fixture(autouse=True)
def _process_state():
    """What a command changes in its process, put back."""
    environment, handler = dict(os.environ), signal.getsignal(signal.SIGTERM)
    drawing = "matplotlib" in sys.modules
    yield
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGTERM, handler)
    if not drawing:
        sys.modules.pop("matplotlib", None)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("block", range(N_BLOCKS))
@pytest.mark.parametrize("kind", ATTEMPTS)
def test_hostile_input_ends_in_a_result_or_in_one_line(kind, block, tmp_path):
    wrong = []
    for number in range(block * ATTEMPTS[kind], (block + 1) * ATTEMPTS[kind]):
        folder = tmp_path / str(number)
        folder.mkdir()
        ending = judged(KINDS[kind], 0, number, folder)
        if ending.problem or ending.seconds > MOST_SECONDS:
            wrong.append((number, ending))
    assert not wrong, "\n".join(
        f"python benchmarks/fuzz.py --kind {kind} --only {number}: {ending.what}\n{ending.details}"
        for number, ending in wrong
    )


def test_every_kind_is_tried_here():
    assert set(ATTEMPTS) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_an_attempt_can_be_made_again_by_its_number(kind, tmp_path):
    endings = []
    for folder in (tmp_path / "first", tmp_path / "again"):
        folder.mkdir()
        ending = judged(KINDS[kind], 0, 3, folder)
        said = (ending.what, ending.problem, ending.came)
        endings.append([part and part.replace(str(folder), "") for part in said])
    assert endings[0] == endings[1]
