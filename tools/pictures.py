"""Draw the landing page's picture, the logo and the preview for social sites: ``python tools/pictures.py``.

The picture has four panels: a photograph, then maps of it from three depths of EfficientNet-Lite0. The maps
get smaller and there are more of them. Each panel shows those of its layer that vary most, strongest first.

The logo is a convolution: a letter C of 5×5 pixels, the window of a 3×3 kernel, and the 3×3 outputs after
ReLU, which have found the upright stroke.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from convlab.capture import capture
from convlab.data import photo
from convlab.kernels import sobel_x
from convlab.ops import conv2d, relu
from convlab.pretrained import efficientnet_lite0, preprocess

STATIC = Path(__file__).parents[1] / "book" / "_static"
PATH = STATIC / "landing.webp"
LOGO = STATIC / "logo.svg"
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
            "What a\nconvolutional\nnetwork computes,\nin pages that\nyou can check.",
        ),
    ):
        draw.text(place, text, colour, ImageFont.truetype(str(folder / name), size), spacing=12)
    return picture


def save(picture: Image.Image, target: object) -> None:
    """Write the picture as WebP to a path or an open binary file."""
    picture.save(target, format="WEBP", quality=50, method=6)


def cells(values: NDArray[np.float64], corner: int, colour: str) -> list[str]:
    """A square of 12×12 for each value, the darker the larger; its first corner is at (corner, corner)."""
    shades = 0.2 + 0.8 * values / values.max()
    return [
        f'<rect x="{corner + 12 * column}" y="{corner + 12 * row}" width="11" height="11" rx="2" '
        f'fill="{colour}" fill-opacity="{shade:.2f}"/>'
        for (row, column), shade in np.ndenumerate(shades)
    ]


def logo() -> str:
    """The logo as SVG, 96 by 96: input, window and output in the book's three colours."""
    letter = np.array([[0, 1, 1, 1, 1], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 1, 1, 1, 1]])
    output = relu(conv2d(letter[None, None], -sobel_x[None, None]))[0, 0]
    shapes = [
        *cells(letter, 1, "#0072B2"),
        *cells(output, 60, "#009E73"),
        '<rect x="1" y="13" width="35" height="35" rx="3" fill="none" stroke="#D55E00" stroke-width="3"/>',
    ]
    body = "\n".join(shapes)
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1 -1 97 97">\n{body}\n</svg>\n'


if __name__ == "__main__":
    save(landing(), PATH)
    LOGO.write_text(logo(), encoding="utf-8")
    preview().save(PREVIEW, quality=85)
    for path in (PATH, LOGO, PREVIEW):
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")
