"""The examples in docstrings run, and say what happens."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import kiseki

MODULES = [
    name
    for _, name, _ in pkgutil.walk_packages(kiseki.__path__, "kiseki.")
    if not name.endswith("__main__") and ".migrations" not in name
]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0
