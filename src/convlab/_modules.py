"""What convlab.fields does with torch modules: trace them into steps, and differentiate them."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from fractions import Fraction
from inspect import signature
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from convlab._rules import EACH, WHOLE, Parts, Resize, ResizeTo, Rules, Step, Window, transposed, windows
from convlab.shapes import as_int

# From a module to steps.


def steps_of_module(model: Any) -> tuple[tuple[Step, ...], dict[str, int]]:
    """Trace a module; the dict gives, for every key of `receptive_field`, the number of its step."""
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"`model` must be a list of Layer, a convlab.nets.Net or a torch.nn.Module, got {model!r}"
        )
    required = [
        parameter.name
        for parameter in signature(model.forward).parameters.values()
        if parameter.default is parameter.empty and parameter.kind <= parameter.POSITIONAL_OR_KEYWORD
    ]
    if len(required) > 1:
        raise ValueError(f"`model` must take one image, but its forward takes `{required[1]}` as well")
    results: dict[str, fx.Node] = {}  # the node that each submodule's last call returns

    class Tracer(fx.Tracer):
        def call_module(self, m: nn.Module, *arguments: Any) -> Any:
            result = super().call_module(m, *arguments)
            path = self.path_of_module(m).removeprefix("model.")
            results.pop(path, None)  # so that the order is that of the last calls
            if isinstance(result, fx.Proxy) and m is not model:
                results[path] = result.node
            return result

    class OneImage(nn.Module):
        """Calls the model with an image alone, so that it takes the defaults of all else."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: Any) -> Any:
            is_layer = Tracer().is_leaf_module(model, "model")
            return self.model(x) if is_layer else self.model.forward(x)  # whose hooks would see no tensor

    one = OneImage()
    try:
        graph = Tracer().trace(one)
    except fx.proxy.TraceError as error:
        raise ValueError(f"torch.fx cannot trace `model`: {error}") from error
    trace = _Trace(one)
    for node in graph.nodes:
        trace.follow(node)
    keys = {path: node for path, node in results.items() if node in trace.numbers}
    for key, node in _outputs(trace.output, "output"):
        if not isinstance(node, fx.Node) or node not in trace.numbers:
            raise ValueError(f"`model` must return maps that it computes from its input, got {node!r}")
        if key != "output" or list(keys.values())[-1:] != [node]:
            keys[key] = node
    return tuple(trace.steps), {key: trace.numbers[node] for key, node in keys.items()}


