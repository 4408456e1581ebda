"""MLflow: a run of its own for the search, below it one for each trial, through MLflow's client.

Where to, and into which experiment, is MLflow's own matter: MLFLOW_TRACKING_URI or
``mlflow.set_tracking_uri``, and MLFLOW_EXPERIMENT_NAME or ``mlflow.set_experiment``; an experiment
is named after the table by default. The run's folder keeps MLflow's number of the run
(``logs.json``), so that a search that goes on does so in the same one.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from hpsearch.logs._records import TrialRecord, plain
from hpsearch.logs.base import LogKind, RunLog, Say
from hpsearch.results import layout
from hpsearch.results.files import read_json, to_json_text, write_atomically
from hpsearch.versions import VERSION
from hpsearch.words import is_missing

if TYPE_CHECKING:
    from hpsearch.results import Run

_PARENT: Final = "mlflow.parentRunId"
_TRIAL: Final = "hpsearch.trial"
_DIGEST: Final = "hpsearch.sha256"
"""Of a trial's record; set last, so that what a kill left half done has none."""

_GROWS: Final = (
    *("trials", "repeats", "max_repeats", "minutes", "trial_timeout", "log"),
    *("importance", "calibrate", "threshold", "ensemble"),
)
"""Options that may be others when a run goes on, and MLflow's parameters never change."""

_TABLES: Final = (*layout.TABLES, *layout.TABLES_ASKED_FOR)
_DOCUMENTS: Final = (layout.SETTINGS, layout.BEST, layout.MANIFEST, *layout.TEXTS)
_OF_THE_MODEL: Final = (layout.SETTINGS, layout.BEST, layout.MANIFEST, layout.MODEL)

_MOST_METRICS: Final = 1000
_MOST_PARAMS: Final = 100
_LONGEST_PARAM: Final = 6000
_LONGEST_DIGEST: Final = 36

_PATIENCE: Final = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""MLflow's own are minutes, in which a server that is gone would hold the search up."""

_NO_TELEMETRY: Final = {"MLFLOW_DISABLE_TELEMETRY": "true"}


@dataclass(frozen=True)
class _Child:
    """MLflow's run of one trial."""

    run_id: str
    digest: str
    rank: str


