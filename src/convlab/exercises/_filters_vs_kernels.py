"""Exercises of chapter 2, Filters versus kernels."""

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlab import kernels
from convlab.exercises._engine import Design, Exercise, Implement, Predict
from convlab.ops import conv2d, convolve2d
from convlab.shapes import conv_parameters, output_size

Map = NDArray[Any]

# The same as in the chapter's figure of a filter: three maps, three kernels, the bias.
MAPS = [
    [[0, 0, 2, 2, 0]] * 5,
    [[1, 1, 1, 1, 1], [1, 3, 1, 1, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]],
    [[0, 1, 0, 2, 0], [1, 0, 2, 0, 1], [0, 2, 0, 1, 0], [2, 0, 1, 0, 1], [0, 1, 0, 1, 2]],
]
FILTER = [
    [[-1, 0, 1]] * 3,
    [[1, 1, 1], [0, 0, 0], [-1, -1, -1]],
    [[0, 1, 0], [1, -3, 1], [0, 1, 0]],
]
BIAS = -1

# The same as in the chapter's stepper.
IMAGE = [[1, 0, 2, 1, 0], [0, 1, 1, 0, 2], [2, 1, 0, 1, 1], [1, 0, 1, 2, 0], [0, 2, 1, 0, 1]]
KERNEL = [[1, 0, -1], [0, 2, 0], [1, -1, 0]]

_IMPULSE = np.pad([[1]], 2)[None]
_SKEW = np.array([[1, 2, 0], [0, 3, 0], [0, 0, 4]])


def _smallest(most: int = 3, bias: int = BIAS) -> int:
    """The smallest number of the map, over all choices of at most so many channels."""
    found = [bias]
    for count in range(1, most + 1):
        for on in map(list, combinations(range(3), count)):
            found.append(int(conv2d(np.array(MAPS)[on], np.array(FILTER)[None, on]).min()) + bias)
    return min(found)


def _unturned() -> list[bool]:
    """For each kernel in the stepper's menu: whether turning it leaves the output as it is."""
    menu = [np.array(KERNEL), kernels.identity, kernels.box, kernels.sobel_x, kernels.sobel_y]
    menu += [kernels.laplacian, kernels.sharpen]
    image = np.array(IMAGE)[None]
    return [
        np.allclose(conv2d(image, kernel[None, None]), convolve2d(image, kernel[None, None]))
        for kernel in menu
    ]


def _layer(bias: int = 1, depth: int = 24, side: int = 60) -> list[int]:
    """Kernels, parameters, maps and height of 40 filters of 5×5."""
    parameters = 40 * depth * 25 + 40 * bias
    assert bias != 1 or parameters == conv_parameters(depth, 40, 5)
    return [40 * depth, parameters, 40, output_size(side, 5)]


def _weights(rng: np.random.Generator) -> list[tuple[Map]]:
    cases = []
    for _ in range(60):
        shape = rng.integers(1, 5, 4)
        cases.append((rng.permutation(shape.prod()).reshape(shape).astype(float),))
    return cases


def _separable(rng: np.random.Generator) -> list[tuple[Map, Map]]:
    cases = []
    for _ in range(60):
        maps, filters, height, width = (int(n) for n in rng.integers(1, 5, 4))
        depthwise = rng.integers(-4, 5, (maps, 1, height, width)).astype(float)
        cases.append((depthwise, rng.integers(-4, 5, (filters, maps, 1, 1)).astype(float)))
    return cases


def _as_standard(depthwise: Map, pointwise: Map) -> Map:
    weight: Map = pointwise * depthwise[:, 0]
    return weight


def _first_kernel_only(depthwise: Map, pointwise: Map) -> Map:
    weight: Map = pointwise * depthwise[:1, 0]
    return weight


def _unweighted(depthwise: Map, pointwise: Map) -> Map:
    return np.broadcast_to(depthwise[:, 0], (len(pointwise), *depthwise[:, 0].shape)).copy()


