"""Mutations inside of a statement: operators, names, calls, lists, expressions.

They follow `elm.variation.syntax_tree.constants.Mutation`.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Sequence

from elm.variation.syntax_tree import literals
from elm.variation.syntax_tree.constants import change_number, is_literal
from elm.variation.syntax_tree.names import is_numeric, kinds, undefined
from elm.variation.syntax_tree.source import Edit, Source, Spot

# Operators by family; one is replaced by another of its family. `**` is left but never chosen:
# it makes numbers whose size stops a machine.
FAMILIES: tuple[tuple[bytes, ...], ...] = (
    (b"+", b"-", b"*", b"/"),
    (b"%", b"//", b"*"),
    (b"<", b"<=", b">", b">=", b"==", b"!="),
    (b"and", b"or"),
    (b"&", b"|", b"^"),
    (b"<<", b">>"),
)
SYMBOLS: dict[type[ast.AST], bytes] = {
    ast.Add: b"+", ast.Sub: b"-", ast.Mult: b"*", ast.Div: b"/", ast.Mod: b"%",
    ast.FloorDiv: b"//", ast.Pow: b"**", ast.Lt: b"<", ast.LtE: b"<=", ast.Gt: b">",
    ast.GtE: b">=", ast.Eq: b"==", ast.NotEq: b"!=", ast.And: b"and", ast.Or: b"or",
    ast.BitAnd: b"&", ast.BitOr: b"|", ast.BitXor: b"^", ast.LShift: b"<<", ast.RShift: b">>",
}  # fmt: skip
# Where an expression needs no parentheses, whatever it is.
ENCLOSING = (ast.Call, ast.keyword, ast.Assign, ast.AugAssign, ast.Return, ast.List)
FUNCTIONS = (b"math.sin", b"math.cos", b"abs")


def operator(rng: random.Random, source: Source, others: Sequence[Source]) -> list[Edit] | None:
    """Replaces an operator by one of its family, or turns True into False."""
    places: list[tuple[int, int, bytes]] = []  # where to look, and for which symbol
    for node, *_ in source.spots:
        if isinstance(node, ast.BinOp):
            places.append(
                (source.end(node.left), source.start(node.right), SYMBOLS.get(type(node.op), b""))
            )
        elif isinstance(node, ast.Compare):
            symbol = SYMBOLS.get(type(node.ops[0]), b"")
            places.append((source.end(node.left), source.start(node.comparators[0]), symbol))
        elif isinstance(node, ast.BoolOp):
            symbol = SYMBOLS[type(node.op)]
            places.append((source.end(node.values[0]), source.start(node.values[1]), symbol))
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
            places.append((source.start(node), source.end(node), str(node.value).encode()))
    for block in source.blocks:
        for statement in block.statements:
            if isinstance(statement, ast.AugAssign):
                symbol = SYMBOLS.get(type(statement.op), b"")
                places.append((source.end(statement.target), source.start(statement.value), symbol))
    places = [place for place in places if place[2]]
    if not places:
        return None
    start, end, symbol = rng.choice(places)
    at = source.data.find(symbol, start, end)
    choices = [other for family in FAMILIES if symbol in family for other in family]
    choices = [other for other in choices if other != symbol]
    if symbol in (b"True", b"False"):
        choices = [b"False" if symbol == b"True" else b"True"]
    elif symbol == b"**":
        choices = [b"*"]
    if at < 0 or not choices:
        return None
    return [Edit(at, at + len(symbol), rng.choice(choices))]


def rename(rng: random.Random, source: Source, spot: Spot) -> Edit | None:
    """The edit that reads another variable instead: of the same kind, if its kind is known.

    A name that nothing binds may become any variable: it is misspelt, or its binding is lost.
    """
    node = spot.node
    if not isinstance(node, ast.Name):
        return None
    known = kinds(source, spot.scope)
    if node.id not in known and node.id not in undefined(source.tree):
        return None
    kind = known.get(node.id)
    beside: list[ast.expr] = spot.parent.args if isinstance(spot.parent, ast.Call) else [node]
    used = {other.id for other in beside if isinstance(other, ast.Name)}
    names = [n for n, other in known.items() if kind in (None, other) and n not in used]
    if not names:
        return None
    return Edit(source.start(node), source.end(node), rng.choice(names).encode())


def is_variable(spot: Spot) -> bool:
    """Whether a spot reads a variable for its value, not to call it or to reach into it."""
    if not isinstance(spot.node, ast.Name) or isinstance(spot.parent, ast.Attribute):
        return False
    return not (isinstance(spot.parent, ast.Call) and spot.parent.func is spot.node)


def name(rng: random.Random, source: Source, others: Sequence[Source]) -> list[Edit] | None:
    """Reads another variable."""
    spots = [spot for spot in source.spots if is_variable(spot)]
    edit = rename(rng, source, rng.choice(spots)) if spots else None
    return [edit] if edit else None


def arguments(rng: random.Random, source: Source, others: Sequence[Source]) -> list[Edit] | None:
    """Exchanges two arguments of a call or elements of a list that could be of one type."""
    groups: list[list[ast.expr]] = []
    for spot in source.spots:
        if isinstance(spot.node, ast.Call | ast.List):
            alike: dict[str, list[ast.expr]] = {}
            for part in spot.node.args if isinstance(spot.node, ast.Call) else spot.node.elts:
                alike.setdefault(_sort(source, spot, part), []).append(part)
            groups += [parts for parts in alike.values() if len(parts) > 1]
    return exchange(source, *rng.sample(rng.choice(groups), 2)) if groups else None


def _sort(source: Source, spot: Spot, part: ast.expr) -> str:
    if is_numeric(part):
        return "number"
    if isinstance(part, ast.Name):
        kind = kinds(source, spot.scope).get(part.id, part.id)
        return "number" if kind == "whole" else kind
    return type(part).__name__ if isinstance(part, ast.Constant | ast.List) else str(id(part))


def exchange(source: Source, one: ast.expr, other: ast.expr) -> list[Edit]:
    """The edits that put each of two expressions where the other is."""
    return [
        Edit(source.start(one), source.end(one), source.segment(other)),
        Edit(source.start(other), source.end(other), source.segment(one)),
    ]


def element(rng: random.Random, source: Source, others: Sequence[Source]) -> list[Edit] | None:
    """Copies an element of a list with changed numbers, or removes one."""
    lists = [
        spot.node
        for spot in source.spots
        if isinstance(spot.node, ast.List) and spot.node.elts and not _is_fixed(spot.node)
    ]
    if not lists:
        return None
    elements = rng.choice(lists).elts
    at = rng.randrange(len(elements))
    start, end = source.start(elements[at]), source.end(elements[at])
    if rng.random() < 0.5 and len(elements) > 1:
        if at + 1 < len(elements):
            return [Edit(start, source.start(elements[at + 1]), b"")]
        return [Edit(source.end(elements[at - 1]), end, b"")]
    literal = [spot for spot in source.within(elements[at]) if is_literal(spot)]
    changes = [change_number(rng, source, spot) for spot in literal if rng.random() < 0.6]
    return [Edit(end, end, b", " + source.rewritten(start, end, changes))]


def _is_fixed(node: ast.List) -> bool:
    # A few numbers are a point or a colour, whose length matters.
    return len(node.elts) <= 4 and all(is_numeric(part) for part in node.elts)


def expression(rng: random.Random, source: Source, others: Sequence[Source]) -> list[Edit] | None:
    """Replaces, extends or shortens an arithmetic expression, as genetic programming does."""
    spots = [spot for spot in source.spots if _is_arithmetic(source, spot)]
    if not spots:
        return None
    spot = rng.choice(spots)
    node, text = spot.node, source.segment(spot.node)
    kind = rng.random()
    if kind < 0.3 and isinstance(node, ast.BinOp):  # shorten: an operand for the whole
        new = source.segment(rng.choice((node.left, node.right)))
    elif kind < 0.65:  # extend: the whole becomes an operand or an argument
        new = _extended(rng, source, spot, text)
    else:  # replace by an expression from elsewhere
        origin = rng.choice([source, *others])
        donors = [s.node for s in origin.spots if _is_arithmetic(origin, s) and s.node is not node]
        if not donors:
            return None
        new = origin.segment(rng.choice(donors))
    if len(new) > 200:
        return None  # formulas that nobody can read
    if not isinstance(spot.parent, ENCLOSING):
        new = b"(" + new + b")" if not new.replace(b".", b"").replace(b"_", b"").isalnum() else new
    return [Edit(source.start(node), source.end(node), new)]


def _is_arithmetic(source: Source, spot: Spot) -> bool:
    if isinstance(spot.node, ast.Name):
        return is_variable(spot) and isinstance(spot.parent, ast.BinOp)
    if isinstance(spot.parent, ast.UnaryOp | ast.Attribute):
        return False
    called = isinstance(spot.parent, ast.Call) and spot.parent.func is spot.node
    return not called and is_numeric(spot.node)


def _extended(rng: random.Random, source: Source, spot: Spot, text: bytes) -> bytes:
    if not spot.integer and b"math" in source.data and rng.random() < 0.3:
        return rng.choice(FUNCTIONS) + b"(" + text + b")"
    fitting = ("whole",) if spot.integer else ("whole", "number")
    names = [n for n, kind in kinds(source, spot.scope).items() if kind in fitting]
    if names and rng.random() < 0.6:
        operand = rng.choice(names)
    else:
        operand = literals.number(rng, 1 if spot.integer else 1.0, spot.integer)
    symbol = rng.choice((b"+", b"-", b"*"))
    if not isinstance(spot.node, ast.Name | ast.Constant | ast.Call):
        text = b"(" + text + b")"
    if operand.startswith("-"):
        operand = f"({operand})"
    return text + b" " + symbol + b" " + operand.encode()
