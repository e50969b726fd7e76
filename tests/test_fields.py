import subprocess
import sys
from fractions import Fraction
from itertools import accumulate
from math import ceil, inf

import graphs
import numpy as np
import pytest
import torch
from graphs import pair
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from convlab.fields import Layer, measure, receptive_field
from convlab.nets import Add, Concat, Conv, ConvTranspose, Net, Node, Pool, Upsample, fpn, resnet
from convlab.pretrained import efficientnet_lite0

# Two witnesses that know nothing of windows and jumps. Each says which rows and columns of the image one unit
# depends on: two sorted arrays.


def read_by_gradient(model, unit, size, channels=1):
    """Rows and columns where a unit has a gradient. `make_positive` first, so that nothing cancels."""
    x = torch.ones(1, channels, *size, dtype=torch.float64, requires_grad=True)
    y = model(x)
    (y[0, :, unit[0], unit[1]] if y.ndim == 4 else y).sum().backward()
    seen = x.grad[0].amax(0) > 0
    return seen.any(1).nonzero().flatten().numpy(), seen.any(0).nonzero().flatten().numpy()


def read_by_nan(model, unit, size):
    """Rows and columns that turn a unit into NaN when they are NaN: works through any operation."""
    found = []
    for axis in (0, 1):
        x = torch.ones(size[axis], 1, *size, dtype=torch.float64)
        for number in range(size[axis]):
            x[number].select(axis + 1, number).fill_(torch.nan)
        with torch.no_grad():
            y = model(x)
        answers = y[:, :, unit[0], unit[1]] if y.ndim == 4 else y
        found.append(answers.isnan().any(1).nonzero().flatten().numpy())
    return tuple(found)


def make_positive(model):
    """Weights above zero, no batch norm, no clipping at 6: so that every path adds to the gradient."""
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d | nn.ReLU6):
                setattr(module, name, nn.Identity())
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model.double().eval()


def without_maxima(model):
    """With average instead of maximum pooling: a change of a pixel that loses would not show."""
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):
                setattr(module, name, nn.AvgPool2d(child.kernel_size, child.stride))
    return make_positive(model)


def assert_reads(field, unit, size, rows, columns):
    """The region of a unit is the box around what it reads; far from the border, that is all of the field."""
    if not (len(rows) and len(columns)):
        with pytest.raises(ValueError, match="reads padding alone"):
            field.region(unit, clip=size)
        return
    assert field.region(unit, clip=size) == (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1)
    for axis, read in enumerate((rows, columns)):
        first = field.start[axis] + unit[axis] * field.jump[axis]
        assert first <= read[0]
        assert read[-1] < first + field.size[axis]
        if first >= 0 and first + field.size[axis] <= size[axis]:  # the border is far away
            assert (read[0], read[-1] - read[0] + 1) == (first, field.size[axis])
            assert len(read) == field.support[axis]


def draw_unit(data, model, size):
    with torch.no_grad():
        y = model(torch.ones(1, 1, *size, dtype=torch.float64))
    return tuple(data.draw(st.integers(0, n - 1)) for n in y.shape[2:])


layers = st.builds(
    Layer, pair(1, 4), stride=pair(1, 3), dilation=pair(1, 3), padding=st.tuples(pair(0, 3), pair(0, 3))
)


def as_module(stack):
    modules = []
    for layer in stack:
        (top, bottom), (left, right) = layer.padding
        modules += [
            nn.ZeroPad2d((left, right, top, bottom)),
            nn.Conv2d(1, 1, layer.kernel_size, layer.stride, dilation=layer.dilation),
        ]
    return make_positive(nn.Sequential(*modules))


def large_enough(stack):
    """An image with units whose whole field is inside, and some more."""
    field = list(receptive_field(stack).values())[-1]
    return tuple(s + 2 * j for s, j in zip(field.size, field.jump, strict=True))


@given(stack=st.lists(layers, min_size=1, max_size=3), data=st.data())
def test_random_stacks(stack, data):
    size, model = large_enough(stack), as_module(stack)
    fields = receptive_field(stack)
    assert list(fields) == [str(n) for n in range(len(stack))]
    assert list(fields.values()) == list(receptive_field(model).values())[1::2]  # without the padding layers
    unit = draw_unit(data, model, size)
    field = fields[str(len(stack) - 1)]
    assert_reads(field, unit, size, *read_by_gradient(model, unit, size))
    assert_reads(field, unit, size, *read_by_nan(model, unit, size))


@given(
    stack=st.lists(layers, min_size=1, max_size=3),
    size=pair(20, 40),
    data=st.data(),
)
def test_random_stacks_on_small_images(stack, size, data):
    model = as_module(stack)
    try:
        unit = draw_unit(data, model, size)
    except RuntimeError:  # torch: the kernel is larger than the map
        with pytest.raises(ValueError, match=r"layer .: a window of \d+ \(.*\) does not fit"):
            receptive_field(stack, input_size=size)
        return
    field = list(receptive_field(stack, input_size=size).values())[-1]
    assert_reads(field, unit, size, *read_by_gradient(model, unit, size))


@given(
    kernel=pair(2, 4),
    stride=pair(1, 3),
    padding=pair(0, 1),
    ceil_mode=st.booleans(),
    size=pair(9, 16),
    data=st.data(),
)
def test_pooling(kernel, stride, padding, ceil_mode, size, data):
    model = nn.Sequential(
        nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil_mode),
        nn.Conv2d(1, 1, 2, padding=1),
        nn.AvgPool2d(2, stride, ceil_mode=ceil_mode),
        nn.MaxPool2d(2, 1, dilation=2, padding=1),
    ).double()
    try:
        unit = draw_unit(data, model, size)
    except RuntimeError:
        with pytest.raises(ValueError, match=r"`3`: a window of 3 \(.*\) does not fit"):
            receptive_field(model, input_size=size)
        return
    field = receptive_field(model)["3"]
    assert_reads(field, unit, size, *read_by_nan(model, unit, size))
    rows, columns = model(torch.ones(1, 1, *size, dtype=torch.float64)).shape[2:]
    for outside in [(rows, 0), (0, columns)]:
        with pytest.raises(
            ValueError, match=f"is outside the map: an image of .* gives ({rows}|{columns}) units"
        ):
            field.region(outside, clip=size)


