"""First candidates of ``--space tabular``: which few configurations were best on other tables.

    pip install '.[bench]'
    python benchmarks/portfolio.py                     # docs/portfolio.csv, and a summary of it
    python benchmarks/portfolio.py --tables boston airfoil
    python benchmarks/portfolio.py --summary --size 8  # of docs/portfolio.csv, nothing is run

The development tables of ``tables_data.py``, which no other benchmark reports on. On each the same
configurations are scored, the space's defaults and then random ones, by one search without a race,
on the same folds. RMSE for numbers, log loss for classes. A table's rows are written when it is
done, and what is there is not run again. The batch size is left to its default, which follows from
a table's rows; ``--left-out`` names others.

A configuration's regret on a table is (score - best) / (median - best), at most 1: 0 for the best
configuration that was scored there, 1 for one that is no better than half of them. The distance to
the median is never close to nothing, as that from the defaults to the best may be, and a training
that diverged counts no more than any bad one. A portfolio's regret is that of its best member. It
begins with the defaults and is grown greedily, by the configuration that lowers the mean regret
over the tables most.

How well that works on a table that had no say is seen by leaving one out: the portfolio is grown on
the others. Beside it stands what a search does without one, the defaults and then random
configurations: the mean over all of their subsets, which needs no draws.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from printing import markdown
from tables_data import DEVELOPMENT, Table, development_epochs

ROOT = Path(__file__).parent.parent
SPACE, FOLDS, SEED = "tabular", 4, 0
COLUMNS = ["table", "configuration", "hyperparameters", "metric", "score", "seconds"]
DIGITS = 2

Configuration = dict[str, Any]
Regrets = NDArray[np.float64]
"""(n_tables, n_configurations), the defaults in the first column."""


# -- what is scored


def drawn(n: int, left_out: Sequence[str]) -> list[Configuration]:
    """The defaults, which name nothing, and the first n - 1 draws that all tables' spaces have.

    Parameters
    ----------
    left_out : hyperparameters that keep each table's own default.
    """
    from hpsearch.errors import SpaceError
    from hpsearch.oracles import sample
    from hpsearch.space.configurations import configured

    spaces = [declared(table) for table in DEVELOPMENT]
    found: list[Configuration] = [{}]
    for candidate in sample(spaces[0], 4 * n, SEED)[1:]:
        values = {name: v for name, v in candidate.values.items() if name not in left_out}
        try:
            for space in spaces:
                configured(space, values)
        except SpaceError:
            continue
        found.append(values)
    return found[:n]


def declared(table: Table) -> Any:
    """The space's hyperparameters, as a search of the table has them."""
    import hpsearch
    from hpsearch.engines.backend import import_keras_tuner
    from hpsearch.engines.fit_data import problem_of
    from hpsearch.preprocessing import Layout
    from hpsearch.space.space import Space

    import_keras_tuner()
    data = hpsearch.load(table.read(), target=table.target, task=table.task)
    layout = Layout.of(data.schema)
    n_train = data.n_rows - math.ceil(data.n_rows / FOLDS)
    return Space.load(SPACE).declared(problem_of(data.target, layout, n_train=n_train, epochs=100))


def scored(table: Table, configurations: list[Configuration], epochs: int | None) -> pd.DataFrame:
    """Rows of the file for one table.

    Parameters
    ----------
    epochs : of each training; None for those of the development tables.
    """
    import hpsearch

    data = hpsearch.load(table.read(), target=table.target, task=table.task)
    asked = {"epochs": development_epochs(data.n_rows) if epochs is None else epochs}
    if len(configurations) > 1:
        asked["tried"] = configurations[1:]
    with tempfile.TemporaryDirectory() as folder:
        run = hpsearch.Search(
            SPACE,
            trials=len(configurations),
            repeats=1,
            folds=FOLDS,
            race="off",
            rungs=1,
            metric=table.metric,
            seed=SEED,
            baselines=False,
            reports=False,
            quiet=True,
            out=Path(folder) / "run",
            **asked,
        ).run(data)
        trials = run.trials.set_index("trial").sort_index()
        seconds = run.timings.set_index("trial")["seconds"]
    rows = []
    for number, values in enumerate(configurations):
        # What is tried comes before the defaults.
        trial = number - 1 if number else len(configurations) - 1
        check_same(values, trials.loc[trial])
        score, took = trials.loc[trial, "score"], seconds.get(trial, math.nan)
        text = json.dumps(values, sort_keys=True)
        rows.append([table.name, number, text, table.metric, score, took])
    return pd.DataFrame(rows, columns=COLUMNS)


def check_same(values: Configuration, row: pd.Series) -> None:
    """Raise unless a trial's row is of this configuration."""
    wrong = [n for n, v in values.items() if pd.notna(row[f"hp.{n}"]) and row[f"hp.{n}"] != v]
    if wrong:
        raise AssertionError(f"A trial has other values than it was given: {wrong}")


