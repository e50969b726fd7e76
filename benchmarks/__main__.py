"""Measure speed and memory, print the results, and write them to README.md: ``python benchmarks [room …]``.

Each `bench_*.py` beside this file has a function `rows()` that gives, for each thing measured, what it is,
the result, and the bar that it should meet. Seconds differ from machine to machine, ratios within one process
hardly.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")  # before numpy loads

import platform
import re
import sys
from importlib import import_module
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent
sys.path.append(str(FOLDER.parent / "tools"))
INTRODUCTION = """# Benchmarks

Written by `make bench`; do not edit. One thread, one process, medians of interleaved runs, as ratios.
"""


def main(chosen: list[str]) -> None:
    """Measure each room in turn, or the chosen ones, and keep what the others had."""
    machine = f"Python {platform.python_version()}, numpy {np.__version__}, {platform.machine()}."
    report = FOLDER / "README.md"
    before = re.split(r"^## (\w+)\n", report.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    kept = dict(zip(before[::2], before[1::2], strict=True))
    text = INTRODUCTION + machine + "\n"
    print(text)
    rooms = {path.stem.removeprefix("bench_"): path.stem for path in sorted(FOLDER.glob("bench_*.py"))}
    if unknown := set(chosen) - rooms.keys():
        sys.exit(f"no such room: {', '.join(unknown)}; there are {', '.join(rooms)}")
    for room, name in rooms.items():
        if not chosen or room in chosen:
            module = import_module(name)
            table = ["", "| what | measured | bar |", "|---|---|---|"]
            table += [f"| {' | '.join(row)} |" for row in module.rows()]
            table += ["", module.NOTE.strip()] if hasattr(module, "NOTE") else []
            kept[room] = "\n".join(table) + "\n"
            print(f"## {room}\n{kept[room]}")
        if room in kept:
            text += f"\n## {room}\n{kept[room].rstrip()}\n"
    report.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
