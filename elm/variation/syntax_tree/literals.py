"""Mutations of numbers and strings."""

from __future__ import annotations

import math
import random

LARGEST = 1e9  # nobody needs larger numbers, and they make loops endless
CHARACTERS = (
    "abcdefghijklmnopqrstuvwxyz" * 8
    + " " * 16
    + "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    + "".join(chr(code) for code in range(33, 127) if not chr(code).isalnum())
)


def number(rng: random.Random, value: float, integer: bool = False) -> str:
    """Another number instead of `value`, as Python text.

    Mostly a Gaussian step with a deviation of 3, 30 or 100 % of the value (of 1, where the value
    is smaller), so that small corrections and large jumps both happen; at times a new number
    between 0 and twice the value, or the negative. Whole numbers mostly stay whole.
    """
    if not abs(value) <= LARGEST:  # which NaN is not either
        value = 1.0
    whole = isinstance(value, int)
    size = max(abs(value), 1.0)
    kind = rng.random()
    if kind < 0.05 and not integer:
        changed = -value
    elif kind < 0.2:
        changed = math.copysign(rng.uniform(0.0, 2.0 * size), value)
    else:
        changed = value + rng.gauss(0.0, rng.choice((0.03, 0.3, 1.0))) * size
    if whole and (integer or rng.random() < 0.97):
        nearest = round(changed)
        return str(nearest if nearest != value else value + rng.choice((-1, 1)))
    return plain(changed)


def plain(value: float, whole: bool = False) -> str:
    """A number as Python text that is easy to read: at most four significant digits."""
    value = max(-LARGEST, min(LARGEST, value))
    if whole:
        return str(round(value))
    return repr(float(f"{value:.4g}") + 0.0)  # + 0.0 makes -0.0 a plain zero


def string(rng: random.Random, value: str) -> str:
    """A text one edit away: a character more, less, replaced, or two exchanged."""
    at = rng.randrange(len(value) + 1)
    kind = rng.random()
    if not value or kind < 0.25:
        return value[:at] + rng.choice(CHARACTERS) + value[at:]
    at = min(at, len(value) - 1)
    if kind < 0.45:
        return value[:at] + value[at + 1 :]
    if kind < 0.6 and at + 1 < len(value):
        return value[:at] + value[at + 1] + value[at] + value[at + 2 :]
    if kind < 0.7:  # a neighbour in the alphabet, where there is an order to follow
        near = chr(max(32, min(126, ord(value[at]) + rng.choice((-2, -1, 1, 2)))))
        return value[:at] + near + value[at + 1 :]
    return value[:at] + rng.choice(CHARACTERS) + value[at + 1 :]


def joined(rng: random.Random, left: str, right: str) -> str:
    """The beginning of one text and the end of another, cut at about the same place."""
    cut = rng.randrange(max(len(left), len(right)) + 1)
    if rng.random() < 0.5:
        left, right = right, left
    return left[:cut] + right[max(0, cut + rng.choice((-1, 0, 0, 0, 1))) :]
