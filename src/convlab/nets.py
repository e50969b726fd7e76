"""Real networks as graphs of layers, and a ledger of what each layer makes, learns, computes and sees.

A `Net` is a list of nodes. A node has a name, an operation, and the names of the nodes that it reads; without
them, it reads the node before. That is all that `convlab.fields.receptive_field` and `ledger` need to know::

    Net("two branches", [
        Node("a", Conv(3, 8, padding=1)),
        Node("b", Conv(5, 8, padding=2), ("input",)),
        Node("joined", Concat(), ("a", "b")),
    ])

Activations and batch norm work on every unit by itself, in place: they are not nodes of their own. A batch
norm belongs to its convolution (`norm=True`), for the sake of its parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from math import prod

from convlab._rules import EACH, WHOLE, Resize, Rules, transposed, windows
from convlab.fields import Field, _aligned, _text, receptive_field
from convlab.shapes import Padding, Pair, as_int, as_pair, conv_parameters, dense_parameters

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Conv:
    """A convolution with so many filters; arguments as in torch, and two more.

    Attributes
    ----------
    norm
        whether batch norm follows (two parameters per filter, a scale and a shift) and replaces the bias
    kernels
        how many 2-D kernels it has; by default each filter has one for each map of its group
    """

    kernel_size: Pair
    filters: int
    _: KW_ONLY
    stride: Pair = 1
    padding: Padding = 0
    dilation: Pair = 1
    groups: int = 1
    norm: bool = False
    kernels: int | None = None

    def __post_init__(self) -> None:
        as_int("filters", self.filters, 1)
        as_int("groups", self.groups, 1)
        rules(self)


@dataclass(frozen=True)
class ConvTranspose:
    """A transposed convolution with so many filters; arguments as in torch."""

    kernel_size: Pair
    filters: int
    _: KW_ONLY
    stride: Pair = 1
    padding: Pair = 0
    dilation: Pair = 1
    output_padding: Pair = 0

    def __post_init__(self) -> None:
        as_int("filters", self.filters, 1)
        rules(self)


@dataclass(frozen=True)
class Pool:
    """A pooling, maximum or average; arguments as in torch, but the stride is never implied.

    `scaled` gives each map a learned factor and bias, as LeNet-5 had them in 1998.
    """

    kernel_size: Pair
    _: KW_ONLY
    stride: Pair
    padding: Padding = 0
    ceil_mode: bool = False
    scaled: bool = False

    def __post_init__(self) -> None:
        rules(self)


@dataclass(frozen=True)
class GlobalPool:
    """One number per map: the average, or the maximum, of all its units."""


@dataclass(frozen=True)
class Dense:
    """A fully connected layer from all that it reads to so many units, which stand as maps of 1×1.

    `learned=False` for weights that are set by hand and stay.
    """

    units: int
    _: KW_ONLY
    learned: bool = True

    def __post_init__(self) -> None:
        as_int("units", self.units, 1)


@dataclass(frozen=True)
class Upsample:
    """Interpolation to `factor` times the size; `mode` is "nearest" or "bilinear" (corners not aligned)."""

    factor: Pair
    _: KW_ONLY
    mode: str = "nearest"

    def __post_init__(self) -> None:
        if self.mode not in ("nearest", "bilinear"):
            raise ValueError(f'`mode` must be "nearest" or "bilinear", got {self.mode!r}')
        rules(self)


@dataclass(frozen=True)
class Scale:
    """A learned factor per map."""


@dataclass(frozen=True)
class Add:
    """The sum of several stacks of maps, unit by unit."""


@dataclass(frozen=True)
class Concat:
    """All maps of several nodes in one stack."""


Op = Conv | ConvTranspose | Pool | GlobalPool | Dense | Upsample | Scale | Add | Concat


@dataclass(frozen=True)
class Node:
    """One layer of a network: its name, what it does, and names of what it reads (none: the node before)."""

    name: str
    op: Op
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class Net:
    """A network: nodes in the order in which they run. The image is called "input".

    Attributes
    ----------
    name
        what to call it
    nodes
        each reads the node before it, or those that it names
    channels
        maps of the image
    input_size
        (H, W) that it was made for; None if that doesn't matter
    outputs
        names of the nodes whose maps it hands on; by default the last

    Raises
    ------
    ValueError
        If two nodes have the same name, or one reads what does not come before it, or too much.

    >>> Net("small", [Node("conv", Conv(3, 8)), Node("pool", Pool(2, stride=2))])
    <Net small: conv, pool>
    """

    name: str
    nodes: Sequence[Node]
    _: KW_ONLY
    channels: int = 3
    input_size: tuple[int, int] | None = None
    outputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        as_int("channels", self.channels, 1)
        if not self.nodes:
            raise ValueError("`nodes` must have at least one node, got none")
        before = ["input"]
        nodes = []
        for node in self.nodes:
            inputs = node.inputs or (before[-1],)
            for name in inputs:
                if name not in before:
                    raise ValueError(f"`{node.name}` reads {name!r}, which does not come before it")
            if node.name in before:
                raise ValueError(f"`nodes` must have different names, got {node.name!r} twice")
            if not isinstance(node.op, Op):
                raise TypeError(f"`{node.name}` must have an operation of convlab.nets, got {node.op!r}")
            if len(inputs) > 1 and not isinstance(node.op, Add | Concat):
                raise ValueError(f"`{node.name}` ({type(node.op).__name__}) reads one node, got {inputs}")
            nodes.append(replace(node, inputs=inputs))
            before.append(node.name)
        for name in self.outputs:
            if name not in before:
                raise ValueError(f"`outputs` must be names of nodes, got {name!r}")
        object.__setattr__(self, "nodes", tuple(nodes))
        object.__setattr__(self, "outputs", tuple(self.outputs) or (before[-1],))

    def __repr__(self) -> str:
        names = [node.name for node in self.nodes]
        shown = names if len(names) < 6 else [*names[:2], "…", names[-1]]
        return f"<Net {self.name}: {', '.join(shown)}>"


@dataclass(frozen=True)
class Row:
    """One layer in a ledger.

    Attributes
    ----------
    name
        of the node
    shape
        (C, H, W) of what it makes
    parameters
        numbers that it learns
    macs
        multiply-accumulate operations for one image; additions alone (pooling, biases, sums) don't count,
        nor does batch norm, which can be folded into the weights
    memory
        bytes of what it makes, in float32, for one image
    field
        what its units see
    """

    name: str
    shape: Shape
    parameters: int
    macs: int
    memory: int
    field: Field


@dataclass(frozen=True, repr=False)
class Ledger:
    """What every layer of a network makes, learns, computes, keeps and sees; it prints as a table.

    `parameters`, `macs` and `memory` are the sums over the rows; ``ledger["conv1"]`` is the row of a layer.
    """

    title: str
    rows: tuple[Row, ...]

    @property
    def parameters(self) -> int:
        """Numbers that the network learns."""
        return sum(row.parameters for row in self.rows)

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations for one image."""
        return sum(row.macs for row in self.rows)

    @property
    def memory(self) -> int:
        """Bytes of all maps of one image, in float32: what training has to keep."""
        return sum(row.memory for row in self.rows)

    def __getitem__(self, name: str) -> Row:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    def __repr__(self) -> str:
        cells = [
            (
                row.name,
                "×".join(map(str, row.shape)),
                f"{row.parameters:,}",
                f"{row.macs:,}",
                f"{row.memory:,}",
                _text(row.field.size),
                _text(row.field.jump),
            )
            for row in self.rows
        ]
        head = ("layer", "shape", "parameters", "MACs", "bytes", "field", "jump")
        total = ("total", "", f"{self.parameters:,}", f"{self.macs:,}", f"{self.memory:,}", "", "")
        lines = _aligned([head, *cells, total])
        rule = "─" * max(map(len, lines))
        return "\n".join([self.title, lines[0], rule, *lines[1:-1], rule, lines[-1]])


