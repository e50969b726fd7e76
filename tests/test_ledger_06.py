"""The course's ledger, chapter 6: one test for each row that has a number or a measurement."""

from fractions import Fraction
from itertools import chain, combinations, pairwise, product

import numpy as np
import pytest
import torch
from inputs import network
from numpy.lib.stride_tricks import sliding_window_view
from torch import nn

from convlab import data, nets
from convlab.fields import Layer, measure, receptive_field
from convlab.pretrained import efficientnet_lite0, preprocess

CONV, POOL = Layer(3), Layer(2, stride=2)


def last(model):
    return list(receptive_field(model).values())[-1]


def in_torch(layers):
    return nn.Sequential(
        *(nn.Conv2d(1, 1, one.kernel_size, one.stride, one.padding, one.dilation) for one in layers)
    )


def read_by_the_only_unit(layers):
    """Rows that the unit of the smallest possible image reads."""
    side = last(layers).size[0]
    return measure(in_torch(layers), (0, 0), input_size=side).any(axis=1)


class OneMap(nn.Module):
    """The nodes of a Net up to one of them, with one map each."""

    def __init__(self, net, end):
        super().__init__()
        names = [node.name for node in net.nodes]
        self.nodes = net.nodes[: names.index(end) + 1]
        self.layers = nn.ModuleList(
            nn.Identity() if isinstance(node.op, nets.Add) else self.window(node.op) for node in self.nodes
        )

    @staticmethod
    def window(op):
        (top, bottom), (left, right) = ((op.padding,) * 2,) * 2 if isinstance(op.padding, int) else op.padding
        return nn.Sequential(
            nn.ZeroPad2d((left, right, top, bottom)), nn.Conv2d(1, 1, op.kernel_size, op.stride)
        )

    def forward(self, x):
        maps = {"input": x}
        for node, layer in zip(self.nodes, self.layers, strict=True):
            maps[node.name] = layer(sum(maps[name] for name in node.inputs))
        return maps[self.nodes[-1].name]


