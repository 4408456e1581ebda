"""The command line as a process of its own, from the checkout."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def hpsearch_command(*arguments, folder):
    """Run ``hpsearch`` from the checkout in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "hpsearch", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def succeeded(*arguments, folder):
    """Run ``hpsearch``, which must succeed."""
    done = hpsearch_command(*arguments, folder=folder)
    assert done.returncode == 0, done.stderr
    return done
