from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from convlab import plots


def pixels(picture):
    with Image.open(BytesIO(picture._repr_png_())) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_a_map_is_drawn_as_its_values():
    picture = plots.maps([np.eye(2)])
    shown = picture.axes[0].images[0]
    np.testing.assert_array_equal(shown.get_array(), np.eye(2))
    assert shown.get_cmap().name == "gray"
    assert shown.norm.vmin == 0


def test_zero_is_in_the_middle_where_values_have_signs():
    shown = plots.maps([np.array([[-1.0, 3.0]])]).axes[0].images[0]
    assert shown.get_cmap().name == "PuOr_r"
    assert -shown.norm.vmin == shown.norm.vmax == pytest.approx(2.98)  # 1 in 100 may lie beyond


def test_one_scale_for_all_maps_where_asked():
    first, second = (
        ax.images[0] for ax in plots.maps([np.ones((2, 2)), np.full((2, 2), 9.0)], shared=True).axes[:2]
    )
    assert first.norm is second.norm
    assert first.norm.vmax == 9


def test_titles_rows_frames_and_empty_places():
    picture = plots.maps(
        np.ones((3, 2, 2)), ["a", "b", "c"], columns=2, rows=["x", "y"], colours=[plots.OUTPUT] * 3
    )
    axes = picture.axes
    assert [ax.get_title() for ax in axes] == ["a", "b", "c", ""]
    assert [ax.get_ylabel() for ax in axes] == ["x", "", "y", ""]
    assert not axes[3].axison
    assert {int(c) for c in (pixels(picture) == (0, 158, 115)).all(axis=2).sum(axis=1)} != {0}


def test_the_png_shows_a_photo_in_its_colours_and_repeats():
    photo = np.zeros((8, 8, 3), np.uint8)
    photo[..., 0] = 255
    first = pixels(plots.maps([photo], size=1))
    np.testing.assert_array_equal(first, pixels(plots.maps([photo], size=1)))
    assert (first == (255, 0, 0)).all(axis=2).mean() > 0.5


@pytest.mark.parametrize(
    ("pictures", "options", "message"),
    [
        ([], {}, "`pictures` must hold at least one picture, got none"),
        ([np.zeros(3)], {}, r"got shape \(3,\) at 0"),
        ([np.zeros((2, 2)), np.zeros((2, 2, 4))], {}, r"got shape \(2, 2, 4\) at 1"),
        ([np.zeros((0, 2))], {}, r"got shape \(0, 2\) at 0"),
        ([np.zeros((2, 2))], {"titles": ["a", "b"]}, "`titles` must have 1 entries, got 2"),
        ([np.zeros((2, 2))], {"colours": []}, "`colours` must have 1 entries, got 0"),
        ([np.zeros((2, 2))] * 3, {"columns": 2, "rows": ["a"]}, "`rows` must have 2 entries, got 1"),
    ],
)
def test_bad_input(pictures, options, message):
    with pytest.raises(ValueError, match=message):
        plots.maps(pictures, **options)


def test_an_outline_lies_around_its_pixels():
    picture = plots.maps([np.zeros((20, 20))])
    plots.outline(picture.axes[0], (2, 4, 10, 8), "here")
    for patch in picture.axes[0].patches[-2:]:
        assert patch.get_bbox().extents.tolist() == [3.5, 1.5, 7.5, 9.5]
    assert picture.axes[0].texts[0].get_text() == "here"


def test_curves_differ_in_more_than_colour():
    ax = plots.curves([0, 1], {"a": [1, 2], "b": [2, 1]}, x_label="x", y_label="y", y_limits=(0, 3)).axes[0]
    first, second = ax.lines
    np.testing.assert_array_equal(first.get_ydata(), [1, 2])
    assert first.get_linestyle() != second.get_linestyle()
    assert first.get_marker() != second.get_marker()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    with pytest.raises(ValueError, match="`series` must have at most 4 lines, got 5"):
        plots.curves([0], {str(i): [0] for i in range(5)}, x_label="x", y_label="y")


def test_numbers_are_written_into_cells_of_one_size():
    picture = plots.numbers([[[1, -2.5, np.nan]], [[0.333], [4]]], ["a", "b"], colours=[plots.INPUT, None])
    first, second = picture.axes
    assert [text.get_text() for text in first.texts] == ["1", "−2.5"]
    assert [text.get_text() for text in second.texts] == ["0.33", "4"]
    assert [ax.get_title() for ax in picture.axes] == ["a", "b"]
    boxes = [ax.get_window_extent() for ax in picture.axes]
    np.testing.assert_allclose([boxes[0].width / 3, boxes[0].height], boxes[1].width)
    np.testing.assert_allclose(boxes[1].height, 2 * boxes[1].width)
    assert first.images[0].get_cmap().name == "PuOr_r"
    assert second.images[0].get_cmap().name == "gray"
    assert (pixels(picture) == (0, 114, 178)).all(axis=2).any()


def test_numbers_break_into_lines():
    first, second, third = plots.numbers([np.eye(2)] * 3, columns=2).axes
    assert first.get_position().y0 == second.get_position().y0 > third.get_position().y1
    assert first.get_position().x0 == third.get_position().x0 < second.get_position().x0


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ([], {}, "`arrays` must hold at least one array, got none"),
        ([np.eye(2), np.zeros(3)], {}, r"`arrays` must be \(H, W\), got shape \(3,\) at 1"),
        ([np.zeros((0, 3))], {}, r"got shape \(0, 3\) at 0"),
        ([np.eye(2)], {"titles": ["a", "b"]}, "`titles` must have 1 entries, got 2"),
        ([np.eye(2)], {"colours": []}, "`colours` must have 1 entries, got 0"),
    ],
)
def test_bad_numbers(arrays, options, message):
    with pytest.raises(ValueError, match=message):
        plots.numbers(arrays, **options)
