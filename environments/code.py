"""What the text of a program says about it: descriptors that need no execution.

Measured on the search's side, where a program is text and nothing of it runs. Whoever asks has
parsed the program already: one that does not parse is never evaluated.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Callable, Mapping

from environments.base import Program
from environments.parsing import parse


def _trees(program: Program) -> list[ast.AST]:
    return [parse(text) for name, text in program.files.items() if name.endswith(".py")]


def length(program: Program) -> float:
    """Characters of all files without comments, blank lines and the space behind lines."""
    return float(sum(len(_bare(name, text)) for name, text in program.files.items()))


def _bare(name: str, text: str) -> str:
    if name.endswith(".py"):
        lines = text.splitlines(keepends=True)
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                row, column = token.start[0] - 1, token.start[1]
                lines[row] = lines[row][:column] + "\n"
        text = "".join(lines)
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip())


def tree_size(program: Program) -> float:
    """Nodes of the syntax trees, contexts (load, store) left out."""
    nodes = (node for tree in _trees(program) for node in ast.walk(tree))
    return float(sum(not isinstance(node, ast.expr_context) for node in nodes))


def names(program: Program) -> float:
    """Distinct names: of variables, parameters, attributes, functions and classes."""
    found: set[str] = set()
    for tree in _trees(program):
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                found.add(node.id)
            elif isinstance(node, ast.arg):
                found.add(node.arg)
            elif isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(node.name)
    return float(len(found))


MEASURES: Mapping[str, Callable[[Program], float]] = {
    "code_length": length,
    "tree_size": tree_size,
    "names": names,
}
"""By the name that settings give them."""
