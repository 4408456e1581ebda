"""Tables of all kinds: the default command beside boosted trees, forests and other networks.

    pip install '.[bench]' lightgbm catboost
    python benchmarks/tables.py                   # docs/tables.csv, then a summary and a picture
    python benchmarks/tables.py --tables laser crx --methods trees default --folds 2
    python benchmarks/tables.py --summary         # of docs/tables.csv, nothing is run

The tables of ``tables_data.py``, each in five outer folds of fixed seeds (stratified for classes;
exact copies of a row are in one fold, since who remembers a row has not learnt to predict).
On an outer fold's training rows a method does whatever it does; the test rows score what comes out:
RMSE for numbers, log loss for classes.

    default, mlp               hpsearch's default command, and its search of the space ``mlp``
    alone                      trial 0 of the default command, scored and refitted
    alone 100                  the same with 100 epochs; only where it is asked for
    trees, trees tuned         HistGradientBoosting as it comes; a random search of it, for as many
                               seconds as the default command took on that fold, and 10 at least
    forest, linear             scikit-learn's random forest and (logistic) ridge regression
    lightgbm, catboost, realmlp, tabm    where they are installed, as they come

The first fold of each table comes first, then the second: what is there after a stop is fair. Each
row is written when it is there, and one that is there is not run again. Seconds are of the whole
method with both cores, its start included.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from printing import markdown
from resumable import rows_of, with_row
from tables_data import REPORTED, Table

DOCS = Path(__file__).parent.parent / "docs"
SEED = 0
FEWEST_OF_A_CLASS = 10
FEWEST_SECONDS = 10.0
COLUMNS = ["table", "fold", "method", "metric", "score", "seconds", "promised", "low", "high"]


@dataclass(frozen=True)
class Outer:
    """One outer fold of a table."""

    table: Table
    fold: int
    train: pd.DataFrame
    test: pd.DataFrame

    @property
    def x(self) -> pd.DataFrame:
        return self.train.drop(columns=self.table.target)

    @property
    def y(self) -> pd.Series:
        return self.train[self.table.target]

    def score(self, predicted: np.ndarray) -> float:
        """Of values, or of probabilities (n, C) of the labels in their order."""
        from sklearn import metrics

        truth = self.test[self.table.target]
        if self.table.task == "regression":
            return float(metrics.root_mean_squared_error(truth, predicted))
        return float(metrics.log_loss(truth, predicted, labels=np.unique(self.y)))


def outer_folds(table: Table, n_folds: int = 5) -> list[Outer]:
    """Folds of which none has a copy of another one's row: it would only have to be remembered."""
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    frame = table.read()
    target = frame[table.target]
    if table.task != "regression":
        rare = target.map(target.value_counts()) < FEWEST_OF_A_CLASS
        frame, target = frame[~rare], target[~rare]
    splitter = GroupKFold if table.task == "regression" else StratifiedGroupKFold
    copies = frame.groupby(list(frame), dropna=False, observed=True).ngroup()
    folds = splitter(n_folds, shuffle=True, random_state=SEED).split(frame, target, copies)
    return [
        Outer(table, number, *(frame.iloc[rows].reset_index(drop=True) for rows in sides))
        for number, sides in enumerate(folds)
    ]


# -- hpsearch


def searched(space: str | None, **options: Any) -> Callable[[Outer, float], dict]:
    """A search of a space; None for the default."""

    def run(outer: Outer, seconds: float) -> dict:
        import hpsearch

        table = outer.table
        asked = dict(options) if space is None else {"space": space, **options}
        with tempfile.TemporaryDirectory() as folder:
            run = hpsearch.Search(
                **asked,
                metric=table.metric,
                out=Path(folder) / "run",
                quiet=True,
                reports=False,
                baselines=False,
            ).run(hpsearch.load(outer.train, target=table.target, task=table.task))
            said = hpsearch.predict(run, outer.test.drop(columns=table.target))
            promise = run.ledger.promise
        labels = [] if table.task == "regression" else np.unique(outer.y)
        columns = [f"probability.{label}" for label in labels] or [table.target]
        predicted = said[columns].to_numpy()
        low, high = promise.of_rows(len(outer.test))
        return {
            "score": outer.score(predicted if len(labels) else predicted[:, 0]),
            "promised": promise.value,
            "low": low,
            "high": high,
        }

    return run


# -- scikit-learn, and what speaks its language


def fitted(make: Callable[[Outer], Any]) -> Callable[[Outer, float], dict]:
    """A model with fit and predict, of columns as they are."""

    def run(outer: Outer, seconds: float) -> dict:
        return {"score": scored(make(outer), outer)}

    return run


