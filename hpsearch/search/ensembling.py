"""The ensemble of a search: its members, and what hears how much they are worth.

Owns what ``--ensemble`` asks for: its rules, which networks are members, how each is made, and the
ledger's record. Choosing and estimating belong to ``hpsearch.decisions.ensembles``, averaging in
one file to ``hpsearch.export``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from hpsearch.decisions.ensembles import (
    Ensemble,
    EnsembleMember,
    Library,
    Repeats,
    Samples,
    affordable,
    n_seeds,
)
from hpsearch.decisions.out_of_fold import OutOfFold
from hpsearch.engines import engine_kind
from hpsearch.engines.contract import Job
from hpsearch.engines.failures import UntraceableError
from hpsearch.errors import BundleError, OptionError
from hpsearch.export.members import Member, OnAllRows, Part, TrainOnAllRows
from hpsearch.export.misses import Usual
from hpsearch.ledger import BiasCorrection
from hpsearch.ledger.predictions import Arranged
from hpsearch.metrics import metric_named
from hpsearch.results.journal import Recorder
from hpsearch.scoring.fold_networks import FoldModel, FoldNetwork
from hpsearch.scoring.session import Session
from hpsearch.scoring.trials import TrialResult
from hpsearch.search.bookkeeping import Books, Listener
from hpsearch.search.loop import steps_of_refit
from hpsearch.search.plan import SearchPlan
from hpsearch.space.space import Candidate
from hpsearch.stats.bootstrap import Heard

MOST_NETWORKS: Final = 100
MOST_BYTES: Final = 2 * 2**30
"""Of the parameters of all networks in one file."""


def check_ensemble(plan: SearchPlan) -> None:
    """Raise ``OptionError`` where trials, rows or folds don't allow the ensemble asked for.

    Where time is limited, those trials count that were asked for, not those that it left.
    """
    options, dataset = plan.options, plan.dataset
    if isinstance(options.ensemble, int):
        asked = options.trials if plan.budget is None else plan.budget.trials
        if options.ensemble > asked:
            raise OptionError(
                f"An ensemble is chosen from the trials of the search, and there are {asked}; "
                f"received --ensemble {options.ensemble}. Raise --trials, or lower it."
            )
        return
    if plan.n_exported > MOST_NETWORKS:
        raise OptionError(
            f"An exported model averages at most {MOST_NETWORKS} networks; `--ensemble "
            f"{options.ensemble}` asks for {plan.n_exported}. Lower --repeats, or leave it out."
        )
    if options.ensemble != "folds":
        return
    if plan.n_exported == 1:
        raise OptionError(
            "`--ensemble folds` averages the networks of several folds, and there is one fold. "
            "Take seeds, or a number of trials; or raise --folds or --repeats."
        )
    if plan.options.preprocess is not None:
        raise OptionError(
            "`--ensemble folds` puts the networks of all folds into one file, behind one "
            "preprocessing; a transformer of one's own is another one in each fold. Take seeds, or "
            "a number of trials."
        )
    if plan.dataset.time is not None:
        raise OptionError(
            "`--ensemble folds` averages the networks of all folds, and in time order those of "
            "early folds know little of what came later. Take seeds, or a number of trials."
        )
    if texts := [column.name for column in dataset.schema.bags]:
        raise OptionError(
            "`--ensemble folds` needs networks that know the same words; those of different folds "
            f"know different ones of the column {texts[0]!r}. Take seeds, or a number of "
            "trials."
        )


def check_size(plan: SearchPlan, session: Session) -> None:
    """Raise ``OptionError`` where even default networks would make too large a file."""
    asked = plan.options.ensemble
    if asked is None:
        return
    n_networks = 2 if isinstance(asked, int) else plan.n_exported  # of trials, two at least
    n_params = session.probe.n_params or 0
    if 4 * n_params * n_networks > MOST_BYTES:
        raise OptionError(_too_large(n_params * n_networks, "a smaller space"))


def _too_large(n_params: int, remedy: str) -> str:
    return (
        f"An ensemble's networks go into one file of at most {MOST_BYTES / 2**30:.0f} GB; these "
        f"have {n_params:,} parameters, {4 * n_params / 2**30:.1f} GB. Take fewer networks or "
        f"{remedy}."
    )


@dataclass(frozen=True, eq=False)
class OfFold:
    """A network of one fold, trained again up to the best epoch.

    Attributes
    ----------
    candidate : its configuration; weight : its share of the mean.
    fold : its weights, and the fold whose statistics are its own.
    """

    candidate: Candidate
    fold: FoldNetwork
    weight: float

    def made(self, train: TrainOnAllRows, job: Job) -> Part:
        """The network, in a process with the Keras backend that it was trained with.

        Raises
        ------
        UntraceableError
            This process has another one; those of the other engine have it.
        """
        import keras

        if engine_kind(self.fold.trained.engine).keras_backend != keras.backend.backend():
            raise UntraceableError("its folds were trained by the other engine")
        model = FoldModel.of(job, self.candidate, self.fold)
        return Part(model.network, model.form, model.statistics, self.weight)


class Ensembling:
    """What a search that has selected a trial exports, by ``--ensemble``.

    Parameters
    ----------
    plan, session, books : of the search.
    best : the selected trial; journal : where the trials are recorded.
    """

    def __init__(
        self,
        plan: SearchPlan,
        session: Session,
        books: Books,
        best: TrialResult,
        journal: Recorder,
    ) -> None:
        self._plan, self._session, self._books = plan, session, books
        self._best, self._journal = best, journal
        self._asked = plan.options.ensemble
        self._heard: tuple[Samples, int, int] | None = None
        self._notes: list[str] = []

    @property
    def target_powers(self) -> NDArray[np.float64]:
        """Of the target's transform, as the network of all rows learns it."""
        return self._session.data.refit_statistics.target_power

    @cached_property
    def members(self) -> Sequence[Member]:
        """The networks whose mean is exported, those of the selected trial first.

        Raises
        ------
        BundleError
            Together they make too large a file.
        """
        if self._asked is None:
            return [self._on_all_rows(self._best)]
        n_params = sum(
            int(t.row["n_params"] or 0) * member.n_networks
            for t, member in zip(self._trials, self._members, strict=True)
        )
        if 4 * n_params > MOST_BYTES:
            remedy = "none: everything else is recorded, resume the run with --ensemble none"
            raise BundleError(_too_large(n_params, remedy))
        if self._asked == "folds":
            networks = self._session.networks_of_folds(self._best, self._journal)
            share = 1.0 / len(networks.folds)
            return [OfFold(networks.candidate, fold, share) for fold in networks.folds]
        return [
            replace(self._on_all_rows(t), number=number, weight=member.weight / member.n_networks)
            for t, member in zip(self._trials, self._members, strict=True)
            for number in range(member.n_networks)
        ]

    def out_of_fold(self) -> OutOfFold:
        """What is exported, as it predicts rows that none of its networks was trained on."""
        trials, arranged = self._library if isinstance(self._asked, int) else ([], None)
        best = [self._best.candidate.trial]
        if arranged is not None and [t.candidate.trial for t in self._trials] != best:
            places = [trials.index(trial) for trial in self._trials]
            shares = [share for _, share in self._weighted]
            mean = np.average(arranged.predictions[places, 0], axis=0, weights=shares)
            return self._books.out_of_fold_of(arranged, mean.astype(arranged.predictions.dtype))
        alone = self._books.out_of_fold()
        if self._asked not in ("folds", "seeds"):
            return alone
        mean = alone.predictions.mean(axis=0, keepdims=True)
        return replace(alone, predictions=mean, fold=alone.fold[:1])

    def listeners(self, others: Sequence[Listener]) -> list[Listener]:
        """What decides the ensemble again in each sample of the bias correction.

        Parameters
        ----------
        others : of the decisions that come after; they hear of the ensembles' predictions.
        """
        if self._asked is None:
            return [*others]

        def listener(arranged: Arranged) -> Heard:
            samples = self._samples(arranged)
            n_epochs, n_repeats = arranged.predictions.shape[1:3]
            winner = arranged.trials.index(self._best.candidate.trial) * n_epochs
            self._heard = samples, winner, n_repeats
            if others:
                of_means = replace(
                    arranged,
                    y_true=arranged.y_true[samples.places],
                    blocks=arranged.blocks[samples.places],
                    rows=arranged.rows[samples.places],
                    fold=arranged.fold[: samples.means.shape[1], samples.places],
                    predictions=samples.means[np.newaxis],
                    epochs=arranged.epochs[:1, :1],
                    trials=arranged.trials[:1],
                )
                samples.others = [other(of_means) for other in others]
            return samples

        return [listener]

    def _samples(self, arranged: Arranged) -> Samples:
        """What hears of the samples, of all rows or of as many as there is time for."""
        rows, predictions = self._books.scored_rows(arranged), arranged.predictions
        n_trials, n_rows = len(predictions), rows.n_rows
        if not isinstance(self._asked, int):
            candidates = predictions.reshape(-1, *predictions.shape[2:])
            return Samples(rows, candidates, Repeats(candidates))
        size, cells = min(self._asked, n_trials), predictions[0, 0].size // n_rows
        cost = metric_named(self._books.metrics[0]).cost
        most, n_places = affordable(size, n_rows, cells, cost)
        places = _some_blocks(rows.block_of_row, n_places, self._books.seed)
        if len(places) < n_rows:
            rows = self._books.scored_rows(arranged, places)
            predictions = np.ascontiguousarray(predictions[:, :, :, places])
            self._notes.append(
                f"{len(places):,} of the {n_rows:,} rows, drawn at random, tell what averaging "
                "brings: choosing again in each sample takes its time."
            )
        library = Library(rows, predictions, self._books.direction, size)
        return Samples(rows, library.candidates, library, most, places)

    def record(self, corrected: BiasCorrection) -> Ensemble | None:
        """What the ledger says of it, but for the size of the file.

        Parameters
        ----------
        corrected : the selected trial's own estimate, whose samples were heard.
        """
        if self._asked is None:
            return None
        kind: Literal["folds", "seeds", "trials"] = "trials"
        if self._asked in ("folds", "seeds"):
            kind = "folds" if self._asked == "folds" else "seeds"
        head = Ensemble(
            kind,
            tuple(self._members),
            n_networks=sum(member.n_networks for member in self._members),
            single_n_params=int(self._best.row["n_params"] or 0),
            notes=tuple(self._notes_of_members()),
        )
        if self._heard is None or corrected.value is None:
            return replace(head, missing=corrected.missing)
        samples, winner, n_repeats = self._heard
        if kind == "trials":
            n_averaged = head.n_networks
        elif n_repeats == 1:
            return replace(head, missing=self._unmeasured)
        else:
            n_averaged = n_repeats
        notes = [*head.notes, *self._notes]
        if n_averaged < head.n_networks:
            notes.append(
                f"The estimate is of the mean of {n_averaged} networks, as many as predicted each "
                f"row without having seen it; the file has {head.n_networks}."
            )
        found = samples.gain(winner).estimate(corrected.value, self._books.direction)
        return replace(head, n_averaged=n_averaged, notes=tuple(notes), **found)

    @property
    def _unmeasured(self) -> str:
        remedy = "Take --folds 2 or more." if self._plan.options.holds_out else "Raise --repeats."
        return (
            "Nothing measures what averaging brings: one network predicted each row without "
            f"having seen it, so that the promise is the single network's. {remedy}"
        )

    # -- members

    @property
    def _trials(self) -> list[TrialResult]:
        return [trial for trial, _ in self._weighted]

    @cached_property
    def _members(self) -> list[EnsembleMember]:
        n_networks = 1
        if self._asked == "folds":
            n_networks = len(self._best.folds)
        elif self._asked == "seeds":
            n_networks = n_seeds(len({row["repeat"] for row in self._best.folds}))
        return [
            EnsembleMember(trial.candidate.trial, int(trial.row["best_epoch"]), share, n_networks)
            for trial, share in self._weighted
        ]

    @cached_property
    def _weighted(self) -> list[tuple[TrialResult, float]]:
        """The trials with their shares, the selected one first, where it is one of them."""
        if not isinstance(self._asked, int):
            return [(self._best, 1.0)]
        trials, arranged = self._library
        if arranged is None:
            return [(self._best, 1.0)]
        rows = self._books.scored_rows(arranged)
        library = Library(rows, arranged.predictions, self._books.direction, len(trials))
        members, times = library.chosen(np.ones((1, rows.n_rows), dtype=np.int64))
        found = [
            (trials[number], float(n / times[0].sum()))
            for number, n in zip(members[0], times[0], strict=True)
            if n
        ]
        best = self._best.candidate.trial
        found.sort(key=lambda each: (each[0].candidate.trial != best, -each[1]))
        return found or [(self._best, 1.0)]

    @cached_property
    def _library(self) -> tuple[list[TrialResult], Arranged | None]:
        def restore(trial: TrialResult) -> TrialResult:
            return self._session.restore_predictions(trial, self._journal)

        assert isinstance(self._asked, int)
        return self._books.library(self._journal, restore, self._asked)

    def _on_all_rows(self, trial: TrialResult) -> OnAllRows:
        n_steps = steps_of_refit(self._plan, self._session, trial)
        usual = Usual.of(trial.folds, self._books.metrics[0])
        return OnAllRows(trial.candidate, n_steps, usual=usual)

    def _notes_of_members(self) -> list[str]:
        if not isinstance(self._asked, int):
            return []
        notes, n_trials = [], len(self._library[0])
        if n_trials < self._asked:
            scored = "1 trial was" if n_trials == 1 else f"{n_trials} trials were"
            notes.append(
                f"{scored} scored to the end, so that no more than that can be averaged; received "
                f"--ensemble {self._asked}."
            )
        if len(self._weighted) == 1:
            notes.append("No average of trials scores better than one of them, which is exported.")
            best = self._best.candidate.trial
            if self._trials[0].candidate.trial != best:
                notes.append(
                    "On all rows at once, by which members are chosen, it scores better than the "
                    f"selected trial {best}."
                )
        return notes


def _some_blocks(block_of_row: NDArray[np.int64], n_rows: int, seed: int) -> NDArray[np.int64]:
    """Positions of about so many rows, whole blocks drawn at random; all where these are so few."""
    if n_rows >= len(block_of_row):
        return np.arange(len(block_of_row))
    sizes = np.bincount(block_of_row)
    order = np.random.default_rng(seed).permutation(len(sizes))
    taken = order[: max(1, int(np.searchsorted(np.cumsum(sizes[order]), n_rows)))]
    return np.flatnonzero(np.isin(block_of_row, taken))
