"""The crew: the winner trains on all rows by the engine that trained its folds."""

import pytest

from hpsearch.engines import engine_kind
from hpsearch.engines.failures import UntraceableError
from hpsearch.engines.workers import Begun, LateCallError
from hpsearch.errors import BundleError
from hpsearch.scoring.crew import Crew


class Pool:
    def __init__(self, name):
        self.name = name
        self.limit = None

    def begin(self, function, *arguments, limit=None):
        self.limit = limit
        return Begun(lambda: True, lambda: function(self.name, *arguments))


@pytest.fixture
def crew(monkeypatch):
    """A crew of the fused engine, whose workers tell their names."""
    from types import SimpleNamespace

    crew = Crew.__new__(Crew)
    crew.choice = SimpleNamespace(kind=engine_kind("fused"))
    crew.workers, crew._plan = Pool("fused"), SimpleNamespace(trial_timeout=100.0)
    monkeypatch.setitem(vars(crew), "_second_workers", Pool("reference"))
    return crew


def test_a_refit_takes_the_engine_that_falls_back_where_it_must(crew):
    def train(pool, train_on_all_rows, number):
        if pool == "fused" and number == 1:
            raise UntraceableError("a loss of whole batches")
        return pool, train_on_all_rows, number

    for number, name in enumerate(("fused", "reference")):
        kind = engine_kind(name)
        result = crew.begin_refit(train, number).result()
        assert result == ((name, kind.train_on_all_rows, number), kind)
    assert crew.workers.limit == 1200.0


def test_a_refit_that_takes_too_long_is_an_error_of_the_export(crew):
    def late(pool, train_on_all_rows):
        raise LateCallError("late")

    with pytest.raises(BundleError, match=r"within 1200 s, 12 times --trial-timeout.*resume"):
        crew.begin_refit(late).result()
