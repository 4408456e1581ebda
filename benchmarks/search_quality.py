"""How good is the trial that a search selects, for what the search spent?

    python benchmarks/search_quality.py                               # 7 tables x 10 seeds
    python benchmarks/search_quality.py --tables iris wine --seeds 2  # a part of it
    python benchmarks/search_quality.py --summary                     # of what is there already

Strategies search one space on the same folds. What each selects is scored again on *fresh* folds
under fresh seeds, at the epoch that the search chose, so that no strategy is judged by the scores
that it selected on. Spent are replica-steps, the optimizer steps of all its trainings, counted as
if each strategy were alone.

- ``random``, ``tpe`` and so on: hpsearch's oracles with iterated K-fold, 5 repeats x 4 folds, alone
  and with each way to end trials early. Grid search is left out: the space is not finite.
- ``defaults``: the space's default configuration, without a search.
- ``optuna-tpe, hold-out``: Optuna's TPE with one hold-out of 20 % of the rows, as many trials.
- ``keras-tuner hyperband, hold-out``: keras-tuner's ``HyperbandOracle``, one whole iteration, with
  the same hold-out. A promoted trial goes on from its weights, so only the further epochs count.

The peers train with our engine, which leaves the strategy as it is: it sees the validation metric
on its hold-out after each epoch, and takes the best epoch. They are not asked for more than their
users ask: one split, no repeats.

Each table and seed is one session of worker processes. A replica's numbers depend on its run seed,
trial number, values and fold alone, so what one strategy trained is replayed for another one that
asks the same.

The table (one row for each table, seed and strategy) grows as sessions end; what it holds is not
done again. Needs the extra: ``pip install '.[bench]'``.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import sys
import tempfile
import time
import zlib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parent.parent
SPACE = Path(__file__).with_name("quality_space.py")
DEFAULT_CSV = ROOT / "docs" / "search_quality.csv"

TRIALS, EPOCHS, BATCH = 20, 30, 32
REPEATS, FRESH_REPEATS, K = 5, 4, 4
HOLD_OUT = 0.2
FRESH_SEED = 10_000  # added to the run's seed for the fresh folds

FULL_SEARCH = "random"
"""The strategy that the others' costs and regrets are measured by."""


# -- tables


@dataclass(frozen=True)
class Table:
    """Where a table comes from, and how many of its rows are used."""

    source: str
    target: str | None = None
    n_rows: int | None = None

    def load(self):
        import hpsearch

        is_named = self.source.startswith("sklearn:")
        source = self.source if is_named else ROOT / "tests" / "data" / "tables" / self.source
        dataset = hpsearch.load(source, target=self.target)
        if self.n_rows is None:
            return dataset
        chosen = np.random.default_rng(0).choice(dataset.n_rows, self.n_rows, replace=False)
        return dataset.take(np.sort(chosen))


TABLES = {
    "iris": Table("sklearn:iris"),
    "wine": Table("sklearn:wine"),
    "breast_cancer": Table("sklearn:breast_cancer"),
    "diabetes": Table("sklearn:diabetes"),
    "digits": Table("sklearn:digits", n_rows=400),
    "boston_housing": Table("boston_housing.csv", "medv"),
    "credit": Table("credit.csv", "Status", n_rows=500),
}


# -- what strategies search in


class Memory:
    """Remembers the curves of what was trained, by trial number and values (a ``Recorder``)."""

    def __init__(self):
        self._units = {}
        self._asked = {}

    def expect(self, candidates):
        """Say which candidates are asked for next: a recorder is asked by trial number alone."""
        self._asked |= {candidate.trial: text_of(candidate.values) for candidate in candidates}

    def units(self, trial):
        found = self._units.get((trial, self._asked[trial]), {})
        return [found[key] for key in sorted(found)]

    def record(self, results):
        for result in results:
            candidate = result.unit.candidate
            units = self._units.setdefault((candidate.trial, text_of(candidate.values)), {})
            folds = [replace(f, predictions=f.predictions[:0], predicted=()) for f in result.folds]
            units[result.unit.key] = replace(result, folds=tuple(folds))


