"""Run folders that were never trained: every table, document and journal, with made-up numbers.

Written through the same functions as a search's own, so their form is the real one.
"""

import json

import numpy as np

from hpsearch.data import Column, Schema
from hpsearch.engines.contract import FoldResult, UnitResult, WorkUnit
from hpsearch.ledger import (
    Baseline,
    BiasCorrection,
    Choice,
    FoldMean,
    Foldwise,
    Ledger,
    Nested,
    NestedFold,
    Promise,
    Spread,
    TestScore,
)
from hpsearch.results import RunFolder, open_run
from hpsearch.results.tables import (
    curves_table,
    fold_predictions,
    folds_table,
    predictions_table,
    timings_table,
    trials_table,
)
from hpsearch.space.space import Candidate
from hpsearch.stats import corrected_se, t_interval
from hpsearch.task import TASKS, Target

TARGETS = {
    "binary": Target(("ill",), "binary", ("no", "yes")),
    "multiclass": Target(("kind",), "multiclass", ("ash", "beech", "oak")),
    "multilabel": Target(("a", "b", "c"), "multilabel", ("a", "b", "c")),
    "regression": Target(("price",), "regression"),
    "several": Target(("north", "south"), "regression"),
    "share": Target(("part",), "share"),
    "count": Target(("claims",), "count"),
    "quantile": Target(("price",), "quantile", levels=(0.1, 0.5, 0.9)),
}
HOSTILE = "<img src=x onerror=alert(1)>"
DIRECTIONS = {"accuracy": "max", "roc_auc": "max", "micro_f1": "max", "r2": "max"}


def make_run(
    path,
    *,
    problem="binary",
    n_trials=12,
    n_repeats=2,
    n_folds=3,
    n_epochs=10,
    n_rows=90,
    failed=(),
    stopped=(),
    huge=(),
    hostile=False,
    with_test=True,
    with_journal=True,
    seed=0,
):
    """A finished run; the numbers of trials in ``failed``, ``stopped`` and ``huge`` are so."""
    target = TARGETS[problem]
    made = _Made(target, n_trials, n_repeats, n_folds, n_epochs, n_rows, hostile, seed)
    trials = [made.trial(i, failed, stopped, huge) for i in range(n_trials)]
    with RunFolder.create(path) as folder:
        read = {"source": "/data/trees.csv", "load": {"target": list(made.target.names)}}
        journal = folder.begin({"options": {}, "data": read})
        with journal:
            if with_journal:
                journal.record([unit for trial in trials for unit in trial.units])
        if not with_journal:
            (folder.path / "journal.sqlite").unlink()
        made.write(folder, trials, with_test)
    return open_run(path)


class _Trial:
    def __init__(self, row, folds, curves, units, seconds):
        self.row, self.folds, self.curves = row, folds, curves
        self.units, self.seconds = units, seconds


