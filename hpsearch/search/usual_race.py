"""Which race a search takes where none was asked for.

Three rungs and the corrected paired t-test chose as well as the search that trains everything, for
a sixth of its training (docs/search_quality.md). That was seen with brackets of 20 trials, 30
epochs and several repeats; where there is less, there are fewer rungs, or no race. What became of
it is recorded as if it had been asked for, so that a run which goes on decides as it began.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, TypeVar

from hpsearch.oracles import decides_by_scores
from hpsearch.oracles.base import HALVING_RATE, LEAST_EPOCHS
from hpsearch.search.options import Options, Race
from hpsearch.search.usual_budget import budget_of

RUNGS: Final = 3
ALL_TO_THE_END: Final = "--race off --rungs 1"

LEAST_AT_THE_END: Final = 3
"""Trials of a bracket that train to the end: with fewer the last repeats have nothing to choose."""

LEAST_TRIALS: Final = HALVING_RATE * (LEAST_AT_THE_END - 1) + 1
"""With fewer, not even one halving leaves enough, and a search costs little anyway."""

_Options = TypeVar("_Options", bound=Options)


def settled(options: _Options, *, n_repeats: int) -> tuple[_Options, str]:
    """The options with a race and rungs where these were left open, and what they became.

    Parameters
    ----------
    options : with a budget (``usual_budget``).
    n_repeats : the repeats that the split has.

    Returns
    -------
    The options, and a sentence for people; empty where nothing was left open.

    Examples
    --------
    >>> from hpsearch.search.usual_budget import with_budget
    >>> options, note = settled(with_budget(Options(trials=60), 150), n_repeats=3)
    >>> options.race, options.rungs
    ('corrected-t', 3)
    >>> print(note.partition(";")[0])
    Race: of each 20 trials the best third goes on after 1/9 and 1/3 of the epochs
    >>> options, note = settled(with_budget(Options(trials=4), 150), n_repeats=3)
    >>> options.race, options.rungs, note
    ('off', 1, 'No race: 4 trials are too few, so all train to the end.')
    """
    rungs_open, race_open = options.rungs is None, options.race == "auto"
    if not rungs_open and not race_open:
        return options, ""
    rungs = _usual_rungs(options) if rungs_open else options.rungs or 1
    race = _usual_race(options, n_repeats) if race_open else options.race
    return replace(options, race=race, rungs=rungs), _note(options, race, rungs, n_repeats)


def _usual_rungs(options: Options) -> int:
    if options.patience is not None or decides_by_scores(options.oracle):
        return 1
    n_trials, epochs = min(options.trials, options.bracket), budget_of(options).epochs
    rungs = 1
    while rungs < RUNGS:
        n_trials = -(-n_trials // HALVING_RATE)
        if n_trials < LEAST_AT_THE_END or epochs < LEAST_EPOCHS * HALVING_RATE**rungs:
            break
        rungs += 1
    return rungs


def _usual_race(options: Options, n_repeats: int) -> Race:
    can = options.trials >= LEAST_TRIALS and options.patience is None
    return "corrected-t" if can and min(options.repeats, n_repeats) > 1 else "off"


def _note(options: Options, race: Race, rungs: int, n_repeats: int) -> str:
    if options.oracle == "hyperband":
        return "Race: hyperband's brackets, whose best third goes on each time."
    if race == "off" and rungs == 1:
        reason = _why_not(options, n_repeats)
        return f"No race: {reason}, so all train to the end."
    parts = []
    if rungs > 1:
        n_trials = min(options.trials, options.bracket)
        shares = [f"1/{HALVING_RATE ** (rungs - 1 - rung)}" for rung in range(rungs - 1)]
        parts.append(
            f"of each {n_trials} trials the best third goes on after {' and '.join(shares)} of the "
            "epochs"
        )
    if race != "off":
        parts.append(f"{'then' if parts else 'after each repeat'} those end that can't win")
    return f"Race: {'; '.join(parts)}. {ALL_TO_THE_END} trains all to the end."


def _why_not(options: Options, n_repeats: int) -> str:
    if options.patience is not None:
        return "with --patience all folds of a trial stop together"
    if options.trials < LEAST_TRIALS:
        n = options.trials
        return f"{n} trial{' is' if n == 1 else 's are'} too few"
    if min(options.repeats, n_repeats) == 1:
        return "there is one repeat, and no room for rungs"
    return "it is switched off"
