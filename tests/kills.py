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

import keras_tuner  # noqa: F401  (imported before the forks, for speed)
import numpy as np
import pretended
import psutil

import hpsearch.cli
import hpsearch.search.execution

SPACE = """
def declare(hp, problem):
    hp.Float("rate", 0.0, 1.0)

def build(hp, problem):
    raise NotImplementedError
"""
TABLES = ("trials.csv", "folds.csv", "curves.csv", "predictions.csv", "nested.csv", "run.json",
          "best.json")  # fmt: skip


def train_slowly(task):
    result = pretended.train(*task)
    time.sleep(len(task[1].folds) * float(os.environ.get("PRETENDED_SECONDS", "0.01")))
    return result


def export_slowly(*arguments):
    time.sleep(0.1)
    return pretended.refit_and_export(*arguments)


def check_slowly(*arguments):
    time.sleep(0.1)


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
    options = f"{options} {racing} --engine pretended --batch-size 9 --nested 2 --no-baselines"
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


@pretended.pretend()
def main(folder, n_kills, kills_per_run):
    os.chdir(folder)
    rng = np.random.default_rng(0)
    rows = "\n".join(f"{a:.3f},{b:.3f}" for a, b in rng.random((60, 2)))
    Path("table.csv").write_text(f"x,y\n{rows}\n")
    Path("space.py").write_text(SPACE)
    pretended.PretendedEngine.train = staticmethod(train_slowly)
    hpsearch.search.final_model.refit_and_export = export_slowly
    hpsearch.search.final_model.check_reload = check_slowly
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
