"""Speed of `convlab.regions.roi_align` against a gather of four corners per sample.

One process, one thread, medians of interleaved runs: ratios stay put where seconds do not.
"""

import os
from statistics import median
from timeit import timeit

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")  # before numpy loads

import numpy as np

from convlab.regions import roi_align

ROUNDS, CALLS = 15, 3
SIDE, SCALE, POINTS = 7, 1 / 16, 2


def gather(x, boxes):
    """RoIAlign of one image (1, C, H, W), all samples at once: four corners, each with its weight."""
    _, channels, height, width = x.shape
    low, high = boxes[:, :2, None] * SCALE - 0.5, boxes[:, 2:, None] * SCALE - 0.5
    steps = (np.arange(SIDE * POINTS) + 0.5) / (SIDE * POINTS)
    columns, rows = (low + (high - low) * steps).swapaxes(0, 1)  # each (K, samples)
    inside = ((rows >= -1) & (rows <= height))[:, :, None] & ((columns >= -1) & (columns <= width))[:, None]
    rows = np.clip(rows, 0, height - 1)[:, :, None]
    columns = np.clip(columns, 0, width - 1)[:, None]
    top, left = rows.astype(int), columns.astype(int)
    bottom, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    down, across = (rows - top).astype(x.dtype), (columns - left).astype(x.dtype)
    image = x[0]
    samples = (  # (C, K, samples, samples)
        image[:, top, left] * ((1 - down) * (1 - across) * inside)
        + image[:, top, right] * ((1 - down) * across * inside)
        + image[:, bottom, left] * (down * (1 - across) * inside)
        + image[:, bottom, right] * (down * across * inside)
    )
    bins = samples.reshape(channels, len(boxes), SIDE, POINTS, SIDE, POINTS).mean((3, 5))
    return bins.transpose(1, 0, 2, 3)


def rows():
    """What, measured, and the bar."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((1, 256, 50, 50), dtype=np.float32)
    corners = generator.uniform(0, 800, (100, 2, 2))
    boxes = np.concatenate([corners.min(1), corners.max(1)], 1)
    ways = (
        lambda: roi_align(x, [boxes], SIDE, spatial_scale=SCALE, sampling_ratio=POINTS),
        lambda: gather(x, boxes),
    )
    np.testing.assert_allclose(ways[0](), ways[1](), rtol=1e-4, atol=1e-5)
    times = [[timeit(way, number=CALLS) / CALLS for way in ways] for _ in range(ROUNDS)]
    ratio = median(theirs / ours for ours, theirs in times)
    ours = 1000 * median(ours for ours, _ in times)
    what = "roi_align, 100 boxes, 256×50×50 → 7×7, 2×2 samples per bin, against a four-corner gather"
    return [(what, f"{ratio:.1f} × faster ({ours:.1f} ms)", "≥ 4 × faster")]


if __name__ == "__main__":
    for row in rows():
        print(*row, sep=" | ")
