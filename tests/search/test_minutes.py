"""A limit of time: what is started, what is recorded of it, and how a run goes on from there."""

import shlex
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.errors import OptionError
from hpsearch.results.journal import Journal
from hpsearch.scoring.observer import SilentObserver
from hpsearch.search.budget import Budget
from hpsearch.search.racing import Racing

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ASKED = {"trials": 60, "folds": 2, "repeats": 2, "epochs": 3, "batch_size": 12, "jobs": 1,
         "race": "off", "rungs": 1, "baselines": False}  # fmt: skip
TABLES = ("trials.csv", "folds.csv", "curves.csv", "predictions.csv")
SPACE = """
def declare(hp, problem):
    hp.Float("rate", 0.0, 1.0)  # above 0.9 it fails


def build(hp, problem):
    raise NotImplementedError
"""
WAYS = {
    "every repeat of every trial": {},
    "a race over repeats": {"race": "corrected-t"},
    "the usual race, in brackets": {
        "race": "auto",
        "rungs": None,
        "bracket": 9,
        "epochs": 9,
        "repeats": 1,
    },
    "a race with rungs": {"race": "corrected-t", "rungs": 3, "epochs": 9},
    "a bayesian oracle": {"oracle": "bayesian", "repeats": 1, "minutes": 0.5},
    "hyperband": {"oracle": "hyperband", "epochs": 9, "repeats": 1},
    "a search in outer folds": {"nested": 2, "repeats": 1, "epochs": 2},
    "patience": {"patience": 1},
}


def visits(n=48):
    rng = np.random.default_rng(0)
    age, size = rng.normal(50, 10, n).round(1), rng.normal(0, 1, n).round(2)
    ill = np.where(age + 8 * size + rng.normal(0, 3, n) > 50, "yes", "no")
    return pd.DataFrame({"age": age, "size": size, "ill": ill})


