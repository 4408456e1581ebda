"""How large the report of a large search is, how fast it opens, and what axe finds in it.

    python benchmarks/report.py                     # 200 trials
    python benchmarks/report.py --trials 1000 --keep /tmp/run
    python benchmarks/report.py --picture results/breast_cancer docs/report.png

Makes a run's folder with made-up numbers (200 trials of 3 x 4 folds and 100 epochs, with failed
and stopped trials), writes its report and opens that file in headless Chromium. Prints the size,
the seconds that writing took, milliseconds until the load event and until the last chart is drawn
(median of some openings, each in a new browser profile), axe-core's findings in both colour
schemes, and what would have gone to the network. Exits with 1 where a promise is broken: below
5 MB, drawn within 2 s, nothing serious or critical, no request, no error.

``--picture`` takes README's picture instead, of a real run.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent
MOST_BYTES, MOST_MILLISECONDS = 5e6, 2000
DRAWN = "html[data-drawn]"
TIMES = """() => {
    const [page] = performance.getEntriesByType("navigation");
    const [drawn] = performance.getEntriesByName("drawn");
    return {load: page.loadEventEnd, drawn: drawn.startTime};
}"""


def maker():
    """The tests' module that makes run folders."""
    spec = importlib.util.spec_from_file_location("made", ROOT / "tests/report/made.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def opened(browser, path, scheme, problems):
    """The page, once every chart is drawn."""
    page = browser.new_context(color_scheme=scheme).new_page()
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    page.on("console", lambda m: m.type == "error" and problems.append(f"console: {m.text}"))
    page.on("request", lambda r: r.url.startswith("http") and problems.append(f"request: {r.url}"))
    page.goto(path.as_uri())
    page.wait_for_selector(DRAWN)
    return page


def take_picture(run, target):
    """The top of a run's report as README shows it, below 400 kB."""
    with sync_playwright() as playwright:
        browser = launched(playwright)
        page = browser.new_page(viewport={"width": 1280, "height": 1500})
        page.goto((Path(run) / "report.html").resolve().as_uri())
        page.wait_for_selector(DRAWN)
        page.screenshot(path=target)
        browser.close()


def launched(playwright):
    """Debian's Chromium, without a window."""
    path = shutil.which("chromium")
    return playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--openings", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="where the run's folder is left")
    parser.add_argument("--picture", nargs=2, metavar=("RUN", "FILE"), type=Path)
    options = parser.parse_args()
    if options.picture:
        take_picture(*options.picture)
        return 0
    folder = options.keep or Path(tempfile.mkdtemp()) / "run"
    n = options.trials
    run = maker().make_run(
        folder,
        n_trials=n,
        n_repeats=3,
        n_folds=4,
        n_epochs=100,
        n_rows=1000,
        failed=(7,),
        stopped=range(n // 2, n // 2 + n // 10),
        huge=(5,),
    )
    started = time.perf_counter()
    path = run.report()
    seconds = time.perf_counter() - started
    problems, times, findings = [], [], {}
    with sync_playwright() as playwright:
        for _ in range(options.openings):
            browser = launched(playwright)
            times.append(opened(browser, path, "light", problems).evaluate(TIMES))
            browser.close()
        browser = launched(playwright)
        for scheme in ("light", "dark"):
            found = Axe().run(opened(browser, path, scheme, problems)).response["violations"]
            findings[scheme] = [f"{v['impact']}: {v['id']}" for v in found]
        browser.close()
    load, drawn = (statistics.median(t[name] for t in times) for name in ("load", "drawn"))
    size = path.stat().st_size
    print(f"size          {size / 1e6:.2f} MB")
    print(f"written in    {seconds:.1f} s")
    print(f"load event    {load:.0f} ms")
    print(f"charts drawn  {drawn:.0f} ms")
    for scheme, found in findings.items():
        print(f"axe, {scheme:<8} {', '.join(found) or 'nothing'}")
    for problem in sorted(set(problems)):
        print(problem)
    if options.keep is None:
        shutil.rmtree(folder.parent)
    grave = [f for found in findings.values() for f in found if f.startswith(("serious", "crit"))]
    return int(size > MOST_BYTES or drawn > MOST_MILLISECONDS or bool(grave or problems))


if __name__ == "__main__":
    sys.exit(main())
