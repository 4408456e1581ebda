"""The examples in the documentation of ``hpsearch.data`` run."""

import doctest
import pkgutil
from importlib import import_module

import pytest

import hpsearch.data

MODULES = [
    f"hpsearch.data.{module.name}" for module in pkgutil.iter_modules(hpsearch.data.__path__)
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    result = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0
