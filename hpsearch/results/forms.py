"""What the documents and tables of a run may hold, checked where they are read.

Owns the forms: which entries and columns there are, of which type and in which range. Whoever
shows or compares a run relies on them. An entry that this version doesn't know is left alone, one
that is missing is missing; what is there has its form.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from hpsearch.metrics import METRICS
from hpsearch.results import layout
from hpsearch.task import TASKS

if TYPE_CHECKING:
    import pandas as pd

Form = Callable[[Any, str], None]
"""Raises ``ValueError`` unless a value has a form; the text says where the value stands."""

LARGEST: Final = 2**53
"""Whole numbers up to this are exact in every file and table."""


def _require(is_right: bool, value: Any, where: str, wanted: str) -> None:
    if not is_right:
        shown = repr(value)
        shown = shown if len(shown) <= 40 else shown[:40] + "…"
        raise ValueError(f"{where or 'it'} is {wanted}; received {shown}")


def text(value: Any, where: str) -> None:
    """A text."""
    _require(isinstance(value, str), value, where, "a text")


def flag(value: Any, where: str) -> None:
    """True or false."""
    _require(isinstance(value, bool), value, where, "true or false")


def number(value: Any, where: str) -> None:
    """A finite number."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_right = is_number and (
        math.isfinite(value) if isinstance(value, float) else abs(value) <= LARGEST
    )
    _require(is_right, value, where, "a finite number")


def count(value: Any, where: str) -> None:
    """A whole number from 0."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    _require(is_whole and 0 <= value <= LARGEST, value, where, "a whole number from 0")


def seed(value: Any, where: str) -> None:
    """A whole number from 0, of any size."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    _require(is_whole and value >= 0, value, where, "a whole number from 0")


def scalar(value: Any, where: str) -> None:
    """A text, a finite number, true, false, or nothing."""
    if isinstance(value, float):
        number(value, where)
    _require(value is None or isinstance(value, str | int | float), value, where, "one value")


def anything(value: Any, where: str) -> None:
    """Whatever it is."""


def choice(names: Collection[str]) -> Form:
    """One of some texts."""

    def check(value: Any, where: str) -> None:
        is_right = isinstance(value, str) and value in names
        _require(is_right, value, where, f"one of {', '.join(sorted(names))}")

    return check


def listed(form: Form, *, n: int | None = None) -> Form:
    """A list of values of one form, ``n`` of them where that is said."""

    def check(value: Any, where: str) -> None:
        is_right = isinstance(value, list) and n in (None, len(value))
        _require(is_right, value, where, "a list" if n is None else f"a list of {n}")
        for place, item in enumerate(value):
            form(item, f"{where}[{place}]")

    return check


def mapping(form: Form) -> Form:
    """An object whose entries have one form; they may be null."""

    def check(value: Any, where: str) -> None:
        _require(isinstance(value, dict), value, where, "an object")
        for name, item in value.items():
            if item is not None:
                form(item, f"{where}.{name}".lstrip("."))

    return check


def record(
    entries: Mapping[str, Form], *, needs: Collection[str] = (), has: Collection[str] = ()
) -> Form:
    """An object with known entries, which may be null or left out.

    Parameters
    ----------
    needs : entries that must not be null; has : those that must be there, null or not.
    """

    def check(value: Any, where: str) -> None:
        _require(isinstance(value, dict), value, where, "an object")
        for name in has:
            _require(name in value, None, f"{where}.{name}".lstrip("."), "there")
        for name in needs:
            _require(value.get(name) is not None, None, f"{where}.{name}".lstrip("."), "there")
        for name, form in entries.items():
            if value.get(name) is not None:
                form(value[name], f"{where}.{name}".lstrip("."))

    return check


def each(form: Form, names: str) -> dict[str, Form]:
    """Entries of one form, their names in one text."""
    return dict.fromkeys(names.split(), form)


def metric(value: Any, where: str) -> None:
    """A metric's name; those of one's own are called as their functions are."""
    is_right = isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w.]*", value) is not None
    _require(is_right, value, where, "the name of a metric")


_DIRECTION: Final = choice(("min", "max"))
_KIND: Final = choice(TASKS)

BUDGET: Final = record(
    {
        "minutes": number,
        **each(count, "started trials max_repeats"),
        "until_decided": flag,
    },
    needs=("minutes", "started", "trials", "max_repeats", "until_decided"),
)

DECLARATION: Final = record(
    {
        "name": text,
        "type": choice(("choice", "int", "float", "boolean", "fixed")),
        "values": listed(scalar),
        **each(number, "low high step"),
        "sampling": text,
        "default": scalar,
        "conditions": listed(record({"name": text, "values": listed(scalar)})),
    },
    needs=("name", "type"),
)

