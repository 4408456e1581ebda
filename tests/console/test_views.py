"""What people see while a search works, and when they look at a run."""

import io
import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import hpsearch
from hpsearch import words
from hpsearch.console.notebook import observer_in_python
from hpsearch.console.observers import (
    LiveObserver,
    PlainObserver,
    QuietObserver,
    Tally,
    observer_for,
)
from hpsearch.console.views import (
    answer_view,
    candidates_view,
    catalogue_view,
    run_view,
    space_view,
)
from hpsearch.data.named import catalogue
from hpsearch.results import RunFolder, open_run
from hpsearch.results.tables import trials_table
from hpsearch.scoring.observer import usual_observer
from hpsearch.search.budget import Budget
from hpsearch.space.hyperparameters import Parameter
from hpsearch.space.space import Candidate

TRACEBACK = 'Traceback (most recent call last):\n  File "space.py", line 3\nValueError: no units\n'


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def row(trial, score=None, status="completed", **more):
    return {"trial": trial, "status": status, "score": score, "hp.units": 8 * trial, **more}


def failed(trial, error=TRACEBACK):
    return row(trial, status="failed", error=error)


def make_run(folder, rows, *, best=None, settings=None):
    run = RunFolder.create(folder)
    run.write_settings(settings or {})
    run.write_tables(trials=trials_table(rows, metrics=("log_loss",), direction="min"))
    completed = [r for r in rows if r["status"] == "completed"]
    first = min(completed, key=lambda r: r["score"])
    run.write_json(
        "best.json",
        best or {"trial": first["trial"], "metric": "log_loss", "score": first["score"]},
    )
    return open_run(run.path)


def shown(view, width=80):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(view)
    return console.file.getvalue()


def search(observer, rows, *, n_folds=8, direction="min"):
    observer.search_started(
        n_trials=len(rows), n_folds=n_folds, metric="log_loss", direction=direction, jobs=2
    )
    for trial in rows:
        observer.folds_done(trial["trial"], n_folds)
        observer.trial_done(trial)


@pytest.fixture
def plain():
    clock = Clock()
    return PlainObserver(io.StringIO(), clock=clock), clock


def lines_of(observer):
    return observer._stream.getvalue().splitlines()


# --- choosing an observer


class CellOutput(io.StringIO):
    """A stream such as Jupyter's kernels have it."""

    __module__ = "ipykernel.iostream"


@pytest.mark.parametrize("stream", [Terminal(), CellOutput()])
def test_a_search_from_python_shows_lines_on_a_terminal_and_in_a_notebook(monkeypatch, stream):
    monkeypatch.setattr(sys, "stdout", stream)
    observer_in_python().note("Reading.")
    assert stream.getvalue() == "Reading.\n"


@pytest.mark.parametrize("stream", [io.StringIO(), None])
def test_a_search_from_python_is_silent_elsewhere(monkeypatch, stream):
    monkeypatch.setattr(sys, "stdout", stream)
    observer_in_python().note("Reading.")
    assert stream is None or stream.getvalue() == ""


