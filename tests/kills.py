"""A search that trains nothing but does all else, to be killed often: run as a script by a test.

Everything is imported once; then each search is a fork of this process, with worker processes of
its own. In the place of Keras stand functions that make numbers of the same form out of the seeds.
"""

import contextlib
import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path
from types import SimpleNamespace

import keras_tuner  # noqa: F401  (imported before the forks, for speed)
import numpy as np
import psutil

import hpsearch.cli
import hpsearch.scoring
import hpsearch.search
from hpsearch.engines.base import FoldResult, UnitResult, plan_units, read_fit_data, replica_seed
from hpsearch.refit import Refitted

SPACE = """
def declare(hp, problem):
    hp.Float("rate", 0.0, 1.0)

def build(hp, problem):
    raise NotImplementedError
"""
TABLES = ("trials.csv", "folds.csv", "curves.csv", "predictions.csv", "nested.csv", "run.json",
          "best.json")  # fmt: skip
EPOCHS = 5


def pretend_to_train(task):
    job, unit = task
    data = read_fit_data(job.data_path)
    folds = []
    for position in unit.folds:
        fold = data.folds[position]
        seed = replica_seed(job.options.seed, unit.candidate.trial, fold.repeat, fold.fold)
        rng = np.random.default_rng(seed)
        curves = {name: rng.random(EPOCHS) for name in job.options.metrics}
        predictions = rng.random((EPOCHS, len(fold.validation), 1)).astype(np.float32)
        whole = FoldResult(position, seed, EPOCHS, rng.random(EPOCHS), curves, curves,
                           predictions, state=["a state"])  # fmt: skip
        folds.append(whole.between(unit.span.since, unit.span.end(EPOCHS)))
        time.sleep(float(os.environ.get("PRETENDED_SECONDS", "0.01")))
    failed = unit.candidate.values["rate"] > 0.9
    values, error = dict(unit.candidate.values), "it was told to" if failed else None
    kept = () if failed else tuple(folds)
    return UnitResult(unit.without_states(), kept, values, 9, 0.01, error)


class PretendedEngine:
    def __init__(self, workers, job):
        self.workers, self.job = workers, job

    def score(self, work):
        folds = read_fit_data(self.job.data_path).folds
        units = plan_units(work, folds, patience=None)
        yield from self.workers.map_unordered(pretend_to_train, [(self.job, u) for u in units])


def pretend_to_export(*arguments):
    time.sleep(0.1)
    Path(arguments[5]).write_bytes(b"a model")
    return Refitted("0", 9, None, ())


def pretend_to_predict(engine, job, candidate, n_steps, rows):
    return np.full((rows.n_rows, 1), candidate.values["rate"], np.float32)


class PretendedCheck:
    def __init__(self, environment):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def verify(self, *paths):
        time.sleep(0.1)


def pretend():
    """Put the functions above in the place of Keras."""
    hpsearch.scoring.ReferenceEngine = PretendedEngine
    hpsearch.scoring.import_tensorflow = None
    probe = SimpleNamespace(warnings=(), scalable_target=True)
    hpsearch.scoring.Session._probe = lambda *arguments: probe
    hpsearch.search.refit_and_export = pretend_to_export
    hpsearch.search.refit_and_predict = pretend_to_predict
    hpsearch.search.ReloadCheck = PretendedCheck


def begin(*arguments):
    """Start a command in a process of its own."""
    pid = os.fork()
    if pid:
        return psutil.Process(pid)
    log = os.open("log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        os._exit(hpsearch.cli.main(list(arguments)))
    finally:
        traceback.print_exc()
        os._exit(70)


def begin_or_resume(name):
    if Path(name, "journal.sqlite").exists():
        return begin("resume", name)
    options = f"--out {name} --target y --space space.py --trials 12 --jobs 2 --folds 3"
    racing = "--epochs 5 --race forgiving --rungs 2 --until-decided --max-repeats 5"
    options = f"{options} {racing} --engine keras --batch-size 9 --nested 2 --no-baselines"
    return begin("run", "table.csv", *options.split())


def finish(name):
    """Let a run end; its tables."""
    process = begin_or_resume(name)
    _, status = os.waitpid(process.pid, 0)
    assert status == 0, Path("log.txt").read_text()
    return {table: Path(name, table).read_bytes() for table in TABLES}


def kill(name, seconds):
    """Begin or go on with a run and kill it; processes that are left two seconds later."""
    process = begin_or_resume(name)
    time.sleep(seconds)
    children = []
    with contextlib.suppress(psutil.NoSuchProcess):
        children = process.children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    os.waitpid(process.pid, 0)
    _, left = psutil.wait_procs(children, timeout=2)
    return sum(map(is_alive, left))


def is_alive(process):
    """Whether a process runs; one that only waits for its new parent to notice its end doesn't."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def stop(name, number):
    """Stop a run that has finished some work; its exit code and the last line of its own.

    The process is a fork that leaves no time to clear up, so joblib's tracker may speak later.
    """
    os.environ["PRETENDED_SECONDS"] = "0.2"  # so that it can't end before the signal comes
    process = begin_or_resume(name)
    del os.environ["PRETENDED_SECONDS"]
    while not Path(name, "trials.csv").exists():
        time.sleep(0.02)
    os.kill(process.pid, number)
    _, status = os.waitpid(process.pid, 0)
    lines = Path("log.txt").read_text().splitlines()
    said = [line for line in lines if line.startswith("error:")]
    return os.waitstatus_to_exitcode(status), said[-1] if said else lines[-5:]


def main(folder, n_kills, kills_per_run):
    os.chdir(folder)
    rng = np.random.default_rng(0)
    rows = "\n".join(f"{a:.3f},{b:.3f}" for a, b in rng.random((60, 2)))
    Path("table.csv").write_text(f"x,y\n{rows}\n")
    Path("space.py").write_text(SPACE)
    pretend()
    started = time.monotonic()
    whole = finish("whole")
    seconds = time.monotonic() - started
    instants = random.Random(0)
    found = {"seconds": seconds, "left": 0, "different": [], "begun": 0}
    for first in range(0, n_kills, kills_per_run):
        name = f"run-{first}"
        for _ in range(kills_per_run):
            found["left"] += kill(name, instants.uniform(0.1, 1.0) * seconds)
            found["begun"] += Path(name, "journal.sqlite").exists()
        tables = finish(name)
        found["different"] += [f"{name}/{t}" for t in TABLES if tables[t] != whole[t]]
    found["stops"] = [stop(f"stop-{n}", n) for n in (signal.SIGINT, signal.SIGTERM)]
    found["different"] += [t for t in TABLES if finish("stop-15")[t] != whole[t]]
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
