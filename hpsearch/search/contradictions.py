"""Rules of several options of a search together: which of them contradict each other.

Rules of single options stand where each is declared, ``hpsearch.search.options``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpsearch import options as rules
from hpsearch.errors import OptionError
from hpsearch.options import MOST_FOLDS

if TYPE_CHECKING:
    from hpsearch.search.options import Options


def check_together(options: Options) -> None:
    """Refuse options that contradict each other: OptionError."""
    _check_n_folds(options)
    _check_race(options)
    _check_until_decided(options)
    _check_patience(options)
    _check_test_rows(options)


def _check_n_folds(options: Options) -> None:
    name = "max_repeats" if options.until_decided else "repeats"
    repeats = getattr(options, name)
    if options.folds * repeats > MOST_FOLDS:
        raise OptionError(
            f"`folds` times `{name}` is at most {MOST_FOLDS:,}; received {options.folds:,} and "
            f"{repeats:,}. Lower one."
        )


def _check_race(options: Options) -> None:
    from hpsearch.scoring.stages import most_rungs

    if options.races and options.repeats == 1:
        raise OptionError(
            "A race compares trials after each repeat, and there is one; received "
            f"--race {options.race} --repeats 1. Raise --repeats, or use --rungs."
        )
    rungs = options.rungs or 1
    if rungs > 1 and options.oracle == "hyperband":
        raise OptionError(
            f"The hyperband oracle sets the rungs itself; received --rungs {options.rungs}. "
            "Leave --rungs out."
        )
    if options.epochs is not None and rungs > most_rungs(options.epochs):
        raise OptionError(
            f"Each rung trains longer than the one before it, so {options.epochs} epochs allow "
            f"at most {most_rungs(options.epochs)}; received --rungs {options.rungs}. "
            "Raise --epochs, or lower --rungs."
        )


def _check_until_decided(options: Options) -> None:
    most = next(o.default for o in rules.declared(options) if o.name == "max_repeats")
    if not options.until_decided and options.max_repeats != most:
        raise OptionError(
            "--max-repeats is how far --until-decided goes, which is missing; received "
            f"--max-repeats {options.max_repeats}. Add --until-decided, or leave it out."
        )
    if options.until_decided and options.max_repeats <= options.repeats:
        raise OptionError(
            "--until-decided adds repeats up to --max-repeats, which must be above --repeats; "
            f"received {options.max_repeats} and {options.repeats}."
        )


def _check_patience(options: Options) -> None:
    if options.patience is None:
        return
    for option_, is_on in (
        ("--race", options.races),
        ("--rungs", (options.rungs or 1) > 1),
        ("--until-decided", options.until_decided),
        ("--oracle hyperband", options.oracle == "hyperband"),
    ):
        if is_on:
            raise OptionError(
                "With --patience all folds of a trial stop together, which "
                f"{option_} would take apart; received both. Leave one out."
            )


def _check_test_rows(options: Options) -> None:
    if options.test_data is not None and options.test_size is not None and not options.holds_out:
        raise OptionError(
            "The test rows come from `test_data` or from `test_size`; received both. Leave one out."
        )
