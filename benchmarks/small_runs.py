"""Small searches of every kind, with the tables they read: what ``same_tables.py`` compares.

Every option that a search of its kind has is given, so that a default which changes one day changes
nothing here; most search a space that lies here beside them, for the same reason.
"""

from __future__ import annotations

import hashlib
import shutil
import signal
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
TABLES = HERE.parent / "tests" / "data" / "tables"
DENSE, CONVOLUTIONS = "quality_space.py", "convolutions.py"  # spaces, copied beside the tables
WORDS = ("paid", "late", "again", "never", "asked", "twice", "for", "more", "time", "and")

DEFAULTS = {
    "space": DENSE,
    "engine": "fused",
    "jobs": 1,
    "seed": 3,
    "trials": 3,
    "folds": 3,
    "repeats": 1,
    "epochs": 6,
    "batch_size": 32,
    "oracle": "random",
    "race": "off",
    "rungs": 1,
    "select": "best",
    "baselines": False,
    "duplicates": "together",
    "max_levels": 64,
    "max_words": 10_000,
}
CLASSES = {"metric": "log_loss", "split": "stratified", "scale_target": False}
NUMBERS = {"task": "regression", "metric": "mae", "split": "kfold", "scale_target": True}


@dataclass(frozen=True)
class SmallRun:
    """A search, and what befalls it.

    Attributes
    ----------
    name : what it is called in the report.
    rows : the file whose rows the final model predicts.
    data : what is searched; by default the rows.
    options : of ``hpsearch run``, with underscores; those of ``DEFAULTS`` apply beside them.
    signal : what stops it when the first trials are in ``trials.csv``; then it is resumed.
    grown : options of ``hpsearch resume`` when it has ended.
    same_as : the run whose files it must have, byte for byte.
    """

    name: str
    rows: str
    data: str | None = None
    options: dict[str, object] = field(default_factory=dict)
    signal: int | None = None
    grown: dict[str, object] = field(default_factory=dict)
    same_as: str | None = None

    @property
    def words(self) -> list[str]:
        """Arguments of ``hpsearch run``, but for the folder."""
        data = self.data or self.rows
        return [data, *option_words({**DEFAULTS, **self.options})]


def option_words(options: dict[str, object]) -> list[str]:
    """Options as the command line takes them.

    >>> option_words({"max_words": 9, "until_decided": True, "baselines": False})
    ['--max-words', '9', '--until-decided', '--no-baselines']
    """
    words = []
    for name, value in options.items():
        dashed = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{dashed}" if value else f"--no-{dashed}")
        else:
            words += [f"--{dashed}", str(value)]
    return words


def small_runs() -> list[SmallRun]:
    """All of them, in the order of the report."""
    cancer = {
        **CLASSES,
        "task": "binary",
        "space": "mlp",
        "trials": 4,
        "repeats": 2,
        "epochs": 8,
        "baselines": True,
    }
    files = ("breast_cancer.csv", "sklearn:breast_cancer")
    few = {"max_levels": 5, "max_words": 8}
    race = {"trials": 9, "repeats": 2, "epochs": 9, "race": "corrected-t", "rungs": 2}
    return [
        SmallRun("plain", *files, cancer),
        SmallRun("killed", *files, cancer, signal=signal.SIGKILL, same_as="plain"),
        SmallRun("grown", *files, {**cancer, "trials": 2}, grown={"trials": 4}, same_as="plain"),
        wine("keras", space="mlp", engine="keras", epochs=12, patience=1),
        wine("decided", until_decided=True, max_repeats=3, trials=2, fix="rate=0.01"),
        wine("hyperband", oracle="hyperband", trials=8, epochs=9),
        wine("tpe", oracle="tpe", trials=10),
        wine("nested", nested=2, trials=2),
        houses("race", **race),
        replace(houses("stopped", **race), signal=signal.SIGTERM, same_as="race"),
        houses("bayesian", oracle="bayesian", trials=10, patience=2),
        houses("hold-out", split="holdout", folds=1, test_size=0.25, repeats=2),
        visits("targets", NUMBERS, target="weight,pulse", drop="ill,tired"),
        visits("labels", CLASSES, target="ill,tired", task="multilabel", split="kfold"),
        visits("groups", NUMBERS, target="weight", drop="day", groups="patient", split="group"),
        visits("time", NUMBERS, target="weight", time="day", gap=2, split="time", select="one-se"),
        binary("mixed", "loans.csv", target="repaid", text="note", engine="keras", **few),
        binary("credit", "credit.csv", target="Status", test_size=0.2, baselines=True),
        SmallRun(
            "images",
            "digits.npz",
            options={**CLASSES, "task": "multiclass", "engine": "keras", "space": CONVOLUTIONS},
        ),
    ]


