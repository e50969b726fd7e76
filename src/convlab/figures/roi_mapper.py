"""The RoI mapper: a box on a photo, on a map, and in bins, by rounding and by RoIAlign."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from traitlets import Any as Anything
from traitlets import Dict, observe, validate

from convlab.data import grey
from convlab.figures.figure import Figure
from convlab.figures.grid import box_on, place
from convlab.shapes import as_int

STRIDES = (8, 16, 32)
BINS = 7  # a side of the output has at most as many
SIDE = 320  # the photo's longer side
LEAST = 20  # a box of fewer pixels could round to a cell outside of the map


class RoIMapper(Figure):
    """A box on a photo, the cells of a map that stand for it after rounding, and what RoIAlign reads instead.

    The photo is scaled so that its longer side has 320 pixels and the other a multiple of 32. The map holds
    the mean brightness, from 0 to 255, of each square of `stride` pixels, so we know where each cell lies.
    The reader drags the box or its corners. The table tells the cells that `convlab.regions.project_box`
    gives, the pixels that they cover and by how much their edges miss the box; two more hold what
    `roi_pool` and `roi_align` (aligned, as many samples as needed) make of it.

    The traits, live in both directions:

    - `box`: [x1, y1, x2, y2], whole pixels, at least 20 wide and high;
    - `stride`: 8, 16 or 32;
    - `bins`: rows and columns of the output, from 1 to 7;
    - `bin`: row and column of the bin that is shown;
    - `photo`: image, size [height, width], and for each stride the map: height, width, brightness.

    >>> from convlab.data import photo
    >>> mapper = RoIMapper(photo("cat"), box=(30, 40, 200, 180))
    >>> mapper.photo["size"], mapper.box
    ([224, 320], [30, 40, 200, 180])
    """

    front_end = "roi_mapper"
    description = (
        "A box on a photo stands beside the same box on a feature map. The reader drags the box and sees "
        "which cells rounding gives for it, by how many pixels they miss the box, and what RoI max pooling "
        "and RoIAlign read in each bin."
    )

    photo = Dict().tag(sync=True)
    box = Anything().tag(sync=True)
    stride = Anything().tag(sync=True)
    bins = Anything().tag(sync=True)
    bin = Anything().tag(sync=True)

    def __init__(
        self,
        photo: NDArray[np.uint8],
        *,
        box: Sequence[int] = (90, 60, 230, 170),
        stride: int = 16,
        bins: int = 2,
        bin: Sequence[int] | None = None,
        caption: str = "",
    ) -> None:
        pixels = np.asarray(photo)
        if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape or pixels.dtype != np.uint8:
            raise ValueError(
                f"`photo` must be uint8 of shape (H, W, 3), got {pixels.dtype} of shape {pixels.shape}"
            )
        count = _bins(bins)
        super().__init__(
            photo=_pack(pixels),
            box=box,
            stride=stride,
            bins=count,
            bin=[0, count - 1] if bin is None else bin,
            caption=caption,
        )

    @validate("box")
    def _box_is_on_the_photo(self, proposal: dict[str, Any]) -> list[int]:
        return box_on("photo", proposal["value"], self.photo["size"], LEAST)

    @validate("stride")
    def _stride_is_known(self, proposal: dict[str, Any]) -> int:
        if proposal["value"] not in STRIDES:
            raise ValueError(f"`stride` must be one of {STRIDES}, got {proposal['value']!r}")
        return int(proposal["value"])

    @validate("bins")
    def _bins_are_few(self, proposal: dict[str, Any]) -> int:
        return _bins(proposal["value"])

    @validate("bin")
    def _bin_exists(self, proposal: dict[str, Any]) -> list[int]:
        try:
            return place("bin", proposal["value"], (self.bins, self.bins))
        except TypeError as error:
            raise ValueError(f"`bin` must be [row, column], got {proposal['value']!r}") from error

    @observe("bins")
    def _bin_stays_inside(self, _: Any) -> None:
        self.bin = [min(at, self.bins - 1) for at in self.bin]


def _bins(value: Any) -> int:
    bins = as_int("bins", value, 1)
    if bins > BINS:
        raise ValueError(f"`bins` must be at most {BINS}, got {bins}")
    return bins


def _pack(photo: NDArray[np.uint8]) -> dict[str, Any]:
    """Photo at the size of the figure, as a data URL, and the brightness of its squares of 8 pixels."""
    longer = max(photo.shape[:2])
    height, width = (max(32, round(SIDE * side / longer / 32) * 32) for side in photo.shape[:2])
    small = Image.fromarray(photo).resize((width, height), Image.Resampling.BICUBIC)
    stream = BytesIO()
    small.save(stream, "WEBP", quality=85, method=5)
    bright = np.round(255 * grey(np.asarray(small)))
    maps = {}
    for stride in STRIDES:
        cells = bright.reshape(height // stride, stride, width // stride, stride).mean(axis=(1, 3))
        maps[str(stride)] = [*cells.shape, np.round(cells).astype(int).ravel().tolist()]
    return {
        "image": f"data:image/webp;base64,{b64encode(stream.getvalue()).decode()}",
        "size": [height, width],
        "maps": maps,
    }