class MlflowLog(RunLog):
    """Keeps a search in MLflow."""

    name = "MLflow"

    def __init__(self, say: Say) -> None:
        self._say = say
        self._run_id = ""
        self._experiment = ""
        self._children: dict[int, _Child] = {}
        self._has_ended = False

    def __enter__(self) -> Self:
        for name, value in {**_PATIENCE, **_NO_TELEMETRY}.items():
            os.environ.setdefault(name, value)
        with _hushed():
            from mlflow import MlflowClient
        with _hushed():  # once more: on being imported, MLflow says how loud it is
            self._client: Any = MlflowClient()
            self._client.search_experiments(max_results=1)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._run_id and not self._has_ended:
            status = "FAILED" if isinstance(error, Exception) else "KILLED"
            with _hushed():
                self._client.set_terminated(self._run_id, status)

    def run_started(self, path: Path, settings: Mapping[str, Any]) -> None:
        """Begin MLflow's run, or go on with it."""
        with _hushed():
            known = self._known(path)
            if known is None:
                self._begin(path, settings)
            else:
                self._run_id, self._experiment = known.info.run_id, known.info.experiment_id
                self._client.update_run(self._run_id, status="RUNNING")
            for name in ("trials", "repeats"):
                self._client.set_tag(self._run_id, f"hpsearch.{name}", str(settings.get(name)))
            self._children = dict(self._found())
            experiment = self._client.get_experiment(self._experiment).name
            uri = self._client.tracking_uri
        self._say(
            f"MLflow: run {self._run_id} of the experiment {experiment!r} at {uri}"
            f"{'' if known is None else ', which goes on'}."
        )

    def keep(self, record: TrialRecord) -> None:
        """Keep a trial as a run below the search's."""
        from mlflow.entities import Metric, Param

        before = self._children.get(record.trial)
        if before is not None and before.digest == record.digest:
            return
        now = time.time()
        stamp = int(1000 * now)
        metrics = [Metric(_safe(n), float(v), stamp, step) for n, v, step in _metrics_of(record)]
        params = [Param(_safe(n), _cell(v)) for n, v in record.hyperparameters.items()]
        with _hushed():
            made = self._client.create_run(
                self._experiment,
                start_time=int(1000 * (now - record.seconds)),
                run_name=f"trial {record.trial}",
                tags={
                    _PARENT: self._run_id,
                    _TRIAL: str(record.trial),
                    "hpsearch.status": record.status,
                    **({"hpsearch.error": record.error} if record.error else {}),
                },
            )
            run_id = made.info.run_id
            for first in range(0, len(metrics), _MOST_METRICS):
                self._client.log_batch(run_id, metrics=metrics[first : first + _MOST_METRICS])
            for first in range(0, len(params), _MOST_PARAMS):
                self._client.log_batch(run_id, params=params[first : first + _MOST_PARAMS])
            self._client.set_tag(run_id, _DIGEST, record.digest)
            self._client.set_terminated(
                run_id, "FAILED" if record.status == "failed" else "FINISHED"
            )
            if before is not None:
                self._client.delete_run(before.run_id)
            if "score" in record.scores:
                self._client.log_metric(
                    self._run_id, "trial_score", record.scores["score"], stamp, record.trial
                )
        self._children[record.trial] = _Child(run_id, record.digest, "")

    def finish(self, run: Run, records: list[TrialRecord]) -> None:
        """Ranks, the selected trial's scores, tables, documents, report and model."""
        with _hushed():
            self._rank(records)
            self._keep_scores(run)
            for folder, names in (("tables", _TABLES), ("", _DOCUMENTS)):
                for path in (run.path / name for name in names):
                    if path.is_file():
                        self._client.log_artifact(self._run_id, str(path), folder or None)
            self._keep_model(run)
            self._client.set_terminated(self._run_id, "FINISHED")
        self._has_ended = True

    def _known(self, path: Path) -> Any:
        """MLflow's run that the folder names, where it is there."""
        from mlflow.exceptions import MlflowException

        try:
            run_id = str(read_json(path / layout.LOGGED)["mlflow"]["run_id"])
            found = self._client.get_run(run_id)
        except (OSError, ValueError, LookupError, TypeError, MlflowException):
            return None
        return found if found.info.lifecycle_stage == "active" else None

    def _begin(self, path: Path, settings: Mapping[str, Any]) -> None:
        import mlflow
        from mlflow.entities import Dataset, DatasetInput, Param

        data = settings.get("data") or {}
        self._experiment = self._experiment_named(str(data.get("name") or "hpsearch"))
        above = mlflow.active_run()
        whole = path.resolve()
        name = whole.parent.name if whole.name == layout.NEXT else whole.name
        run = self._client.create_run(
            self._experiment,
            run_name=name,
            tags={} if above is None else {_PARENT: above.info.run_id},
        )
        self._run_id = run.info.run_id
        kept = {"run_id": self._run_id, "tracking_uri": self._client.tracking_uri}
        text = to_json_text({"mlflow": kept})
        write_atomically(path / layout.LOGGED, text.encode("utf-8"))
        asked = {n: v for n, v in (settings.get("options") or {}).items() if n not in _GROWS}
        asked |= {f"data.{n}": v for n, v in data.items()}
        asked |= {n: settings.get(n) for n in ("space", "engine", "direction", "metric")}
        params = [Param(_safe(n), _cell(v)) for n, v in sorted(asked.items()) if not is_missing(v)]
        self._client.log_batch(self._run_id, params=params[:_MOST_PARAMS])
        read = {"name": data.get("name"), "fingerprint": data.get("fingerprint")}
        table = Dataset(
            name=str(data.get("name")),
            digest=str(data.get("fingerprint"))[:_LONGEST_DIGEST],
            source_type="hpsearch",
            source=json.dumps(read),
        )
        self._client.log_inputs(self._run_id, [DatasetInput(table)])

    def _experiment_named(self, default: str) -> str:
        chosen = os.environ.get("MLFLOW_EXPERIMENT_ID")
        if chosen:
            return chosen
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or default
        found = self._client.get_experiment_by_name(name)
        return str(self._client.create_experiment(name) if found is None else found.experiment_id)

    def _found(self) -> Iterator[tuple[int, _Child]]:
        """The trials that MLflow has of this run."""
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment], f"tags.`{_PARENT}` = '{self._run_id}'", page_token=token
            )
            for run in page:
                tags = run.data.tags
                if _TRIAL in tags:
                    child = _Child(
                        run.info.run_id, tags.get(_DIGEST, ""), tags.get("hpsearch.rank", "")
                    )
                    yield int(tags[_TRIAL]), child
            token = page.token
            if not token:
                return

    def _rank(self, records: list[TrialRecord]) -> None:
        """Say of each trial which place it has; take away what the tables no longer hold."""
        for record in records:
            child = self._children[record.trial]
            rank = "" if record.rank is None else str(record.rank)
            if rank != child.rank:
                self._client.set_tag(child.run_id, "hpsearch.rank", rank)
        for trial in self._children.keys() - {record.trial for record in records}:
            self._client.delete_run(self._children.pop(trial).run_id)

    def _keep_scores(self, run: Run) -> None:
        from mlflow.entities import Metric, RunTag

        best, ledger = run.best, run.ledger
        scores = {n: best.get(n) for n in ("score", "score_std", "score_se", "ci_low", "ci_high")}
        scores |= {f"metric.{n}": v for n, v in (best.get("metrics") or {}).items()}
        scores |= {f"test.{n}": v for n, v in (best.get("test") or {}).items()}
        scores |= {n: best.get(n) for n in ("best_epoch", "n_folds", "n_params", "n_trials")}
        if ledger is not None:
            promise = ledger.promise
            ends = (promise.value, promise.low, promise.high)
            scores |= dict(zip(("expected", "expected_low", "expected_high"), ends, strict=True))
        stamp, step = int(1000 * time.time()), int(best.get("n_trials") or 0)
        metrics = [
            Metric(_safe(n), float(v), stamp, step)
            for n, v in scores.items()
            if v is not None and not is_missing(v)
        ]
        tags = {f"best.{n}": _cell(v) for n, v in (best.get("hyperparameters") or {}).items()}
        tags |= {"hpsearch.selected_trial": str(best.get("trial"))}
        self._client.log_batch(
            self._run_id, metrics=metrics, tags=[RunTag(_safe(n), v) for n, v in tags.items()]
        )

    def _keep_model(self, run: Run) -> None:
        """The model with its signature, unless it is the one that is there."""
        digest = str(run.manifest.get("sha256"))
        tag = "hpsearch.model_sha256"
        there = self._client.get_run(self._run_id).data.tags.get(tag)
        if there == digest or not run.model_path.is_file():
            return
        import mlflow.pyfunc
        from mlflow.models import Model

        from hpsearch.logs._mlflow_model import signature_of

        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "run"
            data.mkdir()
            own = run.manifest.get("preprocess") or {}
            needed = {"hpsearch": VERSION, **own.get("versions", {})}
            for name in (*_OF_THE_MODEL, *([own["file"]] if own else [])):
                shutil.copyfile(run.path / name, data / name)
            if "code" in run.manifest:
                shutil.copytree(run.path / layout.CODE, data / layout.CODE)
            Model.log(
                artifact_path=None,
                name="model",
                flavor=mlflow.pyfunc,
                run_id=self._run_id,
                loader_module="hpsearch.logs._mlflow_model",
                data_path=str(data),
                signature=signature_of(run),
                pip_requirements=[f"{name}=={number}" for name, number in needed.items()],
            )
        self._client.set_tag(self._run_id, tag, digest)


def _metrics_of(record: TrialRecord) -> Iterator[tuple[str, float, int]]:
    """Name, value and step: curves by epoch, folds by their place in the table, from 0."""
    for name, value in record.scores.items():
        yield name, value, 0
    for row in record.curves:
        for name, value in row.items():
            if name not in ("epoch", "n_folds"):
                yield name, value, int(row["epoch"])
    for place, row in enumerate(record.folds):
        for name, value in row.items():
            if name.startswith(("val_", "train_")):
                yield f"folds/{name}", value, place


def _safe(name: str) -> str:
    """A name as MLflow takes it."""
    return re.sub(r"[^\w./: -]", "_", name)[:250] or "_"


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple | dict):
        return json.dumps(value)[:_LONGEST_PARAM]
    return str(plain(value))[:_LONGEST_PARAM]


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep what MLflow and its libraries say to developers off the display."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    before = [logger.level for logger in loggers]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


LOG: Final = LogKind(packages=("mlflow", "sqlalchemy", "alembic"), make=MlflowLog)
