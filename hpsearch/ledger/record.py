"""The ledger's form: frozen records with the numbers as they are shown, to JSON and back.

Owns what a ledger holds and its JSON form; computes nothing that is written there. A figure that a
run cannot give is None, with a sentence that says why. Scores are in the selecting metric, in its
own units.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from hpsearch.decisions.decided import Decided
from hpsearch.stats.predictive import of_more_training_rows, of_new_rows
from hpsearch.task import Direction, loss_sign

LEDGER_FORMAT: Final = "hpsearch ledger 1"

Row = Mapping[str, Any]
"""A row of a run's table, read alone."""

Rule = Literal["best", "one-se"]
"""How a search selects: the best score, or the smallest model within a standard error of it."""

PromiseSource = Literal["nested", "bias_corrected", "mean"]


@dataclass(frozen=True)
class Spread:
    """How far off a mean may be.

    Attributes
    ----------
    se : standard error; None where there is one score.
    low, high : 95 % interval.
    """

    se: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class FoldMean:
    """The winner's mean over its folds.

    Attributes
    ----------
    value : the mean of ``n_scores`` fold scores.
    n_repeats, n_folds, n_scores : P, K, and the folds that there are, mostly P x K.
    corrected : standard error and t interval, corrected for the rows that training sets share
        (Nadeau & Bengio 2003).
    naive : those that take the folds for independent: too small, shown to be crossed out.
    n_train, n_validation : rows of a fold's sides, their means; 0 in runs of older versions.
    """

    value: float
    n_repeats: int
    n_folds: int
    n_scores: int
    corrected: Spread
    naive: Spread
    n_train: float = 0.0
    n_validation: float = 0.0


