"""Searches in this process of a space of two hyperparameters, on rows that lie on a line."""

import pandas as pd

import hpsearch

BUDGET = {"trials": 4, "folds": 2, "repeats": 1, "epochs": 3, "batch_size": 12, "jobs": 1}
SPACE = """
def declare(hp, problem):
    hp.Choice("units", [2, 3, 4, 5, 6])
    hp.Float("rate", 0.01, 0.8, default=0.1)


def build(hp, problem):
    raise NotImplementedError
"""


def searching(folder, pretend_here, space=SPACE, **usual):
    """A function that searches, or goes on; the results go to a folder of the given name.

    ``usual`` are options of each search; ``text`` of the function is another space.
    """
    path = folder / "space.py"
    path.write_text(space)
    frame = pd.DataFrame({"x": range(40), "z": [i * 7 % 13 for i in range(40)]})
    frame["y"] = frame["x"] + 3.5 * frame["z"]

    def search(name, *, text=None, go_on=None, **options):
        if text is not None:
            path.write_text(text)
        data = hpsearch.load(frame, target="y", name="lines")
        with pretend_here() as engine:
            if go_on is not None:
                return hpsearch.resume(folder / name, data, **go_on)
            asked = BUDGET | usual | {"engine": engine, "out": folder / name} | options
            return hpsearch.Search(path, **asked).run(data)

    return search


def configurations(run):
    """The units and the rate of each trial, in their order."""
    table = run.trials.sort_values("trial")
    return list(zip(table["hp.units"], table["hp.rate"], strict=True))
