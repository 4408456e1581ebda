"""What tests of a session need beside the pretended engine: a plan, and a journal in memory."""

from hpsearch.engines.contract import FitOptions
from hpsearch.scoring.session_plan import SessionPlan
from hpsearch.space.space import Space

SPACE = """
def declare(hp, problem):
    hp.Choice("rate", [0.1, 0.4])


def build(hp, problem):
    raise NotImplementedError
"""


class MemoryJournal:
    """A journal in memory."""

    def __init__(self):
        self.rows = {}

    def units(self, trial):
        return [self.rows[key] for key in sorted(self.rows) if key[0] == trial]

    def record(self, results):
        self.rows |= {result.unit.key: result for result in results}


def pretended_plan(folder):
    """A session's plan, six epochs of the pretended engine; the space's file goes to a folder."""
    (folder / "space.py").write_text(SPACE)
    return SessionPlan(
        space=Space.load(folder / "space.py"),
        fixes={},
        engine="pretended",
        options=FitOptions(0, 6, 8, None, ("mae",)),
        jobs=1,
        scale_target=True,
        max_levels=64,
        max_words=100,
        must_save=False,
    )