@dataclass(frozen=True)
class BiasCorrection:
    """The score of the whole selection, by bootstrap bias-corrected CV (Tsamardinos et al. 2018).

    Attributes
    ----------
    value, low, high : the estimate and its 95 % interval; None where ``missing`` says why.
    naive : the winner's score computed alike, over each repeat's rows at once, and not corrected.
    of_epochs : whether the choice of the epoch is corrected for as well as that of the trial.
    n_trials : trials that took part; n_epochs : epochs of each that did, at most.
    n_rows, n_repeats : rows and repeats whose predictions were drawn from.
    blocks : what was drawn whole: ``"rows"``, ``"groups"``, ``"copies"`` or
        ``"groups and copies"``; n_blocks : how many there are.
    n_bootstraps, n_skipped : samples that count, and those on which the metric is not defined.
    notes : what was limited or left out, a sentence each.
    missing : why there is no estimate; empty where there is one.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    naive: float | None = None
    of_epochs: bool = False
    n_trials: int = 0
    n_epochs: int = 0
    n_rows: int = 0
    n_repeats: int = 0
    blocks: str = "rows"
    n_bootstraps: int = 0
    n_skipped: int = 0
    notes: tuple[str, ...] = ()
    missing: str = ""
    n_blocks: int = 0


@dataclass(frozen=True)
class Foldwise:
    """Tibshirani & Tibshirani's (2009) correction, from fold scores alone.

    Attributes
    ----------
    value : the best trial's mean, made worse by ``bias``.
    bias : how much better the folds' own winners look, 0 or above.
    n_trials : trials with scores on all the folds that are compared.
    """

    value: float
    bias: float
    n_trials: int


@dataclass(frozen=True)
class Promise:
    """What the winner was said to score on new rows, before any test row was looked at.

    Attributes
    ----------
    source : the figure it comes from: ``"nested"``, ``"bias_corrected"`` or ``"mean"``, in this
        order of preference.
    value, low, high : that figure and its 95 % interval, for the score on endless new rows.
    n_interval, n_known : rows that scatter as widely as the interval is, and rows that the figure
        comes from; None where that is unknown, as in runs of older versions.
    share_trained : of the rows, those that a fold's network was trained on; None where it is
        unknown, and where the folds' own networks are exported.
    best : the best value that the metric can have, or None.
    """

    source: PromiseSource
    value: float
    low: float | None
    high: float | None
    n_interval: float | None = None
    n_known: float | None = None
    share_trained: float | None = None
    best: float | None = None

    def of_rows(self, n_rows: int) -> tuple[float | None, float | None]:
        """Where the exported model's score of so many new rows is expected, 19 times of 20 or more.

        The score of few rows scatters more than ``low`` and ``high`` say, and a network that was
        trained on all rows is better than those of the folds; see ``hpsearch.stats.predictive``.
        The interval itself where nothing is known of its rows.
        """
        if self.low is None or self.high is None or not self.n_interval or not self.n_known:
            return self.low, self.high
        rows = {"n_interval": self.n_interval, "n_known": self.n_known, "n_new": n_rows}
        low, high = of_new_rows(self.value, self.low, self.high, **rows)
        gain = self.gain_of_rows
        return (low, high) if gain is None else of_more_training_rows(self.value, low, high, **gain)

    @property
    def gain_of_rows(self) -> dict[str, float] | None:
        """What tells the gain of a network that sees all rows, ``best`` and ``share``, or None."""
        if self.share_trained is None or self.best is None:
            return None
        return {"best": self.best, "share": self.share_trained}


@dataclass(frozen=True)
class TestScore:
    """The exported model's score on the test rows.

    Attributes
    ----------
    value, low, high : in the selecting metric, with a 95 % bootstrap interval of the rows.
    n_rows : test rows; blocks : as in ``BiasCorrection``.
    expected_low, expected_high : where the score of so many rows was expected.
    verdict : ``"within"`` what was promised for so many rows, or ``"better"`` or ``"worse"`` than
        that; ``"unknown"`` where nothing was promised.
    overlaps : whether the two intervals overlap: a small test set is uncertain itself.
    metrics : every metric's value.
    """

    __test__ = False  # no test, whatever pytest takes the name for

    value: float
    low: float | None
    high: float | None
    n_rows: int
    blocks: str
    verdict: Literal["within", "better", "worse", "unknown"]
    overlaps: bool
    metrics: dict[str, float | None]
    expected_low: float | None = None
    expected_high: float | None = None


@dataclass(frozen=True)
class NestedFold:
    """One outer fold: a whole search on its training rows, scored on its validation rows.

    Attributes
    ----------
    fold : its number.
    n_train, n_test : rows that the search saw, and rows that scored its winner.
    trial : the inner search's winner; epoch : its best epoch.
    inner_score, outer_score : what its search said of it, and what the rows outside say.
    hyperparameters : its configuration.
    thresholds : from which probability on its search predicts each label; empty where it chose
        none. threshold_score : the rule's figure there, on the rows outside.
    """

    fold: int
    n_train: int
    n_test: int
    trial: int
    epoch: int
    inner_score: float
    outer_score: float
    hyperparameters: dict[str, Any]
    thresholds: tuple[float, ...] = ()
    threshold_score: float | None = None


@dataclass(frozen=True)
class Nested:
    """The search itself, cross-validated.

    Attributes
    ----------
    value : mean of the outer scores.
    corrected, naive : as in ``FoldMean``.
    inner : mean of what the searches said of their winners.
    folds : one record per outer fold.
    """

    value: float
    corrected: Spread
    naive: Spread
    inner: float
    folds: tuple[NestedFold, ...]


@dataclass(frozen=True)
class Choice:
    """Why this trial: the rule that selected, and what it cost.

    Attributes
    ----------
    rule : ``"best"`` or ``"one-se"``.
    reason : a sentence for people.
    best_trial : the best scoring trial, which is the selected one under ``"best"``.
    best_score, score : its score, and the selected trial's.
    cost : by how much the selected one scores worse, 0 or above.
    tolerance : the corrected standard error of the best trial; None where it is unknown.
    n_near : trials within ``tolerance`` of the best one, itself included.
    n_completed : trials that could be selected.
    best_n_params, n_params : parameters of the best scoring network and of the selected one.
    """

    rule: Rule
    reason: str
    best_trial: int
    best_score: float
    score: float
    cost: float
    tolerance: float | None
    n_near: int
    n_completed: int
    best_n_params: int | None
    n_params: int | None


@dataclass(frozen=True)
class More:
    """What one more of something would buy.

    Attributes
    ----------
    what : ``"repeat"``, ``"fold"`` or ``"seed"``.
    n_trainings : trainings that it adds for each trial.
    se : the standard error expected then.
    """

    what: Literal["repeat", "fold", "seed"]
    n_trainings: int
    se: float


@dataclass(frozen=True)
class Variance:
    """Where the variance of the winner's fold scores comes from.

    Attributes
    ----------
    reshuffle, fold, seed : variances of one fold score; ``reshuffle`` is None with one repeat,
        ``seed`` where each fold was trained with one seed: initial weights are in ``fold`` then.
    shares : each known part's share of their sum, 0 to 1; empty where the scores are all equal.
    se : standard error that the parts imply for the plan that there was.
    more : one more repeat, fold or seed.
    advice : what to raise, a sentence for people.
    note : what these data cannot separate, a sentence for people.
    """

    reshuffle: float | None
    fold: float
    seed: float | None
    shares: dict[str, float]
    se: float
    more: tuple[More, ...]
    advice: str
    note: str


@dataclass(frozen=True)
class Baseline:
    """A model that needs no search, on the winner's own folds.

    Attributes
    ----------
    name : ``"constant"``, ``"linear"``, ``"trees"`` or ``"small_trees"``; label : for people.
    value : its mean over the folds; None where ``missing`` says why there is none.
    corrected : standard error and interval, as in ``FoldMean``.
    metrics : every metric's mean.
    n_folds : folds that it was scored on.
    gain : by how much the winner is better, mean over those folds; below 0 where it is worse.
    gain_low, gain_high, p_value : the corrected paired t-test of that difference.
    is_beaten : whether the whole interval of the gain lies above 0.
    notes : what was limited, a sentence each.
    missing : why it has no scores; empty where it has.
    """

    name: str
    label: str
    value: float | None = None
    corrected: Spread = Spread(None, None, None)
    metrics: dict[str, float | None] | None = None
    n_folds: int = 0
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    p_value: float | None = None
    is_beaten: bool = False
    notes: tuple[str, ...] = ()
    missing: str = ""


@dataclass(frozen=True)
class LedgerWarning:
    """What deserves attention before the score is believed.

    Attributes
    ----------
    code : what kind it is, such as ``"edge_of_range"``.
    text : what was found.
    evidence : the numbers behind it.
    remedy : what to do.
    """

    code: str
    text: str
    evidence: dict[str, Any]
    remedy: str


@dataclass(frozen=True)
class Ledger:
    """What the winner's score is worth: estimates, what they leave out, and what to do.

    Attributes
    ----------
    trial, epoch : the winner and its best epoch, from 1.
    metric, direction : the selecting metric, ``"min"`` or ``"max"``.
    mean : its mean over the folds.
    bias_corrected, foldwise : the same without the bias of having been selected.
    nested : the search cross-validated, where that was asked for.
    promise : what to expect on new rows: the most trustworthy of these.
    test : the score on test rows, where there are any.
    choice : why this trial.
    variance : where the variance of the scores comes from; None with fewer than two folds.
    baselines : models that need no search; empty where they were switched off.
    warnings : what deserves attention.
    decided : what was decided with the winner's out-of-fold predictions.
    """

    trial: int
    epoch: int
    metric: str
    direction: Direction
    mean: FoldMean
    bias_corrected: BiasCorrection
    foldwise: Foldwise | None
    nested: Nested | None
    promise: Promise
    test: TestScore | None
    choice: Choice
    variance: Variance | None
    baselines: tuple[Baseline, ...] = ()
    warnings: tuple[LedgerWarning, ...] = ()
    decided: Decided = field(default_factory=Decided)

    @property
    def best_baseline(self) -> Baseline | None:
        """The one of the best mean, which the winner is held against; None where there is none.

        It was picked by that mean, which flatters it a little where there are several.
        """
        sign = loss_sign(self.direction)
        scored = [(sign * each.value, each) for each in self.baselines if each.value is not None]
        return min(scored, key=lambda pair: pair[0], default=(0.0, None))[1]

    @property
    def n_baselines(self) -> int:
        """How many baselines have a score."""
        return sum(each.value is not None for each in self.baselines)

    def to_json(self) -> dict[str, Any]:
        """A dictionary that JSON can hold; ``from_json`` is its inverse."""
        plain: dict[str, Any] = _plain({**asdict(self), "format": LEDGER_FORMAT})
        return plain

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Ledger:
        """The inverse of ``to_json``; keys that are not known are ignored.

        Raises
        ------
        ValueError
            Something that a ledger has is not there, or has another type.
        """
        ledger: Ledger = _built(cls, value)
        return ledger


def known(value: Any) -> float | None:
    """A number as a ledger holds it: a plain float, or None where it is not finite.

    Examples
    --------
    >>> known(0.5), known(float("nan")), known(None)
    (0.5, None, None)
    """
    if value is None or not math.isfinite(value):
        return None
    return float(value)


def _plain(value: Any) -> Any:
    """Lists for tuples, and None for what is not finite, all the way down."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return known(value) if isinstance(value, float) else value


