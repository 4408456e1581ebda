"""Every kind of data: hpsearch as it is, and a plain Keras loop, on the same folds and network.

    python benchmarks/kinds.py                  # all kinds, three times; the table and picture
    python benchmarks/kinds.py --case words     # one kind, in its place among the others
    python benchmarks/kinds.py --case words --profile    # and where the processor's time goes

The unit is a replica-step: one optimizer step of one training. Each side runs in a process of its
own with an empty compilation cache, one after the other, and all of it several times; medians are
shown. Both sides have both cores.

- hpsearch: a session with ``--engine auto``, as a search has it: import, reading the table, start
  of the processes, trying the default network, compiling, training. Three metrics are scored on
  training and validation rows after each epoch, and predictions are kept.
- The loop: for each candidate and fold build, then ``model.fit`` with validation data under
  TensorFlow, as one writes it. It is slow and steady, so one fold is trained for a few epochs and
  for some more: the difference gives the seconds of an epoch, what is left those of building and
  tracing. Its import of Keras counts as ours does.

The processor's seconds of all processes stand beside those of the clock: on a machine that others
use as well, they say more. Rows are made before the clock starts, on both sides. A worker's peak is
the largest resident memory that one ever had; pages that it shares with others count in each.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kinds_cases import KINDS, Kind

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
SIDES = ("hpsearch", "loop")
BEGIN, END = "<!-- kinds -->", "<!-- end of kinds -->"


# -- one side, in a process of its own


def measure(case: str, side: str, *, profile: bool) -> None:
    """Measure a side; prints what it took as JSON."""
    kind = KINDS[case]
    rows = kind.rows()
    values = kind.values or random_values(kind)
    if side == "hpsearch":
        found = ours(kind, rows, values, profile=profile)
    else:
        found = loop(kind, rows, values)
    print(json.dumps(found))


def random_values(kind: Kind) -> list[dict]:
    """Candidates of a space, by a process that ends before the clock starts."""
    code = (
        "import json, sys; from kinds_cases import KINDS; from kinds import drawn;"
        "print(json.dumps(drawn(KINDS[sys.argv[1]])))"
    )
    name = next(name for name, each in KINDS.items() if each is kind)
    environment = {**os.environ, "KERAS_BACKEND": "numpy"}
    done = subprocess.run(
        [sys.executable, "-c", code, name],
        env=environment, cwd=HERE, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return json.loads(done.stdout.strip().splitlines()[-1])


def drawn(kind: Kind) -> list[dict]:
    """The first candidates of a random search."""
    import hpsearch
    from hpsearch.oracles import sample
    from hpsearch.space.space import Space

    x, _, y = kind.rows()
    problem = problem_of(kind, x.shape[1:], len(y), int(y.max()) + 1)
    declared = Space.load(kind.space).declared(problem, {})
    found = sample(declared, kind.n_random, seed=0)
    assert hpsearch.__version__
    return [dict(candidate.values) for candidate in found]


def problem_of(kind: Kind, shape, n_rows: int, n_classes: int):
    """The problem, as a space gets to see it."""
    from hpsearch.task import TASKS, Problem

    task = TASKS["binary" if n_classes == 2 else "multiclass"]
    return Problem(
        kind=task.kind,
        input_shape=tuple(shape),
        n_outputs=1 if n_classes == 2 else n_classes,
        output_activation=task.output_activation,
        loss=task.loss,
        n_train=n_rows * (kind.folds - 1) // kind.folds,
        epochs=kind.epochs,
    )


def ours(kind: Kind, rows, values, *, profile: bool) -> dict:
    """A session that scores all candidates; ``profile`` scores others after it, compiled then."""
    started, cpu_before = time.perf_counter(), time.process_time()
    import psutil

    import hpsearch
    from hpsearch.engines.contract import FitOptions
    from hpsearch.folds import choose_splitter, make_folds
    from hpsearch.metrics import resolve_metric
    from hpsearch.scoring.session import Session
    from hpsearch.scoring.session_plan import SessionPlan
    from hpsearch.space.space import Candidate, Space
    from hpsearch.transformers import OwnTransformer

    x, _, y = rows
    dataset = hpsearch.load(x, y.astype(str), **kind.options)
    splitter, _ = choose_splitter(dataset, folds=kind.folds, repeats=kind.repeats)
    metrics = resolve_metric(dataset.target.kind, None)
    plan = SessionPlan(
        space=Space.load(kind.space),
        fixes={},
        engine="auto",
        options=FitOptions(0, kind.epochs, kind.batch, None, metrics),
        jobs=None,
        scale_target="auto",
        max_levels=64,
        max_words=10_000,
        must_save=False,
        n_candidates=len(values),
        transformer=kind.transformer and OwnTransformer.load(kind.transformer()),
    )
    parts = {}
    with Session(plan, dataset, make_folds(splitter, dataset)) as session:
        session.prepare()
        parts["start"] = time.perf_counter() - started
        cpu = [cpu_seconds(psutil)]
        trained = []
        for attempt in range(2 if profile else 1):
            candidates = [
                Candidate(attempt * len(values) + i, value) for i, value in enumerate(values)
            ]
            began = time.perf_counter()
            results = list(session.score(candidates))
            trained.append(time.perf_counter() - began)
            cpu.append(cpu_seconds(psutil))
            failed = [r.row["error"] for r in results if r.score is None]
            assert len(failed) < len(results) / 2, failed[0]
        engine, peak = session.choice.engine, peak_mb(psutil)
    found = {
        "steps": n_steps(kind, values, len(y)),
        "cpu": sum(cpu[1]) - cpu_before,
        "seconds": parts["start"] + trained[0],
        "start": parts["start"],
        "engine": engine,
        "peak_mb": peak,
        "score": statistics.median(r.score for r in results if r.score is not None),
    }
    if profile:
        found["profile"] = {
            "starting, of all processes": sum(cpu[0]),
            "driving, while trials train": cpu[1][0] - cpu[0][0],
            "workers: building, tracing, compiling": max(
                0.0, (cpu[1][1] - cpu[0][1]) - (cpu[2][1] - cpu[1][1])
            ),
            "workers: training, predicting, scoring": cpu[2][1] - cpu[1][1],
        }
        found["again"] = trained[1]
    return found


def cpu_seconds(psutil) -> tuple[float, float]:
    """Processor seconds so far of this process, and of those that it started."""
    spent = 0.0
    for child in psutil.Process().children(recursive=True):
        times = child.cpu_times()
        spent += times.user + times.system
    return time.process_time(), spent


def peak_mb(psutil) -> float:
    """The most resident memory that any process started from here has had."""
    peaks = []
    for child in psutil.Process().children(recursive=True):
        status = Path(f"/proc/{child.pid}/status").read_text(encoding="ascii", errors="replace")
        peaks += [int(line.split()[1]) / 1024 for line in status.splitlines() if "VmHWM" in line]
    return max(peaks, default=0.0)


def loop(kind: Kind, rows, values) -> dict:
    """Sample the plain loop; the seconds of all of it."""
    _, dense, y = rows
    x = dense()
    started = Moment()
    import keras

    imported = Moment() - started
    import hpsearch
    from hpsearch.space.space import Space

    splitter = hpsearch.IteratedStratifiedKFold(kind.folds, kind.repeats, random_state=0)
    train, validation = next(iter(splitter.split(x, y)))
    space = Space.load(kind.space)
    problem = problem_of(kind, x.shape[1:], len(y), int(y.max()) + 1)
    keras.utils.set_random_seed(0)
    short, long = kind.sample
    n_trainings = kind.folds * kind.repeats
    total, building, sampled = Moment(0.0, 0.0), Moment(0.0, 0.0), 0.0
    sample = values[:: -(-len(values) // kind.n_sampled)]

    def trained(value: dict, epochs: int) -> Moment:
        began = Moment()
        model = space.build(value, problem)
        model.fit(
            x[train],
            y[train],
            batch_size=int(value.get("batch_size", kind.batch)),
            epochs=epochs,
            validation_data=(x[validation], y[validation]),
            verbose=0,
        )
        return Moment() - began

    first = trained(sample[0], short)  # what a process does once is counted once
    for value in sample:
        taken = [trained(value, epochs) for epochs in (short, long)]
        epoch = (taken[1] - taken[0]) * (1 / (long - short))
        build = taken[0] - epoch * short
        if value is sample[0]:
            total += first - taken[0]
            building += first - taken[0]
        weight = n_trainings * len(values) / len(sample)
        total += (build + epoch * kind.epochs) * weight
        building += build * weight
        sampled += taken[0].clock + taken[1].clock
    return {
        "steps": n_steps(kind, values, len(y)),
        "seconds": (imported + total).clock,
        "cpu": (imported + total).cpu,
        "start": (imported + building).clock,
        "sampled": sampled,
    }


class Moment:
    """Seconds of the clock and of the processor, of this process; differences are never below 0."""

    def __init__(self, clock: float | None = None, cpu: float | None = None) -> None:
        self.clock = time.perf_counter() if clock is None else clock
        self.cpu = time.process_time() if cpu is None else cpu

    def __add__(self, other: Moment) -> Moment:
        return Moment(self.clock + other.clock, self.cpu + other.cpu)

    def __sub__(self, other: Moment) -> Moment:
        return Moment(max(0.0, self.clock - other.clock), max(0.0, self.cpu - other.cpu))

    def __mul__(self, times: float) -> Moment:
        return Moment(self.clock * times, self.cpu * times)


def n_steps(kind: Kind, values, n_rows: int) -> int:
    """Replica-steps of all candidates on all folds."""
    n_train = n_rows * (kind.folds - 1) // kind.folds
    per_epoch = sum(-(-n_train // int(value.get("batch_size", kind.batch))) for value in values)
    return kind.folds * kind.repeats * kind.epochs * per_epoch


# -- all of it


def in_process(case: str, side: str, *, profile: bool = False) -> dict:
    """What a side took, in a process of its own with an empty compilation cache."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {
            **os.environ,
            "XDG_CACHE_HOME": cache,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "KERAS_BACKEND": "numpy" if side == "hpsearch" else "tensorflow",
        }
        command = [sys.executable, __file__, "--measure", case, side]
        command += ["--profile"] if profile else []
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{case}, {side}, failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def compared(case: str, times: int, *, profile: bool) -> dict:
    """Both sides of a kind, in turn, so many times; the medians."""
    load = os.getloadavg()[0]
    found: dict[str, list[dict]] = {side: [] for side in SIDES}
    for attempt in range(times):
        for side in SIDES:
            print(f"{case}: {side}, {attempt + 1} of {times} ...", file=sys.stderr, flush=True)
            found[side].append(in_process(case, side, profile=profile and side == "hpsearch"))
    ours_, loop_ = (found[side] for side in SIDES)
    seconds = {side: statistics.median(r["seconds"] for r in found[side]) for side in SIDES}
    starts = {side: statistics.median(r["start"] for r in found[side]) for side in SIDES}
    ratios = [b["seconds"] / a["seconds"] for a, b in zip(ours_, loop_, strict=True)]
    row = {
        "case": case,
        "kind": KINDS[case].name,
        "about": KINDS[case].about,
        "engine": ours_[0]["engine"],
        "steps": ours_[0]["steps"],
        "seconds": seconds["hpsearch"],
        "start": starts["hpsearch"],
        "loop_seconds": seconds["loop"],
        "loop_start": starts["loop"],
        "ratio": statistics.median(ratios),
        "lowest": min(ratios),
        "highest": max(ratios),
        "ratio_of_training": (seconds["loop"] - starts["loop"])
        / (seconds["hpsearch"] - starts["hpsearch"]),
        "cpu": statistics.median(r["cpu"] for r in ours_),
        "loop_cpu": statistics.median(r["cpu"] for r in loop_),
        "peak_mb": max(r["peak_mb"] for r in ours_),
        "times": times,
        "load": load,
    }
    show(row)
    if profile:
        show_profile(row, ours_[-1])
    return row


