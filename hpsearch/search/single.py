"""One configuration, trained on all rows for as long as it is asked, and exported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpsearch.data import Dataset
from hpsearch.engines import importing
from hpsearch.export.code import Code
from hpsearch.export.members import OnAllRows
from hpsearch.export.refit import refit_and_export
from hpsearch.export.transformer import Kept
from hpsearch.folds import Fold
from hpsearch.metrics import resolve_metric
from hpsearch.preprocessing.weights import check_class_weight
from hpsearch.scoring.session import Session
from hpsearch.search.documents import manifest_of
from hpsearch.search.options import Options
from hpsearch.search.plan import session_plan
from hpsearch.search.scored import loaded
from hpsearch.search.usual_budget import settings_of, with_budget
from hpsearch.space.hyperparameters import active_values
from hpsearch.space.space import Candidate, Space


@dataclass(frozen=True, eq=False)
class Trained:
    """An exported model.

    Attributes
    ----------
    content : the bytes of ``model.keras``; manifest : what it expects and gives.
    code : what of the space's code it needs, or None.
    transformer : one of one's own, fitted on all rows, or None.
    """

    content: bytes
    manifest: Mapping[str, Any]
    code: Code | None = None
    transformer: Kept | None = None


def train(space: Space, dataset: Dataset, options: Options) -> Trained:
    """Train a space's default configuration, but for what ``options.fix`` holds, and export it.

    It is trained on all rows for ``options.epochs`` epochs; no row is held back, and nothing is
    scored.

    Raises
    ------
    InputError
        The network doesn't fit the rows, or can't be saved; nothing was trained then.
    BundleError
        The training failed or diverged, or the exported model predicts something else.
    """
    check_class_weight(options.class_weight, dataset.target)
    options = with_budget(loaded(options), dataset.n_rows)
    plan = session_plan(options, space, resolve_metric(dataset.target.kind, None, ()))
    every_row = np.arange(dataset.n_rows)
    # No fold: a session has the statistics of some, and counts a schedule's steps by them.
    all_rows = (Fold(0, 0, every_row, every_row),)
    with importing(options.engine), Session(plan, dataset, all_rows) as session:
        declared = session.prepare()
        candidate = Candidate(0, active_values(declared, declared.values))
        settings = settings_of(options, candidate.values)
        n_steps = settings.epochs * -(-dataset.n_rows // settings.batch_size)
        model = session.scratch / "model.keras"
        refitted, kind = session.crew.begin_refit(
            refit_and_export,
            session.job,
            [OnAllRows(candidate, n_steps)],
            dataset.schema,
            str(model),
            str(session.scratch / "check.npz"),
            None,
        ).result()
        content = model.read_bytes()
        kept = None if session.prepared is None else session.prepared.kept
    made = dataset, options, candidate, refitted, n_steps, kind.keras_backend
    manifest = manifest_of(*made, kept=kept)
    return Trained(content, manifest, Code.of(space.source, refitted.own), kept)
