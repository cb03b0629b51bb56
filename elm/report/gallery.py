"""Which programs a report shows, and their pictures."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from statistics import median
from typing import Any
from urllib.parse import quote

from elm.archive import Archive
from elm.candidate import Elite, Program
from environments.base import Environment


def diverse(archive: Archive, count: int) -> list[Elite]:
    """The best elite and others spread over the archive, best first.

    Each next one is the elite furthest from all that were chosen, in descriptors scaled to their
    limits, among the better half of the cells (farthest-point sampling, Gonzalez 1985).
    """
    best = archive.best
    if best is None or count < 1:
        return []
    holders = [elite for _, rank, elite in archive.ranked() if rank == 0]
    level = median(_fitness(elite) for elite in holders)
    pool = sorted(
        (elite for elite in holders if _fitness(elite) >= level),
        key=lambda elite: (-_fitness(elite), elite.candidate.id),
    )
    chosen = [best]
    nearest = [_distance(archive, elite, best) for elite in pool]
    while len(chosen) < min(count, len(pool)):
        furthest = max(range(len(pool)), key=nearest.__getitem__)
        chosen.append(pool[furthest])
        nearest = [
            min(d, _distance(archive, elite, pool[furthest]))
            for d, elite in zip(nearest, pool, strict=True)
        ]
    return sorted(chosen, key=lambda elite: (-_fitness(elite), elite.candidate.id))


def _fitness(elite: Elite) -> float:
    assert elite.evaluation.fitness is not None
    return elite.evaluation.fitness


def _distance(archive: Archive, a: Elite, b: Elite) -> float:
    pairs = zip(
        archive.space.axes,
        a.evaluation.descriptor or (),
        b.evaluation.descriptor or (),
        strict=True,
    )
    return math.hypot(*((x - y) / (axis.high - axis.low) for axis, x, y in pairs))


def picture(environment: Environment | None, artifact: Any) -> tuple[str | None, str]:
    """A picture as a `data:` address, and why there is none.

    It is shown as an image and not as part of the page: whatever an environment draws can then
    neither run scripts nor load anything.
    """
    if environment is None or artifact is None:
        return None, ""
    try:
        svg = environment.render(artifact)
    except Exception as error:  # somebody's code; the report names what it said
        return None, f"no picture: {type(error).__name__}: {error}"
    if svg is None:
        return None, ""
    # Escaped where it must be, and a quarter shorter than base64 for paths of digits.
    text = quote(svg.replace("\n", " "), safe=" ,;:/=-+.()'!*", errors="replace")
    return f"data:image/svg+xml;charset=utf-8,{text}", ""


def difference(old: Program | None, new: Program | None) -> list[tuple[str, str]]:
    """A unified diff as lines with what they are: "add", "del", "place" or "same"."""
    lines: list[tuple[str, str]] = []
    before, after = (old.files if old else {}), (new.files if new else {})
    for name in sorted(before.keys() | after.keys()):
        found = difflib.unified_diff(
            before.get(name, "").splitlines(), after.get(name, "").splitlines(), lineterm="", n=3
        )
        lines += [_kind(line) for line in list(found)[2:]]
    return lines


def _kind(line: str) -> tuple[str, str]:
    kinds = {"+": "add", "-": "del", "@": "place"}
    return kinds.get(line[:1], "same"), line


def spread(items: Sequence[Any], count: int) -> set[int]:
    """Positions of at most `count` items, evenly spread, first and last included."""
    if len(items) <= count:
        return set(range(len(items)))
    return {round(i * (len(items) - 1) / (count - 1)) for i in range(count)}
