from base64 import b64decode
from datetime import UTC, datetime
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from convlab.data import photo
from convlab.figures import OwnPhoto
from convlab.figures.own_photo import read_photo, strongest_unit
from convlab.pretrained import efficientnet_lite0


@pytest.fixture(scope="module")
def network():
    return efficientnet_lite0()


def picture_file(image, form="PNG", **options):
    stream = BytesIO()
    Image.fromarray(image).save(stream, form, **options)
    return stream.getvalue()


def upload(figure, content):
    """What the browser sends when the reader chooses a file."""
    figure.upload.value = (
        {
            "name": "photo",
            "type": "image/png",
            "size": len(content),
            "content": memoryview(content),
            "last_modified": datetime.now(tz=UTC),
        },
    )


def test_the_box_is_the_field_of_the_strongest_unit(network):
    image = np.full((224, 224, 3), 128, np.uint8)
    image[96:128, 160:192] = photo("cat")[100:132, 100:132]  # all there is to see is here
    text = [t.get_text() for t in strongest_unit(network, image, "stem_relu").axes[0].texts]
    row, column = (int(i) for i in text[0].split("(")[1].split(")")[0].split(","))
    assert 47 <= row <= 64
    assert 79 <= column <= 96


def test_upload_and_layer_change_the_picture(network):
    figure = OwnPhoto(network, photo("coffee"), ["blocks.2", "head_relu"])
    first = figure.picture.value
    upload(figure, picture_file(photo("rocket")))
    second = figure.picture.value
    figure.layer.value = "head_relu"
    assert len({first, second, figure.picture.value}) == 3
    assert figure.message.value == ""


def test_a_file_that_is_no_picture_keeps_the_last_photo_and_says_so(network):
    figure = OwnPhoto(network, photo("coffee"), ["blocks.2"])
    before = figure.picture.value
    upload(figure, b"<b>not a picture</b>")
    assert "must be a picture file such as JPEG or PNG" in figure.message.value
    assert "<b>" not in figure.message.value
    assert figure.picture.value == before
    upload(figure, picture_file(photo("cat")))
    assert figure.message.value == ""


def test_a_photo_is_turned_upright_and_made_rgb():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees
    content = picture_file(np.zeros((10, 30), np.uint8), "JPEG", exif=exif)
    assert read_photo(content).shape == (30, 10, 3)


def test_a_huge_or_broken_picture_is_refused():
    with pytest.raises(ValueError, match="at most 50,000,000 pixels, got 10000×6000"):
        read_photo(picture_file(np.zeros((6000, 10000), bool)))
    with pytest.raises(ValueError, match="must be a picture file"):
        read_photo(picture_file(photo("cat"))[:5000])


def test_without_a_kernel_its_picture_stands_in_its_place(network):
    figure = OwnPhoto(network, photo("coffee"), ["blocks.2"])
    bundle = figure._repr_mimebundle_()
    assert b64decode(bundle["image/png"]) == figure.picture.value
    assert bundle["text/plain"] == repr(figure)
    assert "application/vnd.jupyter.widget-view+json" in bundle