SETTINGS_FORM: Final = record(
    {
        "budget": BUDGET,
        **each(text, "format space space_sha256 engine oracle split split_reason select race"),
        **each(text, "duplicates command"),
        **each(count, "trials folds repeats max_repeats epochs batch_size test_rows nested"),
        **each(count, "patience rungs bracket gap max_levels max_words"),
        **each(number, "test_size trial_timeout minutes"),
        **each(flag, "baselines until_decided importance weigh_scores"),
        **each(mapping(anything), "options fix"),
        "tried": listed(mapping(scalar)),
        "preprocess": record({**each(text, "name sha256"), "shape": listed(count)}),
        "space_hyperparameters": listed(DECLARATION),
        **each(mapping(text), "versions worker_environment own_metrics"),
        "seed": seed,
        "scale_target": scalar,
        "metric": metric,
        "direction": _DIRECTION,
        "metrics": listed(metric),
        "warnings": listed(text),
        "data": record(
            {
                **each(text, "name fingerprint groups time weights score_weights"),
                **each(count, "n_rows n_columns"),
                "task": _KIND,
                "target": listed(text),
                "levels": listed(number),
            }
        ),
    }
)

_SCORES: Final = mapping(number)

_BEST: Final = record(
    {
        **each(count, "trial n_folds best_epoch n_params n_trials"),
        **each(number, "score score_std score_se ci_low ci_high"),
        **each(_SCORES, "metrics test"),
        "metric": metric,
        "direction": _DIRECTION,
        "scores_weigh_by": text,
        "hyperparameters": mapping(scalar),
        "refit": mapping(count),
        "selected_by": mapping(text),
        "ledger": mapping(anything),
        "sha256": mapping(text),
        "modes": record(
            {
                **each(count, "n_rows n_steps"),
                **each(_SCORES, "training inference"),
                "batch_normalization": record({"momentum": number}, needs=["momentum"]),
            },
            needs=["n_rows", "n_steps"],
        ),
        "learning_rate": record(
            {**each(number, "first peak last"), "tenth_epoch": count}, needs=["peak", "last"]
        ),
    },
    needs=["trial"],
)


def _best_document(value: Any, where: str) -> None:
    """Its form; a metric that is none of ours says itself what is good."""
    _BEST(value, where)
    name = value.get("metric")
    is_known = name is None or name in METRICS or value.get("direction") is not None
    _require(is_known, name, "metric", "one of hpsearch's, or has a direction beside it")


BEST_FORM: Final[Form] = _best_document


_TRANSFORMER: Final = record(
    {
        **each(text, "name file form sha256 code_sha256"),
        "shape": listed(count),
        "features": listed(text),
        "versions": mapping(text),
        "source": mapping(anything),
    },
    needs=["name", "file", "form", "sha256", "code_sha256", "shape", "features", "versions"],
)

MANIFEST_FORM: Final = record(
    {
        **each(text, "format backend sha256"),
        **each(count, "trial n_params"),
        **each(mapping(count), "limits trained_on"),
        "hyperparameters": mapping(scalar),
        "ranges": mapping(listed(scalar, n=2)),
        "word_slots": listed(number),
        "preprocess": _TRANSFORMER,
        "checks": listed(text),
        "inputs": listed(
            record(
                {
                    **each(text, "name dtype"),
                    "shape": listed(count),
                    "features": listed(mapping(anything)),
                },
                needs=["name", "dtype", "shape", "features"],
            )
        ),
        "output": mapping(anything),
        "code": record(
            {"import": text, "objects": listed(text), "sha256": mapping(text)},
            needs=["import", "objects", "sha256"],
        ),
        "schema": record(
            {
                "columns": listed(
                    record(
                        {
                            **each(text, "name kind"),
                            "levels": listed(scalar),
                            "shape": listed(count),
                            "width": count,
                        },
                        needs=["name", "kind"],
                    )
                ),
                "target": record(
                    {"names": listed(text), "kind": _KIND, "labels": listed(scalar)},
                    needs=["names", "kind"],
                ),
            },
            needs=["columns", "target"],
        ),
    }
)

DOCUMENTS: Final[Mapping[str, Form]] = {
    layout.SETTINGS: SETTINGS_FORM,
    layout.BEST: BEST_FORM,
    layout.MANIFEST: MANIFEST_FORM,
}


# -- tables

ColumnForm = Callable[["pd.Series"], bool]


def _is_number(column: pd.Series) -> bool:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    return is_numeric_dtype(column.dtype) and not is_bool_dtype(column.dtype)


def _is_count(column: pd.Series) -> bool:
    """Whole numbers from 0; cells may be missing."""
    if not _is_number(column):
        return False
    there = column.dropna()
    return bool(((there >= 0) & (there <= LARGEST) & (there % 1 == 0)).all())


def _is_key(column: pd.Series) -> bool:
    """Whole numbers from 0, in every cell."""
    return bool(column.notna().all()) and _is_count(column)


def _is_weight(column: pd.Series) -> bool:
    """Finite numbers from 0, in every cell."""
    return _is_number(column) and bool(((column >= 0) & (column < math.inf)).all())


