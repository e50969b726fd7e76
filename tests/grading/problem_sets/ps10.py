"""Typical wrong answers to problem set 10, and the points that the scheme gives for them."""

WRONG = {
    "the borders a level too low": (
        {
            "distance": "borders = [focal * side / pixels for pixels in (56, 112, 224)]\n"
            "width = focal * side / distance\nunits = width / 2 ** level_of_box(width, width)\n"
            "seconds = (borders[0] - borders[1]) / speed"
        },
        {"distance-borders": 0, "distance-seconds": 0},
    ),
    "from near to far, and units of the picture": (
        {
            "distance": "borders = [focal * side / pixels for pixels in (448, 224, 112)]\n"
            "units = focal * side / distance\nseconds = (borders[2] - borders[1]) / speed"
        },
        {"distance-borders": 0, "distance-units": 0},
    ),
    "only the seconds": (
        {"distance": "seconds = focal * side / 224 / speed"},
        {"distance-borders": 0, "distance-units": 0},
    ),
    "all levels with as many places": (
        {
            "cost": "counts = [filters * (depth * 2**k + 9 * filters + 2) for k in range(4)]\n"
            "parameters = work = counts[0] / sum(counts)"
        },
        {"cost-work": 0},
    ),
    "all levels of one depth, and half the places from level to level": (
        {
            "cost": "parameters = 1 / 4\n"
            "work = (depth + 9 * filters) / sum((2**k * depth + 9 * filters) / 2**k for k in range(4))"
        },
        {"cost-parameters": 0, "cost-work": 0},
    ),
    "the mean in place of the sum": (
        {
            "climb": "def climb(gradient, levels):\n"
            "    for _ in range(levels):\n"
            "        rows, columns = gradient.shape\n"
            "        padded = np.pad(gradient, [(0, rows % 2), (0, columns % 2)])\n"
            "        gradient = padded.reshape(-(-rows // 2), 2, -(-columns // 2), 2).mean(axis=(1, 3))\n"
            "    return gradient"
        },
        {"climb-example": 0, "climb-all": 0},
    ),
    "the odd row dropped": (
        {
            "climb": "def climb(gradient, levels):\n"
            "    for _ in range(levels):\n"
            "        rows, columns = (n // 2 for n in gradient.shape)\n"
            "        cut = gradient[: 2 * rows, : 2 * columns]\n"
            "        gradient = cut.reshape(rows, 2, columns, 2).sum(axis=(1, 3))\n"
            "    return gradient"
        },
        {"climb-example": 0, "climb-all": 0},
    ),
    "without the 3×3": (
        {
            "sees": "def sees(unit, maps):\n"
            "    ends = [(start + unit // 2**k * jump, start + unit // 2**k * jump + size)\n"
            "            for k, (start, jump, size) in enumerate(maps)]\n"
            "    return min(low for low, _ in ends), max(high for _, high in ends)"
        },
        {"sees-example": 0, "sees-all": 0},
    ),
    "a 3×3 on each C": (
        {
            "sees": "def sees(unit, maps):\n"
            "    ends = [(start + (unit // 2**k - 1) * jump, start + (unit // 2**k + 1) * jump + size)\n"
            "            for k, (start, jump, size) in enumerate(maps)]\n"
            "    return min(low for low, _ in ends), max(high for _, high in ends)"
        },
        {"sees-example": 0, "sees-all": 0},
    ),
    "only the coarsest map": (
        {
            "sees": "def sees(unit, maps):\n"
            "    k, (start, jump, size) = len(maps) - 1, maps[-1]\n"
            "    return start + (unit - 1) // 2**k * jump, start + (unit + 1) // 2**k * jump + size"
        },
        {"sees-all": 0},
    ),
    "the wrong ones behind the right ones": (
        {"design": "short = [1] * 5\nlong = [1] * (5 + more) + [0] * 8"},
        {"design-ap": 0},
    ),
}
