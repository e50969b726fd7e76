"""Typical wrong answers to problem set 6, and the points that the scheme gives for them."""

FIELD = (
    "r, j, start = 1, 1, 0\n"
    "for n, (k, s, p) in enumerate(zip(kernels, strides, paddings), 1):\n"
    "    start -= p * j\n"
    "    r += (k - 1) * (1 + (n == dilated)) * j\n"
    "    j *= s\n"
)
ANSWER = "field = (r, j, start)\n"
SEEING = "seeing = (pixel - start) // j - (pixel - start - r) // j"
MEASURED = (
    "layers, r, j = [], 1, 1\n"
    "for size_after, share in measured:\n"
    "    jump = round(size_after * (1 - Fraction(share)))\n"
    "    layers.append(((size_after - r) // j + 1, jump // j))\n"
    "    r, j = size_after, jump"
)
SIZES = (
    "def sizes(network):\n"
    "    r, j = [1], [1]\n"
    "    for k, s, d, reads in network:\n"
    "        jump = j[reads[0]]\n"
    "        r.append(max(r[n] for n in reads) + (k - 1) * d * jump)\n"
    "        j.append(jump * s)\n"
    "    return r[1:]"
)

WRONG = {
    "a layer's own stride widens its own field": (
        {
            "field": FIELD.replace("    j *= s\n", "").replace("    r +=", "    j *= s\n    r +=")
            + ANSWER
            + SEEING
        },
        {"field-size": 0, "field-seeing": 0},
    ),
    "the dilation is overlooked": (
        {"field": FIELD.replace(" * (1 + (n == dilated))", "") + ANSWER + SEEING},
        {"field-size": 0, "field-seeing": 0},
    ),
    "padding counts the same in each layer": (
        {"field": FIELD.replace("p * j", "p") + ANSWER + "seeing = round(r / j)"},
        {"field-start": 0},
    ),
    "as many units as fields, a half one included": (
        {"field": FIELD + ANSWER + "seeing = r / j + 0.5"},
        {"field-seeing": 0},
    ),
    "from the image upwards": (
        {
            "tiles": "def needed(layers, first, last):\n"
            "    for k, s, p in layers:\n"
            "        first, last = first * s - p, last * s - p + k - 1\n"
            "    return first, last"
        },
        {"tiles-example": 0, "tiles-all": 0},
    ),
    "the padding is forgotten": (
        {
            "tiles": "def needed(layers, first, last):\n"
            "    for k, s, p in reversed(layers):\n"
            "        first, last = first * s, last * s + k - 1\n"
            "    return first, last"
        },
        {"tiles-example": 0, "tiles-all": 0},
    ),
    "the first pixel after them for the last": (
        {
            "tiles": "def needed(layers, first, last):\n"
            "    for k, s, p in reversed(layers):\n"
            "        first, last = first * s - p, last * s - p + k\n"
            "    return first, last"
        },
        {"tiles-example": 0, "tiles-all": 0},
    ),
    "kernels as if all jumps were 1": (
        {"measured": MEASURED.replace("(size_after - r) // j + 1", "size_after - r + 1")},
        {"measured-all": 0},
    ),
    "the stride is the whole jump": (
        {"measured": MEASURED.replace("jump // j", "jump")},
        {"measured-all": 0},
    ),
    "P is the share that is not shared": (
        {"measured": "layers = [(r, max(1, round(r * Fraction(share)))) for r, share in measured]"},
        {"measured-first": 0, "measured-all": 0},
    ),
    "the last branch wins, not the largest": (
        {"branches": SIZES.replace("max(r[n] for n in reads)", "r[reads[-1]]")},
        {"branches-example": 0, "branches-all": 0},
    ),
    "fields of branches are added": (
        {"branches": SIZES.replace("max(", "sum(")},
        {"branches-example": 0, "branches-all": 0},
    ),
    "one stack, whatever is read": (
        {"branches": SIZES.replace("max(r[n] for n in reads)", "r[-1]").replace("j[reads[0]]", "j[-1]")},
        {"branches-example": 0, "branches-all": 0},
    ),
    "padded by half its kernels, in another place": (
        {
            "beside": "for k1 in range(2, 8):\n"
            "    for k2, k3 in [(3, 3), (5, 3), (7, 3), (7, 5), (7, 7)]:\n"
            "        if wide <= k1 + 2 * (k2 - 1) + 4 * (k3 - 1) <= wide + 3:\n"
            "            far = [(k1, 2, k1 // 2), (k2, 2, k2 // 2), (k3, 1, k3 // 2)]"
        },
        {"beside-all": 0},
    ),
    "wide, but too far apart": (
        {"beside": "far = [(7, 4, 3), (5, 2, 2)]"},
        {"beside-jump": 0, "beside-all": 0},
    ),
}
