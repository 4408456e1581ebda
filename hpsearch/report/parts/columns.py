"""Importance of columns: what the networks lose without each, as a picture and a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hpsearch import words
from hpsearch.report.blocks import Chart, Section, Table, joined, number_cell, table_of
from hpsearch.report.figures import Spec
from hpsearch.report.material import Material, finite, records, short

_DRAWN: Final = 20
_NAMED: Final = 5


def columns_section(material: Material) -> Section | None:
    """What the networks lose where a column's cells come from other rows."""
    groups = _groups(material)
    if not groups:
        return None
    return Section(
        "columns",
        "Importance of columns",
        _lead(groups, material),
        (_chart(groups, material),),
        (_table(groups, material),),
        (
            "Measured with each fold's network on the rows that it was not trained on. It is what "
            "the network uses, and no proof that the target depends on it: a column that says the "
            "same as others may have none.",
        ),
    )


def _groups(material: Material) -> list[dict[str, Any]]:
    """A row for each group of columns, in the table's order, with the names of all of them."""
    found: dict[Any, dict[str, Any]] = {}
    for row in records(material.importance):
        group = found.setdefault(row["group"], {**row, "names": []})
        group["names"].append(str(row["column"]))
    return [group for group in found.values() if finite(group["importance"]) is not None]


def _lead(groups: list[dict[str, Any]], material: Material) -> str:
    clear = [_label(group) for group in groups if group["told_apart"]]
    text = (
        f"How much worse {material.metric} gets where a column's cells are shuffled among the "
        "rows of a fold, columns that go together at once. "
    )
    if finite(groups[0]["ci_low"]) is None:
        return text + "With one fold nothing is known of the errors."
    if not clear:
        return text + "No column is told apart from none: each interval holds 0."
    named = joined(clear[:_NAMED]) if len(clear) <= _NAMED else ", ".join(clear[:_NAMED])
    more = f" and {len(clear) - _NAMED} more" if len(clear) > _NAMED else ""
    n_others = len(groups) - len(clear)
    verb = "matters" if len(clear) == 1 else "matter"
    rest = f" {_counted(n_others)} not told apart from none." if n_others else ""
    return f"{text}Beyond their errors, {named}{more} {verb}.{rest}"


def _counted(n: int) -> str:
    return "One column or group is" if n == 1 else f"{n} columns or groups are"


def _chart(groups: list[dict[str, Any]], material: Material) -> Chart:
    rows: list[Spec] = [
        {
            "key": "column",
            "label": _label(group),
            "value": short(group["importance"], 4),
            "low": short(_end(group, "ci_low"), 4),
            "high": short(_end(group, "ci_high"), 4),
            "about": "",
        }
        for group in groups[:_DRAWN]
    ]
    lows = min(0.0, *(row["low"] for row in rows), *(row["value"] for row in rows))
    highs = max(0.0, *(row["high"] for row in rows), *(row["value"] for row in rows))
    spec: Spec = {
        "kind": "bars",
        "x": f"{material.metric} lost when its cells are shuffled",
        "of": f"{material.metric} lost",
        "rows": rows,
        "range": [short(lows, 3), short(highs if highs > lows else lows + 1.0, 3)],
    }
    return Chart(
        "columns",
        spec,
        "Bars of the error are 95 % intervals over the folds, corrected for the training rows that "
        "folds share. Where one holds 0, the column is not told apart from none.",
        f"The importance of the first {len(rows)} columns or groups of columns; the table below "
        "has all.",
    )


def _table(groups: list[dict[str, Any]], material: Material) -> Table:
    rows = [
        (
            _label(group),
            number_cell(group["importance"]),
            words.interval(group["ci_low"], group["ci_high"]) or "none",
            _verdict(group),
        )
        for group in groups
    ]
    heads = ("columns", f"{material.metric} lost", "95 % interval", "")
    return table_of("What is lost without each column", heads, rows)


def _verdict(group: Mapping[str, Any]) -> str:
    if finite(group["ci_low"]) is None:
        return "no error known"
    return "matters" if group["told_apart"] else "not told apart from none"


def _label(group: Mapping[str, Any]) -> str:
    return " with ".join(group["names"])


def _end(group: Mapping[str, Any], name: str) -> float:
    """An end of the interval; the value itself where there is none."""
    found = finite(group[name])
    return float(group["importance"]) if found is None else found
