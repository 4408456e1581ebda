"""The command line: parse, call one public function, print.

Owns the options and their help; signals, errors and exit codes are ``hpsearch.console.process``'s.
Everything that a command does is one call of the Python API away; numerical libraries are imported
when a command needs them, so that help comes at once.
"""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import typer

import hpsearch
from hpsearch import defaults
from hpsearch.console import process
from hpsearch.console.process import exit_code_of, saying_how_to_resume
from hpsearch.errors import OptionError
from hpsearch.paths import found_at

if TYPE_CHECKING:
    import pandas as pd

# The base class of everything that Typer finds wrong with a command line. It is Click's, which
# Typer ships under a private name in some versions and depends on in others.
_USAGE_ERROR: Final = cast(
    "type[Exception]",
    next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException"),
)

_RUN_EXAMPLES = """[bold]Examples[/bold]

hpsearch run sklearn:breast_cancer

hpsearch run houses.csv --target price --trials 30 --folds 5 --repeats 4

hpsearch run visits.csv --target ill --groups patient --drop name,address

hpsearch run sales.csv --target demand --time date --gap 7 --space my_space.py

hpsearch run keras:boston_housing --fix optimizer=rmsprop --fix n_layers=2
"""

_ORACLES = """Who proposes them; the space's defaults come first.

random: each hyperparameter drawn by itself.

grid: every combination, in order.

hyperband: random, in brackets that train the best ones longer.

bayesian: a Gaussian process of the scores proposes.

tpe: Optuna's densities of the best and of the others propose; needs the extra optuna.

gp: Optuna's Gaussian process, slower; needs the extra gp.
"""

_RESUME_EXAMPLES = """[bold]Examples[/bold]

hpsearch resume results/breast_cancer

hpsearch resume results/breast_cancer --trials 100 --repeats 5

hpsearch resume results/houses --data moved/houses.csv
"""

_SHOW_EXAMPLES = """[bold]Examples[/bold]

hpsearch show results/breast_cancer --trials 20

hpsearch show results/breast_cancer --compare

hpsearch show results/breast_cancer --compare 3 7
"""

_COMPARE_EXAMPLES = """[bold]Example[/bold]

hpsearch compare results/breast_cancer results/breast_cancer-2 --rope 0.005
"""

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Hyperparameter search and iterated K-fold cross-validation for Keras.",
    epilog="[bold]First steps[/bold]\n\nhpsearch run sklearn:breast_cancer\n\n"
    "hpsearch show results/breast_cancer\n\nhpsearch COMMAND --help explains every option.",
)

_DATA, _FOLDS, _SEARCH, _TRAINING, _RESULTS = (
    "Data",
    "Folds",
    "Search",
    "Training",
    "Results",
)

RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run's folder, such as results/breast_cancer.")
]
BackendOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Where trainings run: loky (processes on this machine), or the workers of a dask or "
        "ray cluster.",
        rich_help_panel=_TRAINING,
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="The cluster's: tcp://HOST:8786 (dask); HOST:6379, ray://HOST:10001 or auto (ray; "
        "without one, Ray starts here).",
        rich_help_panel=_TRAINING,
    ),
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", metavar="", help="Replace the file if it is there.")
]
FixOption = Annotated[
    list[str] | None,
    typer.Option(
        "--fix",
        metavar="NAME=VALUE",
        help="Give a hyperparameter one value; repeatable.",
        rich_help_panel=_SEARCH,
    ),
]


RopeOption = Annotated[
    float | None,
    typer.Option(
        "--rope",
        metavar="WIDTH",
        help="Differences up to this count as none. Default: 0.01, or 1 % of a loss or error.",
        show_default=False,
    ),
]


@app.callback(invoke_without_command=True)
def _program(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", metavar="", help="Print the version and stop.")
    ] = False,
) -> None:
    if version:
        print(hpsearch.__version__)
    elif context.invoked_subcommand is None:
        print(context.get_help())


