"""The report's sections, in the page's order."""

from __future__ import annotations

from dataclasses import replace

from hpsearch.report import figures
from hpsearch.report.blocks import Section
from hpsearch.report.material import Material
from hpsearch.report.parts.columns import columns_section
from hpsearch.report.parts.curves import curves_section
from hpsearch.report.parts.decided import decided_section
from hpsearch.report.parts.outcomes import predictions_section
from hpsearch.report.parts.space import (
    importance_of,
    importance_section,
    parallel_section,
    slices_section,
)
from hpsearch.report.parts.summary import again_section, findings_section
from hpsearch.report.parts.trials import folds_section, progress_section, trials_section
from hpsearch.report.parts.worth import estimates_section


def sections(material: Material) -> list[Section]:
    """Every section that the run has something for, in the page's order."""
    shown = figures.axes(material.scored)
    ranks = importance_of(material, shown)
    made = [
        estimates_section(material),
        findings_section(material),
        trials_section(material),
        curves_section(material),
        parallel_section(material, shown, ranks),
        slices_section(material, shown),
        importance_section(material, shown, ranks),
        progress_section(material),
        folds_section(material),
        decided_section(material),
        columns_section(material),
        predictions_section(material),
        again_section(material),
    ]
    there = [section for section in made if section is not None]
    anchors = {section.anchor for section in there}
    return [_with_links_to(section, anchors) for section in there]


def _with_links_to(section: Section, anchors: set[str]) -> Section:
    """The section without links to sections that this run doesn't have."""
    findings = tuple(
        f if f.anchor in anchors else replace(f, anchor="", where="") for f in section.findings
    )
    return replace(section, findings=findings)
