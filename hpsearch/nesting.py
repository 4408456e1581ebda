"""Nesting: the whole search inside each of some outer folds, its winner scored outside.

Owns the outer folds, what is recorded of them, and the rows of ``nested.csv``. The search inside is
the search's own; the estimate that comes of it belongs to ``hpsearch.ledger``.

Each outer fold has a journal of its own under the run's folder, ``nested/outer-0-of-5.sqlite``: the
inner search is recorded there and replayed from there as any other. Where it ended, the journal's
settings hold the outcome, so that it is not even replayed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hpsearch.data import Dataset
from hpsearch.errors import FoldError, HpsearchError, InputError
from hpsearch.folds import Fold, Splitter, choose_splitter, make_folds
from hpsearch.folds.plan import Split
from hpsearch.folds.splitters import Duplicates
from hpsearch.ledger import Nested, NestedFold, estimates
from hpsearch.results import RunFolder
from hpsearch.results.journal import Journal

Row = dict[str, Any]

SearchInside = Callable[[Fold, Journal], NestedFold]
"""Searches on an outer fold's training rows and scores the winner on its validation rows."""


@dataclass(frozen=True)
class Outcome:
    """What the nested search gave.

    Attributes
    ----------
    rows : of ``nested.csv``.
    nested : the estimate, None where an outer fold has no score.
    failures : why, a sentence for each such fold.
    """

    rows: tuple[Row, ...]
    nested: Nested | None
    failures: tuple[str, ...]


def outer_folds(
    dataset: Dataset,
    n_folds: int,
    *,
    split: Split,
    gap: int,
    seed: int,
    duplicates: Duplicates,
) -> tuple[Fold, ...]:
    """The outer folds, by the kind of splitter that the search itself uses.

    Raises
    ------
    InputError
        The rows do not allow them.
    """
    splitter: Splitter
    splitter, _ = choose_splitter(
        dataset,
        split="auto" if split == "holdout" else split,
        folds=n_folds,
        repeats=1,
        gap=gap,
        seed=seed,
        duplicates=duplicates,
    )
    try:
        return make_folds(splitter, dataset)
    except FoldError as error:
        raise FoldError(f"`--nested {n_folds}` cannot be dealt: {error}") from error


def cost(n_folds: int, n_replicas: int) -> str:
    """What nesting adds to a search, a sentence for people.

    Examples
    --------
    >>> cost(5, 240)
    'Nested: 5 more searches follow, one in each outer fold: 1,200 trainings beside the 240.'
    """
    return (
        f"Nested: {n_folds} more searches follow, one in each outer fold: "
        f"{n_folds * n_replicas:,} trainings beside the {n_replicas:,}."
    )


def run_nested(
    folds: Sequence[Fold],
    folder: RunFolder,
    record: Row,
    search_inside: SearchInside,
    said: Callable[[str], None],
) -> Outcome:
    """Search inside each outer fold, or read what is recorded of it.

    Parameters
    ----------
    folds : the outer folds; folder : the run's.
    record : what the run is asked (``resuming.record_of``): an outcome of other options does not
        count.
    search_inside : does the work of one fold, recording its trials in the journal that it gets.
    said : hears what is done.
    """
    rows: list[Row] = []
    found: list[NestedFold] = []
    for fold in folds:
        said(f"nested search {fold.fold + 1} of {len(folds)}")
        asked = {"options": record["options"], "outer": _outer(fold, len(folds))}
        with folder.nested_journal(fold.fold, len(folds), asked) as journal:
            try:
                done = _recorded(journal, asked) or _recording(
                    journal, asked, search_inside(fold, journal)
                )
            except InputError:
                raise
            except HpsearchError as error:
                if isinstance(error, OSError):  # the disk, not the search
                    raise
                rows.append(_failed(fold, error))
                continue
        found.append(done)
        rows.append(_row(done))
    failures = tuple(row["error"] for row in rows if row.get("error"))
    return Outcome(tuple(rows), None if failures else estimates.nested(found), failures)


def _outer(fold: Fold, n_folds: int) -> Row:
    digest = hashlib.sha256(fold.train.tobytes() + fold.validation.tobytes()).hexdigest()
    return {"fold": fold.fold, "of": n_folds, "rows": digest}


def _recorded(journal: Journal, asked: Row) -> NestedFold | None:
    """The outcome that a journal holds, if it is of what is asked."""
    was = journal.settings
    if was["outer"] != asked["outer"]:
        raise InputError(
            f"A nested search goes on with the outer folds that it began with; "
            f"{str(journal.path)!r} holds others. Remove the file, and it is searched again."
        )
    if was["options"] != asked["options"]:  # more trials or repeats: replayed, and more added
        journal.update(asked)
        return None
    return NestedFold(**was["outcome"]) if "outcome" in was else None


def _recording(journal: Journal, asked: Row, done: NestedFold) -> NestedFold:
    journal.update({**asked, "outcome": asdict(done)})
    return done


def _row(done: NestedFold) -> Row:
    values = {f"hp.{name}": value for name, value in done.hyperparameters.items()}
    row = {name: value for name, value in asdict(done).items() if name != "hyperparameters"}
    return {**row, **values}


def _failed(fold: Fold, error: Exception) -> Row:
    return {
        "fold": fold.fold,
        "n_train": len(fold.train),
        "n_test": len(fold.validation),
        "error": f"{error}",
    }