class Branches(nn.Module):
    """Two convolutions side by side, added or concatenated; with stride 1, the input is added as well."""

    def __init__(self, first, second, stride, concatenate):
        super().__init__()
        self.first, self.second = first, second
        self.concatenate, self.residual = concatenate, stride == 1
        self.mix = nn.Conv2d(2 if concatenate else 1, 1, 1)

    def forward(self, x):
        y, z = self.first(x), self.second(x)
        y = self.mix(torch.cat([y, z], dim=1) if self.concatenate else y + z)
        return x + y if self.residual else y


@st.composite
def blocks(draw):
    stride = draw(st.integers(1, 2))

    def branch():
        sides, kernel, dilation = [], draw(pair(1, 4)), draw(pair(1, 3))
        for k, d in zip(kernel, dilation, strict=True):
            before = draw(st.integers(0, d * (k - 1)))
            sides = [before, d * (k - 1) - before, *sides]
        return nn.Sequential(nn.ZeroPad2d(sides), nn.Conv2d(1, 1, kernel, stride, dilation=dilation))

    return Branches(branch(), branch(), stride, draw(st.booleans()))


@given(modules=st.lists(blocks(), min_size=1, max_size=3), size=pair(24, 48), data=st.data())
def test_random_branches(modules, size, data):
    model = make_positive(nn.Sequential(*modules))
    unit = draw_unit(data, model, size)
    fields = receptive_field(model)
    last = str(len(modules) - 1)
    assert list(fields)[-1] == last
    assert_reads(fields[last], unit, size, *read_by_gradient(model, unit, size))
    assert_reads(fields[last], unit, size, *read_by_nan(model, unit, size))


def test_branches_of_different_kernel_size():
    def branch(kernel, padding):
        return nn.Conv2d(1, 1, kernel, padding=padding)

    wide = Branches(branch(3, 1), branch(7, 3), stride=2, concatenate=True)
    assert receptive_field(wide)["mix"].size == (7, 7)
    # a chain of the two would give 9; a shifted branch makes the union larger than either
    shifted = Branches(
        branch(3, 2), nn.Sequential(branch(3, 0), nn.ZeroPad2d((0, 4, 0, 4))), 2, concatenate=False
    )
    field = receptive_field(shifted)["mix"]
    assert (field.start, field.size, field.support) == ((-2, -2), (5, 5), (5, 5))
    assert_reads(field, (6, 5), (12, 12), *read_by_gradient(make_positive(shifted), (6, 5), (12, 12)))


