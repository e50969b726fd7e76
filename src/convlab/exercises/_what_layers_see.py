"""Exercises of chapter 8, What layers see."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlab.exercises._engine import Design, Exercise, Implement, Predict
from convlab.fields import Layer, receptive_field
from convlab.ops import conv1d, conv2d, max_pool2d, max_unpool2d, relu

Map = NDArray[Any]

_DOWN = np.array([[-1] * 3, [0] * 3, [1] * 3])[None, None]
_EXCHANGED = {"gradient": "deconvnet", "deconvnet": "gradient", "guided": "guided"}
_STAGES = [Layer(5, stride=2, padding=2), Layer(2, stride=2), Layer(3, padding=1), Layer(2, stride=2)]


def _picture() -> Map:
    """The chapter's first picture: bright at the lower right."""
    rows = ("100000", "000002", "000344", "001344", "013444", "134444")
    return np.array([[int(digit) for digit in row] for row in rows])


def _row_of_projection(*, one: bool = False, adds: bool = True, turned: bool = False) -> Map:
    """Row 2 of the projection of map 1; of its largest number only, or laid down without adding."""
    maps = relu(conv2d(_picture()[None], _DOWN))
    maxima, switches = max_pool2d(maps, 2, return_indices=True)
    if one:
        maxima = maxima * (maxima == maxima.max())
    signal = max_unpool2d(maxima, switches, 2)[0]
    kernel = _DOWN[0, 0, ::-1, ::-1] if turned else _DOWN[0, 0]
    pixels = np.zeros((6, 6), int)
    for i, j in np.argwhere(signal):
        window = pixels[i : i + 3, j : j + 3]
        window[:] = signal[i, j] * kernel + (window if adds else 0)
    row: Map = pixels[2]
    return row


def _field(layers: list[Layer]) -> int:
    return list(receptive_field(layers).values())[-1].size[0]


def _top_units(maps: Map, count: int) -> list[tuple[int, ...]]:
    flat = maps.reshape(len(maps), -1)
    order = np.argsort(-flat.max(axis=1))[:count]
    return [(int(n), *(int(i) for i in divmod(int(flat[n].argmax()), maps.shape[2]))) for n in order]


def _over_all(maps: Map, count: int) -> list[tuple[int, ...]]:
    order = np.argsort(-maps, axis=None)[:count]
    return [tuple(int(i) for i in np.unravel_index(place, maps.shape)) for place in order]


def _stacks(rng: np.random.Generator) -> list[tuple[Map, int]]:
    cases = []
    for _ in range(60):
        n, h, w = (int(side) for side in rng.integers(1, 6, 3))
        values = rng.permutation(n * h * w).astype(float) - n * h * w // 2
        cases.append((values.reshape(n, h, w), int(rng.integers(1, n + 1))))
    return cases


def _pass_back(signal: Map, before: Map, rule: str) -> Map:
    passes = np.ones(signal.shape, bool)
    if rule != "deconvnet":
        passes &= before > 0
    if rule != "gradient":
        passes &= signal > 0
    return np.where(passes, signal, 0)


def _signals(rng: np.random.Generator) -> list[tuple[Map, Map, str]]:
    cases = []
    for number in range(60):
        shape = tuple(int(side) for side in rng.integers(1, 5, 2))
        signal, before = (rng.integers(-9, 10, shape).astype(float) for _ in range(2))
        cases.append((signal, before, ("gradient", "deconvnet", "guided")[number % 3]))
    return cases


def _whole_numbers(values: Any, count: int) -> list[int]:
    """The numbers as they are, or a ValueError: the judge then says what form is asked for."""
    if not isinstance(values, list | tuple | np.ndarray) or len(values) != count:
        raise ValueError
    for value in values:
        if isinstance(value, bool | np.bool_ | str) or int(value) != value:
            raise ValueError
    return [int(value) for value in values]


def _ways_back(x: list[int], first: list[int], second: list[int]) -> tuple[int, Map, Map]:
    """The unit, and its projections by the deconvnet and the gradient (before times the unit)."""
    before = conv1d(np.array([x]), np.array([[first]]))[0]  # three numbers
    y = int(relu(before) @ np.array(second))
    spread = np.array([[*([0] * i), *first, *([0] * (2 - i))] for i in range(3)])  # (3, 5)
    deconvnet = relu(np.array(second) * y) @ spread
    gradient = (np.array(second) * (before > 0)) @ spread
    return y, deconvnet, gradient


def _judge_blind_spot(answer: Any) -> str:
    pixels, one, two = answer
    x, first, second = _whole_numbers(pixels, 5), _whole_numbers(one, 3), _whole_numbers(two, 3)
    largest = max(abs(number) for number in (*x, *first, *second))
    if largest > 9:
        return f"Whole numbers from −9 to 9 are asked for; there is one of size {largest}."
    y, deconvnet, gradient = _ways_back(x, first, second)
    if y <= 0:
        return f"The unit must be positive; it is {y}."
    if not ((deconvnet != 0) & (gradient == 0)).any():
        return (
            f"The deconvnet gives {deconvnet.tolist()} and the gradient {gradient.tolist()}: "
            "no pixel has a number in the first and 0 in the second."
        )
    return ""


