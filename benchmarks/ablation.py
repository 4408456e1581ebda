"""What each part of ``--space tabular`` is worth: its defaults with one part changed at a time.

    pip install '.[bench]'
    python benchmarks/ablation.py                      # docs/ablation.csv, and a summary of it
    python benchmarks/ablation.py --variants "as it is" "no clipping" --tables boston airfoil
    python benchmarks/ablation.py --summary            # of docs/ablation.csv, nothing is run

The development tables of ``tables_data.py``, which no other benchmark reports on. A variant is the
space's own file with some text replaced, or a default changed, scored as trial 0 of a search would
be: the same folds, seeds and epochs for all, half the usual epochs above 2,000 rows. RMSE for
numbers, log loss for classes.

The summary has the change of the loss in percent on each table, positive where the variant is
worse, so that a part pays whose absence makes most tables worse. Each row is written when it is
there, and one that is there is not run again.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from printing import markdown
from resumable import rows_of, with_row
from tables_data import DEVELOPMENT, Table, development_epochs

ROOT = Path(__file__).parent.parent
SPACE = ROOT / "spaces" / "tabular.py"
FOLDS = 4
AS_IT_IS = "as it is"
COLUMNS = ["table", "variant", "metric", "score", "epoch", "seconds"]


@dataclass(frozen=True)
class Variant:
    """What is changed of the space: texts of its file, values, options of the training."""

    texts: tuple[tuple[str, str], ...] = ()
    values: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    def written(self, folder: Path) -> Path:
        """The changed space's file.

        Raises
        ------
        ValueError
            The space no longer holds a text that is to be replaced.
        """
        source = SPACE.read_text(encoding="utf-8")
        for old, new in self.texts:
            if old not in source:
                raise ValueError(f"{SPACE.name} holds no {old!r}. Change the variant.")
            source = source.replace(old, new)
        path = folder / "variant.py"
        path.write_text(source, encoding="utf-8")
        return path


VARIANTS = {
    AS_IT_IS: Variant(),
    "no waves": Variant(
        texts=((' in ("both", "periodic"):\n        parts', " in ():\n        parts"),)
    ),
    "no places between quantiles": Variant(values={"embedding": "periodic"}),
    "neither of them": Variant(values={"embedding": "none"}),
    "numbers clipped smoothly": Variant(
        texts=(
            (
                "others = rows[:, :n_numbers], rows[:, n_numbers:]\n",
                "others = rows[:, :n_numbers], rows[:, n_numbers:]\n"
                "    numbers = numbers / keras.ops.sqrt(1.0 + keras.ops.square(numbers / 3.0))\n",
            ),
        )
    ),
    "no scales of features": Variant(
        texts=(("return rows + SCALE_SPEED * grown(rows)", "return rows"),)
    ),
    "scales learnt slowly": Variant(texts=(("SCALE_SPEED = 6.0", "SCALE_SPEED = 1.0"),)),
    "last layer not 0 at first": Variant(
        texts=((', kernel_initializer="zeros"\n    )\n    model', "\n    )\n    model"),)
    ),
    "SELU": Variant(values={"activation": "selu"}),
    "ReLU": Variant(texts=(('["mish", "selu"]', '["relu"]'),)),
    "one fall of the rate": Variant(texts=(("N_CYCLES = 4", "N_CYCLES = 1"),)),
    "constant rate": Variant(
        texts=(
            (
                'keras.optimizers.schedules.CosineDecayRestarts(hp.get("learning_rate"), first)',
                'hp.get("learning_rate")',
            ),
        )
    ),
    "weight decay 0.02": Variant(
        texts=(("Adam(rates, beta_2=0.95)", "AdamW(rates, weight_decay=0.02, beta_2=0.95)"),)
    ),
    "weight decay 0.5": Variant(
        texts=(("Adam(rates, beta_2=0.95)", "AdamW(rates, weight_decay=0.5, beta_2=0.95)"),)
    ),
    "beta_2 0.999": Variant(texts=((", beta_2=0.95", ""),)),
    "neither a 0 nor 0.95": Variant(
        texts=(
            (', kernel_initializer="zeros"\n    )\n    model', "\n    )\n    model"),
            (", beta_2=0.95", ""),
        )
    ),
    "no dropout": Variant(values={"dropout": 0.0}),
    "one hidden layer": Variant(values={"n_layers": 1}),
    "two hidden layers": Variant(values={"n_layers": 2}),
    "64 units": Variant(values={"units": 64}),
    "256 units": Variant(values={"units": 256}),
    "15 epochs": Variant(options={"epochs": 15}),
    "30 epochs": Variant(options={"epochs": 30}),
    "100 epochs": Variant(options={"epochs": 100}),
}


def score(table: Table, variant: Variant) -> dict[str, Any]:
    """The variant's mean score on the folds, its best epoch, and the seconds that it took."""
    import hpsearch

    data = hpsearch.load(table.read(), target=table.target, task=table.task)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = hpsearch.cross_validate(
            str(variant.written(Path(folder))),
            data,
            values=variant.values,
            metric=table.metric,
            cv=FOLDS,
            quiet=True,
            **{"epochs": development_epochs(data.n_rows), **variant.options},
        )
    return {
        "metric": table.metric,
        "score": found.folds[f"val_{table.metric}"].mean(),
        "epoch": found.best_epoch,
        "seconds": time.monotonic() - began,
    }


def run_missing(options: argparse.Namespace) -> pd.DataFrame:
    """Run what is not in the file yet, and write each row when it is there."""
    rows = rows_of(options.out, COLUMNS)
    for table in [table for table in DEVELOPMENT if table.name in options.tables]:
        for name in options.variants:
            if ((rows["table"] == table.name) & (rows["variant"] == name)).any():
                continue
            found = score(table, VARIANTS[name])
            named = {"table": table.name, "variant": name, **found}
            rows = with_row(rows, named, options.out)
            print(
                f"{table.name:14}{name:28}{found['score']:10.4f}{found['seconds']:7.1f} s",
                flush=True,
            )
    return rows


def summary(rows: pd.DataFrame) -> str:
    """The change of the loss in percent, for each variant and table, and its mean."""
    scores = rows.pivot_table(index="variant", columns="table", values="score", sort=False)
    changes = 100 * (np.exp(np.log(scores).sub(np.log(scores.loc[AS_IT_IS]), axis=1)) - 1)
    changes.insert(0, "worse on", (changes > 0).sum(axis=1))
    changes.insert(0, "mean", changes.drop(columns="worse on").mean(axis=1))
    changes["seconds"] = rows.groupby("variant", sort=False)["seconds"].sum()
    return markdown(changes.round(1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    names = [table.name for table in DEVELOPMENT]
    parser.add_argument("--tables", nargs="+", choices=names, default=names)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "ablation.csv")
    parser.add_argument("--summary", action="store_true")
    options = parser.parse_args()
    rows = pd.read_csv(options.out) if options.summary else run_missing(options)
    print(summary(rows))


if __name__ == "__main__":
    main()