def run_missing(options: argparse.Namespace) -> pd.DataFrame:
    """Score the tables that are not in the file yet."""
    rows = pd.read_csv(options.out) if options.out.exists() else pd.DataFrame(columns=COLUMNS)
    configurations = drawn(options.n, options.left_out)
    texts = [json.dumps(values, sort_keys=True) for values in configurations]
    for name, of_table in rows.groupby("table"):
        if of_table["hyperparameters"].tolist() != texts:
            raise SystemExit(
                f"{options.out} holds other configurations of '{name}' than are to be scored now. "
                "Remove it, or give another --out."
            )
    for table in DEVELOPMENT:
        if table.name not in options.tables or (rows["table"] == table.name).any():
            continue
        found = scored(table, configurations, options.epochs)
        rows = found if rows.empty else pd.concat([rows, found], ignore_index=True)
        rows.to_csv(options.out, index=False, float_format="%.6g", lineterminator="\n")
        print(
            f"{table.name:14}defaults {found['score'].iloc[0]:.4g}, best {found['score'].min():.4g}"
            f", {found['seconds'].sum():.0f} s of workers",
            flush=True,
        )
    return rows


# -- what is chosen


def regrets_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Each table's regret of each configuration; a trial that failed has 1."""
    scores = rows.pivot_table(
        index="table", columns="configuration", values="score", sort=False, dropna=False
    ).sort_index(axis=1)
    best = scores.min(axis=1)
    typical = scores.fillna(math.inf).median(axis=1)
    found = scores.sub(best, axis=0).div((typical - best).clip(lower=1e-12), axis=0)
    return found.fillna(1.0).clip(upper=1.0)


def chosen(regrets: Regrets, size: int) -> list[int]:
    """A portfolio's members in the order of their choice, the defaults first."""
    members, left = [0], regrets[:, 0]
    while len(members) < min(size, regrets.shape[1]):
        means = np.minimum(left[:, None], regrets).mean(axis=0)
        means += 1e-9 * regrets.mean(axis=0)  # where none lowers it, the one that is good alone
        means[members] = math.inf
        members.append(int(means.argmin()))
        left = np.minimum(left, regrets[:, members[-1]])
    return members


def left_by_random(regrets: Regrets, size: int) -> Regrets:
    """(n_tables,) regret that the defaults and size - 1 random configurations leave, on average."""
    others = np.sort(regrets[:, 1:], axis=1)
    n, m = others.shape[1], size - 1
    if m == 0:
        return regrets[:, 0]
    chances = np.array([math.comb(n - 1 - place, m - 1) for place in range(n)]) / math.comb(n, m)
    left: Regrets = np.minimum(regrets[:, :1], others) @ chances
    return left


def left_by_others(regrets: Regrets, size: int) -> Regrets:
    """(n_tables, size) regret that portfolios of 1 to size, grown on other tables, leave."""
    left = []
    for table in range(len(regrets)):
        members = chosen(np.delete(regrets, table, axis=0), size)
        left.append(np.minimum.accumulate(regrets[table, members]))
    return np.array(left)


def summary(rows: pd.DataFrame, size: int) -> str:
    """The portfolio to paste, and what portfolios of each size leave."""
    frame = regrets_of(rows)
    regrets = frame.to_numpy()
    members = chosen(regrets, size)
    sizes = pd.RangeIndex(1, len(members) + 1, name="size")
    grown = np.minimum.accumulate(regrets[:, members], axis=1).mean(axis=0)
    random = np.array([left_by_random(regrets, k) for k in sizes]).T
    table = pd.DataFrame(
        {"configuration": members, "on the tables it was grown on": grown}, index=sizes
    )
    if len(frame) > 1:
        others = left_by_others(regrets, len(members))
        table["on the table left out"] = others.mean(axis=0)
        table["as many random ones"] = random.mean(axis=0)
        table["better on"] = (others < random - 1e-9).sum(axis=0)
        table["worse on"] = (others > random + 1e-9).sum(axis=0)
        tables = pd.DataFrame(
            {"portfolio of the others": others[:, -1], "as many random ones": random[:, -1]},
            index=frame.index,
        )
        tables.insert(0, "defaults", regrets[:, 0])
    parts = [literal(rows, members), f"Mean regret of {len(frame)} tables.", markdown(table)]
    if len(frame) > 1:
        parts += [f"Regret with {len(members)} configurations.", markdown(tables)]
    return "\n\n".join(parts)


def literal(rows: pd.DataFrame, members: Sequence[int]) -> str:
    """The portfolio in Python, without the defaults."""
    texts = rows.drop_duplicates("configuration").set_index("configuration")["hyperparameters"]
    each = [json.loads(texts[number]) for number in members if number]
    lines = [f"    {rounded(values)!r},".replace("'", '"') for values in each]
    return "\n".join(["BEST_ELSEWHERE = [", *lines, "]"])


def rounded(values: Configuration) -> Configuration:
    return {
        name: float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
        for name, value in values.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    names = [table.name for table in DEVELOPMENT]
    parser.add_argument("--tables", nargs="+", choices=names, default=names)
    parser.add_argument("--n", type=int, default=30, help="configurations, with the defaults")
    parser.add_argument("--epochs", type=int, help="default: 100, above 2,000 rows 30")
    parser.add_argument("--left-out", nargs="*", default=["batch_size"])
    parser.add_argument("--size", type=int, default=6, help="of the portfolio, with the defaults")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "portfolio.csv")
    parser.add_argument("--summary", action="store_true")
    options = parser.parse_args()
    rows = pd.read_csv(options.out) if options.summary else run_missing(options)
    print(summary(rows, options.size))


if __name__ == "__main__":
    main()
