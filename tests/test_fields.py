from itertools import accumulate
from math import ceil

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from convlab.fields import Layer, receptive_field
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
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model.double().eval()


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


def pair(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


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


def test_published_values():
    def conv(n):
        return [Layer(3, padding=1)] * n

    pool = Layer(3, stride=2)
    alexnet = [Layer(11, stride=4), pool, Layer(5, padding=2), pool, *conv(3), pool]
    assert last(alexnet).size == (195, 195)
    half = Layer(2, stride=2)
    vgg16 = [*conv(2), half, *conv(2), half, *conv(3), half, *conv(3), half, *conv(3), half]
    assert last(vgg16).size == (212, 212)
    assert [f.size[0] for f in receptive_field(conv(20)).values()] == [3 + 2 * n for n in range(20)]


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
