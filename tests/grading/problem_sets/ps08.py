"""Typical wrong answers to problem set 8, and the points that the scheme gives for them."""

WRONG = {
    "the gradient and the deconvnet exchanged": (
        {
            "back": "def lay_down(signal):\n    return np.append(0, signal) - np.append(signal, 0)\n"
            "was_open, positive = np.diff(x) > 0, np.array(weights) > 0\n"
            "gradient, deconvnet = lay_down(weights * positive), lay_down(weights * was_open)\n"
            "guided = lay_down(weights * was_open * positive)\nrises = gradient / 2"
        },
        {"back-gradient": 0, "back-deconvnet": 0, "back-rises": 0},
    ),
    "the guided picture taken for a derivative": (
        {
            "back": "def lay_down(signal):\n    return np.append(0, signal) - np.append(signal, 0)\n"
            "was_open, positive = np.diff(x) > 0, np.array(weights) > 0\n"
            "gradient, deconvnet = lay_down(weights * was_open), lay_down(weights * positive)\n"
            "guided = lay_down(weights * was_open * positive)\nrises = guided / 2"
        },
        {"back-rises": 0},
    ),
    "only the last of four answered": (
        {
            "back": "rises = np.array([0.0] * 5)\nfor i in (0, 1, 2, 3):\n"
            "    if x[i + 1] > x[i]:\n        rises[i : i + 2] += weights[i] * np.array([-0.5, 0.5])"
        },
        {"back-gradient": 0, "back-deconvnet": 0, "back-guided": 0},
    ),
    "the whole map is kept": (
        {
            "portrait": "def portrait(picture, filters, m):\n"
            "    one = filters[m][None, None]\n"
            "    maxima, switches = max_pool2d(relu(conv2d(picture[None], one)), 2, return_indices=True)\n"
            "    return conv_transpose2d(max_unpool2d(maxima, switches, 2), one)[0]"
        },
        {"portrait-example": 0, "portrait-all": 0},
    ),
    "the filter turned": (
        {
            "portrait": "def portrait(picture, filters, m):\n"
            "    maps = conv2d(picture[None], filters[m][None, None])\n"
            "    kept = maps * (maps == maps.max())\n"
            "    return conv_transpose2d(kept, filters[m][None, None, ::-1, ::-1])[0]"
        },
        {"portrait-example": 0, "portrait-all": 0},
    ),
    "the switches of one map only, and a switch that tells p bits": (
        {
            "told": "read = 10\nbits = np.log2(q) + 9 * filters * np.log2(p)\n"
            "share = ((3 * p + side - 1) / ((q + 2) * p + side - 1)) ** 2"
        },
        {"told-read": 0, "told-bits": 0},
    ),
    "the share of the rows, not of the area": (
        {
            "told": "read = 1 + 9 * filters\nbits = 2 * np.log2(q) + 18 * filters * np.log2(p)\n"
            "share = (3 * p + side - 1) / ((q + 2) * p + side - 1)"
        },
        {"told-share": 0},
    ),
    "all pairs, whatever they share": (
        {
            "alike": "def alike(pictures):\n"
            "    table = np.corrcoef(pictures.reshape(pictures.shape[0] * pictures.shape[1], -1))\n"
            "    mean = table[np.triu_indices(len(table), 1)].mean()\n"
            "    return mean, mean"
        },
        {"alike-example": 0, "alike-all": 0},
    ),
    "each pair is a pair with itself, too": (
        {
            "alike": "def alike(pictures):\n"
            "    n, k = pictures.shape[:2]\n"
            "    table = np.corrcoef(pictures.reshape(n * k, -1)).reshape(n, k, n, k)\n"
            "    return (np.mean([table[:, i, :, i].mean() for i in range(k)]),\n"
            "            np.mean([table[a, :, a].mean() for a in range(n)]))"
        },
        {"alike-example": 0, "alike-all": 0},
    ),
    "the same score twice": (
        {"design": "one = other = np.maximum(weights, 0)"},
        {"design-both": 0},
    ),
}