@app.command(epilog=_RUN_EXAMPLES)
def run(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A CSV, TSV, Parquet or NPZ file (.csv.gz too), or sklearn:NAME or keras:NAME; "
            "`hpsearch datasets` lists the names.",
            show_default=False,
        ),
    ],
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="What to predict; repeatable, or separated by commas. Tables need it.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="binary, multiclass, multilabel, regression or share. Default: inferred.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    drop: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Leave a column out; repeatable, or separated by commas.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Read a column as free text; repeatable, or separated by commas.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    path: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="For keras:NAME, the set's file, where it cannot be downloaded.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    test_data: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Rows that score the final model once and take part in nothing else.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    test_size: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Set this share of the rows apart instead. With --folds 1: to validate on.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    max_levels: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Levels kept of each category column; rarer ones count as unknown.",
            rich_help_panel=_DATA,
        ),
    ] = defaults.MAX_LEVELS,
    max_words: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Words kept of each text column; rarer ones are ignored.",
            rich_help_panel=_DATA,
        ),
    ] = defaults.MAX_WORDS,
    folds: Annotated[
        int,
        typer.Option(
            "--folds",
            "-k",
            metavar="K",
            help="Parts of each repeat; 1 is a hold-out.",
            rich_help_panel=_FOLDS,
        ),
    ] = defaults.FOLDS,
    repeats: Annotated[
        int,
        typer.Option(
            "--repeats",
            "-p",
            metavar="P",
            help="Reshuffles; each trial is trained K x P times.",
            rich_help_panel=_FOLDS,
        ),
    ] = defaults.REPEATS,
    split: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help="auto, kfold, stratified, group, stratified-group, time or holdout.",
            rich_help_panel=_FOLDS,
        ),
    ] = "auto",
    groups: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Rows with one value of this column stay on one side of each fold.",
            rich_help_panel=_FOLDS,
        ),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Train on earlier rows and validate on later ones, by this column.",
            rich_help_panel=_FOLDS,
        ),
    ] = None,
    gap: Annotated[
        int,
        typer.Option(
            metavar="ROWS",
            help="With --time: rows left out between training and validation.",
            rich_help_panel=_FOLDS,
        ),
    ] = 0,
    duplicates: Annotated[
        str,
        typer.Option(
            metavar="HOW",
            help="Exact copies of a row: together (on one side of each fold) or ignore.",
            rich_help_panel=_FOLDS,
        ),
    ] = "together",
    space: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE.py",
            help="What to search; `hpsearch space` lists the names.",
            rich_help_panel=_SEARCH,
        ),
    ] = defaults.SPACE,
    trials: Annotated[
        int,
        typer.Option(
            "--trials", "-n", metavar="N", help="Configurations to try.", rich_help_panel=_SEARCH
        ),
    ] = defaults.TRIALS,
    oracle: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help=_ORACLES,
            rich_help_panel=_SEARCH,
        ),
    ] = "random",
    fix: FixOption = None,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The metric that selects. Default: log_loss for classes, mae for numbers.",
            rich_help_panel=_SEARCH,
        ),
    ] = None,
    race: Annotated[
        str,
        typer.Option(
            metavar="RULE",
            help="End trials early that can't win: off, forgiving or corrected-t.",
            rich_help_panel=_SEARCH,
        ),
    ] = "off",
    rungs: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Levels of successive halving over epochs, each three times as long.",
            rich_help_panel=_SEARCH,
        ),
    ] = 1,
    until_decided: Annotated[
        bool,
        typer.Option(
            "--until-decided",
            metavar="",
            help="Give the leaders more repeats until the winner is clear.",
            rich_help_panel=_SEARCH,
        ),
    ] = False,
    max_repeats: Annotated[
        int,
        typer.Option(
            metavar="P",
            help="Most reshuffles with --until-decided.",
            rich_help_panel=_SEARCH,
        ),
    ] = defaults.MAX_REPEATS,
    select: Annotated[
        str,
        typer.Option(
            metavar="RULE",
            help="best, the best score, or one-se, the smallest model within one corrected "
            "standard error of it.",
            rich_help_panel=_SEARCH,
        ),
    ] = "best",
    nested: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help="Also search inside each of K outer folds: an estimate that selecting does not "
            "flatter, for K times the work.",
            rich_help_panel=_SEARCH,
        ),
    ] = None,
    baselines: Annotated[
        bool,
        typer.Option(
            "--baselines/--no-baselines",
            metavar="",
            help="Score a constant, a linear model and boosted trees on the same folds.",
            rich_help_panel=_SEARCH,
        ),
    ] = True,
    seed: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="One seed gives one result, on one machine, for any --jobs.",
            rich_help_panel=_SEARCH,
        ),
    ] = defaults.SEED,
    epochs: Annotated[
        int,
        typer.Option(
            "--epochs",
            "-e",
            metavar="N",
            help="Most passes over the training rows; the best epoch is found.",
            rich_help_panel=_TRAINING,
        ),
    ] = defaults.EPOCHS,
    batch_size: Annotated[
        int,
        typer.Option(
            metavar="ROWS",
            help="Rows a step, where the space does not decide it.",
            rich_help_panel=_TRAINING,
        ),
    ] = defaults.BATCH_SIZE,
    patience: Annotated[
        int | None,
        typer.Option(
            metavar="EPOCHS",
            help="Stop a trial so many epochs after its best. Default: never.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    scale_target: Annotated[
        bool | None,
        typer.Option(
            "--scale-target/--no-scale-target",
            metavar="",
            help="Train on a standardised target. Default: where the last layer is linear.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What trains: fused (all folds of candidates of one structure at once, on JAX), "
            "reference (any Keras model, on TensorFlow), or auto.",
            rich_help_panel=_TRAINING,
        ),
    ] = "auto",
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            metavar="N",
            help="Processes that train at the same time. Default: one a core, or as many as a "
            "cluster takes.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    backend: BackendOption = "loky",
    address: AddressOption = None,
    trial_timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="What some folds of a trial may take before it is tried again, then failed.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FOLDER",
            help="Where the results go. Default: results/NAME, numbered where it is taken.",
            rich_help_panel=_RESULTS,
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            metavar="",
            help="Replace the run that is in --out.",
            rich_help_panel=_RESULTS,
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            metavar="",
            help="Print one line, with the result.",
            rich_help_panel=_RESULTS,
        ),
    ] = False,
) -> None:
    """Search the best network for DATA, scored by iterated K-fold, and train it on all rows."""
    _use_the_lightest_backend()
    from hpsearch.console.observers import observer_for
    from hpsearch.results import free_name

    dataset = hpsearch.load(
        data,
        target=split_names(target) or None,
        task=task,
        drop=split_names(drop),
        text=split_names(text),
        groups=groups,
        time=time,
        path=path,
    )
    folder = out or free_name(defaults.RESULTS_ROOT, dataset.name)
    search = hpsearch.Search(
        space,
        trials=trials,
        folds=folds,
        repeats=repeats,
        epochs=epochs,
        seed=seed,
        out=folder,
        oracle=oracle,
        engine=cast("Any", engine),
        jobs=jobs,
        backend=cast("Any", backend),
        address=address,
        batch_size=batch_size,
        patience=patience,
        race=cast("Any", race),
        rungs=rungs,
        until_decided=until_decided,
        max_repeats=max_repeats,
        metric=metric,
        split=cast("Any", split),
        gap=gap,
        duplicates=cast("Any", duplicates),
        fix=parse_fixes(fix),
        test_data=test_data,
        test_size=test_size,
        scale_target="auto" if scale_target is None else scale_target,
        max_levels=max_levels,
        max_words=max_words,
        select=cast("Any", select),
        nested=nested,
        baselines=baselines,
        trial_timeout=trial_timeout,
        overwrite=overwrite,
        observer=observer_for(quiet=quiet),
    )
    with saying_how_to_resume():
        search.run(dataset)