def measured(net, end, columns=224):
    """Extent of a middle unit's field, by a gradient, on a strip that is high enough."""
    module, high = OneMap(net, end), receptive_field(net)[end].size[0] + 80
    h, w = module(torch.zeros(1, 1, high, columns)).shape[2:]
    rows = np.flatnonzero(measure(module, (h // 2, w // 2), input_size=(high, columns)).any(axis=1))
    return rows[-1] - rows[0] + 1


@pytest.mark.parametrize(("stride", "shared"), [(1, 6), (2, 3), (3, 0)])
def test_RF_1_a_3x3_shares_two_thirds_a_third_or_nothing_with_its_neighbour(stride, shared):
    layer = nn.Conv2d(1, 1, 3, stride=stride)
    one, other = (measure(layer, (0, column), input_size=(3, 6)) for column in (0, 1))
    assert (one.sum(), (one & other).sum()) == (9, shared)
    assert last([Layer(3, stride=stride)]).overlap[1] == shared / 9


def test_RF_2_stacked_3x3_grow_by_two():
    for n in range(1, 21):
        assert last([CONV] * n).size == (3 + 2 * (n - 1),) * 2
    assert last([CONV] * 19).size[0] < 40 < last([CONV] * 20).size[0] == 41
    assert read_by_the_only_unit([CONV] * 20).all()


def by_area(area, overlap, kernel, stride):
    """Area and overlap after a layer, as the calculus of areas has it."""
    rest = 1 - overlap
    if kernel == 3:
        shared = 1 + rest * (5 - 2 * overlap) if stride == 1 else 1 + 2 * rest
        return (1 + 2 * rest) ** 2 * area, shared / (1 + 4 * rest * (2 - overlap))
    if kernel == 2:
        return (2 - overlap) ** 2 * area, overlap / (2 - overlap)
    return area, 2 * max(overlap - Fraction(1, 2), Fraction(0))


def test_RF_3_a_pooling_by_area_needs_its_exponent():
    assert by_area(9, Fraction(2, 3), 2, 2) == (16, Fraction(1, 2))
    field = last([CONV, POOL])
    assert (field.size[0] ** 2, field.overlap[0]) == (16, 0.5)
    assert read_by_the_only_unit([CONV, POOL]).sum() == 4
    without = (2 - Fraction(2, 3)) * 9
    assert without == 12
    assert without not in [side**2 for side in range(10)]


def test_RF_4_areas_and_overlaps_are_r_and_j_in_disguise_and_right_with_holes_too():
    rng = np.random.default_rng(1)
    holes = tried = 0
    for _ in range(1000):
        layers, area, overlap = [], Fraction(1), Fraction(0)
        for _ in range(rng.integers(1, 11)):
            kernel, stride = [(3, 1), (3, 2), (2, 2), (1, 2)][rng.integers(4)]
            layers.append(Layer(kernel, stride=stride))
            area, overlap = by_area(area, overlap, kernel, stride)
        field = last(layers)
        r, j = field.size[0], int(field.jump[0])
        assert (area, float(overlap)) == (field.support[0] ** 2, field.overlap[0])
        if field.support[0] == r:
            assert (area, overlap) == (r**2, max(1 - Fraction(j, r), 0))
        else:
            holes += 1
            assert area < r**2
        if r <= 30:
            tried += 1
            one, other = (measure(in_torch(layers), (0, unit), input_size=(r, r + j)) for unit in (0, 1))
            seen = int(one.sum())
            assert (area, overlap) == (seen, Fraction(int((one & other).sum()), seen))
    assert min(holes, tried) > 200


FOUR = [CONV] * 4 + [POOL]
READINGS = {
    41: [CONV] * 20,
    264: FOUR * 4 + [CONV] * 4,
    280: FOUR * 5,
    234: [CONV, *FOUR * 4, *[CONV] * 3],
}


@pytest.mark.parametrize("size", READINGS)
def test_RF_5_three_exact_answers_to_one_sentence(size):
    layers = READINGS[size]
    assert layers.count(CONV) == 20
    assert last(layers).size[0] == size
    assert read_by_the_only_unit(layers).sum() == size


def test_RF_5_no_placement_of_poolings_gives_243():
    assert all(last([CONV] * n).size[0] % 2 for n in range(1, 41))  # so never 50
    sizes = []
    for count in range(1, 6):
        for after in combinations(range(1, 21), count):
            r, j = 1, 1
            for number in range(1, 21):
                r += 2 * j
                if number in after:
                    r, j = r + j, 2 * j
            sizes.append(r)
    assert (len(sizes), min(sizes), max(sizes)) == (21699, 42, 1054)
    assert not any(r % 2 for r in sizes)


def test_RF_5_growth_is_exponential_with_pooling():
    for blocks in range(1, 7):
        assert last(FOUR * blocks).size[0] == 1 + 9 * (2**blocks - 1)


@pytest.mark.parametrize(
    ("variant", "sizes"), [("v1", (35, 99, 291, 483)), ("v1.5", (35, 91, 267, 427))], ids=["v1", "v1.5"]
)
def test_RF_6_resnet_50_depends_on_where_its_stride_is(variant, sizes):
    net = nets.resnet(50, variant)
    found = receptive_field(net)
    ends = ("conv2_3", "conv3_4", "conv4_6", "conv5_3")
    assert tuple(found[end].size[0] for end in ends) == sizes
    assert tuple(measured(net, end) for end in ends) == sizes
    assert (found["conv1"].size[0], found["conv1"].overlap[0]) == (7, 5 / 7)
    before = {node.name: node.inputs[0] for node in net.nodes}
    flat = [node.name for node in net.nodes if getattr(node.op, "kernel_size", 0) == 1]
    assert len(flat) == 36
    assert all(found[name].size == found[before[name]].size for name in flat)


def test_RF_7_only_four_units_of_vgg_16_see_no_padding():
    field = receptive_field(nets.vgg16())["conv5_3"]
    assert (field.size[0], field.jump[0], field.start[0], field.map_size[0]) == (196, 16, -90, 14)
    boxes = [field.region((unit, 0), clip=(224, 224)) for unit in range(14)]
    assert [u for u, box in enumerate(boxes) if box[2] - box[0] == 196] == [6, 7]
    assert (boxes[0][0], boxes[0][2]) == (0, 106)
    for unit in (0, 7, 13):
        seen = measure(OneMap(nets.vgg16(), "conv5_3"), (unit, unit), input_size=224)
        assert (seen == field.reads((unit, unit), clip=(224, 224))).all()


def test_RF_7_every_last_unit_of_resnet_50_sees_the_whole_photo():
    net = nets.resnet(50)
    field = receptive_field(net)["conv5_3"]
    assert field.map_size == (7, 7)
    for unit in product(range(7), range(7)):
        assert field.region(unit, clip=(224, 224)) == (0, 0, 224, 224)
    assert measure(OneMap(net, "conv5_3"), (0, 6), input_size=224).all()
    assert round(100 * 224**2 / field.size[0] ** 2) == 22


def test_RF_7_start_moves_by_padding_times_jump():
    layers = [Layer(3, padding=1), Layer(3, padding=1), POOL, Layer(3, padding=1)]
    fields = receptive_field(layers, input_size=24).values()
    assert [(f.size[0], f.jump[0], f.start[0], f.map_size[0]) for f in fields] == [
        (3, 1, -1, 24),
        (5, 1, -2, 24),
        (6, 2, -2, 12),
        (10, 2, -4, 12),
    ]


class Sum(nn.Module):
    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return sum(branch(x) for branch in self.branches)


def same(k):
    return nn.Conv2d(1, 1, k, padding="same")


@pytest.mark.parametrize(
    ("branches", "size", "pixels"),
    [
        ([nn.Identity(), nn.Sequential(same(3), same(3))], 5, 25),
        ([same(3), same(7)], 7, 49),
        ([same((1, 9)), same((9, 1))], 9, 17),
    ],
    ids=["residual", "two kernels", "cross"],
)
def test_RF_8_gradients_and_theory_agree_on_branches(branches, size, pixels):
    module = Sum(*branches)
    field = last(module)
    seen = measure(module, (10, 10), input_size=21)
    assert (field.size, seen.sum()) == ((size, size), pixels)
    assert (seen == field.reads((10, 10), clip=(21, 21))).all()


@pytest.mark.parametrize(("layer", "unit"), [("blocks.2", 0), ("blocks.4", 14), ("blocks.10", 7)])
def test_RF_8_gradients_and_theory_agree_on_the_real_network(layer, unit):
    field = receptive_field(network(), input_size=224)[layer]
    seen = measure(network(), (unit, 0), input_size=224, layer=layer)
    assert (seen == field.reads((unit, 0), clip=(224, 224))).all()


def test_RF_8_a_plain_gradient_misses_pixels():
    torch.manual_seed(0)
    convs = [nn.Conv2d(1, 1, 3) for _ in range(80)]
    found = {}
    for dtype in (torch.float32, torch.float64):
        image = torch.ones(1, 1, 161, 161, dtype=dtype, requires_grad=True)
        nn.Sequential(*convs).to(dtype)(image).sum().backward()
        found[dtype] = (image.grad != 0).double().mean().item()
    assert 0.8 < found[torch.float32] < 0.95
    assert found[torch.float64] == 1
    closed = nn.Sequential(*(part for one in convs for part in (one, nn.ReLU())))
    assert measure(closed, (0, 0), input_size=161).all()


def test_RF_8_a_network_may_see_less_than_its_layers_can():
    one, other = nn.Conv2d(1, 1, (1, 2), bias=False), nn.Conv2d(1, 1, (1, 2), bias=False)
    model = nn.Sequential(one, other).requires_grad_(False)
    one.weight[:] = 1
    other.weight[0, 0, 0] = torch.tensor([1.0, -1.0])
    image = torch.rand(1, 1, 1, 3).requires_grad_()
    model(image).sum().backward()
    assert image.grad.flatten().tolist() == [1, 0, -1]
    assert measure(model, (0, 0), input_size=(1, 3)).all()


def test_RF_9_training_widens_the_effective_field_and_moves_it_back_where_padding_moved_the_field():
    field = receptive_field(network(), input_size=224)["blocks.4"]
    photos = torch.cat([preprocess(data.photo(name)) for name in data.PHOTOS])
    place = np.arange(224) - (field.centre[0] + field.map_size[0] // 2 * field.jump[0])

    def shift_and_side(model):
        kept = {}
        hook = model.get_submodule("blocks.4").register_forward_hook(
            lambda _module, _inputs, output: kept.update(map=output)
        )
        images = photos.clone().requires_grad_()
        model(images)
        hook.remove()
        units = kept["map"][:, :, field.map_size[0] // 2, field.map_size[1] // 2]
        signs = torch.randint(2, units.shape[1:], generator=torch.manual_seed(1)) * 2.0 - 1
        (squared,) = torch.autograd.grad((units * signs).sum(), images)
        squared = squared.double().square().sum(dim=1)  # (N, H, W)
        share = (squared / squared.sum(dim=(1, 2), keepdim=True)).mean(dim=0).numpy()
        shift = (share.sum(axis=0) @ place + share.sum(axis=1) @ place) / 2
        sums = (sliding_window_view(share, (side, side)).sum(axis=(2, 3)).max() for side in range(20, 40))
        return shift, 20 + next(n for n, most in enumerate(sums) if most >= 0.95)

    torch.manual_seed(5)
    trained, random = shift_and_side(network()), shift_and_side(efficientnet_lite0(pretrained=False))
    assert field.centre[0] - (field.jump[0] - 1) / 2 == 3.5
    assert trained[0] < -2
    assert abs(random[0]) < 1
    assert random[1] + 2 <= trained[1] < 0.5 * field.size[0]


def test_RF_9_the_effective_field_grows_like_a_root():
    def width(depth, seed, maps=16):
        torch.manual_seed(seed)
        layers = [nn.Conv2d(maps if n else 1, maps, 3, bias=False).double() for n in range(depth)]
        for one in layers:
            nn.init.normal_(one.weight)
        parts = [part for one in layers for part in (one, nn.ReLU())]
        image = torch.randn(1, 1, *(2 * depth + 1,) * 2, dtype=torch.float64).requires_grad_()
        (nn.Sequential(*parts)(image)[0, :, 0, 0] * torch.randn(maps, dtype=torch.float64)).sum().backward()
        rows = (image.grad[0, 0] ** 2).sum(dim=1).numpy()
        place = np.arange(len(rows))
        return np.sqrt((rows * (place - (rows * place).sum() / rows.sum()) ** 2).sum() / rows.sum())

    depths = np.array([4, 8, 16, 32])
    widths = np.array([[width(depth, seed) for depth in depths] for seed in range(100, 108)])
    np.testing.assert_allclose(widths.mean(axis=0), np.sqrt(2 * depths / 3), rtol=0.1)
    exponents = np.polyfit(np.log(depths), np.log(widths).T, 1)[0]
    assert abs(exponents.mean() - 0.5) < 0.07
    fields = [last([CONV] * depth).size[0] for depth in depths]
    assert np.polyfit(np.log(depths), np.log(fields), 1)[0] > 0.9


def test_RF_10_the_sizes_of_a_face_detector_follow_its_fields():
    down = [Layer(1), Layer(3, stride=2)]
    ends = [
        [CONV, CONV, POOL, CONV, CONV, POOL, CONV, CONV, CONV],
        *[[POOL, CONV, CONV, CONV]] * 2,
        [POOL, CONV, Layer(1)],
        *[down] * 2,
    ]
    fields = [last([*chain(*ends[: n + 1])]) for n in range(6)]
    with_predictor = [last([*chain(*ends[: n + 1]), CONV]).size[0] for n in range(6)]
    assert with_predictor == [48, 108, 228, 340, 468, 724]
    assert with_predictor == [field.size[0] + 2 * field.jump[0] for field in fields]
    ratios = [field.size[0] / (16 * 2**n) for n, field in enumerate(fields)]
    assert (round(min(ratios), 1), round(max(ratios), 1)) == (0.9, 3.1)


def test_RF_10_a_gap_in_the_profile_is_a_gap_in_the_objects():
    boxes = np.concatenate([data.scene(i, size=224).boxes for i in range(400)])
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    assert (len(sides), sides.min(), sides.max()) == (991, 6, 149)

    def unfit(net, chosen, zoom=1):
        found = receptive_field(net)
        sizes = [found[name].size[0] for name in chosen]
        fits = [any(0.9 * side <= size <= 3.1 * side for size in sizes) for side in zoom * sides]
        return round(100 * (1 - np.mean(fits)))

    resnet, ssd = nets.resnet(50), nets.ssd300()
    stages = ["conv2_3", "conv3_4", "conv4_6", "conv5_3"]
    assert unfit(resnet, stages[-1:]) == 100
    assert unfit(resnet, stages[1::2]) == 65
    assert unfit(resnet, stages) == unfit(nets.resnet(50, "v1.5"), stages) == 24
    assert unfit(ssd, ssd.outputs, 300 / 224) == 56


@pytest.mark.parametrize(
    ("net", "end", "size"),
    [
        (nets.alexnet(), "pool5", 195),
        (nets.vgg16(), "pool5", 212),
        (nets.mobilenet_v1(), "conv14", 315),
        (nets.resnet(101), "conv5_3", 1027),
        (nets.resnet(152), "conv5_3", 1507),
    ],
    ids=["AlexNet", "VGG-16", "MobileNet", "ResNet-101", "ResNet-152"],
)
def test_RF_11_published_values(net, end, size):
    assert receptive_field(net)[end].size[0] == size
    assert measured(net, end) == size


def random_stack(rng):
    return [
        Layer(
            *rng.integers(1, 5, 1).tolist(), stride=int(rng.integers(1, 4)), dilation=int(rng.integers(1, 4))
        )
        for _ in range(rng.integers(1, 6))
    ]


def test_RF_12_hull_and_support_differ_where_there_are_holes():
    holes = 0
    rng = np.random.default_rng(2)
    for _ in range(300):
        layers = random_stack(rng)
        field = last(layers)
        if field.size[0] <= 60:
            rows = read_by_the_only_unit(layers)
            assert (len(rows), rows.sum()) == (field.size[0], field.support[0])
            holes += not rows.all()
    assert holes > 20
    dilated = last([Layer(3, dilation=2)])
    assert (dilated.size[0], dilated.support[0], dilated.overlap[0]) == (5, 3, 0)


def test_RF_12_overlaps_are_shares_and_fields_never_shrink():
    rng = np.random.default_rng(3)
    for _ in range(500):
        found = list(receptive_field(random_stack(rng)).values())
        assert all(0 <= one.overlap[0] <= 1 for one in found)
        for below, above in pairwise(found):
            assert below.size[0] <= above.size[0]
            assert below.support[0] <= above.support[0]
