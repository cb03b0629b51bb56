"""A program as text and as a syntax tree at once.

The tree says where things are, the text is what gets edited: so a child keeps its parent's
comments, names and layout, since people read elites and language models imitate them. Writing a
tree back out would lose these, and a concrete syntax tree costs many times more to parse.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from elm.variation.lines import split
from elm.variation.regions.markers import blocks as marked_blocks
from environments.parsing import parse

# Fields that hold no expressions.
OPERATORS = frozenset({"ctx", "op", "ops", "type_ignores"})
# Fields whose expressions say nothing of what a program does, or have a syntax of their own.
UNREAD = OPERATORS | {"annotation", "returns", "decorator_list", "pattern", "type_params"}
# Nothing lies below these; what is inside of an f-string has no reliable position.
LEAVES = (ast.Name, ast.Constant, ast.JoinedStr)
Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef | ast.Module


class Spot(NamedTuple):
    """An expression whose value the program reads, and where it stands."""

    node: ast.expr
    parent: ast.AST
    scope: Scope
    integer: bool  # an index or a bound of `range`, where only whole numbers make sense


class Block(NamedTuple):
    """Statements that are executed one after the other."""

    scope: Scope
    statements: list[ast.stmt]


class Edit(NamedTuple):
    """Bytes `start` to `end` of a source, and what takes their place."""

    start: int
    end: int
    text: bytes


class Source:
    """A parsed program. Never changes: `edited` makes another.

    Raises:
        SyntaxError: if the text does not parse.
        ValueError: if it holds null bytes or lone surrogates.
        RecursionError, MemoryError: if it is nested deeper than the parser's stack.
    """

    def __init__(self, text: str) -> None:
        # The parser counts lines as if every line ended like this.
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        self.text = text if text.endswith("\n") else text + "\n"
        self.data = self.text.encode("utf-8")  # the tree's columns are bytes
        self.tree = parse(self.text)
        self._lines = [0]
        for line in self.data.split(b"\n"):
            self._lines.append(self._lines[-1] + len(line) + 1)

    @cached_property
    def spots(self) -> list[Spot]:
        """All expressions that are read, have a position and may change."""
        return self._collected[0]

    @cached_property
    def blocks(self) -> list[Block]:
        """All runs of statements that may change, docstrings left out."""
        return self._collected[1]

    @cached_property
    def evolving(self) -> list[tuple[int, int]] | None:
        """Ranges of bytes between EVOLVE-BLOCK markers; None where nothing is marked.

        Raises:
            RegionError: if markers do not come in pairs.
        """
        if "EVOLVE-BLOCK-" not in self.text:
            return None
        found = marked_blocks(split(self.text), "the program")
        return [(self._lines[block.start], self._lines[block.end]) for block in found] or None

    def may_change(self, edits: Iterable[Edit]) -> bool:
        """Whether all edits lie where the program may evolve."""
        allowed = self.evolving
        return allowed is None or all(
            any(start <= edit.start and edit.end <= end for start, end in allowed) for edit in edits
        )

    def start(self, node: ast.expr | ast.stmt) -> int:
        """Offset of a node's first byte."""
        return self._lines[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr | ast.stmt) -> int:
        """Offset behind a node's last byte."""
        assert node.end_lineno is not None and node.end_col_offset is not None
        return self._lines[node.end_lineno - 1] + node.end_col_offset

    def segment(self, node: ast.expr | ast.stmt) -> bytes:
        """The text of a node, without parentheses around it."""
        return self.data[self.start(node) : self.end(node)]

    def lines(self, statement: ast.stmt) -> tuple[int, int] | None:
        """The range of whole lines that a statement fills; None where it shares one."""
        first = min(
            [statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", ()))]
        )
        start, last = self._lines[first - 1], self.end(statement)
        assert statement.end_lineno is not None
        end = self._lines[statement.end_lineno]
        if first == statement.lineno and self.data[start : self.start(statement)].strip():
            return None
        rest = self.data[last:end].strip()
        return None if rest and not rest.startswith(b"#") else (start, end)

    def indentation(self, statement: ast.stmt) -> bytes:
        """The white space before a statement that begins its line."""
        return self.data[self._lines[statement.lineno - 1] : self.start(statement)]

    def within(self, node: ast.AST) -> list[Spot]:
        """The spots inside of a node, itself included, in an order that is always the same."""
        found, stack = [], [node]
        while stack:
            node = stack.pop()
            spot = self._by_node.get(node)
            if spot is not None:
                found.append(spot)
            stack.extend(children(node))
        return found

    @cached_property
    def _by_node(self) -> dict[ast.AST, Spot]:
        return {spot.node: spot for spot in self.spots}

    def rewritten(self, start: int, end: int, edits: Iterable[Edit]) -> bytes:
        """Bytes `start` to `end` after the edits, which lie within and do not overlap."""
        pieces, position = [], start
        for edit in sorted(edits):
            pieces += [self.data[position : edit.start], edit.text]
            position = edit.end
        return b"".join([*pieces, self.data[position:end]])

    def edited(self, edits: Iterable[Edit]) -> Source:
        """The source after the edits. Raises as the constructor does."""
        return Source(self.rewritten(0, len(self.data), edits).decode("utf-8"))

    @cached_property
    def _collected(self) -> tuple[list[Spot], list[Block]]:
        spots: list[Spot] = []
        blocks: list[Block] = []
        stack: list[tuple[ast.AST, ast.AST, Scope, bool]] = [
            (self.tree, self.tree, self.tree, False)
        ]
        while stack:
            node, parent, scope, integer = stack.pop()
            if isinstance(node, ast.expr):
                if not isinstance(getattr(node, "ctx", None), ast.Store | ast.Del):
                    spots.append(Spot(node, parent, scope, integer))
                if isinstance(node, LEAVES):
                    continue
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    integer = integer or node.func.id == "range"
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
                scope = node
            for field in node._fields:
                if field in UNREAD:
                    continue
                value = getattr(node, field, None)
                if isinstance(value, list):
                    if value and isinstance(value[0], ast.stmt):
                        value = value[is_docstring(node, value) :]
                        blocks.append(Block(scope, value))
                    for item in reversed(value):
                        if isinstance(item, ast.AST):
                            stack.append((item, node, scope, integer))
                elif isinstance(value, ast.AST):
                    index = field == "slice"
                    stack.append((value, node, scope, integer or index))
        if self.evolving is not None:
            spots = [spot for spot in spots if self._evolves(spot.node)]
            blocks = [Block(b.scope, [s for s in b.statements if self._evolves(s)]) for b in blocks]
        return spots, blocks

    def _evolves(self, node: ast.expr | ast.stmt) -> bool:
        return self.may_change([Edit(self.start(node), self.end(node), b"")])


def children(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes right below, without operators and contexts, which have no position."""
    for field in node._fields:
        if field not in OPERATORS:
            value = getattr(node, field, None)
            if isinstance(value, list):
                for item in value:
                    if isinstance(item, ast.AST):
                        yield item
            elif isinstance(value, ast.AST):
                yield value


def is_docstring(owner: ast.AST, statements: list[ast.stmt]) -> bool:
    """Whether the first of the statements documents its owner."""
    first = statements[0]
    return (
        isinstance(owner, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )


def same_tree(left: ast.AST, right: ast.AST) -> bool:
    """Whether two programs are the same but for comments, docstrings and formatting."""
    stack: list[tuple[object, object]] = [(left, right)]
    while stack:
        a, b = stack.pop()
        if type(a) is not type(b):
            return False
        if isinstance(a, ast.AST):
            for field in a._fields:
                one, other = getattr(a, field, None), getattr(b, field, None)
                if isinstance(one, list) and isinstance(other, list):
                    if field == "body" and one and isinstance(one[0], ast.stmt):
                        one = one[is_docstring(a, one) :]
                        other = other[is_docstring(b, other) :] if other else other  # type: ignore[arg-type]
                    if len(one) != len(other):
                        return False
                    stack.extend(zip(one, other, strict=True))
                else:
                    stack.append((one, other))
        elif repr(a) != repr(b):  # tells 0.0 from -0.0, which == does not
            return False
    return True
