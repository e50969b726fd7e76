"""Speed and memory of `convlab.ops`: ``python benchmarks/bench_ops.py`` prints them; `make bench` keeps them.

The bare matrix product is ``weight @ columns`` with all windows laid out in memory beforehand: the least that
a convolution by matrix product has to do.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")  # before numpy loads

import json
import subprocess
import sys
import tracemalloc
from statistics import median
from time import perf_counter

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view

from convlab import ops

ROUNDS = 31

LAYERS = {  # name: images, filters, kernel size, stride
    "(1, 3, 224, 224) · 64×7×7, stride 2": ((1, 3, 224, 224), 64, 7, 2),
    "(1, 64, 56, 56) · 64×3×3": ((1, 64, 56, 56), 64, 3, 1),
    "(8, 64, 56, 56) · 64×3×3": ((8, 64, 56, 56), 64, 3, 1),
    "(1, 256, 14, 14) · 256×3×3": ((1, 256, 14, 14), 256, 3, 1),
}

NOTE = """Against torch, the bar is within reach of a matrix product only where numpy's OpenBLAS uses the same
vector instructions as torch: on this processor it takes AVX2 unless told otherwise, and then the bare product
alone misses the bar. The depthwise case has no matrix product to gain from: copying the windows takes most of
the time."""


def numbers(*shape):
    """Standard normal float32."""
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def medians(*calls):
    """Median of each call's time as a ratio to the first call's, run in turn."""
    times = []
    for _ in range(ROUNDS):
        times.append([])
        for call in calls:
            start = perf_counter()
            call()
            times[-1].append(perf_counter() - start)
    return [median(row[i] / row[0] for row in times) for i in range(len(calls))]


def settle():
    """One thread for torch too; and the C library, learning from what is freed, keeps memory for reuse."""
    torch.set_num_threads(1)
    np.ones(30 * 2**20, np.uint8)  # allocated and freed


def compare(shape, filters, kernel_size, stride):
    """One layer: our time over the bare product's, over torch's, and the bare product's over torch's."""
    padding = kernel_size // 2
    x, weight = numbers(*shape), numbers(filters, shape[1], kernel_size, kernel_size)
    matrix = weight.reshape(filters, -1)
    columns = ops.im2col(ops.pad2d(x, padding), kernel_size, stride=stride)
    tensors = torch.tensor(x), torch.tensor(weight)

    def bare():
        return matrix @ columns

    def ours():
        return ops.conv2d(x, weight, stride=stride, padding=padding)

    def torchs():
        return torch.nn.functional.conv2d(*tensors, stride=stride, padding=padding)

    y = ours()
    np.testing.assert_allclose(bare().reshape(y.shape), y, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(torchs().numpy(), y, rtol=1e-3, atol=1e-3)
    _, over_bare = medians(bare, ours)
    return over_bare, medians(torchs, ours)[1], medians(torchs, bare)[1]


def compare_avx512():
    """All layers, in a process where numpy's OpenBLAS uses AVX-512 as torch does, also on a CPU new to it."""
    environment = os.environ | {"OPENBLAS_CORETYPE": "SkylakeX"}
    command = [sys.executable, __file__, "--layers"]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def extra_memory():
    """MiB that conv2d takes on the batch of 8, at its peak, beyond its output and the padded input."""
    shape, filters, kernel_size, stride = LAYERS["(8, 64, 56, 56) · 64×3×3"]
    x, weight = numbers(*shape), numbers(filters, shape[1], kernel_size, kernel_size)
    tracemalloc.start()
    y = ops.conv2d(x, weight, stride=stride, padding=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return (peak - y.nbytes - ops.pad2d(x, 1).nbytes) / 2**20


def depthwise():
    """Our time over torch's for a depthwise 3×3 on (1, 64, 56, 56)."""
    x, weight = numbers(1, 64, 56, 56), numbers(64, 1, 3, 3)
    tensors = torch.tensor(x), torch.tensor(weight)
    return medians(
        lambda: torch.nn.functional.conv2d(*tensors, padding=1, groups=64),
        lambda: ops.conv2d(x, weight, padding=1, groups=64),
    )[1]


def pooling(kernel_size, stride):
    """How many times faster max_pool2d on (1, 64, 112, 112) is than the maximum of a view of all windows."""
    x = numbers(1, 64, 112, 112)

    def view():
        windows = sliding_window_view(x, (kernel_size, kernel_size), axis=(2, 3))
        return windows[:, :, ::stride, ::stride].max((-2, -1))

    np.testing.assert_array_equal(ops.max_pool2d(x, kernel_size, stride=stride), view())
    return medians(lambda: ops.max_pool2d(x, kernel_size, stride=stride), view)[1]


def rows():
    """Measure everything: what, the result, the bar."""
    settle()
    ratios = {name: compare(*layer) for name, layer in LAYERS.items()}
    table = [
        (f"conv2d ÷ bare matrix product: {name}", f"{r[0]:.2f} ×", "≤ 1.30 ×") for name, r in ratios.items()
    ]
    against = [("", ratios)]
    if torch.backends.cpu.get_cpu_capability() == "AVX512":
        against.append((", with `OPENBLAS_CORETYPE=SkylakeX`", compare_avx512()))
    for setting, found in against:
        for name, (_, ours, bare) in found.items():
            measured = f"{ours:.2f} × (the bare product {bare:.2f} ×)"
            table.append((f"conv2d ÷ torch: {name}{setting}", measured, "≤ 1.45 ×"))
    table.append(
        ("conv2d, memory beyond output and padded input, batch of 8", f"{extra_memory():.2f} MiB", "≤ 2 MiB")
    )
    table.append(("depthwise ÷ torch: (1, 64, 56, 56) · 3×3", f"{depthwise():.2f} ×", "≤ 2 ×"))
    for kernel_size, stride in ((2, 2), (3, 2), (3, 1)):
        what = f"max_pool2d {kernel_size}×{kernel_size}, stride {stride}, against a view of all windows"
        table.append((what, f"{pooling(kernel_size, stride):.0f} × faster", "≥ 10 × faster"))
    return table


if __name__ == "__main__":
    if sys.argv[1:] == ["--layers"]:
        settle()
        print(json.dumps({name: compare(*layer) for name, layer in LAYERS.items()}))
    else:
        for row in rows():
            print(" | ".join(row))
