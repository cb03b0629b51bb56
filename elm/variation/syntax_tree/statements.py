"""Mutations of whole statements: copy, grow, remove, swap, and borrow from another parent.

They follow `elm.variation.syntax_tree.constants.Mutation`. Imports, definitions, returns and
jumps stay where they are; so does a statement that shares its line with another.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Sequence

from elm.variation.syntax_tree.constants import change_number, is_literal, is_shape
from elm.variation.syntax_tree.expressions import is_variable, rename
from elm.variation.syntax_tree.names import fresh, words
from elm.variation.syntax_tree.source import Block, Edit, Scope, Source

FIXED = (
    ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Return,
    ast.Break, ast.Continue, ast.Pass, ast.Global, ast.Nonlocal, ast.Raise,
)  # fmt: skip
LONGEST = 12  # lines of a compound statement that is still copied


def _movable(source: Source, block: Block) -> list[ast.stmt]:
    return [
        statement
        for statement in block.statements
        if not isinstance(statement, FIXED) and source.lines(statement) and not _returns(statement)
    ]


def _returns(statement: ast.stmt) -> bool:
    # Only a compound statement can hold a return.
    return hasattr(statement, "body") and any(
        isinstance(node, ast.Return) for node in ast.walk(statement)
    )


def _choose(
    rng: random.Random, source: Source, least: int = 1
) -> tuple[Block, list[ast.stmt]] | None:
    """A block, in proportion to its size, that has at least so many statements that can move."""
    blocks = [(block, _movable(source, block)) for block in source.blocks]
    blocks = [(block, statements) for block, statements in blocks if len(statements) >= least]
    if not blocks:
        return None
    return rng.choices(blocks, [len(statements) for _, statements in blocks])[0]


def _varied(rng: random.Random, source: Source, statement: ast.stmt, share: float) -> list[Edit]:
    """Edits that change a share of a statement's numbers and variables; at least one of them."""
    numbers, names = [], []
    for spot in source.within(statement):
        if is_literal(spot):
            numbers.append(spot)
        elif is_variable(spot):
            names.append(spot)
    edits = [change_number(rng, source, spot) for spot in numbers if rng.random() < share]
    edits += [
        edit for spot in names if rng.random() < share and (edit := rename(rng, source, spot))
    ]
    if not edits and numbers:
        edits = [change_number(rng, source, rng.choice(numbers))]
    return edits


def copy(rng: random.Random, source: Source, others: Sequence[Source]) -> list[Edit] | None:
    """Writes a statement a second time, with other numbers and variables in it."""
    chosen = _choose(rng, source)
    if chosen is None:
        return None
    statement = rng.choice(chosen[1])
    lines = source.lines(statement)
    if lines is None or source.data.count(b"\n", *lines) > LONGEST:
        return None
    edits = _varied(rng, source, statement, 0.4)
    return [Edit(lines[1], lines[1], source.rewritten(*lines, edits))] if edits else None


def tune(rng: random.Random, source: Source, others: Sequence[Source]) -> list[Edit] | None:
    """Perturbs several numbers of one statement together."""
    places = []
    for block in source.blocks:
        for statement in block.statements:
            if not hasattr(statement, "body"):
                spots = [s for s in source.within(statement) if is_literal(s) and not is_shape(s)]
                if len(spots) > 1:
                    places.append(spots)
    if not places:
        return None
    spots = rng.choice(places)
    share = rng.uniform(0.3, 1.0)
    return [change_number(rng, source, spot) for spot in spots if rng.random() < share] or None


def grow(rng: random.Random, source: Source, others: Sequence[Source]) -> list[Edit] | None:
    """Adds a variable like one that exists, and some of the statements that use it.

    From `c = wc.add_joint(10, 10)` and its muscles come another joint at another place and some
    muscles to it: a part is added together with what connects it.
    """
    definitions = []
    for block in source.blocks:
        statements = _movable(source, block)
        reading = [(statement, _arguments(source, statement)) for statement in statements]
        for statement in statements:
            variable = assigned(statement)
            users = [user for user, read in reading if variable in read]
            if variable is not None and users:
                definitions.append((statement, variable, users))
    if not definitions:
        return None
    definition, variable, users = rng.choice(definitions)
    new = fresh(variable, words(source.text)).encode()
    lines = source.lines(definition)
    assert lines is not None and isinstance(definition, ast.Assign)
    target = definition.targets[0]
    edits = _varied(rng, source, definition, 0.8)
    edits.append(Edit(source.start(target), source.end(target), new))
    result = [Edit(lines[1], lines[1], source.rewritten(*lines, edits))]
    for user in rng.sample(users, min(len(users), rng.choice((1, 2, 2, 3)))):
        span = source.lines(user)
        assert span is not None
        edits = []
        for spot in source.within(user):
            if isinstance(spot.node, ast.Name) and spot.node.id == variable:
                edits.append(Edit(source.start(spot.node), source.end(spot.node), new))
            elif is_literal(spot) and rng.random() < 0.3:
                edits.append(change_number(rng, source, spot))
        result.append(Edit(span[1], span[1], source.rewritten(*span, edits)))
    return result


