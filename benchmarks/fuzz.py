"""Try random hostile input for as long as you like, and report what does not end in one line.

    python benchmarks/fuzz.py                              # a minute of each kind
    python benchmarks/fuzz.py --kind tables --seconds 3600
    python benchmarks/fuzz.py --kind tables --only 1234    # one attempt again, in this process

Every attempt follows from the seed and its number. Attempts run in a process of their own, so that
one that takes all memory, crashes Python or hangs in a library is found too: it is noted, the
process is ended, and the next attempt goes on. Prints the kinds of findings with the attempt that
shows each first, and exits with 1 where there are some. ``benchmarks/fuzzing`` has what is tried.
"""

from __future__ import annotations

import argparse
import io
import json
import queue
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.fuzzing import KINDS  # noqa: E402
from benchmarks.fuzzing.base import judged  # noqa: E402


@dataclass
class Tally:
    """What came of the attempts of one kind."""

    kind: str
    n: int = 0
    slowest: tuple[float, str] = (0.0, "")
    came: Counter[str] = field(default_factory=Counter)
    findings: dict[str, list[str]] = field(default_factory=dict)

    def add(self, number: int, what: str, came: str, seconds: float, problem: str) -> None:
        self.n += 1
        self.came[came.split(":")[0].split(",")[0] if not came[:1].isdigit() else "accepted"] += 1
        self.slowest = max(self.slowest, (seconds, f"{number} ({what[:120]})"))
        if problem:
            self.findings.setdefault(problem, []).append(f"{number} ({what[:200]})")

    def told(self) -> list[str]:
        came = ", ".join(f"{count:,} {name}" for name, count in self.came.most_common())
        lines = [f"{self.kind}: {self.n:,} attempts: {came}"]
        lines.append(f"  slowest: {self.slowest[0]:.1f} s, attempt {self.slowest[1]}")
        for problem, attempts in sorted(self.findings.items(), key=lambda item: -len(item[1])):
            lines.append(f"  {len(attempts):,} x {problem}")
            lines.append(f"      attempt {attempts[0]}")
        return lines


def work(kind: str, seed: int, first: int, limit: float) -> None:
    """Attempts from ``first`` on, without end: a line of JSON before and after each."""
    warnings.simplefilter("error")
    report = sys.stdout
    sys.stdout = sys.stderr
    number = first
    while True:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            print(json.dumps({"number": number}), file=report, flush=True)
            ending = judged(KINDS[kind], seed, number, Path(folder), limit)
            print(json.dumps({"number": number, **asdict(ending)}), file=report, flush=True)
        number += 1


class Worker:
    """A process that makes attempts, and is ended where it doesn't say anything any more."""

    def __init__(self, kind: str, seed: int, first: int, limit: float, memory: float) -> None:
        command = [sys.executable, __file__, "--kind", kind, "--seed", str(seed)]
        command += ["--limit", str(limit), "--work", str(first)]
        most = int(memory * 2**30)
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as this
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            stdin=subprocess.DEVNULL,
            text=True,
            bufsize=1,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (most, most)),
        )
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put("")

    def _last_words(self) -> str:
        size = self.errors.seek(0, io.SEEK_END)
        self.errors.seek(max(0, size - 4_000))
        said = self.errors.read().decode(errors="replace").strip()
        return f"{(said.splitlines() or [''])[-1][:200]} ({size:,} bytes of errors)"

    def line(self, seconds: float) -> dict | None:
        """What it says next; None where it ended or says nothing for so long."""
        try:
            text = self.lines.get(timeout=seconds)
        except queue.Empty:
            return None
        return json.loads(text) if text.endswith("\n") else None

    def end(self) -> str:
        """End it, and say how it was."""
        try:
            how = f"ends with {self.process.wait(timeout=1)}: {self._last_words()}"
        except subprocess.TimeoutExpired:
            how = "hangs where no alarm reaches it"
        self.process.kill()
        self.process.wait()
        return how


def fuzz(kind: str, seed: int, seconds: float, limit: float, memory: float, first: int) -> Tally:
    """Make attempts of one kind for some seconds."""
    tally = Tally(kind)
    end = time.monotonic() + seconds
    worker = Worker(kind, seed, first, limit, memory)
    number, patience = first, 60.0  # the first line comes after the imports
    while time.monotonic() < end:
        said = worker.line(patience)
        patience = 2 * limit + 5
        if said is None:
            tally.add(number, "see --only", "lost", patience, worker.end())
            number += 1
            worker, patience = Worker(kind, seed, number, limit, memory), 60.0
            continue
        number = said["number"]
        if "came" in said:
            tally.add(number, said["what"], said["came"], said["seconds"], said["problem"])
    worker.end()
    return tally


def again(kind: str, seed: int, number: int, keep: Path) -> int:
    """One attempt in this process, its files kept."""
    shutil.rmtree(keep, ignore_errors=True)
    keep.mkdir(parents=True)
    ending = judged(KINDS[kind], seed, number, keep)
    print(f"attempt {number}: {ending.what}\n{ending.came}\n{ending.problem}\n{ending.details}")
    print(f"its files are in {keep}")
    return 1 if ending.problem else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=[*KINDS], action="append")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first attempt")
    parser.add_argument("--limit", type=float, default=10.0, help="seconds an attempt may take")
    parser.add_argument("--memory", type=float, default=6.0, help="GB that it may take")
    parser.add_argument("--only", type=int, help="make one attempt again, by its number")
    parser.add_argument("--keep", type=Path, default=Path("/tmp/fuzz"), help="where its files go")
    parser.add_argument("--work", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    kinds = given.kind or [*KINDS]
    if given.work is not None:
        work(kinds[0], given.seed, given.work, given.limit)
    if given.only is not None:
        return again(kinds[0], given.seed, given.only, given.keep)
    n_findings = 0
    for kind in kinds:
        tally = fuzz(kind, given.seed, given.seconds, given.limit, given.memory, given.first)
        print("\n".join(tally.told()), flush=True)
        n_findings += len(tally.findings)
    return 1 if n_findings else 0


if __name__ == "__main__":
    sys.exit(main())
