"""Exercises of chapter 11, Capstone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlab.exercises._engine import Design, Exercise, Implement, Predict
from convlab.fields import Field, Layer, receptive_field
from convlab.regions import level_of_box, share_inside
from convlab.shapes import as_int

Box = Sequence[int]  # top, left, bottom, right

_SIDE = 224  # of the network's input
_COLOURS = ("the mean colour", "black", "white")
_MARGIN = 0.1  # by which a share must be larger than the controls
_FITS = (0.9, 3.1)  # a field must have between these times the longer side of the object


def _height_and_width(box: Box) -> tuple[int, int]:
    top, left, bottom, right = box
    return bottom - top, right - left


def _judge_mark(box: Any) -> str:
    top, left, bottom, right = (as_int("box", edge, -(2**31)) for edge in box)
    height, width = _height_and_width((top, left, bottom, right))
    if min(top, left) < 0 or max(bottom, right) > _SIDE:
        return f"The box must lie on the picture of {_SIDE}×{_SIDE}; it reaches from {top} to {bottom} down \
and from {left} to {right} across."
    if min(height, width) < 16:
        return f"The box is {height} pixels high and {width} wide; 16 are needed."
    if 2 * height * width > _SIDE**2:
        area = height * width / _SIDE**2
        return (
            f"The box fills {area:.0%} of the picture, which leaves no room for a comparison: at most half."
        )
    return ""


def _field(layer: str) -> Field:
    """Field of a layer of EfficientNet-Lite0."""
    import torch  # here, because it is slow to open

    from convlab.pretrained import efficientnet_lite0

    with torch.random.fork_rng(devices=[]):  # the reader's random numbers stay as they are
        network = efficientnet_lite0(pretrained=False)
    return receptive_field(network, input_size=_SIDE)[layer]


def _rows_changed(layer: str, first: int, last: int) -> int:
    """How many rows of units see some of the rows first … last; as many columns see such columns."""
    seeing = _field(layer).units_seeing((first, 0, last + 1, 1), clip=(_SIDE, _SIDE))
    return int(seeing.any(axis=1).sum())


_E3 = np.array([[0, 2, 0, -4], [0, 6, 4, 0], [-1, 4, 0, 0], [0, 0, 0, 4]])


def _share(values: NDArray[Any], box: Box, stride: int, *, clip: bool = True) -> float:
    top, left, bottom, right = box
    shifted = values if clip else values - values.min()
    share = share_inside(shifted[None, None], [[(left, top, right, bottom)]], spatial_scale=1 / stride)
    return float(share.item())


def _whole_cells(values: NDArray[Any], box: Box, stride: int) -> float:
    """The same, but every cell that the box touches counts as a whole."""
    top, left, bottom, right = (edge // stride if n < 2 else -(-edge // stride) for n, edge in enumerate(box))
    positive = np.maximum(values, 0)
    return float(positive[top:bottom, left:right].sum() / positive.sum())


def _signed(values: NDArray[Any], box: Box, stride: int) -> float:
    top, left, bottom, right = box
    return float(values.repeat(stride, 0).repeat(stride, 1)[top:bottom, left:right].sum()) / (
        stride**2 * float(values.sum())
    )


def _density(values: NDArray[Any], box: Box, stride: int) -> float:
    """Over the share of the area."""
    height, width = _height_and_width(box)
    return _share(values, box, stride) * values.size * stride**2 / (height * width)


def _maps_and_boxes(rng: np.random.Generator) -> list[tuple[NDArray[Any], list[int], int]]:
    cases = []
    for number in range(60):
        height, width = (int(side) for side in rng.integers(1 + (number > 2), 3 + number // 12, 2))
        stride = int(rng.choice([2, 4, 8]))
        values = rng.integers(-4, 9, (height, width)).astype(float)
        values[rng.integers(height), rng.integers(width)] = 9  # some response
        top, left = int(rng.integers(height * stride)), int(rng.integers(width * stride))
        bottom = int(rng.integers(top, height * stride)) + 1
        right = int(rng.integers(left, width * stride)) + 1
        cases.append((values, [top, left, bottom, right], stride))
    return cases


def _region(unit: Sequence[int], start: int, jump: int, size: int, side: int) -> list[int]:
    layer = Layer(size, stride=jump, padding=-start)
    row, column = unit
    return list(receptive_field([layer])["0"].region((row, column), clip=(side, side)))


def _unclipped(unit: Sequence[int], start: int, jump: int, size: int, side: int) -> list[int]:
    top, left = (start + jump * place for place in unit)
    return [top, left, top + size, left + size]


def _clipped(edges: Sequence[int], side: int) -> list[int]:
    return [min(max(edge, 0), side) for edge in edges]


def _units(rng: np.random.Generator) -> list[tuple[tuple[int, int], int, int, int, int]]:
    cases = []
    for _ in range(60):
        jump = int(rng.choice([1, 2, 4, 8]))
        size = jump + int(rng.integers(1, 40))
        start = -int(rng.integers(0, size // 2 + 1))
        side = size + jump * int(rng.integers(2, 9))
        last = (side - 2 * start - size) // jump
        row, column = (int(place) for place in rng.integers(0, last + 1, 2))
        cases.append(((row, column), start, jump, size, side))
    return cases


def _zooms(size: int, height: int, width: int, *, of: Any = max) -> list[float]:
    """Smallest and largest factor by which an object may be enlarged, and still fit a field."""
    side, (a, b) = of(height, width), _FITS
    return [size / (b * side), size / (a * side)]


def _objects(rng: np.random.Generator) -> list[tuple[int, int, int]]:
    cases = []
    for _ in range(60):
        size, height, width = (int(number) for number in rng.integers((3, 4, 4), (900, 300, 300)))
        cases.append((size, height, width))
    return cases


_E8 = (30, 240)  # height, width
_ZOOMS = (0.5, 1, 2, 4)


def _levels(*, lowest: int = 2, longer: bool = False) -> list[int]:
    levels = []
    for zoom in _ZOOMS:
        height, width = (zoom * (max(_E8) if longer else side) for side in _E8)
        levels.append(level_of_box(width, height, lowest=lowest))
    return levels


def _rounded_levels() -> list[int]:
    sides = [zoom * (_E8[0] * _E8[1]) ** 0.5 for zoom in _ZOOMS]
    return [int(np.clip(round(4 + np.log2(side / _SIDE)), 2, 5)) for side in sides]


_LEVELS = {"C2": "blocks.2", "C3": "blocks.4", "C4": "blocks.10", "C5": "blocks.15"}
_KEYS = (
    *("box", "share", "controls", "favoured"),
    *("field", "on object", "value", "falls", "other falls", "one place"),
    *("fits", "level", "words"),
)


def _read_findings(findings: Any) -> dict[str, Any]:
    """The findings, or an exception where something is missing or has the wrong form."""
    if type(findings) is not dict:
        raise TypeError
    found: dict[str, Any] = {key: findings[key] for key in _KEYS if key in findings}
    for key in found.keys() & {"box", "field"}:
        found[key] = tuple(as_int(key, edge, 0) for edge in found[key])
        top, left, bottom, right = found[key]
        if not (top < bottom <= _SIDE and left < right <= _SIDE):
            raise ValueError
    for key in found.keys() & {"share", "value"}:
        if type(found[key]) not in (int, float):
            raise TypeError
    for key in found.keys() & {"favoured", "on object", "one place"}:
        if type(found[key]) is not bool:
            raise TypeError
    for key in found.keys() & {"controls", "falls", "other falls"}:
        found[key] = [float(number) for number in found[key]]
    if any(len(found[key]) != 3 for key in found.keys() & {"falls", "other falls"}):
        raise ValueError
    if "fits" in found and not set(found["fits"]) <= _LEVELS.keys():
        raise ValueError
    if "level" in found:
        as_int("level", found["level"], 0)
    if "words" in found and type(found["words"]) is not str:
        raise TypeError
    return found


def _judge_findings(findings: Any) -> str:
    found = _read_findings(findings)
    missing = [key for key in _KEYS if key not in found]
    if missing:
        return f"There is no entry {missing[0]!r}."
    return _judge_maps(found) or _judge_unit(found) or _judge_pyramid(found) or _judge_words(found["words"])


def _judge_maps(found: Mapping[str, Any]) -> str:
    if words := _judge_mark(found["box"]):
        return words
    share, controls = found["share"], found["controls"]
    if not all(0 <= one <= 1 for one in (share, *controls)):
        return "A share lies between 0 and 1."
    if len(controls) < 4:
        return f"A comparison with {len(controls)} other shares is thin; give all that you have."
    height, width = _height_and_width(found["box"])
    area = height * width / _SIDE**2
    if min(abs(one - area) for one in controls) > 0.0051:  # it is printed with two decimals
        return f"The box has {area:.2f} of the area, which is not among the controls."
    most = max(controls)
    if found["favoured"] != (share - most > _MARGIN - 1e-9):
        return f'"favoured" is {found["favoured"]}, but the share is {share:g}, and the largest of \
the controls {most:g}.'
    return ""


def _judge_unit(found: Mapping[str, Any]) -> str:
    box, field = found["box"], found["field"]
    row, column = ((field[n] + field[n + 2]) // 2 for n in (0, 1))
    if found["on object"] != (box[0] <= row < box[2] and box[1] <= column < box[3]):
        return f'"on object" is {found["on object"]}, but the middle of the field is at row {row}, \
column {column}, and the box is {box}.'
    value = found["value"]
    if value <= 0:
        return "The strongest unit has a positive value."
    missed = [
        f"in {colour} the square costs {fall:g} of {value:g}, and another {other:g}"
        for colour, fall, other in zip(_COLOURS, found["falls"], found["other falls"], strict=True)
        if not fall > max(value / 2, other)
    ]
    if found["one place"] and missed:
        return f'"one place" is True, but {missed[0]}.'
    if not (found["one place"] or missed):
        return '"one place" is False, but there is no colour in which the square falls short.'
    return ""


def _judge_pyramid(found: Mapping[str, Any]) -> str:
    height, width = _height_and_width(found["box"])
    a, b = (factor * max(height, width) for factor in _FITS)
    for level, layer in _LEVELS.items():
        size = _field(layer).size[0]
        if (level in found["fits"]) != (a <= size <= b):
            return f"{level} has a field of {size}, and the longer side of the object is \
{max(height, width)}: look again whether it fits."
    if found["level"] != level_of_box(width, height):
        return f"A box of {height}×{width} doesn't belong to level {found['level']}."
    return ""


def _judge_words(words: str) -> str:
    count = len(words.split())
    if count < 30:
        return f"The conclusion has {count} words. Say in 30 or more what you found, and what you didn't."
    for claim in ("always", "never", "prove"):
        if claim in words.lower():
            return f"One photo doesn't carry the word {claim!r}."
    return ""


def _example(**changes: Any) -> dict[str, Any]:
    """Findings that pass, on a picture that doesn't exist, with changes."""
    box = (20, 40, 140, 120)
    sides = _height_and_width(box)
    found: dict[str, Any] = {
        "box": box,
        "share": 0.5,
        "controls": [round(sides[0] * sides[1] / _SIDE**2, 2), 0.1, 0.2, 0.3],
        "favoured": True,
        "field": (50, 50, 133, 133),
        "on object": True,
        "value": 20.0,
        "falls": [15.0, 12.0, 11.0],
        "other falls": [8.0, 9.0, 10.0],
        "one place": True,
        "fits": ["C4"],
        "level": level_of_box(sides[1], sides[0]),
        "words": "word " * 30,
    }
    return found | {key.replace("_", " "): value for key, value in changes.items()}