def show(row: dict) -> None:
    """One kind, in some lines."""
    print(
        f"{row['kind']} ({row['about']}): {row['steps']:,} replica-steps, engine {row['engine']}, "
        f"load of the machine {row['load']:.1f}\n"
        f"  hpsearch {row['seconds']:8.1f} s, of which {row['start']:6.1f} s until training began\n"
        f"  loop     {row['loop_seconds']:8.1f} s, of which {row['loop_start']:6.1f} s importing, "
        f"building and tracing\n"
        f"  {row['ratio']:.2f} times as fast ({row['lowest']:.2f} to {row['highest']:.2f}); "
        f"training, compiling included, {row['ratio_of_training']:.2f}; "
        f"worker's peak {row['peak_mb']:.0f} MB\n"
        f"  processor seconds: hpsearch {row['cpu']:.1f}, loop {row['loop_cpu']:.1f}, "
        f"{row['loop_cpu'] / row['cpu']:.2f} times as many",
        flush=True,
    )


def show_profile(row: dict, found: dict) -> None:
    """Where the processor's time went."""
    print("  processor seconds:")
    for part, seconds in found["profile"].items():
        print(f"    {part:42}{seconds:8.1f}")
    again, epochs = found["again"], row["loop_seconds"] - row["loop_start"]
    of_loop = f"{row['steps'] / epochs:,.0f} steps/s" if epochs else "too short to tell"
    times = f", {epochs / again:.1f} times as fast a step" if epochs else ""
    print(
        f"  scored again, compiled: {again:.1f} s, {row['steps'] / again:,.0f} steps/s{times}; the "
        f"loop's epochs: {of_loop}",
        flush=True,
    )


