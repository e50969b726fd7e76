"""Typical wrong answers to problem set 4, and the points that the scheme gives for them."""

SAVES = """\
convolutions = first * (9 + 1) + second * (first * 9 + 1)
with_pools = convolutions + 10 * (second * (side // 4) ** 2 + 1)
without = convolutions + 10 * (second * side**2 + 1)
averaged = convolutions + 10 * (second + 1)
saved = second * first * 9 * (side**2 - (side // 2) ** 2)
saved += 10 * second * (side**2 - (side // 4) ** 2)
"""
BACKWARD = "def backward(x, k, s, slope):\n"
OVER_TIME = "def over_time(x, lengths):\n"
THIN = """\
alive, wide, iou = 0, 0, 0
for begin in range(window):
    inside = min(width, window - begin)
    alive += 2 * max(inside, width - inside) >= window
    enlarged = window if inside == width else 2 * window
    wide += enlarged / window
    iou += width / enlarged / window
"""

WRONG = {
    "one pool only, and the work of one layer only": (
        {
            "saves": SAVES + "with_pools = convolutions + 10 * (second * (side // 2) ** 2 + 1)\n"
            "saved = second * first * 9 * (side**2 - (side // 2) ** 2)"
        },
        {"saves-with": 0, "saves-work": 0},
    ),
    "a filter is one kernel": (
        {"saves": SAVES.replace("first * 9 + 1", "9 + 1")},
        {"saves-with": 0, "saves-without": 0, "saves-averaged": 0},
    ),
    "the last window wins": (
        {
            "backward": BACKWARD + "    back = np.zeros(x.shape)\n"
            "    for i, j in np.ndindex(*slope.shape):\n"
            "        window = x[i * s : i * s + k, j * s : j * s + k]\n"
            "        row, column = divmod(int(window.argmax()), k)\n"
            "        back[i * s + row, j * s + column] = slope[i, j]\n"
            "    return back"
        },
        {"backward-example": 0, "backward-all": 0},
    ),
    "equal maxima all get the slope": (
        {
            "backward": BACKWARD + "    back = np.zeros(x.shape)\n"
            "    for i, j in np.ndindex(*slope.shape):\n"
            "        window = x[i * s : i * s + k, j * s : j * s + k]\n"
            "        back[i * s : i * s + k, j * s : j * s + k] += slope[i, j] * (window == window.max())\n"
            "    return back"
        },
        {"backward-all": 0},
    ),
    "the zeros at the end count": (
        {"time": OVER_TIME + "    return x.max(axis=2), x.mean(axis=2)"},
        {"time-example": 0, "time-all": 0},
    ),
    "the zeros at the end can be the largest": (
        {"time": OVER_TIME + "    return x.max(axis=2), x.sum(axis=2) / lengths[:, None]"},
        {"time-all": 0},
    ),
    "only beginnings inside one window": (
        {
            "thin": THIN
            + "alive = sum(2 * min(width, window - begin) >= window for begin in range(window))\n"
            "wide = window\niou = width / window"
        },
        {"thin-alive": 0, "thin-wide": 0, "thin-iou": 0},
    ),
    "the share of the means": (
        {"thin": THIN + "iou = width / wide"},
        {"thin-iou": 0},
    ),
    "half of the maximum everywhere": (
        {"even": "between = maxima.repeat(2, axis=0).repeat(2, axis=1) / 2"},
        {"even-form": 0, "even-errors": 0},
    ),
    "one of four is the maximum, the rest is empty": (
        {"even": "between = np.zeros((6, 6))\nbetween[::2, ::2] = maxima"},
        {"even-errors": 0},
    ),
}
