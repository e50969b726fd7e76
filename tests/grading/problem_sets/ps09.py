"""Typical wrong answers to problem set 9, and the points that the scheme gives for them."""

POOL_BACK = """def pool_back(x, cells, gradient):
    x1, y1, x2, y2 = cells
    (P, Q), R, C = gradient.shape, y2 - y1 + 1, x2 - x1 + 1
    result = np.zeros(x.shape)
    for i in range(P):
        top, bottom = y1 + i * R // P, {bottom}
        for j in range(Q):
            left, right = x1 + j * C // Q, {right}
            window = x[top:bottom, left:right]
            row, column = np.unravel_index(window.argmax(), window.shape)
            result[top + row, left + column] {adds} gradient[i, j]
    return result"""
UP = {"bottom": "y1 - (-(i + 1) * R // P)", "right": "x1 - (-(j + 1) * C // Q)"}
DOWN = {
    "bottom": "max(y1 + (i + 1) * R // P, top + 1)",
    "right": "max(x1 + (j + 1) * C // Q, left + 1)",
}

WRONG = {
    "Python's round": (
        {
            "scale": "off = edge * rows / height * stride - edge\n"
            "other = [y for y in range(height + 1) if round(y / stride) != round(y * rows / height)]\n"
            "first, differ = other[0], len(other)"
        },
        {"scale-first": 0, "scale-differ": 0},
    ),
    "rounded down, and the wrong sign": (
        {
            "scale": "off = edge - edge * rows / height * stride\n"
            "other = [y for y in range(height + 1) if y // stride != y * rows // height]\n"
            "first, differ = other[0], len(other)"
        },
        {"scale-off": 0, "scale-first": 0, "scale-differ": 0},
    ),
    "a cell that wins twice learns once": (
        {"back": POOL_BACK.format(**UP, adds="=")},
        {"back-all": 0},
    ),
    "bins that share nothing": (
        {"back": POOL_BACK.format(**DOWN, adds="+=")},
        {"back-example": 0, "back-all": 0},
    ),
    "the ½ with the wrong sign, and the middle of the pooled bin": (
        {
            "ramp": "x1, y1, x2, y2 = box\n"
            "x = x1 + (bin_column + 0.5) * (x2 - x1) / 3\ny = y1 + (bin_row + 0.5) * (y2 - y1) / 3\n"
            "aligned = a * x + b * y\n"
            "without = aligned - (a + b) * s / 2\npooled = aligned"
        },
        {"ramp-without": 0, "ramp-pooled": 0},
    ),
    "the last row wins, although the map falls": (
        {
            "ramp": "x1, y1, x2, y2 = box\n"
            "x = x1 + (bin_column + 0.5) * (x2 - x1) / 3\ny = y1 + (bin_row + 0.5) * (y2 - y1) / 3\n"
            "aligned = a * x + b * y\n"
            "without = aligned + (a + b) * s / 2\n"
            "x1, y1, x2, y2 = project_box(box, 1 / s)\n"
            "column = x1 - (-(bin_column + 1) * (x2 - x1 + 1) // 3) - 1\n"
            "row = y1 - (-(bin_row + 1) * (y2 - y1 + 1) // 3) - 1\n"
            "pooled = a * (column + 0.5) * s + b * (row + 0.5) * s"
        },
        {"ramp-pooled": 0},
    ),
    "height and width of the image exchanged": (
        {
            "seen": "def seen(box, stride, start, size, image):\n"
            "    x1, y1, x2, y2 = project_box(box, 1 / stride)\n"
            "    return (max(start + x1 * stride, 0), max(start + y1 * stride, 0),\n"
            "            min(start + x2 * stride + size, image[0]),\n"
            "            min(start + y2 * stride + size, image[1]))"
        },
        {"seen-example": 0, "seen-all": 0},
    ),
    "the box divided, but not rounded": (
        {
            "seen": "def seen(box, stride, start, size, image):\n"
            "    x1, y1, x2, y2 = box\n"
            "    return (max(start + x1, 0), max(start + y1, 0),\n"
            "            min(start + x2 + size, image[1]), min(start + y2 + size, image[0]))"
        },
        {"seen-example": 0, "seen-all": 0},
    ),
    "only the last of three answered": (
        {
            "ramp": "columns = (np.arange(30) + 0.5) * s\n"
            "ramp = (a * columns + b * columns[:, None])[None, None]\n"
            "pooled = roi_pool(ramp, [[box]], 3, spatial_scale=1 / s)[0, 0, bin_row, bin_column]"
        },
        {"ramp-aligned": 0, "ramp-without": 0},
    ),
    "a bright column that stays in its bin": (
        {"design": "grid = np.zeros((8, 8), int)\ngrid[:, project_box(before, 1 / 16)[0] + 1] = 9"},
        {"design-change": 0},
    ),
}