@app.command(epilog=_RESUME_EXAMPLES)
def resume(
    run: RunArgument,
    trials: Annotated[
        int | None,
        typer.Option(
            "--trials", "-n", metavar="N", help="Configurations in all. Default: as before."
        ),
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option("--repeats", "-p", metavar="P", help="Reshuffles in all. Default: as before."),
    ] = None,
    max_repeats: Annotated[
        int | None,
        typer.Option(metavar="P", help="Most reshuffles with --until-decided, as before."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Where the table is now. Default: where it was."),
    ] = None,
    test_data: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Where the test rows are now. Default: where they were."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", metavar="N", help="Processes. Default: one a core."),
    ] = None,
    backend: BackendOption = "loky",
    address: AddressOption = None,
    trial_timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", help="What some folds of a trial may take. Default: as before."
        ),
    ] = None,
    accept_changes: Annotated[
        bool,
        typer.Option(
            "--accept-changes",
            metavar="",
            help="Go on although versions of Python or of packages changed.",
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", metavar="", help="Print one line, with the result."),
    ] = False,
) -> None:
    """Go on with a run that was interrupted, or give a finished one more trials or repeats."""
    _use_the_lightest_backend()
    from hpsearch.console.observers import observer_for

    with saying_how_to_resume("Nothing was changed."):
        hpsearch.resume(
            run,
            data,
            trials=trials,
            repeats=repeats,
            max_repeats=max_repeats,
            test_data=test_data,
            jobs=jobs,
            backend=cast("Any", backend),
            address=address,
            trial_timeout=trial_timeout,
            accept_changes=accept_changes,
            observer=observer_for(quiet=quiet),
        )


