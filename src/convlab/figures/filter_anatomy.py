"""The anatomy of a filter: one kernel for each channel, one map for each kernel, and their sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import traitlets
from numpy.typing import ArrayLike
from traitlets import List, observe, validate

from convlab.figures.figure import Figure
from convlab.figures.grid import numbers, place
from convlab.shapes import output_size

IMAGE, KERNELS = (4, 6, 6), (4, 5, 5)  # the largest
WEIGHT = 99  # the largest number of a kernel, in size
Stack = list[list[list[float]]]
COLOURS = ["red", "green", "blue"]


class FilterAnatomy(Figure):
    """The kernels of one filter, each on its own channel, and how their maps add up to the one output map.

    Traits, live in both directions: `image` (C, H, W) and `kernels` (C, kh, kw) are nested lists (arrays are
    taken too), `bias` is a number, `names` are those of the channels. `active` says for each channel whether
    it takes part in the sum, and `unit` is the row and column that is shown, the same in all maps. The
    stride is 1, without padding.
    """

    front_end = "filter_anatomy"
    description = (
        "Each channel of a small image has a kernel of its own and gives an intermediate map; these maps and "
        "the bias add up to the one output map of the filter. The reader moves the kernels, all together, "
        "and switches channels off."
    )
    parts = ("grid",)

    image = traitlets.Any().tag(sync=True)
    kernels = traitlets.Any().tag(sync=True)
    bias = traitlets.Any(0).tag(sync=True)
    names: List[str] = List().tag(sync=True)
    active: List[bool] = List().tag(sync=True)
    unit = traitlets.Any().tag(sync=True)

    def __init__(
        self,
        image: ArrayLike,
        kernels: ArrayLike,
        bias: float = 0,
        *,
        names: Sequence[str] | None = None,
        active: Sequence[bool] | None = None,
        unit: tuple[int, int] | None = None,
        caption: str = "",
    ) -> None:
        """Check and keep the arguments.

        Parameters
        ----------
        image : array_like, shape (C, H, W), C 1 to 4, H and W 3 to 6
            Numbers from -999 to 999.
        kernels : array_like, shape (C, kh, kw), kh and kw 1 to 5
            The filter: one kernel for each channel, numbers from -99 to 99.
        bias : number
            From -999 to 999.
        names : C different names, optional
            Of the channels. Default: red, green, blue for three channels, else channel 0 and so on.
        active : C truth values, optional
            Which channels take part at first. Default: all.
        unit : (row, column) of the output, optional
            Where to begin. Default: in the middle.
        caption : str
            Stands below the figure.

        Raises
        ------
        ValueError
            If one of them is not as said here, or a kernel does not fit into the image.
        """
        channels, stack = _image(image), _kernels(kernels)
        shape = _shape(channels, stack)
        count = len(channels)
        if names is None:
            names = COLOURS if count == len(COLOURS) else [f"channel {number}" for number in range(count)]
        super().__init__(
            image=channels,
            kernels=stack,
            bias=bias,
            names=list(names),
            active=[True] * count if active is None else list(active),
            unit=place("unit", [side // 2 for side in shape] if unit is None else unit, shape),
            caption=caption,
        )

    @validate("image", "kernels")
    def _fits(self, proposal: dict[str, Any]) -> Any:
        name = proposal["trait"].name
        value = _image(proposal["value"]) if name == "image" else _kernels(proposal["value"])
        _shape(**{"image": self.image, "kernels": self.kernels} | {name: value})
        return value

    @validate("bias")
    def _is_a_number(self, proposal: dict[str, Any]) -> Any:
        return numbers("bias", proposal["value"], (), ())

    @validate("names", "active")
    def _one_each(self, proposal: dict[str, Any]) -> list[Any]:
        name, value = proposal["trait"].name, proposal["value"]
        if len(value) != len(self.image):
            raise ValueError(
                f"`{name}` must have an entry for each of {len(self.image)} channels, got {value}"
            )
        return list(value)

    @validate("unit")
    def _is_inside(self, proposal: dict[str, Any]) -> list[int]:
        return place("unit", proposal["value"], _shape(self.image, self.kernels))

    @observe("image", "kernels")
    def _keep_unit_inside(self, _: object) -> None:
        shape = _shape(self.image, self.kernels)
        self.unit = [min(at, size - 1) for at, size in zip(self.unit, shape, strict=True)]


def _image(value: ArrayLike) -> Stack:
    image: Stack = numbers("image", value, (1, 3, 3), IMAGE)
    return image


def _kernels(value: ArrayLike) -> Stack:
    kernels: Stack = numbers("kernels", value, (1, 1, 1), KERNELS, largest=WEIGHT)
    return kernels


def _shape(image: Stack, kernels: Stack) -> tuple[int, int]:
    """Rows and columns of the maps; ValueError if image and kernels don't go together."""
    if len(image) != len(kernels):
        raise ValueError(
            f"`kernels` must have one kernel for each of {len(image)} channels, got {len(kernels)}"
        )
    (rows, columns), (height, width) = ((len(part[0]), len(part[0][0])) for part in (image, kernels))
    if height > rows or width > columns:
        raise ValueError(f"`kernels` must fit into the image, got {height}×{width} for {rows}×{columns}")
    return output_size(rows, height), output_size(columns, width)
