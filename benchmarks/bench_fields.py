"""Receptive fields and their measurement; the time of importing the library."""

import subprocess
import sys
from statistics import median
from time import perf_counter

import torch

from convlab.fields import measure, receptive_field
from convlab.nets import resnet
from convlab.pretrained import efficientnet_lite0

ROUNDS = 15


def seconds(function):
    """Time of one call."""
    start = perf_counter()
    function()
    return perf_counter() - start


def graph():
    """Fields of all layers of two networks; time per layer, deep against shallow."""
    deep, shallow = resnet(152), resnet(50)
    times = [
        [seconds(lambda net=net: receptive_field(net)) for net in (deep, shallow)] for _ in range(ROUNDS)
    ]
    growth = median(d / s for d, s in times) / (len(deep.nodes) / len(shallow.nodes))
    return [
        ("fields of all layers of ResNet-152", f"{1000 * median(d for d, _ in times):.0f} ms", "≤ 50 ms"),
        ("time per layer, ResNet-152 against ResNet-50", f"{growth:.2f} ×", "≤ 1.3 ×"),
    ]


def gradient():
    """Passes that one measurement takes, and its time against one pass each way of the network in float64."""
    model = efficientnet_lite0()
    passes = {"forward": 0, "backward": 0}

    def count(kind):
        passes[kind] += 1

    convolution = model.stem_conv
    handles = [
        convolution.register_forward_hook(lambda *_: count("forward")),
        convolution.register_full_backward_hook(lambda *_: count("backward")),
    ]
    measure(model, (3, 3), input_size=224, layer="head_relu")
    for handle in handles:
        handle.remove()
    double = efficientnet_lite0().double().requires_grad_(False)
    image = torch.ones(1, 3, 224, 224, dtype=torch.float64, requires_grad=True)

    def once():
        torch.autograd.grad(double(image).sum(), image)

    times = [
        (seconds(lambda: measure(model, (3, 3), input_size=224, layer="head_relu")), seconds(once))
        for _ in range(ROUNDS)
    ]
    ratio = median(measured / bare for measured, bare in times)
    return [
        (
            "gradient of one unit of EfficientNet-Lite0: passes",
            f"{passes['forward']} forward, {passes['backward']} backward",
            "≤ 2 of each",
        ),
        ("the same: time against one pass each way in float64", f"{ratio:.2f} ×", "≤ 2 ×"),
    ]


def importing():
    """Time of a new Python that imports the library, or one of its rooms, against one that imports numpy."""
    modules = ("numpy", "convlab", "convlab.nets")

    def start(module):
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True)

    times = [[seconds(lambda module=module: start(module)) for module in modules] for _ in range(ROUNDS)]
    return [
        (
            f"`import {module}` against `import numpy`",
            f"{median(row[n] / row[0] for row in times):.2f} ×",
            "≤ 1.5 ×",
        )
        for n, module in enumerate(modules[1:], 1)
    ]


def rows():
    """What was measured, the result, and the bar."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [*graph(), *gradient(), *importing()]
    finally:
        torch.set_num_threads(threads)


if __name__ == "__main__":
    for row in rows():
        print(*row, sep=" | ")
