"""Feature pyramid network (Lin et al. 2017): strong features at every scale, in torch and again in numpy.

A backbone's maps shrink as they learn to tell things apart. The pyramid takes one map per level, the finest
first, brings all to the same depth with 1×1 convolutions (laterals), and from the coarsest down adds each
level, enlarged ×2, to the next finer one. A 3×3 convolution then smooths what the enlarging left.

In numpy the same takes two calls, `smooth(merge(maps, laterals), smooths)`; a convolution is (weight, bias).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional

from convlab import ops
from convlab.regions import level_of_box
from convlab.shapes import as_int

__all__ = ["FPN", "level_of_box", "merge", "smooth", "upsample"]

Array = NDArray[Any]
Convolution = tuple[ArrayLike, ArrayLike]  # weight (O, C, kh, kw) and bias (O,)


class FPN(nn.Module):
    """Pyramid on maps with `in_channels`, the finest first; every level comes out with `out_channels`.

    Each map is half as high and wide as the one before, an odd side rounded up. Parameters: per level,
    out_channels · (in_channels + 1) for the lateral and out_channels · (9 · out_channels + 1) for the 3×3.

    Raises
    ------
    ValueError
        In the constructor, if a number of channels is not positive or there is no level; in the call, if
        there is not one map per level, or a map is not half the one before.

    >>> import torch
    >>> fpn = FPN([256, 512, 1024, 2048])  # on C2 to C5 of ResNet-50
    >>> sum(parameter.numel() for parameter in fpn.parameters())
    3344384
    >>> maps = [torch.zeros(1, 256, 25, 8), torch.zeros(1, 512, 13, 4), torch.zeros(1, 1024, 7, 2)]
    >>> [tuple(level.shape) for level in fpn([*maps, torch.zeros(1, 2048, 4, 1)])]
    [(1, 256, 25, 8), (1, 256, 13, 4), (1, 256, 7, 2), (1, 256, 4, 1)]
    """

    def __init__(self, in_channels: Sequence[int], out_channels: int = 256) -> None:
        super().__init__()
        depth = as_int("out_channels", out_channels, 1)
        if not in_channels:
            raise ValueError("`in_channels` must have one number per level, got none")
        self.laterals = nn.ModuleList(nn.Conv2d(as_int("in_channels", n, 1), depth, 1) for n in in_channels)
        self.smooths = nn.ModuleList(nn.Conv2d(depth, depth, 3, padding=1) for _ in in_channels)

    def merge(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Laterals and top-down sums, before the 3×3 convolutions: one (N, out_channels, H, W) per level."""
        if all(isinstance(x, Tensor) for x in maps):  # not while torch.fx traces, when sizes are unknown
            _check_maps([tuple(x.shape) for x in maps], len(self.laterals))
        merged: list[Tensor] = [lateral(x) for lateral, x in zip(self.laterals, maps, strict=True)]
        for level in reversed(range(len(merged) - 1)):
            size = merged[level].shape[-2:]  # twice the coarser side, or one less where it was rounded up
            merged[level] = merged[level] + functional.interpolate(merged[level + 1], size, mode="nearest")
        return merged

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Levels P from maps C, the finest first: (N, C, H, W) each to (N, out_channels, H, W)."""
        return [conv(x) for conv, x in zip(self.smooths, self.merge(maps), strict=True)]


def upsample(x: ArrayLike, size: tuple[int, int] | None = None) -> Array:
    """Repeat every pixel of x (…, H, W) in two rows and two columns; `size` cuts the end where it was odd.

    ValueError if `size` is not 2H or 2H − 1 by 2W or 2W − 1.

    >>> upsample([[1, 2], [3, 4]], size=(3, 4))
    array([[1, 1, 2, 2],
           [1, 1, 2, 2],
           [3, 3, 4, 4]])
    """
    x = np.asarray(x)
    if x.ndim < 2:
        raise ValueError(f"`x` must have shape (…, H, W), got {x.shape}")
    height, width = (2 * side for side in x.shape[-2:]) if size is None else size
    if _half((height, width)) != x.shape[-2:]:
        raise ValueError(f"`size` must be twice {x.shape[-2:]}, or one less where odd, got {size}")
    return x.repeat(2, axis=-2).repeat(2, axis=-1)[..., :height, :width]


def merge(maps: Sequence[ArrayLike], laterals: Sequence[Convolution]) -> list[Array]:
    """`FPN.merge` in numpy: a 1×1 convolution of every map, and from the coarsest down their sums.

    >>> one_by_one = np.ones((1, 1, 1, 1)), np.zeros(1)
    >>> fine, coarse = np.zeros((1, 1, 2, 4)), np.array([[[[1.0, 2.0]]]])
    >>> merge([fine, coarse], [one_by_one, one_by_one])[0]
    array([[[[1., 1., 2., 2.],
             [1., 1., 2., 2.]]]])
    """
    arrays = [np.asarray(x) for x in maps]
    _check_maps([x.shape for x in arrays], len(laterals))
    merged = [ops.conv2d(x, weight, bias) for x, (weight, bias) in zip(arrays, laterals, strict=True)]
    for level in reversed(range(len(merged) - 1)):
        height, width = merged[level].shape[-2:]
        merged[level] = merged[level] + upsample(merged[level + 1], (height, width))
    return merged


def smooth(merged: Sequence[ArrayLike], smooths: Sequence[Convolution]) -> list[Array]:
    """The last step in numpy: a 3×3 convolution of every merged map, which keeps its size.

    >>> mean = np.full((1, 1, 3, 3), 1 / 9), np.zeros(1)
    >>> smooth([np.full((1, 1, 3, 3), 9.0)], [mean])[0].round(9)
    array([[[[4., 6., 4.],
             [6., 9., 6.],
             [4., 6., 4.]]]])
    """
    if len(merged) != len(smooths):
        raise ValueError(f"`merged` must have one map per convolution, so {len(smooths)}, got {len(merged)}")
    return [
        ops.conv2d(x, weight, bias, padding="same") for x, (weight, bias) in zip(merged, smooths, strict=True)
    ]


def _half(sides: Sequence[int]) -> tuple[int, ...]:
    """Half of each side, rounded up."""
    return tuple(-(-side // 2) for side in sides)


def _check_maps(shapes: Sequence[tuple[int, ...]], levels: int) -> None:
    if len(shapes) != levels:
        raise ValueError(f"`maps` must have one map per level, so {levels}, got {len(shapes)}")
    for shape in shapes:
        if len(shape) != 4:
            raise ValueError(f"`maps` must have shape (N, C, H, W), got {shape}")
    for finer, coarser in pairwise(shapes):
        if finer[0] != coarser[0] or coarser[2:] != _half(finer[2:]):
            height, width = _half(finer[2:])
            raise ValueError(
                "each of `maps` must be half the one before, an odd side rounded up: "
                f"{finer} must be followed by ({finer[0]}, …, {height}, {width}), got {coarser}"
            )
