"""Your own photograph through the network: a live exploration with ipywidgets, and its still picture."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any

import ipywidgets  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from convlab import fields, plots
from convlab.capture import capture

if TYPE_CHECKING:
    from torch import nn

LARGEST = 50_000_000  # pixels: a bigger file is refused before it is unpacked into memory


def read_photo(content: bytes) -> NDArray[np.uint8]:
    """RGB bytes (H, W, 3) of a picture file, turned upright as its camera noted.

    ValueError if it is not a picture that Pillow can read, or has more than 50 million pixels.
    """
    try:
        with Image.open(BytesIO(content)) as image:
            if image.width * image.height > LARGEST:
                raise ValueError(
                    f"`content` must have at most {LARGEST:,} pixels, got {image.width}×{image.height}"
                )
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"`content` must be a picture file such as JPEG or PNG: {error}") from error


def strongest_unit(
    model: nn.Module, photo: NDArray[np.uint8], layer: str, *, count: int = 5
) -> plots.Picture:
    """Draw the photo with the region that the strongest unit of `layer` sees, and the strongest maps.

    Parameters
    ----------
    model : torch.nn.Module
        Takes the tensor that `pretrained.preprocess` makes, (1, 3, 224, 224).
    photo : array, shape (H, W, 3), uint8
    layer : str
        Path of a layer of `model` with maps (1, C, h, w).
    count : int
        How many maps to show: those with the largest values, the strongest first.
    """
    from convlab import pretrained  # here, because it opens torch

    with capture(model, layer) as maps:
        model(pretrained.preprocess(photo))
    stack = maps[layer][0].numpy()  # (C, h, w)
    order = np.argsort(-stack.max(axis=(1, 2)), kind="stable")[:count]
    row, column = (int(i) for i in np.unravel_index(stack[order[0]].argmax(), stack.shape[1:]))
    size = pretrained.INPUT_SIZE
    field = fields.receptive_field(model, input_size=size)[layer]
    box = field.region((row, column), clip=(size, size))
    titles = ["your photo", *(f"map {m}: up to {stack[m].max():.1f}" for m in order)]
    colours = [plots.INPUT, *[plots.OUTPUT] * len(order)]
    picture = plots.maps(
        [pretrained.resize(photo), *stack[order]], titles, columns=3, size=2.2, colours=colours
    )
    label = f"unit ({row}, {column}) of map {order[0]}"
    if box == (0, 0, size, size):
        label += " sees the whole photo"
    plots.outline(picture.axes[0], box, label)
    return picture


class OwnPhoto(ipywidgets.VBox):  # type: ignore[misc]
    """Upload a photo, pick a layer, and see its maps and the region that the strongest unit sees.

    It needs a running kernel. Where there is none (the book, GitHub), its still picture stands in its place.
    """

    def __init__(self, model: nn.Module, photo: NDArray[np.uint8], layers: list[str]) -> None:
        self._model, self._photo = model, photo
        self.upload = ipywidgets.FileUpload(accept="image/*", description="Your photo")
        self.layer = ipywidgets.Dropdown(options=layers, description="Layer")
        self.message = ipywidgets.HTML()
        self.picture = ipywidgets.Image(format="png", layout={"max_width": "100%"})
        super().__init__([ipywidgets.HBox([self.upload, self.layer]), self.message, self.picture])
        self.upload.observe(self._on_upload, "value")
        self.layer.observe(lambda _: self._draw(), "value")
        self._draw()

    def __repr__(self) -> str:
        return "OwnPhoto: upload a photo and pick a layer (needs a running kernel)"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        bundle: dict[str, str] = super()._repr_mimebundle_(**kwargs)
        return {**bundle, "text/plain": repr(self), "image/png": b64encode(self.picture.value).decode()}

    def _on_upload(self, _: object) -> None:
        if not self.upload.value:
            return
        try:
            self._photo = read_photo(bytes(self.upload.value[0]["content"]))
        except ValueError as error:
            self._say(f"{error}. The last photo is still shown.")
            return
        self._say("")
        self._draw()

    def _say(self, text: str) -> None:
        self.message.value = f"<p role='status'>{escape(text)}</p>" if text else ""

    def _draw(self) -> None:
        self.picture.value = strongest_unit(self._model, self._photo, self.layer.value)._repr_png_()
