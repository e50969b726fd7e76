"""Pictures as pages need them: small files, a size known beforehand, loaded late, and a version for the dark.

`convlab.plots` notes in each PNG where its data areas lie (photos, maps, cells) and how high its smallest
letters are. The dark version keeps the data areas as they are, for black and white mean something there, and
turns the lightness of all else.
"""

import io
import json
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
PHONE = 330  # what a phone has for a picture, in CSS pixels

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
    share = (
        np.minimum(lab[..., :1] / 0.98, 1) ** 1.8
    )  # of the ground; a power, so that the middle can be read
    turned = share * ground + (1 - share) * ink
    turned[..., 1:] += lab[..., 1:]
    return from_lab(turned)


def dark(picture: Image.Image, boxes: list[list[int]]) -> Image.Image:
    """The picture for a dark page; inside of the boxes (left, top, right, bottom) it stays as it is."""
    pixels = np.asarray(picture.convert("RGB"))
    colours, index = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
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


def tag(source: str, picture: Image.Image, node: nodes.image, *classes: str, style: str = "") -> str:
    """One `<img>` with its size; with the class `early` it loads at once, else when it comes near."""
    early = "early" in node["classes"]
    names = " ".join([*(name for name in node["classes"] if name != "early"), *classes])
    width, height = picture.size
    return (
        f'<img alt="{escape(node.get("alt", ""))}" src="{source}" width="{width}" height="{height}"'
        + (f' class="{names}"' if names else "")
        + (f' style="{style}"' if style else "")
        + (' fetchpriority="high"' if early else ' loading="lazy" decoding="async"')
        + ">"
    )


def visit(translator: HTML5Translator, node: nodes.image) -> None:
    """Write a picture of the book as WebP, with its dark version; leave every other picture to Sphinx."""
    builder = translator.builder
    name = builder.env.images[node["uri"]][1] if node["uri"] in builder.env.images else ""
    if not name.endswith((".png", ".webp")) or "scale" in node or "width" in node:
        HTML5Translator.visit_image(translator, node)
        return
    path = Path(builder.srcdir, node["uri"])
    if not path.is_file():
        path = Path(node["uri"])
    with Image.open(path) as picture:
        picture.load()
    folder = Path(builder.outdir, builder.imagedir)
    folder.mkdir(exist_ok=True)

    def written(shown: Image.Image, ending: str) -> str:
        file = folder / (Path(name).stem + ending)
        if not file.exists() or file.stat().st_mtime < max(
            path.stat().st_mtime, Path(__file__).stat().st_mtime
        ):
            file.write_bytes(webp(shown))
        return f"{builder.imgpath}/{quote(file.name)}"

    if name.endswith(".webp"):
        translator.body.append(tag(f"{builder.imgpath}/{quote(name)}", picture, node))
        return
    builder.images.pop(node["uri"], None)  # the PNG itself is not needed
    notes = json.loads(picture.info.get("convlab", "{}"))
    least = min(picture.width, round(picture.width * LETTERS / notes.get("letters", 12.5)))
    style = f"min-width:{least}px" if least > PHONE else ""
    images = [(picture, ".webp", "only-light")]
    if notes:
        images.append((dark(picture, notes["boxes"]), "-dark.webp", "only-dark"))
    body = "".join(
        tag(written(shown, ending), shown, node, *([theme] if notes else []), style=style)
        for shown, ending, theme in images
    )
    if style:  # it scrolls on its own, by keyboard too, as formulas do
        body = f'<div class="pst-scrollable-table-container">{body}</div>'
    translator.body.append(body + "\n")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.add_node(nodes.image, override=True, html=(visit, lambda translator, node: None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