class Functional(nn.Module):
    """Everything that a forward method may do besides calling modules."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding="same", dilation=2)
        self.scale = nn.Parameter(torch.ones(2, 1, 1))
        self.act = nn.ReLU()
        self.shrink = nn.Conv2d(4, 1, 2, stride=(2, 1))

    def forward(self, x):
        y = functional.relu(functional.max_pool2d(self.act(x), 2))
        z = self.act(self.conv(y)) * self.scale + 1
        z += y
        z = torch.add(z, self.act(y)).relu_()
        z = torch.cat([functional.avg_pool2d(z, 3, stride=1, padding=1), z], 1)
        z = functional.dropout(self.shrink(z), training=self.training)
        return torch.sigmoid(z) / 2


def test_functions_in_forward():
    model, size = Functional().double().eval(), (24, 20)
    fields = receptive_field(model)
    assert list(fields) == ["conv", "act", "shrink", "output"]
    assert fields["act"].size == (2, 2)  # called three times: the last call counts
    assert fields["conv"].size == (10, 10)
    for unit in [(0, 0), (2, 4), (4, 8)]:
        assert_reads(fields["output"], unit, size, *read_by_nan(model, unit, size))


class Classifier(nn.Module):
    def __init__(self, head):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 1, 3, stride=2), nn.ReLU(), nn.Conv2d(1, 1, 3, padding=1))
        self.head = head
        self.dense = nn.Linear(1, 3)

    def forward(self, x):
        return functional.softmax(self.dense(self.head(self.features(x))), dim=1)


class Do(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize(
    "head",
    [
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        nn.Sequential(nn.AdaptiveMaxPool2d((1, 1)), nn.Flatten(0)),
        Do(lambda x: x.mean((2, 3))),
        Do(lambda x: torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1)),
        Do(lambda x: functional.adaptive_max_pool2d(x, output_size=1).view(x.shape[0], -1)),
        Do(lambda x: torch.mean(x, dim=(-1, -2)).reshape(x.size(0), -1)),
    ],
)
def test_layers_that_see_the_whole_image(head):
    model, size = Classifier(head).double(), (12, 15)
    if isinstance(head, nn.Sequential) and isinstance(head[1], nn.Flatten) and head[1].start_dim == 0:
        model.dense = nn.Identity()
    with pytest.raises(ValueError, match="looks at the whole map: pass `input_size`"):
        receptive_field(model)
    fields = receptive_field(model, input_size=size)
    assert fields["features.2"].size == (7, 7)
    for path in ("head", "dense", "output"):
        # the stride leaves row 11 over, which not even the whole map sees
        assert fields[path].region((0, 0), clip=size) == (0, 0, 11, 15)
        assert fields[path].region((0, 0), clip=(21, 31)) == (0, 0, 21, 31)
    # 5 × 7 windows of size 7, two pixels apart
    assert fields["output"].size == (7 + 4 * 2, 7 + 6 * 2)
    with pytest.raises(ValueError, match="unit 1 is outside the map: an image of 12 gives 1 units"):
        fields["output"].region((1, 0), clip=size)


def test_flatten_then_linear_sees_what_the_gradient_says():
    model = nn.Sequential(nn.Conv2d(1, 2, 4, stride=3), nn.Flatten(), nn.Linear(2 * 3 * 4, 5))
    size = (12, 15)  # windows at 0, 3, 6 and 0, 3, 6, 9: the last two of each are left over
    rows, columns = read_by_gradient(make_positive(model), (0, 0), size)
    assert (rows[-1], columns[-1]) == (9, 12)
    assert_reads(receptive_field(model, input_size=size)["2"], (0, 0), size, rows, columns)


def test_adaptive_pooling_into_even_parts():
    model = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.AdaptiveMaxPool2d((3, None))).double()
    field = receptive_field(model, input_size=(12, 5))["1"]
    assert (field.size, field.jump) == ((6, 3), (4, 1))
    assert_reads(field, (1, 2), (12, 5), *read_by_nan(model, (1, 2), (12, 5)))
    with pytest.raises(
        ValueError, match="`1`: windows of different sizes: a map of 13 is not cut evenly into 3"
    ):
        receptive_field(model, input_size=(13, 5))


# Graphs: theory = measurement = NaN probing.


def mask_by_nan(model, unit, size):
    """Pixels that turn a unit into NaN when they are NaN, each alone in an image of its own."""
    return probe(model, unit, size, torch.nan)


def mask_by_change(model, unit, size):
    """Pixels that change a unit. NaN sees weights of zero too, and bilinear interpolation has some."""
    return probe(model, unit, size, 2.0**40)


def probe(model, unit, size, value):
    x = torch.ones(size[0] * size[1] + 1, 1, *size, dtype=torch.float64)
    numbers = torch.arange(size[0] * size[1])
    x[numbers, 0, numbers // size[1], numbers % size[1]] = value
    with torch.no_grad():
        y = model(x)[:, :, unit[0], unit[1]]
    return (y != y[-1]).any(1)[:-1].reshape(size).numpy()


def fields_that_fit(net, size):
    """Fields of a random network; another example if the image is too small for it."""
    try:
        return receptive_field(net, input_size=size)
    except ValueError as error:
        assume("fit" not in str(error) and "different sizes" not in str(error) and "left" not in str(error))
        assume("reads anything" not in str(error))
        raise


def positions_of(field, unit):
    """Rows and columns in the field of a unit, those in the padding included."""
    for axis in (0, 1):
        phases = field.phases[axis]
        periods, phase = divmod(unit[axis], len(phases))
        yield {p + periods * len(phases) * field.jump[axis] for p in phases[phase]}


def lines(mask):
    """Rows and columns in which a mask has anything."""
    return [set(mask.any(axis).nonzero()[0].tolist()) for axis in (1, 0)]


@settings(max_examples=300)
@given(net=graphs.nets(), size=pair(10, 18), data=st.data())
def test_random_graphs(net, size, data):
    field = fields_that_fit(net, size)[net.outputs[0]]
    unit = tuple(data.draw(st.integers(0, n - 1)) for n in field.map_size)
    model = graphs.Torch(net, size)
    reads = field.reads(unit, clip=size)
    np.testing.assert_array_equal(reads, measure(model, unit, input_size=size))
    np.testing.assert_array_equal(reads, mask_by_nan(make_positive(model), unit, size))
    if inf not in receptive_field(net)[net.outputs[0]].misalignment:
        for read, positions in zip(lines(reads), positions_of(field, unit), strict=True):
            assert positions >= read


@settings(max_examples=200)
@given(net=graphs.nets(modes=("bilinear",), most=3), size=pair(10, 16), data=st.data())
def test_random_graphs_with_bilinear_upsampling(net, size, data):
    field = fields_that_fit(net, size)[net.outputs[0]]
    unit = tuple(data.draw(st.integers(0, n - 1)) for n in field.map_size)
    model = graphs.Torch(net, size)
    reads = field.reads(unit, clip=size)
    np.testing.assert_array_equal(reads, measure(model, unit, input_size=size))
    np.testing.assert_array_equal(reads, mask_by_change(without_maxima(model), unit, size))


@settings(max_examples=60)
@given(net=graphs.nets(modes=("nearest", "bilinear"), most=3), data=st.data())
def test_fields_of_random_graphs_far_from_the_border(net, data):
    size = (140, 148)
    fields = fields_that_fit(net, size)
    field = fields[net.outputs[0]]
    assume(max(field.size) < 60)
    assert inf not in receptive_field(net)[net.outputs[0]].misalignment
    middle = [n // 2 + data.draw(st.integers(0, 5)) for n in field.map_size]
    reads = lines(measure(graphs.Torch(net, size), middle, input_size=size))
    expected = list(positions_of(field, middle))
    assert reads == expected or not all(expected)
    assert all(len(read) <= n for read, n in zip(reads, field.support, strict=True))
    assert all(max(read) - min(read) < n for read, n in zip(reads, field.size, strict=True) if read)


@settings(max_examples=60)
@given(net=graphs.nets(modes=("nearest", "bilinear"), most=3), size=pair(10, 18))
def test_nets_equal_their_modules(net, size):
    fields = fields_that_fit(net, size)
    traced = receptive_field(graphs.Torch(net, size), input_size=size)
    for node in net.nodes:
        if not isinstance(node.op, Add | Concat):
            assert traced[f"layers.{node.name}"] == fields[node.name]
            assert traced[f"layers.{node.name}"].map_size == fields[node.name].map_size
    assert list(fields) == [node.name for node in net.nodes]


@settings(max_examples=100)
@given(net=graphs.nets(modes=("nearest", "bilinear"), most=2), size=pair(8, 12), data=st.data())
def test_units_seeing_is_the_inverse_of_reads(net, size, data):
    field = fields_that_fit(net, size)[net.outputs[0]]
    top, left = (data.draw(st.integers(0, n - 1)) for n in size)
    bottom, right = (data.draw(st.integers(low + 1, n)) for low, n in zip((top, left), size, strict=True))
    height, width = field.map_size
    reads = np.array([[field.reads((r, c), clip=size) for c in range(width)] for r in range(height)])
    np.testing.assert_array_equal(field.units_seeing((top, left), clip=size), reads[:, :, top, left])
    seen = field.units_seeing((top, left, bottom, right), clip=size)
    np.testing.assert_array_equal(seen, reads[:, :, top:bottom, left:right].any((2, 3)))


def test_pixels_that_nobody_sees():
    field = last([Layer(3, stride=3)])
    assert not field.units_seeing((9, 0), clip=(10, 10)).any()
    assert lines(field.units_seeing((8, 1, 10, 4), clip=(10, 10))) == [{2}, {0, 1}]


def test_a_row_and_a_column_make_a_cross_and_not_a_square():
    nodes = [
        Node("row", Conv((1, 5), 1, padding=(0, 2)), ("input",)),
        Node("column", Conv((5, 1), 1, padding=(2, 0)), ("input",)),
        Node("sum", Add(), ("row", "column")),
    ]
    net = Net("cross", nodes, channels=1)
    field = receptive_field(net)["sum"]
    reads = field.reads((3, 2), clip=(7, 7))
    assert (field.size, field.region((3, 2), clip=(7, 7))) == ((5, 5), (1, 0, 6, 5))
    assert reads.sum() == 9
    np.testing.assert_array_equal(reads, measure(graphs.Torch(net, 7), (3, 2), input_size=7))
    np.testing.assert_array_equal(reads, field.units_seeing((3, 2), clip=(7, 7)))


def down_up(up, kernel=3):
    """A strided convolution, and back up."""
    return Net(
        "net", [Node("down", Conv(kernel, 1, stride=2, padding=kernel // 2)), Node("up", up)], channels=1
    )


def test_phases_after_nearest_upsampling():
    field = receptive_field(down_up(Upsample(2)))["up"]
    assert field.phases[0] == ((-1, 0, 1), (-1, 0, 1))
    assert (field.size, field.jump, field.start) == ((3, 3), (1, 1), (-1, -1))
    assert field.overlap == ((1 + 1 / 3) / 2,) * 2  # with the twin all, with the next but one pixel
    field = receptive_field(Net("net", [Node("up", Upsample(2))]))["up"]
    assert field.jump == (Fraction(1, 2), Fraction(1, 2))
    assert repr(field).startswith("Field(size=(1, 1), jump=(Fraction(1, 2), Fraction(1, 2)), start=(0, 0)")


def test_phases_after_bilinear_upsampling():
    field = receptive_field(down_up(Upsample((4, 1), mode="bilinear")))["up"]
    assert field.phases == (
        ((-3, -2, -1, 0, 1), (-3, -2, -1, 0, 1), (-1, 0, 1, 2, 3), (-1, 0, 1, 2, 3)),
        ((-1, 0, 1),),
    )
    assert (field.size, field.jump, field.centre) == ((5, 3), (Fraction(1, 2), 2), (-1, 0))
    odd = receptive_field(Net("net", [Node("up", Upsample(3, mode="bilinear"))]))["up"]
    assert odd.phases[0] == ((-1, 0), (0,), (0, 1))  # the middle one stands on a unit
    assert (odd.size, odd.support, odd.start) == ((2, 2), (2, 2), (-1, -1))


def test_phases_after_transposed_convolution():
    field = receptive_field(down_up(ConvTranspose(3, 1, stride=2, padding=1)))["up"]
    assert field.phases[0] == ((-1, 0, 1), (-1, 0, 1, 2, 3))
    assert (field.size, field.support, field.jump) == ((5, 5), (5, 5), (1, 1))
    gaps = receptive_field(down_up(ConvTranspose(1, 1, stride=(2, 3), padding=1)))["up"]
    assert gaps.phases == (((), (1, 2, 3)), ((), (), (1, 2, 3)))
    assert (gaps.size, gaps.start, gaps.overlap) == ((3, 3), (1, 1), (0, 0))
    assert not gaps.reads((0, 1), clip=(9, 9)).any()
    with pytest.raises(ValueError, match=r"unit \(0, 2\) reads padding alone"):
        gaps.region((0, 2), clip=(9, 9))


def test_phases_disappear_when_the_way_down_undoes_the_way_up():
    net = Net("net", [Node("up", Upsample(2, mode="bilinear")), Node("down", Pool(2, stride=2))])
    field = receptive_field(net)["down"]
    assert field.phases[0] == ((-1, 0, 1),)
    assert field.jump == (1, 1)


# Branches that do not line up: data, not an exception.


def joined(*branches):
    nodes = [Node(str(n), op, ("input",)) for n, op in enumerate(branches)]
    return Net(
        "net", [*nodes, Node("sum", Add(), tuple(node.name for node in nodes)), Node("next", Conv(3, 1))]
    )


def test_shifted_branches():
    net = joined(Conv(3, 1, padding=1), Conv(5, 1, padding=((4, 0), (2, 2))))
    fields = receptive_field(net)
    assert [fields[name].aligned for name in fields] == [True, True, False, False]
    assert fields["next"].misalignment == (2, 0)
    assert (fields["sum"].start, fields["sum"].size) == ((-4, -2), (6, 5))
    later = [*net.nodes, Node("residual", Add(), ("next", "next"))]
    assert receptive_field(Net("net", later))["residual"].misalignment == (2, 0)
    aligned = receptive_field(joined(Conv(3, 1, padding=1), Conv(5, 1, padding=2)))
    assert aligned["next"].aligned


def test_branches_of_different_jump():
    net = joined(Conv(3, 1, stride=2, padding=(10, 1)), Conv((3, 1), 1, stride=(1, 2), padding=(1, 0)))
    field = receptive_field(net)["next"]
    assert field.misalignment == (inf, 0)
    assert not field.aligned
    assert field.jump == (2, 2)
    size = (19, 19)  # (19 + 20 − 3) // 2 + 1 = 19 rows in both branches
    fields = receptive_field(net, input_size=size)
    # row 0: centred at −9 and at 0; row 18: at 27 and at 18
    assert fields["sum"].misalignment == (9, 0)
    assert fields["next"].misalignment == (9, 0)
    for unit in [(0, 0), (3, 2), (16, 7)]:
        measured = measure(graphs.Torch(net, size), unit, input_size=size, channels=3)
        np.testing.assert_array_equal(fields["next"].reads(unit, clip=size), measured)


def test_nearest_upsampling_of_a_net_whose_units_stand_on_pixels_is_half_a_unit_off():
    levels = ["conv2_3", "conv3_4", "conv4_6", "conv5_3"]
    fields = receptive_field(fpn(resnet(50), levels))
    assert [fields[name].misalignment[0] for name in ("P5", "P4", "P3", "P2")] == [0, 8, 8 + 4, 8 + 4 + 2]
    # 2×2 windows put units between pixels, and the repeated ones lie around them: no shift on average
    nodes = [Node("pool", Pool(2, stride=2)), Node("up", Upsample(2)), Node("sum", Add(), ("up", "input"))]
    assert receptive_field(Net("net", nodes))["sum"].aligned


def test_the_top_down_path_enlarges_the_fields_of_shallow_levels():
    levels = ["conv2_3", "conv3_4", "conv4_6", "conv5_3"]
    fields = receptive_field(fpn(resnet(50), levels))
    assert [fields[name].size[0] for name in levels] == [35, 99, 291, 483]
    assert [fields[name].size[0] for name in ("P2", "P3", "P4", "P5")] == [515, 515, 515, 547]


# What a researcher's network has.


class SqueezeAndExcitation(nn.Module):
    """Hu et al. 2018: each map is multiplied by a number that all maps together decide."""

    def __init__(self, channels):
        super().__init__()
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(channels, channels)

    def forward(self, x):
        b, c = x.shape[:2]
        weight = torch.sigmoid(self.fc(self.pool(x).view(b, c))).view(b, c, 1, 1)
        return x * weight.expand_as(x)


class Pyramid(nn.Module):
    """ASPP with image pooling, resized to the map."""

    def __init__(self):
        super().__init__()
        self.rates = nn.ModuleList(nn.Conv2d(2, 2, 3, dilation=d, padding=d) for d in (1, 2, 3))

    def forward(self, x):
        pooled = functional.adaptive_avg_pool2d(x, 1)
        pooled = functional.interpolate(pooled, size=x.shape[-2:], mode="bilinear", align_corners=False)
        return torch.cat([pooled, *(rate(x) for rate in self.rates)], dim=1)


class Resized(nn.Module):
    """Down, and up to the size of the input, whatever it is."""

    def __init__(self, **how):
        super().__init__()
        self.how = how
        self.down, self.up = nn.Conv2d(2, 2, 3, stride=3, padding=1), nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x):
        _, _, h, w = x.size()
        y = functional.interpolate(self.up(self.down(x)), size=(h, w), **self.how)
        return y + x


class Split(nn.Module):
    """ShuffleNet-like: half of the maps pass by."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x):
        a, b = x.chunk(2, dim=1)
        return torch.cat([a, self.conv(b)], 1)[:, :, 1:-1, 2::2]


