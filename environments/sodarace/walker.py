"""The interface with which an evolved program builds a walker.

It forgives what small language models often write (a point as a pair, a joint as its number, a
muscle without amplitude, the creator returned instead of the walker) and refuses, with a reason,
what would not be a walker.
"""

from __future__ import annotations

import math
from typing import Any

from environments.sodarace.design import (
    MAX_AMPLITUDE,
    MAX_COORDINATE,
    MAX_JOINTS,
    MAX_MUSCLES,
    MAX_PHASE,
    MIN_LENGTH,
    check_whole,
)


class Joint(int):
    """A joint's handle: its number, counted from 0, with its place in `x` and `y`."""

    x: float
    y: float

    def __new__(cls, number: int, x: float, y: float) -> Joint:
        joint = super().__new__(cls, number)
        joint.x, joint.y = x, y
        return joint


class Walker:
    """A finished walker. `data` is the plain data of `environments.sodarace.design`."""

    def __init__(self, data: dict[str, list[Any]]) -> None:
        self.data = data


class WalkerCreator:
    """Collects joints and muscles; a program knows it as `walker_creator`."""

    def __init__(self) -> None:
        self.joints: list[Joint] = []
        self.muscles: dict[tuple[int, int], tuple[float, float]] = {}

    def add_joint(self, x: Any, y: Any = None) -> Joint:
        """Adds a joint at (x, y), in metres; returns its handle.

        `add_joint((x, y))` is the same. Where there already is a joint (within a centimetre),
        that joint is returned and none is added.

        Raises:
            ValueError: if there are too many joints, or the place is no pair of numbers in range.
        """
        if y is None:
            try:
                x, y = x
            except (TypeError, ValueError):
                raise ValueError("add_joint needs x and y") from None
        x = _number(x, MAX_COORDINATE, "a joint's x")
        y = _number(y, MAX_COORDINATE, "a joint's y")
        for joint in self.joints:
            if math.hypot(joint.x - x, joint.y - y) < MIN_LENGTH:
                return joint
        if len(self.joints) == MAX_JOINTS:
            raise ValueError(f"a walker has at most {MAX_JOINTS} joints")
        joint = Joint(len(self.joints), x, y)
        self.joints.append(joint)
        return joint

    def add_muscle(self, a: Any, b: Any, amplitude: Any = 0.0, phase: Any = 0.0) -> None:
        """Connects two joints, given by handle or number.

        Args:
            a, b: the joints; their order does not matter.
            amplitude: metres by which the muscle lengthens and shortens; 0 makes it a strut.
            phase: where in its period it starts, in turns.

        A second muscle between the same two joints replaces the first.

        Raises:
            ValueError: for a muscle from a joint to itself, an unknown joint, too many muscles,
                or an amplitude or phase that is no number in range.
        """
        a, b = self._joint(a), self._joint(b)
        if a == b:
            raise ValueError(f"a muscle cannot connect joint {a} with itself")
        pair = (min(a, b), max(a, b))
        if pair not in self.muscles and len(self.muscles) == MAX_MUSCLES:
            raise ValueError(f"a walker has at most {MAX_MUSCLES} muscles")
        self.muscles[pair] = (
            _number(amplitude, MAX_AMPLITUDE, "a muscle's amplitude"),
            _number(phase, MAX_PHASE, "a muscle's phase"),
        )

    def get_walker(self) -> Walker:
        """The walker made of everything added so far.

        Raises:
            ValueError: if it has too few joints, or does not hang together.
        """
        joints = [(joint.x, joint.y) for joint in self.joints]
        check_whole(joints, list(self.muscles))
        return Walker(
            {
                "joints": [list(joint) for joint in joints],
                "muscles": [[*pair, *drive] for pair, drive in self.muscles.items()],
            }
        )

    def _joint(self, value: Any) -> int:
        if isinstance(value, bool):
            raise ValueError("a muscle needs two joints, got bool")
        try:
            number = int(value)
        except (TypeError, ValueError, OverflowError):
            kind = type(value).__name__
            raise ValueError(f"a muscle needs joints from add_joint, got {kind}") from None
        if number != value or not 0 <= number < len(self.joints):
            raise ValueError(f"there is no joint {value}, only {len(self.joints)} joints")
        return number


def _number(value: Any, limit: float, what: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{what} must be a number, got {type(value).__name__}") from None
    if not abs(number) <= limit:
        raise ValueError(f"{what} must be between {-limit:g} and {limit:g}, got {number:g}")
    return number
