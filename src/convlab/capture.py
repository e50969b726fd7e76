"""Feature maps of a torch module, by layer name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def find(model: torch.nn.Module, name: str) -> torch.nn.Module:
    """Module of `model` at the dotted path `name`, or a ValueError that lists the nearest paths."""
    modules: dict[str, torch.nn.Module] = dict(model.named_modules())
    if name not in modules or not name:
        near = get_close_matches(name, modules, n=3) or [path for path in modules if path][:3]
        raise ValueError(
            f"`name` must be the path of a layer of {type(model).__name__}, got {name!r}; "
            f"the nearest are {', '.join(map(repr, near))}"
        )
    return modules[name]


def _keep(maps: dict[str, Tensor], name: str, module: Any, inputs: Any, output: Any) -> None:
    """Forward hook: keep a copy of what the layer `name` put out."""
    maps[name] = output.detach().clone()  # a copy, because a later in-place ReLU would change it


@contextmanager
def capture(model: torch.nn.Module, *names: str) -> Iterator[dict[str, Tensor]]:
    """Record what the layers `names` put out while the body runs.

    The dictionary fills when the model runs. The tensors are detached copies, usually of shape (N, C, H, W);
    a layer that runs twice leaves its last output. On leaving, also after an error, the model is as it was.

    Raises
    ------
    ValueError
        If a name is not the path of a layer; the message lists the nearest ones.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU())
    >>> with capture(model, "1") as maps:
    ...     _ = model(torch.zeros(1, 3, 10, 10))
    >>> maps["1"].shape
    torch.Size([1, 8, 8, 8])
    """
    maps: dict[str, Tensor] = {}
    layers = {name: find(model, name) for name in names}
    with ExitStack() as stack:
        for name, layer in layers.items():
            hook = layer.register_forward_hook(partial(_keep, maps, name))
            stack.callback(hook.remove)
        yield maps
