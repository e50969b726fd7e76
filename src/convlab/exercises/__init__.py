"""Exercises of the chapters, checked at once: ``check("PS-E2", answer)``."""

import importlib
import pkgutil
from functools import cache

from convlab.exercises._engine import Exercise

__all__ = ["check"]


@cache
def _exercises() -> dict[str, Exercise]:
    """All exercises of all chapters, collected from the modules of this package when first needed."""
    found: dict[str, Exercise] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        chapter = importlib.import_module(f"{__name__}.{module.name}")
        found.update(getattr(chapter, "EXERCISES", {}))
    return found
