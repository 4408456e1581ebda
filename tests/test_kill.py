"""A search that is killed, workers and all, and resumed, gives the tables of one that is not."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
N_KILLS = 8


def test_a_search_killed_at_random_instants_resumes_to_the_same_tables(tmp_path):
    command = [sys.executable, ROOT / "tests/kills.py", tmp_path, str(N_KILLS), "4"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "numpy"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["different"] == []
    assert found["left"] == 0  # processes, two seconds after a kill
    assert found["begun"] >= N_KILLS // 2  # kills of a run that had begun its journal