def table_of(rows: list[dict]) -> str:
    """The kinds as a table in Markdown."""
    lines = [
        "| kind | engine | steps | hpsearch | loop | times as fast | in CPU | worker's peak |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row['kind']}: {row['about']} | {row['engine']} | {row['steps']:,.0f} "
        f"| {row['seconds']:.0f} s | {row['loop_seconds']:,.0f} s | {row['ratio']:.1f} "
        f"| {row['loop_cpu'] / row['cpu']:.1f} | {row['peak_mb']:.0f} MB |"
        for row in rows
    ]
    return "\n".join(lines)


def circumstances(rows: list[dict]) -> str:
    """How often it was measured, and what else the machine did, a sentence."""
    loads = [row["load"] for row in rows]
    times = "once" if max(row["times"] for row in rows) == 1 else "several times, medians"
    busy = (
        " The machine was busy with other things, so seconds and their ratio say little; `in CPU` "
        "compares the processor's seconds of all processes, which that changes less."
    )
    return f"Measured {times}, with a load of {min(loads):.1f} to {max(loads):.1f} before each." + (
        busy if max(loads) > os.cpu_count() else ""
    )


def write(row: dict) -> None:
    """Put a kind into the CSV, the table in docs/engines.md and the picture beside it."""
    path, there = HERE / "kinds.csv", {}
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            there = {each["case"]: each for each in csv.DictReader(file)}
    there[row["case"]] = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}
    rows = [there[case] for case in KINDS if case in there]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    rows = [{k: number(v) for k, v in each.items()} for each in rows]
    page = DOCS / "engines.md"
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    table = f"{table_of(rows)}\n\n{circumstances(rows)}"
    page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")
    draw(rows, DOCS / "kinds.svg")