def _judge_colour_edge(answer: Any) -> str:
    weight = np.asarray(answer, dtype=float)
    if weight.shape != (3, 3, 3):
        return f"A filter of three kernels of 3×3 is asked for; this has the shape {weight.shape}."
    if not np.isfinite(weight).all():
        return "A weight is not a finite number."
    tiny = 1e-6 * max(1.0, float(np.abs(weight).max()))
    together = weight.sum(axis=0)
    if np.abs(together).max() > tiny:
        row, column = divmod(int(np.abs(together).argmax()), 3)
        return (
            f"A grey pixel at row {row}, column {column} of the window changes the answer by "
            f"{together[row, column]:.3g} times its brightness, not by 0."
        )
    for name, alone in zip(("red", "green", "blue"), weight.sum(axis=(1, 2)), strict=True):
        if abs(alone) > tiny:
            return f"On a picture that is {name} everywhere it answers with {alone:.3g}, not with 0."
    left = np.arange(4) < 2
    edge = np.zeros((3, 3, 4))
    edge[0], edge[1] = left, ~left  # red on the left, green on the right; two windows over the edge
    for name, picture, sign in (("red to green", edge, 1), ("green to red", edge[:, :, ::-1], -1)):
        answers = conv2d(picture, weight[None]).ravel()
        worst = float(answers[np.argmin(sign * answers)])
        if sign * worst < 1 - 1e-6:
            wanted = "at least 1" if sign > 0 else "at most -1"
            return f"At the edge from {name} one of its answers is {worst:.3g}; {wanted} is asked for."
    return ""


EXERCISES: dict[str, Exercise] = {
    "FK-E1": Predict(
        _smallest,
        mistakes={
            "This is the smallest number with all channels on; switch some of them off.": lambda: int(
                conv2d(np.array(MAPS), np.array([FILTER]), [BIAS]).min()
            ),
            "This is without the bias, which stays when channels are switched off.": lambda: _smallest(
                bias=0
            ),
        },
    ),
    "FK-E2": Predict(
        _layer,
        mistakes={
            "A filter has one bias, not none.": lambda: _layer(bias=0),
            "A filter has one bias, not one for each of its kernels.": lambda: _layer(bias=24),
            "A filter has one kernel for each of the 24 maps.": lambda: _layer(depth=1),
            "Without padding a 5×5 kernel does not fit at every pixel.": lambda: _layer(side=64),
        },
    ),
    "FK-E3": Implement(
        lambda weight: weight.transpose(3, 2, 0, 1),
        _weights,
        mistakes={
            "Reversing the axes swaps height and width too.": lambda weight: weight.transpose(),
            "Input and output maps are the wrong way round.": lambda weight: weight.transpose(2, 3, 0, 1),
            "This is the way from PyTorch to TensorFlow, taken once more.": (
                lambda weight: weight.transpose(2, 3, 1, 0)
            ),
            "The shape is right, but `reshape` leaves the numbers in their old order; axes have to move.": (
                lambda weight: weight.reshape(weight.shape[3], weight.shape[2], *weight.shape[:2])
            ),
        },
    ),
    "FK-E4": Predict(
        lambda: conv2d(_IMPULSE, _SKEW[None, None])[0],
        mistakes={
            "This is the kernel as it is: a true convolution does that, `conv2d` doesn't.": lambda: _SKEW,
            "This mirrors the kernel left to right only.": lambda: _SKEW[:, ::-1],
            "This turns the kernel upside down, but leaves left and right as they are.": lambda: _SKEW[::-1],
        },
    ),
    "FK-E5": Design(
        _judge_colour_edge,
        form="three kernels of 3×3: red, green, blue",
        wrong=[
            (np.zeros((3, 3, 3)), "At the edge from red to green one of its answers is 0"),
            ([kernels.sobel_x] * 3, "A grey pixel at row 1, column 0"),
            ([-kernels.identity, kernels.identity, 0 * kernels.box], "On a picture that is red everywhere"),
            ([kernels.sobel_x, -kernels.sobel_x, 0 * kernels.box], "At the edge from red to green"),
            ([-kernels.sobel_y, kernels.sobel_y, 0 * kernels.box], "At the edge from red to green"),
            (kernels.sobel_x, "A filter of three kernels of 3×3 is asked for"),
        ],
    ),
    "FK-E6": Implement(
        _as_standard,
        _separable,
        mistakes={
            "It uses kernel 0 for every map; each map has a kernel of its own.": _first_kernel_only,
            "It leaves out the 1×1 weights.": _unweighted,
            "It adds the two; one is applied to what the other made.": lambda depthwise, pointwise: (
                pointwise + depthwise[:, 0]
            ),
            "It turns the kernels around.": lambda depthwise, pointwise: _as_standard(
                kernels.flip(depthwise), pointwise
            ),
        },
    ),
    "FK-E7": Predict(
        lambda: sum(_unturned()),
        mistakes={
            "This is the number of those that do change.": lambda: len(_unturned()) - sum(_unturned()),
            "That is all of the menu; look at the signs of the output.": lambda: len(_unturned()),
        },
    ),
}
