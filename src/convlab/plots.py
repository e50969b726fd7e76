"""Matplotlib pictures: stacks of maps, boxes on a photo, curves over the layers. Each returns its figure.

One colour for input, one for kernel, one for output, the same in every figure of the book; they are three of
the eight that Okabe & Ito chose to be told apart by readers of every kind of colour vision.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

INPUT, KERNEL, OUTPUT = "#0072B2", "#D55E00", "#009E73"

_DPI = 100
_PLATE = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.5}
_LINES = ["-", "--", ":", "-."]
_MARKERS = ["o", "s", "^", "D"]


class Picture(Figure):
    """A figure that a notebook shows once, as a PNG, whether or not pyplot is in use.

    The PNG carries a note, `convlab`, from which the book makes its version for dark pages: `boxes`, where
    there are photos, maps and cells (left, top, right, bottom), and `letters`, the height of the smallest,
    both in pixels.
    """

    def _repr_png_(self) -> bytes:
        drawn, small = BytesIO(), BytesIO()
        self.savefig(drawn, format="png", dpi=_DPI)
        with Image.open(drawn) as image:  # 256 colours are enough, and keep a notebook small
            full = image.convert("RGB")
            note = PngInfo()
            note.add_text("convlab", json.dumps(self._note(full.height), separators=(",", ":")), zip=True)
            few = full.quantize(256, kmeans=4)
            colours = np.reshape(few.getpalette() or [], (-1, 3))
            colours[np.asarray(few)[0, 0]] = np.asarray(full)[0, 0]  # the ground keeps its white
            few.putpalette(colours.ravel().tolist())
            few.save(small, "PNG", optimize=True, pnginfo=note)
        return small.getvalue()

    def _note(self, height: int) -> dict[str, Any]:
        """What the PNG tells of the picture as it was drawn last."""
        boxes = []
        for ax in self.axes:
            if ax.images or ax.get_label() == "<colorbar>":
                frame = [side.get_linewidth() for side in ax.spines.values() if side.get_visible()]
                half = max(frame, default=0) * _DPI / 72 / 2
                size = np.tile(self.get_size_inches() * _DPI, 2)
                left, bottom, right, top = ax.get_position().extents * size
                edges = (left, half), (height - top, half), (right, -half), (height - bottom, -half)
                # Agg centres a line of an odd width on a pixel's middle
                middle = 0.5 if round(2 * half) % 2 else 0.0
                boxes.append([round(round(edge) + middle + inwards) for edge, inwards in edges])
        texts = [text for text in self.findobj(Text) if isinstance(text, Text) and text.get_visible()]
        points = min((float(text.get_fontsize()) for text in texts if text.get_text()), default=10)
        return {"boxes": boxes, "letters": round(points * _DPI / 72, 1)}


def _image(ax: Axes, picture: NDArray[Any], norm: Normalize | None, title: str, colour: str | None) -> None:
    """Draw one map (H, W) or photo (H, W, 3) without ticks, its frame in `colour`."""
    ax.imshow(picture, norm=norm, cmap=_colours(norm), interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_title(title, fontsize=9)
    for spine in ax.spines.values():
        spine.set(color=colour or "#555555", linewidth=2 if colour else 0.5)


def _norm(pictures: Sequence[NDArray[Any]]) -> Normalize:
    """One scale for all pictures: from 0 where nothing is negative, else with 0 in the middle.

    One value in a hundred may lie beyond the ends, so that a few extremes do not hide the rest.
    """
    values = np.concatenate([picture.ravel() for picture in pictures])
    reach = float(np.percentile(np.abs(values), 99)) or 1.0
    return Normalize(-reach if values.min() < 0 else 0.0, reach)


def _colours(norm: Normalize | None) -> str:
    return "PuOr_r" if norm is not None and norm.vmin else "gray"


def maps(
    pictures: ArrayLike | Sequence[ArrayLike],
    titles: Sequence[str] | None = None,
    *,
    columns: int = 6,
    rows: Sequence[str] | None = None,
    size: float = 1.5,
    shared: bool = False,
    colours: Sequence[str | None] | None = None,
) -> Picture:
    """Maps and photos side by side.

    Parameters
    ----------
    pictures : array (C, H, W), or a sequence of arrays (H, W) or (H, W, 3)
        A map (H, W) without negative values runs from black (zero) to white; in any other, purple is
        negative, white zero and orange positive. RGB arrays (bytes, or floats from 0 to 1) are shown as they
        are.
    titles : sequence of str, optional
        One for each picture.
    columns : int
        Pictures in a row.
    rows : sequence of str, optional
        A label at the left of each row.
    size : float
        Side of a picture in inches.
    shared : bool
        True gives all maps one colour scale and shows it; False scales each map by itself.
    colours : sequence of colours or None, optional
        Frame of each picture: `INPUT`, `KERNEL`, `OUTPUT`.

    Raises
    ------
    ValueError
        If there is no picture, one has another shape, or the number of titles, colours or rows differs.
    """
    arrays = [np.asarray(picture) for picture in pictures]  # type: ignore[union-attr]
    for index, array in enumerate(arrays):
        if 0 in array.shape or (array.ndim != 2 and not (array.ndim == 3 and array.shape[2] == 3)):
            raise ValueError(
                f"`pictures` must be maps (H, W) or photos (H, W, 3), got shape {array.shape} at {index}"
            )
    if not arrays:
        raise ValueError("`pictures` must hold at least one picture, got none")
    columns = min(columns, len(arrays))
    lines = -(-len(arrays) // columns)
    for name, given, wanted in (
        ("titles", titles, len(arrays)),
        ("colours", colours, len(arrays)),
        ("rows", rows, lines),
    ):
        if given is not None and len(given) != wanted:
            raise ValueError(f"`{name}` must have {wanted} entries, got {len(given)}")
    tallest = max(array.shape[0] / array.shape[1] for array in arrays)
    figure = Picture(
        figsize=(size * columns + 0.6 * shared, (size * tallest + 0.25 * bool(titles)) * lines),
        layout="constrained",
    )
    axes = figure.subplots(lines, columns, squeeze=False)
    maps_only = [array for array in arrays if array.ndim == 2]
    common = _norm(maps_only) if shared and maps_only else None
    for index, ax in enumerate(axes.flat):
        if index >= len(arrays):
            ax.axis("off")
            continue
        norm = None if arrays[index].ndim == 3 else common or _norm([arrays[index]])
        _image(ax, arrays[index], norm, titles[index] if titles else "", colours[index] if colours else None)
    for ax, label in zip(axes[:, 0], rows or (), strict=False):
        ax.set_ylabel(label, fontsize=9)
    if common:
        figure.colorbar(ScalarMappable(common, _colours(common)), ax=axes, fraction=0.04)
    return figure


def numbers(
    arrays: Sequence[ArrayLike],
    titles: Sequence[str] | None = None,
    *,
    columns: int | None = None,
    colours: Sequence[str | None] | None = None,
    size: float = 0.35,
) -> Picture:
    """Small arrays side by side as grids of numbers, all cells of one size.

    Parameters
    ----------
    arrays : sequence of arrays (H, W)
        Numbers are shown with at most two decimals; NaN leaves a cell empty. Cells are shaded by value as in
        `maps`, but lightly.
    titles : sequence of str, optional
        One for each array.
    columns : int, optional
        Arrays in a row. Default: all.
    colours : sequence of colours or None, optional
        Frame of each array: `INPUT`, `KERNEL`, `OUTPUT`.
    size : float
        Side of a cell in inches.

    Raises
    ------
    ValueError
        If there is no array, one is not (H, W), or the number of titles or colours differs.
    """
    grids = [np.asarray(array, dtype=float) for array in arrays]
    for index, grid in enumerate(grids):
        if grid.ndim != 2 or 0 in grid.shape:
            raise ValueError(f"`arrays` must be (H, W), got shape {grid.shape} at {index}")
    if not grids:
        raise ValueError("`arrays` must hold at least one array, got none")
    for name, given in (("titles", titles), ("colours", colours)):
        if given is not None and len(given) != len(grids):
            raise ValueError(f"`{name}` must have {len(grids)} entries, got {len(given)}")
    columns = min(columns or len(grids), len(grids))
    lines = [grids[i : i + columns] for i in range(0, len(grids), columns)]
    head, gap = (0.3 if titles else 0.1), 0.35  # inches above and beside an array
    wide = max(sum(size * grid.shape[1] for grid in line) + gap * (len(line) + 1) for line in lines)
    highs = [max(size * grid.shape[0] for grid in line) + head + 0.15 for line in lines]
    high = sum(highs)
    figure = Picture(figsize=(wide, high))
    top, index = high, 0
    for line, line_height in zip(lines, highs, strict=True):
        left = gap
        for grid in line:
            height, width = (side * size for side in grid.shape)
            place = (left / wide, (top - head - height) / high, width / wide, height / high)
            ax = figure.add_axes(place)
            _grid(ax, grid, size, titles[index] if titles else "", colours[index] if colours else None)
            left += width + gap
            index += 1
        top -= line_height
    return figure


def _grid(ax: Axes, grid: NDArray[Any], size: float, title: str, colour: str | None) -> None:
    """Draw one array as cells with numbers, which fill `ax`."""
    known = grid[np.isfinite(grid)]
    reach = float(np.abs(known).max(initial=0)) or 1.0
    signed = bool((known < 0).any())
    colours, low = ("PuOr_r", -reach) if signed else ("gray", 0.0)
    ax.imshow(grid, cmap=colours, vmin=low, vmax=reach, alpha=0.4, interpolation="nearest", aspect="auto")
    texts = {
        place: f"{round(float(value), 2) + 0:g}".replace("-", "−")
        for place, value in np.ndenumerate(grid)
        if np.isfinite(value)
    }
    longest = max(map(len, texts.values()), default=0)
    points = min(size * 34, size * 72 / (0.75 * max(longest, 2)))
    for (row, column), text in texts.items():
        ax.text(column, row, text, ha="center", va="center", fontsize=points)
    ax.set_xticks(np.arange(grid.shape[1] - 1) + 0.5, minor=True)
    ax.set_yticks(np.arange(grid.shape[0] - 1) + 0.5, minor=True)
    ax.grid(which="minor", color="#bbbbbb", linewidth=0.6)
    ax.tick_params(which="both", length=0, labelbottom=False, labelleft=False)
    ax.set_title(title, fontsize=9, pad=4)
    for spine in ax.spines.values():
        spine.set(color=colour or "#555555", linewidth=2 if colour else 0.8)


def outline(
    ax: Axes, box: Sequence[float], label: str = "", *, colour: str = OUTPUT, line: str = "-"
) -> None:
    """Draw a box (top, left, bottom, right) in pixels, half open, over a picture; visible on any photo."""
    top, left, bottom, right = box
    for edge, width in (("white", 4.5), (colour, 2.2)):
        ax.add_patch(
            Rectangle(
                (left - 0.5, top - 0.5),
                right - left,
                bottom - top,
                fill=False,
                edgecolor=edge,
                linewidth=width,
                linestyle=line if edge == colour else "-",
            )
        )
    if label:
        ax.text(left + 3, top + 3, label, color="black", va="top", fontsize=8, bbox=_PLATE)


def curves(
    x: Sequence[float],
    series: Mapping[str, Sequence[float]],
    *,
    x_label: str,
    y_label: str,
    y_limits: tuple[float, float] | None = None,
) -> Picture:
    """Lines over a common axis, told apart by colour, dash, marker and a name in the legend."""
    figure = Picture(figsize=(5.2, 3.5), layout="constrained")  # no wider than can be read on a phone
    ax = figure.subplots()
    colours = [OUTPUT, KERNEL, INPUT, "#000000"]
    if len(series) > len(colours):
        raise ValueError(f"`series` must have at most {len(colours)} lines, got {len(series)}")
    for (name, y), colour, line, marker in zip(series.items(), colours, _LINES, _MARKERS, strict=False):
        ax.plot(x, y, color=colour, linestyle=line, marker=marker, markersize=4, label=name)
    ax.set(xlabel=x_label, ylabel=y_label, ylim=y_limits)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    return figure