def number(cell):
    """A cell of the CSV as a number, where it is one."""
    try:
        return float(cell)
    except ValueError:
        return cell


def draw(rows: list[dict], path: Path) -> None:
    """How many times as fast each kind is, on a logarithmic axis."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "kinds"
    from matplotlib import pyplot as plt

    rows = sorted(rows, key=lambda row: row["ratio"])
    names = [row["kind"] for row in rows]
    ratios = [row["ratio"] for row in rows]
    figure, axes = plt.subplots(figsize=(8, 0.42 * len(rows) + 1.1), layout="constrained")
    spread = [
        [row["ratio"] - row["lowest"] for row in rows],
        [row["highest"] - row["ratio"] for row in rows],
    ]
    bars = axes.barh(names, ratios, xerr=spread, color="#4c78a8", ecolor="#444", height=0.62)
    axes.bar_label(bars, [f"{ratio:.1f}" for ratio in ratios], padding=6, fontsize=9)
    axes.axvline(1.0, color="gray", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlim(0.5, 2.0 * max(row["highest"] for row in rows))
    axes.set_xlabel("times as fast as a loop of model.fit, starting and compiling included")
    cpu = [row["loop_cpu"] / row["cpu"] for row in rows]
    axes.plot(cpu, names, "D", color="#f58518", markersize=5, label="in processor seconds")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Measure, show, and write where all kinds were measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--case", choices=KINDS, action="append", help="one kind; repeatable")
    parser.add_argument("--times", type=int, default=3, help="how often each side is measured")
    parser.add_argument("--profile", action="store_true", help="where the processor's time goes")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(*options.measure, profile=options.profile)
        return
    rows = []
    for case in options.case or KINDS:
        rows.append(compared(case, options.times, profile=options.profile))
        write(rows[-1])
    slow = [row["kind"] for row in rows if row["lowest"] < 1.0]
    if slow:
        raise SystemExit(f"slower than a loop at least once: {', '.join(slow)}")


if __name__ == "__main__":
    main()