def ledger(net: Net, input_size: Pair | None = None) -> Ledger:
    """Shape, parameters, MACs, memory and receptive field of every layer, for an image of a given size.

    Parameters
    ----------
    net : Net
    input_size : int or (H, W)
        By default the size that the network was made for.

    Raises
    ------
    ValueError
        If there is no size, or it does not fit the network, or depths do not fit together; the message names
        the layer.

    >>> ledger(Net("small", [Node("conv", Conv(3, 8)), Node("pool", Pool(2, stride=2))]), 10)
    small, for an image of 3×10×10
    layer  shape  parameters    MACs  bytes  field  jump
    ────────────────────────────────────────────────────
    conv   8×8×8         224  13,824  2,048      3     1
    pool   8×4×4           0       0    512      4     2
    ────────────────────────────────────────────────────
    total                224  13,824  2,560
    """
    if not isinstance(net, Net):
        raise TypeError(f"`net` must be a Net, got {net!r}")
    if input_size is None and net.input_size is None:
        raise ValueError(f"`input_size` must be given: {net.name} is not made for one size")
    height, width = as_pair("input_size", net.input_size if input_size is None else input_size, 1)
    fields = receptive_field(net, input_size=(height, width))
    shapes = {"input": (net.channels, height, width)}
    rows = []
    for node in net.nodes:
        before = [shapes[name] for name in node.inputs]
        size = fields[node.name].map_size
        assert size is not None  # the size of the input is known
        try:
            channels, parameters, macs = _count(node.op, before, size)
        except ValueError as error:
            raise ValueError(f"`{node.name}`: {error}") from None
        shape = shapes[node.name] = (channels, *size)
        rows.append(Row(node.name, shape, parameters, macs, 4 * prod(shape), fields[node.name]))
    return Ledger(f"{net.name}, for an image of {net.channels}×{height}×{width}", tuple(rows))


