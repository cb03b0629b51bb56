"""Brings a child back to its parent everywhere but in the regions that may evolve."""

from __future__ import annotations

import ast

from elm.variation.lines import newline, split, with_newline
from elm.variation.regions.base import BROKEN, Enforced, RegionError, parsed
from elm.variation.regions.bindings import bindings
from elm.variation.regions.elision import elision
from elm.variation.regions.functions import functions, keep_to_functions, marked_functions
from elm.variation.regions.markers import blocks, keep_to_blocks
from environments.parsing import parse


def enforce(parent: str, child: str, *, entry: str, evolve: str) -> Enforced:
    """A child whose text outside of the regions is its parent's, byte for byte.

    Where blocks are marked, the result may fail to parse, as the child did; where functions
    evolve, the child has to parse. `enforce(parent, enforce(parent, child))` changes nothing more.

    Args:
        parent: text of the file; "" where there is none.
        child: the file as it is meant to become; where functions evolve, or the parent has one
            marked block, that part alone may do.
        entry: the function that the environment asks for.
        evolve: "file" or "entry": what may change where the file marks nothing itself.

    Raises:
        RegionError: in one line, if the child lacks what evolves or leaves code out with dots.
    """
    if "\r" not in child and (end := newline(parent)) != "\n":
        child = with_newline(child, end)
    if reason := elision(parent, child):
        raise RegionError(reason)
    if not parent.strip():
        return Enforced(text=child)
    if "EVOLVE-BLOCK-" in parent and (found := blocks(split(parent), "the program")):
        return keep_to_blocks(parent, found, child)
    if evolve != "entry" and "funsearch" not in parent:
        _check_entry(parent, child, entry)
        return Enforced(text=child)
    tree = parsed(parent, "the parent") if evolve == "entry" else _tree(parent)
    paths = marked_functions(tree) if tree and "funsearch" in parent else []
    if not paths and evolve == "entry" and tree:
        if (entry,) not in functions(tree):
            raise RegionError(f"the parent has no function {entry}")
        paths = [(entry,)]
    if tree is None or not paths:
        _check_entry(parent, child, entry)
        return Enforced(text=child)
    try:
        return keep_to_functions(parent, tree, paths, child)
    except RecursionError:
        raise RegionError("the answer is nested too deeply") from None


def rule(parent: str, *, entry: str, evolve: str) -> str:
    """One sentence for a prompt that says what may change, "" where all of the file may.

    Raises:
        RegionError: if the parent's markers do not come in pairs.
    """
    if "EVOLVE-BLOCK-" in parent and (found := blocks(split(parent), "the program")):
        many = "the lines" if len(found) == 1 else f"the lines of the {len(found)} blocks"
        return (
            f"Change only {many} between `# EVOLVE-BLOCK-START` and `# EVOLVE-BLOCK-END`, "
            "and keep these two comments."
        )
    tree = _tree(parent) if "funsearch" in parent else None
    names = [".".join(path) for path in marked_functions(tree)] if tree else []
    if not names and evolve == "entry":
        names = [entry]
    if not names:
        return ""
    listed = ", ".join(f"`{name}`" for name in names)
    return f"Change only the function{'s' if len(names) > 1 else ''} {listed}, and no signature."


def _tree(text: str) -> ast.Module | None:
    try:
        return parse(text)
    except BROKEN:
        return None


def _check_entry(parent: str, child: str, entry: str) -> None:
    """A child without the function that its parent has could never be evaluated."""
    if entry in child or entry not in parent:
        return
    mine, yours = _tree(parent), _tree(child)
    if mine and yours and entry in bindings(mine.body):
        raise RegionError(f"the answer does not define {entry}")