stem = nn.Conv2d(1, 2, 3, stride=2, padding=1)
head = nn.Conv2d(2, 1, (3, 2), padding=1)


@pytest.mark.parametrize(
    "modules",
    [
        [SqueezeAndExcitation(2)],
        [Pyramid(), nn.Conv2d(8, 2, 1)],
        [Resized(mode="nearest")],
        [Resized(mode="nearest-exact")],
        [Resized(mode="bilinear", align_corners=False)],
        [Resized(mode="bilinear", align_corners=True)],
        [Resized(mode="bicubic", align_corners=True)],
        [Split()],
        [nn.Upsample(size=(9, 5), mode="bilinear")],
        [nn.Upsample(size=1, mode="bilinear"), nn.Upsample(scale_factor=4, mode="bilinear")],
        [nn.Upsample(size=1, mode="bilinear", align_corners=True), nn.Upsample(size=3)],
        [nn.AdaptiveAvgPool2d(1), nn.Upsample(size=(3, 4), mode="bilinear", align_corners=True)],
        [Do(lambda x: x[:, :, 2:, 3:].mean((2, 3), keepdim=True).expand_as(x))],
        [nn.Upsample(scale_factor=(1.5, 0.5))],
        [nn.Upsample(scale_factor=2.0, mode="bicubic")],
        [nn.UpsamplingBilinear2d(scale_factor=2)],
        [nn.Upsample(scale_factor=1.3, mode="bilinear", recompute_scale_factor=True)],
        [nn.ConvTranspose2d(2, 2, (3, 4), stride=(2, 3), padding=1, output_padding=(1, 0), dilation=(2, 1))],
        [nn.GroupNorm(1, 2)],
        [nn.LayerNorm((2, 8, 9))],
        [nn.LayerNorm(9)],
        [nn.InstanceNorm2d(2)],
        [nn.InstanceNorm2d(2, track_running_stats=True), nn.BatchNorm2d(2), nn.ReLU6()],
        [nn.Conv2d(2, 8, 1), nn.PixelShuffle(2), nn.PixelUnshuffle(2), nn.Conv2d(8, 2, 1)],
        [nn.Conv2d(2, 8, 1), nn.ChannelShuffle(2), nn.PixelShuffle(2)],
        [nn.ReflectionPad2d((2, 0, 1, 3))],
        [nn.ReplicationPad2d((2, 0, 1, 3))],
        [nn.CircularPad2d((2, 0, 1, 3))],
        [nn.Conv2d(2, 2, 5, padding=(1, 4), padding_mode="reflect")],
        [nn.Conv2d(2, 2, 3, padding="same", dilation=2, padding_mode="circular")],
        [nn.ConstantPad2d((-1, 2, -2, 0), 3.0)],
        [Do(lambda x: functional.pad(x, (1, 2, 0, 1), mode="reflect"))],
        [Do(lambda x: functional.pad(x, (1, 2)))],
        [Do(lambda x: functional.pad(x, [1, 2, -1, 0], value=1.0))],
        [Do(lambda x: functional.max_pool2d(x, 3, 2, 1, 1, True))],
        [nn.MaxPool2d(2, 3, ceil_mode=True), nn.MaxPool2d((1, 2), stride=1, dilation=2)],
        [Do(lambda x: (1 - x) * x / (x - 2) + torch.maximum(x, -x))],
        [Do(lambda x: x * x.amax((-2, -1), keepdim=True))],
        [nn.Softmax(dim=1), nn.LocalResponseNorm(2), nn.Hardswish(), nn.PReLU()],
        [Do(lambda x: functional.normalize(functional.softmax(x, dim=1)))],
        [Do(lambda x: functional.group_norm(x, 2))],
        [nn.AdaptiveMaxPool2d((4, 3))],
        [Do(lambda x: x.to(torch.float64).clone())],
    ],
)
def test_layers_of_real_networks(modules):
    model, size = nn.Sequential(stem, *modules, head).eval(), (16, 18)
    fields = receptive_field(model, input_size=size)
    paths = list(fields)
    assert paths[0] == "0"
    assert paths[-1] == str(len(modules) + 1)
    for path in {"0", "1", paths[-1]}:
        field = fields[path]
        height, width = field.map_size
        for unit in {(0, 0), (height // 2, 1 % width), (height - 1, width - 1), (1 % height, width // 2)}:
            measured = measure(model, unit, input_size=size, layer=path)
            np.testing.assert_array_equal(field.reads(unit, clip=size), measured)


class Residual(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return x + self.body(x)


@pytest.mark.parametrize(
    "module",
    [
        SqueezeAndExcitation(2),
        Pyramid(),
        nn.GroupNorm(1, 2),
        Do(lambda x: x * x.amax((2, 3), keepdim=True)),
        Residual(SqueezeAndExcitation(2)),
    ],
)
def test_what_all_units_have_in_common_neither_moves_nor_misaligns_them(module):
    model = nn.Sequential(nn.ZeroPad2d((4, 0, 4, 0)), stem, module)
    field = receptive_field(model, input_size=16)["2"]
    assert field.jump == (2, 2)
    assert field.aligned
    assert field.region((3, 3), clip=(16, 16)) == (0, 0, 16, 16)
    # all ten windows, with the padding; unit 0 of the pyramid's rate 3 begins another three units before
    assert field.size == ((27, 27) if isinstance(module, Pyramid) else (21, 21))


def test_what_looks_at_the_whole_map_needs_its_size():
    with pytest.raises(ValueError, match=r"`1\.pool`: looks at the whole map: pass `input_size`"):
        receptive_field(nn.Sequential(stem, SqueezeAndExcitation(2)))
    with pytest.raises(ValueError, match="`interpolate`: depends on the size of the map: pass `input_size`"):
        receptive_field(Resized())


def test_padding_that_repeats_pixels():
    field = receptive_field(nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"))["output"]
    assert lines(field.reads((0, 1), clip=(6, 6))) == [{0, 1, 5}, {0, 1, 2}]
    assert lines(field.units_seeing((5, 0), clip=(6, 6))) == [{0, 4, 5}, {0, 1, 5}]


class Several(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3, stride=2)

    def forward(self, x):
        y = self.a(x)
        return {"fine": y, "coarse": [self.b(y), y + 1]}


def test_networks_that_return_several_maps():
    fields = receptive_field(Several())
    assert list(fields) == ["a", "b", "output.fine", "output.coarse.0", "output.coarse.1"]
    assert fields["output.coarse.0"] == fields["b"]
    assert fields["output.fine"] == fields["output.coarse.1"] == fields["a"]


# Measuring.


def test_measuring_changes_nothing_and_takes_one_pass_each_way():
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.ReLU(inplace=True), nn.Conv2d(2, 1, 3))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    passes = []
    model[0].register_forward_hook(lambda *_: passes.append("forward"))
    model[0].register_full_backward_hook(lambda *_: passes.append("backward"))
    seen = measure(model, (0, 2), input_size=(6, 9), layer="3")
    assert lines(seen) == [{0, 1, 2, 3, 4}, {2, 3, 4, 5, 6}]
    assert passes == ["forward", "backward"]
    assert model.training
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert all(p.dtype == torch.float32 and p.requires_grad and p.grad is None for p in model.parameters())


def test_measuring_sees_through_what_hides_a_gradient():
    cancels = nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU6(), nn.MaxPool2d(2, stride=1), nn.Sigmoid())
    nn.init.constant_(cancels[0].weight, -100.0)
    assert lines(measure(cancels, (1, 0), input_size=8)) == [{1, 2, 3, 4}, {0, 1, 2, 3}]
    nn.init.zeros_(cancels[0].weight)
    assert lines(measure(cancels, (1, 0), input_size=8)) == [{1, 2, 3, 4}, {0, 1, 2, 3}]
    assert measure(nn.Sequential(nn.InstanceNorm2d(1), nn.Conv2d(1, 1, 8)), (0, 0), input_size=8).all()
    difference = Do(lambda x: x - x)
    assert lines(measure(difference, (1, 0), input_size=8)) == [{1}, {0}]


def test_measuring_a_network_that_cannot_be_traced():
    model = Do(lambda x: torch.roll(x, 1, 2) if x.mean() > 0 else x)
    assert lines(measure(model, (0, 3), input_size=5)) == [{4}, {3}]
    assert not measure(Do(lambda x: torch.zeros(1, 1, 2, 2)), (0, 0), input_size=5).any()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: measure([Layer(3)], (0, 0), input_size=5), TypeError, r"`module` must be a torch.nn.Module"),
        (lambda: measure(stem, (0, 3), input_size=5), ValueError, r"inside the map of 3×3, got \(0, 3\)"),
        (lambda: measure(stem, (0, -1), input_size=5), ValueError, "`unit` must be at least 0, got -1"),
        (lambda: measure(stem, (0, 0), input_size=0), ValueError, "`input_size` must be at least 1, got 0"),
        (lambda: measure(stem, (0, 0), input_size=5, layer="x"), ValueError, "path of a submodule, got 'x'"),
        (
            lambda: measure(stem, (0, 0), input_size=5, channels=0),
            ValueError,
            "`channels` must be at least 1",
        ),
        (lambda: measure(Several(), (0, 0), input_size=5), ValueError, "must return one tensor, got dict"),
    ],
)
def test_bad_input_of_measure(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((1, 2, 3), r"`box` must be \(row, column\) or \(top, left, bottom, right\), got \(1, 2, 3\)"),
        ((1, 2, 1, 4), r"`box` must hold pixels of an image of \(9, 8\), got \(1, 2, 1, 4\)"),
        ((1, 8), r"`box` must hold pixels of an image of \(9, 8\), got \(1, 8\)"),
        ((-1, 2), "`box` must be at least 0, got -1"),
    ],
)
def test_bad_boxes(box, message):
    with pytest.raises(ValueError, match=message):
        last([Layer(3)]).units_seeing(box, clip=(9, 8))


