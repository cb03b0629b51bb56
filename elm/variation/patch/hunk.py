"""One change of consecutive lines, whatever the layout it was written in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

MAX_HUNKS = 200  # of one answer


class PatchError(ValueError):
    """A diff that cannot be read or applied; says in one line which part of it, and why."""


class Op(NamedTuple):
    """A line of a hunk: kept (" "), removed ("-") or added ("+"), without its end."""

    kind: str
    text: str


Ops = tuple[Op, ...]


class Hunk(msgspec.Struct, frozen=True, kw_only=True):
    """A change of consecutive lines of one file."""

    readings: tuple[Ops, ...]  # most likely first: models lose the blank before a kept line
    file: str | None = None  # None: it does not say
    line: int | None = None  # of the parent, counted from 0: where it says that it begins
    exact: bool = False  # whether its header counts its lines rightly


def before(ops: Iterable[Op]) -> list[str]:
    """The lines that have to be there."""
    return [op.text for op in ops if op.kind != "+"]


def after(ops: Iterable[Op]) -> list[str]:
    """The lines that are to be there."""
    return [op.text for op in ops if op.kind != "-"]
