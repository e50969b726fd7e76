import copy

import pytest
import torch
from torch import nn

from convlab.capture import capture, find


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.Sequential(nn.Conv2d(4, 2, 1)))


def hooks(model):
    return sum(len(module._forward_hooks) for module in model.modules())


def test_maps_are_what_the_layers_put_out(model):
    x = torch.randn(2, 1, 8, 8)
    with torch.no_grad(), capture(model, "0", "2.0") as maps:
        output = model(x)
    torch.testing.assert_close(
        maps["0"], copy.deepcopy(model[0])(x).detach()
    )  # not what the in-place ReLU made of it
    torch.testing.assert_close(maps["2.0"], output)
    assert (maps["0"] < 0).any()
    assert hooks(model) == 0


def test_the_maps_need_no_gradient_and_a_later_run_replaces_them(model):
    with capture(model, "0") as maps:
        model(torch.ones(1, 1, 8, 8))
        first = maps["0"]
        model(torch.zeros(1, 1, 8, 8))
    assert not maps["0"].requires_grad
    assert not torch.equal(first, maps["0"])


def test_the_model_is_left_as_it_was_also_after_an_error(model):
    with pytest.raises(RuntimeError, match="channels"), capture(model, "0", "1"):
        model(torch.zeros(1, 3, 8, 8))
    assert hooks(model) == 0


def test_another_hook_stays(model):
    model[0].register_forward_hook(lambda *_: None)
    with capture(model, "0"):
        pass
    assert hooks(model) == 1


def test_a_name_that_does_not_exist_is_an_error_before_anything_changes(model):
    with (
        pytest.raises(ValueError, match=r"path of a layer of Sequential, got '2.9'; the nearest are .*'2.0'"),
        capture(model, "0", "2.9"),
    ):
        pass
    assert hooks(model) == 0


@pytest.mark.parametrize("name", ["", "convolution"])
def test_find_lists_layers_that_exist(model, name):
    with pytest.raises(ValueError, match=f"got '{name}'; the nearest are '"):
        find(model, name)


def test_find_returns_the_module_itself(model):
    assert find(model, "2.0") is model[2][0]
