"""How many epochs tables of 4,000 to 54,000 rows ask for: the defaults with several numbers.

    pip install '.[bench]'
    python benchmarks/epochs.py                    # docs/epochs.csv, and a summary of it
    python benchmarks/epochs.py --tables spam --epochs 15 30
    python benchmarks/epochs.py --summary          # of docs/epochs.csv, nothing is run

The tables ``LARGER`` of ``tables_data.py``, which no other benchmark reports on, scored as in
``ablation.py``. Each row is written when it is there, and one that is there is not run again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from ablation import Variant, score
from printing import markdown
from resumable import rows_of, with_row
from tables_data import LARGER, Table

ROOT = Path(__file__).parent.parent
EPOCHS = (15, 30, 60, 100)
COLUMNS = ["table", "rows", "epochs", "metric", "score", "best_epoch", "seconds"]


def run_missing(options: argparse.Namespace) -> pd.DataFrame:
    """Run what is not in the file yet, and write each row when it is there."""
    rows = rows_of(options.out, COLUMNS)
    for table in [table for table in LARGER if table.name in options.tables]:
        for epochs in options.epochs:
            if ((rows["table"] == table.name) & (rows["epochs"] == epochs)).any():
                continue
            rows = with_row(rows, scored(table, epochs), options.out)
            print(rows.tail(1).to_string(index=False, header=False), flush=True)
    return rows


def scored(table: Table, epochs: int) -> dict:
    found = score(table, Variant(options={"epochs": epochs}))
    found["best_epoch"] = found.pop("epoch")
    return {"table": table.name, "rows": len(table.read()), "epochs": epochs, **found}


def summary(rows: pd.DataFrame) -> str:
    """Each table's loss as a multiple of its smallest, by the number of epochs; and seconds."""
    found = rows.pivot_table(index=["rows", "table"], columns="epochs", values="score")
    found = found.div(found.min(axis=1), axis=0).droplevel("rows")
    seconds = rows.pivot_table(index="table", columns="epochs", values="seconds")
    found.insert(0, "rows", rows.groupby("table")["rows"].first().map("{:,}".format))
    return markdown(found.join(seconds.round().add_prefix("seconds of ")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    names = [table.name for table in LARGER]
    parser.add_argument("--tables", nargs="+", choices=names, default=names)
    parser.add_argument("--epochs", nargs="+", type=int, default=list(EPOCHS))
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "epochs.csv")
    parser.add_argument("--summary", action="store_true")
    options = parser.parse_args()
    rows = pd.read_csv(options.out) if options.summary else run_missing(options)
    print(summary(rows))


if __name__ == "__main__":
    main()
