"""Show that two states of hpsearch compute the same: small searches of every kind, table by table.

    python benchmarks/same_tables.py v0.1.0                   # this checkout against a revision
    python benchmarks/same_tables.py v0.1.0 main              # one revision against another
    python benchmarks/same_tables.py v0.1.0 --runs race time  # some of the searches
    python benchmarks/same_tables.py v0.1.0 --cache kept      # the first revision's are kept there

Each side is a copy of its files in a temporary folder, so that nothing changes while it runs, and
its commands run in processes that import hpsearch from there. Compared are all tables but
``timings.csv``, ``best.json``, and what the exported model predicts for the rows it was trained on.
Three searches are also compared with another one of their own side: those that were killed and
resumed, and one that was given more trials at the end, have the files of an uninterrupted one.

A line a search says that its files are the same byte for byte, or what differs: what was
``changed``, ``added`` or ``reworded`` (``differences.py``). Exits with 1 where something was
changed or a search failed. ``small_runs.py`` has the searches; one of them, ``tpe``, needs the
extra: ``pip install '.[bench]'``. They take about six minutes of two cores, half of that with a
cache that holds the first revision's. Bytes are those of one machine, of its versions of the
packages and of the searches as they are here: where one of these is another, so is what is kept.

With one formula changed by a millionth and a column added, ``--runs time`` printed, among others:

    added: trials.csv, column weight
    changed: trials.csv, column score_se: 3 of 3 cells, first in line 2 (trial 1): 0.757990172607 ->
    0.757990324205; by at most 3e-07
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
from differences import CHANGED, Difference, compare
from small_runs import SmallRun, fingerprint, option_words, small_runs, write_inputs

ROOT = Path(__file__).parent.parent
PACKAGES = (
    *("jax", "jaxlib", "keras", "keras-tuner", "numpy", "optuna", "pandas", "scikit-learn"),
    *("scipy", "tensorflow"),
)
PREDICTED = "predicted.csv"
LONGEST = 900  # seconds of one command


class FailedError(Exception):
    """A search did not do what it is there for; the message says what it did."""


@dataclass(frozen=True)
class Side:
    """One state of hpsearch, and where its searches run.

    Attributes
    ----------
    tree : the copy of its files.
    inputs : the folder with the tables that are read.
    folder : where its runs go.
    kept : where files of finished searches are kept, or None.
    failures : why a search has no files, by its name.
    """

    tree: Path
    inputs: Path
    folder: Path
    kept: Path | None = None
    failures: dict[str, str] = field(default_factory=dict)

    def keeps(self, run: SmallRun) -> Path | None:
        """The folder that keeps a search's files: another search or version has another one."""
        if self.kept is None:
            return None
        key = json.dumps([fingerprint(run, self.inputs), environment()])
        return self.kept / f"{run.name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"

    def has(self, run: SmallRun) -> bool:
        """Whether a search's files are there already."""
        kept = self.keeps(run)
        return kept is not None and kept.is_dir()

    def files(self, run: SmallRun) -> dict[str, bytes]:
        """What a search left, and what its model predicts."""
        if run.name in self.failures:
            raise FailedError(self.failures[run.name])
        return files_of(self.keeps(run) if self.has(run) else self.folder / run.name)

    def make_all(self, runs: list[SmallRun], at_once: int) -> None:
        """Run what is not there yet, some searches at a time."""
        missing = [run for run in runs if not self.has(run)]
        if not missing:
            return
        self.check_tree()
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(self.make, missing))

    def check_tree(self) -> None:
        """Make sure that processes import hpsearch from these files, not an installed one."""
        said = last_words(self.begin("-c", "import hpsearch; print(hpsearch.__file__)"))
        if not Path(said).is_relative_to(self.tree):
            raise SystemExit(f"error: hpsearch is imported from elsewhere: {said}")

    def make(self, run: SmallRun) -> None:
        """Run a search, with what befalls it; predict; keep the files if they are to be kept."""
        out = self.folder / run.name
        started = time.monotonic()
        try:
            if run.signal is None:
                self.command("run", *run.words, "--out", out, "--quiet")
            else:
                self.interrupt(run)
                self.command("resume", out, "--quiet")
            if run.grown:
                self.command("resume", out, *option_words(run.grown), "--quiet")
            self.command("predict", out, run.rows, "-o", out / PREDICTED)
            self.keep(run)
        except FailedError as failure:
            self.failures[run.name] = str(failure)
        seconds = time.monotonic() - started
        print(f"{self.tree.name}: {run.name}, {seconds:.0f} s", file=sys.stderr, flush=True)

    def command(self, *arguments: str | Path) -> None:
        """Run a command of hpsearch to its end."""
        process = self.begin("-m", "hpsearch", *arguments)
        said = last_words(process)
        if process.returncode:
            raise FailedError(f"{arguments[0]}: {said}")

    def interrupt(self, run: SmallRun) -> None:
        """Begin a search, and send it its signal when the first trials are in its table."""
        out = self.folder / run.name
        process = self.begin("-m", "hpsearch", "run", *run.words, "--out", out, "--quiet")
        until = time.monotonic() + LONGEST
        while process.poll() is None and not (out / "trials.csv").exists():
            if time.monotonic() > until:
                break
            time.sleep(0.01)
        children = []
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(run.signal)
        said = last_words(process)
        psutil.wait_procs(children, timeout=10)
        if (out / "best.json").exists():
            raise FailedError("run: ended before the signal came")
        if not (out / "trials.csv").exists():
            raise FailedError(f"run: {said}")

    def begin(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Begin a process that imports hpsearch from this side's files."""
        return subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=self.inputs,
            env={**os.environ, "PYTHONPATH": str(self.tree)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def keep(self, run: SmallRun) -> None:
        """Keep a search's files, if they are to be kept."""
        kept = self.keeps(run)
        if kept is None:
            return
        kept.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=kept.parent))
        for name, content in files_of(self.folder / run.name).items():
            (temporary / name).write_bytes(content)
        temporary.rename(kept)


