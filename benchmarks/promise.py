"""What a promise is a promise of: how far it lies from test scores, and why.

    pip install '.[bench]'
    python benchmarks/promise.py                    # boston, ten splits of 90 and 10 %
    python benchmarks/promise.py --table insurance

A development table of ``tables_data.py`` is split into 90 % to search on and 10 % to test, ten
times, so that each row is tested once. On each split the defaults of ``--space tabular`` are scored
by iterated K-fold, K being 4 and 16, and the network that is trained on all of the 90 % is tested.
Differences between what is promised and what is seen on few test rows have names:

* **few test rows**: the root of a mean of squares is less, on average, on few rows than on many,
  since the few rows that carry most of the squares are mostly elsewhere. So the RMSE of all test
  rows together is above the mean of the splits' RMSEs, and far above their median. What the ten
  worst rows carry of all squares is printed.
* **fewer rows to learn from**: a fold's networks see (K - 1) / K of the rows, the exported one all
  of them. What this costs shows between K = 4 and K = 16.
* **what is left** is the correction for having chosen an epoch, and chance.
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
SPLITS = 10
WORST = 10


def split(table: Table, number: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to search on, and to test; each row is tested in one of the splits."""
    frame = table.read()
    parts = np.array_split(np.random.default_rng(0).permutation(len(frame)), SPLITS)
    rest = np.concatenate([part for other, part in enumerate(parts) if other != number])
    return frame.iloc[rest], frame.iloc[parts[number]]


def scored(table: Table, number: int, folds: int) -> dict[str, Any]:
    """What was promised, and what the test rows gave."""
    import hpsearch

    train, test = split(table, number)
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
    print(
        f"split {number}, {folds:2} folds: promised {promise.value:.4g}, of {len(test)} rows "
        f"{low:.4g} to {high:.4g}, seen {rmse:.4g}",
        flush=True,
    )
    return {
        "folds": folds,
        "promised": promise.value,
        "seen": rmse,
        "inside": low <= rmse <= high,
        "squares": squares,
    }


def summary(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """A row for each K."""
    found = {}
    for folds in FOLDS:
        here = pd.DataFrame([row for row in rows if row["folds"] == folds])
        squares = np.sort(np.concatenate(list(here["squares"])))
        found[folds] = {
            "promised (mean)": here["promised"].mean(),
            "RMSE of all test rows": np.sqrt(squares.mean()),
            "mean of the splits": here["seen"].mean(),
            "median of the splits": here["seen"].median(),
            f"of the squares in the {WORST} worst rows": squares[-WORST:].sum() / squares.sum(),
            "inside": f"{here['inside'].sum()} of {len(here)}",
        }
    return pd.DataFrame(found).T.rename_axis("folds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    numbers = {table.name: table for table in DEVELOPMENT if table.task == "regression"}
    parser.add_argument("--table", choices=numbers, default="boston")
    table = numbers[parser.parse_args().table]
    print(markdown(summary([scored(table, n, k) for n in range(SPLITS) for k in FOLDS])))


if __name__ == "__main__":
    main()
