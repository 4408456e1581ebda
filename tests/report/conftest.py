"""Made-up runs."""

import importlib.util
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