def last_words(process: subprocess.Popen[str]) -> str:
    """Wait for a process to end, and return the last line that it printed."""
    try:
        said, _ = process.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        process.kill()
        raise FailedError(f"a process took more than {LONGEST} seconds") from None
    return (said.strip().splitlines() or ["nothing was said"])[-1]


def files_of(folder: Path) -> dict[str, bytes]:
    """The files of a run that are compared."""
    paths = [*folder.glob("*.csv"), folder / "best.json"]
    return {path.name: path.read_bytes() for path in paths if path.name != "timings.csv"}


def environment() -> dict[str, str]:
    """What numbers depend on beside the code."""
    found = {"python": platform.python_version(), "processor": processor()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return found


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text().splitlines() if described.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else f"{platform.machine()} {platform.processor()}"


# -- the files of the two sides


def git(*arguments: str) -> str:
    """What a command of git prints about this repository."""
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def commit_of(revision: str) -> str:
    """The hash of a revision's commit."""
    try:
        return git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").strip()
    except subprocess.CalledProcessError:
        raise SystemExit(f"error: git knows no revision {revision!r} here.") from None


def copy_revision(commit: str, folder: Path) -> None:
    """Write the files of a commit into a folder; nothing is registered in the repository."""
    archive = folder.with_suffix(".tar")
    git("archive", f"--output={archive}", commit)
    with tarfile.open(archive) as files:
        files.extractall(folder, filter="data")
    archive.unlink()


def copy_checkout(folder: Path) -> None:
    """Write this checkout's files as they are now, changed and new ones too, into a folder."""
    listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


# -- the report


def compare_runs(before: Side, after: Side, runs: list[SmallRun]) -> dict[str, list[Difference]]:
    """Differences of each search: from the other side, and from the one it must be like."""
    by_name = {run.name: run for run in runs}
    found = {}
    for run in runs:
        found[run.name] = differences = []
        for title, side in (("before", before), ("after", after)):
            try:
                side.files(run)
            except FailedError as failure:
                differences.append(Difference(CHANGED, title, f"failed: {failure}"))
        if differences:
            continue
        differences += compare(before.files(run), after.files(run))
        like = by_name.get(run.same_as)
        for title, side in (("before", before), ("after", after)):
            if like is not None and like.name not in side.failures:
                differences += [
                    Difference(CHANGED, f"{title}, beside {like.name}: {d.file}", d.text)
                    for d in compare(side.files(like), side.files(run))
                ]
    return found


def show(found: dict[str, list[Difference]], counts: dict[str, int]) -> None:
    """Print a search a line, or one for each of its differences, and what it comes to."""
    for name, differences in found.items():
        lines = list(map(str, differences)) or [f"the same, {counts[name]} files"]
        for line in lines:
            print(f"{name:10} {line}")
            name = ""
    same = sum(not differences for differences in found.values())
    kinds = Counter(d.kind for differences in found.values() for d in differences)
    summary = ", ".join(f"{n} {kind}" for kind, n in kinds.items()) or "no difference"
    print(f"{same} of {len(found)} searches are the same byte for byte: {summary}")


def with_those_like(runs: list[SmallRun], names: list[str] | None) -> list[SmallRun]:
    """The searches of some names, with those that they are compared with; all by default."""
    if not names:
        return runs
    wanted = set(names) | {run.same_as for run in runs if run.name in names}
    return [run for run in runs if run.name in wanted]


def main() -> int:
    """Run, compare, show."""
    runs = small_runs()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", help="a revision, as git takes one")
    parser.add_argument("after", nargs="?", help="another one; by default this checkout as it is")
    parser.add_argument("--runs", nargs="+", metavar="NAME", choices=[run.name for run in runs])
    parser.add_argument("--cache", type=Path, help="a folder that keeps the files of BEFORE")
    parser.add_argument("--at-once", type=int, default=2, help="searches at a time; by default 2")
    options = parser.parse_args()
    runs = with_those_like(runs, options.runs)
    commits = {"before": commit_of(options.before)}
    if options.after:
        commits["after"] = commit_of(options.after)
    kept = options.cache and options.cache.resolve() / commits["before"]
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary).resolve()
        for name in ("inputs", "before", "after", "before-runs", "after-runs"):
            (root / name).mkdir()
        write_inputs(root / "inputs")
        copy_revision(commits["before"], root / "before")
        if options.after:
            copy_revision(commits["after"], root / "after")
        else:
            copy_checkout(root / "after")
        before = Side(root / "before", root / "inputs", root / "before-runs", kept)
        after = Side(root / "after", root / "inputs", root / "after-runs")
        for side in (before, after):
            side.make_all(runs, options.at_once)
        found = compare_runs(before, after, runs)
        counts = {run.name: len(after.files(run)) for run in runs if not found[run.name]}
    show(found, counts)
    kinds = {d.kind for differences in found.values() for d in differences}
    return 1 if CHANGED in kinds else 0


if __name__ == "__main__":
    sys.exit(main())
