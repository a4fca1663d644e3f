"""A module that others import and we do not need: it is loaded when something of it is really used. For third-party code alone."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any


@contextmanager
def on_demand(name: str) -> Iterator[None]:
    """What is imported within gets a stand-in for the named module; whoever imports it afterwards gets the real one."""
    if name in sys.modules:
        yield
        return

    def found(attribute: str) -> Any:
        if attribute.startswith("__"):      # who looks through all modules does not want this one
            raise AttributeError(attribute)
        return getattr(import_module(name), attribute)

    stand_in = ModuleType(name)
    stand_in.__getattr__ = found        # type: ignore[method-assign]
    sys.modules[name] = stand_in
    try:
        yield
    finally:
        del sys.modules[name]
