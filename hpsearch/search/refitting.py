"""Models of trials that were not selected: trained on all rows as the selected one was.

Owns finding what such a training needs in a finished run. Training and writing the model belongs to
``hpsearch.export``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hpsearch import words
from hpsearch.data import Dataset
from hpsearch.export.bundle import load_keras_file
from hpsearch.export.code import Code
from hpsearch.export.members import OnAllRows
from hpsearch.export.misses import Usual
from hpsearch.export.refit import refit_and_export, refit_steps
from hpsearch.results import Run
from hpsearch.scoring.session import Session
from hpsearch.search.options import Options
from hpsearch.search.plan import plan_search
from hpsearch.search.usual_budget import settings_of
from hpsearch.space.configurations import configured
from hpsearch.space.space import Candidate


def models_of_trials(
    options: Options, dataset: Dataset, run: Run, trials: Sequence[int]
) -> Iterator[Any]:
    """The exported model of each of some scored trials, from its values and its best epoch.

    Parameters
    ----------
    options, dataset : what the run was asked, and its rows.
    trials : their numbers.

    Raises
    ------
    HpsearchError
        A training fails on all rows.
    """
    plan, table = plan_search(options, dataset), run.trials.set_index("trial")
    with Session(plan.for_the_session(run.settings["engine"]), plan.dataset, plan.folds) as session:
        declared = session.prepare()
        for trial in trials:
            row: dict[str, Any] = {str(n): value for n, value in table.loc[trial].items()}
            values = configured(declared, words.hyperparameters(row)).values
            settings = settings_of(plan.options, values)
            n_steps = refit_steps(
                session.data,
                batch_size=settings.batch_size,
                best_epoch=int(row["best_epoch"]),
            )
            path = session.scratch / f"trial-{trial}.keras"
            check = path.with_suffix(".npz")
            own = run.folds[run.folds["trial"] == trial]
            usual = Usual.of(own.to_dict("records"), plan.metrics[0])
            refitted, _ = session.crew.begin_refit(
                refit_and_export,
                session.job,
                [OnAllRows(Candidate(trial, values), n_steps, usual=usual)],
                plan.dataset.schema,
                str(path),
                str(check),
                None,
            ).result()
            code = Code.of(plan.space.source, refitted.own)
            yield load_keras_file(Path(path), *(() if code is None else (code.source,)))
