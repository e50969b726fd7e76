"""Typical wrong answers to problem set 7, and the points that the scheme gives for them."""

HOLES = (
    "def reads_of(all_rates):\n"
    "    places = {0}\n"
    "    for d in all_rates:\n"
    "        places = {p + m for p in places for m in (-d, 0, d)}\n"
    "    return places\n"
    "hull, positions = 1 + 2 * sum(rates), len(reads_of(rates))\n"
    "unread = hull**2 - positions**2\n"
    "closing = [d for d in range(1, 200) if len(reads_of([*rates, d])) == hull + 2 * d]"
)
COLLAPSE = (
    "def collapse(kernels, rates):\n"
    "    result = np.array([1])\n"
    "    for kernel, rate in zip(kernels, rates):\n"
    "        spread = np.zeros((len(kernel) - 1) * rate + 1, int)\n"
    "        spread[::rate] = kernel\n"
    "        result = np.convolve(result, spread)\n"
    "    return result"
)
READS = (
    "def reads(rates, size, unit):\n"
    "    places = {unit}\n"
    "    for rate in reversed(rates):\n"
    "        moved = {p + m for p in places for m in (-rate, 0, rate)}\n"
    "        places = {p for p in moved if 0 <= p < size}\n"
    "    return sorted(places)"
)

WRONG = {
    "each layer adds its rate on one side only": (
        {"holes": HOLES.replace("1 + 2 * sum(rates)", "1 + sum(rates)")},
        {"holes-hull": 0, "holes-unread": 0, "holes-closing": 0},
    ),
    "as many positions as paths": (
        {"holes": HOLES.replace("len(reads_of(rates))", "3**4")},
        {"holes-positions": 0, "holes-unread": 0},
    ),
    "unread along both axes": (
        {"holes": HOLES.replace("hull**2 - positions**2", "(hull - positions)**2")},
        {"holes-unread": 0},
    ),
    "any rate up to the largest will do": (
        {"holes": HOLES + "\nclosing = list(range(1, max(rates) + 1))"},
        {"holes-closing": 0},
    ),
    "only the best rate": ({"holes": HOLES + "[-1:] + [99]"}, {"holes-closing": 0}),
    "the kernels are added where they lie": (
        {
            "collapse": COLLAPSE.replace("np.array([1])", "np.zeros(0, int)").replace(
                "result = np.convolve(result, spread)",
                "short, long = sorted([result, spread], key=len)\n"
                "        result = long + np.pad(short, (0, len(long) - len(short)))",
            )
        },
        {"collapse-example": 0, "collapse-all": 0},
    ),
    "kernels are turned around": (
        {"collapse": COLLAPSE.replace("= kernel\n", "= kernel[::-1]\n")},
        {"collapse-example": 0, "collapse-all": 0},
    ),
    "holes as large as the rate": (
        {"collapse": COLLAPSE.replace("* rate + 1", "* (rate + 1) + 1").replace("[::rate]", "[:: rate + 1]")},
        {"collapse-example": 0, "collapse-all": 0},
    ),
    "cut off at the border of the image only": (
        {
            "border": READS.replace("places = {p for p in moved if 0 <= p < size}", "places = moved").replace(
                "sorted(places)", "sorted(p for p in places if 0 <= p < size)"
            )
        },
        {"border-example": 0, "border-all": 0},
    ),
    "from the image upwards": (
        {"border": READS.replace("reversed(rates)", "rates")},
        {"border-example": 0, "border-all": 0},
    ),
    "what falls outside is taken from the border": (
        {
            "border": READS.replace(
                "{p for p in moved if 0 <= p < size}", "{min(max(p, 0), size - 1) for p in moved}"
            )
        },
        {"border-example": 0, "border-all": 0},
    ),
    "far enough, with holes": (
        {
            "design": "layers = [(2, 1)] * (jump // 2)\n"
            "layers += [(1, -(-(wanted - 2 * jump + 1) // (2 * jump)))]"
        },
        {"design-all": 0},
    ),
    "strides at the end, too expensive": (
        {
            "design": "layers, field = [], 1\n"
            "while field < wanted - 2:\n"
            "    rate = min(field, -(-(wanted - 2 - field) // 2))\n"
            "    layers.append((1, rate))\n"
            "    field += 2 * rate\n"
            "layers.append((jump, 1))"
        },
        {"design-all": 0},
    ),
    "plain layers": (
        {"design": "layers = [(2, 1)] * (jump // 2) + [(1, 1)] * 3"},
        {"design-jump": 0, "design-all": 0},
    ),
}
