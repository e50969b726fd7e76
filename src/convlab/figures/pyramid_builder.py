"""The pyramid builder: the level of an object, and what flows into the unit of the pyramid on its middle."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from traitlets import Any as Anything
from traitlets import Dict, validate

from convlab import nets
from convlab.fields import receptive_field
from convlab.figures.figure import Figure
from convlab.figures.grid import box_on, place
from convlab.shapes import as_int

LEVELS = (2, 3, 4, 5)
ENDS = ("conv2_3", "conv3_4", "conv4_6", "conv5_3")  # C2 to C5 of ResNet-50
PICTURE = (320, 800)  # least and most pixels of a side
LEAST = 4  # pixels of a side of the box
K0 = (0, 9)
SIZE = (8, 999)


class PyramidBuilder(Figure):
    """A box on a picture, the level of a pyramid that serves it, and what flows into the unit on its middle.

    The pyramid is that of Lin et al. 2017 on C2 to C5 of ResNet-50; a map has a side of ⌈side / 2^level⌉.
    The level is `convlab.regions.level_of_box`. Beside the picture stands a window of 3×3 units of C5, 96
    pixels, around the middle of the box: all that enters the unit lies in it. A table has, for the unit of
    each level on the middle, how many units the box is wide and high, and the field with the top-down path
    and without. The reader drags the box or its corners, and switches the top-down path off.

    The traits, live in both directions:

    - `box`: [x1, y1, x2, y2], whole pixels, at least 4 wide and high;
    - `k0`, from 0 to 9, and `size`, from 8 to 999: a box of `size` pixels belongs to level `k0`;
    - `top_down`: whether the coarse levels are added to the fine ones;
    - `cell`: level, row and column in the window, of the unit that the text tells more about;
    - `maps`: [height, width] of the picture, and for C2 to C5 where the field of unit 0 starts, and its size.

    >>> builder = PyramidBuilder(box=(100, 100, 300, 200))
    >>> builder.maps["fields"]
    [[-17, 35], [-49, 99], [-145, 291], [-241, 483]]
    """

    front_end = "pyramid_builder"
    description = (
        "An object's box on a picture stands beside a feature pyramid. The reader drags the box and sees "
        "which level serves it, how many units of each level it is wide, which units of C2 to C5 flow into "
        "the unit of the pyramid on its middle, and what it sees with the top-down path and without it."
    )

    maps = Dict().tag(sync=True)
    box = Anything().tag(sync=True)
    k0 = Anything().tag(sync=True)
    size = Anything().tag(sync=True)
    top_down = Anything().tag(sync=True)
    cell = Anything().tag(sync=True)

    def __init__(
        self,
        picture: Sequence[int] = (480, 640),
        *,
        box: Sequence[int] = (188, 120, 411, 343),
        k0: int = 4,
        size: int = 224,
        top_down: bool = True,
        cell: Sequence[int] = (5, 1, 1),
        caption: str = "",
    ) -> None:
        try:
            height, width = (_between("picture", side, PICTURE) for side in picture)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"`picture` must be a height and a width from {PICTURE[0]} to {PICTURE[1]}, got {picture!r}"
            ) from error
        super().__init__(
            maps={"picture": [height, width], "fields": [list(one) for one in _fields()]},
            box=box,
            k0=k0,
            size=size,
            top_down=top_down,
            cell=cell,
            caption=caption,
        )

    @validate("box")
    def _box_is_on_the_picture(self, proposal: dict[str, Any]) -> list[int]:
        return box_on("picture", proposal["value"], self.maps["picture"], LEAST)

    @validate("k0")
    def _level_is_known(self, proposal: dict[str, Any]) -> int:
        return _between("k0", proposal["value"], K0)

    @validate("size")
    def _size_is_a_side(self, proposal: dict[str, Any]) -> int:
        return _between("size", proposal["value"], SIZE)

    @validate("top_down")
    def _path_is_there_or_not(self, proposal: dict[str, Any]) -> bool:
        if not isinstance(proposal["value"], bool):
            raise TypeError(f"`top_down` must be True or False, got {proposal['value']!r}")
        return proposal["value"]

    @validate("cell")
    def _cell_is_in_the_window(self, proposal: dict[str, Any]) -> list[int]:
        try:
            level, *at = proposal["value"]
        except (TypeError, ValueError):
            level, at = None, []
        if level not in LEVELS or len(at) != 2:
            raise ValueError(
                f"`cell` must be a level from {LEVELS[0]} to {LEVELS[-1]}, a row and a column, "
                f"got {proposal['value']!r}"
            )
        side = 3 * 2 ** (LEVELS[-1] - level)
        return [int(level), *place("cell", at, (side, side))]


def _between(name: str, value: Any, limits: tuple[int, int]) -> int:
    number = as_int(name, value, limits[0])
    if number > limits[1]:
        raise ValueError(f"`{name}` must be at most {limits[1]}, got {number}")
    return number


@cache
def _fields() -> tuple[tuple[int, int], ...]:
    """Start and size of the field of the first unit of C2 to C5."""
    fields = receptive_field(nets.resnet(50))
    return tuple((fields[name].start[0], fields[name].size[0]) for name in ENDS)
