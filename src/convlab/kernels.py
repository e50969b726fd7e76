"""Named kernels: small (height, width) arrays of float64.

They are meant for cross-correlation, which is what `ops.conv2d` and deep learning compute: a kernel lies on
the image as it is printed. So `sobel_x` answers with positive numbers where the image gets brighter to the
right, and `sobel_y` where it gets brighter downwards. For a true convolution, `flip` the kernel first.

The arrays are read-only, so that no cell of a notebook can change them for the next.

>>> sobel_x
array([[-1.,  0.,  1.],
       [-2.,  0.,  2.],
       [-1.,  0.,  1.]])
>>> laplacian
array([[ 0.,  1.,  0.],
       [ 1., -4.,  1.],
       [ 0.,  1.,  0.]])
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from convlab.shapes import as_int

Kernel = NDArray[np.float64]


def gaussian(sigma: float, size: int | None = None) -> Kernel:
    """Gaussian blur: samples of exp(−(x² + y²) / (2·sigma²)), scaled so that they sum to 1.

    `sigma`, in pixels, is positive. `size`, the side, is odd, so that the kernel has a centre; by default it
    reaches 3·sigma to each side. ValueError otherwise.

    >>> gaussian(1).shape
    (7, 7)
    >>> gaussian(0.85, 3).round(2)  # close to 1/16, 2/16, 4/16
    array([[0.06, 0.12, 0.06],
           [0.12, 0.25, 0.12],
           [0.06, 0.12, 0.06]])
    """
    if not 0 < sigma < math.inf:
        raise ValueError(f"`sigma` must be positive and finite, got {sigma}")
    side = 2 * math.ceil(3 * sigma) + 1 if size is None else as_int("size", size, 1)
    if side % 2 == 0:
        raise ValueError(f"`size` must be odd, so that the kernel has a centre, got {side}")
    x = np.arange(side) - side // 2
    profile = np.exp(-0.5 * (x / sigma) ** 2)
    kernel: Kernel = np.outer(profile, profile) / profile.sum() ** 2
    return kernel


def flip(kernel: ArrayLike) -> NDArray[Any]:
    """Turn a kernel by 180° (its last two axes): correlation becomes convolution and back.

    >>> flip([[1, 2], [3, 4]])
    array([[4, 3],
           [2, 1]])
    """
    kernel = np.asarray(kernel)
    if kernel.ndim < 2:
        raise ValueError(f"`kernel` must have at least two axes (height, width), got shape {kernel.shape}")
    return np.flip(kernel, (-2, -1)).copy()


def compose(first: ArrayLike, second: ArrayLike) -> NDArray[Any]:
    """The one kernel that does what `first` and then `second` do: their full convolution.

    Both are (height, width); the result has the sum of their sizes, less 1. The order does not matter.
    The dtype is numpy's common one, but integers of any width give int64. ValueError if one has not two axes.

    >>> compose([[1, 1]], [[1, -1]])
    array([[ 1,  0, -1]])
    >>> compose([[1, 2, 1]], [[-1], [0], [1]])  # sobel_y: blur along rows, difference down columns
    array([[-1, -2, -1],
           [ 0,  0,  0],
           [ 1,  2,  1]])
    """
    first, second = np.asarray(first), np.asarray(second)
    for name, kernel in (("first", first), ("second", second)):
        if kernel.ndim != 2:
            raise ValueError(f"`{name}` must have two axes (height, width), got shape {kernel.shape}")
    (rows, columns), (height, width) = first.shape, second.shape
    dtype = np.result_type(first, second)
    dtype = np.dtype(np.int64) if dtype.kind in "iu" else dtype
    both = np.zeros((rows + height - 1, columns + width - 1), dtype)
    for (u, v), number in np.ndenumerate(second):
        both[u : u + rows, v : v + columns] += number * first.astype(dtype)
    return both


def _constant(rows: list[list[float]]) -> Kernel:
    kernel = np.array(rows, dtype=np.float64)
    kernel.setflags(write=False)
    return kernel


identity = _constant([[0, 0, 0], [0, 1, 0], [0, 0, 0]])
box = _constant([[1 / 9] * 3] * 3)
sobel_x = _constant([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
sobel_y = _constant([[-1, -2, -1], [0, 0, 0], [1, 2, 1]])
laplacian = _constant([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
sharpen = _constant([[0, -1, 0], [-1, 5, -1], [0, -1, 0]])
emboss = _constant([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
