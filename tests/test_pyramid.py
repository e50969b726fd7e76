"""The pyramid in torch and in numpy against each other, against torchvision's rule, and by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from convlab import fields, shapes
from convlab.pyramid import FPN, level_of_box, merge, smooth, upsample


def half(side, times):
    for _ in range(times):
        side = -(-side // 2)
    return side


def arrays(layers):
    return [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in layers]


@given(
    st.integers(1, 23),
    st.integers(1, 23),
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.integers(1, 3),
    st.integers(1, 2),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=500)
def test_numpy_gives_the_numbers_of_torch(height, width, in_channels, out_channels, images, seed):
    torch.manual_seed(seed)
    fpn = FPN(in_channels, out_channels).double()
    maps = [
        torch.randn(images, channels, half(height, n), half(width, n), dtype=torch.float64)
        for n, channels in enumerate(in_channels)
    ]
    merged = merge([x.numpy() for x in maps], arrays(fpn.laterals))
    levels = smooth(merged, arrays(fpn.smooths))
    with torch.no_grad():
        for ours, theirs, x in zip(merged, fpn.merge(maps), maps, strict=True):
            assert ours.shape == (images, out_channels, *x.shape[2:])
            np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-12)
        for ours, theirs in zip(levels, fpn(maps), strict=True):
            np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-12)


def test_merging_by_hand():
    maps = [np.zeros((1, 1, 3, 3)), np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), np.array([[[[10.0]]]])]
    keep = np.ones((1, 1, 1, 1)), np.zeros(1)
    add_one = np.ones((1, 1, 1, 1)), np.ones(1)
    fine, middle, coarse = merge(maps, [add_one, keep, keep])
    np.testing.assert_array_equal(coarse, [[[[10]]]])
    np.testing.assert_array_equal(middle, [[[[11, 12], [13, 14]]]])
    np.testing.assert_array_equal(fine, [[[[12, 12, 13], [12, 12, 13], [14, 14, 15]]]])


@given(st.integers(1, 99), st.integers(1, 99))
@settings(max_examples=500)
def test_upsample_is_torchs_nearest_to_that_size(height, width):
    x = np.random.default_rng(height).standard_normal((2, half(height, 1), half(width, 1)))
    expected = functional.interpolate(torch.from_numpy(x)[None], (height, width), mode="nearest")[0]
    np.testing.assert_array_equal(upsample(x, (height, width)), expected.numpy())
    np.testing.assert_array_equal(upsample(x)[:, :height, :width], expected.numpy())
    assert upsample(x).shape == (2, 2 * half(height, 1), 2 * half(width, 1))


def test_parameters_are_counted_by_the_formula():
    in_channels = [256, 512, 1024, 2048]
    laterals = sum(shapes.conv_parameters(channels, 256, 1) for channels in in_channels)
    expected = laterals + 4 * shapes.conv_parameters(256, 256, 3)
    assert sum(parameter.numel() for parameter in FPN(in_channels).parameters()) == expected == 3344384


def test_gradients_reach_every_parameter():
    fpn = FPN([2, 3], 4)
    maps = [torch.randn(1, 2, 8, 8), torch.randn(1, 3, 4, 4)]
    sum(level.square().sum() for level in fpn(maps)).backward()
    assert all(parameter.grad.any() for parameter in fpn.parameters())


def test_the_way_down_enlarges_the_receptive_field():
    """FP-9, from the traced module."""

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.convs = nn.ModuleList(nn.Conv2d(1, 1, 3, stride=2, padding=1) for _ in range(3))
            self.fpn = FPN([1, 1, 1], 1)

        def forward(self, x):
            maps = []
            for conv in self.convs:
                x = conv(x)
                maps.append(x)
            return self.fpn(maps)

    found = fields.receptive_field(Network(), input_size=(64, 64))
    assert [found[f"convs.{n}"].size for n in range(3)] == [(3, 3), (7, 7), (15, 15)]
    assert found["fpn.laterals.0"].size == (3, 3)
    assert min(found["fpn.smooths.0"].size) >= 15


@pytest.mark.parametrize(
    ("sides", "level"),
    [
        ((224, 224), 4), ((223.9, 223.9), 3), ((112, 112), 3), ((111, 112), 2), ((448, 448), 5),
        ((56, 224), 3), ((896, 14), 3), ((1, 1), 2), ((5000, 5000), 5),
    ],
)  # fmt: skip
def test_levels_of_boxes(sides, level):
    assert level_of_box(*sides) == level == level_of_box(*sides[::-1])


@given(st.floats(0.1, 5000), st.floats(0.1, 5000), st.integers(0, 7))
def test_the_level_is_the_formula_within_its_limits(width, height, k0):
    exact = k0 + math.log2(math.sqrt(width * height) / 300)
    level = level_of_box(width, height, k0, size=300, lowest=-99, highest=99)
    assert level <= exact + 1e-9
    assert exact < level + 1 + 1e-9
    assert level_of_box(width, height, k0, size=300, lowest=1, highest=3) == min(max(level, 1), 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: FPN([]), "`in_channels` must have one number per level, got none"),
        (lambda: FPN([3, 0]), "`in_channels` must be at least 1, got 0"),
        (lambda: FPN([3], 0), "`out_channels` must be at least 1, got 0"),
        (lambda: upsample([1, 2]), r"`x` must have shape \(…, H, W\), got \(2,\)"),
        (lambda: upsample([[1, 2]], (3, 4)), r"`size` must be twice \(1, 2\), .*got \(3, 4\)"),
        (lambda: upsample([[1, 2]], (2, 2)), r"got \(2, 2\)"),
        (lambda: smooth([np.zeros((1, 1, 2, 2))], []), "one map per convolution, so 0, got 1"),
        (lambda: level_of_box(0, 4), "`width` must be positive and finite, got 0"),
        (lambda: level_of_box(4, math.nan), "`height` must be positive and finite, got nan"),
        (lambda: level_of_box(4, 4, size=-1), "`size` must be positive and finite, got -1"),
        (lambda: level_of_box(4, 4, lowest=6), "`lowest` must not be above `highest`, got 6 and 5"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([(1, 2, 8, 8)], "one map per level, so 2, got 1"),
        ([(1, 2, 8, 8), (2, 4, 4)], r"`maps` must have shape \(N, C, H, W\), got \(2, 4, 4\)"),
        (
            [(1, 2, 8, 8), (1, 2, 4, 3)],
            r"\(1, 2, 8, 8\) must be followed by \(1, …, 4, 4\), got \(1, 2, 4, 3\)",
        ),
        ([(1, 2, 9, 9), (1, 2, 4, 4)], r"followed by \(1, …, 5, 5\), got \(1, 2, 4, 4\)"),
        ([(1, 2, 1, 1), (1, 2, 2, 2)], r"followed by \(1, …, 1, 1\)"),  # which would broadcast
        ([(1, 2, 8, 8), (2, 2, 4, 4)], r"followed by \(1, …, 4, 4\), got \(2, 2, 4, 4\)"),
    ],
)
def test_maps_that_do_not_fit(sizes, message):
    fpn = FPN([2, 2], 3)
    with pytest.raises(ValueError, match=message):
        fpn([torch.zeros(size) for size in sizes])
    with pytest.raises(ValueError, match=message):
        merge([np.zeros(size) for size in sizes], arrays(fpn.laterals))
