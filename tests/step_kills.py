"""A search that is killed before one of its steps on the disk: run as a script by a test.

A step is a call that makes, renames, flushes or removes a file or folder, or that writes into the
journal; the process counts its own and kills itself before the n-th, from the first lock to the
report. So kills reach what takes too short a time to be hit at random: the journal's making, the
exchange of two runs, export and report. Trainings are pretended, in the search's own process.
"""

import json
import os
import random
import shutil
import signal
import sys
from pathlib import Path

import kills  # first, since it imports Keras for the backend that it is given
import numpy as np
import pretended
import pytest
from machines_here import MachinesHere

import hpsearch
from hpsearch.errors import InputError
from hpsearch.results.journal import Journal

OPTIONS = (
    "run table.csv --target y --space space.py --jobs 1 --folds 2 --repeats 2 --epochs 2 "
    "--engine pretended --batch-size 9 --no-baselines --nested 2 --test-size 0.2"
)
SMALL, LARGE = "--trials 2 --seed 0", "--trials 3 --seed 0"
OTHER = "--trials 2 --seed 7"
CALLS = ("replace", "rename", "unlink", "rmdir", "mkdir", "fsync")
COUNTED = "steps.txt"


def begin(command, step):
    """Run a command in a fork that is killed before a step; its exit code, -9 where it was."""
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status)
    log = os.open("log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    n_steps = 0

    def counted(call):
        def step_or_end(*arguments, **options):
            nonlocal n_steps
            n_steps += 1
            if n_steps == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return step_or_end

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))
    for name in ("record", "update"):
        setattr(Journal, name, counted(getattr(Journal, name)))
    code = 70
    try:
        code = hpsearch.cli.main(command.split())
        Path(COUNTED).write_text(str(n_steps))
    finally:
        os._exit(code)


class Fresh:
    """A search into a folder of its own."""

    after = LARGE

    def prepare(self, name):
        pass

    def command(self, name):
        has_begun = Path(name, "journal.sqlite").exists()
        return f"resume {name}" if has_begun else f"{OPTIONS} {LARGE} --out {name}"

    def before(self):
        return None


class Overwriting(Fresh):
    """A search in the place of another run."""

    def prepare(self, name):
        shutil.copytree("other", name)

    def command(self, name):
        is_new = json.loads(Path(name, "run.json").read_text())["seed"] == 0
        has_begun = is_new or Path(name, ".next/journal.sqlite").exists()
        has_begun = has_begun or Path(name, ".done").exists()
        return f"resume {name}" if has_begun else f"{OPTIONS} {LARGE} --out {name} --overwrite"

    def before(self):
        return tables_of("other")


class Growing(Fresh):
    """A finished run that is given one more trial."""

    def prepare(self, name):
        shutil.copytree("small", name)

    def command(self, name):
        return f"resume {name} --trials 3"

    def before(self):
        return tables_of("small")


SCENARIOS = (Fresh(), Overwriting(), Growing())


def tables_of(name):
    return {table: Path(name, table).read_bytes() for table in kills.TABLES}


def is_whole(name, wanted):
    """Whether what can be opened is a whole run, the older or the new one."""
    try:
        run = hpsearch.open_run(name)
    except InputError:
        return None  # it says how to go on, which is tried next
    return run.changed() == [] and tables_of(name) in wanted


def killed(scenario, name, step):
    """Kill a search before a step, then take the folder up; what went wrong, if anything."""
    scenario.prepare(name)
    while (code := begin(scenario.command(name), step)) != -signal.SIGKILL:
        if code != 0:
            return f"it ends with {code}"
        shutil.rmtree(name)  # it had fewer steps: how often tables are written follows the clock
        scenario.prepare(name)
        step -= 5
    whole = tables_of("whole")
    if is_whole(name, [whole, scenario.before()]) is False:
        return "what can be opened is neither the older run nor the new one"
    for _ in range(2):  # the second time there is nothing left to do
        command = scenario.command(name)
        if begin(command, 0) != 0:
            return f"{command} ends with an error"
    left = {item.name for item in Path(name).iterdir()}
    if tables_of(name) != whole:
        return "its tables are not those of a search that was never killed"
    if any(item.startswith((".hpsearch-", ".next", ".done")) for item in left):
        return f"it leaves {sorted(left)}"
    if not {"report.html", "model_card.md", "model.keras"} <= left:
        return f"it lacks a file: {sorted(left)}"
    return ""


def steps_to_try(n_steps, n, rng):
    """Where to kill: half at the beginning and the end, where folders are made and exchanged."""
    ends = [step for step in range(1, n_steps + 1) if step <= 15 or step > n_steps - 45]
    chosen = rng.sample(ends, min(len(ends), n // 2))
    others = sorted(set(range(1, n_steps + 1)) - set(chosen))
    return sorted(chosen + rng.sample(others, min(len(others), n - len(chosen))))


@pretended.pretend()
def main(folder, n_kills):
    os.chdir(folder)
    rng = np.random.default_rng(0)
    rows = "\n".join(f"{a:.3f},{b:.3f}" for a, b in rng.random((50, 2)))
    Path("table.csv").write_text(f"x,y\n{rows}\n")
    Path("space.py").write_text(kills.SPACE)
    instants = random.Random(0)
    found = {"steps": {}, "kills": {}, "wrong": []}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hpsearch.scoring.crew.machines", MachinesHere)
        for name, options in (("whole", LARGE), ("small", SMALL), ("other", OTHER)):
            assert begin(f"{OPTIONS} {options} --out {name}", 0) == 0, Path("log.txt").read_text()
        for scenario in SCENARIOS:
            kind = type(scenario).__name__
            scenario.prepare(kind)
            assert begin(scenario.command(kind), 0) == 0, Path("log.txt").read_text()
            n_steps = int(Path(COUNTED).read_text())
            steps = steps_to_try(n_steps, n_kills // len(SCENARIOS), instants)
            for step in steps:
                name = f"{kind}-{step}"
                if wrong := killed(scenario, name, step):
                    found["wrong"].append(f"{name} of {n_steps}: {wrong}")
                shutil.rmtree(name, ignore_errors=True)
            found["steps"][kind], found["kills"][kind] = n_steps, len(steps)
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