# The real network.


@pytest.fixture(scope="module")
def network():
    return make_positive(efficientnet_lite0(pretrained=False))


def up_to(model, path):
    """The model as a function that returns what one of its submodules returns."""

    def run(x):
        results = []
        with model.get_submodule(path).register_forward_hook(lambda _module, _x, y: results.append(y)):
            model(x)
        return results[-1]

    return run


@pytest.mark.parametrize(
    ("path", "unit", "size"),
    [
        ("stem_relu", (5, 0), (32, 64)),
        ("blocks.1", (0, 15), (32, 64)),
        ("blocks.3.depthwise_conv", (7, 6), (64, 96)),
        ("blocks.3", (4, 6), (64, 96)),  # far from the border
        ("blocks.3", (7, 0), (64, 96)),
        ("blocks.7", (0, 11), (32, 352)),
        ("head_relu", (0, 19), (32, 1216)),  # 851 columns, all of them inside
        ("head_relu", (6, 6), (224, 224)),
        ("classifier", (0, 0), (96, 64)),
    ],
)
def test_efficientnet(network, path, unit, size):
    field = receptive_field(network, input_size=size)[path]
    assert_reads(field, unit, size, *read_by_gradient(up_to(network, path), unit, size, channels=3))
    real = efficientnet_lite0(pretrained=False)
    measured = measure(real, unit, input_size=size, layer=path)
    np.testing.assert_array_equal(field.reads(unit, clip=size), measured)


