"""``KFoldTuner``: a keras-tuner script with one line changed, scored by iterated K-fold.

Owns the tuner's methods, as keras-tuner names them. Each is a few calls: a search is a ``Search``,
its project a run's folder.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from hpsearch import words
from hpsearch.data import Dataset
from hpsearch.data.options import TABLE_OPTIONS
from hpsearch.errors import InputError, OptionError, OptionWarning
from hpsearch.export.prediction import load_model
from hpsearch.options import Option, taking
from hpsearch.results import Run, open_run
from hpsearch.results.layout import is_run
from hpsearch.search.execution import Search, resume
from hpsearch.search.options import OPTIONS, default
from hpsearch.search.refitting import models_of_trials
from hpsearch.search.usual_budget import usual_epochs
from hpsearch.space.configurations import configured
from hpsearch.task import Problem
from hpsearch.tuner.fit_arguments import sorted_out, with_labels
from hpsearch.tuner.models import model_of
from hpsearch.tuner.networks import Networks
from hpsearch.tuner.objectives import metric_of
from hpsearch.tuner.rows import dataset_of

if TYPE_CHECKING:
    from keras_tuner import HyperParameters

MAX_TRIALS: Final = 10
"""keras-tuner's own default."""

_OF_THE_TUNER: Final = {"space", "metric", "trials", "out", "overwrite", "oracle", "seed"}
_TABLE: Final = tuple(each for each in TABLE_OPTIONS if each.name not in ("target", "path"))
_SEARCH: Final = tuple(each for each in OPTIONS if each.name not in _OF_THE_TUNER)

_WITHOUT_EFFECT: Final = {
    "max_retries_per_trial": "a trial whose worker dies is tried again by itself",
    "max_consecutive_failed_trials": "failed trials are recorded, and the search goes on",
    "hyperband_iterations": "max_trials says how many configurations are tried",
    "num_initial_points": "models learn from the first 8 trials on",
    "alpha": "the noise of scores is fitted",
    "beta": "the bound is 2.6 standard deviations",
    "tuner_id": "workers share nothing by names",
    "logger": "log= has what can be logged to",
    "distribution_strategy": "cluster= trains on several machines",
}
"""Arguments of keras-tuner's tuners that need nothing here, and why."""

_REFUSED: Final = {
    **dict.fromkeys(("optimizer", "loss", "metrics"), "compile the network with it inside build"),
    "max_model_size": "bound the sizes in the space",
}
"""Arguments of keras-tuner's tuners that would change what is searched."""


