"""Typical wrong answers to problem set 1, and the points that the scheme gives for them."""

WRONG = {
    "the kernel needs no room": (
        {"units": "map_shape = (height, width)\nunits = filters * height * width\nratio = filters / 3"},
        {"units-shape": 0, "units-count": 0, "units-ratio": 0},
    ),
    "the colours count three times": (
        {
            "units": "map_shape = (height - side + 1, width - side + 1)\n"
            "units = 3 * filters * map_shape[0] * map_shape[1]\nratio = units / (3 * height * width)"
        },
        {"units-count": 0, "units-ratio": 0},
    ),
    "a convolution with the kernel turned": (
        {
            "map": "def feature_map(image, kernel):\n"
            "    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)\n"
            "    return (windows * kernel[::-1, ::-1]).sum(axis=(2, 3))"
        },
        {"map-example": 0, "map-all": 0},
    ),
    "zeros don't count as silent, and all maps as one": (
        {"sparse": "def silent(maps):\n    return (maps < 0).mean()"},
        {"sparse-example": 0, "sparse-all": 0},
    ),
    "one unit too few": (
        {
            "design": "picture = np.zeros((8, 8), int)\nfor i in range(wanted - 1):\n"
            "    picture[i % 8, 2 * (i // 8) + 1] = 1"
        },
        {"design-count": 0},
    ),
}