def test_paths_of_efficientnet(network):
    fields = receptive_field(network, input_size=224)
    paths = list(fields)
    assert paths[0] == "stem_pad"
    assert paths[-1] == "classifier"  # the output
    assert (
        paths.index("blocks.3.project_conv") < paths.index("blocks.3") < paths.index("blocks.4.expand_conv")
    )
    called = {path for path, _ in network.named_modules() if path}
    assert set(paths) == called
    assert fields["head_relu"].size == (851, 851)
    assert fields["head_relu"].jump == (32, 32)


# Known values and laws.


def last(stack):
    return list(receptive_field(stack).values())[-1]


def conv(n):
    return [Layer(3, padding=1)] * n


def test_overlap_of_stacks_has_a_closed_form():
    assert [f.size[0] for f in receptive_field(conv(20)).values()] == [3 + 2 * n for n in range(20)]


def test_twenty_convolutions_with_pools():
    half = [Layer(2, stride=2)]
    fours = [*conv(4), *half] * 5
    assert [last(conv(20)).size[0], last(fours[:-1]).size[0], last(fours).size[0]] == [41, 264, 280]
    program = [*conv(5), *half, *conv(4), *half, *conv(4), *half, *conv(4), *half, *conv(3)]
    assert last(program).size == (234, 234)


