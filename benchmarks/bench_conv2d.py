"""Speed and memory of `convlab.ops.conv2d`, as ratios to the bare matrix product; writes README.md beside it.

Run it with ``python benchmarks/bench_conv2d.py``. One thread, one process, medians of interleaved runs:
ratios stay put where seconds do not. The bare product is ``weight @ columns`` with all windows laid out in
memory beforehand: the least that a convolution by matrix product has to do.
"""

import os
import platform
import tracemalloc
from pathlib import Path
from statistics import median
from time import perf_counter

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")  # before numpy loads

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from convlab.ops import conv2d

ROUNDS = 31

LAYERS = {  # name: channels in, channels out, side, kernel size, stride
    "stem of EfficientNet-Lite0": (3, 32, 224, 3, 2),
    "VGG-16, conv2_1": (64, 128, 112, 3, 1),
    "ResNet-50, conv4_2, 3×3": (256, 256, 14, 3, 1),
    "ResNet-50, conv5_1, 1×1": (1024, 512, 14, 1, 1),
}


def windows(x, kernel_size, stride):
    """View (C, kh, kw, H', W') of an image (C, H, W) padded so that stride 1 keeps its size."""
    pad = (kernel_size - 1) // 2
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    view = sliding_window_view(x, (kernel_size, kernel_size), axis=(1, 2))[:, ::stride, ::stride]
    return view.transpose(0, 3, 4, 1, 2)


def whole_im2col(x, weight, stride):
    """All windows at once, then one product."""
    view = windows(x, weight.shape[2], stride)
    columns = view.reshape(-1, view.shape[3] * view.shape[4])
    return (weight.reshape(len(weight), -1) @ columns).reshape(len(weight), *view.shape[3:])


def tensordot(x, weight, stride):
    """The shortest way to write it."""
    return np.tensordot(weight, windows(x, weight.shape[2], stride), 3)


def ours(x, weight, stride):
    """The library's."""
    return conv2d(x, weight, stride=stride, padding=(weight.shape[2] - 1) // 2)


def seconds(function, *arguments):
    """Time of one call."""
    start = perf_counter()
    function(*arguments)
    return perf_counter() - start


def mebibytes(function, *arguments):
    """Memory that one call takes at its peak, its result included."""
    tracemalloc.start()
    function(*arguments)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def measure(channels, filters, side, kernel_size, stride):
    """Seconds of the bare product; then, for each way, its time as a ratio to that, and its memory."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((channels, side, side), dtype=np.float32)
    weight = generator.standard_normal((filters, channels, kernel_size, kernel_size), dtype=np.float32)
    view = windows(x, kernel_size, stride)
    columns, matrix = view.reshape(-1, view.shape[3] * view.shape[4]), weight.reshape(filters, -1)
    ways = (ours, whole_im2col, tensordot)
    results = [way(x, weight, stride) for way in ways]  # and everything is warm
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], rtol=1e-3, atol=1e-3)
    times = [
        [seconds(np.matmul, matrix, columns), *(seconds(way, x, weight, stride) for way in ways)]
        for _ in range(ROUNDS)
    ]
    bare = median(row[0] for row in times)
    ratios = [median(row[n] / row[0] for row in times) for n in (1, 2, 3)]
    return bare, ratios, [mebibytes(way, x, weight, stride) for way in ways]


def main():
    """Measure every layer and write the table."""
    rows = []
    for name, layer in LAYERS.items():
        bare, ratios, memory = measure(*layer)
        cells = [f"{ratio:.2f} × ({peak:.0f} MiB)" for ratio, peak in zip(ratios, memory, strict=True)]
        rows.append(f"| {name} | {1000 * bare:.1f} ms | {' | '.join(cells)} |")
        print(rows[-1])
    versions = f"Python {platform.python_version()}, numpy {np.__version__}, {platform.machine()}"
    text = (
        f"""# Benchmarks

Written by `python benchmarks/bench_conv2d.py`; do not edit.

## Convolution

Time as a multiple of the bare matrix product `weight @ columns`, whose windows lie ready in memory; in
brackets, the memory that a call takes at its peak, its result included. One image, float32, one thread,
medians of {ROUNDS} rounds. {versions}.

| layer | bare product | `convlab.ops.conv2d` | all windows at once (im2col) | windows and `tensordot` |
|---|---|---|---|---|
"""
        + "\n".join(rows)
        + "\n"
    )
    (Path(__file__).parent / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