@taking((*_SEARCH, *_TABLE))
class KFoldTuner:
    """keras-tuner's tuner, with each configuration scored by iterated K-fold.

    Parameters
    ----------
    hypermodel : a function ``build(hp)``, a ``kt.HyperModel``, or what else ``Search`` takes.
    objective : the metric that selects: ``"val_accuracy"``, ``"val_loss"`` (without penalties), a
        ``kt.Objective``, any metric of hpsearch, or one of your own. By default the loss.
    max_trials : configurations to try; 10, or the brackets of one cycle with ``hyperband``.
    oracle : ``random``, ``grid``, ``bayesian``, ``hyperband``, ``tpe`` or ``gp``.
    seed : everything random follows from it; 0 by default.
    hyperparameters : declarations that count before those of the same names in the build.
    baselines : as below, but for arrays such as images, where they are left out by default.
    executions_per_trial : ``repeats``, by keras-tuner's name.
    max_epochs : ``epochs``, by the name that keras-tuner's Hyperband has.
    directory, project_name : the run's folder is ``directory/project_name``.
    overwrite : replace the run that is there; else it goes on, or is opened where it has ended.

    Examples
    --------
    >>> import hpsearch
    >>> tuner = hpsearch.KFoldTuner(
    ...     build, objective="val_accuracy", max_trials=20, project_name="digits"
    ... )  # doctest: +SKIP
    >>> tuner.search(x, y, epochs=50)  # doctest: +SKIP
    >>> [best] = tuner.get_best_hyperparameters()  # doctest: +SKIP
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int | None = None,
        *,
        oracle: Any = "random",
        seed: int | None = None,
        hyperparameters: HyperParameters | None = None,
        executions_per_trial: int | None = None,
        max_epochs: int | None = None,
        directory: str | Path | None = None,
        project_name: str | None = None,
        overwrite: bool = False,
        **options: Any,
    ) -> None:
        self._options = _taken(options)
        for name, value in (("repeats", executions_per_trial), ("epochs", max_epochs)):
            if value is not None:
                self._options.setdefault(name, value)
        self._networks = Networks.of(hypermodel, hyperparameters)
        self._networks.check_layers()
        given = {"objective": objective, "max_trials": max_trials, "seed": seed}
        self._oracle, given = _oracle_of(oracle, given)
        self._metric = self._options.pop("metric", None)
        if self._metric is None:
            self._metric = metric_of(given["objective"], self._networks.loss)
        self._max_trials, self._seed = given["max_trials"], given["seed"] or 0
        self.directory = Path(directory or ".")
        self.project_name = project_name or "untitled_project"
        self._overwrite = overwrite
        self._run: Run | None = None
        self._searched: tuple[Search, Dataset] | None = None
        self._declared: HyperParameters | None = None
        self._search_for({})  # what is wrong with an option is said now

    @property
    def hypermodel(self) -> Any:
        """What builds networks, ``tuner.hypermodel.build(hp)``."""
        return SimpleNamespace(build=self._build)

    @property
    def project_dir(self) -> str:
        """The run's folder."""
        return str(self.directory / self.project_name)

    @property
    def run(self) -> Run:
        """The finished run, its tables, ledger and report.

        Raises
        ------
        InputError
            Nothing was searched yet.
        """
        if self._run is None:
            if not self._overwrite and is_run(Path(self.project_dir)):
                self.reload()
            else:
                raise InputError("Nothing was searched yet. Call tuner.search(x, y) first.")
        assert self._run is not None
        return self._run

    def search(self, x: Any, y: Any = None, **fit_arguments: Any) -> None:
        """Search, with all folds of a configuration trained at once; see ``Search.run``.

        Parameters
        ----------
        x, y : arrays or frames, as Keras's ``fit`` takes them; classes as whole numbers, texts, or
            rows of 0 and 1.
        fit_arguments : ``epochs`` and ``batch_size`` (by default what the number of rows asks for,
            see docs/options.md), ``class_weight``, ``sample_weight``, ``verbose``, ``callbacks``
            (``EarlyStopping`` becomes patience); ``validation_data`` and ``validation_split`` are
            left aside with a word. What else ``fit`` has is refused by name.

        Raises
        ------
        InputError, SearchFailedError, StorageError
            As ``Search.run``.
        """
        arguments = sorted_out(fit_arguments)
        limits = {n: self._options.get(n, default(n)) for n in ("max_levels", "max_words")}
        data = dataset_of(
            x,
            y,
            loss=self._networks.loss,
            metric=self._metric,
            input_shape=self._networks.input_shape,
            limits=limits,
            options={**_among(_TABLE, self._options), **_among(_TABLE, arguments.options)},
        )
        fit = with_labels(arguments.options, data.target)
        if "baselines" not in self._options and data.schema.of_kind("array"):
            fit = {**fit, "baselines": False}  # boosted trees of pixels take longer than networks
        search = self._search_for(fit, data.n_rows)
        arguments.say()
        if not self._overwrite and is_run(Path(self.project_dir)):
            self._run = resume(
                self.project_dir,
                data,
                space=self._networks.space,
                metric=None if isinstance(self._metric, str) else self._metric,
                observer=search.observer,
                **self._what_was_asked(fit, data.n_rows),
            )
        else:
            self._run = search.run(data)
        self._searched = search, data
        self._overwrite = False  # another call goes on

    def reload(self) -> None:
        """Open the finished run that is in the project's folder."""
        self._run = open_run(self.project_dir)

    def get_best_hyperparameters(self, num_trials: int = 1) -> list[HyperParameters]:
        """The hyperparameters of the best trials, the best first."""
        return [self._hyperparameters(row) for row in self._ranked(num_trials)]

    def get_best_models(self, num_models: int = 1) -> list[Any]:
        """The models of the best trials, trained on all rows, their preprocessing inside.

        That of the selected configuration is there; the others are trained now, each to its own
        best epoch, for which ``search`` must have been called with the rows.
        """
        run, rows = self.run, self._ranked(num_models)
        trials = [int(row["trial"]) for row in rows]
        found: dict[int, Any] = {}
        others = [trial for trial in trials if trial != run.best["trial"]]
        if others:
            if self._searched is None:
                raise InputError(
                    "get_best_models trains models other than the selected one on all rows, which "
                    "are not known yet. Call tuner.search(x, y, ...) again: what is recorded is "
                    "kept."
                )
            options, data = self._searched
            found = dict(zip(others, models_of_trials(options, data, run, others), strict=True))
        if run.best["trial"] in trials:
            found[run.best["trial"]] = load_model(run)
        return [
            model_of(found[trial], run, self._build(self._hyperparameters(row)))
            for trial, row in zip(trials, rows, strict=True)
        ]

    def results_summary(self, num_trials: int = 10) -> None:
        """Print the best trials, with their scores on all folds."""
        best = self.run.best
        print(f"Results summary\nResults in {self.project_dir}")
        print(f"{best['metric']} ± standard error over {best['n_folds']} folds, the best trials")
        for row in self._ranked(num_trials):
            print(f"\nTrial {row['trial']}: {words.score(row['score'], row['score_se'])}")
            for name, value in self._hyperparameters(row).values.items():
                print(f"  {name}: {value}")
        promise = self.run.ledger and self.run.ledger.promise
        if promise:
            value, between = words.score(promise.value), words.interval(promise.low, promise.high)
            print(f"\nOn new rows expect {best['metric']} {value}, {between}")

    def search_space_summary(self, extended: bool = False) -> None:
        """Print what is searched; networks are built to find it."""
        from hpsearch.space.hyperparameters import describe

        described = describe(self._declaration())
        print(f"Search space summary\n{words.counted(len(described), 'hyperparameter')}")
        for each in described:
            condition = f", where {each.condition}" if each.condition else ""
            print(f"{each.name} ({each.type}): {each.domain}; {each.default} first{condition}")

    # -- how it asks for a search

    def _search_for(self, fit: Mapping[str, Any], n_rows: int = 0) -> Search:
        return Search(
            self._networks.space,
            out=self.project_dir,
            overwrite=self._overwrite,
            metric=self._metric,
            **self._what_was_asked(fit, n_rows),
            observer=fit.get("observer", self._options.get("observer")),
        )

    def _what_was_asked(self, fit: Mapping[str, Any], n_rows: int) -> dict[str, Any]:
        """Options of a search that were given, the space, the metric and the folder apart."""
        options = {**_among(_SEARCH, self._options), **_among(_SEARCH, fit)}
        trials = self._max_trials
        if trials is None:
            epochs = options.get("epochs")
            epochs = usual_epochs(n_rows) if epochs is None else epochs
            trials = _cycle(epochs) if self._oracle == "hyperband" else MAX_TRIALS
        return {**options, "trials": trials, "oracle": self._oracle, "seed": self._seed}

    # -- what it reads of a run

    def _ranked(self, n: int) -> list[dict[str, Any]]:
        table = self.run.trials
        rows = table[table["rank"].notna()].head(n).to_dict("records")
        return [{str(name): value for name, value in row.items()} for row in rows]

    def _hyperparameters(self, row: dict[str, Any]) -> HyperParameters:
        return self._with_values(words.hyperparameters(row))

    def _with_values(self, given: Mapping[str, Any]) -> HyperParameters:
        declared = self._declaration()
        found = declared.copy()
        found.values = configured(declared, given).values
        return found

    def _build(self, hp: HyperParameters) -> Any:
        build = self._networks.build
        return build(hp) if build is not None else self._networks.built(hp, self._problem())

    def _declaration(self) -> HyperParameters:
        if self._declared is None:
            self._declared = self._networks.declared(self._problem())
        return self._declared

    def _problem(self) -> Problem:
        """The problem that a space may ask for; one that is like it before there is a run."""
        from hpsearch.data.dataset import Schema
        from hpsearch.engines.fit_data import problem_of
        from hpsearch.preprocessing import Layout

        if self._run is None:
            return Problem("binary", (10,), 1, "sigmoid", "binary_crossentropy", 1000, 100, 10)
        manifest = self._run.manifest
        schema = Schema.from_json(manifest["schema"])
        return problem_of(
            schema.target,
            Layout.of(schema, **manifest["limits"]),
            n_train=int(self._run.folds["n_train"].min()),
            epochs=int(self._run.settings["epochs"]),
        )