def scored(model: Any, outer: Outer) -> float:
    categories = {name: outer.x[name].dtype for name in outer.x}
    x, new = as_categories(outer.x, outer.test[list(categories)])
    model.fit(x, outer.y)
    if outer.table.task == "regression":
        return outer.score(model.predict(new))
    return outer.score(model.predict_proba(new))


def as_categories(x: pd.DataFrame, new: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Columns of text as pandas' categories of the training rows; unknown ones are missing."""
    x, new = x.copy(), new.copy()
    for name in x:
        if not pd.api.types.is_numeric_dtype(x[name]):
            levels = pd.CategoricalDtype(sorted(x[name].dropna().astype(str).unique()))
            x[name], new[name] = (side[name].astype(str).astype(levels) for side in (x, new))
    return x, new


def trees(outer: Outer, **settings: Any) -> Any:
    from sklearn import ensemble

    kind = (
        ensemble.HistGradientBoostingRegressor
        if outer.table.task == "regression"
        else ensemble.HistGradientBoostingClassifier
    )
    return kind(categorical_features="from_dtype", random_state=SEED, **settings)


TREES_GRID = {
    "learning_rate": lambda rng: float(10 ** rng.uniform(-2.3, -0.3)),
    "max_leaf_nodes": lambda rng: int(rng.choice([7, 15, 31, 63, 127])),
    "min_samples_leaf": lambda rng: int(rng.choice([5, 10, 20, 50])),
    "l2_regularization": lambda rng: float(10 ** rng.uniform(-4, 1)),
    "max_features": lambda rng: float(rng.choice([0.3, 0.5, 0.8, 1.0])),
    "max_iter": lambda rng: 1000,
    "early_stopping": lambda rng: True,
}


def trees_tuned(outer: Outer, seconds: float) -> dict:
    """Random search by 4-fold cross-validation until the seconds are over, then all rows."""
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score

    began, rng = time.monotonic(), np.random.default_rng(SEED)
    is_regression = outer.table.task == "regression"
    cv = (KFold if is_regression else StratifiedKFold)(4, shuffle=True, random_state=SEED)
    scoring = "neg_root_mean_squared_error" if is_regression else "neg_log_loss"
    x, _ = as_categories(outer.x, outer.x)
    best: tuple[float, dict] = (-np.inf, {})
    settings: dict = {}
    while True:
        found = cross_val_score(trees(outer, **settings), x, outer.y, cv=cv, scoring=scoring)
        best = max(best, (float(found.mean()), settings), key=lambda pair: pair[0])
        if time.monotonic() - began > seconds:
            return {"score": scored(trees(outer, **best[1]), outer)}
        settings = {name: draw(rng) for name, draw in TREES_GRID.items()}


def dense(model: Any) -> Any:
    """A model behind scaling, filling and one-hot columns."""
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    levels = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = make_column_transformer(
        (levels, make_column_selector(dtype_include="category")), remainder=numbers
    )
    return make_pipeline(columns, model)


def forest(outer: Outer) -> Any:
    from sklearn import ensemble

    kind = (
        ensemble.RandomForestRegressor
        if outer.table.task == "regression"
        else ensemble.RandomForestClassifier
    )
    return dense(kind(n_jobs=2, random_state=SEED))


def linear(outer: Outer) -> Any:
    from sklearn.linear_model import LogisticRegressionCV, RidgeCV

    if outer.table.task == "regression":
        return dense(RidgeCV(np.logspace(-3, 3, 13)))
    settings: dict[str, Any] = {"l1_ratios": (0.0,), "use_legacy_attributes": False}
    settings |= {"max_iter": 2000, "scoring": "neg_log_loss"}
    return dense(LogisticRegressionCV(**settings))


def lightgbm(outer: Outer) -> Any:
    import lightgbm as lgb

    kind = lgb.LGBMRegressor if outer.table.task == "regression" else lgb.LGBMClassifier
    return kind(random_state=SEED, n_jobs=2, verbose=-1)


def catboost(outer: Outer) -> Any:
    import catboost as cat
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    kind = cat.CatBoostRegressor if outer.table.task == "regression" else cat.CatBoostClassifier
    texts = [name for name in outer.x if not pd.api.types.is_numeric_dtype(outer.x[name])]

    def named(x: pd.DataFrame) -> pd.DataFrame:
        """CatBoost takes no missing category."""
        words = x[texts].astype(object)
        return pd.concat([x.drop(columns=texts), words.where(words.notna(), "missing")], axis=1)

    settings = {"verbose": False, "allow_writing_files": False, "cat_features": texts}
    model = kind(random_seed=SEED, thread_count=2, **settings)
    return make_pipeline(FunctionTransformer(named), model)


def pytabkit(name: str) -> Callable[[Outer], Any]:
    def make(outer: Outer) -> Any:
        import pytabkit

        kind = "Regressor" if outer.table.task == "regression" else "Classifier"
        return getattr(pytabkit, f"{name}_{kind}")(random_state=SEED)

    return make


METHODS: dict[str, Callable[[Outer, float], dict]] = {
    "default": searched(None),
    "mlp": searched("mlp"),
    "alone": searched(None, trials=1),
    "alone 100": searched(None, trials=1, epochs=100),
    "trees": fitted(trees),
    "trees tuned": trees_tuned,
    "forest": fitted(forest),
    "linear": fitted(linear),
    "lightgbm": fitted(lightgbm),
    "catboost": fitted(catboost),
    "realmlp": fitted(pytabkit("RealMLP_TD")),
    "tabm": fitted(pytabkit("TabM_D")),
}
NEEDS = {"lightgbm": "lightgbm", "catboost": "catboost", "realmlp": "pytabkit", "tabm": "pytabkit"}


def run_missing(options: argparse.Namespace) -> pd.DataFrame:
    """Run what is not in the file yet, and write each row when it is there."""
    rows = rows_of(options.out, COLUMNS)
    tables = [table for table in REPORTED if table.name in options.tables]
    for number in range(options.folds):
        for table in tables:
            for method in options.methods:
                here = (rows["table"] == table.name) & (rows["fold"] == number)
                if (here & (rows["method"] == method)).any():
                    continue
                took = rows.loc[here & (rows["method"] == "default"), "seconds"]
                if method == "trees tuned" and took.empty:
                    raise SystemExit("Tuned trees take as long as the default: run that first.")
                found = measured(table, number, method, max([FEWEST_SECONDS, *took]))
                rows = with_row(rows, found, options.out)
    return rows


def measured(table: Table, number: int, method: str, budget: float) -> dict[str, Any]:
    """One row of the file."""
    outer = outer_folds(table)[number]
    began = time.monotonic()
    found = METHODS[method](outer, budget)
    seconds = time.monotonic() - began
    print(
        f"{table.name:14}{number:2}  {method:12}{found['score']:10.4f}{seconds:7.1f} s", flush=True
    )
    head = {"table": table.name, "fold": number, "method": method, "metric": table.metric}
    return {**head, **found, "seconds": seconds}


# -- what is said of it

ORDER = list(METHODS)
LEVEL = 0.05


def summary(rows: pd.DataFrame) -> str:
    """Mean scores and seconds, how methods stand to each other, and what promises were worth."""
    parts = [
        "Mean scores on the outer folds, small is good:",
        markdown(means_of(rows, "score")),
        "Mean seconds:",
        markdown(means_of(rows, "seconds").round(1)),
        *(
            f"Beside {other} (paired over outer folds):\n\n" + markdown(standing(rows, other))
            for other in ("trees", "trees tuned", "mlp")
            if (rows["method"] == other).any()
        ),
        "The default by table: its loss beside another method's, and who is better (p):",
        markdown(by_table(rows, "default", ("trees", "trees tuned", "mlp", "catboost"))),
        *(
            ["Beside networks of others, on the folds that these have:", markdown(networks)]
            if not (networks := by_table(rows, "default", ("realmlp", "tabm"))).empty
            else []
        ),
        "Promises:",
        markdown(promises(rows)),
    ]
    return "\n\n".join(parts)


def means_of(rows: pd.DataFrame, what: str) -> pd.DataFrame:
    """A row a table, a column a method that has been run on as many folds as any."""
    found = rows.pivot_table(index="table", columns="method", values=what, sort=False)
    n_scores = rows["method"].value_counts()
    return found[[name for name in ORDER if name in found and n_scores[name] == n_scores.max()]]


def normalised(rows: pd.DataFrame) -> pd.DataFrame:
    """Scores from 0, the worst method on a table, to 1, the best; linear models don't take part.

    They are so much worse on some tables that all others would be alike beside them.
    """
    means = means_of(rows[rows["method"] != "linear"], "score")
    worst, best = means.max(axis=1), means.min(axis=1)
    return means.rsub(worst, axis=0).div(worst - best, axis=0)


def standing(rows: pd.DataFrame, other: str) -> pd.DataFrame:
    """On how many tables each method's mean is better than another's, and how many say so surely.

    Surely: p < 0.05 in the corrected paired t-test (Nadeau & Bengio 2003) over the outer folds; all
    others are ties, whoever's mean is better.
    """
    by_fold = rows.pivot_table(index=["table", "fold"], columns="method", values="score")
    found = {}
    for method in means_of(rows, "score"):
        if method == other:
            continue
        pairs = by_fold[[other, method]].dropna()
        told = [compared(pair[other], pair[method]) for _, pair in pairs.groupby("table")]
        better = sum(gain > 0 for gain, _ in told)
        sure = [gain for gain, p in told if p < LEVEL]
        found[method] = {
            "better on": f"{better} of {len(told)}",
            "surely better": sum(gain > 0 for gain in sure),
            "ties": len(told) - len(sure),
            "surely worse": sum(gain < 0 for gain in sure),
        }
    scores = normalised(rows).mean()
    table = pd.DataFrame(found).T
    table.insert(0, "normalised score", [scores.get(method, np.nan) for method in table.index])
    return table


def by_table(rows: pd.DataFrame, method: str, others: tuple[str, ...]) -> pd.DataFrame:
    """A row a table: by how much the method's mean loss is below another's, and if that is sure."""
    by_fold = rows.pivot_table(
        index=["table", "fold"], columns="method", values="score", sort=False
    )
    found: dict[str, dict[str, str]] = {}
    for other in [other for other in others if {other, method} <= set(by_fold)]:
        for name, pair in by_fold[[other, method]].dropna().groupby("table", sort=False):
            gain, p = compared(pair[other], pair[method])
            who = "tie" if p >= LEVEL else "better" if gain > 0 else "worse"
            less = f"{-100 * gain / pair[other].mean():+.1f} %"
            found.setdefault(str(name), {})[f"beside {other}"] = f"{less}, {who} ({p:.3f})"
    return pd.DataFrame(found).T.rename_axis("table")


def compared(other: pd.Series, method: pd.Series) -> tuple[float, float]:
    """How much less the method's mean loss is, and the p-value; 1 where there is one fold."""
    from hpsearch.stats import corrected_t_test

    gain = float(other.mean() - method.mean())
    if len(other) < 2:
        return gain, 1.0
    test = corrected_t_test(other, method, n_train=80, n_validation=20)
    return gain, float(test.p_value)


def promises(rows: pd.DataFrame) -> pd.DataFrame:
    """How many outer scores lie within what was promised for so many rows; how far off it is.

    Means are geometric; a loss that is nearly 0 (nursery's) may be off by thousands of times.
    """
    from scipy.stats import trim_mean

    kept = rows.dropna(subset=["promised", "low"])
    found = {}
    for method, part in kept.groupby("method", sort=False):
        inside = (part["low"] <= part["score"]) & (part["score"] <= part["high"])
        off = np.log(part["promised"] / part["score"])
        found[method] = {
            "inside": f"{inside.sum()} of {len(part)}",
            "share": inside.mean(),
            "worse than promised": int((part["score"] > part["high"]).sum()),
            "promised above seen, % (median)": 100 * np.expm1(off.median()),
            "mean of the middle 80 %": 100 * np.expm1(trim_mean(off, 0.1)),
            "mean": 100 * np.expm1(off.mean()),
        }
    return pd.DataFrame(found).T


def draw(rows: pd.DataFrame, path: Path) -> None:
    """Each method's loss beside that of untuned trees, a mark a table."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    means = means_of(rows, "score")
    ratios = means.div(means["trees"], axis=0).drop(columns="trees").clip(0.4, 2.2)
    figure, axis = plt.subplots(figsize=(9, 0.45 * len(ratios) + 1.6), layout="constrained")
    for method, mark in zip(ratios, "oDsv^P*X<>hp", strict=False):
        own = method in ("default", "alone", "mlp")
        axis.plot(
            ratios[method],
            range(len(ratios)),
            mark,
            label=method,
            color="#cc3311" if method == "default" else "#4477aa" if own else "#888888",
            alpha=0.9 if own else 0.6,
            markersize=9 if method == "default" else 6,
        )
    axis.axvline(1.0, color="black", linewidth=0.8)
    axis.set_yticks(range(len(ratios)), ratios.index)
    axis.set_xscale("log")
    axis.set_xticks([0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0])
    axis.xaxis.set_major_formatter(plt.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.minorticks_off()
    axis.set_xlim(0.97 * np.nanmin(ratios), 1.03 * np.nanmax(ratios))
    axis.invert_yaxis()
    axis.set_xlabel(
        "loss on test rows, as a multiple of untuned boosted trees'\n"
        "(left is better; what is at an edge may lie beyond it)"
    )
    figure.legend(loc="outside lower center", ncols=6, frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    names = [table.name for table in REPORTED]
    there = [name for name in METHODS if find_spec(NEEDS.get(name, "sklearn"))]
    there.remove("alone 100")
    parser.add_argument("--tables", nargs="+", choices=names, default=names)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=there)
    parser.add_argument("--folds", type=int, default=5, help="of the five outer folds, the first")
    parser.add_argument("--out", type=Path, default=DOCS / "tables.csv")
    parser.add_argument("--summary", action="store_true")
    options = parser.parse_args()
    rows = pd.read_csv(options.out) if options.summary else run_missing(options)
    print(summary(rows))
    if (rows["method"] == "trees").any():  # whose loss the picture takes for 1
        draw(rows, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
