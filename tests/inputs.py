"""The real inputs of the chapters' tests, made once per process. Nobody may change them."""

from functools import cache

import torch

from convlab import data
from convlab.pretrained import EfficientNetLite0, efficientnet_lite0, preprocess


@cache
def network() -> EfficientNetLite0:
    """EfficientNet-Lite0 with its ImageNet weights."""
    return efficientnet_lite0()


@cache
def photos() -> torch.Tensor:
    """All photos as the network reads them: (N, 3, 224, 224)."""
    return torch.cat([preprocess(data.photo(name)) for name in data.PHOTOS])
