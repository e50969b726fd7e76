"""The three ways back, against a deconvnet made by hand, torch's own gradient, and each other."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from convlab.capture import capture
from convlab.deconvnet import RULES, project, relu_rule, strongest


class Small(nn.Module):
    """Convolution, ReLU and pooling, twice; `relu` chooses how the ReLU is written."""

    def __init__(self, relu=functional.relu):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5, stride=2, padding=2)
        self.pool1 = nn.MaxPool2d(3, 2, 1)
        self.conv2 = nn.Conv2d(6, 4, 3)
        self.pool2 = nn.MaxPool2d(2)
        self.relu = relu

    def forward(self, x):
        return self.pool2(self.relu(self.conv2(self.pool1(self.relu(self.conv1(x))))))


@pytest.fixture
def small():
    torch.manual_seed(0)
    model = Small().double().eval()
    for layer, bias in ((model.conv1, -2), (model.conv2, 0)):  # low, so that whole pooling windows are off
        nn.init.normal_(layer.weight, std=0.3)
        nn.init.constant_(layer.bias, bias)
    return model


@pytest.fixture
def x():
    return torch.from_numpy(np.random.default_rng(0).standard_normal((2, 3, 22, 26)))


def unpool(signal, switches, shape):
    """Put values back where the maxima came from; where windows overlap, they add up."""
    flat = torch.zeros(*shape[:2], shape[2] * shape[3], dtype=signal.dtype)
    return flat.scatter_add(2, switches.flatten(2), signal.flatten(2)).view(shape)


def by_hand(model, x, rule, channel, unit):
    """Forward with switches, keep one map, and back layer by layer."""
    with torch.no_grad():
        before1 = model.conv1(x)
        after1 = before1.relu()
        pooled1, switches1 = functional.max_pool2d(after1, 3, 2, 1, return_indices=True)
        before2 = model.conv2(pooled1)
        after2 = before2.relu()
        maps, switches2 = functional.max_pool2d(after2, 2, return_indices=True)

        def back_through_relu(signal, before):
            if rule in ("gradient", "guided"):
                signal = signal * (before > 0)
            return signal.relu() if rule in ("deconvnet", "guided") else signal

        kept = torch.zeros_like(maps)
        index = (slice(None), channel) if unit is None else (slice(None), channel, *unit)
        kept[index] = maps[index]
        signal = back_through_relu(unpool(kept, switches2, after2.shape), before2)
        signal = functional.conv_transpose2d(signal, model.conv2.weight)
        signal = back_through_relu(unpool(signal, switches1, after1.shape), before1)
        return functional.conv_transpose2d(
            signal, model.conv1.weight, stride=2, padding=2, output_padding=(1, 1)
        )


@pytest.mark.parametrize("unit", [None, (1, 1)])
@pytest.mark.parametrize("rule", RULES)
def test_projection_is_the_deconvnet_made_by_hand(small, x, rule, unit):
    y = project(small, x, "pool2", 0, unit, rule=rule)
    assert y.abs().max() > 0.01
    torch.testing.assert_close(y, by_hand(small, x, rule, 0, unit))


def test_the_three_rules_differ(small, x):
    gradient, deconvnet, guided = (project(small, x, "pool2", 0, rule=rule) for rule in RULES)
    assert not torch.allclose(gradient, deconvnet)
    assert not torch.allclose(gradient, guided)
    assert not torch.allclose(deconvnet, guided)


def test_gradient_is_the_derivative_of_half_the_sum_of_squares(small, x):
    leaf = x.clone().requires_grad_()
    (small(leaf)[:, 2].square().sum() / 2).backward()
    torch.testing.assert_close(project(small, x, "pool2", 2, rule="gradient"), leaf.grad)


def test_a_positive_pixel_strengthens_the_unit_and_a_negative_one_weakens_it(small, x):
    projection = project(small, x, "pool2", 0, (1, 1), rule="gradient")
    before, after = small(x), small(x + 1e-3 * projection)
    assert (before[:, 0, 1, 1] > 0).all()
    assert (after[:, 0, 1, 1] > before[:, 0, 1, 1]).all()


def test_images_of_a_batch_do_not_mix(small, x):
    together = project(small, x, "pool2", 0, rule="deconvnet")
    alone = [project(small, one[None], "pool2", 0, rule="deconvnet") for one in x]
    torch.testing.assert_close(together, torch.cat(alone))


@pytest.mark.parametrize(
    "relu",
    [
        nn.ReLU(),
        nn.ReLU(inplace=True),
        functional.relu,
        lambda x: functional.relu(x, True),
        lambda x: functional.relu(input=x, inplace=False),
        torch.relu,
        lambda x: torch.relu_(x),
        lambda x: x.relu(),
        lambda x: (x.relu_(), x)[1],  # the tensor that was changed in place, not the one returned
        lambda x: (functional.relu(x, inplace=True), x)[1],
    ],
)
@pytest.mark.parametrize("rule", RULES)
def test_every_way_to_write_a_relu_counts(small, x, relu, rule):
    other = Small(relu).double().eval()
    other.load_state_dict(small.state_dict())
    for layer in ("conv2", "pool2"):  # what follows conv2 may change its output in place
        expected = project(small, x, layer, 0, rule=rule)
        assert expected.any()
        torch.testing.assert_close(project(other, x, layer, 0, rule=rule), expected)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("gradient", [0, 3, -1, 0, 0]),
        ("deconvnet", [2, 3, 0, 4, 5]),
        ("guided", [0, 3, 0, 0, 0]),
    ],
)
@pytest.mark.parametrize("relu6", [nn.ReLU6(), nn.ReLU6(inplace=True), functional.relu6])
def test_relu6_has_no_slope_above_6(relu6, rule, expected):
    x = torch.tensor([-1.0, 2.0, 3.0, 7.0, 6.0], requires_grad=True)
    with relu_rule(rule):
        y = relu6(x * 1)
    np.testing.assert_array_equal(y.detach(), [0, 2, 3, 6, 6])
    (back,) = torch.autograd.grad(y, x, torch.tensor([2.0, 3.0, -1.0, 4.0, 5.0]))
    np.testing.assert_array_equal(back, expected)


def test_at_zero_no_signal_passes_but_in_the_deconvnet():
    x = torch.zeros(1, requires_grad=True)
    for rule, expected in (("gradient", 0), ("deconvnet", 1), ("guided", 0)):
        with relu_rule(rule):
            y = torch.relu(x)
        assert torch.autograd.grad(y, x)[0].item() == expected


def test_a_residual_network_and_batch_norm():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.relu = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU()

        def forward(self, x):
            return self.relu(x + self.norm(self.conv(self.relu(x))))  # one ReLU, used twice

    torch.manual_seed(1)
    model, x = Residual().double().eval(), torch.randn(1, 3, 6, 6, dtype=torch.float64)
    with torch.no_grad():
        y = model(x)
        signal = y * (torch.arange(3) == 1)[:, None, None]
        scale = (model.norm.weight / (model.norm.running_var + model.norm.eps).sqrt())[:, None, None]
        branch = functional.conv_transpose2d(signal * scale, model.conv.weight, padding=1)
        expected = signal + branch.relu() * (x > 0)
    torch.testing.assert_close(project(model, x, "relu", 1, rule="guided"), expected)


def test_what_a_relu_computes_stays_the_same(small, x):
    expected = small(x)
    for rule in RULES:
        with relu_rule(rule):
            torch.testing.assert_close(small(x), expected, rtol=0, atol=0)


def test_the_backward_pass_may_come_after_the_body():
    x = -torch.ones(3, requires_grad=True)
    with relu_rule("deconvnet"):
        y = torch.relu(x)
    assert torch.autograd.grad(y.sum(), x)[0].tolist() == [1, 1, 1]
    assert torch.autograd.grad(torch.relu(x).sum(), x)[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_the_model_is_left_as_it_was_and_gradients_need_not_be_on(small, x, context):
    before = copy.deepcopy(small.state_dict())
    with context():
        assert project(small, x, "pool2", 0).any()
    assert not x.requires_grad
    for name, value in small.named_parameters():
        assert value.grad is None
        torch.testing.assert_close(value.detach(), before[name], rtol=0, atol=0)
    assert not any(module._forward_hooks for module in small.modules())


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("pool3", 0), {}, "path of a layer of Small, got 'pool3'; the nearest are 'pool2'"),
        (("pool2", 4), {}, "`channel` must be below 4, got 4"),
        (("pool2", -1), {}, "`channel` must be at least 0, got -1"),
        (("pool2", 0, (2, 0)), {}, r"`unit` must be inside the map of 2×2, got \(2, 0\)"),
        (("pool2", 0, (0, 2)), {}, r"`unit` must be inside the map of 2×2, got \(0, 2\)"),
        (("pool2", 0, (0, -1)), {}, "`unit` must be at least 0, got -1"),
        (("pool2", 0), {"rule": "lrp"}, "`rule` must be one of gradient, deconvnet, guided, got 'lrp'"),
    ],
)
def test_an_error_leaves_no_hook_and_no_rule(small, x, arguments, options, message):
    with pytest.raises(ValueError, match=message):
        project(small, x, *arguments, **options)
    assert not any(module._forward_hooks for module in small.modules())
    leaf = torch.tensor([-1.0], requires_grad=True)
    assert torch.autograd.grad(torch.relu(leaf), leaf)[0].item() == 0


def test_an_error_in_the_model_leaves_no_hook(small):
    with pytest.raises(RuntimeError, match="channels"):
        project(small, torch.zeros(1, 2, 22, 26, dtype=torch.float64), "pool2", 0)
    assert not any(module._forward_hooks for module in small.modules())


@pytest.mark.parametrize("activation", [nn.SiLU(), nn.LeakyReLU(), nn.GELU(), nn.Hardtanh()])
def test_an_activation_without_a_rule_is_an_error_that_names_it(activation):
    model = nn.Sequential(nn.Conv2d(1, 1, 1), activation).eval()
    x = torch.ones(1, 1, 2, 2)
    for rule in ("deconvnet", "guided"):
        with pytest.raises(ValueError, match=rf"the rule '{rule}' is defined for ReLU .* but \w+ ran"):
            project(model, x, "1", 0, rule=rule)
    assert project(model, x, "1", 0, rule="gradient").shape == x.shape


def test_models_and_layers_that_cannot_be_projected(x):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle, self.constant = nn.Flatten(), nn.ReLU(), nn.ReLU()

        def forward(self, x):
            return self.used(x) * self.constant(torch.ones(1, 1, 1, 1)).sum()

    model = Two()
    with pytest.raises(ValueError, match=r"evaluation mode.*call model.eval\(\)"):
        project(model, x, "used", 0)
    model.eval()
    with pytest.raises(ValueError, match=r"`layer` must give maps .* but 'used' gives \(2, 1716\)"):
        project(model, x, "used", 0)
    with pytest.raises(ValueError, match="`layer` 'idle' did not run"):
        project(model, x, "idle", 0)
    with pytest.raises(ValueError, match="`layer` must depend on `x`, but 'constant' does not"):
        project(model, x, "constant", 0)


@pytest.mark.parametrize("rule", RULES)
def test_the_first_layer_may_work_in_place_and_the_image_stays(rule):
    x = torch.tensor([[[[-1.0, 2.0]]]])
    y = project(nn.Sequential(nn.ReLU(inplace=True)).eval(), x, "0", 0, rule=rule)
    assert (x.tolist(), y.tolist()) == ([[[[-1, 2]]]], [[[[0, 2]]]])


def test_strongest_gives_one_unit_per_image_in_order(small, x):
    with torch.no_grad(), capture(small, "conv2") as maps:
        small(torch.cat([x, 3 * x]))
    units = strongest(maps["conv2"], 2, 3)
    values = [maps["conv2"][n, 2, i, j].item() for n, i, j in units]
    assert values == sorted((one[2].max().item() for one in maps["conv2"]), reverse=True)[:3]
    assert len({n for n, _, _ in units}) == 3


def test_strongest_checks_its_input():
    with pytest.raises(ValueError, match=r"`maps` must have shape \(N, C, H, W\), got \(2, 2\)"):
        strongest(torch.zeros(2, 2), 0)
    with pytest.raises(ValueError, match="`channel` must be below 2, got 2"):
        strongest(torch.zeros(1, 2, 1, 1), 2)
    with pytest.raises(ValueError, match="`count` must be at least 1, got 0"):
        strongest(torch.zeros(1, 2, 1, 1), 1, 0)
