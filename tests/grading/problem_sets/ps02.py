"""Typical wrong answers to problem set 2, and the points that the scheme gives for them."""

BUDGET = """\
standard = budget // (maps * side**2 + 1)
alike = max(n for n in range(1, 200) if n * (n * side**2 + 1) <= budget)
separable = (budget - maps * side**2) // (maps + 1)
uses = (height - side + 1) * (width - side + 1)
"""
ONE = """\
one = np.zeros((3, 3), int)
for i in range(2):
    for j in range(2):
        one[i : i + 2, j : j + 2] += second[i, j] * first
other = one[::-1, ::-1]
picture = np.array([[0, 0, 0], [1, 0, 0], [0, 0, 0]])
"""

WRONG = {
    "a bias for each kernel, and padding": (
        {
            "budget": BUDGET + "standard = budget // (maps * (side**2 + 1))\nuses = height * width",
        },
        {"budget-standard": 0, "budget-uses": 0},
    ),
    "a filter is one kernel, and depthwise is for nothing": (
        {"budget": BUDGET + "alike = budget // (side**2 + 1)\nseparable = budget // (maps + 1)"},
        {"budget-alike": 0, "budget-separable": 0},
    ),
    "kernels laid on each other by correlation": (
        {"one": ONE + "one = conv2d(np.pad(second, 1)[None], first[None, None])[0]\nother = one[::-1, ::-1]"},
        {"one-kernel": 0, "one-turned": 0},
    ),
    "transposed instead of turned, and nothing below zero": (
        {"one": ONE + "other = one.T\npicture = np.array([[0, 0, 0], [0, 0, 0], [0, 0, 1]])"},
        {"one-turned": 0, "one-relu": 0},
    ),
    "the mean is subtracted after the division": (
        {
            "fold": "def fold(weight, bias, mean, std):\n"
            "    return weight / std[:, None, None], bias - (weight.sum(axis=(2, 3)) * mean).sum(axis=1)"
        },
        {"fold-example": 0, "fold-all": 0},
    ),
    "only one weight of each kernel sees the mean": (
        {
            "fold": "def fold(weight, bias, mean, std):\n"
            "    scaled = weight / std[:, None, None]\n"
            "    return scaled, bias - (scaled[:, :, 0, 0] * mean).sum(axis=1)"
        },
        {"fold-all": 0},
    ),
    "the smallest kernel, whatever it reads": (
        {"least": "def least(stack, weight):\n    return int(np.argmin((weight**2).sum(axis=(0, 2, 3))))"},
        {"least-example": 0, "least-all": 0},
    ),
    "changes of all filters cancel": (
        {
            "least": "def least(stack, weight):\n"
            "    parts = [conv2d(stack[k : k + 1], weight[:, k : k + 1]) for k in range(len(stack))]\n"
            "    return int(np.argmin([part.sum() ** 2 for part in parts]))"
        },
        {"least-all": 0},
    ),
    "a flat picture teaches nothing": (
        {"teacher": "teacher = np.full((6, 6), 5)"},
        {"teacher-form": 0, "teacher-twins": 0},
    ),
    "any picture": (
        {"teacher": "teacher = np.arange(36).reshape(6, 6) ** 2 % 10"},
        {"teacher-twins": 0},
    ),
}