class Arena:
    """One table and seed: folds to search on, a hold-out, fresh folds, and workers to train on.

    The folds of the search are repeats 0 to 4, then come the hold-out and the fresh repeats.
    """

    def __init__(self, dataset, seed):
        from hpsearch.engines.contract import FitOptions
        from hpsearch.folds import choose_splitter, make_folds
        from hpsearch.metrics import METRICS, resolve_metric
        from hpsearch.scoring.session import Session
        from hpsearch.scoring.session_plan import SessionPlan
        from hpsearch.space.space import Space

        def folds(first_repeat, **options):
            splitter, _ = choose_splitter(dataset, **options)
            dealt = make_folds(splitter, dataset)
            return [replace(fold, repeat=first_repeat + fold.repeat) for fold in dealt]

        searched = folds(0, folds=K, repeats=REPEATS, seed=seed)
        held_out = folds(REPEATS, folds=1, test_size=HOLD_OUT, seed=seed)
        fresh = folds(REPEATS + 1, folds=K, repeats=FRESH_REPEATS, seed=seed + FRESH_SEED)
        ends = np.cumsum([len(searched), len(held_out), len(fresh)])
        self.searched, self.held_out, self.fresh = (
            tuple(range(end - len(part), end))
            for end, part in zip(ends, (searched, held_out, fresh), strict=True)
        )
        self.seed = seed
        self.metric = resolve_metric(dataset.target.kind, None)[0]
        self.sign = 1.0 if METRICS[self.metric].direction == "min" else -1.0
        self.memory = Memory()
        plan = SessionPlan(
            space=Space.load(SPACE),
            fixes={},
            engine="fused",
            options=FitOptions(
                seed, EPOCHS, BATCH, None, resolve_metric(dataset.target.kind, None)
            ),
            jobs=2,
            scale_target="auto",
            max_levels=64,
            max_words=1000,
            must_save=False,
        )
        self.session = Session(plan, dataset, [*searched, *held_out, *fresh])

    def __enter__(self):
        from hpsearch.engines.fused.engine import FusedEngine

        session = self.session.__enter__()
        self.declared = session.prepare()
        self._engine = FusedEngine(session.workers, session.job, session.data, never)
        return self

    def __exit__(self, *error):
        self.session.__exit__(*error)

    def score(self, candidates, positions):
        """Trials of candidates on the folds at some positions, in the order of the candidates."""
        from hpsearch.engines.contract import WorkUnit
        from hpsearch.scoring.trials import combine

        self.memory.expect(candidates)
        work = []
        for candidate in candidates:
            there = {p for unit in self.memory.units(candidate.trial) for p in unit.unit.folds}
            missing = tuple(p for p in positions if p not in there)
            if missing:
                work.append(WorkUnit(candidate, missing))
        if work:
            self.memory.record(list(self._engine.score(work)))
        data, metrics = self.session.data, self.session.plan.options.metrics
        return [combine(c, self._units_on(c.trial, positions), data, metrics) for c in candidates]

    def _units_on(self, trial, positions):
        units = self.memory.units(trial)
        return [unit for unit in units if set(unit.unit.folds) <= set(positions)]

    def steps(self, trial, asked):
        """Optimizer steps of all trainings of a trial.

        A failed trial leaves no curves. It counts whole on the folds at the positions ``asked``: a
        training that diverges goes on to its end.
        """
        if trial.score is None:
            sizes = [(EPOCHS, len(self.session.data.folds[p].train)) for p in asked]
        else:
            sizes = [(row["epochs"], row["n_train"]) for row in trial.folds]
        return sum(epochs * -(-n_train // BATCH) for epochs, n_train in sizes)

    def best(self, trials):
        """The selected one of some completed trials; ties by their numbers."""
        return min(trials, key=lambda t: (self.sign * t.score, t.candidate.trial))

    def fresh_scores(self, chosen):
        """Scores of configurations on the fresh folds after an epoch, and their corrected errors.

        A trial's number, hence its seeds, follows from its values: the same configuration is
        scored the same, whoever selected it. NaN where its training diverges on a fresh fold.
        """
        from hpsearch.space.space import Candidate

        numbered = {zlib.crc32(text_of(one.values).encode()): one.values for one in chosen}
        candidates = [Candidate(number, values) for number, values in numbered.items()]
        trials = self.score(candidates, self.fresh)
        of = {text_of(c.values): trial for c, trial in zip(candidates, trials, strict=True)}
        for one in chosen:
            trial = of[text_of(one.values)]
            row = trial.curves[one.epoch - 1] if trial.curves else {}
            yield row.get(f"val_{self.metric}", np.nan), row.get(f"val_{self.metric}_se", np.nan)


def text_of(values):
    return json.dumps(values, sort_keys=True)


def never(work, reason):
    raise RuntimeError(f"The space of the benchmark must be traceable: {reason}")


# -- strategies


@dataclass(frozen=True)
class Selected:
    """What a strategy selected, by which score, and what it spent.

    ``trial`` is its number in a search by K-fold. ``spread`` is how much better the selected score
    is than the median of all scores.
    """

    trial: int | None
    values: dict
    epoch: int
    score: float
    se: float
    spread: float
    n_trials: int
    n_stopped: int
    steps: int
    seconds: float


RACES = ("forgiving", "corrected-t")

HYPERBAND_TRIALS = 34
"""Two cycles of hyperband's brackets with 30 epochs: it gives most trials a part of the epochs."""


@dataclass(frozen=True)
class Search:
    """A search as hpsearch does it."""

    oracle: str
    race: str = "off"
    rungs: int = 1
    trials: int = TRIALS

    @property
    def name(self):
        if self.trials == 1:
            return "defaults"
        early = [self.race] if self.race != "off" else []
        early += [f"{self.rungs} rungs"] if self.rungs > 1 else []
        return ", ".join([self.oracle, *early])

    def run(self, arena):
        from hpsearch.oracles import make_oracle
        from hpsearch.oracles.base import OraclePlan, Outcome

        direction = "min" if arena.sign > 0 else "max"
        plan = OraclePlan(arena.seed, self.trials, EPOCHS, direction)
        oracle = make_oracle(self.oracle, arena.declared, plan)
        results = []
        while remaining := self.trials - len(results):
            candidates = oracle.ask(oracle.batch_size(remaining))
            if not candidates:
                break
            n_rungs = max(oracle.n_rungs, self.rungs)
            scored = score_batch(arena, self.race, candidates, n_rungs, results)
            results += scored
            oracle.tell([Outcome(t.row["trial"], t.score, t.row["status"]) for t in scored])
        ends_early = self.race != "off" or self.rungs > 1 or self.oracle == "hyperband"
        return selected_of(arena, results, arena.searched[: K if ends_early else None])


def score_batch(arena, race, candidates, n_rungs, earlier):
    """Score a batch as a search does, after earlier trials; in the order of their numbers."""
    from hpsearch.scoring.observer import SilentObserver
    from hpsearch.search.racing import Racing

    memory = arena.memory if n_rungs == 1 else Memory()  # a rung must not see later epochs
    memory.expect(candidates)
    racing = Racing(arena.session, memory, SilentObserver(), race, REPEATS)
    trials = sorted(
        racing.score(candidates, n_rungs, tuple(earlier)), key=lambda trial: trial.candidate.trial
    )
    for trial in trials:  # another strategy has trials of the same numbers
        arena.session.finish(trial, arena.session.every_fold, memory)
    return trials


def selected_of(arena, results, asked):
    """The best of some trials; failed ones were trained on the folds at the positions ``asked``."""
    completed = [trial for trial in results if trial.row["status"] == "completed"]
    best = arena.best(completed)
    return Selected(
        trial=best.candidate.trial,
        values=dict(best.candidate.values),
        epoch=best.row["best_epoch"],
        score=best.score,
        se=best.row["score_se"],
        spread=abs(float(np.median([trial.score for trial in completed])) - best.score),
        n_trials=len(results),
        n_stopped=sum(trial.row["status"] == "stopped" for trial in results),
        steps=sum(arena.steps(trial, asked) for trial in results),
        seconds=sum(trial.seconds for trial in results),
    )


OPTUNA_BATCHES = (10, *[1] * (TRIALS - 10))
"""Optuna's first ten are random, whatever was told; then it is asked one by one, as by default."""


@dataclass(frozen=True)
class OptunaHoldOut:
    """Optuna's TPE; each trial trains once, on one hold-out."""

    name: str = "optuna-tpe, hold-out"

    def run(self, arena):
        import optuna

        from hpsearch.space.space import Candidate

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        direction = "minimize" if arena.sign > 0 else "maximize"
        sampler = optuna.samplers.TPESampler(seed=arena.seed)
        study = optuna.create_study(direction=direction, sampler=sampler)
        space = {p.name: optuna_distribution(p) for p in arena.declared.space}
        results = []
        for n in OPTUNA_BATCHES:
            asked = [study.ask(space) for _ in range(n)]
            candidates = [Candidate(one.number, dict(one.params)) for one in asked]
            for one, trial in zip(asked, arena.score(candidates, arena.held_out), strict=True):
                if trial.score is None:
                    study.tell(one, state=optuna.trial.TrialState.FAIL)
                else:
                    study.tell(one, trial.score)
                results.append(trial)
        return replace(selected_of(arena, results, arena.held_out), trial=None, se=np.nan)


def optuna_distribution(parameter):
    """A declared hyperparameter for Optuna."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if hasattr(parameter, "sampling"):
        is_log = parameter.sampling == "log"
        return FloatDistribution(parameter.min_value, parameter.max_value, log=is_log)
    return CategoricalDistribution(list(parameter.values))


@dataclass(frozen=True)
class KerasTunerHoldOut:
    """keras-tuner's Hyperband, one iteration; each trial trains once, on one hold-out."""

    name: str = "keras-tuner hyperband, hold-out"

    def run(self, arena):
        import keras_tuner

        direction = "min" if arena.sign > 0 else "max"
        with tempfile.TemporaryDirectory() as folder:
            oracle = keras_tuner.oracles.HyperbandOracle(
                objective=keras_tuner.Objective(arena.metric, direction),
                max_epochs=EPOCHS,
                seed=arena.seed + 1,  # 0 means any seed there
                hyperparameters=arena.declared.copy(),
                max_consecutive_failed_trials=10**6,
            )
            oracle._set_project_dir(folder, "hyperband")
            oracle.verbose = 0
            tried = list(self._trials(arena, oracle))
        scored = [one for one in tried if one.score is not None]
        best = min(scored, key=lambda one: arena.sign * one.score)
        scores = [one.score for one in scored]
        return Selected(
            trial=None,
            values=best.values,
            epoch=best.epoch,
            score=best.score,
            se=np.nan,
            spread=abs(float(np.median(scores)) - best.score),
            n_trials=len(tried),
            n_stopped=0,
            steps=sum(one.steps for one in tried),
            seconds=sum(one.seconds for one in tried),
        )

    def _trials(self, arena, oracle):
        """Every rung of every trial. What can begin at once does; that decides nothing else."""
        numbers = {}
        while asked := list(ask_all(oracle)):
            rungs = [rung_of(trial, numbers) for trial in asked]
            for trial, rung in zip(asked, train_rungs(arena, rungs), strict=True):
                if rung.score is None:
                    trial.status = "FAILED"
                else:
                    oracle.update_trial(trial.trial_id, {arena.metric: rung.score})
                    trial.status = "COMPLETED"
                oracle.end_trial(trial)
                yield rung


def ask_all(oracle):
    """Trials of keras-tuner until it waits for scores or has no more."""
    for number in itertools.count():
        trial = oracle.create_trial(f"tuner{number}")
        if trial.status != "RUNNING":
            return
        yield trial


@dataclass(frozen=True)
class Rung:
    """The epochs after ``since`` up to ``until`` of one training on the hold-out."""

    number: int
    values: dict
    since: int
    until: int
    epoch: int = 1
    score: float | None = None
    steps: int = 0
    seconds: float = 0.0


def rung_of(trial, numbers):
    """What keras-tuner asks for; a promoted trial keeps the number, and so the weights."""
    values = dict(trial.hyperparameters.values)
    tuner = {name: values.pop(name) for name in list(values) if name.startswith("tuner/")}
    parent = tuner.get("tuner/trial_id")
    numbers[trial.trial_id] = len(numbers) if parent is None else numbers[parent]
    span = tuner["tuner/initial_epoch"], tuner["tuner/epochs"]
    return Rung(numbers[trial.trial_id], values, *span)


def train_rungs(arena, rungs):
    """Rungs off the curves of whole trainings, of which a promoted trial is the same one."""
    from hpsearch.space.space import Candidate

    candidates = [Candidate(rung.number, rung.values) for rung in rungs]
    for rung, trial in zip(rungs, arena.score(candidates, arena.held_out), strict=True):
        share = (rung.until - rung.since) / EPOCHS
        spent = replace(
            rung,
            steps=round(share * arena.steps(trial, arena.held_out)),
            seconds=share * trial.seconds,
        )
        if trial.score is None:
            yield spent
            continue
        losses = arena.sign * np.array([row[f"val_{arena.metric}"] for row in trial.curves])
        epoch = rung.since + int(losses[rung.since : rung.until].argmin()) + 1
        yield replace(spent, epoch=epoch, score=float(arena.sign * losses[epoch - 1]))


def strategies():
    """Every strategy by name, in the order of the tables and the legend."""
    from hpsearch.oracles import oracle_names

    oracles = [name for name in oracle_names() if name not in (FULL_SEARCH, "grid")]
    trials = {"hyperband": HYPERBAND_TRIALS}
    searches = [Search(oracle, trials=trials.get(oracle, TRIALS)) for oracle in oracles]
    listed = [
        Search(FULL_SEARCH),
        Search(FULL_SEARCH, trials=1),
        *searches,
        *(replace(one, race=race) for one in (Search(FULL_SEARCH), *searches) for race in RACES),
        Search(FULL_SEARCH, rungs=3),
        Search(FULL_SEARCH, race="corrected-t", rungs=3),
        OptunaHoldOut(),
        KerasTunerHoldOut(),
    ]
    return {strategy.name: strategy for strategy in listed}


# -- the table


@dataclass(frozen=True)
class Row:
    """One line of the table; ``score_full`` is the selected trial's on all folds of the search."""

    table: str
    seed: int
    strategy: str
    metric: str
    score_cv: float
    se_cv: float
    score_full: float
    score_fresh: float
    se_fresh: float
    spread: float
    n_trials: int
    n_stopped: int
    best_epoch: int
    replica_steps: int
    seconds: float
    selected: str


def run_arena(table, seed, chosen):
    """The rows of some strategies on one table and seed."""
    with Arena(TABLES[table].load(), seed) as arena:
        selected = [strategy.run(arena) for strategy in chosen]
        fresh = list(arena.fresh_scores(selected))
        return [row_of(arena, table, *of) for of in zip(chosen, selected, fresh, strict=True)]


def row_of(arena, table, strategy, one, fresh):
    """What a strategy selected, with its scores on the search's folds and on the fresh ones."""
    from hpsearch.space.space import Candidate

    full = np.nan
    if one.trial is not None:
        [trial] = arena.score([Candidate(one.trial, one.values)], arena.searched)
        full = trial.score
    score_fresh, se_fresh = fresh
    return Row(
        table=table,
        seed=arena.seed,
        strategy=strategy.name,
        metric=arena.metric,
        score_cv=one.score,
        se_cv=one.se,
        score_full=full,
        score_fresh=score_fresh,
        se_fresh=se_fresh,
        spread=one.spread,
        n_trials=one.n_trials,
        n_stopped=one.n_stopped,
        best_epoch=one.epoch,
        replica_steps=one.steps,
        seconds=round(one.seconds, 3),
        selected=text_of(one.values),
    )


def run_missing(path, tables, seeds, chosen):
    """Run what the table does not hold, one table and seed after the other."""
    done = read(path)
    held = set(zip(done.table, done.seed, done.strategy, strict=True))
    for seed in seeds:
        for table in tables:
            missing = [one for one in chosen if (table, seed, one.name) not in held]
            if missing:
                started = time.perf_counter()
                append(path, run_arena(table, seed, missing))
                seconds = time.perf_counter() - started
                print(f"{table}, seed {seed}: {seconds:.0f} s", file=sys.stderr, flush=True)


def read(path):
    """The table as it is; empty where there is none."""
    if path.exists():
        return pd.read_csv(path)
    return pd.DataFrame(columns=[field.name for field in fields(Row)])


def append(path, rows):
    """Add rows, with the header where the table is new."""
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Row)], lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerows(rounded(asdict(row)) for row in rows)


