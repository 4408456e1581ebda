"""Peak memory of a search with the fused engine, process by process.

    python benchmarks/memory.py               # 96 replicas on 50,000 rows x 100 columns
    python benchmarks/memory.py --epochs 50   # any of its sizes can be changed

Runs one search (8 candidates x 2 repeats x 6 folds, two Dense(64), a made-up table of float32) in a
process of its own and samples the resident memory of that process and of its workers every few
milliseconds. Each peak is compared with two others:

- the start-up footprint: everything is imported, and there are no data yet;
- the peak of the same search on a tiny table, which is trained for so many epochs that its program
  is compiled with the same effort: what networks and compilers take, whatever the data.

The bound, for what a process takes above the tiny table's search, is three times the table as
float32 plus eight times the parameters of all replicas. Pages of the memory-mapped table count in
each worker, though they exist once. Reading and checking the table comes before the search and is
reported apart.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from footprint import MB, mark, show_footprints, watched

NETWORKS = Path(__file__).with_name("networks.py")
TINY_ROWS, TINY_EPOCHS = 600, 60
SEARCH = ("check", "training", "refit", "reload check")


def n_replicas(options):
    return options.candidates * options.repeats * options.folds


def n_params(options):
    """Parameters of one network."""
    width = options.units
    return (options.columns + 1) * width + (width + 1) * width + width + 1


def search(options):
    """What is measured; prints the name of each phase as it begins."""
    import keras_tuner  # noqa: F401
    import numpy as np

    import hpsearch

    hpsearch.load(np.eye(4), np.arange(4.0))  # imports what only a first table needs
    show_footprints()
    mark("table")
    data = hpsearch.load(*table(options))
    mark("check")
    with tempfile.TemporaryDirectory() as folder:
        hpsearch.Search(
            NETWORKS,
            fix={"width": options.units},
            trials=options.candidates,
            folds=options.folds,
            repeats=options.repeats,
            epochs=options.epochs,
            batch_size=options.batch_size,
            engine="fused",
            jobs=options.jobs,
            out=f"{folder}/run",
            observer=phases(),
        ).run(data)


def table(options):
    """Made-up features (rows, columns) and a binary target."""
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.standard_normal(size=(options.rows, options.columns), dtype=np.float32)
    return x, (x[:, 0] + rng.standard_normal(options.rows, dtype=np.float32) > 0).astype(int)


def phases():
    """An observer that says which part of the search begins."""
    from hpsearch.scoring.observer import SilentObserver

    class Phases(SilentObserver):
        def search_started(self, **facts):
            mark("training")

        def stage(self, name):
            mark(name)

    return Phases()


def watched_search(options, **changes):
    """Run the search in a process of its own and watch it."""
    sizes = {**vars(options), **changes}
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in sizes.items()]
    return watched(__file__, "--search", *arguments)


def report(options, watch, tiny):
    """Print the figures; whether every process keeps to the bound."""
    table_size = options.rows * options.columns * 4
    parameters = n_replicas(options) * n_params(options) * 4
    bound = 3 * table_size + 8 * parameters
    print(
        f"{n_replicas(options)} replicas of {n_params(options):,} parameters on {options.rows:,} x "
        f"{options.columns} columns, {options.epochs} epochs\n"
        f"bound: 3 x {table_size / MB:.1f} MB (the table) + 8 x {parameters / MB:.1f} MB (the "
        f"parameters) = {bound / MB:.1f} MB\n\n"
        f"{'MB':10}{'start-up':>10}{'tiny table':>12}{'peak':>8}{'- start-up':>12}{'- tiny':>9}"
    )
    above_tiny, above_start = [], []
    for role in ("parent", "worker"):
        start = watch.footprint(role)
        least = max(tiny.peaks_of(role, *SEARCH))
        for peak in watch.peaks_of(role, *SEARCH):
            above_tiny.append(peak - least)
            above_start.append(peak - start)
            sizes = (start, least, peak, peak - start, peak - least)
            widths = (10, 12, 8, 12, 9)
            cells = (f"{size / MB:>{w}.0f}" for size, w in zip(sizes, widths, strict=True))
            print(f"{role:10}" + "".join(cells))
    [loading] = watch.peaks_of("parent", "table")
    [reloading] = watch.peaks_of("reload check", *SEARCH)
    print(f"\nReading and checking the table, before the search: {loading / MB:.0f} MB")
    print(f"The process that reloads the exported model: {reloading / MB:.0f} MB")
    for name, sizes in (("start-up", above_start), ("the tiny table's search", above_tiny)):
        verdict = "within" if max(sizes) < bound else "ABOVE"
        print(
            f"Above {name}: at most {max(sizes) / MB:.0f} MB in a process, {sum(sizes) / MB:.0f} "
            f"MB in all; {verdict} the bound of {bound / MB:.0f} MB a process"
        )
    return max(above_tiny) < bound


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sizes = {"rows": 50_000, "columns": 100, "candidates": 8, "repeats": 2, "folds": 6}
    sizes |= {"epochs": 12, "units": 64, "batch-size": 64, "jobs": 2}
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"by default {default}")
    parser.add_argument("--search", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    is_search = options.search
    del options.search
    if is_search:
        search(options)
        return
    tiny = watched_search(options, rows=TINY_ROWS, epochs=TINY_EPOCHS)
    watch = watched_search(options)
    raise SystemExit(not report(options, watch, tiny))


if __name__ == "__main__":
    main()
