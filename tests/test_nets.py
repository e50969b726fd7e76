import subprocess
import sys
from fractions import Fraction

import graphs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from convlab import nets
from convlab.fields import receptive_field
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
    fpn,
    ledger,
    resnet,
)

PARAMETERS = {  # published totals; torchvision's where the paper rounds
    "lenet5": (nets.lenet5(), 61_706),
    "lenet5, 1998": (nets.lenet5("1998"), 60_000),  # "only 60,000 trainable free parameters"
    "alexnet": (nets.alexnet(), 60_965_224),  # Caffe's bvlc_alexnet
    "alexnet, one group": (nets.alexnet(groups=1), 62_378_344),
    "vgg16": (nets.vgg16(), 138_357_544),
    "resnet18": (resnet(18), 11_689_512),
    "resnet34": (resnet(34), 21_797_672),
    "resnet50": (resnet(50), 25_557_032),
    "resnet50, v1.5": (resnet(50, "v1.5"), 25_557_032),
    "resnet101": (resnet(101), 44_549_160),
    "resnet152": (resnet(152), 60_192_808),
    "mobilenet_v1": (nets.mobilenet_v1(), 4_231_976),  # the trainable ones of Keras
    "mobilenet_v2": (nets.mobilenet_v2(), 3_504_872),
    "ssd300": (nets.ssd300(), 26_285_486),
    "ssd300, COCO": (nets.ssd300(91), 35_641_826),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_published_parameters(name):
    net, parameters = PARAMETERS[name]
    assert ledger(net).parameters == parameters


@pytest.mark.parametrize("name", PARAMETERS)
def test_shapes_and_parameters_equal_those_of_torch(name):
    net, _ = PARAMETERS[name]
    with torch.device("meta"):  # shapes without numbers
        model = graphs.Torch(net).eval()
        results = {}
        with torch.no_grad():
            model.forward(torch.empty(1, net.channels, *net.input_size), results)
    table = ledger(net)
    assert [row.shape for row in table.rows] == [tuple(results[row.name].shape[1:]) for row in table.rows]
    if name != "lenet5, 1998":  # whose connection table and scaled pools torch doesn't have
        assert table.parameters == sum(p.numel() for p in model.parameters())
        for row in table.rows:
            name = row.name.replace(".", "_")
            layer = model.layers[name] if name in model.layers else torch.nn.Identity()
            assert row.parameters == sum(p.numel() for p in layer.parameters())


@pytest.mark.parametrize(
    ("net", "gigamacs"),
    [
        (resnet(18), 1.8),
        (resnet(34), 3.6),
        (resnet(50), 3.8),  # He et al. 2016, table 1
        (resnet(101), 7.6),
        (resnet(152), 11.3),
        (resnet(50, "v1.5"), 4.09),  # torchvision
        (nets.vgg16(), 15.47),
        (nets.mobilenet_v1(), 0.569),
        (nets.mobilenet_v2(), 0.300),
    ],
)
def test_published_macs(net, gigamacs):
    assert ledger(net).macs / 1e9 == pytest.approx(gigamacs, rel=0.02)


def count_macs(net, size):
    """Run on ones: a convolution or a product then sums to as many ones as it multiplies and adds."""
    total = 0

    class Counter(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            nonlocal total
            if function in (torch.conv2d, torch.conv_transpose2d, functional.linear):
                ones = [torch.ones_like(one) for one in args[:2]]
                total += function(*ones, None, *args[3:], **(kwargs or {})).sum().item()
            return function(*args, **(kwargs or {}))

    model = graphs.Torch(net, size).eval()
    with torch.no_grad(), Counter():
        model(torch.ones(1, net.channels, *size))
    return total


@settings(max_examples=40)
@given(
    kernel=graphs.pair(1, 4),
    stride=graphs.pair(1, 3),
    filters=st.integers(1, 3),
    groups=st.sampled_from([1, 2]),
    size=graphs.pair(9, 14),
)
def test_macs_without_padding_equal_a_count(kernel, stride, filters, groups, size):
    nodes = [
        Node("conv", Conv(kernel, 2 * filters, stride=stride, groups=groups)),
        Node("up", ConvTranspose(kernel, 3, stride=stride)),
        Node("pool", Pool(2, stride=1)),
        Node("dense", Dense(4)),
    ]
    net = Net("net", nodes, channels=2)
    assert ledger(net, size).macs == count_macs(net, size)


def test_lenet5():
    table = ledger(nets.lenet5())
    sides = [row.shape[1] for row in table.rows[:4]]
    assert (sides, [row.shape[0] for row in table.rows[4:]]) == ([28, 14, 10, 5], [120, 84, 10])
    assert [row.parameters for row in table.rows] == [156, 0, 2416, 0, 48120, 10164, 850]
    assert [row.parameters for row in ledger(nets.lenet5("1998")).rows] == [
        156,
        12,
        1516,
        32,
        48120,
        10164,
        0,
    ]
    assert table["C1"].memory == 6 * 28 * 28 * 4
    assert table.memory == sum(row.memory for row in table.rows)
    assert table.macs == 25 * 6 * 28**2 + 25 * 96 * 10**2 + 48000 + 10080 + 840
    with pytest.raises(KeyError, match="C9"):
        table["C9"]


def test_table():
    small = Net(
        "small",
        [
            Node("conv", Conv((3, 1), 8, stride=2, padding=(1, 0))),
            Node("up", Upsample(4)),
            Node("pool", GlobalPool()),
        ],
    )
    line = "─" * 55
    assert repr(ledger(small, (9, 12))) == (
        "small, for an image of 3×9×12\n"
        "layer    shape  parameters   MACs   bytes  field   jump\n"
        f"{line}\n"
        "conv     8×5×6          80  2,160     960    3×1      2\n"
        "up     8×20×24           0      0  15,360    3×1    1/2\n"
        "pool     8×1×1           0      0      32     11  10×12\n"
        f"{line}\n"
        "total                   80  2,160  16,352"
    )
    assert ledger(small, 9)["up"].field.jump == (Fraction(1, 2), Fraction(1, 2))
    assert str(ledger(small, 9)) == repr(ledger(small, 9))


# Receptive fields of real networks.


def test_published_fields():
    """Araujo, Norris and Sim 2019, "Computing receptive fields of convolutional neural networks"."""
    for net, name, size in [
        (nets.alexnet(), "pool5", 195),
        (nets.vgg16(), "pool5", 212),
        (nets.mobilenet_v1(), "conv14", 315),
        (resnet(101), "conv5_3", 1027),
        (resnet(152), "conv5_3", 1507),
    ]:
        field = receptive_field(net)[name]
        assert (field.size, field.support) == ((size, size), (size, size))
        assert field.aligned


@pytest.mark.parametrize(
    ("variant", "sizes"), [("v1", [7, 35, 99, 291, 483]), ("v1.5", [7, 35, 91, 267, 427])]
)
def test_resnet50_stage_by_stage(variant, sizes):
    fields = receptive_field(resnet(50, variant))
    stages = ["conv1", "conv2_3", "conv3_4", "conv4_6", "conv5_3"]
    assert [fields[name].size[0] for name in stages] == sizes
    assert [fields[name].jump[0] for name in stages] == [2, 4, 8, 16, 32]
    assert fields["conv1"].overlap == (5 / 7, 5 / 7)
    assert fields["conv2_1.2"].size == fields["conv2_1.3"].size  # flat at 1×1
    assert all(field.aligned for field in fields.values())


def test_ssd300_reads_six_maps():
    net = nets.ssd300()
    fields = receptive_field(net)
    maps = [fields[name] for name in net.outputs]
    assert [field.map_size[0] for field in maps] == [38, 19, 10, 5, 3, 1]
    assert [field.jump[0] for field in maps] == [8, 16, 32, 64, 64, 64]
    assert [field.size[0] for field in maps] == [92, 420, 452, 516, 644, 772]
    boxes = [ledger(net)[f"{name}.boxes"] for name in net.outputs]
    assert sum(row.shape[0] // 25 * row.shape[1] * row.shape[2] for row in boxes) == 8732  # of the paper


def test_fpn():
    levels = ["conv2_3", "conv3_4", "conv4_6", "conv5_3"]
    net = fpn(resnet(50), levels)
    table = ledger(net)
    assert net.outputs == ("P2", "P3", "P4", "P5")
    assert [table[name].shape for name in net.outputs] == [(256, side, side) for side in (56, 28, 14, 7)]
    laterals = sum(256 * (channels + 1) for channels in (256, 512, 1024, 2048))
    backbone = ledger(resnet(50)).parameters - 1000 * 2049
    assert table.parameters == backbone + laterals + 4 * 256 * (256 * 9 + 1)
    single = fpn(nets.vgg16(), ["conv4_3"], filters=8)
    assert (single.outputs, single.nodes[-3].name) == (("P3",), "conv4_3")


def test_ledger_at_another_size():
    table = ledger(resnet(18), (256, 192))
    assert table["conv5_2"].shape == (512, 8, 6)
    assert table.parameters == 11_689_512
    with pytest.raises(ValueError, match=r"`conv1`: a window of 11 .* does not fit into 9"):
        ledger(nets.alexnet(), 9)


# Graphs.


def test_shapes_of_concatenation_and_scale():
    nodes = [
        Node("a", Conv(1, 5)),
        Node("b", Pool(3, stride=1, padding=1), ("input",)),
        Node("both", Concat(), ("a", "b", "a")),
        Node("scale", Scale()),
    ]
    table = ledger(Net("net", nodes), (4, 6))
    assert [row.shape for row in table.rows] == [(5, 4, 6), (3, 4, 6), (13, 4, 6), (13, 4, 6)]
    assert [row.parameters for row in table.rows] == [20, 0, 0, 13]
    assert [row.macs for row in table.rows] == [15 * 24, 0, 0, 13 * 24]


def net(*nodes, **how):
    return Net("net", nodes, **how)


one = Node("one", Conv(3, 8))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: net(), ValueError, "`nodes` must have at least one node, got none"),
        (lambda: net(one, one), ValueError, "`nodes` must have different names, got 'one' twice"),
        (lambda: net(Node("input", Conv(3, 8))), ValueError, "different names, got 'input' twice"),
        (
            lambda: net(Node("a", Add(), ("input", "b")), one),
            ValueError,
            "`a` reads 'b', which does not come",
        ),
        (lambda: net(one, Node("b", Scale(), ("input", "one"))), ValueError, r"`b` \(Scale\) reads one node"),
        (lambda: net(Node("a", 3)), TypeError, "`a` must have an operation of convlab.nets, got 3"),
        (lambda: net(one, outputs=("two",)), ValueError, "`outputs` must be names of nodes, got 'two'"),
        (lambda: net(one, channels=0), ValueError, "`channels` must be at least 1, got 0"),
        (lambda: Conv(0, 8), ValueError, "`kernel_size` must be at least 1, got 0"),
        (lambda: Conv(3, 0), ValueError, "`filters` must be at least 1, got 0"),
        (lambda: Conv(3, 8, groups=0), ValueError, "`groups` must be at least 1, got 0"),
        (lambda: ConvTranspose(3, 0), ValueError, "`filters` must be at least 1, got 0"),
        (lambda: ConvTranspose(3, 1, stride=0), ValueError, "`stride` must be at least 1, got 0"),
        (lambda: ConvTranspose(3, 1, output_padding=-1), ValueError, "`output_padding` must be at least 0"),
        (lambda: Pool(2, stride=0), ValueError, "`stride` must be at least 1, got 0"),
        (lambda: Dense(0), ValueError, "`units` must be at least 1, got 0"),
        (lambda: Upsample(0), ValueError, "`factor` must be at least 1, got 0"),
        (
            lambda: Upsample(2, mode="cubic"),
            ValueError,
            '`mode` must be "nearest" or "bilinear", got \'cubic\'',
        ),
        (lambda: ledger([one]), TypeError, r"`net` must be a Net, got \["),
        (lambda: ledger(net(one)), ValueError, "`input_size` must be given: net is not made for one size"),
        (lambda: ledger(net(one), 0), ValueError, "`input_size` must be at least 1, got 0"),
        (
            lambda: ledger(net(Node("a", Conv(1, 8)), Node("sum", Add(), ("a", "input"))), 9),
            ValueError,
            r"`sum`: adds stacks of different depth: \[8, 3\]",
        ),
        (
            lambda: ledger(net(Node("a", Conv(1, 8, groups=2))), 9),
            ValueError,
            "`a`: `in_channels` must be a multiple of `groups`, got 3 and 2",
        ),
        (
            lambda: ledger(net(one, Node("sum", Concat(), ("one", "input"))), 9),
            ValueError,
            r"`sum`: joins maps of different sizes: \[7, 9\]",
        ),
        (
            lambda: receptive_field(net(Node("pool", GlobalPool()))),
            ValueError,
            "`pool`: looks at the whole map: pass",
        ),
        (lambda: nets.lenet5("paper"), ValueError, '`variant` must be "today" or "1998", got \'paper\''),
        (lambda: nets.alexnet(0), ValueError, "`groups` must be at least 1, got 0"),
        (lambda: resnet(20), ValueError, "`depth` must be one of 18, 34, 50, 101, 152, got 20"),
        (lambda: resnet(50, "v2"), ValueError, '`variant` must be "v1" or "v1.5", got \'v2\''),
        (lambda: nets.ssd300(1), ValueError, "`classes` must be at least 2, got 1"),
        (lambda: fpn(resnet(18), []), ValueError, "`levels` must name at least one node, got none"),
        (lambda: fpn(resnet(18), ["C2"]), ValueError, "`levels` must be nodes of ResNet-18 v1, got 'C2'"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_import_needs_numpy_alone():
    code = "import sys, convlab.nets; print([m for m in ('torch', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_nets_are_plain_data():
    a, b = resnet(50), resnet(50)
    assert a == b
    assert repr(a) == "<Net ResNet-50 v1: conv1, pool1, …, fc>"
    assert a.outputs == ("fc",)
    assert a.nodes[1].inputs == ("conv1",)
    with pytest.raises(AttributeError):
        a.name = "other"
