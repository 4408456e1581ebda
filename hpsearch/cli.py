"""The command line: parse, call one public function, print.

Owns the options and their help; signals, errors and exit codes are ``hpsearch.console.process``'s.
Everything that a command does is one call of the Python API away; numerical libraries are imported
when a command needs them, so that help comes at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, cast

import typer

import hpsearch
from hpsearch.console import process
from hpsearch.console.outputs import check_output, write_output
from hpsearch.console.parameters import taking
from hpsearch.console.process import Signals, exit_code_of, saying_how_to_resume
from hpsearch.data.options import TABLE_OPTIONS
from hpsearch.engines import importing
from hpsearch.errors import OptionError
from hpsearch.export.formats import format_names
from hpsearch.options import MOST_SAMPLED, Panel, check_not_replaced
from hpsearch.progress import telling
from hpsearch.search.option_rules import read_fixes
from hpsearch.search.options import OPTIONS, RESUMABLE, default
from hpsearch.search.usual_budget import usual_epochs

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

hpsearch run photos/ --size 64 --space image

hpsearch run sales.csv --target demand --time date --gap 7 --space my_space.py

hpsearch run keras:boston_housing --fix optimizer=rmsprop --fix n_layers=2
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

_COMPARE_EXAMPLES = """[bold]Examples[/bold]

hpsearch compare results/breast_cancer results/breast_cancer-2 --rope 0.005