def rounded(row):
    return {k: float(f"{v:.8g}") if isinstance(v, float) else v for k, v in row.items()}


# -- what it says


def judged(rows):
    """The rows of complete groups (tables and seeds with every strategy), and three columns.

    What diverged on a fresh fold counts as the worst that did not.

    - ``rank`` of the fresh score in its group, 1 for the best, means of ranks for ties;
    - ``regret``: how much worse it is than the group's best fresh score, in units of the full
      search's spread: 1 is the way from a median trial to the best one;
    - ``share`` of the full search's replica-steps.
    """
    names = set(rows.strategy)
    keys = ["table", "seed"]
    rows = rows[rows.groupby(keys).strategy.transform("nunique") == len(names)].copy()
    rows["loss"] = rows.score_fresh * [sign_of(metric) for metric in rows.metric]
    rows["loss"] = rows.groupby(keys).loss.transform(lambda loss: loss.fillna(loss.max()))
    full = rows[rows.strategy == FULL_SEARCH].set_index(keys)
    index = pd.MultiIndex.from_frame(rows[keys])
    groups = rows.groupby(keys).loss
    rows["rank"] = groups.rank()
    rows["regret"] = (rows.loss - groups.transform("min")) / full.spread.reindex(index).to_numpy()
    rows["share"] = rows.replica_steps / full.replica_steps.reindex(index).to_numpy()
    return rows