class _Made:
    def __init__(self, target, n_trials, n_repeats, n_folds, n_epochs, n_rows, hostile, seed):
        self.target, self.n_trials, self.n_repeats, self.n_folds = (
            target,
            n_trials,
            n_repeats,
            n_folds,
        )
        self.n_epochs, self.n_rows, self.hostile = n_epochs, n_rows, hostile
        self.metrics = TASKS[target.kind].metrics
        self.rng = np.random.default_rng(seed)
        self.fold_effect = 0.02 * self.rng.normal(size=(n_repeats, n_folds))

    def values(self, trial):
        rng = self.rng
        optimizer = ["adam", "sgd", "rmsprop"][trial % 3]
        values = {
            "activation": str(rng.choice(["relu", "elu", "tanh", "none"])),
            "batch_size": int(rng.choice([16, 32, 64])),
            "dropout_1": float(rng.integers(0, 5) / 10),
            "learning_rate": float(10 ** rng.uniform(-4, -1)),
            "n_layers": int(rng.integers(1, 5)),
            "optimizer": optimizer,
            "units_1": int(2 ** rng.integers(4, 9)),
            "bias": bool(rng.integers(0, 2)),
        }
        if optimizer == "sgd":
            values["momentum"] = float(rng.uniform(0, 0.99))
        if self.hostile:
            values[HOSTILE] = float(rng.uniform())
            values["</script><b>"] = HOSTILE if trial % 2 else "=1+1"
        return values

    def trial(self, i, failed, stopped, huge):
        values = self.values(i)
        candidate = Candidate(i, values)
        if i in failed:
            error = f"ValueError: {HOSTILE}" if self.hostile else "ValueError: no such layer"
            row = {"trial": i, "status": "failed", "error": error, **_prefixed(values)}
            return _Trial(row, [], [], [UnitResult(WorkUnit(candidate, (0,)), error=error)], 1.0)
        level = 0.2 + 0.05 * abs(np.log10(values["learning_rate"]) + 2.5) + 0.01 * self.rng.random()
        level *= 1e30 if i in huge else 1.0
        pairs = [(r, f) for r in range(self.n_repeats) for f in range(self.n_folds)]
        n_epochs = self.n_epochs
        if i in stopped:
            pairs, n_epochs = pairs[: max(1, len(pairs) // 2)], max(1, n_epochs // 2)
        folds = [self.fold(j, pair, level, n_epochs) for j, pair in enumerate(pairs)]
        unit = UnitResult(
            WorkUnit(candidate, tuple(range(len(pairs)))),
            folds=tuple(folds),
            values=values,
            n_params=100 * (i + 1),
            seconds=1.5,
        )
        status = "stopped" if i in stopped else "completed"
        return self.scored(i, values, status, pairs, folds, unit)

    def fold(self, position, pair, level, n_epochs):
        epochs = np.arange(1, n_epochs + 1)
        scale = level * (1 + self.fold_effect[pair] / level * min(1.0, level))
        curve = scale * (1 + 2 * np.exp(-epochs / 2) + 0.004 * epochs)
        curve = curve * (1 + 0.01 * self.rng.normal(size=n_epochs))
        train = scale * (0.8 + 2 * np.exp(-epochs / 2) - 0.01 * epochs / n_epochs)
        return FoldResult(
            position=position,
            seed=position + 1,
            epochs=n_epochs,
            train_loss=train,
            validation={m: _turned(m, curve) for m in self.metrics},
            train={m: _turned(m, train) for m in self.metrics},
            predictions=np.zeros((0, 1), np.float32),
            predicted=(),
        )

    def scored(self, i, values, status, pairs, folds, unit):
        metrics = self.metrics
        validation = {m: np.stack([f.validation[m] for f in folds]) for m in metrics}
        train = {m: np.stack([f.train[m] for f in folds]) for m in metrics}
        best = int(validation[metrics[0]].mean(axis=0).argmin())
        scores = validation[metrics[0]][:, best]
        share = 1 / max(1, self.n_folds - 1)
        se = float(corrected_se(scores, 1.0, share)) if len(scores) > 1 else np.nan
        low, high = t_interval(scores.mean(), se, len(scores) - 1)
        row = {
            "trial": i,
            "status": status,
            "score": float(scores.mean()),
            "score_std": float(scores.std(ddof=1)) if len(scores) > 1 else np.nan,
            "score_se": se,
            "ci_low": float(low),
            "ci_high": float(high),
            "n_folds": len(pairs),
            "best_epoch": best + 1,
            "epochs": folds[0].epochs,
            "n_params": unit.n_params,
            **{f"metric.{m}": float(validation[m][:, best].mean()) for m in metrics},
            **_prefixed(values),
        }
        rows = [
            {
                "trial": i,
                "repeat": repeat,
                "fold": fold,
                "seed": j + 1,
                "n_train": self.n_rows - self.n_rows // max(2, self.n_folds),
                "n_val": self.n_rows // max(2, self.n_folds),
                "epochs": folds[j].epochs,
                **{f"val_{m}": float(validation[m][j, best]) for m in metrics},
                **{f"train_{m}": float(train[m][j, best]) for m in metrics},
            }
            for j, (repeat, fold) in enumerate(pairs)
        ]
        curves = [
            {
                "trial": i,
                "epoch": e + 1,
                "n_folds": len(pairs),
                **{f"val_{m}": float(validation[m][:, e].mean()) for m in metrics},
                **{f"val_{m}_se": 0.1 * float(validation[m][:, e].std()) for m in metrics},
                **{f"train_{m}": float(train[m][:, e].mean()) for m in metrics},
                "train_loss": float(train[metrics[0]][:, e].mean()),
            }
            for e in range(folds[0].epochs)
        ]
        return _Trial(row, rows, curves, [unit], 1.5 * len(pairs))

    def predictions(self):
        rng, kind, n = self.rng, self.target.kind, self.n_rows
        width = max(1, self.target.n_outputs)
        signal = rng.normal(size=(n, width))
        parts = []
        for repeat in range(self.n_repeats):
            noisy = signal + 0.6 * rng.normal(size=signal.shape)
            chance = 1 / (1 + np.exp(-2 * noisy))
            if kind == "binary":
                y, p = (signal[:, 0] > 0).astype(int), chance[:, 0]
            elif kind == "multiclass":
                y, p = signal.argmax(axis=1), np.exp(noisy) / np.exp(noisy).sum(1, keepdims=True)
            elif kind == "multilabel":
                y, p = (signal > 0).astype(float), chance
            elif kind == "count":
                y, p = rng.poisson(np.exp(0.5 * signal)), np.exp(0.5 * signal + 0.1 * noisy)
            elif kind == "quantile":
                y, p = 10 * signal[:, :1], 10 * (0.7 * noisy[:, :1] + [-0.9, 0.0, 0.9])
            elif kind == "share":
                y, p = 1 / (1 + np.exp(-2 * signal)), chance
            else:
                y, p = 10 * signal + 50, 10 * noisy + 50
            for fold, rows in enumerate(np.array_split(rng.permutation(n), max(1, self.n_folds))):
                parts.append(
                    fold_predictions(
                        self.target,
                        repeat=repeat,
                        fold=fold,
                        rows=rows,
                        y_true=y[rows],
                        y_pred=p[rows],
                    )
                )
        return predictions_table(parts)

    def write(self, folder, trials, with_test):
        metrics, direction = self.metrics, "min"
        table = trials_table((t.row for t in trials), metrics=metrics, direction=direction)
        folder.write_tables(
            trials=table,
            folds=folds_table((row for t in trials for row in t.folds), metrics=metrics),
            curves=curves_table((row for t in trials for row in t.curves), metrics=metrics),
            predictions=self.predictions(),
            timings=timings_table({"trial": t.row["trial"], "seconds": t.seconds} for t in trials),
        )
        best = next(t for t in trials if t.row["trial"] == int(table["trial"].iloc[0])).row
        folder.write_settings(self.settings(direction))
        folder.write_json("model.json", self.model(best))
        folder.write_json("best.json", self.best(best, len(trials), direction, with_test))

    def settings(self, direction):
        name = HOSTILE if self.hostile else "trees"
        return {
            "data": {
                "name": name,
                "n_rows": self.n_rows,
                "n_columns": 3,
                "fingerprint": "ab" * 32,
                "task": self.target.kind,
                "target": list(self.target.names),
            },
            "warnings": [f"Column {HOSTILE} gives the target away."] if self.hostile else [],
            "space": "mlp",
            "space_sha256": "cd" * 32,
            "oracle": "random",
            "engine": "fused",
            "metric": self.metrics[0],
            "direction": direction,
            "metrics": list(self.metrics),
            "trials": self.n_trials,
            "folds": self.n_folds,
            "repeats": self.n_repeats,
            "epochs": self.n_epochs,
            "split_reason": "shuffled rows.",
            "test_rows": 20,
            "seed": 0,
            "command": "hpsearch run /data/trees.csv --target y --seed 0",
            "versions": {"keras": "3.15.1", "python": "3.11.7"},
        }

    def model(self, best):
        columns = (
            Column("height", "number", has_missing=True),
            Column("bark", "category", levels=("dark", "light|grey")),
            Column("seen", "date"),
        )
        return {
            "backend": "jax",
            "checks": ["a fresh process reloads it"],
            "schema": Schema(columns, self.target).to_json(),
            "ranges": {"height": [0.5, 31.25], "seen": ["2020-01-01T00:00:00", None]},
            "limits": {"max_levels": 64, "max_words": 100},
            "trial": best["trial"],
            "n_params": 1234,
            "trained_on": {"n_rows": self.n_rows, "n_steps": 50},
        }

    def best(self, best, n_trials, direction, with_test):
        metrics = {m: best[f"metric.{m}"] for m in self.metrics}
        hyperparameters = {k.removeprefix("hp."): v for k, v in best.items() if k.startswith("hp.")}
        names = ("trial", "score", "score_std", "score_se", "ci_low", "ci_high", "n_folds")
        return {
            **{name: best[name] for name in names},
            "best_epoch": best["best_epoch"],
            "metric": self.metrics[0],
            "direction": direction,
            "metrics": metrics,
            "hyperparameters": hyperparameters,
            "n_params": 1234,
            "n_trials": n_trials,
            "test": metrics if with_test else None,
        }


def _prefixed(values):
    return {f"hp.{name}": value for name, value in values.items()}


def _turned(metric, curve):
    """A curve of a metric of which much is good."""
    return 1 / (1 + curve) if DIRECTIONS.get(metric) == "max" else curve


def ledger(**parts):
    """A ledger with every part, some of them replaced."""
    spread = Spread(0.1, 1.8, 2.2)
    folds = (NestedFold(0, 80, 20, 4, 9, 2.0, 2.3, {"units": 8}),)
    whole = {
        "trial": 0,
        "epoch": 3,
        "metric": "mae",
        "direction": "min",
        "mean": FoldMean(2.0, 2, 3, 6, spread, Spread(0.05, 1.9, 2.1)),
        "bias_corrected": BiasCorrection(2.1, 1.9, 2.4),
        "foldwise": Foldwise(2.2, 0.2, 20),
        "nested": Nested(2.3, Spread(0.1, 1.8, 2.8), spread, 2.0, folds),
        "promise": Promise("nested", 2.3, 1.8, 2.8),
        "test": TestScore(2.4, 2.0, 2.9, 50, "rows", "within", True, {"mae": 2.4}),
        "choice": Choice("best", "It scored best.", 0, 2.0, 2.0, 0.0, 0.1, 5, 19, 90, 90),
        "variance": None,
        "baselines": (
            Baseline("linear", "ridge regression", 3.0, spread),
            Baseline("trees", "boosted trees", missing="too few rows"),
        ),
    }
    return Ledger(**{**whole, **parts})


def add_to_best(run, **entries):
    """Put further entries into a run's best.json; the run is to be opened again."""
    path = run.path / "best.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))
    return open_run(run.path)