def _count(op: Op, before: list[Shape], size: tuple[int, int]) -> tuple[int, int, int]:
    """Channels, parameters and MACs of an operation; `size` is (H, W) of what it makes."""
    depth, height, width = before[0]
    match op:
        case Conv():
            weights = conv_parameters(depth, op.filters, op.kernel_size, groups=op.groups, bias=False)
            if op.kernels is not None:
                weights = op.kernels * prod(as_pair("kernel_size", op.kernel_size, 1))
            return op.filters, weights + op.filters * (2 if op.norm else 1), weights * prod(size)
        case ConvTranspose():  # every kernel spreads every unit that it reads
            weights = conv_parameters(depth, op.filters, op.kernel_size, bias=False)
            return op.filters, weights + op.filters, weights * height * width
        case Dense():
            inputs = prod(before[0])
            learned = dense_parameters(inputs, op.units) if op.learned else 0
            return op.units, learned, dense_parameters(inputs, op.units, bias=False)
        case Pool(scaled=True):
            return depth, 2 * depth, depth * prod(size)
        case Scale():
            return depth, depth, depth * prod(size)
        case Add():
            depths = [shape[0] for shape in before]
            if len(set(depths)) > 1:
                raise ValueError(f"adds stacks of different depth: {depths}")
        case Concat():
            return sum(shape[0] for shape in before), 0, 0
    return depth, 0, 0


def rules(op: Op) -> Rules:
    """What an operation reads along each axis, for `receptive_field`; raises if an argument is wrong."""
    match op:
        case Conv():
            return windows(op.kernel_size, op.stride, op.padding, op.dilation)
        case Pool():
            return windows(op.kernel_size, op.stride, op.padding, ceil=op.ceil_mode)
        case ConvTranspose():
            return transposed(op.kernel_size, op.stride, op.padding, op.dilation, op.output_padding)
        case Upsample():
            height, width = as_pair("factor", op.factor, 1)
            return Resize(up=height, mode=op.mode), Resize(up=width, mode=op.mode)
        case GlobalPool() | Dense():
            return WHOLE
    return EACH


# Real networks.


def lenet5(variant: str = "today") -> Net:
    """LeNet-5, for digits of 32×32.

    LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document recognition", section
    II.B. `variant` "1998" is the paper's: each filter of C3 sees some maps only (table I: 60 kernels instead
    of 96, 1,516 parameters instead of 2,416), each pooled map has a learned factor and bias, and the output
    compares with ten pictures drawn by hand: 60,000 parameters in all, as the paper says. "today" is how it
    is built now: every filter sees every map, the pooling learns nothing, and the output does.

    >>> ledger(lenet5()).parameters, ledger(lenet5("1998")).parameters
    (61706, 60000)
    """
    if variant not in ("today", "1998"):
        raise ValueError(f'`variant` must be "today" or "1998", got {variant!r}')
    old = variant == "1998"
    nodes = [
        Node("C1", Conv(5, 6)),
        Node("S2", Pool(2, stride=2, scaled=old)),
        Node("C3", Conv(5, 16, kernels=6 * 3 + 9 * 4 + 6 if old else None)),
        Node("S4", Pool(2, stride=2, scaled=old)),
        Node("C5", Conv(5, 120)),
        Node("F6", Dense(84)),
        Node("output", Dense(10, learned=not old)),
    ]
    return Net("LeNet-5", nodes, channels=1, input_size=(32, 32))


