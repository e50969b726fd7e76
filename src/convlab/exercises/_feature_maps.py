"""Exercises of chapter 1, Feature maps."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlab import kernels
from convlab.exercises._engine import Design, Exercise, Implement, Predict
from convlab.ops import conv2d
from convlab.shapes import conv_macs, conv_parameters, output_size

Map = NDArray[Any]


def _one_map(stack: Map, one_filter: Map) -> Map:
    output: Map = conv2d(stack, one_filter[None])[0]
    return output


def _stacks_and_filters(rng: np.random.Generator) -> list[tuple[Map, Map]]:
    cases = []
    for _ in range(60):
        maps, kernel = int(rng.integers(1, 4)), int(rng.integers(1, 4))
        height, width = (kernel + int(more) for more in rng.integers(0, 4, 2))
        stack = rng.integers(-3, 4, (maps, height, width)).astype(float)
        cases.append((stack, rng.integers(-3, 4, (maps, kernel, kernel)).astype(float)))
    return cases


def _judge_edge_kernel(kernel: Any) -> str:
    weights = np.asarray(kernel, dtype=float)
    if weights.shape != (3, 3):
        return f"A kernel of 3×3 is asked for; this has the shape {weights.shape}."
    bright_above = np.array([[1.0] * 3] * 2 + [[0.0] * 3] * 2)  # (4, 3): two windows over the edge
    answers = conv2d(bright_above[None], weights[None, None])[0].ravel()
    even = weights.sum()
    sideways = [weights[:, :columns].sum() for columns in (1, 2)]
    if not np.isclose(even, 0):
        return f"In an even area of brightness 1 it answers with {even:g}, not with 0."
    if not np.allclose(sideways, 0):
        wrong = max(sideways, key=abs)
        return f"To an edge between left and right it answers with {wrong:g}, not with 0."
    if not (answers > 1e-9).all():
        return f"As the edge from bright to dark passes, it gives {answers[0]:g} and {answers[1]:g}."
    return ""


def _unpadded_units() -> tuple[int, int, int]:
    """Units of a row of `blocks.4`: all, those that see the photo only, the first of these."""
    import torch  # here, because it is slow to open

    from convlab.fields import receptive_field
    from convlab.pretrained import efficientnet_lite0

    with torch.random.fork_rng(devices=[]):  # the reader's random numbers stay as they are
        network = efficientnet_lite0(pretrained=False)
    field = receptive_field(network, input_size=224)["blocks.4"]
    units = 224 // int(field.jump[1])
    begins = [field.start[1] + unit * field.jump[1] for unit in range(units)]
    inside = [unit for unit, begin in enumerate(begins) if begin >= 0 and begin + field.size[1] <= 224]
    return units, len(inside), inside[0]


def _growth() -> list[float]:
    def costs(side: int) -> list[int]:
        units = output_size(side, 3)
        return [conv_parameters(1, 1, 3, bias=False), units**2, conv_macs(1, 1, 3, (units, units))]

    return [after / before for before, after in zip(costs(100), costs(200), strict=True)]


def _sizes(rng: np.random.Generator) -> list[tuple[int, int, int]]:
    cases = []
    for _ in range(80):
        n = int(rng.integers(1, 30))
        cases.append((n, int(rng.integers(1, n + 1)), int(rng.integers(1, 6))))
    return cases


def _batches(rng: np.random.Generator) -> list[tuple[Map]]:
    cases = []
    for _ in range(60):
        stack = rng.integers(0, 3, rng.integers(1, 5, 4)).astype(float)
        stack *= rng.random((stack.shape[0], stack.shape[1], 1, 1)) < 0.6
        cases.append((stack,))
    return cases


EXERCISES: dict[str, Exercise] = {
    "FM-E1": Predict(
        lambda: conv_parameters(8, 16, 5, bias=False),
        mistakes={
            "You counted one kernel for each filter; a filter is as deep as the stack below.": lambda: (
                conv_parameters(1, 16, 5, bias=False)
            ),
            "This counts biases too; the question is about weights.": lambda: conv_parameters(8, 16, 5),
            "This is the number of kernels; each holds more than one weight.": lambda: 8 * 16,
            "A kernel of 5×5 has more than 5 weights.": lambda: 8 * 16 * 5,
        },
    ),
    "FM-E2": Implement(
        _one_map,
        _stacks_and_filters,
        mistakes={
            "It uses the first map only; add up the products over all maps.": lambda stack, one_filter: (
                _one_map(stack[:1], one_filter[:1])
            ),
            "It turns the kernel around; lay it on the map as it is printed.": lambda stack, one_filter: (
                _one_map(stack, kernels.flip(one_filter))
            ),
            "It takes the mean of the products; the sum is asked for.": lambda stack, one_filter: _one_map(
                stack, one_filter / one_filter.size
            ),
        },
    ),
    "FM-E3": Design(
        _judge_edge_kernel,
        form="three rows of three numbers",
        wrong=[
            ([[0, 0, 0]] * 3, "As the edge from bright to dark passes"),
            ([[1, 1, 1]] * 3, "In an even area of brightness 1 it answers with 9"),
            ([[1, 0, -1]] * 3, "To an edge between left and right it answers with 3"),
            (kernels.sobel_y.tolist(), "As the edge from bright to dark passes, it gives -4"),
            ([[1, -1], [1, -1]], "A kernel of 3×3 is asked for"),
        ],
    ),
    "FM-E4": Predict(
        lambda: _unpadded_units()[1],
        mistakes={
            "These are the units that do see padding.": lambda: _unpadded_units()[0] - _unpadded_units()[1],
            "You left out those at one end only.": lambda: _unpadded_units()[0] - _unpadded_units()[2],
            "This is the number of the first unit that sees no padding; how many are there?": lambda: (
                _unpadded_units()[2]
            ),
        },
    ),
    "FM-E5": Predict(
        _growth,
        mistakes={
            "Weights are shared by all units: does a larger image need more of them?": lambda: [
                _growth()[1],
                *_growth()[1:],
            ],
            "The image grows in both directions.": lambda: [1, _growth()[1] ** 0.5, _growth()[2] ** 0.5],
        },
        tolerance=0.1,
    ),
    "FM-E6": Implement(
        lambda n, k, s: output_size(n, k, stride=s),
        _sizes,
        mistakes={
            "It counts the steps; the first position needs none.": lambda n, k, s: (n - k) // s,
            "It divides the pixels by the stride, as if the kernel had no width.": lambda n, k, s: n // s,
        },
    ),
    "FM-E7": Implement(
        lambda stack: np.flatnonzero(~(stack > 0).any(axis=(0, 2, 3))),
        _batches,
        mistakes={
            "It lists maps that are 0 in some photo; it must be so in every photo.": lambda stack: (
                np.flatnonzero((~(stack > 0).any(axis=(2, 3))).any(axis=0))
            ),
            "It lists maps that have a 0 somewhere; they must be 0 everywhere.": lambda stack: np.flatnonzero(
                (stack == 0).any(axis=(0, 2, 3))
            ),
            "It lists the maps that are alive.": lambda stack: np.flatnonzero(
                (stack > 0).any(axis=(0, 2, 3))
            ),
        },
    ),
}