def _apart(channels: tuple[int, int] = (43, 103), *, units: bool = False, photo: str = "hopper") -> list[int]:
    """[rows, columns] between the fields of the strongest units of two maps."""
    import torch  # here, because only this exercise needs it, and it is slow to open

    from convlab.capture import capture
    from convlab.data import photo as load
    from convlab.deconvnet import strongest
    from convlab.pretrained import efficientnet_lite0, preprocess

    network, layer = efficientnet_lite0(), "blocks.2.depthwise_bn"
    with torch.no_grad(), capture(network, layer) as maps:
        network(preprocess(load(photo)))
    field = receptive_field(network, input_size=224)[layer]
    places = [strongest(maps[layer], channel)[0][1:] for channel in channels]
    if not units:
        places = [field.region(place, clip=(224, 224))[:2] for place in places]
    (top, left), (lower, righter) = places
    return [lower - top, righter - left]


EXERCISES: dict[str, Exercise] = {
    "VZ-E1": Predict(
        _row_of_projection,
        mistakes={
            "You laid down the filter of the largest number only; keep the whole map.": lambda: (
                _row_of_projection(one=True)
            ),
            "Where filters overlap, their numbers add up; none replaces another.": lambda: _row_of_projection(
                adds=False
            ),
            "You turned the filter; on the way back it is laid down as it is.": lambda: _row_of_projection(
                turned=True
            ),
        },
    ),
    "VZ-E2": Predict(
        lambda: _field(_STAGES[:-1]),
        mistakes={
            "That is the field of the unit. Of its four units, the switch leaves one.": lambda: _field(
                _STAGES
            ),
            "This is how far the first stage reaches; the second reads several of its units.": lambda: _field(
                _STAGES[:2]
            ),
            "You left out the strides.": lambda: _field([Layer(5), Layer(2), Layer(3)]),
        },
    ),
    "VZ-E3": Implement(
        _top_units,
        _stacks,
        mistakes={
            "These are the largest of all pictures together; each picture may come once only.": _over_all,
            "It gives the weakest first.": lambda maps, count: _top_units(maps, len(maps))[::-1][:count],
            "Row and column are exchanged.": lambda maps, count: [
                (n, column, row) for n, row, column in _top_units(maps, count)
            ],
            "It doesn't sort the pictures by their strongest unit.": lambda maps, count: sorted(
                _top_units(maps, len(maps))
            )[:count],
        },
    ),
    "VZ-E4": Implement(
        _pass_back,
        _signals,
        mistakes={
            "It passes by the gradient's rule, whatever the rule.": lambda signal, before, rule: _pass_back(
                signal, before, "gradient"
            ),
            "It passes by the deconvnet's rule, whatever the rule.": lambda signal, before, rule: _pass_back(
                signal, before, "deconvnet"
            ),
            "The gradient and the deconvnet are exchanged.": lambda signal, before, rule: _pass_back(
                signal, before, _EXCHANGED[rule]
            ),
            "The guided rule asks for both conditions, not for one of them.": lambda signal, before, rule: (
                np.where((signal > 0) | (before > 0), signal, 0)
                if rule == "guided"
                else _pass_back(signal, before, rule)
            ),
        },
    ),
    "VZ-E5": Design(
        _judge_blind_spot,
        form="a tuple of three lists of whole numbers: five pixels, three weights, three weights",
        wrong=[
            (([1, 1, 1, 1, 1], [0, 1, 0], [1, 1, 1]), "The deconvnet gives [0, 3, 3, 3, 0] and the gradient"),
            (([0, 5, -5, 5, 0], [0, 1, 0], [1, -1, 1]), "The deconvnet gives [0, 10, 0, 10, 0]"),
            (([0, -5, -5, -5, 0], [0, 1, 0], [1, 1, 1]), "The unit must be positive; it is 0."),
            (([0, 50, -5, 5, 0], [0, 1, 0], [1, 1, 1]), "Whole numbers from −9 to 9 are asked for"),
            (([5, -5, 5], [0, 1, 0], [1, 1, 1]), "The answer should be a tuple of three lists"),
            (([0, 0.5, -5, 5, 0], [0, 1, 0], [1, 1, 1]), "The answer should be a tuple of three lists"),
        ],
    ),
    "VZ-E6": Predict(
        _apart,
        mistakes={
            "You counted units of the map; a unit is several pixels wide.": lambda: _apart(units=True),
            "This is from map 103 to map 43.": lambda: _apart((103, 43)),
            "This is for the coffee.": lambda: _apart(photo="coffee"),
        },
    ),
}
