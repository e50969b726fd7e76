"""Pictures as pages need them: small files, a size known beforehand, loaded late, and a version for the dark.

`convlab.plots` notes in each PNG where its data areas lie (photos, maps, cells) and how high its smallest
letters are. The dark version keeps the data areas as they are, for black and white mean something there, and
turns the lightness of all else.
"""

import io
import json
import os
import re
from html import escape
from pathlib import Path
from urllib.parse import quote

import numpy as np
from docutils import nodes
from PIL import Image
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

GROUND, INK = (0x14, 0x18, 0x1E), (0xE3, 0xE8, 0xEE)  # of the dark pages, as in book/_static/site.css
LETTERS = 9  # the smallest that is read on a phone, in CSS pixels
PHONE = 340  # what a phone has for a picture, in CSS pixels

# Oklab (Ottosson 2020): equal steps of its first number, the lightness, look equal.
TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def to_lab(colours: np.ndarray) -> np.ndarray:
    """Oklab of sRGB colours (..., 3) from 0 to 255."""
    s = colours / 255
    linear = np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ TO_CONES.T) @ TO_LAB.T


def from_lab(lab: np.ndarray) -> np.ndarray:
    """The sRGB colours, bytes, that these are in Oklab, clipped to what a screen shows."""
    linear = ((lab @ np.linalg.inv(TO_LAB).T) ** 3) @ np.linalg.inv(TO_CONES).T
    linear = linear.clip(0, 1)
    s = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(s * 255).astype(np.uint8)


def turn(colours: np.ndarray) -> np.ndarray:
    """Turn light to dark and dark to light, and keep the hue: white becomes the ground, black the ink."""
    lab = to_lab(colours.astype(float))
    ground, ink = to_lab(np.array([GROUND, INK], dtype=float))
    share = np.minimum(lab[..., :1] / 0.98, 1) ** 2  # of the ground; a power, so that the middle can be read
    turned = share * ground + (1 - share) * ink
    turned[..., 1:] += lab[..., 1:]
    return from_lab(turned)


def dark(picture: Image.Image, boxes: list[list[int]]) -> Image.Image:
    """The picture for a dark page; inside of the boxes (left, top, right, bottom) it stays as it is."""
    pixels = np.asarray(picture.convert("RGB"))
    codes, index = np.unique(pixels @ np.array([1 << 16, 1 << 8, 1]), return_inverse=True)
    colours = codes[:, None] >> np.array([16, 8, 0]) & 255
    twin = turn(colours)[index.reshape(-1)].reshape(pixels.shape)
    for left, top, right, bottom in boxes:
        twin[top:bottom, left:right] = pixels[top:bottom, left:right]
    return Image.fromarray(twin)


def webp(picture: Image.Image) -> bytes:
    """The picture as WebP: exact, or, where that is far larger (photographs), with losses nobody sees."""
    files = []
    for options in ({"lossless": True}, {"quality": 85}):
        file = io.BytesIO()
        picture.convert("RGB").save(file, "WEBP", method=4, **options)
        files.append(file.getvalue())
    exact, close = files
    return close if len(close) < 0.6 * len(exact) else exact


def tag(node: nodes.image, source: str, size: tuple[int, int], theme: str = "", least: int = 0) -> str:
    """One `<img>` with its size; with the class `early` it loads at once, else when it comes near."""
    classes = " ".join([*(name for name in node["classes"] if name != "early"), theme]).strip()
    return (
        f'<img alt="{escape(node.get("alt", ""))}" src="{source}" width="{size[0]}" height="{size[1]}"'
        + (f' class="{classes}"' if classes else "")
        + (f' style="min-width:{least}px"' if least else "")
        + (' fetchpriority="high">' if "early" in node["classes"] else ' loading="lazy" decoding="async">')
    )


def size_of(drawing: str) -> tuple[int, int]:
    """Width and height of an SVG, from its viewBox."""
    _, _, width, height = re.search(r'viewBox="([^"]+)"', drawing)[1].split()
    return int(width), int(height)


def visit(translator: HTML5Translator, node: nodes.image) -> None:
    """Write a PNG of the book as WebP, with its dark version, and any other of its pictures as it is."""
    builder = translator.builder
    if node["uri"] not in builder.env.images:
        HTML5Translator.visit_image(translator, node)
        return
    name = builder.env.images[node["uri"]][1]
    path = Path(builder.srcdir, node["uri"])
    address = f"{builder.imgpath}/{quote(name)}"
    if path.suffix == ".svg":
        drawing = path.read_text(encoding="utf-8")
        translator.body.append(tag(node, address, size_of(drawing), "dark-light"))
        return
    with Image.open(path) as picture:
        picture.load()
    if path.suffix != ".png":
        translator.body.append(tag(node, address, picture.size))
        return
    builder.images.pop(node["uri"], None)  # the PNG itself is not needed
    notes = json.loads(picture.info.get("convlab", "{}"))
    versions = {"only-light": picture}
    if notes:
        versions["only-dark"] = dark(picture, notes["boxes"])
    least = min(picture.width, round(picture.width * LETTERS / notes.get("letters", 12.5)))
    least *= least > PHONE
    body = ""
    for theme, version in versions.items():
        file = Path(builder.outdir, builder.imagedir, f"{path.stem}-{theme}.webp")
        file.parent.mkdir(exist_ok=True)
        if not file.exists() or file.stat().st_mtime < max(
            os.path.getmtime(path), os.path.getmtime(__file__)
        ):
            file.write_bytes(webp(version))
        address = f"{builder.imgpath}/{quote(file.name)}"
        body += tag(node, address, picture.size, theme if notes else "", least)
    if least:  # it scrolls on its own, by keyboard too, as formulas do
        body = f'<div class="pst-scrollable-table-container">{body}</div>'
    translator.body.append(body + "\n")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.add_node(nodes.image, override=True, html=(visit, lambda translator, node: None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
