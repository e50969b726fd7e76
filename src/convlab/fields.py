"""Receptive fields: which pixels of the input a unit of a layer can see.

Along one axis, neighbouring units of a layer see the same pattern of pixels, `jump` pixels apart. So a layer
is known by what its unit 0 reads. Unit i of a window with stride s, dilation d and padding p reads the units
i·s − p, i·s − p + d, i·s − p + 2·d, … of the layer before. We follow these sets from the input up and take
their union where branches join: size, place and holes of every field come out exact, whatever the graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from convlab.shapes import Padding, Pair, as_pair, as_sides, output_size

if TYPE_CHECKING:
    from torch import fx, nn


@dataclass(frozen=True)
class Layer:
    """A convolution or a pooling, as far as receptive fields are concerned.

    Every argument is an int or a pair (height, width); `padding` may also be "same", "valid" or
    ((top, bottom), (left, right)). ValueError or TypeError for anything else.

    >>> Layer(3, stride=2)
    Layer(kernel_size=3, stride=2, padding=0, dilation=1)
    """

    kernel_size: Pair
    _: KW_ONLY
    stride: Pair = 1
    padding: Padding = 0
    dilation: Pair = 1

    def __post_init__(self) -> None:
        _windows(self)  # raises if an argument is wrong


@dataclass(frozen=True)
class Field:
    """What the units of one layer see. Every number is a pair (height, width), in pixels of the input.

    Attributes
    ----------
    size : extent, from the first to the last pixel that a unit reads, those in the padding included
    jump : distance between the fields of neighbouring units
    start : smallest index that unit (0, 0) reads; a negative one lies in the padding
    centre : middle of the field of unit (0, 0)
    support : how many distinct rows and columns a unit reads: less than `size` if the field has holes
    overlap : share of these that a unit has in common with its neighbour, between 0 and 1
    """

    size: tuple[int, int]
    jump: tuple[int, int]
    start: tuple[int, int]
    centre: tuple[float, float]
    support: tuple[int, int]
    overlap: tuple[float, float]
    _steps: tuple[_Step, ...] = field(repr=False, compare=False)

    def region(self, unit: tuple[int, int], clip: tuple[int, int]) -> tuple[int, int, int, int]:
        """Box (top, left, bottom, right) around the pixels that one unit reads in an image of a given size.

        The pixels are ``image[top:bottom, left:right]``. The box is exact at the border too: the unit's field
        is followed back layer by layer, and what lies in the padding of any of them is left out.

        Parameters
        ----------
        unit : (row, column) in the map
        clip : (H, W) of the image

        Raises
        ------
        ValueError
            If the map of such an image has no such unit, or the unit reads nothing but padding.

        >>> first = receptive_field([Layer(7, stride=2, padding=3)])["0"]
        >>> first.region((0, 4), clip=(32, 32))  # without the border: rows −3 to 3, columns 5 to 11
        (0, 5, 4, 12)
        """
        row, column = as_pair("unit", unit, 0)
        height, width = as_pair("clip", clip, 1)
        rows, columns = _pixels(self._steps, 0, row, height), _pixels(self._steps, 1, column, width)
        if not (rows and columns):
            raise ValueError(f"unit ({row}, {column}) reads padding alone, no pixel of the image")
        return min(rows), min(columns), max(rows) + 1, max(columns) + 1


def receptive_field(
    model: Sequence[Layer] | nn.Module, *, input_size: Pair | None = None
) -> dict[str, Field]:
    """Receptive field of every layer, in the order in which they run; the output comes last.

    Parameters
    ----------
    model : list of Layer, or torch.nn.Module
        A list gives the keys "0", "1", …. A module is traced with torch.fx, not run, and gives the paths of
        its submodules, blocks included ("blocks.3" is what that block hands on). If the forward method does
        something after its last submodule, one more key, "output", is added. A module that is called several
        times counts with its last call. Batch norm counts as it works in evaluation: each unit by itself.
    input_size : int or (H, W)
        Needed by layers that look at the whole map: global and adaptive pooling, flatten, linear. Such a
        layer counts as a window as large as the map before it: `region` then gives the whole image, and
        `size` is, as always, counted with the padding.

    Raises
    ------
    ValueError
        If no rule is known for a layer or function (the message names it), if branches that join have
        different jumps, or if `input_size` is missing or does not fit.

    >>> fields = receptive_field([Layer(3), Layer(2, stride=2), Layer(3, dilation=2)])
    >>> fields["1"].size, fields["1"].jump, fields["1"].overlap
    ((4, 4), (2, 2), (0.5, 0.5))
    >>> fields["2"].size
    (12, 12)
    """
    steps, numbers = _steps_of_list(model) if isinstance(model, Sequence) else _steps_of_module(model)
    height, width = (None, None) if input_size is None else as_pair("input_size", input_size, 1)
    rows, columns = _follow(steps, 0, height), _follow(steps, 1, width)
    return {name: _field(steps[: n + 1], rows[n], columns[n]) for name, n in numbers.items()}


# One axis at a time.


@dataclass(frozen=True)
class _Window:
    """A layer along one axis. With `parts`, it cuts a map of any length into that many windows."""

    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0
    ceil: bool = False
    parts: int = 0

    def reads(self, unit: int) -> range:
        """Which units of the layer before are read by this one's."""
        if self.parts:
            raise ValueError("looks at the whole map: pass `input_size`")
        first = unit * self.stride - self.before
        return range(first, first + self.kernel * self.dilation, self.dilation)

    def fit(self, length: int) -> _Window:
        """The same with its size known, for a map of this length."""
        if not self.parts:
            return self
        if length % self.parts:
            raise ValueError(
                f"windows of different sizes: a map of {length} is not cut evenly into {self.parts}"
            )
        return _Window(length // self.parts, stride=length // self.parts)

    def length(self, length: int) -> int:
        """How many units it makes of a map of this length; `ceil` as in torch's pooling."""
        padded = length + self.before + self.after + (self.stride - 1 if self.ceil else 0)
        units = output_size(padded, self.kernel, stride=self.stride, dilation=self.dilation)
        starts_outside = (units - 1) * self.stride >= length + self.before
        return units - 1 if self.ceil and starts_outside else units


_Windows = tuple[_Window, _Window]
_EACH = _Window(), _Window()  # every unit by itself
_WHOLE = _Window(parts=1), _Window(parts=1)  # all units at once


@dataclass(frozen=True)
class _Step:
    """One step of a network: a window over the sum of its parents, which are numbers of earlier steps."""

    name: str
    parents: tuple[int, ...] = ()
    windows: _Windows = _EACH


@dataclass(frozen=True)
class _Axis:
    """What a layer's units see along one axis."""

    jump: int
    reads: frozenset[int]  # by unit 0

    @property
    def size(self) -> int:
        return max(self.reads) - min(self.reads) + 1

    @property
    def overlap(self) -> float:
        return len(self.reads & {pixel + self.jump for pixel in self.reads}) / len(self.reads)


def _follow(steps: tuple[_Step, ...], axis: int, size: int | None) -> list[_Axis]:
    """Fields of all steps along one axis, from the input up."""
    windows = [step.windows[axis] for step in steps] if size is None else _fit(steps, axis, size)[0]
    fields = [_Axis(1, frozenset({0}))]
    for step, window in zip(steps[1:], windows[1:], strict=True):
        jump = fields[step.parents[0]].jump
        for parent in step.parents:
            if fields[parent].jump != jump:
                raise ValueError(
                    f"{step.name} joins {steps[step.parents[0]].name} with jump {jump} and "
                    f"{steps[parent].name} with jump {fields[parent].jump}: their units do not line up"
                )
        below = frozenset[int]().union(*(fields[parent].reads for parent in step.parents))
        with _naming(step):
            reads = {pixel + unit * jump for unit in window.reads(0) for pixel in below}
        fields.append(_Axis(jump * window.stride, frozenset(reads)))
    return fields


def _fit(steps: tuple[_Step, ...], axis: int, size: int) -> tuple[list[_Window], list[int]]:
    """Windows and lengths of all maps along one axis, for an input of this size."""
    windows, lengths = [_Window()], [size]
    for step in steps[1:]:
        below = [lengths[parent] for parent in step.parents]
        with _naming(step):
            if min(below) != max(below):
                raise ValueError(f"joins maps of different sizes: {below}")
            window = step.windows[axis].fit(below[0])
            lengths.append(window.length(below[0]))
        windows.append(window)
    return windows, lengths


def _pixels(steps: tuple[_Step, ...], axis: int, unit: int, size: int) -> set[int]:
    """Pixels that one unit of the last step reads along one axis: back from there to the input."""
    windows, lengths = _fit(steps, axis, size)
    if unit >= lengths[-1]:
        raise ValueError(f"unit {unit} is outside the map: an image of {size} gives {lengths[-1]} units")
    wanted: list[set[int]] = [set() for _ in steps]
    wanted[-1] = {unit}
    for number in reversed(range(1, len(steps))):
        read = {below for above in wanted[number] for below in windows[number].reads(above)}
        for parent in steps[number].parents:
            wanted[parent] |= {below for below in read if 0 <= below < lengths[parent]}
    return wanted[0]


def _field(steps: tuple[_Step, ...], rows: _Axis, columns: _Axis) -> Field:
    start = min(rows.reads), min(columns.reads)
    return Field(
        size=(rows.size, columns.size),
        jump=(rows.jump, columns.jump),
        start=start,
        centre=(start[0] + (rows.size - 1) / 2, start[1] + (columns.size - 1) / 2),
        support=(len(rows.reads), len(columns.reads)),
        overlap=(rows.overlap, columns.overlap),
        _steps=steps,
    )


@contextmanager
def _naming(step: _Step) -> Iterator[None]:
    """Put the name of the step in front of an error."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{step.name}: {error}") from None


# From models to steps.


def _windows(layer: Layer) -> _Windows:
    kernel_size = as_pair("kernel_size", layer.kernel_size, 1)
    stride, dilation = as_pair("stride", layer.stride, 1), as_pair("dilation", layer.dilation, 1)
    sides = as_sides(layer.padding, kernel_size=kernel_size, stride=stride, dilation=dilation)
    rows, columns = zip(kernel_size, stride, dilation, sides, strict=True)
    return _Window(*rows[:3], *rows[3]), _Window(*columns[:3], *columns[3])


def _steps_of_list(layers: Sequence[Layer]) -> tuple[tuple[_Step, ...], dict[str, int]]:
    if not layers:
        raise ValueError("`model` must have at least one layer, got an empty list")
    steps = [_Step("input")]
    for number, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise TypeError(f"`model[{number}]` must be a Layer, got {layer!r}")
        steps.append(_Step(f"layer {number}", (number,), _windows(layer)))
    return tuple(steps), {str(number): number + 1 for number in range(len(layers))}


def _steps_of_module(model: nn.Module) -> tuple[tuple[_Step, ...], dict[str, int]]:
    graph, results = _trace(model)
    steps: list[_Step] = []
    numbers: dict[Any, int] = {}  # of the nodes that hold something computed from the image
    for node in graph.nodes:
        parents = tuple(numbers[parent] for parent in node.all_input_nodes if parent in numbers)
        if node.op == "placeholder" and steps:
            raise ValueError(f"`model` must take one image, but its forward takes `{node.target}` as well")
        if node.op == "output":
            results = _with_output(results, node.args[0], numbers)
        elif node.op == "placeholder" or (parents and not _asks_size(node)):
            numbers[node] = len(steps)
            steps.append(_step(node, parents, model))
    return tuple(steps), {path: numbers[node] for path, node in results.items()}


def _trace(model: nn.Module) -> tuple[fx.Graph, dict[str, Any]]:
    """Graph of a module, and the node in it that each submodule's last call returns."""
    from torch import fx, nn

    if not isinstance(model, nn.Module):
        raise TypeError(f"`model` must be a list of Layer or a torch.nn.Module, got {model!r}")
    results: dict[str, Any] = {}

    class Tracer(fx.Tracer):
        def call_module(self, m: nn.Module, *arguments: Any) -> Any:
            result = super().call_module(m, *arguments)
            path = self.path_of_module(m)
            results.pop(path, None)  # so that the order is that of the last calls
            if isinstance(result, fx.Proxy):
                results[path] = result.node
            return result

    return Tracer().trace(model), results


def _with_output(results: dict[str, Any], output: Any, numbers: dict[Any, int]) -> dict[str, Any]:
    """Add "output", unless the last submodule's result is what the model returns."""
    if output.__hash__ is None or output not in numbers:
        raise ValueError(f"`model` must return one map that it computes from its input, got {output!r}")
    known = {path: node for path, node in results.items() if node in numbers}
    return known if list(known.values())[-1:] == [output] else known | {"output": output}


def _step(node: fx.Node, parents: tuple[int, ...], model: nn.Module) -> _Step:
    if node.op == "placeholder":
        return _Step("input")
    if node.op == "call_module":
        module = model.get_submodule(str(node.target))
        name, label, windows = f"`{node.target}`", type(module).__name__, _windows_of_module(module)
    else:
        name, label, windows = f"`{node.name}`", _function(node), _windows_of_function(node)
    if windows is None:
        raise ValueError(f"no rule is known for {name} ({label}), or not with these arguments")
    return _Step(name, parents, windows)


def _windows_of_module(module: nn.Module) -> _Windows | None:
    from torch import nn

    match module:
        case nn.Conv2d(padding_mode="zeros"):
            return _windows(_layer(module))
        case nn.MaxPool2d() | nn.AvgPool2d():
            rows, columns = _windows(_layer(module))
            return replace(rows, ceil=module.ceil_mode), replace(columns, ceil=module.ceil_mode)
        case nn.ConstantPad2d():  # and its subclass ZeroPad2d
            left, right, top, bottom = module.padding
            return _Window(before=top, after=bottom), _Window(before=left, after=right)
        case nn.AdaptiveAvgPool2d() | nn.AdaptiveMaxPool2d():
            size = module.output_size
            height, width = size if isinstance(size, tuple) else (size, size)
            return _Window(parts=height or 0), _Window(parts=width or 0)  # None leaves an axis as it is
        case nn.Linear() | nn.Flatten(start_dim=0 | 1, end_dim=-1):
            return _WHOLE
        case nn.Softmax(dim=1 | -3) | nn.LogSoftmax(dim=1 | -3):  # over the channels
            return _EACH
    return _EACH if type(module).__name__ in _EACH_MODULES else None


def _layer(module: Any) -> Layer:
    """The arguments of a torch convolution or pooling; average pooling has no dilation."""
    dilation = getattr(module, "dilation", 1)
    return Layer(module.kernel_size, stride=module.stride, padding=module.padding, dilation=dilation)


def _windows_of_function(node: fx.Node) -> _Windows | None:
    from torch import nn
    from torch.nn import functional

    name, arguments = _function(node), node.args[1:]
    pools = {
        functional.max_pool2d: nn.MaxPool2d,
        functional.avg_pool2d: nn.AvgPool2d,
        functional.adaptive_avg_pool2d: nn.AdaptiveAvgPool2d,
        functional.adaptive_max_pool2d: nn.AdaptiveMaxPool2d,
    }
    if node.target in pools:
        return _windows_of_module(pools[node.target](*arguments, **node.kwargs))
    dims = arguments[0] if arguments else node.kwargs.get("dim", node.kwargs.get("start_dim"))
    match name, dims:
        case (("cat" | "concat" | "softmax" | "log_softmax"), (1 | -3)):  # over the channels
            return _EACH
        case "mean", ((2, 3) | (-2, -1) | (-1, -2)):
            return _WHOLE
        case "flatten", (0 | 1 | None):
            return _WHOLE
        case (("view" | "reshape"), _) if len(arguments) == 2:  # (N, C·H·W)
            return _WHOLE
    return _EACH if name.removesuffix("_") in _EACH_FUNCTIONS else None


def _function(node: fx.Node) -> str:
    """Name of the function or method that a node calls."""
    return str(getattr(node.target, "__name__", node.target))


def _asks_size(node: fx.Node) -> bool:
    """Whether a node is x.size(…), x.dim() or x.shape: numbers, not a map."""
    if node.op == "call_method":
        return node.target in ("size", "dim")
    return node.target is getattr and node.args[1] == "shape"


_EACH_FUNCTIONS = {
    *("add", "iadd", "sub", "isub", "mul", "imul", "div", "truediv", "neg", "abs", "pow", "clamp"),
    *("relu", "relu6", "hardtanh", "leaky_relu", "elu", "gelu", "silu", "hardswish", "hardsigmoid"),
    *("sigmoid", "tanh", "dropout", "dropout2d", "contiguous"),
}
_EACH_MODULES = {
    *("Identity", "Dropout", "Dropout2d", "BatchNorm1d", "BatchNorm2d", "LocalResponseNorm", "ReLU", "ReLU6"),
    *("LeakyReLU", "PReLU", "ELU", "SELU", "CELU", "GELU", "SiLU", "Mish", "Sigmoid", "Tanh", "Hardtanh"),
    *("Hardswish", "Hardsigmoid", "Softplus", "Softsign", "LogSigmoid"),
}
