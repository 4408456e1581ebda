"""What a promise is a promise of: how far it lies from test scores, and why.

    pip install '.[bench]'
    python benchmarks/promise.py                  # boston, 10 random splits of 90 and 10 %
    python benchmarks/promise.py --table insurance --splits 5

A development table of ``tables_data.py`` is split into 90 % to search on and 10 % to test, again
and again. On each the defaults of ``--space tabular`` are scored by iterated K-fold, K being 4 and
16, and the network that is trained on all of the 90 % is tested. Three differences between what is
promised and what is seen on few test rows have names:

* **fewer rows**: a fold's networks see (K - 1) / K of the rows, the exported one all of them. What
  this costs shows between K = 4 and K = 16.
* **few test rows**: the root of a mean of squares is less, on average, on few rows than on many,
  because the rare large errors are mostly missing. The RMSE of all test rows together is above
  the mean of the splits' RMSEs.
* **chance**: what is left, with its standard error over the splits.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from printing import markdown
from tables_data import DEVELOPMENT, Table

FOLDS = (4, 16)
SHARE = 0.1


def split(table: Table, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to search on, and to test."""
    frame = table.read()
    order = np.random.default_rng(seed).permutation(len(frame))
    n_test = round(SHARE * len(frame))
    return frame.iloc[order[n_test:]], frame.iloc[order[:n_test]]


def scored(table: Table, seed: int, folds: int) -> dict[str, Any]:
    """What was promised, and what the test rows gave."""
    import hpsearch

    train, test = split(table, seed)
    with tempfile.TemporaryDirectory() as folder:
        run = hpsearch.Search(
            "tabular",
            trials=1,
            folds=folds,
            metric="rmse",
            baselines=False,
            reports=False,
            quiet=True,
            out=Path(folder) / "run",
        ).run(hpsearch.load(train, target=table.target, task="regression"))
        said = hpsearch.predict(run, test.drop(columns=table.target))[table.target]
        promise = run.ledger.promise
        low, high = promise.of_rows(len(test))
    squares = (said.to_numpy() - test[table.target].to_numpy()) ** 2
    rmse = float(np.sqrt(squares.mean()))
    return {
        "split": seed,
        "folds": folds,
        "promised": promise.value,
        "test": rmse,
        "inside": low <= rmse <= high,
        "squares": float(squares.mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    numbers = {table.name: table for table in DEVELOPMENT if table.task == "regression"}
    parser.add_argument("--table", choices=numbers, default="boston")
    parser.add_argument("--splits", type=int, default=10)
    options = parser.parse_args()
    table = numbers[options.table]
    rows = []
    for seed in range(options.splits):
        for folds in FOLDS:
            rows.append(scored(table, seed, folds))
            print(", ".join(f"{name} {value:.4g}" for name, value in rows[-1].items()), flush=True)
    of_folds = pd.DataFrame(rows).groupby("folds")
    gap = of_folds.apply(lambda part: (part["promised"] - part["test"]).sem())
    found = pd.DataFrame(
        {
            "promised": of_folds["promised"].mean(),
            "mean of the splits' RMSE": of_folds["test"].mean(),
            "RMSE of all test rows": np.sqrt(of_folds["squares"].mean()),
            "standard error of the difference": gap,
            "inside": of_folds["inside"].mean(),
        }
    )
    print(markdown(found))


if __name__ == "__main__":
    main()
