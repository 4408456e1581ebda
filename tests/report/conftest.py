"""Made-up runs, and a browser to open their reports in."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def made():
    """The module that makes run folders; tests can't import each other's helpers."""
    path = Path(__file__).with_name("made.py")
    spec = importlib.util.spec_from_file_location("made_runs", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["made_runs"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium. In CI it must be there; elsewhere its tests are skipped without it."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs Chromium to test the report: apt-get install chromium")
        pytest.skip("the report is tested in Chromium, and no `chromium` is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