@app.command(epilog=_SHOW_EXAMPLES)
def show(
    run: RunArgument,
    pair: Annotated[
        list[int] | None,
        typer.Argument(
            metavar="TRIAL TRIAL",
            help="With --compare: two trials, instead of the selected one and all others.",
            show_default=False,
        ),
    ] = None,
    trials: Annotated[
        int, typer.Option("--trials", "-n", metavar="N", min=1, help="Ranked trials to list.")
    ] = 10,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare", metavar="", help="Compare trials fold by fold, and show nothing else."
        ),
    ] = False,
    rope: RopeOption = None,
) -> None:
    """Show a finished run: ranked trials, the selected configuration, estimates, diagnoses."""
    if compare:
        process.show(_comparison_in(run, pair or [], rope, n_trials=trials))
        return
    if pair or rope is not None:
        raise OptionError(
            "Two trials and --rope belong to --compare, which is missing. "
            "Write `hpsearch show RUN --compare TRIAL TRIAL`."
        )
    from hpsearch.console.views import run_view

    process.show(run_view(hpsearch.open_run(run), n_trials=trials))


@app.command(epilog=_COMPARE_EXAMPLES)
def compare(
    run_a: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")],
    run_b: Annotated[
        Path, typer.Argument(metavar="RUN", help="Another one, on the same folds by one metric.")
    ],
    rope: RopeOption = None,
) -> None:
    """Compare the selected trials of two runs, fold by fold."""
    from hpsearch.console.comparison import pair_view

    process.show(pair_view(hpsearch.compare(run_a, run_b, rope=rope)))


@app.command(
    epilog="[bold]Examples[/bold]\n\nhpsearch report results/breast_cancer\n\n"
    "hpsearch report results/breast_cancer -o breast_cancer.html"
)
def report(
    run: RunArgument,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The .html file to write. Default: report.html in the run's folder.",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Write a finished run's report: one HTML file with charts and tables, without a network."""
    if output is not None:
        _check_output(output, endings=(".html", ".htm"), overwrite=overwrite)
    print(hpsearch.open_run(run).report(output))


@app.command(
    epilog="[bold]Examples[/bold]\n\nhpsearch predict results/breast_cancer new.csv -o out.csv\n\n"
    "hpsearch predict results/breast_cancer new.parquet > out.csv"
)
def predict(
    run: RunArgument,
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A file with the columns that the run was trained on, in any order.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A .csv or .parquet file to write. Default: CSV on standard output.",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Predict labels or values for new rows with a run's model."""
    if output is not None:
        _check_output(output, endings=(".csv", ".parquet"), overwrite=overwrite)
    opened = hpsearch.open_run(run)
    _use_the_workers_environment(str(opened.manifest.get("backend")))
    from hpsearch.export.prediction import predict_rows

    predicted = predict_rows(opened, data)
    for text in predicted.notes:
        process.say("note: ", "dim", text)
    if output is None:
        from hpsearch.results.tables import table_text

        sys.stdout.write(table_text(predicted.frame))
    else:
        _write_output(output, predicted.frame)


@app.command(
    epilog="[bold]Examples[/bold]\n\nhpsearch space mlp --fix optimizer=adam\n\n"
    "hpsearch space my_space.py --sample 5"
)
def space(
    space: Annotated[
        str | None,
        typer.Argument(
            metavar="SPACE",
            help="A shipped space's name or a .py file. Left out: the shipped ones are listed.",
        ),
    ] = None,
    sample: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Show what a random search of so many trials tries."),
    ] = 0,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="The draw's seed.")] = defaults.SEED,
    fix: FixOption = None,
) -> None:
    """List what a space searches, or the configurations that a random search tries."""
    _use_the_lightest_backend()
    from hpsearch.console.views import candidates_view, names_view, space_view
    from hpsearch.oracles import sample as draw
    from hpsearch.space.hyperparameters import describe
    from hpsearch.space.space import Space, shipped_spaces

    if space is None:
        process.show(names_view(shipped_spaces()))
        return
    declared = Space.load(space).declared(_example_problem(), parse_fixes(fix))
    if sample:
        process.show(candidates_view(draw(declared, sample, seed)))
    else:
        process.show(space_view(describe(declared)))


