"""Walkers to start from: the four kinds of the ELM paper, written anew for this interface.

They are flat where they can be, since small language models imitate what they see. Helper
functions live inside `make_walker`, so that every program opens with the same two lines.
"""

from __future__ import annotations

SQUARE = """\
def make_walker():
    wc = walker_creator()
    a = wc.add_joint(0, 0)
    b = wc.add_joint(10, 0)
    c = wc.add_joint(10, 10)
    d = wc.add_joint(0, 10)
    m = wc.add_joint(5, 5)
    wc.add_muscle(a, b, 2.0, 0.0)
    wc.add_muscle(b, c, 0.0, 0.0)
    wc.add_muscle(c, d, 0.0, 0.0)
    wc.add_muscle(d, a, 0.0, 0.0)
    wc.add_muscle(a, m, 2.0, 0.25)
    wc.add_muscle(b, m, 2.0, 0.75)
    wc.add_muscle(c, m, 0.0, 0.0)
    wc.add_muscle(d, m, 0.0, 0.0)
    return wc.get_walker()
"""

RADIAL = """\
def make_walker():
    wc = walker_creator()
    spokes = 8
    radius = 6.0
    center = wc.add_joint(0, 0)
    rim = []
    for i in range(spokes):
        angle = 2 * math.pi * (i + 0.5) / spokes
        joint = wc.add_joint(radius * math.cos(angle), radius * math.sin(angle))
        wc.add_muscle(center, joint, 1.0, 2 * i / spokes)
        rim.append(joint)
    for i in range(spokes):
        wc.add_muscle(rim[i], rim[i - 1], 0.0, 0.0)
    return wc.get_walker()
"""

# The query of the network belongs to the interface, and is not evolved.
CPPN_FIXED = """\
def make_walker():
    wc = walker_creator()

    def connect(x0, y0, x1, y1):
        return (x1 - x0) ** 2 + (y1 - y0) ** 2 < 2.2

    def amplitude(x0, y0, x1, y1):
        return 1.5 * abs(y1 - y0)

    def phase(x0, y0, x1, y1):
        return 0.25 * (x0 + x1)

    query_cppn(wc, 4, 3, 4.0, connect, amplitude, phase)
    return wc.get_walker()
"""

# The query of the network is part of the program, and is evolved with the rest.
CPPN_MUTABLE = """\
def make_walker():
    wc = walker_creator()

    def connect(x0, y0, x1, y1):
        return (x1 - x0) ** 2 + (y1 - y0) ** 2 < 2.2

    def amplitude(x0, y0, x1, y1):
        return 1.5 * math.cos(x0 * x1) * abs(y1 - y0)

    def phase(x0, y0, x1, y1):
        return 0.25 * (x0 + x1) + 0.1 * y0

    columns = 4
    rows = 4
    spacing = 3.5
    points = []
    for i in range(columns):
        for j in range(rows):
            x = 2 * i / (columns - 1) - 1
            y = 2 * j / (rows - 1) - 1
            joint = wc.add_joint(i * spacing, j * spacing)
            for x0, y0, other in points:
                if connect(x0, y0, x, y):
                    wc.add_muscle(other, joint, amplitude(x0, y0, x, y), phase(x0, y0, x, y))
            points.append((x, y, joint))
    return wc.get_walker()
"""

SEEDS = {
    "square": SQUARE,
    "radial": RADIAL,
    "cppn_fixed": CPPN_FIXED,
    "cppn_mutable": CPPN_MUTABLE,
}
