"""Draw the landing page's picture, the logo and the preview for social sites: ``python tools/pictures.py``.

The picture has four panels: a photograph, then maps of it from three depths of EfficientNet-Lite0. The maps
get smaller and there are more of them. Each panel shows those of its layer that vary most, strongest first.

The logo is a convolution: a letter C of 5×5 pixels, the window of a 3×3 kernel, and the 3×3 outputs after
ReLU, which have found the upright stroke. The same convolution is the landing page's interactive figure, and
a sign for each chapter is made of the same cells.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from convlab.capture import capture
from convlab.data import photo
from convlab.figures import ConvolutionStepper
from convlab.kernels import sobel_x, sobel_y
from convlab.ops import conv2d, conv_transpose2d, max_pool2d, relu
from convlab.plots import INPUT, KERNEL, OUTPUT
from convlab.pretrained import efficientnet_lite0, preprocess

STATIC = Path(__file__).parents[1] / "book" / "_static"
PATH = STATIC / "landing.webp"
LOGO = STATIC / "logo.svg"
STEPPER = STATIC.parent / "stepper.html"
LETTER = np.array(
    [[0, 1, 1, 1, 1], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 1, 1, 1, 1]], dtype=float
)
PREVIEW = STATIC / "preview.jpg"
PREVIEW_SIZE = (1200, 630)  # what social sites ask for
PHOTO = "cat"
PANELS = {"stem_relu": 2, "blocks.4.depthwise_relu": 4, "head_relu": 8}  # layer: maps shown per side
WIDTH, HEIGHT, GAP = 480, 320, 4  # of one panel, in pixels; its proportions are the photo's
GREY = (110, 110, 110)  # between the maps, so that their edges show


def panel(maps: NDArray[np.float32], per_side: int) -> Image.Image:
    """Those of the maps (C, H, W) with the largest standard deviation, each scaled to its own range."""
    picture = Image.new("RGB", (WIDTH, HEIGHT), GREY)
    width, height = WIDTH // per_side - GAP, HEIGHT // per_side - GAP
    strongest = np.argsort(-maps.std(axis=(1, 2)), kind="stable")[: per_side**2]
    for place, index in enumerate(strongest):
        low, high = np.percentile(maps[index], [1, 99])
        colours = matplotlib.colormaps["gray"]((maps[index] - low) / (high - low), bytes=True)
        tile = Image.fromarray(colours[..., :3]).resize((width, height), Image.Resampling.NEAREST)
        row, column = divmod(place, per_side)
        picture.paste(tile, (column * (width + GAP) + GAP // 2, row * (height + GAP) + GAP // 2))
    return picture


def landing() -> Image.Image:
    """The photo and three panels of maps, two by two."""
    cat = photo(PHOTO)
    model = efficientnet_lite0()
    with capture(model, *PANELS) as maps, torch.no_grad():
        model(preprocess(cat))
    panels = [panel(maps[name][0].numpy(), per_side) for name, per_side in PANELS.items()]
    first = Image.fromarray(cat).resize((WIDTH - GAP, HEIGHT - GAP), Image.Resampling.LANCZOS)
    picture = Image.new("RGB", (2 * WIDTH, 2 * HEIGHT), GREY)
    picture.paste(first, (GAP // 2, GAP // 2))
    for place, image in enumerate(panels, start=1):
        picture.paste(image, (place % 2 * WIDTH, place // 2 * HEIGHT))
    return picture


def preview() -> Image.Image:
    """What social sites show beside a link: the title, and the landing picture."""
    picture = Image.new("RGB", PREVIEW_SIZE, "#14181e")
    picture.paste(landing().resize((720, 480), Image.Resampling.LANCZOS), (440, 75))
    draw = ImageDraw.Draw(picture)
    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    for name, size, place, colour, text in (
        ("DejaVuSans-Bold.ttf", 72, (40, 176), "white", "ConvLab"),
        (
            "DejaVuSans.ttf",
            32,
            (42, 284),
            "#ced6dd",
            "Look inside\na convolutional\nnetwork, and check\nevery number\nthat you see.",
        ),
    ):
        draw.text(place, text, colour, ImageFont.truetype(str(folder / name), size), spacing=12)
    return picture


def save(picture: Image.Image, target: object) -> None:
    """Write the picture as WebP to a path or an open binary file."""
    picture.save(target, format="WEBP", quality=50, method=6)


def cells(values: ArrayLike, x: float, y: float, side: float, colour: str) -> str:
    """A square for each value, from (x, y) on: the larger, the fuller its colour; none for NaN."""
    grid = np.asarray(values, dtype=float)
    shades = 0.2 + 0.8 * grid / (np.nanmax(grid) or 1)
    inner = side * 11 / 12
    return "".join(
        f'<rect x="{x + side * column:g}" y="{y + side * row:g}" width="{inner:g}" height="{inner:g}" '
        f'rx="{side / 6:g}" fill="{colour}" fill-opacity="{shade:.2f}"/>\n'
        for (row, column), shade in np.ndenumerate(shades)
        if np.isfinite(shade)
    )


def frame(x: float, y: float, width: float, height: float, colour: str, dash: str = "") -> str:
    """An outline; `dash` as in SVG."""
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="3" fill="none" '
        f'stroke="{colour}" stroke-width="3"{dashes}/>\n'
    )


def svg(body: str, width: int, height: int) -> str:
    """A drawing with a margin of 1."""
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1 -1 {width} {height}">\n{body}</svg>\n'


def convolved(image: NDArray[np.float64], kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """The cross-correlation of two arrays (H, W), after ReLU."""
    result: NDArray[np.float64] = relu(conv2d(image[None, None], kernel[None, None]))[0, 0]
    return result


def logo() -> str:
    """The logo as SVG, 96 by 96: input, window and output in the book's three colours."""
    shapes = cells(LETTER, 1, 1, 12, INPUT) + cells(convolved(LETTER, -sobel_x), 60, 60, 12, OUTPUT)
    return svg(shapes + frame(1, 13, 35, 35, KERNEL), 97, 97)


