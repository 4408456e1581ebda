"""One HTML file out of the sections: the template, the style, the script and the chart library.

Everything is inside, so that the page needs no network; a content security policy forbids it one,
and any script but the two that are known by their digest. Text from a run is escaped by the
template, and in the page's data ``<`` is written as an escape, so no name can become markup.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import Any, Final

from hpsearch.report.blocks import Section
from hpsearch.report.material import Material
from hpsearch.report.parts.summary import configuration, head, subtitle
from hpsearch.report.sections import sections

LIBRARY: Final = "echarts.min.js"


def report_html(material: Material, *, version: str = "") -> str:
    """The report as one self-contained HTML page.

    Parameters
    ----------
    material : what the run left.
    version : of hpsearch, for the page's foot.

    Returns
    -------
    The page's text; the same material gives the same text.

    Examples
    --------
    >>> import pandas as pd
    >>> trials = pd.DataFrame({"trial": [0], "status": ["completed"], "score": [0.5]})
    >>> page = report_html(Material(trials))
    >>> page[:15], "http://www.w3.org/2000/svg" in page
    ('<!doctype html>', True)
    """
    made = sections(material)
    return rendered(
        "page.html",
        library=LIBRARY,
        script="report.js",
        title=_title(material),
        subtitle=subtitle(material),
        facts=head(material),
        configuration=configuration(material),
        sections=made,
        specs=_embedded(_specs(made, material.decimals)),
        version=version,
    )


def rendered(template: str, *, script: str, library: str = "", **values: Any) -> str:
    """A page out of a template, with the style and its scripts inside.

    Parameters
    ----------
    template, script, library : files that come with the package; the script goes after what all
        pages share.
    values : what else the template takes.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    own = f"{asset('shared.js')}\n{asset(script)}"
    scripts = {"script": own, **({"library": asset(library)} if library else {})}
    environment = Environment(
        loader=PackageLoader("hpsearch.report", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(
        policy=_policy(*scripts.values()), style=asset("report.css"), **scripts, **values
    )


@cache
def asset(name: str) -> str:
    """A file that comes with the package, as text."""
    return (files("hpsearch.report") / "assets" / name).read_text(encoding="utf-8")


def _title(material: Material) -> str:
    data = material.settings.get("data") or {}
    return str(data.get("name") or "Search")


def _specs(made: list[Section], decimals: int) -> dict[str, Any]:
    """Each chart's specification; those of scores say with how many decimals they are shown."""
    charts = (chart for section in made for chart in section.charts)
    return {
        chart.name: {**chart.spec, "decimals": decimals}
        if "metric" in chart.spec or "metrics" in chart.spec
        else chart.spec
        for chart in charts
    }


def _embedded(value: Any) -> str:
    """JSON that is safe inside a script element, whatever names it holds."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _policy(*scripts: str) -> str:
    """The page's content security policy: no network, and these scripts only."""
    digests = (base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
