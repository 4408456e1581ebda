"""The documents of a run, run.json, best.json and model.json: what stands in them.

Pure: plans and results go in, dictionaries come out. Writing them belongs to the run's folder,
what the journal keeps to ``resuming``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpsearch import options as rules
from hpsearch.data import Dataset
from hpsearch.data.fingerprint import fingerprint_of_weights
from hpsearch.decisions.decided import Decided
from hpsearch.decisions.ensembles import Ensemble
from hpsearch.export.bundle import BUNDLE_FORMAT, seen_ranges
from hpsearch.export.code import Code
from hpsearch.export.inputs import described_model
from hpsearch.export.refit import Refitted
from hpsearch.export.transformer import Kept
from hpsearch.ledger import Ledger
from hpsearch.metrics import score
from hpsearch.preprocessing import Layout
from hpsearch.scoring.session import Session
from hpsearch.scoring.trials import TrialResult
from hpsearch.search.command import command
from hpsearch.search.options import Options
from hpsearch.search.plan import SearchPlan, packages_of
from hpsearch.space.declarations import declarations
from hpsearch.space.space import Candidate
from hpsearch.versions import versions

Document = dict[str, Any]


def run_document(plan: SearchPlan, session: Session) -> Document:
    """What was asked, and under which conditions it ran: run.json.

    ``options`` are as they were asked, and ``command`` asks for the same again; what stands beside
    them is what became of them.
    """
    options, data = plan.options, plan.source
    asked = rules.recorded(options)
    return {
        **asked,
        "options": asked,
        "command": command(plan),
        "data": _data(data),
        "warnings": [*data.warnings, *session.warnings],
        "space": plan.space.name,
        "space_sha256": plan.space.sha256,
        "space_hyperparameters": declarations(session.declared),
        "space_modules": {module.words: module.sha256 for module in plan.space.source.modules},
        **_preprocess(plan, session),
        "own_metrics": {m.name: m.own.sha256 for m in plan.metrics if m.own is not None},
        "engine": session.choice.engine,
        "metric": plan.metrics[0],
        "direction": plan.direction,
        "metrics": list(plan.metrics),
        "repeats": plan.n_repeats,
        "max_repeats": plan.most_repeats if options.until_decided else None,
        "split_reason": plan.split_reason,
        "budget": None if plan.budget is None else plan.budget.to_json(),
        "test_rows": 0 if plan.test is None else plan.test.n_rows,
        "scale_target": session.scales_target,
        "worker_environment": dict(session.choice.kind.environment),
        "versions": versions(packages_of(options)),
    }


def _preprocess(plan: SearchPlan, session: Session) -> Document:
    """The transformer of one's own, and what it gives, where there is one."""
    own, prepared = plan.options.preprocess, session.prepared
    if own is None or prepared is None:
        return {}
    shape = list(prepared.shape)
    return {"preprocess": {"name": own.name, "sha256": own.sha256, "shape": shape}}


def _data(data: Dataset) -> Document:
    return {
        "name": data.name,
        "n_rows": data.n_rows,
        "n_columns": data.schema.n_features,
        "fingerprint": data.fingerprint,
        "task": data.target.kind,
        "target": list(data.target.names),
        **({"levels": list(data.target.levels)} if data.target.levels else {}),
        "groups": data.groups_name or None,
        **({} if data.weights is None else {"weights": data.weights_name or "given by row"}),
        **({} if data.score_weights is None else {"score_weights": fingerprint_of_weights(data)}),
        "time": data.time_name or None,
    }