def sign_of(metric):
    from hpsearch.metrics import METRICS

    return 1.0 if METRICS[metric].direction == "min" else -1.0


def mean_and_se(rows, column):
    """The mean over tables of their means over seeds, and its standard error.

    Tables are what one generalises over; with one table the error is that over its seeds.
    """
    means = rows.groupby("table")[column].mean()
    if len(means) == 1:
        return means.iloc[0], rows[column].sem()
    return means.mean(), means.sem()


def agreements(rows, name):
    """Groups in which a search that ends trials early selects as well as the full one.

    As well is: the selected trial's score on all folds is within one corrected standard error of
    the score that the same oracle selects without ending any. None where there is no such pair.

    Returns the number of such groups, of all groups, and the fewest of one table.
    """
    keys = ["table", "seed"]
    full = rows[rows.strategy == name.partition(",")[0]].set_index(keys)
    early = rows[rows.strategy == name].set_index(keys)
    is_pair = name.partition(",")[0] != name and "hold-out" not in name
    if not is_pair or not full.index.equals(early.index):
        return None
    agree = (early.score_full - full.score_cv).abs() <= full.se_cv
    return int(agree.sum()), len(agree), int(agree.groupby("table").sum().min())


def summary(rows):
    """A line for each strategy, the lowest regret first."""
    n_groups = len(rows[["table", "seed"]].drop_duplicates())
    lines = [
        f"{n_groups} tables and seeds; regret in units of the full search's spread, +- its error",
        f"{'':36}{'mean rank':>10}{'regret':>16}{'% of steps':>12}{'within 1 SE of the full':>26}",
    ]
    found = {}
    for name, part in rows.groupby("strategy"):
        regret, se = mean_and_se(part, "regret")
        agree = agreements(rows, name)
        said = "" if agree is None else f"{agree[0]} of {agree[1]}, a table >= {agree[2]}"
        shown = f"{regret:.3f} +- {se:.3f}"
        found[regret, name] = (
            f"{name:36}{mean_and_se(part, 'rank')[0]:>10.2f}{shown:>16}"
            f"{100 * mean_and_se(part, 'share')[0]:>12.1f}{said:>26}"
        )
    return "\n".join([*lines, *(found[key] for key in sorted(found))])


