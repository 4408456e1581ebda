"""Workers come and go without a word on the terminal, on Ctrl-C too."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from hpsearch.system import signals_wait

ROOT = Path(__file__).parent.parent

STOPPED_WHILE_TASKS_WAIT = """
import time
from hpsearch.engines.workers import LokyWorkers

with LokyWorkers(2) as workers:
    results = workers.map_unordered(time.sleep, [0.02] * 60)
    for _ in range(10):
        next(results)
    raise SystemExit(130)
"""

REPLACED_FOR_ITS_MEMORY = """
import os
from hpsearch.engines.workers import LokyWorkers

def grow(number):
    import time
    from joblib.externals.loky import process_executor

    process_executor._MAX_MEMORY_LEAK_SIZE = -10**9  # any worker has grown by more
    time.sleep(1.1)  # loky looks at a worker's memory once a second
    return os.getpid()

with LokyWorkers(1) as workers:
    print(len(set(workers.map_unordered(grow, range(3)))))
"""


def run_python(program):
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_workers_are_stopped_without_a_word_while_tasks_wait():
    done = run_python(STOPPED_WHILE_TASKS_WAIT)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_worker_is_replaced_for_its_memory_without_a_word():
    done = run_python(REPLACED_FOR_ITS_MEMORY)
    assert done.stderr == ""
    assert int(done.stdout) > 1


def interrupted_after(beginning, folder, seconds=0.0):
    """A search that got Ctrl-C after a line that begins so: exit code, standard error."""
    command = [
        *(sys.executable, "-u", "-m", "hpsearch", "run", "sklearn:iris", "--out", "run"),
        *("--trials", "60", "--folds", "2", "--repeats", "1", "--epochs", "2", "--jobs", "2"),
        *("--engine", "reference", "--fix", "n_layers=1"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if line.startswith(beginning))
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to every process
        _, errors = process.communicate()
    return process.returncode, errors


def test_a_search_that_is_stopped_says_so_in_one_line_and_keeps_its_trials(tmp_path):
    code, errors = interrupted_after("trial ", tmp_path)
    folder = tmp_path / "run"
    assert code == 130
    [line] = errors.splitlines()
    assert "stopped by Ctrl-C" in line
    assert len(pd.read_csv(folder / "trials.csv")) >= 1
    assert not (folder / "model.keras").exists()


@pytest.mark.parametrize(("beginning", "seconds"), [("target:", 0.1), ("check:", 0.4)])
def test_a_search_that_is_stopped_while_libraries_are_imported_says_so_in_one_line(
    tmp_path, beginning, seconds
):
    code, errors = interrupted_after(beginning, tmp_path, seconds)
    assert code == 130
    assert errors == "error: stopped by Ctrl-C. Nothing was trained yet.\n"


def test_a_signal_that_waits_comes_when_the_block_ends():
    reached = []

    def import_something():
        with signals_wait():
            signal.raise_signal(signal.SIGINT)
            reached.append("end")

    with pytest.raises(KeyboardInterrupt):
        import_something()
    assert reached == ["end"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
