"""Exercises of chapter 6, Receptive fields."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from convlab.exercises._engine import Design, Exercise, Implement, Predict
from convlab.fields import Field, Layer, receptive_field
from convlab.nets import Add, Conv, Net, Node, Pool, vgg16
from convlab.shapes import as_int

Layers = list[tuple[int, int, int]]


def _last(layers: Sequence[Layer], size: int | None = None) -> Field:
    return list(receptive_field(layers, input_size=size).values())[-1]


def _field(layers: Layers) -> Field:
    return _last([Layer(k, stride=s, dilation=d) for k, s, d in layers])


def _size_and_jump(layers: Layers) -> tuple[int, int]:
    field = _field(layers)
    return field.size[0], int(field.jump[0])


def _stacks(rng: np.random.Generator) -> list[tuple[Layers]]:
    def draw(count: int) -> Layers:
        return [tuple(rng.integers(1, (5, 4, 4)).tolist()) for _ in range(count)]

    fixed: list[Layers] = [
        [(3, 1, 1)],
        [(3, 2, 1), (3, 1, 1)],
        [(2, 1, 2), (3, 1, 1)],
        [(3, 1, 2), (3, 1, 2)],
    ]
    return [(layers,) for layers in fixed + [draw(1 + i % 5) for i in range(70)]]


def _by_stride_first(layers: Layers) -> tuple[int, int]:
    r, j = 1, 1
    for k, s, d in layers:
        j *= s
        r += (k - 1) * d * j
    return r, j


def _by_stride_of_the_last(layers: Layers) -> tuple[int, int]:
    r, before = 1, 1
    for k, s, d in layers:
        r += (k - 1) * d * before
        before = s
    return r, before


def _shared(diagonal: bool) -> float:
    across = _last([Layer(5, stride=2)]).overlap
    return across[0] * across[1] if diagonal else across[1]


# The derivation of RF-E3: a line's layer, and r and j that it claims.
_DERIVATION = [
    (Layer(3, stride=2), 3, 2),
    (Layer(3), 7, 2),
    (Layer(2, stride=2), 11, 4),
    (Layer(3, dilation=2), 27, 4),
    (Layer(1, stride=2), 27, 8),
]


def _wrong_lines(follow_on: bool) -> list[int]:
    """Lines that do not follow from the one before, or, with `follow_on`, whose numbers are not true."""
    wrong, claimed = [], (1, 1)
    for number, (layer, r, j) in enumerate(_DERIVATION):
        (k, s, d), before = (layer.kernel_size, layer.stride, layer.dilation), claimed
        if follow_on:
            field = _last([one for one, _, _ in _DERIVATION[: number + 1]])
            right = (field.size[0], int(field.jump[0]))
        else:
            assert isinstance(k, int)
            assert isinstance(s, int)
            assert isinstance(d, int)
            right = (before[0] + (k - 1) * d * before[1], s * before[1])
        claimed = (r, j)
        if claimed != right:
            wrong.append(number + 2)
    return wrong


def _unknown(*, dilation: int = 2, pool_stride: int = 2, last: str = "sum", pool: int = 3) -> list[int]:
    """Field and jump of the network of RF-E5, or of what somebody reads instead."""
    nodes = [
        Node("stem", Conv(5, 1, stride=2, padding=2)),
        Node("narrow", Conv(1, 1)),
        Node("wide", Conv(3, 1, padding=dilation, dilation=dilation)),
        Node("sum", Add(), ("stem", "wide")),
        Node("pool", Pool(pool, stride=pool_stride, padding=1), (last,)),
        Node("last", Conv(3, 1, stride=2, padding=1)),
    ]
    field = receptive_field(Net("unknown", nodes))["last"]
    return [field.size[0], int(field.jump[0])]


_EXPLORED = [
    Layer(5, padding=2),
    Layer(3, stride=2, padding=1),
    Layer(3, padding=1),
    Layer(3, stride=2, padding=1),
]


def _seen(layers: list[Layer], size: int = 24) -> list[int]:
    """Pixels that each unit of the last map sees in an image of so many."""
    field = _last(layers, size)
    assert field.map_size is not None
    return [int(field.reads((0, u), clip=(size, size)).any(axis=0).sum()) for u in range(field.map_size[1])]


def _explored(layers: list[Layer]) -> list[int]:
    pixels = _seen(layers)
    return [sum(one == _last(layers).size[0] for one in pixels), pixels[0]]


def _judge_hundred(stack: Any) -> str:
    layers = [tuple(as_int("layer", number, 0) for number in layer) for layer in stack]
    if not 1 <= len(layers) <= 6 or any(len(layer) != 2 for layer in layers):
        return f"One to six layers of two integers are asked for; this has {len(layers)}."
    for number, (k, s) in enumerate(layers, start=1):
        if not 2 <= k <= 5:
            return f"Layer {number}, {(k, s)}, has a kernel size of {k}, which is not 2, 3, 4 or 5."
        if not 1 <= s <= k:
            return f"Layer {number}, {(k, s)}, has a stride of {s}; it must be at least 1 and at most {k}."
    field = _last([Layer(k, stride=s) for k, s in layers])
    if field.jump[0] != 8:
        return f"The last units lie {field.jump[0]} pixels apart, not 8."
    if field.size[0] != 100:
        return f"The last units see {field.size[0]} pixels, not 100."
    return ""


def _judge_maps(maps: Any) -> str:
    from convlab.figures.scale_profiles import RULE, SCENES  # here, because it opens the figures

    names, (low, high) = list(maps), RULE
    if len(names) != 3 or len(set(names)) != 3:
        return f"Three different layers are asked for; this has {len(set(names))}."
    found = {name: field.size[0] for name, field in receptive_field(vgg16()).items() if name[:2] != "fc"}
    for name in names:
        if not isinstance(name, str):
            raise TypeError("not a name")
        if name not in found:
            return f"VGG-16 has no layer {name!r} before its fully connected ones."
    left = sum(
        count
        for side, count in enumerate(SCENES, start=6)
        if not any(low * side <= found[name] <= high * side for name in names)
    )
    share = 100 * left / sum(SCENES)
    return f"{share:.1f} % of the objects fit none of these maps." if share > 10 else ""


def _wider(factor: int) -> list[int]:
    layers = 16 * factor
    return [layers, _last([Layer(3)] * layers).size[0]]


EXERCISES: dict[str, Exercise] = {
    "RF-E1": Predict(
        lambda: [_shared(diagonal=False), _shared(diagonal=True)],
        tolerance=0.005,
        mistakes={
            "The windows lie 2 apart, not 1.": lambda: [4 / 5, (4 / 5) ** 2],
            "This is the share that they do not have in common.": lambda: [
                1 - _shared(diagonal=False),
                1 - _shared(diagonal=True),
            ],
            "On the diagonal, rows are lost as well as columns.": lambda: [_shared(diagonal=False)] * 2,
            "These are shares; divide by the 25 pixels of a field.": lambda: [
                25 * _shared(diagonal=False),
                25 * _shared(diagonal=True),
            ],
        },
    ),
    "RF-E2": Implement(
        _size_and_jump,
        _stacks,
        mistakes={
            "A layer's own stride must not widen its own field: change r before j.": _by_stride_first,
            "The jump is the product of all strides below, not the stride of the last layer.": (
                _by_stride_of_the_last
            ),
            "It ignores the dilation.": lambda layers: _size_and_jump([(k, s, 1) for k, s, _ in layers]),
            "It ignores the strides.": lambda layers: _size_and_jump([(k, 1, d) for k, _, d in layers]),
            "It takes the layers from the last to the first.": lambda layers: _size_and_jump(layers[::-1]),
            "A window of k taps has one step fewer than taps.": lambda layers: _size_and_jump(
                [(k + 1, s, d) for k, s, d in layers]
            ),
        },
    ),
    "RF-E3": Predict(
        lambda: _wrong_lines(follow_on=False)[0],
        mistakes={
            "Its numbers are not the true ones, but it follows from the line before.": lambda: _wrong_lines(
                follow_on=True
            )[1],
            "A 1×1 adds nothing to the field. That line follows from the one before.": lambda: _wrong_lines(
                follow_on=True
            )[2],
            "A layer's own stride changes j, not its own r. That line is right.": lambda: (
                _wrong_lines(follow_on=False)[0] - 2
            ),
            "Its window reads units that lie 2 pixels apart. That line is right.": lambda: (
                _wrong_lines(follow_on=False)[0] - 1
            ),
        },
    ),
    "RF-E4": Design(
        _judge_hundred,
        form="a list of tuples (k, s) of integers",
        wrong=[
            ([(3, 2), (3, 2), (3, 2)], "The last units see 15 pixels"),
            ([(2, 2), (2, 2), (5, 2), (5, 1), (5, 1)], "The last units see 84 pixels"),
            ([(2, 2), (2, 2), (5, 1)], "The last units lie 4 pixels apart"),
            ([(2, 2)] * 2 + [(5, 2)] + [(3, 1)] * 5, "One to six layers"),
            ([(2, 2), (2, 4)], "Layer 2, (2, 4), has a stride of 4"),
            ([(93, 8)], "Layer 1, (93, 8), has a kernel size of 93"),
            ([(2, 0)], "Layer 1, (2, 0), has a stride of 0"),
            ([], "One to six layers"),
            (100, "The answer should be a list of tuples"),
        ],
    ),
    "RF-E5": Predict(
        _unknown,
        mistakes={
            "You overlooked the dilation.": lambda: _unknown(dilation=1),
            "You followed the shortcut; the branch beside it sees more.": lambda: _unknown(last="stem"),
            "The pooling has a stride, too.": lambda: _unknown(pool_stride=1),
            "The pooling reads three units, not two.": lambda: _unknown(pool=2),
            "A layer's own stride must not widen its own field: change r before j.": lambda: list(
                _by_stride_first([(5, 2, 1), (3, 1, 2), (3, 2, 1), (3, 2, 1)])
            ),
        },
    ),
    "RF-E6": Predict(
        lambda: _explored(_EXPLORED),
        mistakes={
            "The second number is the whole field of unit 0; a part of it lies in the padding.": lambda: [
                _explored(_EXPLORED)[0],
                _last(_EXPLORED).size[0],
            ],
            "The first number counts all units of the last map.": lambda: [
                len(_seen(_EXPLORED)),
                _explored(_EXPLORED)[1],
            ],
            "This is without the stride of the last layer.": lambda: _explored(
                [*_EXPLORED[:3], Layer(3, padding=1)]
            ),
            "This is without the stride of the pooling.": lambda: _explored(
                [_EXPLORED[0], Layer(3, padding=1), *_EXPLORED[2:]]
            ),
        },
    ),
    "RF-E7": Predict(
        lambda: _wider(3**2),
        mistakes={
            "Three times as many layers make it wider by the root of three.": lambda: _wider(3),
            "Each layer adds 2 to the field, not 3.": lambda: [16 * 3**2, 3 * 16 * 3**2],
            "A 3×3 layer on one pixel has a field of 3, not of 2: count the pixel you start from.": lambda: [
                16 * 3**2,
                _wider(3**2)[1] - 1,
            ],
        },
    ),
    "RF-E8": Design(
        _judge_maps,
        form="a list of three names of layers",
        wrong=[
            (["conv3_3", "conv4_3", "conv5_3"], "27.0 % of the objects fit none"),
            (["conv4_3", "conv5_3", "pool5"], "57.8 % of the objects fit none"),
            (["conv2_1", "conv3_1", "conv4_1"], "17.8 % of the objects fit none"),
            (["conv3_3", "conv3_3", "pool4"], "Three different layers"),
            (["conv3_3", "pool4"], "Three different layers"),
            (["conv3_3", "pool4", "fc6"], "VGG-16 has no layer 'fc6'"),
            ([16, 40, 100], "The answer should be a list of three names"),
            (3, "The answer should be a list of three names"),
        ],
    ),
    "RF-E9": Implement(
        lambda layers: _field(layers).support[0],
        _stacks,
        mistakes={
            "This is the extent from first to last pixel; count those that are read.": lambda layers: _field(
                layers
            ).size[0],
            "It counts paths; a pixel that is read along several of them is one pixel.": lambda layers: int(
                np.prod([k for k, _, _ in layers])
            ),
            "It ignores the strides.": lambda layers: _field([(k, 1, d) for k, _, d in layers]).support[0],
            "It ignores the dilation.": lambda layers: _field([(k, s, 1) for k, s, _ in layers]).support[0],
            "It takes the layers from the last to the first.": lambda layers: _field(layers[::-1]).support[0],
        },
    ),
}
