"""Projection back to pixels: what in the image drives one unit, or one map.

Keep one map, set all others to zero, and go back through the network: a convolution goes back by its
transpose, max pooling puts each value where its maximum came from (the switches). A ReLU leaves a choice:

========= ============================= =========================================================
rule      a signal passes back where    source
========= ============================= =========================================================
gradient  the input was positive        Simonyan, Vedaldi & Zisserman 2014; it is the derivative
deconvnet the signal is positive        Zeiler & Fergus 2014
guided    both are                      Springenberg, Dosovitskiy, Brox & Riedmiller 2015
========= ============================= =========================================================

ReLU6 is the same with one more limit: its input counts as positive between 0 and 6, where its slope is 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from convlab.capture import find
from convlab.shapes import as_int, as_pair

RULES = ("gradient", "deconvnet", "guided")

# Activations for which nobody has said what the other two rules are.
WITHOUT_RULE = {
    *("celu", "elu", "gelu", "hardswish", "leaky_relu", "mish", "prelu", "rrelu", "selu", "silu", "softplus"),
    "threshold",
}


@contextmanager
def relu_rule(rule: str) -> Iterator[None]:
    """Let every ReLU that runs in the body pass signals back by `rule`; what it computes stays the same.

    It is the forward pass that belongs in the body; the backward pass may come later. A ReLU counts in any
    form: module, function or method, in place or not, and ReLU6. No module is touched, so none is to restore.

    Raises
    ------
    ValueError
        If `rule` is none of `RULES`; or, under "deconvnet" and "guided", if the body runs an activation for
        which they are not defined, such as SiLU.

    >>> x = torch.tensor([-1.0, 2.0, 3.0], requires_grad=True)
    >>> signal = torch.tensor([1.0, 1.0, -1.0])
    >>> for rule in RULES:
    ...     with relu_rule(rule):
    ...         y = torch.relu(x)
    ...     print(rule, torch.autograd.grad(y, x, signal)[0].tolist())
    gradient [0.0, 1.0, -1.0]
    deconvnet [1.0, 1.0, 0.0]
    guided [0.0, 1.0, 0.0]
    """
    if rule not in RULES:
        raise ValueError(f"`rule` must be one of {', '.join(RULES)}, got {rule!r}")
    with _Rule(rule):
        yield


def project(
    model: nn.Module,
    x: Tensor,
    layer: str,
    channel: int,
    unit: tuple[int, int] | None = None,
    *,
    rule: str = "guided",
) -> Tensor:
    """Project one map of a layer, or one unit of it, back to the pixels of each image.

    The signal that goes back is the activation itself, with everything else in the layer set to zero, as in
    Zeiler & Fergus 2014 (section 2.1). With the rule "gradient" the result is the derivative of half the sum
    of squares of what was kept; for one unit: its activation times its derivative.

    So a positive pixel is one where more (a larger value of x) would strengthen what was kept, a negative one
    where less would. An activation of zero projects to zeros.

    Parameters
    ----------
    model : torch module in evaluation mode; it is left as it was, also after an error
    x : (N, C, H, W)
    layer : path of a submodule whose output is (N, channels, h, w); if it runs twice, the last time counts
    channel : which of its maps
    unit : (row, column) in the map; without it, the whole map is kept
    rule : "gradient", "deconvnet" or "guided"

    Returns
    -------
    tensor of the shape of `x`

    Raises
    ------
    ValueError
        If the layer, channel, unit or rule does not exist, the layer does not depend on `x` or did not run,
        or the model is in training mode, where batch norm and dropout change from run to run.

    >>> model = nn.Sequential(nn.Conv2d(1, 1, 2, bias=False), nn.ReLU()).eval()
    >>> _ = model[0].weight.data.copy_(torch.tensor([[1.0, 0.0], [0.0, -1.0]]))
    >>> project(model, torch.tensor([[[[5.0, 1.0], [1.0, 2.0]]]]), "1", 0)
    tensor([[[[ 3.,  0.],
              [ 0., -3.]]]])
    """
    target, channel = find(model, layer), as_int("channel", channel, 0)
    if any(module.training for module in model.modules()):
        raise ValueError("`model` must be in evaluation mode, got one in training mode: call model.eval()")
    outputs: list[Any] = []

    def keep(_module: Any, _inputs: Any, output: Any) -> Any:
        outputs.append(output)
        return output.clone() if isinstance(output, Tensor) else output  # what follows may change it in place

    hook = target.register_forward_hook(keep)
    try:
        with torch.inference_mode(False), relu_rule(rule):  # gradients are on, whatever the caller set
            pixels = x.detach().clone().requires_grad_()
            model(pixels * 1)  # a layer may work in place, which a leaf forbids
            if not outputs:
                raise ValueError(f"`layer` {layer!r} did not run")
            maps = outputs[-1]
            (projection,) = torch.autograd.grad(maps, pixels, _signal(maps, layer, channel, unit))
    finally:
        hook.remove()
    return projection


def strongest(maps: Tensor, channel: int, count: int = 9) -> list[tuple[int, int, int]]:
    """Where one map is largest: the (image, row, column) of its maximum in each image, strongest first.

    Parameters
    ----------
    maps : (N, C, H, W)
    channel : which map
    count : how many images at most

    >>> maps = torch.tensor([[[[1, 2], [0, 0]]], [[[0, 0], [5, 0]]]])
    >>> strongest(maps, 0)
    [(1, 1, 0), (0, 0, 1)]
    """
    if maps.ndim != 4 or 0 in maps.shape[2:]:
        raise ValueError(f"`maps` must have shape (N, C, H, W), got {tuple(maps.shape)}")
    _check_channel(as_int("channel", channel, 0), maps)
    values, places = maps[:, channel].flatten(1).max(1)  # both (N,)
    images = values.argsort(descending=True, stable=True)[: as_int("count", count, 1)].tolist()
    return [(image, *divmod(int(places[image]), maps.shape[3])) for image in images]


def _signal(maps: Any, layer: str, channel: int, unit: tuple[int, int] | None) -> Tensor:
    """The activations of what is kept, and zeros elsewhere."""
    if not isinstance(maps, Tensor) or maps.ndim != 4:
        shape = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
        raise ValueError(f"`layer` must give maps of shape (N, C, H, W), but {layer!r} gives {shape}")
    if not maps.requires_grad:
        raise ValueError(f"`layer` must depend on `x`, but {layer!r} does not")
    _check_channel(channel, maps)
    kept: Any = slice(None), channel
    if unit is not None:
        row, column = as_pair("unit", unit, 0)
        height, width = maps.shape[2:]
        if row >= height or column >= width:
            raise ValueError(f"`unit` must be inside the map of {height}×{width}, got ({row}, {column})")
        kept = slice(None), channel, row, column
    signal = torch.zeros_like(maps)
    signal[kept] = maps.detach()[kept]
    return signal


def _check_channel(channel: int, maps: Tensor) -> None:
    if channel >= maps.shape[1]:
        raise ValueError(f"`channel` must be below {maps.shape[1]}, got {channel}")


def _relu(input: Tensor, inplace: bool = False) -> tuple[Tensor, float, float, bool]:
    return input, 0.0, float("inf"), inplace


def _relu6(input: Tensor, inplace: bool = False) -> tuple[Tensor, float, float, bool]:
    return input, 0.0, 6.0, inplace


def _hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> tuple[Tensor, float, float, bool]:
    return input, min_val, max_val, inplace


RELUS: dict[str, Callable[..., tuple[Tensor, float, float, bool]]] = {  # input, limits, in place
    "relu": _relu,
    "relu6": _relu6,
    "hardtanh": _hardtanh,  # nn.ReLU6 is one from 0 to 6
}


class _Rule(TorchFunctionMode):
    """Sees every call of a torch function, and answers those of ReLU."""

    def __init__(self, rule: str) -> None:
        super().__init__()
        self.rule = rule

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(function, "__name__", "")
        plain = name.removesuffix("_")
        if self.rule == "gradient" or plain not in RELUS.keys() | WITHOUT_RULE:
            return function(*args, **kwargs)
        if plain in RELUS:
            x, lowest, highest, inplace = RELUS[plain](*args, **kwargs)
            if lowest == 0:
                y = _Relu.apply(x, highest, self.rule)  # type: ignore[no-untyped-call]
                return x.copy_(y) if inplace or plain != name else y
        raise ValueError(f"the rule {self.rule!r} is defined for ReLU and ReLU6 only, but {plain} ran")


class _Relu(torch.autograd.Function):
    """min(max(x, 0), limit), with the way back that a rule prescribes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, limit: float, rule: str) -> Tensor:
        ctx.save_for_backward((x > 0) & (x < limit))
        ctx.rule = rule
        return x.clamp(0, limit)

    @staticmethod
    def backward(ctx: Any, *signals: Any) -> Any:
        (signal,), (positive,) = signals, ctx.saved_tensors
        passes = signal > 0
        if ctx.rule == "guided":
            passes &= positive
        return torch.where(passes, signal, 0), None, None
