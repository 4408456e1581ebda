"""How the site is built of these pages: ``sphinx-build -W docs build/site`` (see CONTRIBUTING.md).

Pages are Markdown that reads as well in the repository. What differs on the site is decided here:
pages that lie above this folder have a place in it, and docstrings are made what autodoc expects.
The theme brings its own scripts and takes the system's fonts, so that an opened page asks no server
for anything, and the search works from the disk.
"""

import re
from pathlib import Path

import hpsearch

project = "hpsearch"
author = "the hpsearch authors"
version = release = hpsearch.__version__
html_title = f"hpsearch {version}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_show_search_summary = False  # a browser may not fetch other pages from the disk
html_theme_options = {"navigation_with_keys": True}
highlight_language = "text"
pygments_style, pygments_dark_style = "a11y-light", "a11y-high-contrast-dark"
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # a page that is a file from above may begin at any level

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_default_options = {"members": True}
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

ABOVE = {"contributing": "CONTRIBUTING.md", "changelog": "CHANGELOG.md"}
"""Pages that are files of the repository's root; what stands in docs/ only links to them."""

SECTIONS_OF_NAMES = {"Parameters", "Attributes", "Other Parameters"}
NAMES = re.compile(r"(\*{0,2}\w+(?:, \*{0,2}\w+)*) : (.*)")


def read(app, docname, source):
    """Put the text of a file above docs/ into its page, and have links to it lead there."""
    if docname in ABOVE:
        text = (Path(app.srcdir).parent / ABOVE[docname]).read_text(encoding="utf-8")
        text = re.sub(r"\]\((?!\w+:|#)", "](../", text).replace("](../docs/", "](")
        source[0] = text
    for page, file in ABOVE.items():
        source[0] = source[0].replace(f"](../{file}", f"]({page}.md")


def described(app, what, name, obj, options, lines):
    """Move what follows ``name :`` below the name.

    numpydoc has a type there. This package's types stand in its signatures, and its docstrings have
    the description.
    """
    made, section = [], ""
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if following and set(following) == {"-"}:
            section = line
        found = NAMES.fullmatch(line) if section in SECTIONS_OF_NAMES else None
        made += [found[1], f"    {found[2]}"] if found else [line]
    lines[:] = made


def reachable(app, pagename, templatename, context, doctree):
    """Give headings of the navigation a level, and what scrolls sideways to the keyboard."""
    tree = context.get("furo_navigation_tree", "")
    context["furo_navigation_tree"] = tree.replace(
        'role="heading"', 'role="heading" aria-level="2"'
    )
    body = context.get("body", "")
    body = body.replace("<pre>", '<pre tabindex="0">')
    context["body"] = re.sub('<div (?=class="table-wrapper)', '<div tabindex="0" ', body)


def setup(app):
    """Connect what reads pages and docstrings."""
    app.connect("source-read", read)
    app.connect("html-page-context", reachable, priority=900)  # after the theme
    app.connect("autodoc-process-docstring", described, priority=100)