@app.command()
def datasets() -> None:
    """List the named sets, and whether they can be loaded here."""
    from hpsearch.console.views import catalogue_view
    from hpsearch.data.named import catalogue

    process.show(catalogue_view(catalogue()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code, as ``hpsearch.console.process`` has them.

    Parameters
    ----------
    arguments : the words after ``hpsearch``; those of the process by default.
    """
    return exit_code_of(lambda: _invoke(sys.argv[1:] if arguments is None else list(arguments)))


def split_names(values: Sequence[str] | None) -> list[str]:
    """Names from a repeatable option whose values may hold several, separated by commas.

    A name that has a comma itself is put in double quotes.

    Examples
    --------
    >>> split_names(["a, b", '"c,d"'])
    ['a', 'b', 'c,d']
    """
    rows = (next(csv.reader([value], skipinitialspace=True), []) for value in values or ())
    return [name.strip() for row in rows for name in row if name.strip()]


def parse_fixes(values: Sequence[str] | None) -> dict[str, str]:
    """Hyperparameters and their values from ``NAME=VALUE`` texts.

    Raises
    ------
    OptionError
        If one has no ``=`` or no name, or a name comes twice.

    Examples
    --------
    >>> parse_fixes(["optimizer=adam", "units_1=64"])
    {'optimizer': 'adam', 'units_1': '64'}
    """
    fixes: dict[str, str] = {}
    for value in values or ():
        name, equals, setting = (part.strip() for part in value.partition("="))
        if not name or not equals:
            raise OptionError(
                f"--fix is NAME=VALUE; received {value!r}. Write for instance --fix optimizer=adam."
            )
        if name in fixes:
            raise OptionError(
                f"--fix gives each hyperparameter one value; received {name!r} twice. Drop one."
            )
        fixes[name] = setting
    return fixes


def _use_the_lightest_backend() -> None:
    """Let Keras use NumPy where this process only plans; the workers choose their own backend.

    Nor does a process that only plans draw: Keras would import matplotlib, half a second.
    """
    os.environ["KERAS_BACKEND"] = "numpy"
    sys.modules.setdefault("matplotlib", None)  # type: ignore[arg-type]


def _use_the_workers_environment(backend: str) -> None:
    """Run a model as the run checked it: same backend, same threads, thus the same bits."""
    from hpsearch.engines.backend import import_keras
    from hpsearch.engines.workers import WORKER_ENVIRONMENTS

    os.environ.update(WORKER_ENVIRONMENTS.get(backend, {}))
    import_keras()


def _invoke(arguments: list[str]) -> int:
    """Parse the words and call their command; its exit code."""
    command = typer.main.get_command(app)
    try:
        with command.make_context("hpsearch", arguments) as context:
            command.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    except _USAGE_ERROR as error:
        raise OptionError(f"{cast('Any', error).format_message()} (see --help)") from None
    return 0


def _comparison_in(run: Path, pair: Sequence[int], rope: float | None, *, n_trials: int) -> Any:
    """Two trials of a run, or its selected one against the others."""
    from hpsearch.console.comparison import pair_view, selected_view

    if not pair:
        return selected_view(hpsearch.compare_trials(run, rope=rope), n_trials=n_trials)
    if len(pair) != 2:
        raise OptionError(
            f"--compare takes two trials, or none for the selected one against the others; "
            f"received {len(pair)}. Write for instance --compare 3 7."
        )
    return pair_view(hpsearch.compare(run, run, trial_a=pair[0], trial_b=pair[1], rope=rope))


def _check_output(path: Path, *, endings: tuple[str, str], overwrite: bool) -> None:
    if path.suffix.lower() not in endings:
        raise OptionError(
            f"--output is a file that ends in {' or '.join(endings)}; received {str(path)!r}. "
            "Change the file's ending."
        )
    found = found_at(path, OptionError)
    if found_at(path.parent, OptionError) != "a folder":
        raise OptionError(
            f"--output is a file in a folder that is there; {str(path.parent)!r} is not. "
            "Make the folder, or choose another file."
        )
    if found is not None and not (overwrite and found == "a file"):
        raise OptionError(
            f"--output never replaces a file by itself; {str(path)!r} is there already. "
            "Choose another file, or add --overwrite."
        )


def _write_output(path: Path, predictions: pd.DataFrame) -> None:
    from hpsearch.results.files import write_atomically
    from hpsearch.results.tables import table_text

    if path.suffix.lower() == ".csv":
        content = table_text(predictions).encode("utf-8")
    else:
        buffer = io.BytesIO()
        predictions.to_parquet(buffer, index=False)
        content = buffer.getvalue()
    try:
        write_atomically(path, content)
    except OSError as error:
        raise OptionError(
            f"--output must be writable; {str(path)!r} is not ({error.strerror}). "
            "Choose another file."
        ) from error


def _example_problem() -> Any:
    """A problem to list a space for: ranges may depend on the data, names do not."""
    from hpsearch.task import Problem

    return Problem(
        kind="binary",
        input_shape=(10,),
        n_outputs=1,
        output_activation="sigmoid",
        loss="binary_crossentropy",
        n_train=1000,
        epochs=defaults.EPOCHS,
    )
