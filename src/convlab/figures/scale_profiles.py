"""Scale profiles: the receptive field of every layer of some networks, beside the sizes of objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from traitlets import Any as Anything
from traitlets import observe, validate

from convlab import nets
from convlab.fields import Field, Layer, receptive_field
from convlab.figures.figure import Figure

if TYPE_CHECKING:
    from torch import nn

    from convlab.shapes import Pair

    Network = str | nets.Net | Sequence[Layer] | nn.Module

NETWORKS: dict[str, Callable[[], nets.Net]] = {
    "alexnet": nets.alexnet,
    "vgg16": nets.vgg16,
    "resnet18": lambda: nets.resnet(18),
    "resnet34": lambda: nets.resnet(34),
    "resnet50": lambda: nets.resnet(50),
    "resnet50 v1.5": lambda: nets.resnet(50, "v1.5"),
    "resnet101": lambda: nets.resnet(101),
    "resnet152": lambda: nets.resnet(152),
    "mobilenet_v1": nets.mobilenet_v1,
    "mobilenet_v2": nets.mobilenet_v2,
    "ssd300": nets.ssd300,
}
RULE = (0.9, 3.1)  # the span of field / anchor of the maps that Zhang et al. 2017 use: 468/512 … 196/64
LARGEST = 8  # networks, and maps in use
MOST_LAYERS = 400
MOST_PIXELS = 10_000

# How many objects of 6, 7, 8, … pixels are in the first 400 scenes of `data.scene(index, size=224)`.
# fmt: off
SCENES = (
    28, 49, 49, 49, 34, 29, 30, 28, 33, 30, 24, 21, 24, 19, 10, 18, 9, 18, 14, 15, 15, 11, 7, 9, 6, 11,
    13, 9, 13, 9, 10, 4, 7, 8, 11, 7, 9, 7, 10, 6, 6, 3, 8, 4, 10, 8, 6, 6, 4, 6, 3, 1, 5, 7, 3, 7, 5, 2,
    1, 4, 3, 3, 4, 4, 3, 4, 4, 2, 8, 1, 1, 0, 3, 3, 3, 3, 2, 1, 3, 1, 2, 7, 3, 4, 2, 2, 6, 2, 5, 5, 2, 1,
    2, 1, 5, 4, 3, 2, 1, 2, 1, 3, 1, 1, 3, 1, 1, 4, 0, 3, 3, 0, 0, 3, 3, 0, 1, 1, 1, 3, 0, 1, 1, 2, 1, 2,
    1, 1, 3, 0, 2, 2, 0, 0, 1, 1, 1, 2, 0, 2, 4, 0, 1, 1,
)
# fmt: on


class ScaleProfiles(Figure):
    """The field of every layer of a network on a log scale, beside a histogram of object sizes on the same.

    The reader chooses the network, the maps in use, and the factors a and b of the rule: an object of size s
    fits a map if a·s ≤ field ≤ b·s. Sizes that fit no map in use are a gap; the text tells its share of the
    objects. The factors at the start span those of a detector that was designed by fields: S³FD (Zhang et
    al. 2017) looks for faces of 16, 32, 64, 128, 256 and 512 pixels on maps with fields of 40, 92, 196, 276,
    340 and 468, which are 0.9 to 3.1 times as large. (Its table 1 has the fields of the 3×3 that predict on
    these maps, which add twice the jump.)

    Parameters
    ----------
    networks : list, or dict of name → network
        Each is a name in `NETWORKS`, a `convlab.nets.Net`, a list of `fields.Layer`, or a torch module. Of a
        Net, the longest path is shown, without what looks at the whole map.
    histogram : array of sizes, or dict of size → count
        Sizes of objects in pixels, rounded to whole ones; by default those of 400 scenes of
        ``data.scene(index, size=224)``, squares of 6 to 149 pixels.
    network : str
        Which to show first, by the name that the figure gives it.
    maps : list of str
        Layers in use, at most 8; by default the outputs of a network that has several, else the last map of
        every jump from 4 on, of whole blocks in a Net.
    rule : (a, b)
    input_size : int or (H, W)
        For modules that need it, see `fields.receptive_field`.

    Notes
    -----
    `network`, `maps`, `rule` and `layer`, the name of the chosen one, are traits, live in both directions.
    Another network comes with its own first maps.

    >>> ScaleProfiles(["vgg16"]).maps
    ['conv3_3', 'conv4_3', 'conv5_3', 'pool5']
    """

    _maps_of = ""
    front_end = "scale_profiles"
    description = (
        "The receptive field of every layer of a network, growing with depth, beside a histogram of object "
        "sizes on the same scale. The reader chooses maps and a rule for which sizes fit which field; sizes "
        "that fit no map are marked as a gap."
    )

    profiles = Anything().tag(sync=True)
    objects = Anything().tag(sync=True)
    network = Anything().tag(sync=True)
    maps = Anything().tag(sync=True)
    layer = Anything().tag(sync=True)
    rule = Anything().tag(sync=True)

    def __init__(
        self,
        networks: Sequence[Network] | Mapping[str, Network] = ("vgg16", "resnet50", "mobilenet_v1", "ssd300"),
        histogram: ArrayLike | Mapping[float, int] | None = None,
        *,
        network: str | None = None,
        maps: Sequence[str] | None = None,
        rule: Sequence[float] = RULE,
        input_size: Pair | None = None,
        caption: str = "",
    ) -> None:
        profiles = _profiles(networks, input_size)
        super().__init__(
            profiles=profiles,
            objects=_objects(histogram),
            network=profiles[0]["name"] if network is None else network,
            rule=rule,
            caption=caption,
        )
        if maps is not None:
            self.maps = maps
            self.layer = self.maps[0] if self.maps else self.layer

    def _profile(self) -> dict[str, Any]:
        return next(one for one in self.profiles if one["name"] == self.network)

    def _layers(self) -> list[str]:
        return [name for name, _, _ in self._profile()["layers"]]

    @validate("network")
    def _network_is_there(self, proposal: dict[str, Any]) -> str:
        names, name = [one["name"] for one in self.profiles], proposal["value"]
        if name not in names:
            raise ValueError(f"`network` must be one of {', '.join(map(repr, names))}, got {name!r}")
        return str(name)

    @validate("maps")
    def _maps_are_layers(self, proposal: dict[str, Any]) -> list[str]:
        value, layers = proposal["value"], self._layers()
        maps = [value] if isinstance(value, str) else list(value)
        for name in maps:
            if name not in layers:
                raise ValueError(f"`maps` must be layers of {self.network}, got {name!r}")
        if len(set(maps)) > LARGEST:
            raise ValueError(f"`maps` must be at most {LARGEST}, got {len(set(maps))}")
        self._maps_of = self.network
        return [name for name in layers if name in maps]

    @validate("layer")
    def _layer_is_there(self, proposal: dict[str, Any]) -> str:
        name = proposal["value"]
        if name not in self._layers():
            raise ValueError(f"`layer` must be a layer of {self.network}, got {name!r}")
        return str(name)

    @validate("rule")
    def _rule_is_a_range(self, proposal: dict[str, Any]) -> list[float]:
        try:
            low, high = (float(factor) for factor in proposal["value"])
        except (TypeError, ValueError):
            low = high = 0.0
        if not 0.1 <= low < high <= 20:
            raise ValueError(f"`rule` must be two factors a < b from 0.1 to 20, got {proposal['value']!r}")
        return [low, high]

    @observe("network")
    def _choose_maps(self, _: Any) -> None:
        if self._maps_of != self.network:  # else they were chosen together
            self.maps = self._profile()["maps"]
            self.layer = self.maps[0]


def _profiles(
    networks: Sequence[Network] | Mapping[str, Network], input_size: Pair | None
) -> list[dict[str, Any]]:
    """For each network its name, its layers [name, field, jump], and the maps to begin with."""
    if isinstance(networks, Mapping):
        named = list(networks.items())
    elif isinstance(networks, Sequence) and not isinstance(networks, str):
        named = [("", model) for model in networks]
    else:
        raise TypeError(f"`networks` must be a list, or a dict of name → network, got {networks!r}")
    if not 1 <= len(named) <= LARGEST:
        raise ValueError(f"`networks` must be 1 to {LARGEST} networks, got {len(named)}")
    profiles = [_profile(name, model, input_size) for name, model in named]
    names = [profile["name"] for profile in profiles]
    if len(set(names)) < len(names):
        raise ValueError(f"`networks` must have different names, got {', '.join(names)}; use a dict")
    return profiles


def _profile(name: str, model: Network, input_size: Pair | None) -> dict[str, Any]:
    if isinstance(model, str):
        if model not in NETWORKS:
            raise ValueError(f"`networks` must be names among {', '.join(NETWORKS)}, got {model!r}")
        model = NETWORKS[model]()
    fields = receptive_field(model, input_size=input_size)
    path, outputs = list(fields), []
    if isinstance(model, nets.Net):
        path = _longest_path(model)
        outputs = [output for output in model.outputs if output in path]
        name = name or model.name
    layers = [[layer, max(fields[layer].size), _jump(fields[layer])] for layer in path]
    if not 1 <= len(layers) <= MOST_LAYERS:
        raise ValueError(f"a network must have 1 to {MOST_LAYERS} layers to be drawn, got {len(layers)}")
    whole = [layer for layer in path if isinstance(model, nets.Net) and "." not in layer]  # not in a block
    jumps = {_jump(fields[layer]): layer for layer in whole or path}  # the last of each
    last = [layer for jump, layer in jumps.items() if jump >= 4]
    maps = outputs if len(outputs) > 1 else last or path[-1:]
    return {"name": name or type(model).__name__, "layers": layers, "maps": maps[-LARGEST:]}


def _jump(field: Field) -> float:
    jump = float(max(field.jump))
    return int(jump) if jump.is_integer() else round(jump, 3)


def _longest_path(net: nets.Net) -> list[str]:
    """Names of the nodes on the longest way through a network, without those that look at the whole map."""
    depth, before = {"input": 0}, {}
    for node in net.nodes:
        sources = [name for name in node.inputs if name in depth]
        if sources and not isinstance(node.op, nets.GlobalPool | nets.Dense):
            before[node.name] = max(sources, key=depth.__getitem__)
            depth[node.name] = depth[before[node.name]] + 1
    path = [max(depth, key=depth.__getitem__)]
    while path[-1] in before:
        path.append(before[path[-1]])
    return path[-2::-1]


def _objects(histogram: ArrayLike | Mapping[float, int] | None) -> list[list[int]]:
    """Pairs [size, count], sizes rising."""
    if histogram is None:
        return [[size, count] for size, count in enumerate(SCENES, 6) if count]
    pairs = histogram.items() if isinstance(histogram, Mapping) else ((one, 1) for one in _sizes(histogram))
    counts: Counter[int] = Counter()
    for size, count in pairs:
        if not 0.5 <= size <= MOST_PIXELS:
            raise ValueError(f"`histogram` must hold sizes from 1 to {MOST_PIXELS} pixels, got {size}")
        if int(count) != count or count < 0:
            raise ValueError(f"`histogram` must hold counts of objects, got {count} of size {size}")
        counts[max(round(float(size)), 1)] += int(count)
    if not counts.total():
        raise ValueError("`histogram` must hold at least one object, got none")
    return [[size, counts[size]] for size in sorted(counts) if counts[size]]


def _sizes(histogram: ArrayLike) -> list[float]:
    sizes = np.asarray(histogram)
    if sizes.ndim != 1 or sizes.dtype.kind not in "iuf":
        raise ValueError(
            f"`histogram` must be numbers, one per object, or a dict of size → count, got {histogram!r}"
        )
    return sizes.tolist()  # type: ignore[no-any-return]
