"""What nesting costs: a search with --nested 5 against the same search without it.

Both are commands of their own, one after the other, on the same machine and with the same options:

    python benchmarks/nested.py

Wall time is what a person waits; processor time is what other work on the machine changes least.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent


def measure(folder, *options):
    """Seconds of wall time and of processor time, workers included, of one search."""
    command = [sys.executable, "-m", "hpsearch", "run", *options, "--out", str(folder), "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, spent


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", default="sklearn:breast_cancer")
    parser.add_argument("--nested", default="5")
    parser.add_argument("--trials", default="10")
    parser.add_argument("--epochs", default="100")
    options = parser.parse_args()
    asked = [options.data, "--trials", options.trials, "--epochs", options.epochs]
    with tempfile.TemporaryDirectory() as folder:
        plain = measure(Path(folder, "plain"), *asked)
        nested = measure(Path(folder, "nested"), *asked, "--nested", options.nested)
    print("search,wall_seconds,processor_seconds")
    print(f"plain,{plain[0]:.1f},{plain[1]:.1f}")
    print(f"nested,{nested[0]:.1f},{nested[1]:.1f}")
    print(f"ratio,{nested[0] / plain[0]:.2f},{nested[1] / plain[1]:.2f}")


if __name__ == "__main__":
    main()