def _among(options: Iterable[Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given of some options."""
    names = {each.name for each in options}
    return {name: value for name, value in given.items() if name in names}


def _cycle(epochs: int) -> int:
    """Configurations of all brackets of hyperband, once."""
    from hpsearch.oracles.hyperband import brackets

    return sum(bracket.size for bracket in brackets(epochs))


def _taken(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a search and of its table; what keras-tuner has beside them is said."""
    from hpsearch.options import check_options

    kept = {}
    for name, value in options.items():
        if name in _REFUSED:
            raise OptionError(f"KFoldTuner does not take {name}: {_REFUSED[name]}.")
        if name in ("tune_new_entries", "allow_new_entries"):
            if not value:
                raise OptionError(
                    f"KFoldTuner searches all that a build declares; received {name}=False. Give "
                    "what is to stay one value with fix=."
                )
        elif name == "factor":
            if value != 3:
                raise OptionError(
                    f"hyperband keeps a third at each rung; received factor={value!r}. Leave it "
                    "out."
                )
        elif name in _WITHOUT_EFFECT:
            text = f"KFoldTuner needs no {name}: {_WITHOUT_EFFECT[name]}."
            warnings.warn(text, OptionWarning, stacklevel=3)
        else:
            kept[name] = value
    known = [n for n in kept if n not in ("metric", "observer")]
    check_options("KFoldTuner", known, (*_SEARCH, *_TABLE))
    return kept


_OF_KERAS_TUNER: Final = {
    "RandomSearchOracle": "random",
    "GridSearchOracle": "grid",
    "BayesianOptimizationOracle": "bayesian",
    "HyperbandOracle": "hyperband",
}


def _oracle_of(oracle: Any, given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """An oracle's name, and what was given, completed by what keras-tuner's own oracle holds."""
    kind = type(oracle).__name__ if not inspect.isclass(oracle) else oracle.__name__
    if kind not in _OF_KERAS_TUNER:
        return oracle, given
    held = {} if inspect.isclass(oracle) else vars(oracle)
    objective = held.get("objective")
    is_default = type(objective).__name__ == "DefaultObjective"
    found = {
        "objective": None if is_default else objective,
        "max_trials": held.get("max_trials"),
        "seed": held.get("seed"),
    }
    return _OF_KERAS_TUNER[kind], {
        name: found[name] if value is None else value for name, value in given.items()
    }