def best_document(
    plan: SearchPlan,
    best: TrialResult,
    refitted: Refitted,
    n_steps: int,
    n_trials: int,
    ledger: Ledger,
) -> Document:
    """The selected trial, its scores and what they are worth: best.json."""
    names = ("trial", "score", "score_std", "score_se", "ci_low", "ci_high", "n_folds")
    return {
        **{name: best.row[name] for name in names},
        "best_epoch": best.row["best_epoch"],
        "metric": plan.metrics[0],
        "direction": plan.direction,
        "metrics": {name: best.row[f"metric.{name}"] for name in plan.metrics},
        **_weighing(plan.dataset),
        "hyperparameters": dict(best.candidate.values),
        "n_params": refitted.n_params,
        "n_trials": n_trials,
        "refit": {
            "n_rows": plan.dataset.n_rows,
            "n_steps": n_steps,
            "n_trainings": refitted.n_trainings,
        },
        "test": _test_scores(plan, refitted),
        **refitted.inspected,
        "selected_by": {"rule": ledger.choice.rule, "reason": ledger.choice.reason},
        "ledger": ledger.to_json(),
    }


def _weighing(data: Dataset) -> Document:
    """By which column rows weigh in all scores, where they do."""
    name = data.weights_name or "sample_weight"
    return {} if data.score_weights is None else {"scores_weigh_by": name}


def _test_scores(plan: SearchPlan, refitted: Refitted) -> dict[str, float] | None:
    if plan.test is None or refitted.predictions is None:
        return None
    kind, y, weights = plan.test.target.kind, plan.test.y, plan.test.score_weights
    return {
        name: float(score(name, y, refitted.predictions, kind=kind, weights=weights))
        for name in plan.metrics
    }


def manifest(
    plan: SearchPlan,
    best: TrialResult,
    refitted: Refitted,
    n_steps: int,
    backend: str,
    decided: Decided,
    decisions: Mapping[str, Any],
    kept: Kept | None = None,
) -> Document:
    """What the exported model of a run expects and gives: model.json.

    Parameters
    ----------
    backend : Keras's, on which it was trained and checked.
    decided : what was decided after the selection; decisions : what predicting needs of it.
    kept : the transformer of one's own, fitted on all rows.
    """
    document = manifest_of(
        plan.dataset, plan.options, best.candidate, refitted, n_steps, backend, decisions, kept
    )
    code = Code.of(plan.space.source, refitted.own)
    document |= {} if code is None else {"code": code.to_json()}
    reloaded = "a fresh process reloads it in safe mode and predicts the same bits"
    averaged = {} if decided.ensemble is None else {"ensemble": _averaged(decided.ensemble)}
    return {**document, **averaged, "checks": [*document["checks"], reloaded]}


def _averaged(ensemble: Ensemble) -> Document:
    """The networks whose mean the exported model is."""
    members = [
        {"trial": m.trial, "weight": m.weight, "networks": m.n_networks} for m in ensemble.members
    ]
    return {"kind": ensemble.kind, "members": members}


def manifest_of(
    dataset: Dataset,
    options: Options,
    candidate: Candidate,
    refitted: Refitted,
    n_steps: int,
    backend: str,
    decisions: Mapping[str, Any] | None = None,
    kept: Kept | None = None,
) -> Document:
    """What an exported model expects and gives; the parameters are as in ``manifest``."""
    schema, max_levels, max_words = dataset.schema, options.max_levels, options.max_words
    layout = Layout.of(schema, max_levels=max_levels, max_words=max_words)
    layout = layout if kept is None else layout.with_prepared(kept.shape)
    return {
        "format": BUNDLE_FORMAT,
        "backend": backend,
        "sha256": refitted.sha256,
        **described_model(schema, layout, refitted.word_slots, decisions),
        **({} if kept is None else {"preprocess": kept.to_json()}),
        "ranges": seen_ranges(dataset),
        "limits": {"max_levels": max_levels, "max_words": max_words},
        "lookups": list(refitted.lookups),
        "trial": candidate.trial,
        "hyperparameters": dict(candidate.values),
        "n_params": refitted.n_params,
        "trained_on": {"n_rows": dataset.n_rows, "n_steps": n_steps},
        "checks": ["the exported graph predicts what the trained network predicts"],
    }