def _is_status(column: pd.Series) -> bool:
    return bool(column.isin(("completed", "stopped", "failed")).all())


def _is_flag(column: pd.Series) -> bool:
    from pandas.api.types import is_bool_dtype

    return is_bool_dtype(column.dtype)


def _is_anything(column: pd.Series) -> bool:
    return True


_WANTED: Final[Mapping[ColumnForm, str]] = {
    _is_number: "numbers",
    _is_count: "whole numbers from 0",
    _is_key: "whole numbers from 0 in every row",
    _is_status: "completed, stopped or failed",
    _is_weight: "finite numbers from 0 in every row",
    _is_flag: "True or False",
    _is_anything: "anything",
}


@dataclass(frozen=True)
class TableForm:
    """The columns of a table.

    Attributes
    ----------
    needs : columns that must be there; keys : those of them that no two rows share.
    may : columns that may be there; prefixes : and those that begin so.
    some : beginnings of which there must be a column each.
    """

    needs: Mapping[str, ColumnForm]
    keys: tuple[str, ...]
    may: Mapping[str, ColumnForm] = field(default_factory=dict)
    prefixes: Mapping[str, ColumnForm] = field(default_factory=dict)
    some: tuple[str, ...] = ()

    def check(self, table: pd.DataFrame) -> None:
        """Raise ``ValueError`` where the table has another form."""
        for name in self.needs:
            if name not in table.columns:
                raise ValueError(f"it has no column {name!r}")
        for start in self.some:
            if not any(str(name).startswith(start) for name in table.columns):
                raise ValueError(f"it has no column {start!r}")
        for name in map(str, table.columns):
            form = self._form_of(name)
            if not form(table[name]):
                raise ValueError(f"its column {name!r} holds other than {_WANTED[form]}")
        if self.keys and table.duplicated(list(self.keys)).any():
            raise ValueError(f"two of its rows have the same {', '.join(self.keys)}")

    def _form_of(self, name: str) -> ColumnForm:
        for forms in (self.needs, self.may):
            if name in forms:
                return forms[name]
        return next(
            (form for start, form in self.prefixes.items() if name.startswith(start)), _is_anything
        )


_SIDES: Final[Mapping[str, ColumnForm]] = {"val_": _is_number, "train_": _is_number}

TABLES: Final[Mapping[str, TableForm]] = {
    layout.TRIALS: TableForm(
        needs={"trial": _is_key, "status": _is_status, "score": _is_number},
        keys=("trial",),
        may={
            **dict.fromkeys(("score_std", "score_se", "ci_low", "ci_high"), _is_number),
            **dict.fromkeys(("rank", "n_folds", "best_epoch", "epochs", "n_params"), _is_count),
        },
        prefixes={"metric.": _is_number},
    ),
    layout.FOLDS: TableForm(
        needs=dict.fromkeys(("trial", "repeat", "fold", "n_train", "n_val"), _is_key),
        keys=("trial", "repeat", "fold"),
        may={"seed": _is_number, "epochs": _is_count},
        prefixes=_SIDES,
    ),
    layout.CURVES: TableForm(
        needs=dict.fromkeys(("trial", "epoch"), _is_key),
        keys=("trial", "epoch"),
        may={"n_folds": _is_count, "phase": _is_count},
        prefixes=_SIDES,
    ),
    layout.PREDICTIONS: TableForm(
        needs=dict.fromkeys(("row", "repeat", "fold"), _is_key),
        keys=("row", "repeat", "fold"),
        may={"weight": _is_weight},
        prefixes={"y_pred": _is_number},
        some=("y_true", "y_pred"),
    ),
    layout.TIMINGS: TableForm(needs={"trial": _is_key, "seconds": _is_number}, keys=("trial",)),
    layout.BASELINES: TableForm(
        needs={"baseline": _is_anything, "repeat": _is_key, "fold": _is_key},
        keys=("baseline", "repeat", "fold"),
        may={"n_train": _is_key, "n_val": _is_key},
        prefixes=_SIDES,
    ),
    layout.NESTED_TABLE: TableForm(
        needs={"fold": _is_key},
        keys=("fold",),
        may={
            **dict.fromkeys(("n_train", "n_test", "trial", "epoch"), _is_count),
            **dict.fromkeys(("inner_score", "outer_score"), _is_number),
        },
    ),
    layout.PREDICTING: TableForm(
        needs={"model": _is_anything, "n_rows": _is_count, "seconds": _is_number},
        keys=("model",),
    ),
    layout.IMPORTANCE: TableForm(
        needs={
            "column": _is_anything,
            **dict.fromkeys(("group", "n_folds"), _is_key),
            **dict.fromkeys(("importance", "importance_se", "ci_low", "ci_high"), _is_number),
            "told_apart": _is_flag,
        },
        keys=("column",),
    ),
}
