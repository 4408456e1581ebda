"""The site: built without a warning, nothing in it leads astray, and it needs no network."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe

import hpsearch

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, as CI builds it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    done = subprocess.run(
        [*command, DOCS, folder], capture_output=True, text=True, check=False, timeout=200
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder


class Html(HTMLParser):
    """The ids of a page, and what it links to and loads."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.loaded = set(), [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids |= {given["id"]} if given.get("id") else set()
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        source = given.get("src") if tag != "link" else given.get("href")
        if source and not source.startswith("data:"):
            self.loaded.append(source)


@pytest.fixture(scope="module")
def pages(site):
    return {path: Html(path) for path in sorted(site.rglob("*.html"))}


def test_nothing_on_the_site_leads_astray(pages):
    astray = []
    for path, page in pages.items():
        for target in (*page.links, *page.loaded):
            url = urlsplit(target)
            if url.scheme in ("https", "mailto"):
                continue
            linked = (path.parent / unquote(url.path)).resolve() if url.path else path
            found = linked in pages if linked.suffix == ".html" else linked.is_file()
            if found and url.fragment and linked in pages:
                found = url.fragment in pages[linked].ids
            if not found:
                astray.append(f"{path.name}: {target}")
    assert astray == []


def test_nothing_is_loaded_from_elsewhere(pages):
    loaded = {source for page in pages.values() for source in page.loaded}
    assert [source for source in loaded if urlsplit(source).netloc] == []


def test_every_public_name_is_explained(pages, site):
    documented = pages[site / "api.html"].ids
    public = {name: getattr(hpsearch, name) for name in hpsearch.__all__ if name != "__version__"}
    homes = {name: {f"hpsearch.{name}", f"{it.__module__}.{name}"} for name, it in public.items()}
    assert [name for name, home in homes.items() if not home & documented] == []


def test_descriptions_do_not_stand_where_types_do(site):
    text = (site / "api.html").read_text(encoding="utf-8")
    [shown] = re.findall(r"<strong>observer</strong>(.*?)</p>", text, flags=re.DOTALL)[:1]
    assert "hears what happens" in shown.split(")", 1)[1]


@pytest.fixture
def visit(browser, site):
    """Open a page from the disk; at the end nothing may have gone wrong or to the network."""
    contexts, wrong = [], []

    def visit(name, *, query="", width=1280, **options):
        context = browser.new_context(viewport={"width": width, "height": 800}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("request", lambda r: r.url.startswith(("file:", "data:")) or wrong.append(r.url))
        page.goto((site / name).as_uri() + query)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.mark.parametrize("name", ["index.html", "engines.html"])
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_axe_finds_nothing_serious(visit, name, scheme, width):
    page = visit(name, color_scheme=scheme, width=width)
    found = Axe().run(page).response["violations"]
    grave = [
        (v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")
    ]
    assert grave == []


@pytest.mark.parametrize("name", ["index.html", "first-run.html", "options.html", "api.html"])
def test_a_phone_never_scrolls_sideways(visit, name):
    page = visit(name, width=360)
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_the_search_works_from_the_disk(visit):
    page = visit("search.html", query="?q=nested")
    page.wait_for_selector("#search-results a[href^='statistics.html']")
    assert page.locator("#search-results a[href^='statistics.html']").count() > 0