def _built(kind: Any, value: Any) -> Any:
    """A value of a declared type out of its JSON form."""
    origin = get_origin(kind)
    if kind is Any:
        return value
    if origin is dict:
        _checked(isinstance(value, Mapping), value, "an object")
        return {name: _built(get_args(kind)[1], item) for name, item in value.items()}
    if is_dataclass(kind):
        return _built_record(kind, value)
    if origin is UnionType:
        if value is None and NoneType in get_args(kind):
            return None
        return _built(next(part for part in get_args(kind) if part is not NoneType), value)
    if origin is tuple:
        _checked(isinstance(value, list), value, "a list")
        return tuple(_built(get_args(kind)[0], item) for item in value)
    if origin is Literal:
        accepted: tuple[Any, ...] = get_args(kind)
        return _checked(value in accepted, value, f"one of {accepted}")
    accepted = (int, float) if kind is float else (kind,)
    return _checked(type(value) in accepted, value, kind.__name__)


def _built_record(kind: Any, value: Any) -> Any:
    _checked(isinstance(value, Mapping), value, kind.__name__)
    hints = get_type_hints(kind)
    there = [field for field in fields(kind) if field.name in value]
    try:
        return kind(**{field.name: _built(hints[field.name], value[field.name]) for field in there})
    except TypeError as error:
        raise ValueError(f"A {kind.__name__} of a ledger is incomplete: {error}.") from error


def _checked(is_right: bool, value: Any, wanted: str) -> Any:
    if not is_right:
        raise ValueError(f"A ledger holds {wanted} there; received {value!r}.")
    return value