def wine(name: str, **options: object) -> SmallRun:
    """A search on a table of three classes."""
    asked = {**CLASSES, "task": "multiclass", "target": "target", **options}
    return SmallRun(name, "wine.csv", options=asked)


def houses(name: str, **options: object) -> SmallRun:
    """A search on a regression table."""
    return SmallRun(name, "houses.csv", options={**NUMBERS, "target": "medv", **options})


def visits(name: str, kind: dict[str, object], **options: object) -> SmallRun:
    """A search on the table whose rows have a patient, a day and four possible targets."""
    return SmallRun(name, "visits.csv", options={**kind, **options})


def binary(name: str, rows: str, **options: object) -> SmallRun:
    """A search of the space ``mlp`` on a table of mixed columns with two classes."""
    return SmallRun(name, rows, options={**CLASSES, "task": "binary", "space": "mlp", **options})


# -- inputs


def write_inputs(folder: Path) -> None:
    """Write the tables and the spaces that the searches read."""
    from sklearn import datasets

    for space in (DENSE, CONVOLUTIONS):
        shutil.copy(HERE / space, folder / space)
    for name in ("breast_cancer", "wine"):
        frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
        if name == "wine":
            frame["target"] = np.array(["barolo", "grignolino", "barbera"])[frame["target"]]
        frame.to_csv(folder / f"{name}.csv", index=False)
    write_head(TABLES / "boston_housing.csv", folder / "houses.csv", 200)
    write_head(TABLES / "credit.csv", folder / "credit.csv", 400)
    visits_table().to_csv(folder / "visits.csv", index=False)
    loans_table().to_csv(folder / "loans.csv", index=False)
    digits = datasets.load_digits()
    images = digits.images[:200, :, :, None].astype("float32") / 16
    np.savez(folder / "digits.npz", x=images, y=digits.target[:200])


def write_head(source: Path, target: Path, n_rows: int) -> None:
    """Copy a table's header and first rows, byte for byte."""
    lines = source.read_bytes().splitlines(keepends=True)
    target.write_bytes(b"".join(lines[: n_rows + 1]))


def visits_table(n_rows: int = 150) -> pd.DataFrame:
    """Numbers of repeated visits, some missing, in the order of their days."""
    rng = np.random.default_rng(1)
    patient = rng.integers(30, size=n_rows)
    height, age, dose = rng.normal(0, 1, (3, n_rows)) + rng.normal(0, 1, (3, 30))[:, patient]
    weight = 70 + 6 * height + 3 * np.tanh(age) + rng.normal(0, 1, n_rows)
    pulse = 80 - 4 * dose * age + rng.normal(0, 1, n_rows)
    table = {
        "patient": [f"p{i}" for i in patient],
        "day": np.datetime64("2020-03-01") + np.sort(rng.integers(0, 400, n_rows)),
        "height": np.where(rng.random(n_rows) < 0.1, np.nan, height.round(3)),
        "age": age.round(3),
        "dose": dose.round(3),
        "weight": weight.round(2),
        "pulse": pulse.round(1),
        "ill": (pulse > 80).astype(int),
        "tired": (dose + rng.normal(0, 0.5, n_rows) > 0).astype(int),
    }
    return pd.DataFrame(table)


def loans_table(n_rows: int = 240) -> pd.DataFrame:
    """Columns of every kind, with missing cells in each but the target."""
    rng = np.random.default_rng(2)
    income, amount = rng.gamma(3.0, 900.0, n_rows), rng.gamma(2.0, 2000.0, n_rows)
    town, home = rng.integers(12, size=n_rows), rng.integers(3, size=n_rows)
    notes = [" ".join(rng.choice(WORDS, rng.integers(2, 7))) for _ in range(n_rows)]
    late = np.array(["late" in note for note in notes])
    odds = income / 900 - amount / 2000 + home - 2 * late + rng.normal(0, 0.7, n_rows)
    columns = {
        "income": income.round(2),
        "amount": amount.round(),
        "since": np.datetime64("2001-01-01") + rng.integers(0, 6000, n_rows),
        "town": np.array([f"town {i}" for i in range(12)])[town],
        "home": np.array(["rent", "owner", "parents"])[home],
        "member": np.array(["yes", "no"])[rng.integers(2, size=n_rows)],
        "note": np.array(notes),
    }
    table = pd.DataFrame(columns)
    table = table.mask(rng.random(table.shape) < 0.06)
    return table.assign(repaid=np.where(odds > np.median(odds), "yes", "no"))


def fingerprint(run: SmallRun, folder: Path) -> str:
    """A SHA-256 of what a run is and of the files it reads: another one is another run."""
    sha = hashlib.sha256(repr((run.words, run.rows, run.signal, run.grown)).encode())
    for word in sorted({run.rows, *run.words}):
        if (folder / word).is_file():
            sha.update((folder / word).read_bytes())
    return sha.hexdigest()