def test_dilated_stacks():
    growing = last([Layer(3, dilation=rate) for rate in (1, 2, 4, 8, 16)])
    assert (growing.size, growing.support, growing.jump) == ((63, 63), (63, 63), (1, 1))
    strided = last([Layer(3, stride=2)] * 5)
    assert (strided.size, strided.jump) == ((63, 63), (32, 32))
    assert last([Layer(3)] * 5).size == (11, 11)


def test_field_with_holes():
    field = last([Layer(3, dilation=2)] * 5)
    assert (field.size, field.support) == ((21, 21), (11, 11))
    assert field.overlap == (0, 0)  # neighbours read the other parity


@pytest.mark.parametrize(("stride", "overlap"), [(1, 2 / 3), (2, 1 / 3), (3, 0), (4, 0)])
def test_overlap_of_one_layer(stride, overlap):
    assert last([Layer(3, stride=stride)]).overlap == (overlap, overlap)


@given(stack=st.lists(layers, min_size=1, max_size=5))
def test_laws(stack):
    fields = list(receptive_field(stack).values())
    for axis in (0, 1):
        r, j, start = 1, 1, 0  # the course's recurrence, for stacks
        for layer, field in zip(stack, fields, strict=True):
            r += (layer.kernel_size[axis] - 1) * layer.dilation[axis] * j
            start -= layer.padding[axis][0] * j
            j *= layer.stride[axis]
            assert (field.size[axis], field.jump[axis], field.start[axis]) == (r, j, start)
            assert field.centre[axis] == start + (r - 1) / 2
            assert 1 <= field.support[axis] <= field.size[axis]
            assert 0 <= field.overlap[axis] <= 1
            if field.support[axis] == field.size[axis]:
                assert field.overlap[axis] == max(0, r - j) / r
        assert [f.size[axis] for f in fields] == list(accumulate((f.size[axis] for f in fields), max))


@given(stack=st.lists(layers, min_size=1, max_size=2))
def test_regions_move_by_jump(stack):
    field, size = last(stack), (200, 200)
    first = tuple(ceil(-s / j) for s, j in zip(field.start, field.jump, strict=True))
    top, left, bottom, right = field.region(first, clip=size)
    assert (bottom - top, right - left) == field.size
    moved = field.region((first[0] + 1, first[1] + 2), clip=size)
    down, across = field.jump[0], 2 * field.jump[1]
    assert moved == (top + down, left + across, bottom + down, right + across)


def test_field_is_plain_data():
    field = last([Layer((3, 1), stride=2, padding="valid")])
    assert repr(field) == (
        "Field(size=(3, 1), jump=(2, 2), start=(0, 0), centre=(1.0, 0.0), support=(3, 1), "
        "overlap=(0.3333333333333333, 0.0), misalignment=(0.0, 0.0))"
    )
    assert field == last([Layer((3, 1), stride=2)])
    with pytest.raises(AttributeError):
        field.size = (5, 5)
    assert field.region(np.unravel_index(5, (4, 4)), clip=(9, 9)) == (2, 2, 5, 3)


# Bad input.


