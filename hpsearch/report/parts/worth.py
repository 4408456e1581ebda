"""What the score is worth: all estimates in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hpsearch.report.blocks import (
    Cell,
    Chart,
    Section,
    table_of,
)
from hpsearch.report.estimates import Estimate, baseline_verdict, estimates, promised
from hpsearch.report.figures import Spec
from hpsearch.report.material import Material, short

_BASELINES_WITHIN: Final = 1.5


def estimates_section(material: Material) -> Section | None:
    """All estimates of the selected trial's score in one picture."""
    found = estimates(material.best, material.ledger)
    if not found:
        return None
    metric, direction = material.metric, material.direction
    low, high = _drawn_range(found)
    spec: Spec = {
        "kind": "forest",
        "metric": metric,
        "direction": direction,
        "rows": [
            {
                "key": estimate.key,
                "label": estimate.label,
                "value": short(estimate.value),
                "low": short(estimate.low),
                "high": short(estimate.high),
                "text": _estimate_text(estimate),
                "about": estimate.about,
            }
            for estimate in found
        ],
        "range": [short(low), short(high)],
    }
    table = table_of(
        f"Estimates of {metric}",
        ("estimate", metric, "95 % interval", "what it is"),
        [(e.label, Cell(e.shown), e.interval or "none", e.about) for e in found],
    )
    chart = Chart(
        "estimates",
        spec,
        _caption(material, found, low, high),
        f"{len(found)} estimates of {metric} with their intervals; the table below has them.",
    )
    lead = _estimates_lead(material, found)
    return Section("estimates", "What the score is worth", lead, (chart,), (table,))


def _caption(material: Material, found: Sequence[Estimate], low: float, high: float) -> str:
    text = "Dots are estimates, bars their 95 % intervals; further down they leave less out."
    if any(estimate.key == "naive" for estimate in found):
        text += " Crossed out: an interval that is too narrow."
    if any(estimate.key == "baseline" for estimate in found):
        text += " Diamonds: models that need no search."
    if any(not low <= estimate.value <= high for estimate in found):
        text += " A triangle at the edge: far off."
    keys = {estimate.key for estimate in found if estimate.low is not None}
    if "corrected" in keys and keys & {"bias_corrected", "test"}:
        text += (
            " Intervals of means over folds come from how the folds differ, those of "
            f"{_resampled(keys)} from resampled rows: each is a 95 % interval of another thing, so "
            "their widths differ."
        )
    ends = [end for e in found if e.is_cut for end in (e.low, e.high)]
    if ends:
        low, high = material.bounds
        text += material.cut_remark(
            [low - 1 if end == low else high + 1 if end == high else end for end in ends]
        )
    return text


def _resampled(keys: set[str]) -> str:
    names = {"bias_corrected": "the corrected estimate", "test": "the test score"}
    return " and ".join(name for key, name in names.items() if key in keys)


def _drawn_range(found: Sequence[Estimate]) -> tuple[float, float]:
    """From the lowest end to the highest; baselines that are far off stay at the edge."""

    def ends(estimates: Sequence[Estimate]) -> list[float]:
        return [v for e in estimates for v in (e.value, e.low, e.high) if v is not None]

    own = ends([estimate for estimate in found if estimate.key != "baseline"]) or ends(found)
    low, high = min(own), max(own)
    reach = _BASELINES_WITHIN * ((high - low) or abs(high) or 1.0)
    near = [value for value in ends(found) if low - reach <= value <= high + reach]
    low, high = min(near), max(near)
    margin = 0.06 * ((high - low) or abs(high) or 1.0)
    return low - margin, high + margin


def _estimates_lead(material: Material, found: Sequence[Estimate]) -> str:
    expected = promised(material.best, material.ledger) or found[0]
    bounds = expected.interval
    text = f"On new rows of the same kind expect a {material.metric} of about {expected.shown}"
    text += f", between {bounds.replace(' to ', ' and ')}." if bounds else "."
    by_key = {estimate.key: estimate for estimate in found}
    naive, corrected = by_key.get("naive"), by_key.get("corrected")
    widths = (naive and naive.width, corrected and corrected.width)
    ratio = widths[1] / widths[0] if widths[0] and widths[1] else 1.0
    if ratio > 1.05:
        text += (
            f" Taking the folds for independent would claim an interval {ratio:.1f} times too "
            "narrow."
        )
    if test := by_key.get("test"):
        text += f" {_test_sentence(material, test, expected)}"
    if material.ledger and (said := baseline_verdict(material.ledger, found[0].decimals)):
        text += f" {said}"
    return text


def _estimate_text(estimate: Estimate) -> str:
    bounds = estimate.interval
    return estimate.shown + (f"  ({bounds})" if bounds else "")


def _test_sentence(material: Material, test: Estimate, expected: Estimate) -> str:
    score = f"The final model scores {test.shown} on the test rows"
    if expected.low is None or expected.high is None or expected.key == "test":
        return f"{score}."
    if expected.low <= test.value <= expected.high:
        return f"{score}, within that interval."
    is_better = (test.value < expected.low) == (material.direction == "min")
    return f"{score}, {'better' if is_better else 'worse'} than that interval."
