"""The feature-map browser: photos, layers and maps of a network, and what each unit sees of the photo."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from io import BytesIO
from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from traitlets import Dict, validate

from convlab.figures.figure import Figure

if TYPE_CHECKING:
    from torch import nn

    from convlab.fields import Field

LEVELS = 128  # a stored value is within 1/256 of its map's scale


def _webp(pixels: NDArray[np.uint8], **options: Any) -> str:
    """Pixels (H, W) or (H, W, 3) as the data URL of a WebP image."""
    stream = BytesIO()
    Image.fromarray(pixels).convert("RGB").save(stream, "WEBP", method=5, **options)
    return f"data:image/webp;base64,{b64encode(stream.getvalue()).decode()}"


def pack_maps(maps: NDArray[np.floating[Any]], channels: Sequence[int]) -> dict[str, Any]:
    """Pack the maps `channels` of a layer (N, C, H, W): a scale for each, and all values as a lossless image.

    A map that is nowhere negative is scaled from 0 to its maximum over the N photos, any other map
    symmetrically, so that 0 lies in the middle. Level k stands for low + k / 128 · (high − low). The image is
    grey, W pixels wide, with the maps of the first photo below each other, then those of the next.

    >>> pack_maps(np.array([[[[0.0, 2.0]], [[-1.0, 4.0]]]]), [0, 1])["maps"]
    [{'channel': 0, 'scale': [0.0, 2.0]}, {'channel': 1, 'scale': [-4.0, 4.0]}]
    """
    chosen = maps[:, list(channels)].astype(np.float64)  # (N, K, H, W)
    reach = np.abs(chosen).max(axis=(0, 2, 3))  # (K,)
    reach[reach == 0] = 1  # a map of zeros
    low = np.where(chosen.min(axis=(0, 2, 3)) < 0, -reach, 0)
    levels = np.round((chosen - low[:, None, None]) / (reach - low)[:, None, None] * LEVELS).astype(np.uint8)
    scales = zip(low.tolist(), reach.tolist(), strict=True)
    return {
        "count": maps.shape[1],
        "shape": list(maps.shape[2:]),
        "maps": [
            {"channel": channel, "scale": list(scale)}
            for channel, scale in zip(channels, scales, strict=True)
        ],
        "levels": _webp(levels.reshape(-1, levels.shape[3]), lossless=True, quality=100),
    }


def pack_field(field: Field, shape: Sequence[int], size: tuple[int, int]) -> dict[str, Any]:
    """Start, jump and size of a field, each (height, width), and the pixels that each row and column sees.

    Parameters
    ----------
    field : Field
    shape : (h, w) of the map
    size : (H, W) of the photo

    >>> from convlab.fields import Layer, receptive_field
    >>> pack_field(receptive_field([Layer(3, padding=1)])["0"], (2, 2), (2, 2))["rows"]
    [(0, 2), (0, 2)]
    """
    rows = [field.region((row, 0), size)[0::2] for row in range(shape[0])]
    columns = [field.region((0, column), size)[1::2] for column in range(shape[1])]
    numbers = {"start": field.start, "jump": field.jump, "size": field.size}
    return {name: list(pair) for name, pair in numbers.items()} | {"rows": rows, "columns": columns}


def pack_projection(projection: NDArray[np.floating[Any]]) -> str:
    """Pack the mean of the colours of a projection (3, H, W) as a lossless grey image of nine levels.

    Level 64 stands for 0, and 0 and 128 for the ends of the scale. Of the pixels that are not 0, one in a
    hundred may lie beyond them, so that a few extremes do not hide the rest.
    """
    mean = projection.astype(np.float64).mean(axis=0)
    sizes = np.abs(mean[mean != 0])
    reach = np.percentile(sizes, 99) if sizes.size else 1.0
    levels = np.round((np.clip(mean / reach, -1, 1) + 1) * 4) * (LEVELS // 8)
    return _webp(levels.astype(np.uint8), lossless=True, quality=100)


def choose(maps: NDArray[np.floating[Any]], count: int) -> list[int]:
    """Indices, in order, of the `count` maps of (N, C, H, W) whose values vary most (largest variance).

    >>> choose(np.array([[[[1, 1]], [[0, 9]], [[4, 5]]]]), 2)
    [1, 2]
    """
    variance = maps.astype(np.float64).var(axis=(0, 2, 3))  # (C,)
    return sorted(np.argsort(-variance, kind="stable")[:count].tolist())


def _channels(maps: NDArray[np.floating[Any]], name: str, wanted: int | Sequence[int]) -> list[int]:
    """Turn what `layers` asks for in one layer into map indices, checked."""
    total = maps.shape[1]
    if isinstance(wanted, int):
        if not 1 <= wanted <= total:
            raise ValueError(f"`layers` must ask for 1 to {total} maps of {name!r}, got {wanted}")
        return choose(maps, wanted)
    channels = [index(channel) for channel in wanted]
    if not channels or len(set(channels)) < len(channels) or not all(0 <= c < total for c in channels):
        raise ValueError(
            f"`layers` must name different maps of {name!r}, from 0 to {total - 1}, got {channels}"
        )
    return channels


def _add_projections(
    content: dict[str, Any], model: nn.Module, inputs: Sequence[Any], maps: Mapping[str, Any], rule: str
) -> None:
    """Give each map of `content` its "views": what its strongest unit projects to, photo by photo."""
    from convlab.deconvnet import project

    for layer in content["layers"]:
        for item in layer["maps"]:
            shown = maps[layer["name"]][:, item["channel"]]  # (N, h, w)
            item["views"] = []
            for x, values in zip(inputs, shown, strict=True):
                row, column = np.unravel_index(values.argmax(), values.shape)
                unit = int(row), int(column)
                pixels = project(model, x, layer["name"], item["channel"], unit, rule=rule)
                item["views"].append(pack_projection(pixels[0].numpy()))


class FeatureMapBrowser(Figure):
    """Photos × layers × maps; a chosen unit shows its value and its receptive field on the photo.

    `content` is what the figure holds. `selection` is what the reader is looking at, live in both directions:
    `{"photo": "cat", "layer": "stem_relu", "map": 12, "unit": [5, 7]}`, where the map is the channel's number
    in the network and the unit a row and a column. With projections, `"view": True` shows one over the photo.
    """

    front_end = "feature_map_browser"
    description = (
        "A photo stands beside one feature map that a network makes of it; the reader chooses the photo, the "
        "layer and the map. Pointing at a unit of the map outlines the part of the photo that the unit can "
        "see, and shows the unit's value."
    )

    content = Dict().tag(sync=True)
    selection = Dict().tag(sync=True)

    @classmethod
    def from_model(
        cls,
        model: nn.Module,
        photos: Mapping[str, NDArray[np.uint8]],
        layers: Mapping[str, int | Sequence[int]],
        *,
        start: tuple[str, str, int] | None = None,
        rule: str | None = None,
        caption: str = "",
    ) -> FeatureMapBrowser:
        """Run `model` on the photos and keep some maps of some layers.

        Parameters
        ----------
        model : torch.nn.Module
            Takes the tensors that `pretrained.preprocess` makes, (N, 3, 224, 224).
        photos : mapping of name to array, shape (H, W, 3), uint8
            What to look at, in this order.
        layers : mapping of layer path to int or sequence of int
            How many maps of that layer to keep (those that vary most over these photos), or which.
        start : (photo, layer, map), optional
            What the figure shows at first, with the map's strongest unit. Default: the first of each.
        rule : "gradient", "deconvnet" or "guided", optional
            Adds the projection of each map's strongest unit in each photo by this rule (`convlab.deconvnet`),
            which the reader can lay over the photo.
        caption : str
            Stands below the figure.

        Raises
        ------
        ValueError
            If there are no photos or layers, or if a layer, map or rule doesn't exist.
        """
        import torch

        from convlab.capture import capture
        from convlab.fields import receptive_field
        from convlab.pretrained import INPUT_SIZE, preprocess, resize

        for name, value in (("photos", photos), ("layers", layers)):
            if not value:
                raise ValueError(f"`{name}` must not be empty")
        with capture(model, *layers) as tensors, torch.no_grad():
            model(torch.cat([preprocess(photo) for photo in photos.values()]))
        size = (INPUT_SIZE, INPUT_SIZE)
        fields = receptive_field(model, input_size=size)
        maps = {name: tensors[name].numpy() for name in layers}
        content: dict[str, Any] = {
            "size": list(size),
            "photos": [
                {"name": name, "image": _webp(resize(photo), quality=85)} for name, photo in photos.items()
            ],
            "layers": [
                {"name": name, "field": pack_field(fields[name], maps[name].shape[2:], size)}
                | pack_maps(maps[name], _channels(maps[name], name, wanted))
                for name, wanted in layers.items()
            ],
        }
        if rule is not None:
            content["rule"] = rule
            _add_projections(content, model, [preprocess(photo) for photo in photos.values()], maps, rule)
        first = content["layers"][0]
        photo, layer, channel = start or (next(iter(photos)), first["name"], first["maps"][0]["channel"])
        selection = {"photo": photo, "layer": layer, "map": channel, "unit": [0, 0]}
        cls._check(content, selection)
        shown = maps[layer][list(photos).index(photo), channel]
        selection["unit"] = [int(i) for i in np.unravel_index(shown.argmax(), shown.shape)]
        return cls(content=content, selection=selection, caption=caption)

    @staticmethod
    def _check(content: dict[str, Any], selection: dict[str, Any]) -> None:
        layers = {layer["name"]: layer for layer in content["layers"]}
        _one_of("photo", selection["photo"], [photo["name"] for photo in content["photos"]])
        _one_of("layer", selection["layer"], list(layers))
        layer = layers[selection["layer"]]
        _one_of("map", selection["map"], [item["channel"] for item in layer["maps"]])
        unit, (rows, columns) = selection["unit"], layer["shape"]
        if len(unit) != 2 or not (0 <= unit[0] < rows and 0 <= unit[1] < columns):
            raise ValueError(f"the unit must lie within the {rows}×{columns} map, got {unit}")

    @validate("selection")
    def _selection_exists(self, proposal: dict[str, Any]) -> dict[str, Any]:
        selection: dict[str, Any] = proposal["value"]
        self._check(self.content, selection)
        return selection


def _one_of(what: str, value: object, known: Sequence[object]) -> None:
    if value not in known:
        raise ValueError(f"the {what} must be one of {', '.join(map(repr, known))}, got {value!r}")
