"""The course's ledger: one test for each row that has a number or a measurement, named after the row."""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from inputs import network, photos
from mdit_py_plugins.anchors.index import slugify

from convlab import data, fields, kernels, shapes
from convlab.capture import capture
from convlab.ops import conv2d
from convlab.pretrained import efficientnet_lite0, preprocess

CHAPTERS = sorted((Path(__file__).parents[1] / "chapters").glob("*.ipynb"))
COUNTS = {
    "01_feature_maps": ("FM", 10),
    "02_filters_vs_kernels": ("FK", 13),
    "03_padding_and_stride": ("PS", 9),
    "04_pooling": ("PL", 9),
    "05_a_whole_cnn": ("CN", 7),
    "06_receptive_fields": ("RF", 12),
    "07_dilated_convolution": ("DL", 7),
    "08_what_layers_see": ("VZ", 5),
    "09_regions_of_interest": ("RO", 4),
    "10_feature_pyramids": ("FP", 9),
    "11_capstone": ("CP", 3),
}
ROWS = {name: [f"{letters}-{i + 1}" for i in range(count)] for name, (letters, count) in COUNTS.items()}


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_every_row_has_a_section_in_its_order(chapter):
    tags = []
    for cell in nbformat.read(chapter, as_version=4).cells:
        tags += [tag for tag in cell.metadata.get("tags", []) if re.fullmatch(r"[A-Z]{2}-\d+", tag)]
    assert list(dict.fromkeys(tags)) == ROWS[chapter.stem]


def maps_of(model, names, x):
    with torch.no_grad(), capture(model, *names) as maps:
        model(x)
    return maps


def relus():
    return [name for name, layer in network().named_modules() if isinstance(layer, torch.nn.ReLU6)]


def test_FM_1_a_grey_image_is_one_map_and_a_colour_image_three():
    colour = data.photo("cat").transpose(2, 0, 1)
    assert data.grey(data.photo("cat"))[None].shape == (1, *colour.shape[1:])
    assert colour.shape[0] == 3


@pytest.mark.parametrize("filters", [1, 8, 64])
def test_FM_2_a_layer_makes_as_many_maps_as_it_has_filters(filters):
    assert conv2d(np.ones((3, 9, 9)), np.ones((filters, 3, 3, 3))).shape == (filters, 7, 7)


def test_FM_3_down_the_network_the_side_shrinks_and_the_number_of_maps_grows_but_not_always():
    names = ["stem_relu", *(f"blocks.{i}" for i in range(16)), "head_relu"]
    maps = maps_of(network(), names, photos()[:1])
    sides = [maps[name].shape[2] for name in names]
    depths = [maps[name].shape[1] for name in names]
    assert sides == sorted(sides, reverse=True)
    assert (sides[0], sides[-1]) == (112, 7)
    assert depths == [32, 16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, 192, 192, 192, 192, 320, 1280]


def test_FM_4_kernels_that_add_up_to_0_show_change_only():
    even = np.full((1, 9, 9), 0.6)
    for kernel in (kernels.sobel_x, kernels.sobel_y, kernels.laplacian):
        np.testing.assert_allclose(conv2d(even, kernel[None, None]), 0, atol=1e-12)
    for kernel in (kernels.gaussian(1), kernels.sharpen, kernels.emboss):
        np.testing.assert_allclose(conv2d(even, kernel[None, None]), 0.6)


