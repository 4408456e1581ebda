"""A search that is killed, workers and all, and resumed, gives the tables of one that is not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
N_KILLS = 8


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What became of a search that was killed often, and stopped by signals."""
    return result_of("kills.py", tmp_path_factory.mktemp("kills"), str(N_KILLS), "4")


def result_of(script, *arguments):
    """Run a script of this folder; what it prints."""
    command = [sys.executable, ROOT / "tests" / script, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "numpy"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """What became of searches that were killed before one of their steps on the disk."""
    return result_of("step_kills.py", tmp_path_factory.mktemp("steps"), "15")


def test_a_search_killed_at_random_instants_resumes_to_the_same_tables(found):
    assert found["different"] == []
    assert found["left"] == 0  # processes, two seconds after a kill
    assert found["begun"] >= N_KILLS // 2  # kills of a run that had begun its journal


def test_a_stopped_search_ends_with_its_exit_code_and_says_how_to_go_on(found):
    [by_ctrl_c, by_signal] = found["stops"]
    assert by_ctrl_c == [130, "error: stopped by Ctrl-C. `hpsearch resume stop-2` goes on."]
    said = "error: stopped by a termination signal. `hpsearch resume stop-15` goes on."
    assert by_signal == [143, said]


def test_a_search_killed_before_any_step_on_the_disk_is_taken_up_again(steps):
    assert steps["wrong"] == []
    assert steps["kills"] == {"Fresh": 5, "Overwriting": 5, "Growing": 5}
