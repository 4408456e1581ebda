"""The options of a search, each declared once.

Owns ``Options``: defaults, rules, words, and what becomes of each when a run goes on. Adding an
option is adding a field here and using it; the command line, ``Search``, ``cross_validate``, the
journal, run.json, the report's command and docs/options.md follow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from hpsearch import logs
from hpsearch import options as rules
from hpsearch.data.class_weights import (
    ClassWeight,
    class_weight,
    read_class_weight,
    write_class_weight,
)
from hpsearch.data.options import MAX_LEVELS, MAX_WORDS, TABLE_OPTIONS
from hpsearch.decisions.rules import threshold_option
from hpsearch.options import (
    MOST_EPOCHS,
    MOST_FOLDS,
    MOST_REPEATS,
    MOST_TRIALS,
    Panel,
    Resumed,
    count,
    one_of,
    option,
    or_none,
)
from hpsearch.oracles import check_oracle
from hpsearch.search import asked_metrics
from hpsearch.search.contradictions import check_together
from hpsearch.search.option_rules import (
    ORACLES,
    EnsembleChoice,
    ScaleTarget,
    calibrations,
    cluster_address,
    engine_name,
    ensemble_choice,
    read_ensemble,
    read_fixes,
    splits,
    target_scaling,
    transformer,
    transforms,
    write_fixes,
)
from hpsearch.search.tried import as_json, as_words, read_tried

if TYPE_CHECKING:
    from hpsearch.decisions.calibrators import Asked
    from hpsearch.folds.plan import Split
    from hpsearch.folds.splitters import Duplicates
    from hpsearch.ledger.record import Rule

Race = Literal["auto", "off", "forgiving", "corrected-t"]


@dataclass(frozen=True)
class Options:
    """What a search is asked, checked; see docs/options.md."""

    space: Any = option(
        None,
        "What to search: a shipped space's name (`hpsearch space` lists them) or a .py file. "
        "Default: tabular for numbers and categories, mlp where there are words or arrays.",
        rules.anything,
        panel=Panel.SEARCH,
        metavar="NAME|FILE.py",
        resumed=Resumed.APART,
        in_python="Also build(hp, problem), keras-tuner's build(hp) or a HyperModel.",
        kw_only=False,
    )
    test_data: Any = option(
        None,
        "Rows that score the final model once and take part in nothing else.",
        rules.anything,
        in_python="A file, a table, a pair (X, y) or a Dataset.",
        panel=Panel.DATA,
        metavar="FILE",
        resumed=Resumed.APART,
    )
    test_size: float | None = option(
        None,
        "Set this share of the rows apart instead. With {folds} 1: to validate on.",
        rules.anything,
        panel=Panel.DATA,
        metavar="SHARE",
        given=float,
    )
    max_levels: int = option(
        MAX_LEVELS,
        "Levels kept of each category column; rarer ones, as counted on a fold's training rows, "
        "share one.",
        count(),
        panel=Panel.DATA,
        metavar="N",
        given=int,
        for_one_network=True,
    )
    max_words: int = option(
        MAX_WORDS,
        "Words kept of each text column; rarer ones, as counted on a fold's training rows, are "
        "left out.",
        count(),
        panel=Panel.DATA,
        metavar="N",
        given=int,
        for_one_network=True,
    )
    preprocess: Any = option(
        None,
        "A file with a function make() that returns a transformer of scikit-learn's, such as a "
        "ColumnTransformer. Fitted on the training rows of each fold, it takes the place of the "
        "preprocessing of all columns but arrays.",
        or_none(transformer),
        in_python="Also the transformer itself.",
        panel=Panel.DATA,
        metavar="FILE.py",
        resumed=Resumed.APART,
        for_one_network=True,
    )
    folds: int = option(
        4,
        "Parts of each repeat; 1 is a hold-out of {test_size}.",
        count(most=MOST_FOLDS),
        panel=Panel.FOLDS,
        metavar="K",
        short="k",
        given=int,
    )
    repeats: int = option(
        3,
        "Reshuffles; each trial is trained K x P times.",
        count(most=MOST_REPEATS),
        panel=Panel.FOLDS,
        metavar="P",
        short="p",
        given=int,
        resumed=Resumed.GROWS,
    )
    split: Split = option(
        "auto",
        "How rows are dealt to folds: auto (follows from the data), kfold, stratified, group, "
        "stratified-group, time or holdout.",
        one_of(splits),
        panel=Panel.FOLDS,
        metavar="KIND",
    )
    gap: int = option(
        0,
        "In time order: rows left out between training and validation.",
        count(least=0),
        panel=Panel.FOLDS,
        metavar="ROWS",
        given=int,
    )
    duplicates: Duplicates = option(
        "together",
        "Exact copies of a row: together (on one side of each fold) or ignore (dealt like other "
        "rows).",
        one_of(("together", "ignore")),
        panel=Panel.FOLDS,
        metavar="HOW",
    )
    trials: int = option(
        20,
        "Configurations to try.",
        count(most=MOST_TRIALS),
        panel=Panel.SEARCH,
        metavar="N",
        short="n",
        given=int,
        resumed=Resumed.GROWS,
    )
    minutes: float | None = option(
        None,
        "Time for the whole command, refit, check and report included: of {trials}, as many are "
        "started as leave time for the rest, and one at least. Default: no limit.",
        or_none(rules.minutes),
        panel=Panel.SEARCH,
        metavar="M",
        given=float,
        resumed=Resumed.CHANGES,
    )
    oracle: str = option("random", ORACLES, rules.anything, panel=Panel.SEARCH, metavar="NAME")
    tried: Any = option(
        None,
        "Configurations to score first, those that you know to be good: a .json or .csv file of "
        "hyperparameters' names and values, a run's trials.csv or best.json, or JSON itself. What "
        "one leaves out has its default.",
        read_tried,
        in_python="Also a table, such as ``run.trials``, or a list of dictionaries.",
        flag="--try",
        panel=Panel.SEARCH,
        metavar="FILE",
        read=partial(read_tried, "tried"),
        write=as_words,
        record=as_json,
    )
    fix: Mapping[str, Any] | None = option(
        None,
        "Give a hyperparameter one value; repeatable.",
        rules.plain_values,
        panel=Panel.SEARCH,
        metavar="NAME=VALUE",
        repeats=True,
        read=read_fixes,
        write=write_fixes,
    )
    metric: Any = option(
        None,
        "The metric that selects, see docs/metrics.md, or one of your own; by default the problem "
        "type's first.",
        or_none(asked_metrics.one),
        in_python="Also f(y_true, y_pred) with an attribute greater_is_better, or a scorer.",
        panel=Panel.SEARCH,
        metavar="NAME|FILE.py:NAME",
        record=asked_metrics.name_of,
        for_one_network=True,
    )
    also: Sequence[Any] | None = option(
        None,
        "A metric that is recorded without selecting; repeatable.",
        or_none(asked_metrics.several),
        in_python="A list of them, as {metric} takes them.",
        panel=Panel.SEARCH,
        metavar="NAME|FILE.py:NAME",
        repeats=True,
        read=lambda given: tuple(given or ()) or None,
        write=asked_metrics.write,
        record=asked_metrics.names_of,
        for_one_network=True,
    )
    weigh_scores: bool = option(
        True,
        "Where rows have weights (`--weights`, `sample_weight`), weigh them in everything that is "
        "scored as in the loss; else they count in the loss alone, and scores weigh all rows the "
        "same.",
        rules.switch,
        panel=Panel.SEARCH,
        given=bool,
        for_one_network=True,
        before=False,
    )
    race: Race = option(
        "auto",
        "After each repeat, end trials that can't win: corrected-t (those that a corrected paired "
        "t-test finds worse than the leader), forgiving (those whose mean is worse than the "
        "leader's worst fold) or off. auto: corrected-t, where there is something to race over.",
        one_of(("auto", "off", "forgiving", "corrected-t")),
        panel=Panel.SEARCH,
        metavar="RULE",
        before="off",
    )
    rungs: int | None = option(
        None,
        "Levels of successive halving over epochs, within the first repeat: a third of a bracket's "
        "trials goes on from one to the next, three times as long. Default: 3, or as many as leave "
        "three trials at the last one; 1 with an oracle that decides by the scores.",
        or_none(count()),
        panel=Panel.SEARCH,
        metavar="N",
        given=int,
        before=1,
    )
    bracket: int = option(
        20,
        "Trials that the rungs compare with each other, one bracket after the other.",
        count(most=MOST_TRIALS),
        panel=Panel.SEARCH,
        metavar="N",
        given=int,
        before=MOST_TRIALS,
    )
    until_decided: bool = option(
        False,
        "At the end, give the leaders more repeats, up to {max_repeats}, until the winner is "
        "clear or within one standard error of the next.",
        rules.switch,
        panel=Panel.SEARCH,
        given=bool,
    )
    max_repeats: int = option(
        10,
        "Most reshuffles with {until_decided}.",
        count(most=MOST_REPEATS),
        panel=Panel.SEARCH,
        metavar="P",
        given=int,
        resumed=Resumed.GROWS,
    )
    select: Rule = option(
        "best",
        "What is selected: best (the best score) or one-se (the smallest model within one "
        "corrected standard error of it).",
        one_of(("best", "one-se")),
        panel=Panel.SEARCH,
        metavar="RULE",
    )
    nested: int | None = option(
        None,
        "Also search inside each of K outer folds and score the winners outside: an estimate that "
        "selecting does not flatter, for K times the work.",
        or_none(count(least=2, most=MOST_FOLDS)),
        panel=Panel.SEARCH,
        metavar="K",
        given=int,
    )
    baselines: bool = option(
        True,
        "Score a constant, a linear model and two settings of boosted trees on the same folds.",
        rules.switch,
        panel=Panel.SEARCH,
        given=bool,
    )
    importance: bool = option(
        False,
        "Measure what the winner's networks lose when a column's cells are shuffled, columns that "
        "go together at once. A finished run that is resumed with it has it added.",
        rules.switch,
        panel=Panel.SEARCH,
        given=bool,
        resumed=Resumed.CHANGES,
    )
    seed: int = option(
        0,
        "Everything random follows from it: one seed, one machine, the same tables, for any "
        "{jobs}.",
        count(least=0, most=None),
        panel=Panel.SEARCH,
        metavar="N",
        given=int,
        for_one_network=True,
    )
    epochs: int | None = option(
        None,
        "Most passes over the training rows; the best epoch is found. A space may declare a "
        "hyperparameter of this name. Default: 100 for up to 2,000 rows, 60 up to 20,000, 30 "
        "up to 100,000, 15 for more.",
        or_none(count(most=MOST_EPOCHS)),
        panel=Panel.TRAINING,
        metavar="N",
        short="e",
        given=int,
        for_one_network=True,
    )
    batch_size: int | None = option(
        None,
        "Rows a step, where the space does not declare a hyperparameter of this name. Default: 32 "
        "for up to 5,000 rows, 64 up to 20,000, 128 for more.",
        or_none(count()),
        panel=Panel.TRAINING,
        metavar="ROWS",
        given=int,
        for_one_network=True,
    )
    patience: int | None = option(
        None,
        "Stop all replicas of a trial so many epochs after the best of their mean validation "
        "curve. Default: never.",
        or_none(count()),
        panel=Panel.TRAINING,
        metavar="EPOCHS",
        given=int,
        for_one_network=True,
    )
    scale_target: ScaleTarget = option(
        "auto",
        "Train on a standardised regression target. Default: where the last layer is linear and "
        "the loss measures a distance.",
        target_scaling,
        panel=Panel.TRAINING,
        given=bool,
        read=lambda given: "auto" if given is None else given,
        for_one_network=True,
    )
    transform: str | None = option(
        None,
        "What networks learn in place of a number to predict: log, log1p, sqrt, or yeo-johnson, a "
        "power that the training rows of each fold choose. Predictions and scores are in the "
        "target's own units.",
        or_none(one_of(transforms)),
        panel=Panel.TRAINING,
        metavar="NAME",
        for_one_network=True,
    )
    class_weight: ClassWeight | None = option(
        None,
        "What rows of a class weigh in the loss: balanced (every class as much as any other, by a "
        "fold's training rows) or weights of labels, 1 where none is given. They change no score.",
        or_none(class_weight),
        panel=Panel.TRAINING,
        metavar="balanced|LABEL=W,...",
        read=read_class_weight,
        write=write_class_weight,
        for_one_network=True,
    )
    calibrate: Asked = option(
        "none",
        "Make probabilities mean what they say, inside the model, as out-of-fold predictions have "
        "it: temperature (one slope), platt (a slope and an intercept for each label or class), "
        "isotonic, none, or auto: temperature, or platt where classes weigh, or rows in the loss "
        "alone; kept where the log loss is less by more than chance on rows that did not fit it.",
        one_of(calibrations),
        panel=Panel.DECIDING,
        metavar="METHOD",
        resumed=Resumed.CHANGES,
    )
    threshold: Any = option(
        None,
        "From which probability on a label is predicted: chosen out of fold by f1, f_beta_BETA, "
        "balanced, youden, mcc, kappa, accuracy, cost:FN=A,FP=B, 'recall>=SHARE', "
        "'precision>=SHARE' or 'specificity>=SHARE', or a number. What it scores is corrected for "
        "the choice. Default: 0.5, as with none. Tables and the selection keep 0.5.",
        or_none(threshold_option),
        panel=Panel.DECIDING,
        metavar="RULE",
        resumed=Resumed.CHANGES,
    )
    engine: str = option(
        "auto",
        "What trains: fused (all folds of candidates of one structure at once, on JAX), "
        "reference (any Keras model, on TensorFlow), or auto, which takes the first where it "
        "applies.",
        engine_name,
        panel=Panel.TRAINING,
        metavar="NAME",
        for_one_network=True,
    )
    trial_timeout: float | None = option(
        None,
        "What some folds of a trial may take before it is tried again, then failed.",
        or_none(rules.seconds),
        panel=Panel.TRAINING,
        metavar="SECONDS",
        given=float,
        resumed=Resumed.CHANGES,
    )
    jobs: int | None = option(
        None,
        "Units trained at the same time. Default: one a core, or as many as a cluster takes.",
        or_none(count()),
        panel=Panel.TRAINING,
        metavar="N",
        short="j",
        given=int,
        resumed=Resumed.ANEW,
        for_one_network=True,
    )
    cluster: str | None = option(
        None,
        "Whose workers train: tcp://HOST:8786 of a Dask scheduler (or tls://, dask:...); "
        "ray:HOST:6379, ray://HOST:10001 or ray:auto of a Ray cluster, ray for one that starts "
        "here. Default: processes on this machine.",
        or_none(cluster_address),
        panel=Panel.TRAINING,
        metavar="ADDRESS",
        resumed=Resumed.ANEW,
        for_one_network=True,
        instead_of=("backend", "address"),
    )
    ensemble: EnsembleChoice = option(
        None,
        "What is exported in place of one network: the mean of the winner's networks of all folds "
        "(folds), of its configuration under several seeds (seeds), or of the N best trials, "
        "weighted by their out-of-fold predictions (N). none: one network.",
        ensemble_choice,
        panel=Panel.DECIDING,
        metavar="folds|seeds|N",
        read=read_ensemble,
        resumed=Resumed.CHANGES,
    )
    out: str | Path | None = option(
        None,
        "The folder of the results. Default: results/NAME, numbered where it is taken.",
        rules.anything,
        panel=Panel.RESULTS,
        metavar="FOLDER",
        short="o",
        given=Path,
        resumed=Resumed.NEVER,
    )
    overwrite: bool = option(
        False,
        "Replace the run that is in {out}.",
        rules.switch,
        panel=Panel.RESULTS,
        given=bool,
        resumed=Resumed.NEVER,
    )

    log: Any = option(
        None,
        "Also keep the run in a tool for looking at runs, as it goes: mlflow or tensorboard; "
        "repeatable. Needs the extra of that name. none: no log, where a run that goes on had one.",
        or_none(logs.checked),
        in_python="A name, an hpsearch.Observer, or a list of them.",
        panel=Panel.RESULTS,
        metavar="TOOL",
        repeats=True,
        read=lambda given: tuple(given or ()) or None,
        write=logs.write,
        record=logs.names_of,
        resumed=Resumed.CHANGES,
    )

    def __post_init__(self) -> None:
        rules.check_each(self)
        check_oracle(self.oracle, epochs=self.epochs or MOST_EPOCHS)  # else once it is known
        check_together(self)

    @property
    def n_replicas(self) -> int:
        """Trainings of the whole search at most, refit and --until-decided aside."""
        return self.trials * self.repeats * self.folds

    @property
    def holds_out(self) -> bool:
        """Whether one share of the rows validates, in place of folds."""
        return self.folds == 1 or self.split == "holdout"

    @property
    def races(self) -> bool:
        """Whether a race was asked for, by its rule."""
        return self.race not in ("auto", "off")


OPTIONS: Final = rules.declared(Options)
RESUMABLE: Final = tuple(
    each for each in OPTIONS if each.resumed in (Resumed.GROWS, Resumed.CHANGES, Resumed.ANEW)
)
FOR_ONE_NETWORK: Final = tuple(each for each in OPTIONS if each.for_one_network)


def default(name: str) -> Any:
    """What an option is where it is not given."""
    return next(each.default for each in OPTIONS if each.name == name)


if __name__ == "__main__":
    print(rules.table((*TABLE_OPTIONS, *OPTIONS)))