def alexnet(groups: int = 2) -> Net:
    """AlexNet, the winner of ImageNet 2012.

    Krizhevsky, Sutskever and Hinton 2012, "ImageNet classification with deep convolutional neural networks",
    section 3.5 and figure 2. Its filters of layers 2, 4 and 5 see the maps of their own GPU only (`groups` 2:
    60,965,224 parameters, the paper's 60 million); as one piece (`groups` 1) it has 62,378,344. The paper
    says 224×224, but its 55×55 maps need 227×227.

    >>> ledger(alexnet()).parameters
    60965224
    """
    as_int("groups", groups, 1)
    pool = Pool(3, stride=2)
    nodes = [
        Node("conv1", Conv(11, 96, stride=4)),
        Node("pool1", pool),
        Node("conv2", Conv(5, 256, padding=2, groups=groups)),
        Node("pool2", pool),
        Node("conv3", Conv(3, 384, padding=1)),
        Node("conv4", Conv(3, 384, padding=1, groups=groups)),
        Node("conv5", Conv(3, 256, padding=1, groups=groups)),
        Node("pool5", pool),
        Node("fc6", Dense(4096)),
        Node("fc7", Dense(4096)),
        Node("fc8", Dense(1000)),
    ]
    return Net("AlexNet", nodes, input_size=(227, 227))


def _vgg16_blocks() -> list[Node]:
    """The thirteen convolutions of VGG-16, with a pooling after each block."""
    nodes = []
    for block, (depth, filters) in enumerate([(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)], 1):
        nodes += [Node(f"conv{block}_{n}", Conv(3, filters, padding=1)) for n in range(1, depth + 1)]
        nodes.append(Node(f"pool{block}", Pool(2, stride=2)))
    return nodes


def vgg16() -> Net:
    """VGG-16: 138,357,544 parameters, nine tenths of them in the dense layers.

    Simonyan and Zisserman 2015, "Very deep convolutional networks for large-scale image recognition", table
    1, column D; 138 million in table 2.

    >>> ledger(vgg16()).parameters
    138357544
    """
    nodes = [*_vgg16_blocks(), Node("fc6", Dense(4096)), Node("fc7", Dense(4096)), Node("fc8", Dense(1000))]
    return Net("VGG-16", nodes, input_size=(224, 224))


_RESNETS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def resnet(depth: int, variant: str = "v1") -> Net:
    """ResNet-18, -34, -50, -101 or -152.

    He, Zhang, Ren and Sun 2016, "Deep residual learning for image recognition", table 1. Blocks are called
    conv2_1, conv2_2, … as in its text; "conv2_1.1" is the first convolution of one, "conv2_1.shortcut" the
    projection beside it. `variant` matters from 50 layers on, where a block is 1×1, 3×3, 1×1. "v1" has its
    stride in the first 1×1 and in the projection, as the paper; "v1.5" in the 3×3 and in the projection, as
    torchvision's models (Goyal et al. 2017, "Accurate, large minibatch SGD", section 5.1, says so of theirs).
    The parameters are the same: 25,557,032 with 50 layers, as in torchvision.

    >>> ledger(resnet(50)).parameters, ledger(resnet(50, "v1.5")).macs
    (25557032, 4089184256)
    """
    if depth not in _RESNETS:
        raise ValueError(f"`depth` must be one of {', '.join(map(str, _RESNETS))}, got {depth!r}")
    if variant not in ("v1", "v1.5"):
        raise ValueError(f'`variant` must be "v1" or "v1.5", got {variant!r}')
    nodes = [
        Node("conv1", Conv(7, 64, stride=2, padding=3, norm=True)),
        Node("pool1", Pool(3, stride=2, padding=1)),
    ]
    depth_before = 64
    for stage, count in enumerate(_RESNETS[depth]):
        for number in range(1, count + 1):
            name, before = f"conv{stage + 2}_{number}", nodes[-1].name
            filters, stride = 64 * 2**stage, 2 if stage and number == 1 else 1
            if depth < 50:
                layers = [Conv(3, filters, stride=stride, padding=1, norm=True)]
                layers += [Conv(3, filters, padding=1, norm=True)]
            else:
                first, second = (stride, 1) if variant == "v1" else (1, stride)
                layers = [Conv(1, filters, stride=first, norm=True)]
                layers += [Conv(3, filters, stride=second, padding=1, norm=True)]
                layers += [Conv(1, 4 * filters, norm=True)]
            branch, shortcut = [f"{name}.{n}" for n in range(1, len(layers) + 1)], before
            for layer_name, source, layer in zip(branch, [before, *branch], layers, strict=False):
                nodes.append(Node(layer_name, layer, (source,)))
            if layers[-1].filters != depth_before or stride > 1:
                shortcut = f"{name}.shortcut"
                nodes.append(Node(shortcut, Conv(1, layers[-1].filters, stride=stride, norm=True), (before,)))
            nodes.append(Node(name, Add(), (branch[-1], shortcut)))
            depth_before = layers[-1].filters
    nodes += [Node("pool5", GlobalPool()), Node("fc", Dense(1000))]
    return Net(f"ResNet-{depth} {variant}", nodes, input_size=(224, 224))


