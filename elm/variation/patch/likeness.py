"""The place in a program that is most like what a hunk looks for.

Lines are compared one by one, as many as the hunk has. A line that the program has word for word is
never taken for another one, so that what a hunk removes is what it names.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple, Protocol

LEAST = 0.85  # of all lines together, by their lengths
LEAST_LINE = 0.7  # of each line
LEAD = 0.1  # over the next best place
_LONGEST = 500  # characters of a line that is compared
_GLANCE = 20  # pairs of letters that a quick look at a letter costs
_CANDIDATES = 12
_COMMON = 40  # a line that is more frequent says nothing of where a hunk belongs


class Budget(Protocol):
    """What comparisons may still cost, in pairs of letters."""

    budget: int


class Alike(NamedTuple):
    """The best place, and whether it is good enough to be taken."""

    start: int
    ratio: float
    sure: bool
    doubt: str = ""


def alike(lines: Sequence[str], wanted: Sequence[str], spend: Budget) -> Alike | None:
    """The place at which some lines are most like others; None if no place comes near.

    Args:
        lines: of the program, without their ends.
        wanted: what is looked for.
        spend: what comparisons may still cost; it bounds the time of the whole answer.
    """
    mine, theirs = [line.strip() for line in lines], [line.strip() for line in wanted]
    if not theirs or len(theirs) > len(mine):
        return None
    known = set(mine)
    scored = []
    for start in _candidates(mine, theirs, spend):
        ratio, least, mistaken = _ratio(mine[start : start + len(theirs)], theirs, known, spend)
        scored.append((ratio, -start, least, mistaken))
    if not scored:
        return None
    scored.sort(reverse=True)
    ratio, start, least, mistaken = scored[0][0], -scored[0][1], scored[0][2], scored[0][3]
    if ratio < LEAST or least < LEAST_LINE:
        return Alike(start, ratio, False)
    if mistaken:
        return Alike(start, ratio, False, ", but a line of it is elsewhere in the program")
    if any(
        one != other and _nearer(mine, start, len(theirs), one, other, spend)
        for one, other in zip(mine[start:], theirs, strict=False)
    ):
        if spend.budget <= 0:
            return Alike(start, ratio, False, ", and there is too much to compare")
        return Alike(start, ratio, False, ", but a line of it is more like another one")
    if len(scored) > 1 and scored[1][0] > ratio - LEAD:
        other = 1 - scored[1][1]
        return Alike(start, ratio, False, f", and line {other} nearly as much")
    return Alike(start, ratio, True)


def _nearer(
    mine: Sequence[str], start: int, size: int, one: str, other: str, spend: Budget
) -> bool:
    """Whether a line is more like a line outside of a place than like the one that it has there."""
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(other)
    matcher.set_seq1(one)
    there = matcher.ratio()
    for line in {*mine[:start], *mine[start + size :]}:
        matcher.set_seq1(line[:_LONGEST])
        if matcher.real_quick_ratio() <= there:
            continue
        if spend.budget <= 0:
            return True
        spend.budget -= _GLANCE * len(line)
        if matcher.quick_ratio() > there:
            spend.budget -= len(line) * len(other)
            if matcher.ratio() > there:
                return True
    return False


def _candidates(mine: Sequence[str], theirs: Sequence[str], spend: Budget) -> list[int]:
    """Places that are worth a closer look: those where most lines are the same, and those where
    the longest line is most alike."""
    where: dict[str, list[int]] = defaultdict(list)
    for number, line in enumerate(mine):
        where[line].append(number)
    last = len(mine) - len(theirs)
    votes: Counter[int] = Counter()
    for number, line in enumerate(theirs):
        if line and len(where.get(line, ())) <= _COMMON:
            for place in where.get(line, ()):
                if 0 <= place - number <= last:
                    votes[place - number] += len(line)
    found = [place for place, _ in votes.most_common(_CANDIDATES)]
    anchor = max(range(len(theirs)), key=lambda i: min(len(theirs[i]), _LONGEST))
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(theirs[anchor][:_LONGEST])
    near = []
    for line, places in where.items():
        fitting = [place - anchor for place in places if 0 <= place - anchor <= last]
        if not line or not fitting or spend.budget <= 0:
            continue
        matcher.set_seq1(line[:_LONGEST])
        if matcher.real_quick_ratio() < LEAST_LINE:
            continue
        spend.budget -= _GLANCE * len(line)
        if (ratio := matcher.quick_ratio()) >= LEAST_LINE:
            near += [(ratio, place) for place in fitting[:_CANDIDATES]]
    near.sort(key=lambda pair: (-pair[0], pair[1]))
    return list(dict.fromkeys([*found, *(place for _, place in near[:_CANDIDATES])]))


def _ratio(
    mine: Sequence[str], theirs: Sequence[str], known: set[str], spend: Budget
) -> tuple[float, float, bool]:
    """How much two runs of lines are alike, the least of their lines, and whether a line of the
    second, which the program has elsewhere, would be taken for another."""
    total = weight = 0.0
    least, mistaken = 1.0, False
    for one, other in zip(mine, theirs, strict=True):
        size = max(len(one), len(other)) or 1
        if one == other:
            ratio = 1.0
        elif spend.budget <= 0 or size > _LONGEST:
            ratio = 0.0
        else:
            spend.budget -= len(one) * len(other)
            ratio = SequenceMatcher(None, one, other, autojunk=False).ratio()
        mistaken = mistaken or (one != other and bool(other) and other in known)
        least = min(least, ratio)
        total, weight = total + size * ratio, weight + size
    return total / weight, least, mistaken
