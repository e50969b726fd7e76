"""Typical wrong answers to problem set 3, and the points that the scheme gives for them."""

CHAIN = """\
one = (size + 2 * p1 - k1) // s1 + 1
two = (one - k2) // s2 + 1
sides = (one, two)
dilated = (one - 3 * (k2 - 1) - 1) // s2 + 1
unread = size - 1 - (((two - 1) * s2 + k2 - 1) * s1 + k1 - 1 - p1)
"""
STRIPES = """\
units = period / (period - stride)
pixels = units * stride
largest = period // 2
"""
SIZES = "def sizes(outputs, kernel_size, stride, padding, dilation):\n"
WRITE = "def write(row, kernel, stride, padding):\n"

WRONG = {
    "no first window": (
        {"chain": CHAIN + "sides = (one - 1, two - 1)\ndilated = two - 2 * (k2 - 1) // s2 - 1"},
        {"chain-sides": 0, "chain-dilated": 0},
    ),
    "padding at one end only": (
        {"chain": CHAIN.replace("2 * p1", "p1").replace("k1 - 1 - p1", "k1 - 1") + "dilated = two - 3"},
        {"chain-sides": 0, "chain-dilated": 0, "chain-unread": 0},
    ),
    "only what layer 1 drops": (
        {"chain": CHAIN + "unread = max(0, dropped(size, k1, stride=s1, padding=p1) - p1)"},
        {"chain-unread": 0},
    ),
    "what layer 2 drops, in units": (
        {"chain": CHAIN + "unread = dropped(one, k2, stride=s2)"},
        {"chain-unread": 0},
    ),
    "the dilation multiplies the taps": (
        {
            "sizes": SIZES + "    least = (outputs - 1) * stride + dilation * kernel_size - 2 * padding\n"
            "    return least, least + stride - 1"
        },
        {"sizes-all": 0},
    ),
    "one pixel more than fits": (
        {
            "sizes": SIZES
            + "    least = (outputs - 1) * stride + dilation * (kernel_size - 1) + 1 - 2 * padding\n"
            "    return least, least + stride"
        },
        {"sizes-example": 0, "sizes-all": 0},
    ),
    "one unit per period is enough": (
        {"stripes": STRIPES + "largest = period - 1"},
        {"stripes-largest": 0},
    ),
    "the wave goes on by a stride, not back by the rest": (
        {"stripes": STRIPES + "units = period / stride\npixels = period * stride"},
        {"stripes-units": 0, "stripes-pixels": 0},
    ),
    "where windows meet, the last one wins": (
        {
            "write": WRITE + "    places = np.zeros((len(row) - 1) * stride + len(kernel))\n"
            "    for i, unit in enumerate(row):\n"
            "        places[i * stride : i * stride + len(kernel)] = unit * kernel\n"
            "    return places[padding : len(places) - padding]"
        },
        {"write-example": 0, "write-all": 0},
    ),
    "without padding nothing is left": (
        {
            "write": WRITE + "    places = np.zeros((len(row) - 1) * stride + len(kernel))\n"
            "    for i, unit in enumerate(row):\n"
            "        places[i * stride : i * stride + len(kernel)] += unit * kernel\n"
            "    return places[padding:-padding]"
        },
        {"write-example": 0, "write-all": 0},
    ),
    "all weights equal": (
        {"even": "kernel = [level * step / taps] * taps"},
        {"even-level": 0},
    ),
    "a tent": (
        {"even": "kernel = np.minimum(np.arange(1, taps + 1), np.arange(taps, 0, -1))"},
        {"even-level": 0},
    ),
    "repeated, then nothing": (
        {"even": "kernel = [level] * step + [0] * (taps - step)"},
        {"even-form": 0, "even-level": 0},
    ),
}
