"""Shipped specifications with another `priority`, and sets that others have published."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

PUBLISHED = Path(__file__).parent / "instances"


def specification(name: str) -> ModuleType:
    """A shipped specification as a module of Python."""
    return importlib.import_module(f"environments.specification.library.{name}")


def constant(*_: Any) -> float:
    """The priority that FunSearch starts from."""
    return 0.0


def members(chosen: set) -> Callable[..., float]:
    """A priority that prefers what is in a set."""
    return lambda element, *_: float(element in chosen)


def largest_known_cap_set() -> set[tuple[int, ...]]:
    """512 vectors of length 8.

    After the explicit construction of Romera-Paredes et al. (2024): by the places of the entries
    that are not 0, and by how many of three pairs of places mirror one another.
    """
    single = ["0123", "0125", "0367", "0567", "1346", "1456", "2347", "2457"]
    mirrored = ["0127", "0126", "0137", "0167", "0157", "0236", "0267", "0256"]
    mirrored += ["1247", "1246", "1347", "1467", "1457", "2346", "2467", "2456"]
    zeros = ["047", "024", "014", "046", "126", "267", "127", "167"]
    found = set()
    for v in itertools.product(range(3), repeat=8):
        support = "".join(str(i) for i in range(8) if v[i])
        gaps = "".join(str(i) for i in range(8) if not v[i])
        mirrors = sum(v[i] == v[8 - i] for i in (1, 2, 3))
        unlike = v[1] * v[7] % 3 != 1 and v[2] * v[6] % 3 != 1
        if (
            (not gaps and mirrors >= 2)
            or support in single
            or (support in mirrored and mirrors == 1)
            or (gaps in zeros and mirrors <= 1 and unlike)
        ):
            found.add(v)
    return found


def full_admissible_set() -> set[tuple[int, ...]]:
    """792 vectors: I(12, 7), which FunSearch found (data of Romera-Paredes et al., CC BY 4.0).

    Four blocks for each orbit under rotation within blocks; the published coordinates are
    reordered such that those that rotate stand together.
    """
    orbits = """
        000 002 222 111, 000 021 012 111, 000 021 111 021, 000 111 001 222, 000 111 021 021,
        000 222 111 001, 001 222 111 000, 002 000 111 222, 002 002 021 222, 002 002 222 021,
        002 012 222 001, 002 021 002 111, 002 021 021 021, 002 111 000 111, 002 222 002 021,
        002 222 012 001, 012 000 021 222, 012 000 222 012, 012 002 222 002, 012 021 002 021,
        021 002 001 111, 021 002 021 021, 021 012 021 002, 021 021 000 222, 021 021 222 000,
        021 222 000 012, 021 222 002 002, 021 222 012 000, 111 000 002 111, 111 000 021 021,
        111 000 222 002, 111 222 000 002, 222 001 000 222, 222 002 002 021, 222 002 012 002,
        222 002 111 000, 222 012 000 012, 222 012 002 002, 222 021 012 000, 222 111 002 000"""
    found = set()
    for orbit in orbits.split(","):
        turned = [{b[i:] + b[:i] for i in range(3)} for b in orbit.split()]
        for blocks in itertools.product(*turned):
            found.add(tuple(int(x) for x in "".join(blocks)))
    return found


def large_set_of_the_cycle() -> set[tuple[int, ...]]:
    """754 vertices of the fourth power of a cycle of 11, by FunSearch (the same source)."""
    words = (PUBLISHED / "cycle_11_power_4.txt").read_text().split()
    return {tuple(int(x, 11) for x in word) for word in words}