COLOURS = {
    "random": "#0072b2",
    "defaults": "#000000",
    "bayesian": "#e69f00",
    "gp": "#d55e00",
    "hyperband": "#009e73",
    "tpe": "#cc79a7",
}
"""Of algorithms, after Okabe and Ito, so that everyone can tell them apart."""

MARKERS = {
    "": ("o", "every trial on all folds"),
    "forgiving": ("^", "race, forgiving"),
    "corrected-t": ("s", "race, corrected-t"),
    "rungs": ("D", "rungs"),
    "corrected-t, 3 rungs": ("P", "rungs and race"),
    "hold-out": ("X", "a peer with one hold-out"),
}
"""Of ways to spend less; the last one that a name holds is its."""

TICKS = (0.03, 0.1, 0.3, 1.0)
LINEAR_REGRET = 0.1
"""Regrets up to here are drawn to scale, larger ones logarithmically."""


def style_of(name):
    """Colour and marker of a strategy."""
    colour = next((c for family, c in COLOURS.items() if family in name), "#56b4e9")
    marker = next(m for key, (m, _) in reversed(MARKERS.items()) if key in name)
    return colour, marker


def draw(rows, path):
    """Regret against replica-steps: over all tables, and for each."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot as plt

    tables = list(dict.fromkeys(rows.table))
    n_below = -(-max(0, len(tables) - 4) // 4)
    figure = plt.figure(figsize=(12, 6.5 + 2.6 * n_below), layout="constrained")
    grid = figure.add_gridspec(2 + n_below, 4)
    overall = figure.add_subplot(grid[:2, :2])
    panel(overall, rows, f"all {len(tables)} tables; bars: standard error over tables", size=9)
    overall.set(
        xlabel="replica-steps, as a share of the full random search",
        ylabel="regret on fresh folds\n(0: the best of all strategies, 1: a median trial away)",
    )
    places = [(0, 2), (0, 3), (1, 2), (1, 3), *((2 + i // 4, i % 4) for i in range(len(tables)))]
    for table, place in zip(tables, places, strict=False):
        axes = figure.add_subplot(grid[place], sharex=overall, sharey=overall)
        part = rows[rows.table == table]
        panel(axes, part, f"{table}, {part.metric.iloc[0]}; over seeds", size=6)
        axes.tick_params(labelsize=8)
    figure.legend(
        handles=legend_handles(rows), loc="outside lower center", ncols=6, frameon=False, fontsize=9
    )
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=90)
    plt.close(figure)


def panel(axes, rows, title, *, size):
    """Each strategy's mean share of replica-steps and regret, with the error of the regret."""
    for name, part in rows.groupby("strategy"):
        colour, marker = style_of(name)
        share, _ = mean_and_se(part, "share")
        regret, se = mean_and_se(part, "regret")
        axes.errorbar(
            share, regret, se, fmt=marker, color=colour, markersize=size, elinewidth=1,
            alpha=0.85, markeredgecolor="white", markeredgewidth=0.6,
        )  # fmt: skip
    axes.set_title(title, fontsize=9)
    axes.set_xscale("log")
    axes.set_xticks(TICKS, [f"{tick:.0%}" for tick in TICKS])
    axes.minorticks_off()
    axes.set_yscale("symlog", linthresh=LINEAR_REGRET)
    axes.set_yticks((0, 0.05, 0.1, 0.3, 1, 3), ("0", "0.05", "0.1", "0.3", "1", "3"))
    axes.set_ylim(bottom=-0.01)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def legend_handles(rows):
    """Colours are algorithms, markers are ways to spend less."""
    from matplotlib.lines import Line2D

    used = {style_of(name) for name in rows.strategy}
    colours, markers = ({style[i] for style in used} for i in (0, 1))
    handles = [Line2D([], [], color=c, lw=4, label=f) for f, c in COLOURS.items() if c in colours]
    for marker, text in MARKERS.values():
        if marker in markers:
            handles.append(Line2D([], [], color="gray", marker=marker, ls="", label=text))
    return handles


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES), metavar="NAME")
    parser.add_argument("--seeds", type=int, default=10, help="so many, from 0; by default 10")
    parser.add_argument("--strategies", nargs="+", metavar="NAME", help="by default all")
    parser.add_argument("--out", type=Path, default=DEFAULT_CSV, help="the table; grows")
    parser.add_argument("--picture", type=Path, help="by default beside the table")
    parser.add_argument("--summary", action="store_true", help="run nothing")
    options = parser.parse_args()
    os.environ.setdefault("KERAS_BACKEND", "numpy")  # this process trains nothing
    known = strategies()
    names = options.strategies or list(known)
    if unknown := [name for name in names if name not in known]:
        parser.error(f"no strategy {unknown[0]!r}; there are: {'; '.join(known)}")
    if not options.summary:
        chosen = [known[name] for name in names]
        run_missing(options.out, options.tables, range(options.seeds), chosen)
    rows = judged(read(options.out))
    if rows.empty:
        raise SystemExit(f"No table and seed has every strategy, {FULL_SEARCH} among them.")
    print(summary(rows))
    draw(rows, options.picture or options.out.with_suffix(".svg"))


if __name__ == "__main__":
    main()
