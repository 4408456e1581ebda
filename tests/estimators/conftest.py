"""Estimators whose searches and trainings a quick engine does in this process."""

from pathlib import Path

import pytest

SPACE = str(Path(__file__).with_name("space.py"))


@pytest.fixture(autouse=True, scope="module")
def quickly(pretend_here):
    with pretend_here():
        yield


@pytest.fixture(scope="session")
def network():
    """Parameters of one network that takes no time."""
    return {"build": SPACE, "epochs": 10, "batch_size": 8, "engine": "pretended"}


@pytest.fixture(scope="session")
def search():
    """Parameters of a search that takes no time."""
    return {
        "space": SPACE,
        "trials": 1,
        "folds": 2,
        "repeats": 1,
        "epochs": 10,
        "batch_size": 4,
        "race": "off",
        "rungs": 1,
        "baselines": False,
        "engine": "pretended",
    }