EXERCISES: dict[str, Exercise] = {
    "CP-E1": Design(
        _judge_mark,
        form="a box (top, left, bottom, right) of integers",
        wrong=[
            ((0, 0, 224, 225), "The box must lie on the picture of 224×224"),
            ((-1, 0, 50, 50), "The box must lie on the picture of 224×224"),
            ((100, 20, 60, 80), "The box is -40 pixels high and 60 wide"),
            ((20, 20, 30, 80), "The box is 10 pixels high and 60 wide"),
            ((0, 0, 224, 120), "The box fills 54% of the picture"),
            ((0.1, 0.2, 0.5, 0.6), "The answer should be a box"),
            ((10, 20, 100), "The answer should be a box"),
        ],
    ),
    "CP-E2": Predict(
        lambda: _rows_changed("blocks.4", 100, 100),
        mistakes={
            "That's the size of the field. How many units have this column in theirs?": lambda: _field(
                "blocks.4"
            ).size[1],
            "That's all units of the row. The ends of the row don't see this column.": lambda: (
                _SIDE // int(_field("blocks.4").jump[1])
            ),
            "The cell of one unit holds it, but the fields of several reach it.": lambda: len(
                {100 // int(_field("blocks.4").jump[1])}
            ),
        },
    ),
    "CP-E3": Predict(
        lambda: _share(_E3, (2, 4, 10, 12), 4),
        mistakes={
            "Cells that lie half in the box count half.": lambda: _whole_cells(_E3, (2, 4, 10, 12), 4),
            "Negative values count as 0.": lambda: _signed(_E3, (2, 4, 10, 12), 4),
            "This is the box's share of the area.": lambda: _share(np.ones((4, 4)), (2, 4, 10, 12), 4),
            "Divide by the whole map's positive response.": lambda: (
                _share(_E3, (2, 4, 10, 12), 4) * float(np.maximum(_E3, 0).sum())
            ),
        },
        tolerance=0.001,
    ),
    "CP-E4": Implement(
        _share,
        _maps_and_boxes,
        mistakes={
            "Cells that lie partly in the box count partly.": _whole_cells,
            "Negative values count as 0.": _signed,
            "It divides by the box's share of the area; only the share is asked for.": _density,
            "It takes the first and third edge for columns.": lambda values, box, stride: _share(
                values, [box[1], box[0], box[3], box[2]], stride
            ),
        },
    ),
    "CP-E5": Implement(
        _region,
        _units,
        mistakes={
            "It doesn't end where the picture ends.": _unclipped,
            "The last pixel is included; give the one behind it.": lambda unit, start, jump, size, side: (
                _clipped(_unclipped(unit, start, jump, size - 1, side), side)
            ),
            "The first field begins at `start`, not at 0.": lambda unit, start, jump, size, side: _clipped(
                _unclipped(unit, 0, jump, size, side), side
            ),
            "Neighbours lie one jump apart, not one field.": lambda unit, start, jump, size, side: _clipped(
                _unclipped(unit, start, size, size, side), side
            ),
        },
    ),
    "CP-E6": Predict(
        lambda: _rows_changed("blocks.5", 140, 167) * _rows_changed("blocks.5", 28, 55),
        mistakes={
            "That's along one axis; what about the columns?": lambda: _rows_changed("blocks.5", 140, 167),
            "That's along one axis; what about the rows?": lambda: _rows_changed("blocks.5", 28, 55),
            "At one border of the map there are fewer units.": lambda: (
                _rows_changed("blocks.5", 140, 167) ** 2
            ),
            "These are the units whose cells are covered. What about their fields?": lambda: (
                len({row // 16 for row in range(140, 168)}) * len({column // 16 for column in range(28, 56)})
            ),
            "These are the units that see one pixel in the square's corner.": lambda: (
                _rows_changed("blocks.5", 140, 140) * _rows_changed("blocks.5", 28, 28)
            ),
            "That's the whole map.": lambda: (_SIDE // int(_field("blocks.5").jump[0])) ** 2,
        },
    ),
    "CP-E7": Implement(
        _zooms,
        _objects,
        mistakes={
            "The longer side counts.": lambda size, height, width: _zooms(size, height, width, of=min),
            "The smallest comes first.": lambda size, height, width: _zooms(size, height, width)[::-1],
            "It gives sizes of the object in pixels; factors are asked for.": lambda size, height, width: [
                size / _FITS[1],
                size / _FITS[0],
            ],
            "Upside down: a large field fits a large object.": lambda size, height, width: [
                _FITS[0] * max(height, width) / size,
                _FITS[1] * max(height, width) / size,
            ],
        },
    ),
    "CP-E8": Predict(
        _levels,
        mistakes={
            "What lies below P2 goes to P2.": lambda: _levels(lowest=0),
            "Not the longer side counts, but the root of the area.": lambda: _levels(longer=True),
            "The rule rounds down.": _rounded_levels,
        },
    ),
    "CP-E9": Design(
        _judge_findings,
        form="a dictionary with the entries above, each of the form that stands there",
        wrong=[
            (_example(share=0.35), '"favoured" is True, but the share is 0.35'),
            (_example(favoured=False), '"favoured" is False, but the share is 0.5'),
            (_example(controls=[0.19, 0.2]), "A comparison with 2 other shares"),
            (_example(controls=[0.1, 0.2, 0.3, 0.3]), "The box has 0.19 of the area"),
            (_example(share=62), "A share lies between 0 and 1"),
            (
                _example(field=(120, 120, 203, 203)),
                '"on object" is True, but the middle of the field is at row 161',
            ),
            (
                _example(falls=[15.0, 12.0, 9.0]),
                '"one place" is True, but in white the square costs 9 of 20, and another 10',
            ),
            (
                _example(other_falls=[8.0, 13.0, 10.0]),
                '"one place" is True, but in black the square costs 12 of 20, and another 13',
            ),
            (_example(one_place=False), '"one place" is False'),
            (_example(falls=[15.0]), "The answer should be a dictionary"),
            (_example(fits=["C4", "C5"]), "C5 has a field of"),
            (_example(level=4), "A box of 120×80 doesn't belong to level 4"),
            (_example(words="It marks the cup."), "The conclusion has 4 words"),
            (_example(words="This proves it. " * 20), "One photo doesn't carry the word 'prove'"),
            ({"box": (40, 40, 140, 120)}, "There is no entry 'share'"),
            (_example(favoured="yes"), "The answer should be a dictionary"),
        ],
    ),
}
