"""Exercises of chapter 5, A whole CNN."""

from math import isqrt, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlab.exercises._engine import Design, Exercise, Implement, Predict
from convlab.nets import Conv, Dense, GlobalPool, Ledger, Net, Node, ledger
from convlab.shapes import coverage, dense_parameters, output_size

Array = NDArray[Any]

STRIDES = [2, 2, 1, 2]
MOST_PARAMETERS, MOST_MACS, LEAST_FIELD = 20_000, 2_000_000, 24


def _sides(side: int, layers: list[tuple[int, int, int]]) -> list[int]:
    """Side after each layer (kernel_size, stride, padding)."""
    sides = []
    for kernel_size, stride, padding in layers:
        side = output_size(side, kernel_size, stride=stride, padding=padding)
        sides.append(side)
    return sides


def _flat(maps: int, first_padding: int = 2) -> int:
    last = _sides(40, [(5, 1, first_padding), (2, 2, 0), (3, 1, 0), (3, 3, 0)])[-1]
    return maps * last**2


def _side_of_s4(size: int) -> int:
    return _sides(size, [(5, 1, 0), (2, 2, 0), (5, 1, 0), (2, 2, 0)])[-1]


def _merge(first: Array, b1: Array, second: Array, b2: Array) -> Array:
    return np.column_stack([second @ first, second @ b1 + b2])


def _pairs_of_layers(rng: np.random.Generator) -> list[tuple[Array, Array, Array, Array]]:
    cases = []
    for _ in range(60):
        inputs, hidden, outputs = rng.integers(1, 5, 3)
        shapes = (hidden, inputs), (hidden,), (outputs, hidden), (outputs,)
        cases.append(tuple(rng.integers(-3, 4, shape).astype(float) for shape in shapes))
    return cases  # type: ignore[return-value]