def _same(stride: int) -> Padding:
    """TensorFlow's SAME padding of a 3×3 for even sides: with stride 2, only below and to the right."""
    return 1 if stride == 1 else ((0, 1), (0, 1))


def mobilenet_v1() -> Net:
    """MobileNet v1: a depthwise 3×3 and a 1×1, thirteen times; 4,231,976 parameters.

    Howard et al. 2017, "MobileNets: efficient convolutional neural networks for mobile vision applications",
    table 1 (4.2 million parameters and 569 million MACs in table 4). Its padding is TensorFlow's, written out
    for sides that are multiples of 32.

    >>> ledger(mobilenet_v1()).parameters
    4231976
    """
    nodes, maps = [Node("conv1", Conv(3, 32, stride=2, padding=_same(2), norm=True))], 32
    blocks = [
        (1, 64),
        (2, 128),
        (1, 128),
        (2, 256),
        (1, 256),
        (2, 512),
        *[(1, 512)] * 5,
        (2, 1024),
        (1, 1024),
    ]
    for number, (stride, filters) in enumerate(blocks, 2):
        depthwise = Conv(3, maps, stride=stride, padding=_same(stride), groups=maps, norm=True)
        nodes += [Node(f"conv{number}.dw", depthwise), Node(f"conv{number}", Conv(1, filters, norm=True))]
        maps = filters
    nodes += [Node("pool", GlobalPool()), Node("fc", Dense(1000))]
    return Net("MobileNet v1", nodes, input_size=(224, 224))


def mobilenet_v2() -> Net:
    """MobileNet v2: inverted residual blocks, which widen, filter each map by itself, and narrow again.

    Sandler et al. 2018, "MobileNetV2: inverted residuals and linear bottlenecks", table 2 (3.4 million
    parameters and 300 million MACs in table 4; 3,504,872 in torchvision and Keras). Padding as in
    `mobilenet_v1`.

    >>> ledger(mobilenet_v2()).parameters
    3504872
    """
    nodes, maps = [Node("conv1", Conv(3, 32, stride=2, padding=_same(2), norm=True))], 32
    # widening, filters, blocks, stride of the first
    rows = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2)]
    for stage, (widening, filters, count, first) in enumerate([*rows, (6, 320, 1, 1)], 2):
        for number in range(1, count + 1):
            name, before, stride = f"conv{stage}_{number}", nodes[-1].name, first if number == 1 else 1
            wide, adds = widening * maps, stride == 1 and maps == filters
            if widening > 1:
                nodes.append(Node(f"{name}.expand", Conv(1, wide, norm=True)))
            depthwise = Conv(3, wide, stride=stride, padding=_same(stride), groups=wide, norm=True)
            nodes.append(Node(f"{name}.dw", depthwise))
            nodes.append(Node(f"{name}.project" if adds else name, Conv(1, filters, norm=True)))
            if adds:
                nodes.append(Node(name, Add(), (f"{name}.project", before)))
            maps = filters
    nodes += [Node("conv9", Conv(1, 1280, norm=True)), Node("pool", GlobalPool()), Node("fc", Dense(1000))]
    return Net("MobileNet v2", nodes, input_size=(224, 224))