def signs() -> list[str]:
    """A sign for each chapter, 96 by 64, made of what the chapter is about; its colours are computed."""
    ramp = np.add.outer(np.arange(4), np.arange(4)) % 5
    pooled = max_pool2d(ramp[None, None].astype(float), 2)[0, 0]
    found = convolved(LETTER, -sobel_x)
    seen = relu(conv_transpose2d(found[None, None], -sobel_x[None, None]))[0, 0]
    taps = np.full((5, 5), np.nan)
    taps[::2, ::2] = 1
    ten = np.eye(10)[:, [7]]
    return [
        cells(LETTER, 4, 6, 10, INPUT)
        + "".join(
            cells(convolved(LETTER, kernel), 70, 1 + 22 * place, 6, OUTPUT)
            for place, kernel in enumerate((-sobel_x, sobel_y, -sobel_y))
        ),
        cells(abs(sobel_x), 4, 16, 10, KERNEL)
        + "".join(cells(abs(sobel_x), 54, 1 + 21 * place, 6, KERNEL) for place in range(3))
        + frame(50, 0.5, 26, 61.5, OUTPUT),
        cells(ramp, 27, 11, 10, INPUT) + frame(17, 1, 60, 60, INPUT, "4 4") + frame(17, 1, 30, 30, KERNEL),
        cells(ramp, 4, 11, 10, INPUT) + cells(pooled, 60, 16, 15, OUTPUT),
        cells(LETTER, 1, 11, 8, INPUT) + cells(found, 48, 19, 8, OUTPUT) + cells(ten, 82, 1, 6, KERNEL),
        cells(np.ones((1, 7)), 6, 49, 12, INPUT)
        + cells(np.ones((1, 5)), 18, 33, 12, KERNEL)
        + cells(np.ones((1, 3)), 30, 17, 12, KERNEL)
        + cells(np.ones((1, 1)), 42, 1, 12, OUTPUT),
        cells(np.zeros((5, 5)), 17, 1, 12, INPUT) + cells(taps, 17, 1, 12, KERNEL),
        cells(found, 2, 16, 10, OUTPUT) + cells(seen, 44, 6, 10, INPUT),
        cells(np.zeros((5, 7)), 5, 1, 12, INPUT)
        + frame(23, 8, 43, 31, KERNEL)
        + frame(29, 13, 35, 23, OUTPUT, "4 4"),
        cells(np.ones((1, 2)), 37, 3, 10, OUTPUT)
        + cells(np.ones((2, 4)), 27, 16, 10, KERNEL)
        + cells(np.ones((2, 8)), 7, 39, 10, INPUT),
        cells(LETTER, 17, 1, 12, INPUT) + frame(17, 13, 35, 35, KERNEL) + frame(62, 25, 11, 11, OUTPUT),
    ]


def stepper() -> str:
    """The logo's convolution as the figure that stands on the landing page."""
    return ConvolutionStepper(
        LETTER,
        -sobel_x,
        unit=(1, 0),
        caption="Step on with the arrow keys, or point at the output. Change a weight, and watch the sum.",
    ).html()


def drawings() -> dict[Path, str]:
    """Everything that is text, by the file that keeps it."""
    return {
        LOGO: logo(),
        STEPPER: stepper(),
        **{STATIC / f"chapter{number:02}.svg": svg(sign, 97, 65) for number, sign in enumerate(signs(), 1)},
    }


if __name__ == "__main__":
    save(landing(), PATH)
    for path, text in drawings().items():
        path.write_text(text, encoding="utf-8")
    for path in (PATH, *drawings()):
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")