def _as_filters(weight: Array, maps: int) -> Array:
    side = isqrt(weight.shape[1] // maps)
    return weight.reshape(len(weight), maps, side, side)


def _dense_weights(rng: np.random.Generator) -> list[tuple[Array, int]]:
    cases = []
    for _ in range(60):
        units, maps, side = (int(number) for number in rng.integers(1, 5, 3))
        cases.append((rng.integers(-9, 10, (units, maps * side**2)).astype(float), maps))
    return cases


def _read_by_all(size: int, read_by: int | None = None) -> int:
    """Units that are read by all outputs of a 5×5 kernel, or by so many."""
    outputs = output_size(size, 5) ** 2
    return int((coverage(size, 5) == (outputs if read_by is None else read_by)).sum())


def _counts(layers: list[Conv]) -> Ledger:
    nodes = [Node(f"layer {i + 1}", layer) for i, layer in enumerate(layers)]
    nodes += [Node("pool", GlobalPool()), Node("scores", Dense(10))]
    return ledger(Net("yours", nodes, channels=1), 64)


def _judge_network(answer: Any) -> str:
    if len(answer) < 3:
        return f"At least three convolutions are asked for; this has {len(answer)}."
    for layer in answer:
        if len(layer) != 3 or min(layer) < 1:
            return f"A layer is (kernel_size, filters, stride), all at least 1; one is {tuple(layer)}."
        if layer[0] % 2 == 0:
            return (
                f"The kernel sizes must be odd, so that padding is the same on both sides; one is {layer[0]}."
            )
    layers = [Conv(k, filters, stride=stride, padding=k // 2) for k, filters, stride in answer]
    counts = _counts(layers)
    if counts.parameters > MOST_PARAMETERS:
        return f"It has {counts.parameters:,} parameters, more than {MOST_PARAMETERS:,}."
    if counts.macs > MOST_MACS:
        return f"It takes {counts.macs:,} MACs, more than {MOST_MACS:,}."
    last = counts[f"layer {len(layers)}"].field.size[0]
    if last < LEAST_FIELD:
        wanted = f"{LEAST_FIELD}×{LEAST_FIELD}"
        return f"A unit of the last convolution sees {last}×{last} pixels, fewer than {wanted}."
    return ""


EXERCISES: dict[str, Exercise] = {
    "CN-E1": Predict(
        lambda: _flat(12),
        mistakes={
            "The number of maps is that of the last convolution, not of the first.": lambda: _flat(8),
            "Padding 2 keeps the side for a kernel of 5.": lambda: _flat(12, first_padding=0),
            "This is one map; there are as many as filters.": lambda: _flat(1),
            "Filters run over all maps at once: the numbers of filters are not multiplied.": lambda: _flat(
                8 * 12
            ),
        },
    ),
    "CN-E2": Predict(
        lambda: [201, output_size(16000, 400, stride=160)],
        mistakes={
            "The last windows would reach past the end: use the formula.": lambda: [201, 16000 // 160],
            "Count the first window too.": lambda: [201, (16000 - 400) // 160],
            "Rows are frequencies, columns are times.": lambda: [output_size(16000, 400, stride=160), 201],
            "The task says how many frequencies are taken of each window.": (
                lambda: [400, output_size(16000, 400, stride=160)]
            ),
        },
    ),
    "CN-E3": Predict(
        lambda: dense_parameters(16 * _side_of_s4(36) ** 2, 120),
        mistakes={
            "This is C5 for 32×32; S4 has larger maps now.": lambda: dense_parameters(
                16 * _side_of_s4(32) ** 2, 120
            ),
            "The biases are missing.": lambda: dense_parameters(16 * _side_of_s4(36) ** 2, 120, bias=False),
            "A unit of C5 sees all maps of S4, not one.": lambda: dense_parameters(_side_of_s4(36) ** 2, 120),
        },
    ),
    "CN-E4": Design(
        _judge_network,
        form="a list of at least three layers (kernel_size, filters, stride), all integers",
        wrong=[
            ([], "At least three convolutions are asked for; this has 0"),
            ([(5, 8, 2), (3, 16, 2)], "At least three convolutions are asked for; this has 2"),
            ([(5, 8, 2), (3, 16), (3, 16, 2)], "A layer is (kernel_size, filters, stride)"),
            ([(4, 8, 2), (4, 8, 2), (4, 8, 2)], "The kernel sizes must be odd"),
            ([(3, 32, 2), (3, 48, 2), (3, 64, 2)], "It has 42,"),
            ([(5, 8, 1), (3, 16, 2), (3, 16, 2)], "It takes 2,"),
            ([(3, 8, 2), (3, 8, 2), (3, 8, 2)], "A unit of the last convolution sees 15×15"),
        ],
    ),
    "CN-E5": Implement(
        _merge,
        _pairs_of_layers,
        mistakes={
            "The first bias goes through the second layer too.": lambda first, b1, second, b2: (
                np.column_stack([second @ first, b2])
            ),
            "It adds the biases; the second layer weighs the first one.": lambda first, b1, second, b2: (
                np.column_stack([second @ first, b1 + b2])
            ),
            "The bias belongs into the last column.": lambda first, b1, second, b2: np.column_stack(
                [second @ b1 + b2, second @ first]
            ),
        },
    ),
    "CN-E6": Implement(
        _as_filters,
        _dense_weights,
        mistakes={
            "It takes the maps as the fastest axis; here they come one after another.": lambda weight, maps: (
                np.moveaxis(weight.reshape(len(weight), *[isqrt(weight.shape[1] // maps)] * 2, maps), -1, 1)
            ),
            "Rows and columns are exchanged.": lambda weight, maps: _as_filters(weight, maps).swapaxes(2, 3),
            "The kernels are turned around; no kernel is flipped here.": lambda weight, maps: _as_filters(
                weight, maps
            )[..., ::-1, ::-1],
        },
    ),
    "CN-E7": Predict(
        lambda: [_read_by_all(size) for size in range(5, 11)],
        mistakes={
            "These are the numbers of outputs. How many units have that number on them?": lambda: [
                output_size(size, 5) ** 2 for size in range(5, 11)
            ],
            "These are the largest numbers. How many units have the number of outputs on them?": (
                lambda: [int(coverage(size, 5).max()) for size in range(5, 11)]
            ),
            "You counted along one side; the map has two.": lambda: [
                isqrt(_read_by_all(size)) for size in range(5, 11)
            ],
            "At size 10, look at the numbers in the middle: do they reach the number of outputs?": lambda: [
                *(_read_by_all(size) for size in range(5, 10)),
                _read_by_all(10, read_by=25),
            ],
        },
    ),
    "CN-E8": Predict(
        lambda: prod(STRIDES),
        mistakes={
            "Strides multiply from layer to layer; they do not add up.": lambda: sum(STRIDES),
            "The stride of the pooling counts too.": lambda: prod(STRIDES) // STRIDES[1],
            "This is the stride of the last layer alone; its input has been shrunk already.": lambda: STRIDES[
                -1
            ],
            "Global pooling forgets where, but what reaches it has skipped places.": lambda: min(STRIDES),
        },
    ),
}