def ssd300(classes: int = 21) -> Net:
    """SSD300: VGG-16 and more, read at six maps, its `outputs`; `classes` counts the background.

    Liu et al. 2016, "SSD: single shot multibox detector", figure 2 and section 3: fc6 and fc7 are
    convolutions, the first dilated by 6, pool5 is 3×3 with stride 1, conv4_3 is normalised with a learned
    factor per map. The rounding up in pool3 (75 to 38) and the dilation are those of the authors' Caffe
    model. Each of the six maps has a 3×3 convolution that predicts, for 4 or 6 boxes per unit, four offsets
    and a score per class: "conv4_3.boxes" and so on. 26,285,486 parameters with the 21 classes of VOC.

    >>> ledger(ssd300()).parameters
    26285486
    """
    as_int("classes", classes, 2)
    nodes = [node for node in _vgg16_blocks() if node.name != "pool5"]
    at = [node.name for node in nodes].index("pool3")
    nodes[at] = Node("pool3", Pool(2, stride=2, ceil_mode=True))
    nodes += [
        Node("pool5", Pool(3, stride=1, padding=1)),
        Node("fc6", Conv(3, 1024, padding=6, dilation=6)),
        Node("fc7", Conv(1, 1024)),
        Node("conv8_1", Conv(1, 256)),
        Node("conv8_2", Conv(3, 512, stride=2, padding=1)),
        Node("conv9_1", Conv(1, 128)),
        Node("conv9_2", Conv(3, 256, stride=2, padding=1)),
        Node("conv10_1", Conv(1, 128)),
        Node("conv10_2", Conv(3, 256)),
        Node("conv11_1", Conv(1, 128)),
        Node("conv11_2", Conv(3, 256)),
        Node("conv4_3.norm", Scale(), ("conv4_3",)),
    ]
    maps = {"conv4_3": 4, "fc7": 6, "conv8_2": 6, "conv9_2": 6, "conv10_2": 4, "conv11_2": 4}
    for name, boxes in maps.items():
        source = "conv4_3.norm" if name == "conv4_3" else name
        nodes.append(Node(f"{name}.boxes", Conv(3, boxes * (4 + classes), padding=1), (source,)))
    return Net("SSD300", nodes, input_size=(300, 300), outputs=tuple(maps))


def fpn(backbone: Net, levels: Sequence[str], filters: int = 256) -> Net:
    """Feature pyramid on some maps of a network, the shallowest first; each has half the side of the last.

    Lin et al. 2017, "Feature pyramid networks for object detection", section 3. Of every level a 1×1 makes
    `filters` maps ("conv2_3.lateral"), to which the level above is added, enlarged two times by repetition
    ("conv2_3.sum"); a 3×3 gives the level's `outputs` ("P2", "P3", … for the second, third … halving).

    >>> pyramid = fpn(resnet(50), ["conv2_3", "conv3_4", "conv4_6", "conv5_3"])
    >>> [(name, receptive_field(pyramid)[name].size[0]) for name in pyramid.outputs]
    [('P2', 515), ('P3', 515), ('P4', 515), ('P5', 547)]
    """
    if not levels:
        raise ValueError("`levels` must name at least one node, got none")
    names = [node.name for node in backbone.nodes]
    for name in levels:
        if name not in names:
            raise ValueError(f"`levels` must be nodes of {backbone.name}, got {name!r}")
    last = max(names.index(name) for name in levels)
    nodes, above, outputs = list(backbone.nodes[: last + 1]), "", []
    jumps = receptive_field(Net(backbone.name, nodes))
    for name in reversed(levels):
        merged = f"{name}.lateral"
        nodes.append(Node(merged, Conv(1, filters), (name,)))
        if above:
            nodes.append(Node(f"{name}.up", Upsample(2), (above,)))
            nodes.append(Node(f"{name}.sum", Add(), (merged, f"{name}.up")))
            merged = f"{name}.sum"
        above = merged
        outputs.append(f"P{int(jumps[name].jump[0]).bit_length() - 1}")
        nodes.append(Node(outputs[-1], Conv(3, filters, padding=1), (merged,)))
    title = f"FPN on {backbone.name}"
    channels, size = backbone.channels, backbone.input_size
    return Net(title, nodes, channels=channels, input_size=size, outputs=tuple(reversed(outputs)))
