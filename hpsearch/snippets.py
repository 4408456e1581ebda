"""Pieces of HTML by which objects show themselves in a notebook: words, facts and small tables.

They take the colours of the page that they stand in, so that they fit light and dark themes, hold
no script, and load nothing. Whatever text they are given is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Final

_STYLE: Final = (
    ".hpsearch{max-width:60rem;line-height:1.45;overflow-wrap:anywhere}"
    ".hpsearch a{color:inherit}"
    ".hpsearch p{margin:.3em 0}"
    ".hpsearch dl{display:grid;grid-template-columns:max-content 1fr;gap:.1em 1em;margin:.4em 0}"
    ".hpsearch dt,.hpsearch dd{margin:0;font-weight:400}"
    ".hpsearch .scroller{overflow-x:auto}"
    ".hpsearch table{border-collapse:collapse;margin:.4em 0;font-size:inherit}"
    ".hpsearch th,.hpsearch td{padding:.15em .8em .15em 0;text-align:left;vertical-align:top;"
    "background:none;border-bottom:1px solid color-mix(in srgb,currentColor 25%,transparent)}"
    ".hpsearch th,.hpsearch td:not(:last-child){white-space:nowrap}"
    ".hpsearch td:last-child{min-width:10rem}"
    ".hpsearch ul{margin:.3em 0;padding-left:1.2em}"
    ".hpsearch progress{width:min(24rem,60%);vertical-align:middle}"
)


def shown(title: str, *parts: str) -> str:
    """A piece of HTML out of a title and of what other functions here make.

    Examples
    --------
    >>> shown("a<b", facts({"rows": "3"})).partition("</style>")[2]
    '<p><strong>a&lt;b</strong></p><dl><dt>rows</dt><dd>3</dd></dl></div>'
    """
    head = f"<p><strong>{escape(title)}</strong></p>"
    return f'<div class="hpsearch"><style>{_STYLE}</style>{head}{"".join(parts)}</div>'


def words(text: str) -> str:
    """A sentence."""
    return f"<p>{escape(text)}</p>"


def facts(values: Mapping[str, str]) -> str:
    """Names and values, those without one left out."""
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"
        for name, value in values.items()
        if value
    )
    return f"<dl>{rows}</dl>" if rows else ""


def listed(label: str, lines: Iterable[str]) -> str:
    """Sentences under a label; nothing where there are none."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<p>{escape(label)}</p><ul>{items}</ul>" if items else ""


def table(label: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with a label for people who don't see it."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<div class="scroller" role="region" aria-label="{escape(label)}" tabindex="0"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def progress(done: int, total: int, text: str) -> str:
    """A bar with words beside it."""
    bar = f'<progress max="{total}" value="{done}" aria-label="{done} of {total}"></progress>'
    return f'<div class="hpsearch"><style>{_STYLE}</style><p>{bar} {escape(text)}</p></div>'


def link(path: str, text: str) -> str:
    """A link to a file beside the notebook."""
    return f'<p><a href="{escape(path)}">{escape(text)}</a></p>'
