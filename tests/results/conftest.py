import pandas as pd
import pytest

from hpsearch.results import RunFolder

SETTINGS = {
    "data": {"name": "wine", "n_rows": 178, "task": "multiclass"},
    "trials": 2,
    "folds": 4,
    "repeats": 2,
    "epochs": 50,
}
TRIALS = {"trial": [1, 0], "status": ["completed", "completed"], "score": [1 / 3, 0.5]}
BEST = {
    "trial": 1,
    "metric": "log_loss",
    "score": 0.12345678,
    "score_se": 0.0123,
    "ci_low": 0.1,
    "ci_high": 0.15,
    "best_epoch": 17,
    "hyperparameters": {"units": 64, "activation": "relu"},
}


@pytest.fixture
def finished(tmp_path):
    """The folder of a run with one table and two documents."""
    folder = RunFolder.create(tmp_path / "run")
    folder.write_settings(SETTINGS)
    folder.write_tables(trials=pd.DataFrame(TRIALS))
    folder.write_json("best.json", BEST)
    return folder.path