def _outputs(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Every map in what a model returns, with a key for each."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _outputs(one, f"{key}.{name}")
    elif isinstance(value, tuple | list):
        for number, one in enumerate(value):
            yield from _outputs(one, f"{key}.{number}")
    else:
        yield key, value


class _Side(NamedTuple):
    """Height (axis 0) or width (1) of the map that a step makes: known when the size of the input is."""

    step: int
    axis: int


class _Summary(NamedTuple):
    """A norm: every unit reads itself, and what these rules give."""

    rules: Rules


@dataclass
class _Trace:
    """Steps made of the nodes of a graph so far."""

    model: nn.Module

    def __post_init__(self) -> None:
        self.steps: list[Step] = []
        self.numbers: dict[fx.Node, int] = {}  # of the nodes that hold something computed from the image
        self.shapes: dict[fx.Node, Any] = {}  # what is known of the nodes that hold shapes
        self.output: Any = None

    def follow(self, node: fx.Node) -> None:
        """Add the steps of one node."""
        parents = tuple(self.numbers[parent] for parent in node.all_input_nodes if parent in self.numbers)
        if node.op == "output":
            self.output = node.args[0]
        elif node.op == "placeholder":
            self.add(node, Step("input"))
        elif _asks_shape(node):
            self.shapes[node] = self.shape(node)
        elif parents:
            name, label, rules = self.describe(node)
            if rules is None:
                raise ValueError(f"no rule is known for {name} ({label}), or not with these arguments")
            if _name(node) == "expand_as":
                parents = parents[:1]
            if isinstance(rules, _Summary):
                self.steps.append(Step(name, parents, rules.rules))
                parents, rules = (*parents, len(self.steps) - 1), EACH
            self.add(node, Step(name, parents, rules))
        elif _name(node) == "getitem":
            whole, index = self.known(node.args[0]), node.args[1]
            known = isinstance(whole, tuple) and isinstance(index, int | slice)
            self.shapes[node] = whole[index] if known else "unknown"

    def add(self, node: fx.Node, step: Step) -> None:
        self.numbers[node] = len(self.steps)
        self.steps.append(step)

    def shape(self, node: fx.Node) -> Any:
        """Shape of a map, as far as it is known: x.shape, x.size(), or one number of it, x.size(2)."""
        number = self.numbers.get(node.args[0])  # type: ignore[arg-type]
        whole = None if number is None else (None, None, _Side(number, 0), _Side(number, 1))
        dim = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
        return whole[dim] if whole and isinstance(dim, int) else whole

    def describe(self, node: fx.Node) -> tuple[str, str, Rules | _Summary | None]:
        """Name of a node, what it is, and its rules: None if there are none."""
        if node.op == "call_module":
            module = self.model.get_submodule(str(node.target))
            known = len(node.args) == 1 and not node.kwargs
            path = str(node.target).removeprefix("model.")
            return f"`{path}`", type(module).__name__, _rules_of_module(module) if known else None
        return f"`{node.name}`", _name(node), self.rules_of_function(node)

    def rules_of_function(self, node: fx.Node) -> Rules | _Summary | None:
        """Rules of a function or method."""
        name, arguments = _name(node), node.args[1:]
        options: dict[str, Any] = dict(node.kwargs)
        options.pop("inplace", None)
        if name in _MODULE_OF:
            return _rules_of_module(_MODULE_OF[name](*arguments, **options))
        dims = arguments[0] if arguments else options.get("dim", options.get("start_dim"))
        match name:
            case "cat" | "concat" | "softmax" | "log_softmax":  # over the channels
                return EACH if dims in (1, -3) else None
            case "chunk" | "split":  # of the channels
                return EACH if (*arguments[1:], options.get("dim"))[0] in (1, -3) else None
            case "normalize":
                return EACH if options.get("dim", (*arguments, 2.0, 1)[1]) == 1 else None
            case "mean" | "sum" | "amax":
                whole = isinstance(dims, tuple | list) and sorted(dims) in ([2, 3], [-2, -1])
                return WHOLE if whole else None
            case "flatten":
                return WHOLE if dims in (0, 1, None) else None
            case "view" | "reshape":  # (N, C·H·W), or (N, C, 1, 1) of a vector
                return WHOLE if len(arguments) == 2 or arguments[2:] == (1, 1) else None
            case "getitem":
                return _rules_of_index(node)
            case "pad":
                return _padding(**dict(zip(("pad", "mode", "value"), arguments, strict=False)) | options)
            case "interpolate" | "upsample":
                names = ("size", "scale_factor", "mode", "align_corners", "recompute_scale_factor")
                options |= dict(zip(names, arguments, strict=False))
                options["size"] = self.known(options.get("size"))
                return _resize(**options)
            case "expand_as":
                like = self.numbers[arguments[0]]  # type: ignore[index]
                return (ResizeTo(like=like), ResizeTo(like=like))
            case "group_norm" | "instance_norm":
                return _Summary(WHOLE)
        return EACH if name in _EACH_FUNCTIONS else None

    def known(self, size: Any) -> Any:
        """Replace the nodes in a size by what they stand for."""
        if isinstance(size, tuple | list):
            return tuple(self.known(side) for side in size)
        return self.shapes.get(size, "unknown") if isinstance(size, fx.Node) else size


def _name(node: fx.Node) -> str:
    """Name of the function or method that a node calls."""
    return str(getattr(node.target, "__name__", node.target)).strip("_")


def _asks_shape(node: fx.Node) -> bool:
    """Whether a node is x.size(…), x.dim() or x.shape: numbers, not a map."""
    if node.op == "call_method":
        return node.target in ("size", "dim")
    return node.target is getattr and node.args[1] == "shape"


def _rules_of_module(module: nn.Module) -> Rules | _Summary | None:
    match module:
        case nn.Conv2d():
            return windows(*_geometry(module), edge=module.padding_mode)
        case nn.ConvTranspose2d():
            return transposed(*_geometry(module), _pair(module.output_padding))
        case nn.MaxPool2d(return_indices=False) | nn.AvgPool2d():
            return windows(*_geometry(module), ceil=module.ceil_mode)
        case nn.ConstantPad2d() | nn.ReflectionPad2d() | nn.ReplicationPad2d() | nn.CircularPad2d():
            return _padding(module.padding, _PADDING_OF.get(type(module).__name__, "constant"))
        case nn.AdaptiveAvgPool2d() | nn.AdaptiveMaxPool2d(return_indices=False):
            size = module.output_size
            height, width = size if isinstance(size, tuple) else (size, size)
            rows, columns = (EACH[0] if side is None else Parts(parts=side) for side in (height, width))
            return rows, columns
        case nn.Upsample():
            recompute = module.recompute_scale_factor
            return _resize(module.size, module.scale_factor, module.mode, module.align_corners, recompute)
        case nn.PixelShuffle():
            up = Resize(up=module.upscale_factor)
            return up, up
        case nn.PixelUnshuffle():
            return windows(module.downscale_factor, module.downscale_factor)
        case nn.Linear() | nn.Flatten(start_dim=0 | 1, end_dim=-1):
            return WHOLE
        case nn.Softmax(dim=1 | -3) | nn.LogSoftmax(dim=1 | -3):  # over the channels
            return EACH
        case nn.GroupNorm() | nn.InstanceNorm2d(track_running_stats=False):
            return _Summary(WHOLE)
        case nn.LayerNorm():  # over the width, or over height and width
            return _Summary(WHOLE if len(module.normalized_shape) > 1 else (EACH[0], WHOLE[1]))
    return EACH if type(module).__name__ in _EACH_MODULES else None


def _geometry(module: Any) -> tuple[Any, Any, Any, Any]:
    """The arguments of a torch convolution or pooling; average pooling has no dilation."""
    return module.kernel_size, module.stride, module.padding, getattr(module, "dilation", 1)


def _pair(sides: Any) -> tuple[int, int]:
    height, width = sides
    return height, width


def _padding(pad: Any, mode: str = "constant", value: Any = None) -> Rules | None:
    if len(pad) not in (2, 4) or not all(isinstance(side, int) for side in pad):
        return None
    left, right, top, bottom = (*pad, 0, 0)[:4]
    edge = "zeros" if mode == "constant" else mode
    return Window(before=top, after=bottom, edge=edge), Window(before=left, after=right, edge=edge)


def _resize(
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Rules | None:
    if mode not in ("nearest", "nearest-exact", "bilinear", "bicubic") or antialias:
        return None
    given = scale_factor if size is None else size
    sides = given if isinstance(given, tuple | list) and not isinstance(given, _Side) else (given, given)
    corners = bool(align_corners)
    rules: list[Resize | ResizeTo] = []
    for axis, side in enumerate(sides):
        match side:
            case _Side(step, side_axis) if side_axis == axis:
                rules.append(ResizeTo(mode=mode, corners=corners, like=step))
            case int() if size is not None:
                rules.append(ResizeTo(mode=mode, corners=corners, total=side))
            case int() | float() if size is None:
                scale = Fraction(side).limit_denominator(1000)
                if corners or recompute_scale_factor:
                    rules.append(ResizeTo(mode=mode, corners=corners, scale=scale))
                else:
                    rules.append(Resize(up=scale.numerator, stride=scale.denominator, mode=mode))
            case _:
                return None
    return (rules[0], rules[1]) if len(rules) == 2 else None


def _rules_of_index(node: fx.Node) -> Rules | None:
    """One of the parts of chunk or split, or a slice x[:, a:b, top:bottom:step, left:right:step]."""
    source, index = node.args
    if isinstance(index, int):
        parts = isinstance(source, fx.Node) and _name(source) in ("chunk", "split")
        return EACH if parts else None
    if not (isinstance(index, tuple) and len(index) <= 4 and all(isinstance(one, slice) for one in index)):
        return None
    rules = []
    for part in (*index, slice(None), slice(None), slice(None))[2:4]:
        start, stop, step = part.start or 0, part.stop or 0, part.step or 1
        if not all(isinstance(number, int) for number in (start, stop, step)):
            return None
        if start < 0 or stop > 0 or step < 1:
            return None
        rules.append(Window(stride=step, before=-start, after=stop))
    return rules[0], rules[1]


_MODULE_OF: dict[str, Any] = {
    "max_pool2d": nn.MaxPool2d,
    "avg_pool2d": nn.AvgPool2d,
    "adaptive_avg_pool2d": nn.AdaptiveAvgPool2d,
    "adaptive_max_pool2d": nn.AdaptiveMaxPool2d,
    "pixel_shuffle": nn.PixelShuffle,
    "pixel_unshuffle": nn.PixelUnshuffle,
}
_PADDING_OF = {"ReflectionPad2d": "reflect", "ReplicationPad2d": "replicate", "CircularPad2d": "circular"}
_ACTIVATIONS = {
    *("relu", "relu6", "hardtanh", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish"),
    *("hardsigmoid", "softplus", "softsign", "logsigmoid", "prelu", "rrelu", "sigmoid", "tanh", "clamp"),
    *("neg", "abs", "pow", "exp", "log", "sqrt", "square", "dropout", "dropout2d", "feature_dropout"),
    *("batch_norm", "local_response_norm"),
}
_ARITHMETIC = {
    *("add", "iadd", "radd", "sub", "isub", "rsub", "mul", "imul", "rmul", "div", "idiv", "truediv"),
    *("itruediv", "rtruediv", "rdiv", "maximum", "minimum"),
}
_EACH_FUNCTIONS = _ACTIVATIONS | _ARITHMETIC | {"contiguous", "clone", "float", "to", "channel_shuffle"}
_EACH_MODULES = {
    *("Identity", "Dropout", "Dropout2d", "BatchNorm1d", "BatchNorm2d", "SyncBatchNorm"),
    *("InstanceNorm2d", "LocalResponseNorm", "ReLU", "ReLU6", "LeakyReLU", "PReLU", "RReLU", "ELU", "SELU"),
    *("CELU", "GELU", "SiLU", "Mish", "Sigmoid", "Tanh", "Hardtanh", "Hardswish", "Hardsigmoid", "Softplus"),
    *("Softsign", "LogSigmoid", "ChannelShuffle", "Softmax2d"),
}


# Gradients.


def gradient(
    module: Any, unit: tuple[int, int], size: tuple[int, int], layer: str | None, channels: int | None
) -> NDArray[np.float64]:
    """Gradient of a unit, summed over channels, (H, W), where nothing can cancel: see fields.measure."""
    if not isinstance(module, nn.Module):
        raise TypeError(f"`module` must be a torch.nn.Module, got {module!r}")
    copy = deepcopy(module).double().eval().requires_grad_(False)
    with torch.no_grad():
        for weight in copy.parameters():
            weight.fill_(1 / weight[0].numel() if weight.ndim > 1 else 1)
    named = dict(copy.named_modules())
    if layer is not None and layer not in named:
        raise ValueError(f"`layer` must be the path of a submodule, got {layer!r}")
    if channels is None:
        channels = next((m.in_channels for m in named.values() if isinstance(m, nn.Conv2d)), 1)
    depth = as_int("channels", channels, 1)
    image = torch.ones(1, depth, *size, dtype=torch.float64, requires_grad=True)
    results: list[Any] = []
    if layer:
        named[layer].register_forward_hook(lambda _module, _inputs, result: results.append(result))
    with _Linear():
        results.insert(0, copy(image * 1))  # times 1: a leaf may not be changed in place
    result = results[-1]
    if not isinstance(result, Tensor):
        raise ValueError(f"`layer` must return one tensor, got {type(result).__name__}")
    maps = result if result.ndim == 4 else result.reshape(1, -1, 1, 1)
    row, column = unit
    height, width = maps.shape[2:]
    if row >= height or column >= width:
        raise ValueError(f"`unit` must be inside the map of {height}×{width}, got ({row}, {column})")
    value = maps[0, :, row, column].sum()
    if not value.requires_grad:  # it reads nothing of the image
        return np.zeros(size)
    (answer,) = torch.autograd.grad(value, image)
    return answer[0].sum(0).numpy()


class _Linear(TorchFunctionMode):
    """Replaces what could hide a connection from a gradient by a sum over the same inputs."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(getattr(function, "__name__", function)).strip("_")
        kwargs = kwargs or {}
        x = args[0] if args else None
        if not isinstance(x, Tensor):
            return function(*args, **kwargs)
        if name in _ACTIVATIONS or name in ("to", "float", "half", "bfloat16"):
            return x
        if name in _ARITHMETIC:
            return x + args[1] if len(args) > 1 and isinstance(args[1], Tensor) else x
        match name:
            case "max_pool2d":
                return _sum_pool2d(x, function(*args, **kwargs).shape, *args[1:], **kwargs)
            case "adaptive_max_pool2d":
                return functional.adaptive_avg_pool2d(x, *args[1:])
            case "amax":
                return x.mean(*args[1:], **kwargs)
            case "instance_norm" if not kwargs.get("use_input_stats", True):
                return x
            case "group_norm" | "instance_norm":
                return x + x.mean(tuple(range(1, x.ndim)), keepdim=True)
            case "layer_norm":
                return x + x.mean(tuple(range(-len(args[1]), 0)), keepdim=True)
            case "softmax" | "log_softmax" | "normalize":
                dim = kwargs.get("dim", 1)
                return x + x.sum(dim, keepdim=True)
        return function(*args, **kwargs)


def _sum_pool2d(
    x: Tensor,
    shape: torch.Size,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    """Sum of what a max pooling to this shape chooses from."""
    rows, columns = windows(kernel_size, kernel_size if stride is None else stride, padding, dilation)
    top, left, (height, width) = rows.before, columns.before, x.shape[2:]
    bottom, right = (  # as far as the last window reaches, which `ceil_mode` lets begin before the end
        (units - 1) * window.stride + (window.kernel - 1) * window.dilation + 1 - window.before - length
        for units, length, window in ((shape[2], height, rows), (shape[3], width, columns))
    )
    ones = x.new_ones(x.shape[1], 1, rows.kernel, columns.kernel)
    return functional.conv2d(
        functional.pad(x, (left, max(right, 0), top, max(bottom, 0))),
        ones,
        stride=(rows.stride, columns.stride),
        dilation=(rows.dilation, columns.dilation),
        groups=x.shape[1],
    )[:, :, : shape[2], : shape[3]]