class Clock:
    """Stands for the clock, which training moves on."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


class Notes(SilentObserver):
    """Remembers what is said; presses Ctrl-C when so many units are done."""

    def __init__(self, n_units=0):
        self.texts, self.n_left = [], n_units

    def note(self, text):
        self.texts.append(text)

    warn = note

    def folds_done(self, trial, n):
        self.n_left -= 1
        if self.n_left == 0:
            raise KeyboardInterrupt


@pytest.fixture
def clock(monkeypatch, pretended):
    clock, train = Clock(), pretended.train

    def timed(job, unit):
        result = train(job, unit)
        seconds = 0.5 + 0.25 * sum(fold.epochs for fold in result.folds)
        clock.seconds += 1.2 * seconds  # handing out and recording take time as well
        return replace(result, seconds=seconds)

    monkeypatch.setattr(pretended, "train", timed)
    for module in ("execution", "pacing"):
        monkeypatch.setattr(f"hpsearch.search.{module}.now", clock)
    return clock


@pytest.fixture
def search(tmp_path, clock, pretend_here):
    visits().to_csv(tmp_path / "visits.csv", index=False)
    (tmp_path / "space.py").write_text(SPACE)

    def search(name, **options):
        data = hpsearch.load(tmp_path / "visits.csv", target="ill")
        with pretend_here() as engine:
            options = ASKED | {"engine": engine, "out": tmp_path / name} | options
            return hpsearch.Search(tmp_path / "space.py", **options).run(data)

    return search


@pytest.fixture
def resume(tmp_path, clock, pretend_here):
    def resume(name, **options):
        with pretend_here():
            return hpsearch.resume(tmp_path / name, **options)

    return resume


def tables_of(run):
    """Tables and documents, but for what says that there was a limit."""
    tables = {name: (run.path / name).read_bytes() for name in TABLES}
    documents = {**run.settings, "budget": None}, {**run.best, "sha256": None}
    return tables | dict(zip(("run.json", "best.json"), documents, strict=True))


@pytest.mark.parametrize("way", WAYS)
def test_a_search_ends_in_time_as_the_search_of_so_many_trials(search, resume, clock, way):
    options = {"minutes": 1} | WAYS[way]
    allowed = 60 * options["minutes"]
    run = search("limited", **options)
    assert 0.6 * allowed < clock.seconds <= allowed
    n_trials, tables = run.settings["trials"], tables_of(run)
    assert 1 < n_trials == len(run.trials) < 60
    assert run.settings["minutes"] is None
    assert run.settings["budget"]["trials"] == 60
    options |= {"minutes": None} | {name: run.settings[name] for name in ("race", "rungs")}
    whole = search("whole", **options | {"trials": n_trials})
    assert tables == tables_of(whole)

    clock.seconds = 0.0
    (run.path / "best.json").unlink()
    assert tables_of(resume("limited")) == tables
    assert clock.seconds == 0, "nothing is trained again"

    run = resume("limited", minutes=allowed / 60)
    assert clock.seconds <= allowed
    more = run.settings["trials"]
    assert n_trials < more <= 60
    assert run.settings["budget"]["started"] == more
    assert run.settings["budget"]["minutes"] == 2 * allowed / 60
    whole = search("larger", **options | {"trials": more})
    assert tables_of(run) == tables_of(whole)


def test_a_limit_that_is_not_reached_changes_nothing(search, resume):
    limited, whole = search("limited", trials=4, minutes=9), search("whole", trials=4)
    assert tables_of(limited) == tables_of(whole)
    notes = Notes()
    resume("limited", minutes=9, observer=notes)
    assert notes.texts[-1].startswith("The run is finished, 4 of 4 trials in 9 minutes; --minutes,")


def test_with_too_little_time_one_trial_is_trained_and_that_is_said(search):
    notes = Notes()
    run = search("limited", minutes=0.001, observer=notes)
    assert run.trials["trial"].tolist() == [0]
    assert "1 of 60 trials in 0.001 minutes" in notes.texts[-1]


def test_a_run_that_is_stopped_before_its_time_goes_on_with_as_much_again(search, resume, clock):
    with pytest.raises(KeyboardInterrupt):
        search("limited", minutes=1, observer=Notes(n_units=12))
    clock.seconds = 0.0
    run = resume("limited")
    assert 45 < clock.seconds <= 60
    n_trials = run.settings["trials"]
    assert tables_of(run) == tables_of(search("whole", trials=n_trials))


def test_a_run_that_is_killed_after_its_time_keeps_what_was_recorded(
    search, resume, clock, tmp_path, pretended
):
    def stop(*arguments):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretended, "refit_and_export", stop)
        with pytest.raises(KeyboardInterrupt):
            search("limited", minutes=1)
    with Journal.open(tmp_path / "limited" / "journal.sqlite") as journal:
        n_trials = journal.settings["options"]["trials"]
    clock.seconds = 1e9
    run = resume("limited")
    assert run.settings["trials"] == n_trials
    assert tables_of(run) == tables_of(search("whole", trials=n_trials))


def test_trials_given_without_minutes_have_no_limit_of_time(search, resume, clock):
    search("limited", minutes=0.5)
    clock.seconds = 1e9
    run = resume("limited", trials=20)
    assert len(run.trials) == run.settings["trials"] == 20
    assert run.settings["budget"] is None
    assert tables_of(run) == tables_of(search("whole", trials=20))


def test_more_repeats_go_to_the_trials_that_were_started(search, resume, clock):
    n_trials = search("limited", minutes=0.5).settings["trials"]
    clock.seconds = 1e9
    run = resume("limited", repeats=3)
    assert run.settings["trials"] == n_trials
    assert run.settings["budget"]["started"] == n_trials
    assert tables_of(run) == tables_of(search("whole", trials=n_trials, repeats=3))


def test_leaders_get_more_repeats_while_there_is_time(search, resume, clock, monkeypatch):
    options = {"until_decided": True, "max_repeats": 99, "trials": 3}
    notes = Notes()
    monkeypatch.setattr(Racing, "_leaders", lambda racing, trials: (list(trials), None))
    monkeypatch.setattr(Racing, "_undecided", lambda *arguments: "never")
    run = search("limited", minutes=1, observer=notes, **options)
    assert 45 < clock.seconds <= 60
    assert any("there is no time for more" in text for text in notes.texts)
    reached = run.settings["max_repeats"]
    assert 2 < reached < 99
    whole = search("whole", **options | {"max_repeats": reached, "trials": run.settings["trials"]})
    assert tables_of(run) == tables_of(whole)
    clock.seconds = 0.0
    assert tables_of(resume("limited")) == tables_of(whole)
    assert clock.seconds == 0.0
    assert resume("limited", minutes=1).settings["max_repeats"] > reached


def test_the_command_of_the_run_makes_it_again_without_a_clock(search):
    run = search("limited", minutes=0.5)
    words = shlex.split(run.settings["command"])
    assert "--minutes" not in words
    assert words[words.index("--trials") + 1] == str(run.settings["trials"])


@pytest.mark.parametrize("minutes", [0, -1, float("nan"), float("inf"), "10", True, [1]])
def test_what_is_no_time_is_refused(minutes):
    with pytest.raises(OptionError, match="`minutes` is a number of minutes above 0; received"):
        hpsearch.Search(minutes=minutes)


def test_a_budget_says_what_was_done():
    budget = Budget(1, 1, 1, until_decided=False, max_repeats=10)
    assert budget.done == "1 of 1 trial in 1 minute"
