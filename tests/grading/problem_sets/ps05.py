"""Typical wrong answers to problem set 5, and the points that the scheme gives for them."""

SIDES = "s = [side, side // 2, side // 2 - 2, side // 4 - 1]\n"
WEIGHTS = "w = (75 * first, 9 * first * second, second * s[3] ** 2 * classes)\n"
PARAMETERS = "parameters = (w[0] + first, w[1] + second, w[2] + classes)\n"
MACS = "macs = (w[0] * s[0] ** 2, w[1] * s[2] ** 2, w[2])\n"
UNITS = "u = first * (s[0] ** 2 + s[1] ** 2) + second * (s[2] ** 2 + s[3] ** 2) + classes\n"
BATCH = "batch = (memory - 16 * sum(parameters)) // (4 * u)"

WRONG = {
    "the biases are forgotten": (
        {
            "count": SIDES
            + WEIGHTS
            + "parameters = w\n"
            + MACS
            + UNITS
            + "batch = (memory - 16 * (sum(w) + first + second + classes)) // (4 * u)"
        },
        {"count-parameters": 0},
    ),
    "as many MACs as parameters, and an image is all that a batch holds": (
        {
            "count": SIDES
            + WEIGHTS
            + PARAMETERS
            + "macs = w\nbatch = (memory - 16 * sum(parameters)) // (12 * side**2)"
        },
        {"count-macs": 0, "count-batch": 0},
    ),
    "neither gradients nor what Adam remembers": (
        {
            "count": SIDES
            + WEIGHTS
            + PARAMETERS
            + MACS
            + UNITS
            + "batch = (memory - 4 * sum(parameters)) // (4 * u)"
        },
        {"count-batch": 0},
    ),
    "the pooled maps are forgotten, and a part of an image counts": (
        {
            "count": SIDES
            + WEIGHTS
            + PARAMETERS
            + MACS
            + UNITS.replace(" + s[1] ** 2", "").replace(" + s[3] ** 2", "")
            + BATCH.replace("//", "/")
        },
        {"count-batch": 0},
    ),
    "white is the image that a filter likes best": (
        {"never": "def never(weights, biases):\n    return weights.sum(axis=(1, 2, 3)) + biases <= 0"},
        {"never-example": 0, "never-all": 0},
    ),
    "a filter that only just doesn't answer": (
        {
            "never": "def never(weights, biases):\n"
            "    return np.where(weights > 0, weights, 0).sum(axis=(1, 2, 3)) + biases < 0"
        },
        {"never-example": 0, "never-all": 0},
    ),
    "the mean goes into the bias undivided": (
        {
            "raw": "def unscaled(weights, biases, mean, spread):\n"
            "    shift = (weights * mean[:, None, None]).sum(axis=(1, 2, 3))\n"
            "    return weights / spread[:, None, None], biases - shift"
        },
        {"raw-example": 0, "raw-all": 0},
    ),
    "right for kernels of 1×1 only": (
        {
            "raw": "def unscaled(weights, biases, mean, spread):\n"
            "    shift = (weights[:, :, 0, 0] * mean / spread).sum(axis=1)\n"
            "    return weights / spread[:, None, None], biases - shift"
        },
        {"raw-all": 0},
    ),
    "a score for each piece without overlap": (
        {
            "map": "scores = (height // trained, width // trained)\n"
            "corner = (row * trained, column * trained)\nsmallest = many * trained"
        },
        {"map-scores": 0, "map-corner": 0, "map-smallest": 0},
    ),
    "the first piece is forgotten, and one pooling": (
        {
            "map": "scores = ((height - trained) // 4, (width - trained) // 4)\n"
            "corner = (2 * row, 2 * column)\nsmallest = trained + 4 * many"
        },
        {"map-scores": 0, "map-corner": 0, "map-smallest": 0},
    ),
    "the middle of the piece for its corner": (
        {
            "map": "scores = ((height - trained) // 4 + 1, (width - trained) // 4 + 1)\n"
            "corner = (4 * row + trained // 2, 4 * column + trained // 2)\n"
            "smallest = trained + 4 * (many - 1)"
        },
        {"map-corner": 0},
    ),
    "a step that stays": (
        {"grey": "hidden = [(1, -low), (1, -middle)]\noutput = [1, -1]"},
        {"grey-all": 0},
    ),
    "a peak that goes below 0 behind it": (
        {"grey": "hidden = [(1, -low), (1, -middle)]\noutput = [1, -2]"},
        {"grey-all": 0},
    ),
    "one linear layer": ({"grey": "hidden = [(1, 0)]\noutput = [1]"}, {"grey-dark": 0, "grey-all": 0}),
}
