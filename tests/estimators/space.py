"""The space of the quick engine (tests/pretended.py): how fast it learns."""


def declare(hp, problem):
    hp.Choice("rate", [0.3, 0.1, 0.6])


def build(hp, problem):
    raise NotImplementedError
