"""Searches that are pretended, and what keeps MLflow in a test's own folder."""

import numpy as np
import pandas as pd
import pytest

import hpsearch

SPACE = """
def declare(hp, problem):
    hp.Choice("units", [2, 3, 4, 5, 6])
    hp.Choice("rate", [0.1, 0.2, 0.5, 0.8, 1.0])  # the last one fails


def build(hp, problem):
    raise NotImplementedError
"""
BUDGET = {"trials": 3, "folds": 2, "repeats": 2, "epochs": 3, "batch_size": 12, "jobs": 1}


def visits(n=40):
    rng = np.random.default_rng(0)
    age, size = rng.normal(50, 10, n).round(1), rng.normal(0, 1, n).round(2)
    ill = np.where(age + 8 * size + rng.normal(0, 3, n) > 50, "yes", "no")
    ward, beds = rng.choice(["a", "b"], n), rng.integers(1, 9, n)
    return pd.DataFrame({"age": age, "size": size, "ward": ward, "beds": beds, "ill": ill})


@pytest.fixture(scope="session")
def space(tmp_path_factory):
    path = tmp_path_factory.mktemp("space") / "space.py"
    path.write_text(SPACE)
    return path


@pytest.fixture(scope="session")
def search_in(pretend_here, space):
    """Search with the results in a folder."""

    def search_in(folder, **options):
        data = hpsearch.load(visits(), target="ill", name="visits")
        with pretend_here() as engine:
            options = BUDGET | {"engine": engine, "out": folder} | options
            return hpsearch.Search(space, **options).run(data)

    return search_in


@pytest.fixture(scope="session")
def resume_in(pretend_here):
    def resume_in(folder, **options):
        with pretend_here():
            return hpsearch.resume(
                folder, hpsearch.load(visits(), target="ill", name="visits"), **options
            )

    return resume_in


@pytest.fixture(scope="module")
def tracking(tmp_path_factory):
    """MLflow's database and artifacts, in a folder of their own."""
    folder = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
        patch.delenv("MLFLOW_EXPERIMENT_ID", raising=False)
        yield folder