hpsearch compare results/* --html leaderboard.html
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

RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run's folder, such as results/breast_cancer.")
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


QuietOption = Annotated[
    bool,
    typer.Option("--quiet", "-q", metavar="", help="Print one line, with the result."),
]
_RUN_OPTIONS: Final = sorted(
    (*TABLE_OPTIONS, *OPTIONS), key=lambda each: list(Panel).index(each.panel or Panel.RESULTS)
)


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
@taking(_RUN_OPTIONS)
def run(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A CSV, TSV, Parquet or NPZ file (.csv.gz too), a folder with a folder of images "
            "for each class, or sklearn:NAME or keras:NAME; `hpsearch datasets` lists the names.",
            show_default=False,
        ),
    ],
    quiet: QuietOption = False,
    **options: Any,
) -> None:
    """Search the best network for DATA, scored by iterated K-fold, and train it on all rows."""
    _use_the_lightest_backend()
    how = {each.name: options.pop(each.name) for each in TABLE_OPTIONS}
    with importing(options["engine"], options["cluster"]):
        from hpsearch.console.observers import observer_for
        from hpsearch.results import free_name
        from hpsearch.search.execution import RESULTS_ROOT

        dataset = hpsearch.load(data, **how)
        options["out"] = options["out"] or free_name(RESULTS_ROOT, dataset.name)
        observer = observer_for(quiet=quiet)
        search = hpsearch.Search(**options, observer=observer, began=process.BEGAN)
        with saying_how_to_resume():
            search.run(dataset)


@app.command(epilog=_RESUME_EXAMPLES)
@taking(RESUMABLE, unset=True)
def resume(
    run: RunArgument,
    data: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Where the table is now. Default: where it was."),
    ] = None,
    test_data: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Where the test rows are now. Default: where they were."),
    ] = None,
    accept_changes: Annotated[
        bool,
        typer.Option(
            "--accept-changes",
            metavar="",
            help="Go on although versions of Python or of packages changed.",
        ),
    ] = False,
    quiet: QuietOption = False,
    **options: Any,
) -> None:
    """Go on with a run that was interrupted, or give a finished one more trials or time."""
    _use_the_lightest_backend()
    from hpsearch.console.observers import observer_for

    with saying_how_to_resume("Nothing was changed."):
        hpsearch.resume(
            run,
            data,
            test_data=test_data,
            accept_changes=accept_changes,
            observer=observer_for(quiet=quiet),
            began=process.BEGAN,
            **options,
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

    opened = hpsearch.open_run(run)
    with opened.reading():
        view = run_view(opened, n_trials=trials)
        for text in opened.remarks:
            process.say("warning: ", "yellow", text)
        process.show(view)


@app.command(epilog=_COMPARE_EXAMPLES)
def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN ...", help="Runs' folders.")],
    rope: RopeOption = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Write the leaderboard as a page, one .html file that needs no network.",
            show_default=False,
        ),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Compare runs: two fold by fold, more of them, or with --html, as a leaderboard.

    Scores compare where the metric, the rows and the folds are the same; such runs stand in one
    group. Files and folders that are no finished runs are left out, and named.
    """
    if html is not None:
        check_output(html, endings=(".html", ".htm"), overwrite=overwrite, option="--html")
    if len(runs) == 1 and html is None:
        raise OptionError(
            f"Runs are compared with each other; received one, {str(runs[0])!r}. "
            "Give another one, or `hpsearch show RUN --compare` for the trials in it."
        )
    if len(runs) == 2 and html is None:
        from hpsearch.console.comparison import pair_view

        process.show(pair_view(hpsearch.compare(*runs, rope=rope)))
        return
    board = hpsearch.leaderboard(runs, rope=rope)
    if html is None:
        from hpsearch.console.leaderboard import leaderboard_view

        process.show(leaderboard_view(board))
        return
    for path, reason in board.left_out:
        process.say("left out: ", "yellow", f"{path}: {reason}")
    process.write(f"{board.html(html)}\n")


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
        check_output(output, endings=(".html", ".htm"), overwrite=overwrite)
    process.write(f"{hpsearch.open_run(run).report(output)}\n")


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
            help="A file with the columns that the run was trained on, in any order, or a folder "
            "of images.",
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
    interval: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Also give ranges of numbers, or sets of classes, that hold this share of what "
            "comes, such as 0.9.",
        ),
    ] = None,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust",
            metavar="",
            help="Load a preprocessing of one's own although its file, transformer.joblib, runs "
            "code when it is loaded.",
        ),
    ] = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Predict labels or values for new rows with a run's model."""
    if output is not None:
        check_output(output, endings=(".csv", ".parquet"), overwrite=overwrite)
    opened = hpsearch.open_run(run)
    _use_the_workers_environment(str(opened.manifest.get("backend")))
    from hpsearch.export.prediction import predict_rows

    predicted = predict_rows(opened, data, interval, trust=trust)
    for text in predicted.notes:
        process.say("note: ", "dim", text)
    for text in predicted.unseen:
        process.say("warning: ", "yellow", text)
    if output is None:
        from hpsearch.results.tables import table_text

        process.write(table_text(predicted.frame))
    else:
        write_output(output, predicted.frame)


@app.command(
    epilog="[bold]Examples[/bold]\n\nhpsearch export results/breast_cancer --to onnx\n\n"
    "hpsearch export results/breast_cancer --to saved-model --out cancer_model"
)
def export(
    run: RunArgument,
    to: Annotated[
        str,
        typer.Option("--to", metavar="FORMAT", help=f"{', '.join(format_names())}."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="PATH",
            help="The file or folder to write. Default: the run's name, with the format's ending.",
            show_default=False,
        ),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Write a run, or its model, in another program's format."""
    from hpsearch.export.exporting import export_run

    exported = export_run(hpsearch.open_run(run), to, out, overwrite=overwrite)
    for text in exported.notes:
        process.say("note: ", "dim", text)
    process.write(f"{exported.path}\n")


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
        typer.Option(
            metavar="N",
            min=0,
            max=MOST_SAMPLED,
            help="Show what a random search of so many trials tries.",
        ),
    ] = 0,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="The draw's seed.")] = default(
        "seed"
    ),
    fix: FixOption = None,
) -> None:
    """List what a space searches, or the configurations that a random search tries."""
    _use_the_lightest_backend()
    from hpsearch.console.views import candidates_view, names_view, space_view
    from hpsearch.oracles import proposed_first
    from hpsearch.oracles import sample as draw
    from hpsearch.space.hyperparameters import describe, narrow
    from hpsearch.space.space import Space, shipped_spaces

    if space is None:
        process.show(names_view(shipped_spaces()))
        return
    loaded, problem, fixes = Space.load(space), _example_problem(), read_fixes(fix)
    whole = loaded.declared(problem)
    declared, portfolio = narrow(whole, fixes), loaded.portfolio(problem, whole, fixes)
    if sample:
        process.show(candidates_view(draw(declared, sample, seed, ({}, *portfolio))))
    else:
        n_first = len(proposed_first(declared, ({}, *portfolio)))
        process.show(space_view(describe(declared), n_first))


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
    words = sys.argv[1:] if arguments is None else list(arguments)
    with Signals() as signals:
        return exit_code_of(lambda: invoke(words), signals)


def _use_the_lightest_backend() -> None:
    """Let Keras use NumPy where this process only plans; the workers choose their own backend.

    Nor does a process that only plans draw, or wrap networks: Keras would import matplotlib and
    scikit-learn, half a second each. A process that has Keras keeps its own.
    """
    if "keras" in sys.modules:
        return
    from hpsearch.engines.backend import spare

    os.environ |= {"KERAS_BACKEND": "numpy", "KERAS_NNX_ENABLED": "false"}
    sys.modules.setdefault("matplotlib", None)  # type: ignore[arg-type]
    spare("sklearn")


def _use_the_workers_environment(backend: str) -> None:
    """Run a model as the run checked it: same backend, same threads, thus the same bits."""
    from hpsearch.engines.backend import import_keras, keep_compiled_programs
    from hpsearch.engines.workers.environment import WORKER_ENVIRONMENTS

    os.environ.update(WORKER_ENVIRONMENTS.get(backend, {}))
    import_keras(with_tuner=False)
    if backend == "jax":
        keep_compiled_programs(least_seconds=0.05)


def invoke(arguments: list[str]) -> int:
    """Parse the words and call their command; its exit code."""
    command = typer.main.get_command(app)
    try:
        with command.make_context("hpsearch", arguments) as context, telling(_say_progress):
            command.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    except _USAGE_ERROR as error:
        unknown = str(getattr(error, "option_name", ""))
        check_not_replaced(unknown.removeprefix("--").replace("-", "_"), OPTIONS)
        raise OptionError(f"{cast('Any', error).format_message()} (see --help)") from None
    return 0


def _say_progress(text: str) -> None:
    process.say("", "", text)


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


def _example_problem() -> Any:
    """A problem to list a space for: ranges may depend on the data, names do not."""
    from hpsearch.task import Input, Problem

    return Problem(
        kind="binary",
        input_shape=(10,),
        n_outputs=1,
        output_activation="sigmoid",
        loss="binary_crossentropy",
        n_train=1000,
        epochs=usual_epochs(1000),
        n_numbers=10,
        inputs={"flat": Input((10,)), "numbers.piecewise": Input((10, 16))},
    )