class TwoInputs(nn.Module):
    def forward(self, x, y):
        return x + y


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        ([], ValueError, "`model` must have at least one layer, got an empty list"),
        ([Layer(3), 3], TypeError, r"`model\[1\]` must be a Layer, got 3"),
        (
            Layer(3),
            TypeError,
            r"`model` must be a list of Layer, a convlab.nets.Net or a torch.nn.Module, got Layer\(",
        ),
        (
            nn.Sequential(nn.Conv2d(1, 1, 3), nn.Sequential(nn.Fold(1, 1))),
            ValueError,
            r"no rule is known for `1.0` \(Fold\)",
        ),
        (nn.Sequential(nn.Conv1d(1, 1, 3)), ValueError, r"no rule is known for `0` \(Conv1d\)"),
        (nn.Sequential(nn.MaxPool2d(2, return_indices=True)), ValueError, r"`0` \(MaxPool2d\)"),
        (nn.Sequential(nn.Upsample(scale_factor=2, mode="area")), ValueError, r"`0` \(Upsample\)"),
        (Do(lambda x: functional.interpolate(x, size=(x.shape[2] * 2, 9))), ValueError, r"\(interpolate\)"),
        (Do(lambda x: functional.interpolate(x, size=(x.shape[3], x.shape[2]))), ValueError, "`interpolate`"),
        (Do(lambda x: functional.pad(x, (1, 1, 1, 1, 1, 1))), ValueError, r"`pad` \(pad\)"),
        (Do(lambda x: x[:, :, -3:]), ValueError, r"`getitem` \(getitem\)"),
        (Do(lambda x: x[0]), ValueError, r"`getitem` \(getitem\)"),
        (Do(lambda x: x.chunk(2, 2)[0]), ValueError, r"`chunk` \(chunk\)"),
        (Do(lambda x: x if x.sum() > 0 else -x), ValueError, "torch.fx cannot trace `model`: "),
        (Do(lambda x: torch.roll(x, 1)), ValueError, r"no rule is known for `roll` \(roll\)"),
        (Do(lambda x: torch.cat([x, x], 3)), ValueError, r"no rule is known for `cat` \(cat\)"),
        (Do(lambda x: x.mean(1)), ValueError, r"no rule is known for `mean` \(mean\)"),
        (Do(lambda x: x + x.mT), ValueError, r"no rule is known for `getattr_1` \(getattr\)"),
        (
            Do(lambda x: (x, x.shape)),
            ValueError,
            r"`model` must return maps that it computes from its input, got getattr_1",
        ),
        (Do(lambda x: x.shape[0]), ValueError, "`model` must return maps"),
        (
            nn.Sequential(nn.ConvTranspose2d(1, 1, 1, stride=2), nn.ZeroPad2d(1), nn.MaxPool2d(1, 2)),
            ValueError,
            "`2`: none of its units reads anything of the input",
        ),
        (TwoInputs(), ValueError, "`model` must take one image, but its forward takes `y` as well"),
    ],
)
def test_unknown_models(model, error, message):
    with pytest.raises(error, match=message):
        receptive_field(model)


def test_branches_of_different_size():
    model = Branches(nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3), 2, False)
    with pytest.raises(ValueError, match=r"`add`: joins maps of different sizes: \[9, 7\]"):
        receptive_field(model, input_size=9)


# On the command line.


def run(*arguments, folder=None):
    command = [sys.executable, "-m", "convlab.fields", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def test_command():
    done = run("convlab.nets.vgg16", "--input-size", "224", "256")
    assert (done.returncode, done.stderr) == (0, "")
    table = [line.split() for line in done.stdout.splitlines()]
    assert table[0] == ["layer", "size", "jump", "start", "support", "overlap", "misalignment"]
    assert table[18] == ["pool5", "212", "32", "-90", "212", "0.849", "0"]
    assert table[-1][:2] == ["fc8", "404×436"]


def test_command_takes_a_readers_own_module(tmp_path):
    code = "from torch.nn import Conv2d, ReLU, Sequential\n"
    code += "net = Sequential(Conv2d(1, 4, 3), ReLU(), Conv2d(4, 4, 3, dilation=2))"
    (tmp_path / "mine.py").write_text(code, encoding="utf-8")
    done = run("mine.net", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[:3] for line in done.stdout.splitlines()[1:]] == [
        ["0", "3", "1"],
        ["1", "3", "1"],
        ["2", "7", "1"],
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["convlab.nets.vgg17"], 2, "path must lead to a network, got 'convlab.nets.vgg17': module"),
        (["no.such.package"], 2, "path must lead to a network, got 'no.such.package': No module"),
        (["torch.nn.Conv2d"], 2, "path must name what can be made without arguments, got 'torch.nn.Conv2d'"),
        (["convlab.nets"], 1, "got <module 'convlab.nets'"),
        (["convlab.nets.vgg16", "--input-size", "1"], 1, "`pool1`: a window of 2"),
        (["convlab.nets.vgg16", "--input-size", "1", "2", "3"], 1, "`input_size` must be one integer or two"),
        (["builtins.dict"], 1, "`model` must be a list of Layer, a convlab.nets.Net or a torch.nn.Module"),
    ],
)
def test_command_with_bad_input(arguments, status, message):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Layer(0), ValueError, "`kernel_size` must be at least 1, got 0"),
        (lambda: Layer(3, stride=0), ValueError, "`stride` must be at least 1, got 0"),
        (lambda: Layer(3, dilation=(1, 0)), ValueError, "`dilation` must be at least 1, got 0"),
        (lambda: Layer(3, padding=-1), ValueError, "`padding` must be at least 0, got -1"),
        (lambda: Layer(3, stride=2, padding="same"), ValueError, '`padding` "same" needs `stride` 1'),
        (lambda: Layer(3.0), TypeError, "`kernel_size` must be an integer, got 3.0"),
        (lambda: receptive_field([Layer(3)], input_size=0), ValueError, "`input_size` must be at least 1"),
        (
            lambda: receptive_field([Layer(3), Layer(4)], input_size=5),
            ValueError,
            r"layer 1: a window of 4 \(.*\) does not fit into 3",
        ),
        (
            lambda: last([Layer(3)]).region((0, -1), clip=(9, 9)),
            ValueError,
            "`unit` must be at least 0, got -1",
        ),
        (
            lambda: last([Layer(3)]).region((0, 7), clip=(9, 9)),
            ValueError,
            "unit 7 is outside the map: .* 7 units",
        ),
        (
            lambda: last([Layer(3)]).region((0, 0), clip=(0, 9)),
            ValueError,
            "`clip` must be at least 1, got 0",
        ),
        (lambda: last([Layer(3)]).region((0, 0), clip=(2, 9)), ValueError, "layer 0: a window of 3"),
        (
            lambda: last([Layer(1, padding=1)]).region((0, 1), clip=(9, 9)),
            ValueError,
            r"unit \(0, 1\) reads padding alone, no pixel of the image",
        ),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
