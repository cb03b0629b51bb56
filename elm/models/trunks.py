"""Finds what prompts have in common, so that it is computed once."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

_FURTHER = 128  # tokens beyond the trunk that are still cheaper than a trunk of one's own


class Row(msgspec.Struct, frozen=True):
    """One prompt as the first `shared` tokens of its group's trunk and a rest of its own."""

    index: int  # among the requests
    shared: int
    rest: tuple[int, ...]

    @property
    def length(self) -> int:
        return self.shared + len(self.rest)


class Group(msgspec.Struct, frozen=True):
    """Prompts with a common beginning, and the tokens that are computed for all of them."""

    trunk: tuple[int, ...]
    rows: tuple[Row, ...]


class Layout(msgspec.Struct, frozen=True):
    """How a batch's prompts hang together. Rows keep the order of the requests."""

    base: tuple[int, ...]  # what every prompt of the run begins with
    groups: tuple[Group, ...]


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """Length of the common beginning."""
    for i, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return i
    return min(len(one), len(other))


def _group(prompts: Sequence[Sequence[int]], first: int, last: int) -> Group:
    members = range(first, last)
    longest = max(members, key=lambda i: len(prompts[i]))
    trunk = tuple(prompts[longest])
    rows = []
    for i in members:
        shared = common(trunk, prompts[i])
        rows.append(Row(i, shared, tuple(prompts[i][shared:])))
    return Group(trunk, tuple(rows))


def arrange(prompts: Sequence[Sequence[int]], base: int = 0) -> Layout:
    """Groups consecutive prompts whose beginnings agree.

    Args:
        prompts: tokens of each, none empty.
        base: how many of the first prompt's tokens the run's prompts begin with; it is shortened
            where they do not, and so that every trunk has at least one token of its own.

    Returns:
        A layout with each prompt in exactly one group, in order.
    """
    for prompt in prompts:
        base = min(base, common(prompts[0], prompt), len(prompt) - 1)
    groups, first = [], 0
    for i in range(1, len(prompts) + 1):
        if i < len(prompts):
            shared = common(prompts[first], prompts[i])
            longer = max(len(prompts[first]), len(prompts[i]))
            if longer - shared <= _FURTHER and shared > base:
                continue
        groups.append(_group(prompts, first, i))
        first = i
    return Layout(tuple(prompts[0][:base]), tuple(groups))
