"""Mutations of numbers and strings where they stand in a program.

A mutation takes the source to be varied and returns the edits that make the child, or None where
the program has no place for it.
"""

from __future__ import annotations

import ast
import math
import random
from collections.abc import Callable, Sequence

from elm.variation.syntax_tree import literals
from elm.variation.syntax_tree.source import Edit, Source, Spot

Mutation = Callable[[random.Random, Source, Sequence[Source]], list[Edit] | None]
"""(generator, the program to be varied, other parents) -> edits of the program, or None."""


def numeric_value(node: ast.expr) -> float | None:
    """The number that a literal stands for, its sign included."""
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node, sign = node.operand, -1
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        value: float = node.value  # type: ignore[assignment]
        return sign * value
    return None


def is_literal(spot: Spot) -> bool:
    """Whether a spot is a whole numeric literal: in -5 the minus belongs to it."""
    return numeric_value(spot.node) is not None and not (
        isinstance(spot.parent, ast.UnaryOp) and isinstance(spot.parent.op, ast.USub)
    )


def change_number(rng: random.Random, source: Source, spot: Spot) -> Edit:
    """The edit that perturbs a numeric literal."""
    value = numeric_value(spot.node)
    assert value is not None
    text = literals.number(rng, value, spot.integer)
    tight = isinstance(spot.parent, ast.Attribute) or (
        isinstance(spot.parent, ast.BinOp)
        and isinstance(spot.parent.op, ast.Pow)
        and spot.parent.left is spot.node
    )
    if text.startswith("-") and tight:
        text = f"({text})"
    return Edit(source.start(spot.node), source.end(spot.node), text.encode())


def number(rng: random.Random, source: Source, others: Sequence[Source]) -> list[Edit] | None:
    """Perturbs a number; sometimes every number of the same value along with it.

    Numbers that were equal often mean the same thing, such as the side of a square.
    """
    spots = [spot for spot in source.spots if is_literal(spot)]
    if not spots:
        return None
    spot = rng.choices(spots, [_liveliness(spot) for spot in spots])[0]
    edit = change_number(rng, source, spot)
    value = numeric_value(spot.node)
    if not value or rng.random() < 0.7:
        return [edit]
    alike = [other for other in spots if numeric_value(other.node) == value]
    if any(is_shape(other) for other in alike):
        return [edit]
    return [Edit(source.start(other.node), source.end(other.node), edit.text) for other in alike]


def scale(rng: random.Random, source: Source, others: Sequence[Source]) -> list[Edit] | None:
    """Multiplies the numbers that stand at one place of all calls of a function by one factor.

    So all joints of a walker move apart along one axis, and its shape stays.
    """
    groups: dict[tuple[bytes, int], list[Spot]] = {}
    for spot in source.spots:
        if isinstance(spot.parent, ast.Call) and numeric_value(spot.node):
            for position, argument in enumerate(spot.parent.args):
                if argument is spot.node and not spot.integer:
                    function = source.segment(spot.parent.func)
                    groups.setdefault((function, position), []).append(spot)
    chosen = [spots for spots in groups.values() if len(spots) > 1]
    if not chosen:
        return None
    factor = math.exp(rng.gauss(0.0, 0.5))
    edits = []
    for spot in rng.choice(chosen):
        value = numeric_value(spot.node)
        assert value is not None
        whole = isinstance(value, int)
        value = max(-literals.LARGEST, min(literals.LARGEST, value))
        text = literals.plain(value * factor, whole)
        edits.append(Edit(source.start(spot.node), source.end(spot.node), text.encode()))
    return edits


def is_shape(spot: Spot) -> bool:
    """Whether a number is part of a tuple in a call, as in `zeros((32, 32, 3))`."""
    return isinstance(spot.parent, ast.Tuple) and not isinstance(spot.parent.ctx, ast.Store)


def _liveliness(spot: Spot) -> float:
    # Sizes and counts hold programs together; their changes mostly break something.
    if is_shape(spot):
        return 0.1
    return 0.4 if spot.integer else 1.0


def string(rng: random.Random, source: Source, others: Sequence[Source]) -> list[Edit] | None:
    """Edits a character of a string, or joins two parents' strings."""
    nodes = _strings(source)
    if not nodes:
        return None
    # Long texts have more to get right, so they are drawn more often.
    node = rng.choices(nodes, [len(str(node.value)) + 1 for node in nodes])[0]
    value = str(node.value)
    if rng.random() < 0.2 and (lent := [n for other in others for n in _strings(other)]):
        text = literals.joined(rng, value, str(rng.choice(lent).value))
    else:
        text = literals.string(rng, value)
    return [Edit(source.start(node), source.end(node), quoted(text))]


def _strings(source: Source) -> list[ast.Constant]:
    return [
        spot.node
        for spot in source.spots
        if isinstance(spot.node, ast.Constant) and isinstance(spot.node.value, str)
    ]


def quoted(text: str) -> bytes:
    """A string literal in the style that most programs use, where that is possible."""
    literal = repr(text)
    if literal.startswith("'") and '"' not in literal:
        literal = '"' + literal[1:-1] + '"'
    return literal.encode("utf-8", "backslashreplace")