def test_searches_of_the_package_are_heard_by_that_observer(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert hpsearch.Search().observer is None
    assert isinstance(usual_observer(), PlainObserver)


def test_a_terminal_gets_a_live_display(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    assert isinstance(observer_for(stream=Terminal()), LiveObserver)


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(observer_for(stream=Terminal()), PlainObserver)


def test_a_log_gets_lines_even_where_colours_are_forced(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(observer_for(stream=io.StringIO()), PlainObserver)


def test_quiet_means_quiet_on_a_terminal_too():
    assert isinstance(observer_for(quiet=True, stream=Terminal()), QuietObserver)


# --- plain lines


def test_a_finished_trial_is_one_line(plain):
    observer, _ = plain
    search(observer, [row(3, 0.0712, score_se=0.0102, best_epoch=37)])
    assert lines_of(observer)[-1] == (
        "trial 3: log_loss 0.071 ± 0.010, epoch 37 [units=24] best so far"
    )


def test_a_failed_trial_is_one_line_with_its_reason(plain):
    observer, _ = plain
    search(observer, [failed(2)])
    assert lines_of(observer)[-1] == "trial 2: failed: ValueError: no units [units=16]"


def test_a_trial_that_was_stopped_early_says_so(plain):
    observer, _ = plain
    search(observer, [row(3, 0.0712, "stopped", score_se=0.0102, best_epoch=4)])
    assert lines_of(observer)[-1] == (
        "trial 3: stopped early, log_loss 0.071 ± 0.010, epoch 4 [units=24]"
    )


def test_only_a_better_score_is_called_the_best(plain):
    observer, _ = plain
    search(observer, [row(0, 0.5), row(1, 0.6), row(2, 0.5), row(3, 0.4)])
    assert [line.endswith("best so far") for line in lines_of(observer)[1:]] == [
        *(True, False, False, True)
    ]


def test_more_is_better_where_the_metric_says_so(plain):
    observer, _ = plain
    search(observer, [row(0, 0.5), row(1, 0.6)], direction="max")
    assert lines_of(observer)[-1].endswith("best so far")


def test_progress_is_told_every_ten_seconds_at_most(plain):
    observer, clock = plain
    observer.search_started(n_trials=2, n_folds=50, metric="mae", direction="min", jobs=1)
    for _ in range(30):
        clock.now += 1.0
        observer.folds_done(0, 1)
    progress = [line for line in lines_of(observer) if line.startswith("progress")]
    assert progress[0] == "progress: 10/100 folds, 0/2 trials, 10 s, about 1 min 30 s left"
    assert len(progress) == 3


def test_a_failed_trial_needs_no_more_folds(plain):
    observer, clock = plain
    observer.search_started(n_trials=2, n_folds=4, metric="mae", direction="min", jobs=1)
    observer.folds_done(0, 1)
    observer.trial_done(failed(0))
    clock.now += 10.0
    observer.folds_done(1, 1)
    assert lines_of(observer)[-1].startswith("progress: 5/8 folds, 1/2 trials")


def test_lines_have_no_control_characters_but_line_feeds(plain, tmp_path):
    observer, _ = plain
    observer.note("a\x1b[31mb")
    observer.warn("two\nlines")
    search(observer, [row(0, 0.5, **{"hp.name": "\x1b]0;x\x07"}), failed(1, "E: \x1b[2J")])
    observer.stage("refit")
    observer.search_ended(make_run(tmp_path / "run", [row(0, 0.5)]))
    text = observer._stream.getvalue()
    assert not [c for c in text if not c.isprintable() and c != "\n"]
    assert "warning: two lines" in text


def test_nothing_is_shown_at_the_end_of_a_search_without_result(plain):
    observer, _ = plain
    observer.search_ended(None)
    assert lines_of(observer) == []


# --- quiet


def test_a_quiet_search_prints_one_line_and_warns_on_standard_error(tmp_path, capsys):
    stream = io.StringIO()
    with QuietObserver(stream) as observer:
        observer.note("x")
        observer.warn("no report")
        search(observer, [row(0, 0.5)])
        observer.stage("refit")
        observer.search_ended(make_run(tmp_path / "run", [row(0, 0.5)]))
    assert stream.getvalue() == f"{tmp_path / 'run'}: trial 0, log_loss 0.5000\n"
    assert capsys.readouterr().err == "warning: no report\n"


# --- the live display


@pytest.fixture
def live():
    console = Console(file=Terminal(), force_terminal=True, width=80, height=30)
    return LiveObserver(console, clock=Clock())


def test_the_live_display_tells_folds_best_score_and_time(live):
    live.search_started(n_trials=3, n_folds=4, metric="mae", direction="min", jobs=1)
    live.trial_done(row(0, 0.25))
    live.folds_done(1, 1)
    live._clock.now += 10.0
    live.close()
    text = shown(live)
    assert "5/12 folds" in text
    assert "1/3 trials, best mae 0.2500 (trial 0), 10 s, about 14 s left" in text


def test_the_live_display_names_the_stage_after_the_search(live):
    search(live, [row(0, 0.25)])
    live.stage("refit")
    live.close()
    assert "training the selected configuration on all rows" in shown(live)


def test_finished_trials_are_printed_above_the_display(live):
    search(live, [row(0, 0.25, score_se=0.01), failed(1)])
    live.close()
    text = live._console.file.getvalue()
    assert "0.250 ± 0.010" in text
    assert "ValueError: no units" in text


def test_the_cursor_comes_back_when_a_search_breaks(live):
    def interrupted_search():
        with live:
            live.search_started(n_trials=3, n_folds=4, metric="mae", direction="min", jobs=1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted_search()
    text = live._console.file.getvalue()
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1


def test_colours_are_left_out_where_no_color_is_set(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    with observer_for(stream=stream) as observer:
        search(observer, [row(0, 0.25), failed(1)])
    assert "\x1b[31m" not in stream.getvalue()
    assert "\x1b[1;32m" not in stream.getvalue()


def test_markup_in_names_is_shown_as_it_is(live):
    live.note("[red]not markup[/red]")
    search(live, [row(0, 0.25, **{"hp.[bold]x": 1})])
    live.close()
    text = live._console.file.getvalue()
    assert "[red]not markup[/red]" in text
    assert "[bold]x=1" in text


def test_the_live_display_says_that_a_trial_was_stopped_early(live):
    search(live, [row(3, 0.0712, "stopped", best_epoch=4)])
    live.close()
    assert "stopped early: units=24" in live._console.file.getvalue()


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_a_display_of_any_width_stays_inside_it(width):
    observer = LiveObserver(Console(file=io.StringIO(), width=width), clock=Clock())
    search(observer, [row(0, 0.25, **{"hp." + "long_name" * 9: 1}), failed(1, "E" * 500)])
    observer.close()
    assert max(map(len, observer._console.file.getvalue().splitlines())) <= width


# --- a finished run


def test_a_run_is_shown_with_ranks_estimates_and_files(tmp_path):
    best = {
        "trial": 1,
        "metric": "log_loss",
        "score": 0.25,
        "score_se": 0.012,
        "ci_low": 0.22,
        "ci_high": 0.28,
        "best_epoch": 17,
        "hyperparameters": {"units": 8},
        "metrics": {"log_loss": 0.25, "accuracy": 0.9},
        "test": {"log_loss": 0.31, "accuracy": 0.8},
    }
    settings = {
        "data": {"name": "wine", "task": "multiclass", "n_rows": 178, "n_columns": 13},
        "trials": 2,
        "folds": 4,
        "repeats": 1,
        "epochs": 50,
        "space": "mlp",
        "seed": 0,
        "test_rows": 36,
    }
    run = make_run(tmp_path / "run", [row(0, 0.5), row(1, 0.25)], best=best, settings=settings)
    text = shown(run_view(run), width=100)
    for part in (
        "wine, multiclass, 178 rows, 13 columns",
        "2 trials, 4 folds, 1 repeat, 50 epochs",
        "selected: trial 1, 17 epochs",
        "log_loss  0.250   0.012         0.220 to 0.280  0.3100",
        "accuracy  0.9000                                0.8000",
        "36 test rows",
        "trials.csv  every trial, the best first",
    ):
        assert part in text


def test_ranked_trials_come_in_order_and_the_rest_is_counted(tmp_path):
    run = make_run(tmp_path / "run", [row(i, (7 * i % 200) / 200) for i in range(200)])
    lines = shown(run_view(run, n_trials=3)).splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("rank"))
    assert [line.split()[:2] for line in lines[head + 1 : head + 4]] == [
        *(["1", "0"], ["2", "143"], ["3", "86"])
    ]
    assert lines[head + 4].strip() == "and 197 more trials"


def test_failed_trials_are_counted_and_the_first_reasons_told(tmp_path):
    run = make_run(tmp_path / "run", [row(0, 0.5), *(failed(i) for i in range(1, 6))])
    text = shown(run_view(run))
    assert "5 of 6 trials failed" in text
    assert text.count("ValueError: no units") == 3
    assert "and 2 more" in text


def test_what_was_recorded_does_not_count_as_pace():
    options = {"metric": "mae", "direction": "min", "jobs": 1, "started": 0.0}
    tally = Tally(n_trials=2, n_folds=10, **options)
    tally.add_folds(0, 10)
    tally.start_clock(100.0)
    assert tally.seconds_left(100.0) is None
    tally.add_folds(1, 2)
    tally.start_clock(105.0)  # a later batch of candidates
    assert tally.seconds_left(106.0) == 24.0


def test_the_time_left_is_never_more_than_what_a_limit_leaves():
    options = {"metric": "mae", "direction": "min", "jobs": 1, "started": 0.0}
    tally = Tally(n_trials=100, n_folds=10, ends=60.0, **options)
    tally.start_clock(0.0)
    tally.add_folds(0, 10)
    assert tally.seconds_left(20.0) == 40.0
    assert tally.seconds_left(70.0) == 0.0


def test_a_trial_that_ends_again_in_a_larger_field_counts_once():
    options = {"metric": "mae", "direction": "min", "jobs": 1, "started": 0.0}
    tally = Tally(n_trials=3, n_folds=10, **options)
    for status in ("stopped", "completed"):
        tally.add_trial(row(0, 0.5, status=status))
    assert (tally.n_finished, tally.best_trial) == (1, 0)


def test_hyperparameters_that_never_change_are_left_out_of_the_ranking(tmp_path):
    rows = [row(0, 0.5, **{"hp.act": "relu"}), row(1, 0.4, **{"hp.act": "relu"})]
    text = shown(run_view(make_run(tmp_path / "run", rows)))
    assert "units=8" in text
    assert "act=relu" not in text


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_a_run_is_shown_inside_any_width(tmp_path, width):
    rows = [row(i, 0.5 + i, **{"hp." + "long_name" * 9: "x" * 90}) for i in range(3)]
    run = make_run(tmp_path / "run", [*rows, failed(3, "E" * 5000)])
    assert max(map(len, shown(run_view(run), width=width).splitlines())) <= width


# --- named sets and spaces


def test_every_named_set_is_listed():
    text = shown(catalogue_view(catalogue()))
    assert all(record.name in text for record in catalogue())


def test_a_space_is_listed_with_values_default_and_condition():
    parameters = [Parameter("momentum", "float", "0 to 0.9", 0.5, "optimizer is sgd")]
    assert "momentum        0 to 0.9  0.5      optimizer is sgd" in shown(space_view(parameters))


def test_a_drawn_configuration_is_shown_in_full():
    candidate = Candidate(0, {f"hyperparameter_{i}": i for i in range(30)})
    text = " ".join(shown(candidates_view([candidate])).split())
    assert all(f"hyperparameter_{i}={i}" in text for i in range(30))


# --- words


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(0, 1e300))
def test_scores_are_short_whatever_their_size(value, se):
    assert len(words.score(value, se)) <= 28


@pytest.mark.parametrize(
    ("value", "se", "text"),
    [
        (0.1234567, 0.0123, "0.123 ± 0.012"),
        (-1.5, 0.25, "-1.50 ± 0.25"),
        (12345.6, 789.0, "12346 ± 789"),
        (0.5, 0.0, "0.5000"),
        (0.5, math.nan, "0.5000"),
        (123.456, None, "123.5"),
        (None, 0.1, "-"),
        (math.nan, None, "-"),
        (math.inf, None, "inf"),
    ],
)
def test_a_score_is_written_to_the_second_digit_of_its_error(value, se, text):
    assert words.score(value, se) == text


@given(st.text())
def test_one_line_is_one_printable_line(text):
    assert words.one_line(text).isprintable()


@given(st.text(), st.text())
def test_an_error_is_one_line_of_bounded_length(first, second):
    line = words.error_line(first + "\n" + second)
    assert line.isprintable()
    assert 0 < len(line) <= 200


def test_layers_stand_together_in_a_configuration():
    values = {"units_10": 3, "units_2": 2, "units_1": 1, "optimizer": "adam", "batch_size": 32}
    assert words.configuration(values) == "units=1/2/3 opt=adam batch=32"


def test_a_run_with_a_model_says_how_to_predict(tmp_path):
    run = make_run(tmp_path / "run", [row(0, 0.5)], best={"trial": 0}, settings={})
    assert "hpsearch predict" not in shown(run_view(run), width=200)
    (run.path / "model.keras").touch()
    assert f"hpsearch predict {run.path} NEW_ROWS.csv" in shown(run_view(run), width=200)


def test_a_display_shows_the_check_before_the_trials_and_then_their_progress(live):
    live.stage("check")
    assert "default network" in shown(live)
    live.search_started(n_trials=3, n_folds=4, metric="mae", direction="min", jobs=1)
    assert "0/12 folds" in shown(live)
    live.close()


def test_the_end_of_a_search_is_the_answer_and_where_the_rest_is(tmp_path):
    run = make_run(tmp_path / "run", [row(0, 0.5), row(1, 0.4)])
    text = shown(answer_view(run), width=160)
    assert len(text.splitlines()) <= 30
    assert f"  hpsearch show {run.path}" in text
    assert "selected: trial" in text.splitlines()[0]
    assert "\nrank  " not in text


def test_the_end_of_a_search_with_a_limit_of_time_says_what_was_done_in_it(tmp_path):
    budget = Budget(10.0, 2, 60, until_decided=False, max_repeats=10).to_json()
    run = make_run(tmp_path / "run", [row(0, 0.5), row(1, 0.4)], settings={"budget": budget})
    for view in (answer_view, run_view):
        assert "2 of 60 trials in 10 minutes" in shown(view(run), width=160)
    assert f"hpsearch resume {run.path} --minutes M" in shown(answer_view(run), width=160)
