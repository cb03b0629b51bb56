"""What a walker is as plain data, and the checks that make one a walker.

    {"joints": [[x, y], ...], "muscles": [[a, b, amplitude, phase], ...]}

Coordinates and amplitudes are metres, phases are turns (1.0 is a whole period), `a` and `b` are
positions in `joints`. Producer and judge share these checks: the first to explain a mistake to
whoever wrote the program, the second because it believes nothing that it is sent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MIN_JOINTS = 3
MAX_JOINTS = 64
MAX_MUSCLES = 512
MAX_COORDINATE = 1000.0  # metres either side of the origin
MAX_AMPLITUDE = 1000.0  # metres; the physics limits it further to a share of the muscle
MAX_PHASE = 1000.0  # turns
RADIUS = 0.5  # metres, of a joint
DENSITY = 25.0  # kg/m2
JOINT_KG = DENSITY * math.pi * RADIUS**2
MIN_LENGTH = 0.01  # metres; nearer joints are one joint


@dataclass(frozen=True)
class Design:
    """A walker that has passed all checks."""

    joints: list[tuple[float, float]]  # (x, y)
    muscles: list[tuple[int, int, float, float]]  # (a, b, amplitude, phase), with a < b

    @property
    def height(self) -> float:
        """Metres from the lowest joint's underside to the highest one's top."""
        return max(y for _, y in self.joints) - min(y for _, y in self.joints) + 2 * RADIUS

    @property
    def width(self) -> float:
        """Metres from the leftmost joint's left to the rightmost one's right."""
        return max(x for x, _ in self.joints) - min(x for x, _ in self.joints) + 2 * RADIUS

    @property
    def mass(self) -> float:
        """Kilograms; muscles weigh nothing."""
        return len(self.joints) * JOINT_KG


def read(artifact: Any) -> Design:
    """The walker in plain data that nobody vouches for.

    Raises:
        ValueError: if it is none, with the first reason in one line.
    """
    if not isinstance(artifact, dict) or set(artifact) != {"joints", "muscles"}:
        raise ValueError("a walker is an object with joints and muscles")
    joints = [
        (check_number(x, MAX_COORDINATE, "x"), check_number(y, MAX_COORDINATE, "y"))
        for x, y in _rows(artifact["joints"], 2, MAX_JOINTS, "joint")
    ]
    muscles: dict[tuple[int, int], tuple[int, int, float, float]] = {}
    for a, b, amplitude, phase in _rows(artifact["muscles"], 4, MAX_MUSCLES, "muscle"):
        if type(a) is not int or type(b) is not int or not 0 <= a < b < len(joints):
            raise ValueError("a muscle names two joints, the lower number first")
        if (a, b) in muscles:
            raise ValueError(f"two muscles connect joints {a} and {b}")
        muscles[a, b] = (
            a,
            b,
            check_number(amplitude, MAX_AMPLITUDE, "amplitude"),
            check_number(phase, MAX_PHASE, "phase"),
        )
    check_whole(joints, list(muscles))
    return Design(joints, list(muscles.values()))


def check_number(value: object, limit: float, what: str) -> float:
    """A real, finite number of at most `limit` in size, as a float.

    Raises:
        ValueError: if it is anything else, naming `what`.
    """
    if type(value) is not int and type(value) is not float:
        raise ValueError(f"{what} must be a number, got {type(value).__name__}")
    # Compared before it is converted: an int may be too large for a float.
    if not -limit <= value <= limit:
        raise ValueError(f"{what} must be between {-limit:g} and {limit:g}")
    return float(value)


def unconnected(joints: int, pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Joints that no chain of muscles connects with joint 0, in order."""
    neighbours: list[list[int]] = [[] for _ in range(joints)]
    for a, b in pairs:
        neighbours[a].append(b)
        neighbours[b].append(a)
    seen, todo = {0}, [0]
    while todo:
        for other in neighbours[todo.pop()]:
            if other not in seen:
                seen.add(other)
                todo.append(other)
    return [joint for joint in range(joints) if joint not in seen]


def check_whole(joints: Sequence[tuple[float, float]], pairs: Sequence[tuple[int, int]]) -> None:
    """Checks that the joints are enough for a walker and hang together.

    Raises:
        ValueError: if not, with the first reason.
    """
    if len(joints) < MIN_JOINTS:
        raise ValueError(f"a walker needs at least {MIN_JOINTS} joints, got {len(joints)}")
    if len(joints) > MAX_JOINTS:
        raise ValueError(f"a walker has at most {MAX_JOINTS} joints, got {len(joints)}")
    if len(pairs) > MAX_MUSCLES:
        raise ValueError(f"a walker has at most {MAX_MUSCLES} muscles, got {len(pairs)}")
    loose = unconnected(len(joints), pairs)
    if loose:
        raise ValueError(f"joint {loose[0]} is not connected with joint 0 by muscles")
    for a, b in pairs:
        if math.dist(joints[a], joints[b]) < MIN_LENGTH:
            raise ValueError(f"joints {a} and {b} are at the same place")


def _rows(value: object, width: int, most: int, what: str) -> list[list[Any]]:
    if not isinstance(value, list) or len(value) > most:
        raise ValueError(f"{what}s must be a list of at most {most}")
    if not all(isinstance(row, list) and len(row) == width for row in value):
        raise ValueError(f"each {what} must be a list of {width} numbers")
    return value
