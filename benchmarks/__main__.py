"""Measure speed and memory, print the results, and write them to README.md: ``python benchmarks``.

Each `bench_*.py` beside this file has a function `rows()` that gives, for each thing measured, what it is,
the result, and the bar that it should meet. Seconds differ from machine to machine, ratios within one process
hardly.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")  # before numpy loads

import platform
import sys
from importlib import import_module
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent
sys.path.append(str(FOLDER.parent / "tools"))
INTRODUCTION = """# Benchmarks

Written by `make bench`; do not edit. One thread, one process, medians of interleaved runs, as ratios.
"""


def main() -> None:
    """Measure each room in turn."""
    machine = f"Python {platform.python_version()}, numpy {np.__version__}, {platform.machine()}."
    text = INTRODUCTION + machine + "\n"
    print(text)
    for path in sorted(FOLDER.glob("bench_*.py")):
        room = path.stem.removeprefix("bench_")
        table = [f"## {room}", "", "| what | measured | bar |", "|---|---|---|"]
        module = import_module(path.stem)
        table += [f"| {' | '.join(row)} |" for row in module.rows()]
        table += ["", module.NOTE] if hasattr(module, "NOTE") else []
        print("\n".join(table), end="\n\n")
        text += "\n" + "\n".join(table) + "\n"
    (FOLDER / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
