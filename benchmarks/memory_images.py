"""What images take in memory: 50,000 of 32 x 32 x 3 as bytes, process by process.

    python benchmarks/memory_images.py                      # both engines, two workers each
    python benchmarks/memory_images.py --engine fused

Runs a search (two folds, an epoch, a network that hardly computes) in a process of its own, once on
all images and once on a few hundred, and compares what each process takes for itself: anonymous
memory, that is, without the memory-mapped files that all of them share. The images are 154 MB as
bytes and 614 MB as float32. The program holds them once, since it was given them; a worker should
hold little beside the batches that it works on.
"""

from __future__ import annotations

import argparse
import tempfile
from unittest import mock

import footprint
from footprint import MB, mark
from kinds_images import of_mean_colours

PHASES = ("check", "training", "baselines", "refit", "reload check")


class WatchOfItsOwn(footprint.Watch):
    """Samples what a process has for itself, in place of all that it has mapped."""

    def _sample(self, process, role):
        try:
            with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
                kilobytes = next((line for line in status if line.startswith("RssAnon")), "0 0")
        except OSError:
            return
        key = self._phase, role, process.pid
        self.peaks[key] = max(1024 * int(kilobytes.split()[1]), self.peaks.get(key, 0))


def search(options):
    """What is measured; prints the name of each phase as it begins."""
    import numpy as np

    import hpsearch
    from hpsearch.scoring.observer import SilentObserver

    class Phases(SilentObserver):
        def search_started(self, **facts):
            mark("training")

        def stage(self, name):
            mark(name)

    rng = np.random.default_rng(0)
    side = options.side
    pixels = rng.integers(0, 256, (options.rows, side, side, 3), dtype=np.uint8)
    mark("load")
    data = hpsearch.load(pixels, np.arange(options.rows) % 2)
    del pixels
    mark("check")
    with tempfile.TemporaryDirectory() as folder:
        hpsearch.Search(
            of_mean_colours,
            fix={"rate": 0.01},
            trials=1,
            folds=2,
            repeats=1,
            epochs=1,
            batch_size=256,
            engine=options.engine,
            jobs=2,
            out=f"{folder}/run",
            observer=Phases(),
        ).run(data)


def measured(options, rows):
    """The watch of a search on so many images."""
    sizes = ("--search", f"--rows={rows}", f"--side={options.side}", f"--engine={options.engine}")
    with mock.patch.object(footprint, "Watch", WatchOfItsOwn):
        return footprint.watched(__file__, *sizes)


def report(options):
    """Print the peak of each role in each phase, above the same search on few images."""
    images = options.rows * options.side**2 * 3
    print(f"{options.engine}: {options.rows:,} images, {images / MB:.0f} MB of bytes")
    few, many = measured(options, 400), measured(options, options.rows)
    print(f"{'MB above few images':24}" + "".join(f"{phase:>14}" for phase in PHASES))
    worst = 0.0
    for role in ("parent", "worker", "helper", "reload check"):
        cells = []
        for phase in PHASES:
            peaks, least = many.peaks_of(role, phase), few.peaks_of(role, phase)
            above = max(peaks, default=0) - max(least, default=0)
            cells.append(f"{above / MB:14.0f}" if peaks and least else f"{'':14}")
            if role != "parent" and peaks and least:
                worst = max(worst, above)
        print(f"{role:24}" + "".join(cells))
    print(f"a worker's own, at most: {worst / images:.2f} times the images\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--engine", choices=["fused", "reference"], help="by default both")
    parser.add_argument("--search", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.search:
        search(options)
        return
    for engine in [options.engine] if options.engine else ["fused", "reference"]:
        report(argparse.Namespace(**{**vars(options), "engine": engine}))


if __name__ == "__main__":
    main()
