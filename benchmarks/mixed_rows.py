"""Memory and time of ``hpsearch run`` on many rows of mixed types, as a user calls it.

    python benchmarks/mixed_rows.py                  # 5,000, 15,000 and 54,000 rows x 10 columns
    python benchmarks/mixed_rows.py --rows 54000     # one size
    python benchmarks/mixed_rows.py --times 3        # the least of three times

The table is made here and written as CSV: five columns of numbers, one of them with missing cells,
two of categories, one of them with missing cells, a date, and the numeric target. A small search
reads it (4 trials, 2 repeats x 4 folds, 5 epochs, batches of 256) and leaves the whole run: tables,
journal, exported model.

Two bounds:

- no process, parent or worker, takes more than 300 MB above its start-up footprint, which is what
  it takes with everything imported and no data;
- the time per row falls or stays flat from one size to the next, 10 % allowed for: seconds of the
  whole command, and processor seconds of reading alone, the least of five.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from footprint import MB, mark, show_footprints, watched

NETWORKS = Path(__file__).with_name("networks.py")
ROWS = (5_000, 15_000, 54_000)
BOUND = 300 * MB
SLACK = 1.10
READINGS = 5
SIZES = {"trials": 4, "repeats": 2, "folds": 4, "epochs": 5, "batch-size": 256, "jobs": 2}


def write_table(path, n_rows):
    """Ten columns of mixed types; the target follows from some of them, with noise."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    weight, depth, width, height = rng.gamma(2.0, 0.4, (4, n_rows)).round(3)
    score = rng.normal(50, 12, n_rows).round(1)
    grades, towns = np.array(["fair", "good", "ideal"]), np.array([f"town {i}" for i in range(40)])
    grade, town = rng.integers(3, size=n_rows), rng.integers(40, size=n_rows)
    days = rng.integers(0, 3650, n_rows)
    price = 300 * (1 + weight) ** 2 * (1 + 0.2 * grade) * np.exp(rng.normal(0, 0.2, n_rows))
    table = {
        "weight": weight,
        "depth": depth,
        "width": width,
        "height": height,
        "score": np.where(rng.random(n_rows) < 0.1, np.nan, score),
        "count": rng.poisson(4.0, n_rows),
        "grade": grades[grade],
        "town": np.where(rng.random(n_rows) < 0.05, None, towns[town]),
        "sold": np.datetime64("2014-01-01") + days,
        "price": price.round(),
    }
    pd.DataFrame(table).to_csv(path, index=False)


def search(csv, out):
    """What is measured: footprints, reading alone, and the command; marks each."""
    import keras_tuner  # noqa: F401

    import hpsearch
    from hpsearch.cli import main

    few = csv.with_name("few.csv")
    write_table(few, 50)
    hpsearch.load(few, target="price")  # imports what only a first table needs
    show_footprints()
    mark("reading")
    seconds = min(seconds_of_reading(csv) for _ in range(READINGS))
    mark("run", reading=seconds)
    sizes = [f"--{name}={value}" for name, value in SIZES.items()]
    command = ["run", str(csv), "--space", str(NETWORKS), "--target", "price", "--fix", "width=64"]
    code = main([*command, *sizes, "--out", str(out), "--quiet"])
    mark("end")
    sys.exit(code)


def seconds_of_reading(csv):
    """Processor seconds, which don't depend on what else the machine does."""
    import hpsearch

    started = time.process_time()
    hpsearch.load(csv, target="price")
    return time.process_time() - started


def measure(n_rows):
    """Watch the command on so many rows."""
    with tempfile.TemporaryDirectory() as name:
        csv = Path(name) / "rows.csv"
        write_table(csv, n_rows)
        return watched(__file__, "--search", str(csv), str(Path(name) / "run"))


def show(n_rows, watches):
    """Print the figures of one size; the largest growth, and microseconds a row of each phase."""
    above = {}
    for role in ("parent", "worker"):
        peaks = [p - w.footprint(role) for w in watches for p in w.peaks_of(role, "reading", "run")]
        above[role] = max(peaks)
    least = {
        "reading": min(w.said["run"]["reading"] for w in watches),
        "command": min(w.said["end"]["at"] - w.said["run"]["at"] for w in watches),
    }
    per_row = {name: 1e6 * seconds / n_rows for name, seconds in least.items()}
    print(
        f"{n_rows:>7,} rows{above['parent'] / MB:>9.0f}{above['worker'] / MB:>9.0f}"
        f"{least['reading']:>10.2f}{least['command']:>10.1f}"
        f"{per_row['reading']:>10.1f}{per_row['command']:>10.0f}",
        flush=True,
    )
    return max(above.values()), per_row


def verdicts(found):
    """Whether each bound holds, with its sentence."""
    highest = max(growth for growth, _ in found)
    yield (
        highest <= BOUND,
        f"a process takes at most {highest / MB:.0f} MB above its start-up, of {BOUND / MB:.0f} MB",
    )
    for phase in ("reading", "command"):
        times = [per_row[phase] for _, per_row in found]
        flat = all(later <= SLACK * earlier for earlier, later in pairwise(times))
        yield flat, f"time per row, {phase}: {' -> '.join(f'{t:.1f}' for t in times)} microseconds"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS, help="from few to many")
    parser.add_argument("--times", type=int, default=1, help="runs of each size; by default 1")
    parser.add_argument("--search", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.search:
        search(*options.search)
    print(f"{'':12}{'MB above start-up':>18}{'seconds':>20}{'microseconds a row':>20}")
    print(f"{'':12}{'parent':>9}{'worker':>9}" + 2 * f"{'reading':>10}{'command':>10}")
    found = [show(n, [measure(n) for _ in range(options.times)]) for n in options.rows]
    said = list(verdicts(found))
    for holds, sentence in said:
        print(f"{'holds' if holds else 'FAILS'}: {sentence}")
    raise SystemExit(not all(holds for holds, _ in said))


if __name__ == "__main__":
    main()
