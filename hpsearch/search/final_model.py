"""The final model: what is exported trains beside the books, is reloaded, and is kept.

Owns the parent's half of it, and which files of a run it leaves. The worker's half belongs to
``hpsearch.export.refit``.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from hpsearch.engines.kind import EngineKind
from hpsearch.engines.workers import Begun
from hpsearch.errors import HpsearchError
from hpsearch.export.code import Code
from hpsearch.export.refit import NOTHING, Refitted, check_reload, refit_and_export
from hpsearch.results import RunFolder
from hpsearch.results.tables import predicting_table
from hpsearch.scoring.observer import Observer
from hpsearch.scoring.session import Session
from hpsearch.scoring.trials import TrialResult
from hpsearch.search.deciding import Deciding
from hpsearch.search.loop import steps_of_refit
from hpsearch.search.plan import SearchPlan


class FinalModel:
    """What is exported trains, from the first, while the books are kept.

    Attributes
    ----------
    n_steps : its optimizer steps.
    transformer : one of one's own, fitted on all rows, or None.
    """

    def __init__(
        self,
        plan: SearchPlan,
        session: Session,
        best: TrialResult,
        deciding: Deciding,
    ) -> None:
        members = deciding.ensembling.members
        self.n_steps, self._n_networks = steps_of_refit(plan, session, best), len(members)
        # The first network is looked at, and what diagnoses are about is the selected trial's.
        self._is_of_best = members[0].candidate.trial == best.candidate.trial
        self._crew, self._source = session.crew, plan.space.source
        self.transformer = None if session.prepared is None else session.prepared.kept
        self._model = session.scratch / "model.keras"
        self._sample = session.scratch / "check.npz"
        self._fresh = self._crew.fresh(self._crew.choice.kind)
        self._check: Begun[None] | None = None
        self._refitted = self._crew.begin_refit(
            refit_and_export,
            session.job,
            members,
            plan.dataset.schema,
            str(self._model),
            str(self._sample),
            None if plan.test is None else session.encoded_rows(plan.test, "the test rows"),
            deciding.for_predicting,
            n_networks=len(members),
        )

    def go_on(self) -> None:
        """Have the exported file reloaded, once it is there; what went wrong is told at the end."""
        if self._check is None and self._refitted.is_over():
            with suppress(HpsearchError):
                self._begin_check()

    def finish(self, folder: RunFolder, observer: Observer) -> tuple[Refitted, EngineKind]:
        """Wait for the exported file and its check, and keep it; which engine made it."""
        observer.stage("refit" if self._n_networks == 1 else "refit of several")
        check = self._check or self._begin_check()
        observer.stage("reload check")
        check.result()
        folder.write_file("model.keras", self._model.read_bytes())
        code, own = Code.of(self._source, self._result[0].own), self.transformer
        for name, text in ({} if code is None else code.files).items():
            folder.write_file(name, text.encode("utf-8"))
        if own is not None:
            folder.write_file(own.file, own.content)
        if (n := self._result[0].n_trainings) > 1:
            who = "The final model" if self._n_networks == 1 else "A network of the final model"
            observer.note(
                f"{who} was trained {n} times: on its own training rows the first training ended "
                "far behind those of the folds."
            )
        if timed := self._result[0].predicting:
            folder.write_tables(predicting=predicting_table(timed))
        return self._result

    def _begin_check(self) -> Begun[None]:
        refitted, kind = self._refitted.result()
        if not self._is_of_best:
            refitted = replace(refitted, inspected=NOTHING)
        self._result = refitted, kind
        fresh = self._fresh if kind == self._crew.choice.kind else self._crew.fresh(kind)
        code = Code.of(self._source, refitted.own)
        files = str(self._model), str(self._sample)
        own = None if code is None else code.source, self.transformer
        self._check = fresh.begin(check_reload, *files, *own)
        return self._check