def assigned(statement: ast.stmt) -> str | None:
    """The variable that a plain assignment binds."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        return target.id if isinstance(target, ast.Name) else None
    return None


def _arguments(source: Source, statement: ast.stmt) -> set[str]:
    """Variables whose values a call or an update takes, those it calls left out."""
    if not isinstance(statement, ast.Expr | ast.AugAssign):
        return set()
    return {
        spot.node.id
        for spot in source.within(statement)
        if isinstance(spot.node, ast.Name) and is_variable(spot)
    }


def _read(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def remove(rng: random.Random, source: Source, others: Sequence[Source]) -> list[Edit] | None:
    """Removes a statement, and with a variable's only binding all that depends on it."""
    chosen = _choose(rng, source, least=3)
    if chosen is None:
        return None
    block, statements = chosen
    # A loop holds more of the program than a line does.
    weights = [0.3 if hasattr(statement, "body") else 1.0 for statement in statements]
    doomed = rng.choices(statements, weights)
    variable = assigned(doomed[0])
    if variable is not None and _bindings(source, block.scope, variable) == 1:
        for statement in block.statements:
            if statement is not doomed[0] and variable in _read(statement):
                if statement not in statements or isinstance(statement, ast.Assign):
                    return None  # would take a return along, or set off a landslide
                doomed.append(statement)
    if len(doomed) >= len(block.statements) or len(doomed) > max(2, len(statements) // 2):
        return None
    spans = [source.lines(statement) for statement in doomed]
    return [Edit(*span, b"") for span in spans if span]


def _bindings(source: Source, scope: Scope, variable: str) -> int:
    return sum(
        isinstance(node, ast.Name) and node.id == variable and not isinstance(node.ctx, ast.Load)
        for node in ast.walk(scope)
    )


def swap(rng: random.Random, source: Source, others: Sequence[Source]) -> list[Edit] | None:
    """Exchanges two statements of a block."""
    chosen = _choose(rng, source, least=2)
    if chosen is None:
        return None
    one, other = (source.lines(statement) for statement in rng.sample(chosen[1], 2))
    assert one is not None and other is not None
    return [
        Edit(*one, source.data[slice(*other)]),
        Edit(*other, source.data[slice(*one)]),
    ]


def borrow(rng: random.Random, source: Source, others: Sequence[Source]) -> list[Edit] | None:
    """Takes a statement of another parent: instead of the one that corresponds to it, or beside.

    Statements correspond where they bind the same variable or call the same function with the
    same variables, so that the exchange recombines what the parents made of a common ancestor.
    """
    chosen = _choose(rng, source)
    if chosen is None or not others:
        return None
    block, statements = chosen
    donor = rng.choice(others)
    gifts: dict[str, list[ast.stmt]] = {}
    for other in donor.blocks:
        if _function(other.scope) == _function(block.scope):
            for statement in _movable(donor, other):
                gifts.setdefault(_signature(donor, statement), []).append(statement)
    if not gifts:
        return None
    edits = []
    if rng.random() < 0.5:
        for statement in statements:
            same = gifts.get(_signature(source, statement), [])
            if same and rng.random() < 0.5:
                gift = rng.choice(same)
                span = source.lines(statement)
                assert span is not None
                edits.append(Edit(*span, _reindented(source, statement, donor, gift)))
        return edits or None
    known = {_signature(source, statement) for statement in statements}
    new = [gift for signature, group in gifts.items() if signature not in known for gift in group]
    anchor = source.lines(rng.choice(statements))
    if not new or anchor is None:
        return None
    text = _reindented(source, statements[0], donor, rng.choice(new))
    return [Edit(anchor[1], anchor[1], text)]


def _function(scope: Scope) -> str:
    return getattr(scope, "name", "")


def _signature(source: Source, statement: ast.stmt) -> str:
    variable = assigned(statement)
    if variable is not None:
        return f"{variable} ="
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        call = statement.value
        names = [arg.id if isinstance(arg, ast.Name) else "" for arg in call.args]
        return f"{source.segment(call.func).decode('utf-8')}({','.join(names)})"
    return source.segment(statement).split(b"\n", 1)[0].decode("utf-8")


def _reindented(source: Source, place: ast.stmt, donor: Source, statement: ast.stmt) -> bytes:
    span = donor.lines(statement)
    assert span is not None
    old, new = donor.indentation(statement), source.indentation(place)
    lines = donor.data[slice(*span)].splitlines(keepends=True)
    return b"".join(new + line.removeprefix(old) if line.strip() else line for line in lines)