def test_FM_5_edges_and_colour_explain_early_maps_much_better_than_late_ones():
    x = photos().numpy().astype(float)
    bright = x.mean(axis=1, keepdims=True)
    edges = [
        conv2d(bright, kernel[None, None], padding="same")
        for kernel in (kernels.sobel_x, kernels.sobel_y, kernels.laplacian)
    ]
    simple = np.concatenate([x, *edges, *map(np.abs, edges), np.hypot(edges[0], edges[1])], axis=1)
    shares = []
    for stack in maps_of(network(), ["stem_relu", "blocks.4", "head_relu"], photos()).values():
        side = stack.shape[-1]
        cells = simple.reshape(5, 10, side, 224 // side, side, 224 // side).mean(axis=(3, 5))
        inputs = np.c_[cells.transpose(0, 2, 3, 1).reshape(-1, 10), np.ones(5 * side**2)]
        wanted = stack.numpy().astype(float).transpose(0, 2, 3, 1).reshape(len(inputs), -1)
        wanted = wanted[:, wanted.var(axis=0) > 0]
        rest = wanted - inputs @ np.linalg.lstsq(inputs, wanted)[0]
        shares.append(np.median(1 - rest.var(axis=0) / wanted.var(axis=0)))
    np.testing.assert_allclose(shares, [0.80, 0.15, 0.11], atol=0.01)


@pytest.mark.parametrize(
    ("side", "units", "kernel", "full", "local", "shared", "hundred"),
    [(1000, 10**6, 10, 10**12, 10**8, 100, 10**4), (100, 10**5, 3, 10**9, 9 * 10**5, 9, 900)],
)
def test_FM_6_local_connection_and_weight_sharing(side, units, kernel, full, local, shared, hundred):
    assert shapes.dense_parameters(side**2, units, bias=False) == full
    assert shapes.local_parameters(units, 1, kernel, bias=False) == local
    assert shapes.conv_parameters(1, 1, kernel, bias=False) == shared
    assert shapes.conv_parameters(1, 100, kernel, bias=False) == hundred


def test_FM_7_units_depend_on_size_kernel_and_stride():
    assert shapes.output_size(1000, 10, stride=10) == 100
    assert shapes.output_size(1000, 10, stride=8) == 124
    assert shapes.dropped(1000, 10, stride=8) == 6


def test_FM_8_maps_move_with_the_picture_in_the_interior():
    x = preprocess(data.photo("cat"))
    still, moved = (
        maps_of(network(), ["blocks.4"], x[:, :, s : s + 160, s : s + 160])["blocks.4"][0].numpy()
        for s in (0, 16)
    )
    field = fields.receptive_field(network(), input_size=160)["blocks.4"]
    assert field.jump == (8, 8)
    first = -(field.start[0] // 8)
    last = (160 - field.size[0] - field.start[0]) // 8
    assert (first, last) == (4, 14)
    inside = slice(first, last - 1)
    a, b = still[:, 2:, 2:], moved[:, :-2, :-2]
    np.testing.assert_allclose(a[:, inside, inside], b[:, inside, inside], atol=1e-3)
    assert np.abs(a - b).max() > 1


def test_FM_9_the_strongest_unit_lies_on_the_object():
    head = fields.receptive_field(network(), input_size=224)["head_relu"]
    assert head.size == (851, 851)
    assert head.jump == (32, 32)
    assert head.centre == (31, 31)
    for name, unit in {"coffee": (2, 3), "hopper": (5, 2), "rocket": (4, 3)}.items():
        x = preprocess(data.photo(name))
        winner = network()(x).argmax()
        last = maps_of(network(), ["head_relu"], x)["head_relu"][0]
        evidence = torch.einsum("c,chw->hw", network().classifier.weight[winner], last)
        assert divmod(evidence.argmax().item(), 7) == unit
        assert head.region(unit, clip=(224, 224)) == (0, 0, 224, 224)


def test_FM_9_fields_outgrow_the_cup_and_then_the_photo():
    sizes = {name: field.size[0] for name, field in fields.receptive_field(network(), input_size=224).items()}
    assert [sizes[f"blocks.{i}"] for i in (7, 8, 9)] == [147, 211, 275]


def test_FM_10_maps_get_sparser_with_depth_as_a_trend_but_not_at_each_step():
    names = relus()
    torch.manual_seed(0)
    random = efficientnet_lite0(pretrained=False)
    zeros, control = (
        np.array([(maps[name] == 0).double().mean().item() for name in names])
        for maps in (maps_of(network(), names, photos()), maps_of(random, names, photos()))
    )
    assert len(zeros) == 33
    np.testing.assert_allclose(zeros[[0, -1]], [0.28, 0.91], atol=0.01)
    depth = np.arange(33)
    assert np.corrcoef(depth, zeros.argsort().argsort())[0, 1] == pytest.approx(0.78, abs=0.02)
    assert np.corrcoef(depth, control.argsort().argsort())[0, 1] < 0.1
    assert (np.diff(zeros) > 0).sum() == 18


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_every_decimal_in_the_prose_is_printed_by_a_cell(chapter):
    cells = nbformat.read(chapter, as_version=4).cells
    printed = set()
    for cell in cells:
        for output in cell.get("outputs", []):
            printed |= set(re.findall(r"\d+\.\d+", output.get("text", "")))
    for cell in cells:
        if cell.cell_type == "markdown":
            prose = re.sub(
                r"\]\([^)]*\)|`[^`]*`|section[\s>]+\d+\.\d+", "", cell.source
            )  # no links, code, sources
            assert set(re.findall(r"\d+\.\d+", prose)) <= printed, cell.source[:60]


def sections_with_warnings(path):
    """Anchors of the sections of a chapter that hold a ⚠."""
    anchors, heading = set(), ""
    for cell in nbformat.read(path, as_version=4).cells:
        for line in cell.source.splitlines() if cell.cell_type == "markdown" else ():
            if match := re.match(r"#{2,3} (.*)", line):
                heading = slugify(match[1])
            if "⚠" in line:
                anchors.add(f"{path.name}#{heading}")
    return anchors


def test_the_table_of_errors_has_every_warning_and_no_other():
    page = (CHAPTERS[0].parents[1] / "book" / "literature.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ")][1:]
    links = [re.findall(r"\(\.\./chapters/([\w.]+#[\w-]+)\) \|$", row) for row in rows]
    assert {anchor for (anchor,) in links} == set().union(*map(sections_with_warnings, CHAPTERS))
