"""Networks of convlab.nets as torch modules, and random ones: what the tests of fields and nets share."""

import torch
from hypothesis import strategies as st
from torch import nn

from convlab.nets import (
    Add,
    Concat,
    Conv,
    ConvTranspose,
    Dense,
    GlobalPool,
    Net,
    Node,
    Pool,
    Scale,
    Upsample,
    ledger,
)
from convlab.shapes import as_pair, as_sides


class Padded(nn.Sequential):
    """A layer behind the padding that it has on each side."""

    def __init__(self, op, layer, value=0.0):
        dilation = as_pair("dilation", getattr(op, "dilation", 1), 1)
        kernel_size, stride = as_pair("kernel_size", op.kernel_size, 1), as_pair("stride", op.stride, 1)
        sides = as_sides(op.padding, kernel_size=kernel_size, stride=stride, dilation=dilation)
        (top, bottom), (left, right) = sides
        super().__init__(nn.ConstantPad2d((left, right, top, bottom), value), layer)


class ScaleEach(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x):
        return x * self.weight


class Flat(nn.Module):
    """A dense layer that gives maps of 1×1."""

    def __init__(self, inputs, units):
        super().__init__()
        self.flatten, self.linear = nn.Flatten(), nn.Linear(inputs, units)

    def forward(self, x):
        return self.linear(self.flatten(x)).view(x.shape[0], -1, 1, 1)


def layer_of(op, shape):
    """Torch module of an operation on maps (C, H, W)."""
    channels, height, width = shape
    match op:
        case Conv():
            how = {"stride": op.stride, "dilation": op.dilation, "groups": op.groups, "bias": not op.norm}
            conv = Padded(op, nn.Conv2d(channels, op.filters, op.kernel_size, **how))
            return nn.Sequential(*conv, nn.BatchNorm2d(op.filters), nn.ReLU()) if op.norm else conv
        case ConvTranspose():
            more = {"output_padding": op.output_padding, "dilation": op.dilation}
            return nn.ConvTranspose2d(channels, op.filters, op.kernel_size, op.stride, op.padding, **more)
        case Pool():
            if op.ceil_mode:
                return nn.MaxPool2d(op.kernel_size, op.stride, op.padding, ceil_mode=True)
            return Padded(op, nn.MaxPool2d(op.kernel_size, op.stride), -1e9)
        case GlobalPool():
            return nn.AdaptiveAvgPool2d(1)
        case Dense():
            return Flat(channels * height * width, op.units)
        case Upsample():
            return nn.Upsample(scale_factor=as_pair("factor", op.factor, 1), mode=op.mode)
        case Scale():
            return ScaleEach(channels)


class Torch(nn.Module):
    """A Net in torch; its submodules have the names of the nodes, dots as underscores."""

    def __init__(self, net, input_size=None):
        super().__init__()
        self.nodes, self.layers = net.nodes, nn.ModuleDict()
        shapes = {"input": (net.channels, *as_pair("input_size", input_size or net.input_size, 1))}
        for node, row in zip(net.nodes, ledger(net, input_size).rows, strict=True):
            shapes[node.name] = row.shape
            if not isinstance(node.op, Add | Concat):
                self.layers[node.name.replace(".", "_")] = layer_of(node.op, shapes[node.inputs[0]])

    def forward(self, x, results=None):
        results = {} if results is None else results
        results["input"] = x
        for node in self.nodes:
            inputs = [results[name] for name in node.inputs]
            match node.op:
                case Add():
                    x = sum(inputs[1:], inputs[0])
                case Concat():
                    x = torch.cat(inputs, 1)
                case _:
                    x = self.layers[node.name.replace(".", "_")](inputs[0])
            results[node.name] = x
        return x


def pair(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def same_size(draw, filters=1, stride=1):
    """A convolution, its kernel even or odd, its padding of any asymmetry, with n/stride units for n."""
    kernel_size, dilation, padding = draw(pair(1, 4)), draw(pair(1, 3)), []
    for k, d in zip(kernel_size, dilation, strict=True):
        before = draw(st.integers(0, d * (k - 1)))
        padding.append((before, d * (k - 1) - before))
    return Conv(kernel_size, filters, stride=stride, dilation=dilation, padding=tuple(padding))


def plain():
    sides = st.tuples(pair(0, 2), pair(0, 2))
    how = {"stride": pair(1, 2), "dilation": pair(1, 2), "padding": sides}
    pools = st.builds(Pool, pair(2, 3), stride=pair(1, 2), padding=st.tuples(pair(0, 1), pair(0, 1)))
    return st.builds(Conv, pair(1, 4), st.just(1), **how) | pools


def transposed():
    strides = pair(1, 3)
    return strides.flatmap(
        lambda s: st.builds(
            ConvTranspose,
            pair(1, 4),
            st.just(1),
            stride=st.just(s),
            padding=pair(0, 1),
            dilation=pair(1, 2),
            output_padding=st.tuples(st.integers(0, s[0] - 1), st.integers(0, s[1] - 1)),
        )
    )


@st.composite
def nets(draw, modes=("nearest",), most=4):
    """Random networks: plain layers, residual, Inception-like, dense and ASPP blocks, up and down."""
    nodes = []
    kinds = ["plain", "residual", "inception", "dense", "aspp", "up", "transposed", "unet"]
    for block in range(draw(st.integers(1, most))):
        kind, before = draw(st.sampled_from(kinds)), nodes[-1].name if nodes else "input"

        def add(name, op, *inputs, block=block):
            nodes.append(Node(f"{name}{block}", op, inputs))
            return nodes[-1].name

        up = Upsample(draw(pair(1, 2)), mode=draw(st.sampled_from(modes)))
        match kind:
            case "plain":
                add("plain", draw(plain()), before)
            case "up":
                add("up", up, before)
            case "transposed":
                add("transposed", draw(transposed()), before)
            case "residual":
                add("a", draw(same_size()), before)
                add("b", draw(same_size()))
                add("sum", Add(), f"b{block}", before)
            case "inception":
                stride = draw(st.integers(1, 2))
                branches = [
                    add(n, draw(same_size(stride=stride)), before) for n in "abc"[: draw(st.integers(2, 3))]
                ]
                add("joined", Concat(), *branches)
            case "dense":
                a = add("a", draw(same_size()), before)
                b = add("b", draw(same_size()), add("ab", Concat(), before, a))
                add("joined", Concat(), before, a, b)
            case "aspp":
                rates = [add(f"rate{d}_", Conv(3, 1, dilation=d, padding=d), before) for d in (1, 2, 3)]
                add("joined", Concat(), *rates)
            case "unet":
                add("down", Conv(draw(pair(1, 3)), 1, stride=as_pair("factor", up.factor, 1)), before)
                add("inside", draw(same_size()))
                add("sum", Add(), add("up", up), before)
        add("mix", Conv(1, 1))
    return Net("random", nodes, channels=1)
