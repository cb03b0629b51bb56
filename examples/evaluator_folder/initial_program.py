"""A tour through points in the plane: from each point to the one of the least cost."""

import math


# EVOLVE-BLOCK-START
def cost(here, there, start):
    """Cost of going from here to there, in a tour that ends where it began, at start."""
    step = math.dist(here, there)
    home = math.dist(there, start)
    return 0.5 * step + 0.5 * home


# EVOLVE-BLOCK-END


def tour(points):
    order, left = [0], list(range(1, len(points)))
    while left:
        here = points[order[-1]]
        left.sort(key=lambda index: cost(here, points[index], points[0]), reverse=True)
        order.append(left.pop())
    return order
