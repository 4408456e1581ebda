"""Kill real searches at random instants, resume them, and compare every table.

    python benchmarks/kill.py                    # 200 kills, about an hour on two cores
    python benchmarks/kill.py --kills 20 --engine reference
    python benchmarks/kill.py --steps            # 200 kills at chosen steps, about ten minutes

Each search is killed (SIGKILL, the parent alone) some times in a row, begun or resumed again each
time, then left to end. Its tables must be those of a search that was never killed, byte for byte,
and two seconds after a kill none of its processes may be left. Prints a line a kill and a summary;
exits with 1 where anything is different. The test suite does the same with a pretended engine.

With ``--steps`` trainings are pretended, and a search is killed before one of its own steps on the
disk, half of them at its beginning and its end: the journal's making, an exchange with --overwrite,
a finished run that grows, export and report. What can be opened after a kill must be the older run
or the new one, whole; the next command must take the folder up and give the tables of a search that
was never killed; and nothing may be left that it does not name (``tests/step_kills.py``).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
TABLES = ("trials.csv", "folds.csv", "curves.csv", "predictions.csv", "run.json", "best.json")


def begin(folder, engine):
    """Begin a run, or go on with it."""
    program = [sys.executable, "-m", "hpsearch"]
    if (folder / "journal.sqlite").exists():
        arguments = ["resume", folder]
    else:
        budget = "--trials 6 --folds 3 --repeats 2 --epochs 20 --fix n_layers=1"
        data = ["run", "sklearn:wine", "--engine", engine, "--out", folder]
        arguments = [*data, *budget.split()]
    nowhere = subprocess.DEVNULL
    return subprocess.Popen([*program, *map(str, arguments)], stdout=nowhere, stderr=nowhere)


def finish(folder, engine):
    """Let a run end; its tables."""
    if begin(folder, engine).wait() != 0:
        raise RuntimeError(f"{folder} did not end well")
    return {name: (folder / name).read_bytes() for name in TABLES}


def stage(folder):
    """How far a run has come."""
    files = (("best.json", "ended"), ("model.keras", "exported"), ("journal.sqlite", "begun"))
    return next((word for name, word in files if (folder / name).exists()), "starting")


def kill(folder, engine, seconds):
    """Kill a run after some seconds; its stage, and the processes left two seconds later."""
    process = begin(folder, engine)
    time.sleep(seconds)
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        children = []
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _, left = psutil.wait_procs(children, timeout=2)
    return stage(folder), sum(map(is_alive, left))


def is_alive(process):
    """Whether a process runs, and does not only wait to be collected."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill_at_steps(n_kills):
    """Kill searches with pretended trainings before steps on the disk; the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, ROOT / "tests/step_kills.py", folder, str(n_kills)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "numpy"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    found = json.loads(done.stdout)
    for kind, n in found["kills"].items():
        print(f"{kind}: {n} kills at {found['steps'][kind]} steps")
    print("\n".join(found["wrong"]) or "every folder was taken up again; nothing was lost")
    return 1 if found["wrong"] else 0


def main():
    """Kill, resume, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--kills-per-run", type=int, default=5)
    parser.add_argument("--engine", choices=("fused", "reference"), default="fused")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", action="store_true", help="with pretended trainings")
    options = parser.parse_args()
    if options.steps:
        return kill_at_steps(options.kills)
    instants = random.Random(options.seed)
    stages, different, n_left = Counter(), [], 0
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        finish(root / "warm up", options.engine)  # compiled programs are kept from here on
        started = time.monotonic()
        whole = finish(root / "whole", options.engine)
        seconds = time.monotonic() - started
        print(f"an uninterrupted run takes {seconds:.1f} s")
        for first in range(0, options.kills, options.kills_per_run):
            folder = root / f"run {first}"
            for number in range(first, min(first + options.kills_per_run, options.kills)):
                after = instants.uniform(0.0, 1.0) * seconds
                found, left = kill(folder, options.engine, after)
                stages[found] += 1
                n_left += left
                print(f"kill {number}: after {after:.1f} s, {found}, {left} left", flush=True)
            tables = finish(folder, options.engine)
            different += [f"{folder.name}/{n}" for n in TABLES if tables[n] != whole[n]]
    print(f"{options.kills} kills: {dict(stages)}, {n_left} processes left")
    print(f"different tables: {different or 'none'}")
    return 1 if different or n_left else 0


if __name__ == "__main__":
    sys.exit(main())
